"""`TabulatedDensity`: a density constant within bins, ready for a sampler."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mantis_astro import binned

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["TabulatedDensity"]


class TabulatedDensity:
    """
    One density that is constant within bins, exact and fast.

    What the methods return agrees to rounding: the density is the derivative of `cdf`,
    and `ppf` its inverse. All take and return plain numbers, as samplers do.

    Parameters
    ----------
    bin_edges : ndarray
        Edges of the bins in redshift, shape ``(n_bins + 1,)``, validated.
    probability : ndarray
        Probability of each bin, shape ``(n_bins,)``, sum 1.
    """

    def __init__(self, bin_edges: ArrayLike, probability: ArrayLike) -> None:
        self._bin_edges = bin_edges
        self._probability = probability
        self._make_tables()

    def _make_tables(self):
        """Prepare for what a sampler asks a million times, one redshift at a time."""
        edges, probability = self._bin_edges, self._probability
        for array in (edges, probability):
            array.flags.writeable = False
        self._cumulative = binned.cumulative(probability[None])[0]
        with np.errstate(divide="ignore"):
            log_density = np.log(probability / np.diff(edges))
        # one entry below and one above the bins; the last bin owns its upper edge
        self._log_density = np.concatenate([[-np.inf], log_density, [-np.inf]])
        self._lookup = edges.copy()
        self._lookup[-1] = np.nextafter(edges[-1], np.inf)
        # nodes of the inverse: ends of the bins that are not empty; short of the upper
        # end of one before an empty bin, so that no draw falls where the prior is zero
        # (by two steps, as interpolation may overshoot by one). A bin below the
        # smallest normal number is empty: its slope dz/dq overflows.
        full = np.flatnonzero(probability > np.finfo(float).tiny)
        upper = edges[full + 1].copy()
        before_gap = ~np.isin(full + 1, np.append(full, len(probability)))
        for _ in range(2):
            upper[before_gap] = np.nextafter(upper[before_gap], 0)
        self._nodes_z = np.stack([edges[full], upper], axis=1).ravel()
        self._nodes_q = np.repeat(self._cumulative, 2)[1:-1].reshape(-1, 2)[full]
        self._nodes_q = self._nodes_q.ravel()

    @property
    def bin_edges(self) -> np.ndarray:
        """Edges of the bins in redshift, shape ``(n_bins + 1,)``; read-only."""
        return self._bin_edges

    @property
    def probability(self) -> np.ndarray:
        """Probability of each bin, shape ``(n_bins,)``; read-only."""
        return self._probability

    @property
    def support(self) -> tuple[float, float]:
        """Lowest and highest redshift, a tuple of two floats."""
        return float(self._bin_edges[0]), float(self._bin_edges[-1])

    def pdf(self, z: ArrayLike) -> float | np.ndarray:
        """
        Density.

        Parameters
        ----------
        z : float, array_like or `~astropy.units.Quantity`
            Redshift.

        Returns
        -------
        float or ndarray
            Probability per unit redshift, the shape of ``z``: 0 outside the support,
            NaN where ``z`` is NaN or masked. A bin owns its lower edge, the last one
            its upper edge as well.

        Examples
        --------
        >>> from mantis_astro import RedshiftPrior
        >>> RedshiftPrior([0, 1, 5], [0.5, 0.5], floor=0).pdf([0.5, 1, 6])
        array([0.5  , 0.125, 0.   ])
        """
        z = binned.as_redshift(z)
        return np.where(np.isnan(z), np.nan, np.exp(self.log_pdf(z)))[()]

    def log_pdf(self, z: ArrayLike) -> float | np.ndarray:
        """
        Natural logarithm of the density, by the shortest way.

        Parameters
        ----------
        z : float or ndarray
            Redshift, plain numbers.

        Returns
        -------
        float or ndarray
            The shape of ``z``; ``-inf`` outside the support and where ``z`` is NaN, so
            that a sampler turns either down.

        Examples
        --------
        >>> from mantis_astro import RedshiftPrior
        >>> RedshiftPrior([0, 1, 2], [1, 1]).log_pdf([[-1.0], [0.3]])
        array([[       -inf],
               [-0.69314718]])
        """
        return self._log_density[self._lookup.searchsorted(z, side="right")]

    def cdf(self, z: ArrayLike) -> float | np.ndarray:
        """
        Probability below a redshift.

        Parameters
        ----------
        z : float, array_like or `~astropy.units.Quantity`
            Redshift.

        Returns
        -------
        float or ndarray
            From 0 to 1, the shape of ``z``; NaN where ``z`` is NaN or masked.

        Examples
        --------
        >>> from mantis_astro import RedshiftPrior
        >>> RedshiftPrior([0, 1, 5], [0.5, 0.5], floor=0).cdf([0.5, 3])
        array([0.25, 0.75])
        """
        return np.interp(binned.as_redshift(z), self._bin_edges, self._cumulative)

    def ppf(self, q: ArrayLike) -> float | np.ndarray:
        """
        Redshift below which a given probability lies: the inverse of `cdf`.

        Parameters
        ----------
        q : float or array_like
            Probability from 0 to 1.

        Returns
        -------
        float or ndarray
            The shape of ``q``; never where the density is 0.

        Raises
        ------
        ValueError
            If ``q`` is not between 0 and 1.

        Examples
        --------
        >>> from mantis_astro import RedshiftPrior
        >>> RedshiftPrior([0, 1, 5], [0.5, 0.5], floor=0).ppf([0, 0.25, 0.75])
        array([0. , 0.5, 3. ])
        """
        q = binned.as_redshift(q)
        if not np.all((q >= 0) & (q <= 1)):
            outside = q[~((q >= 0) & (q <= 1))].flat[0]
            msg = f"'q' must be between 0 and 1, got {outside}"
            raise ValueError(msg)
        return self._from_unit(q)

    def _from_unit(self, q):
        z = np.interp(q, self._nodes_q, self._nodes_z)
        return np.minimum(z, self._nodes_z[-1])  # it may overshoot by one step

    def sample(
        self, rng: np.random.Generator | int, n: int | None = None
    ) -> float | np.ndarray:
        """
        Draw redshifts.

        Parameters
        ----------
        rng : `numpy.random.Generator` or int
            Source of randomness, or a seed.
        n : int, optional
            Number of draws; one float without it.

        Returns
        -------
        float or ndarray
            Shape ``(n,)``.

        Examples
        --------
        >>> from mantis_astro import RedshiftPrior
        >>> RedshiftPrior([0.5, 0.6], [1]).sample(1, 3).round(3)
        array([0.551, 0.595, 0.514])
        """
        return self._from_unit(np.random.default_rng(rng).random(n))

    def mode(self) -> float:
        """
        Return the centre of the bin of highest density.

        Returns
        -------
        float
            Of equal bins the lowest.
        """
        return float(binned.mode(self._bin_edges, self._probability[None])[0])
