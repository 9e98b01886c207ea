"""`TabulatedDensity`: a density constant within bins, ready for a sampler."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mantis_astro import binned

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike

__all__ = ["DensityTables", "TabulatedDensity"]

# Empty bins have a density so much (in ln) below the highest when slopes are taken.
_DEEPEST = 50.0


class DensityTables(NamedTuple):
    """
    Tables of a density, for any array library.

    Attributes
    ----------
    lookup : ndarray
        Edges of the bins, the last one moved up by one step of the floating-point
        type, shape ``(n_bins + 1,)``: ``searchsorted(lookup, z, side="right")`` is the
        index in ``log_density``, and the last bin owns its upper edge.
    log_density : ndarray
        Of each bin, ``-inf`` below the first and above the last, shape
        ``(n_bins + 2,)``.
    bin_edges, cumulative : ndarray
        The cdf is linear between them, shape ``(n_bins + 1,)``.
    nodes_q, nodes_z : ndarray
        The inverse of the cdf is linear between them: two for each bin that is not
        empty.
    """

    lookup: np.ndarray
    log_density: np.ndarray
    bin_edges: np.ndarray
    cumulative: np.ndarray
    nodes_q: np.ndarray
    nodes_z: np.ndarray

    def slopes(self):
        """
        Slopes of the logarithm of the density, for samplers that follow a gradient.

        Returns
        -------
        centres : ndarray
            Centres of the bins, shape ``(n_bins,)``.
        slopes : ndarray
            Of the line between the centres of neighbouring bins, 0 before the first and
            after the last, shape ``(n_bins + 1,)``: ``searchsorted(centres, z)`` is the
            index. In a bin itself the slope is 0, which would lead no sampler.
        """
        centres = (self.bin_edges[1:] + self.bin_edges[:-1]) / 2
        inner = self.log_density[1:-1]
        inner = np.maximum(inner, inner.max() - _DEEPEST)
        slopes = np.pad(np.diff(inner) / np.diff(centres), 1)
        return centres, slopes.astype(centres.dtype)


def _make_tables(edges, probability, dtype):
    cumulative = binned.cumulative(probability[None])[0]
    with np.errstate(divide="ignore"):
        log_density = np.log(probability / np.diff(edges))
    # one entry below and one above the bins; the last bin owns its upper edge
    log_density = np.concatenate([[-np.inf], log_density, [-np.inf]])
    own_edges = edges.astype(dtype)
    lookup = own_edges.copy()
    lookup[-1] = np.nextafter(lookup[-1], dtype.type(np.inf))
    # nodes of the inverse: ends of the bins that are not empty; short of the upper
    # end of one before an empty bin, so that no draw falls where the prior is zero
    # (by two steps, as interpolation may overshoot by one). A bin below the
    # smallest normal number is empty: its slope dz/dq overflows.
    full = np.flatnonzero(probability > np.finfo(dtype).tiny)
    upper = own_edges[full + 1].copy()
    before_gap = ~np.isin(full + 1, np.append(full, len(probability)))
    for _ in range(2):
        upper[before_gap] = np.nextafter(upper[before_gap], dtype.type(0))
    nodes_z = np.stack([own_edges[full], upper], axis=1).ravel()
    nodes_q = np.repeat(cumulative, 2)[1:-1].reshape(-1, 2)[full].ravel()
    return DensityTables(
        lookup,
        log_density.astype(dtype),
        own_edges,
        cumulative.astype(dtype),
        nodes_q.astype(dtype),
        nodes_z,
    )


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
        """Prepare tables for samplers, which pass one redshift at a time."""
        for array in (self._bin_edges, self._probability):
            array.flags.writeable = False
        tables = self.tables()
        self._cumulative = tables.cumulative
        self._lookup, self._log_density = tables.lookup, tables.log_density
        self._nodes_q, self._nodes_z = tables.nodes_q, tables.nodes_z

    def tables(self, dtype: DTypeLike = float) -> DensityTables:
        """
        Create the tables of density, cdf and inverse.

        Parameters
        ----------
        dtype : dtype, optional
            Floating-point type in which they will be used.

        Returns
        -------
        DensityTables
            Arrays of that type.
        """
        return _make_tables(self._bin_edges, self._probability, np.dtype(dtype))

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
