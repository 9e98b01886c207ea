"""`BinnedDensity`: the functions that belong to a density constant within bins."""

from functools import partial

import astropy.units as u
import numpy as np

from mantis_astro import binned
from mantis_astro.pdf.shaped import BinnedArray

__all__ = ["BinnedDensity"]


class BinnedDensity(BinnedArray):
    """
    The density of each galaxy, its integral, inverse, moments and draws.

    Parameters are those of `BinnedArray`. The density is exactly constant within each
    bin, so that what these methods return agrees to rounding.
    """

    def _at(self, kernel, x, name):
        """Evaluate a function of rows where ``x`` broadcasts against the galaxies."""
        try:
            shape = np.broadcast_shapes(self.shape, x.shape)
        except ValueError:
            msg = (
                f"'{name}' of shape {x.shape} does not broadcast with galaxies of "
                f"shape {self.shape}; for a grid at every galaxy use pdf[..., None]"
            )
            raise ValueError(msg) from None
        # Axes of the answer along which galaxies differ go first, the others last.
        padded = (1,) * (len(shape) - self.ndim) + self.shape
        order = sorted(range(len(shape)), key=lambda i: padded[i] != shape[i])
        n_x = int(
            np.prod([shape[i] for i in order if padded[i] != shape[i]], dtype=int)
        )
        x = np.broadcast_to(x, shape).transpose(order).reshape(self.size, n_x)
        value = binned.map_rows(partial(kernel, self.bin_edges), self.probability, x)
        value = value.reshape([shape[i] for i in order]).transpose(np.argsort(order))
        return u.Quantity(value, u.one, copy=False)

    def _each(self, kernel, *arguments, block=binned.BLOCK):
        """Values of a function of rows, shaped as the galaxies."""
        value = binned.map_rows(
            lambda rows: kernel(self.bin_edges, rows, *arguments),
            self.probability,
            block=block,
        )
        return value.reshape(self.shape + value.shape[1:])

    def pdf(self, z):
        """
        Density at a redshift.

        Parameters
        ----------
        z : float, array_like or `~astropy.units.Quantity`
            Redshift, broadcast against the galaxies.

        Returns
        -------
        `~astropy.units.Quantity`
            Probability per unit redshift: 0 outside the bins, NaN where ``z`` is NaN or
            masked. A bin owns its lower edge, the last one its upper edge as well.

        Examples
        --------
        >>> from mantis_astro import RedshiftPDF
        >>> RedshiftPDF([0, 1, 4], [0.25, 0.75]).pdf([0.5, 1, 5])
        <Quantity [0.25, 0.25, 0.  ]>
        """
        return self._at(binned.pdf, binned.as_redshift(z), "z")

    def cdf(self, z):
        """
        Probability below a redshift.

        Parameters
        ----------
        z : float, array_like or `~astropy.units.Quantity`
            Redshift, broadcast against the galaxies.

        Returns
        -------
        `~astropy.units.Quantity`
            From 0 to 1; NaN where ``z`` is NaN or masked. At the true redshift this is
            the probability integral transform (PIT).

        Examples
        --------
        >>> from mantis_astro import RedshiftPDF
        >>> RedshiftPDF([0, 1, 4], [0.25, 0.75]).cdf([0.5, 1, 5])
        <Quantity [0.125, 0.25 , 1.   ]>
        """
        return self._at(binned.cdf, binned.as_redshift(z), "z")

    def ppf(self, q):
        """
        Redshift below which a given probability lies: the inverse of `cdf`.

        Parameters
        ----------
        q : float, array_like or `~astropy.units.Quantity`
            Probability from 0 to 1, broadcast against the galaxies.

        Returns
        -------
        `~astropy.units.Quantity`
            The smallest such redshift; at 0 and 1 the ends of the bins that are not
            empty.

        Raises
        ------
        ValueError
            If ``q`` is not between 0 and 1.

        Examples
        --------
        >>> from mantis_astro import RedshiftPDF
        >>> RedshiftPDF([0, 1, 4], [0.25, 0.75]).ppf([0, 0.25, 0.5])
        <Quantity [0., 1., 2.]>
        """
        q = binned.as_redshift(q)
        if not np.all((q >= 0) & (q <= 1)):
            outside = q[~((q >= 0) & (q <= 1))].flat[0]
            msg = f"'q' must be between 0 and 1, got {outside}"
            raise ValueError(msg)
        return self._at(binned.ppf, q, "q")

    def to_quantiles(self, quantiles):
        """
        Find the redshifts of several quantiles for every galaxy.

        Parameters
        ----------
        quantiles : array_like
            Probabilities from 0 to 1, shape ``(n_q,)``.

        Returns
        -------
        `~astropy.units.Quantity`
            Shape ``(..., n_q)``.

        Examples
        --------
        >>> from mantis_astro import RedshiftPDF
        >>> RedshiftPDF([0, 1, 4], [[0.25, 0.75]]).to_quantiles([0, 0.25, 0.5])
        <Quantity [[0., 1., 2.]]>
        """
        quantiles = binned.as_redshift(quantiles)
        if quantiles.ndim != 1:
            msg = f"'quantiles' must be one-dimensional, got shape {quantiles.shape}"
            raise ValueError(msg)
        return self[..., None].ppf(quantiles)

    def sample(self, n, rng):
        """
        Draw redshifts.

        Parameters
        ----------
        n : int
            Draws for each galaxy.
        rng : `numpy.random.Generator` or int
            Source of randomness, or a seed.

        Returns
        -------
        `~astropy.units.Quantity`
            Shape ``(..., n)``.

        Examples
        --------
        >>> from mantis_astro import RedshiftPDF
        >>> RedshiftPDF([0, 1, 2], [[1, 0], [0, 1]]).sample(1, rng=1).round()
        <Quantity [[1.],
                   [2.]]>
        """
        uniform = np.random.default_rng(rng).random((*self.shape, n))
        return self[..., None].ppf(uniform)

    def mean(self):
        """
        Mean redshift.

        Returns
        -------
        `~astropy.units.Quantity`
            The shape of the galaxies.

        Examples
        --------
        >>> from mantis_astro import RedshiftPDF
        >>> RedshiftPDF([0, 1, 4], [0.25, 0.75]).mean()
        <Quantity 2.>
        """
        return u.Quantity(self._each(binned.mean), u.one)

    def std(self):
        """
        Return the standard deviation, the width of the bins included.

        Returns
        -------
        `~astropy.units.Quantity`
            The shape of the galaxies.

        Examples
        --------
        >>> from mantis_astro import RedshiftPDF
        >>> RedshiftPDF([0, 1, 4], [0.25, 0.75]).std() * 3**0.5  # uniform
        <Quantity 2.>
        """
        return u.Quantity(self._each(binned.std), u.one)

    def median(self):
        """
        Median redshift.

        Returns
        -------
        `~astropy.units.Quantity`
            The shape of the galaxies.

        Examples
        --------
        >>> from mantis_astro import RedshiftPDF
        >>> RedshiftPDF([0, 1, 4], [0.5, 0.5]).median()
        <Quantity 1.>
        """
        return self.ppf(0.5)

    def mode(self):
        """
        Centre of the bin where the density, not the probability, is highest.

        Returns
        -------
        `~astropy.units.Quantity`
            The shape of the galaxies; of equal bins the lowest.

        Examples
        --------
        >>> from mantis_astro import RedshiftPDF
        >>> RedshiftPDF([0, 1, 4], [0.4, 0.6]).mode()
        <Quantity 0.5>
        """
        return u.Quantity(self._each(binned.mode), u.one)
