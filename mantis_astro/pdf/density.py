"""`BinnedDensity`: densities constant within bins, array-like over galaxies."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property, partial
from typing import TYPE_CHECKING, Literal, Self

import astropy.units as u
import numpy as np
from astropy.utils.masked import Masked
from astropy.utils.shapes import ShapedLikeNDArray

from mantis_astro import binned
from mantis_astro.flags import Flag, decode_flags
from mantis_astro.pdf import summaries
from mantis_astro.pdf.checks import as_flags, match_bins, refuse_bad_rows

if TYPE_CHECKING:
    from astropy.units import Quantity
    from numpy.typing import ArrayLike

    from mantis_astro.pdf.summaries import Peaks

__all__ = ["BinnedDensity"]

# Quantiles that the table of estimates, intervals and flags are made from.
_QUANTILES = (0.025, 0.16, 0.5, 0.84, 0.975)
_INTERVALS = {0.68: (0.16, 0.84), 0.95: (0.025, 0.975)}
# Defaults of `peaks`, which is the costliest summary.
_RATIO, _MIN_MASS = 0.5, 0.05
_CACHED = ("_quantiles", "_peaks", "_mode")


class BinnedDensity(ShapedLikeNDArray):
    """
    Densities constant within bins, and all that can be computed from them.

    Indexing, iteration, ``reshape``, ``ravel``, ``T`` and the like act on galaxies;
    the axis of bins is not one of them and always stays last. It never changes, so
    that what is costly and often asked for is computed once. Where densities come
    from and go to is the business of `~mantis_astro.pdf.RedshiftPDF`.

    Parameters
    ----------
    bin_edges : array_like or `~astropy.units.Quantity`
        Edges of the bins, shape ``(n_bins + 1,)``: finite, increasing, not below 0.
    probability : array_like
        Probability of each bin, shape ``(..., n_bins)``.
    flags : int or array_like of int, optional
        Quality bits of each galaxy, broadcast to the leading shape.
    meta : dict, optional
        Anything worth keeping about all of them.
    bands_used : array_like of bool, optional
        Which of the bands that ``PZBANDS`` of the meta lists each galaxy had, shape
        ``(..., n_band)``.
    """

    def __init__(
        self,
        bin_edges: ArrayLike,
        probability: ArrayLike,
        *,
        flags: ArrayLike | None = None,
        meta: dict | None = None,
        bands_used: ArrayLike | None = None,
    ) -> None:
        edges, values = match_bins(bin_edges, probability, "probability")
        probability, good = binned.normalize(edges, values)
        refuse_bad_rows("probability", values, good)
        flags = as_flags(flags, good.shape)
        self._set(edges, probability, flags, meta, _as_used(bands_used, flags.shape))

    def _set(self, bin_edges, probability, flags, meta, bands_used=None):
        bin_edges.flags.writeable = False
        probability.flags.writeable = False
        flags.flags.writeable = False
        self._bin_edges = bin_edges
        self._probability = probability
        self._flags = flags
        self._bands_used = bands_used
        self.meta = dict(meta or {})

    @classmethod
    def _from_parts(cls, bin_edges, probability, flags, meta, bands_used=None):
        """Assemble parts known to be right, without a copy."""
        self = cls.__new__(cls)
        self._set(bin_edges, probability, flags, meta, bands_used)
        return self

    @classmethod
    def _from_rows(cls, parts, values, name, *, flags, meta, bad):
        """Assemble rows of which some may be bad: refused, or flagged."""
        edges, probability, good = parts
        if bad not in {"raise", "flag"}:
            msg = f"'bad' must be 'raise' or 'flag', got {bad!r}"
            raise ValueError(msg)
        if bad == "raise":
            refuse_bad_rows(name, values, good)
        flags = as_flags(flags, good.shape) | np.where(good, 0, int(Flag.NO_DATA))
        return cls._from_parts(edges, probability, np.asarray(flags), meta)

    @property
    def bin_edges(self) -> np.ndarray:
        """Bin edges in redshift, shape ``(n_bins + 1,)``; read-only."""
        return self._bin_edges

    @property
    def probability(self) -> np.ndarray:
        """Probability of each bin, shape ``(..., n_bins)``, sum 1; read-only."""
        return self._probability

    @property
    def flags(self) -> np.ndarray:
        """Quality bits (`~mantis_astro.flags.Flag`), the shape of the galaxies."""
        return self._flags[()]

    @property
    def bands_used(self) -> np.ndarray | None:
        """
        Bands of each galaxy, among ``PZBANDS`` of the meta.

        Boolean, shape ``(..., n_band)``; None where all count, or it is not known.
        """
        return self._bands_used

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape over galaxies, without the bins."""
        return self._flags.shape

    @property
    def n_bins(self) -> int:
        """Number of bins."""
        return len(self._bin_edges) - 1

    @property
    def bin_widths(self) -> np.ndarray:
        """Bin widths in redshift, shape ``(n_bins,)``."""
        return np.diff(self._bin_edges)

    @property
    def bin_centres(self) -> np.ndarray:
        """Bin centres in redshift, shape ``(n_bins,)``."""
        return (self._bin_edges[1:] + self._bin_edges[:-1]) / 2

    @property
    def density(self) -> np.ndarray:
        """Probability per unit redshift in each bin, shape ``(..., n_bins)``."""
        return self._probability / self.bin_widths.astype(self._probability.dtype)

    def __getitem__(self, item):
        key = item if isinstance(item, tuple) else (item,)
        flags = self._flags[key]  # refuses what would reach the bins
        probability = self._probability[(*key, slice(None))]
        used = self._bands_used
        used = None if used is None else used[(*key, slice(None))]
        return self._from_parts(
            self._bin_edges, probability, np.asarray(flags), self.meta, used
        )

    def _apply(self, method, *args, **kwargs):
        """Reshape an index of the galaxies, and take them by it."""
        index = np.arange(self.size).reshape(self.shape)
        if callable(method):
            index = method(index, *args, **kwargs)
        else:
            index = getattr(index, method)(*args, **kwargs)
        rows = self._probability.reshape(-1, self.n_bins)
        flags = self._flags.ravel()[index, ...]
        used = self._bands_used
        used = None if used is None else used.reshape(self.size, -1)[index]
        return self._from_parts(self._bin_edges, rows[index], flags, self.meta, used)

    @classmethod
    def concatenate(cls, pdfs: Iterable[Self], axis: int = 0) -> Self:
        """
        Join along an axis of galaxies.

        Parameters
        ----------
        pdfs : iterable of RedshiftPDF
            All with the same bin edges; a scalar counts as an array of one.
        axis : int, optional
            Axis of the galaxies to join along.

        Returns
        -------
        RedshiftPDF
            Flags joined too; meta is what all agree on; so are ``bands_used``, if all
            have them, and of the same bands.

        Raises
        ------
        ValueError
            If there is none, or bin edges differ.

        Examples
        --------
        >>> from mantis_astro import RedshiftPDF
        >>> one = RedshiftPDF([0, 1, 2], [0.5, 0.5])
        >>> RedshiftPDF.concatenate([one, one]).shape
        (2,)
        """
        pdfs = [pdf.reshape(1) if pdf.isscalar else pdf for pdf in pdfs]
        if not pdfs:
            msg = "'pdfs' is empty: at least one is needed to know the bins"
            raise ValueError(msg)
        first, *others = pdfs
        for i, other in enumerate(others, start=1):
            if not np.array_equal(first.bin_edges, other.bin_edges):
                msg = (
                    f"bin edges of number {i} of 'pdfs' differ from those of the first;"
                    " bring them to the same bins with rebin(first.bin_edges)"
                )
                raise ValueError(msg)
        if not -first.ndim <= axis < first.ndim:
            msg = f"'axis' must be one of {first.ndim} axes of galaxies, got {axis}"
            raise ValueError(msg)
        axis %= first.ndim
        meta = {
            key: value
            for key, value in first.meta.items()
            if all(key in other.meta and other.meta[key] == value for other in others)
        }
        return cls._from_parts(
            first.bin_edges,
            np.concatenate([pdf.probability for pdf in pdfs], axis=axis),
            np.concatenate([pdf.flags for pdf in pdfs], axis=axis),
            meta,
            _joined_used(pdfs, meta, axis),
        )

    def add_flags(self, flags: ArrayLike) -> Self:
        """
        Set more quality bits.

        Parameters
        ----------
        flags : int or array_like of int
            Bits to set, broadcast to the galaxies.

        Returns
        -------
        RedshiftPDF
            A new object; the bits that were set stay set.

        Examples
        --------
        >>> from mantis_astro import Flag, RedshiftPDF
        >>> pdf = RedshiftPDF([0, 1, 2], [0.5, 0.5], flags=Flag.BLEND)
        >>> pdf = pdf.add_flags(Flag.HIGH_EBV)
        >>> Flag(int(pdf.flags)) == Flag.BLEND | Flag.HIGH_EBV
        True
        """
        flags = np.asarray(self._flags | as_flags(flags, self.shape))
        parts = self._bin_edges, self._probability, flags, self.meta, self._bands_used
        new = self._from_parts(*parts)
        known = vars(self)  # summaries are those of the same densities
        vars(new).update({name: known[name] for name in _CACHED if name in known})
        return new

    def with_bands(self, bands: Iterable, used: ArrayLike | None = None) -> Self:
        """
        Record the bands of the data.

        Parameters
        ----------
        bands : iterable of Band or str
            The bands of all galaxies together.
        used : array_like of bool, optional
            Which of them each galaxy had, shape ``(..., n_band)``; by default all.

        Returns
        -------
        RedshiftPDF
            With ``PZBANDS`` in the meta, and `bands_used`.

        Raises
        ------
        ValueError
            If shapes do not match.

        Examples
        --------
        >>> from mantis_astro import RedshiftPDF
        >>> pdf = RedshiftPDF([0, 1, 2], [[0.5, 0.5], [0.2, 0.8]])
        >>> pdf = pdf.with_bands(["ps1.g", "ps1.r"], [[True, True], [True, False]])
        >>> pdf[1].to_prior().bands
        ('ps1.g',)
        """
        bands = [str(band) for band in bands]
        used = _as_used(used, self.shape)
        if used is not None and used.shape[-1] != len(bands):
            msg = f"'used' must have {len(bands)} bands, got {used.shape[-1]}"
            raise ValueError(msg)
        meta = {**self.meta, "PZBANDS": ", ".join(bands)}
        parts = self._bin_edges, self._probability, self._flags, meta, used
        return self._from_parts(*parts)

    def __eq__(self, other):
        if not isinstance(other, BinnedDensity):
            return NotImplemented
        return (
            np.array_equal(self._bin_edges, other.bin_edges)
            and np.array_equal(self._probability, other.probability)
            and np.array_equal(self._flags, other.flags)
        )

    __hash__ = None  # type: ignore[assignment]  # says that it is not hashable

    def __reduce__(self):
        parts = self._bin_edges, self._probability, self._flags, self.meta
        parts = *parts, self._bands_used
        return type(self)._from_parts, parts

    def _at(self, kernel, x, name):
        """Evaluate a function of rows where ``x`` broadcasts against the galaxies."""
        own = self._flags.shape
        try:
            shape = np.broadcast_shapes(own, x.shape)
        except ValueError:
            msg = (
                f"'{name}' of shape {x.shape} does not broadcast with galaxies of "
                f"shape {own}; for a grid at every galaxy use pdf[..., None]"
            )
            raise ValueError(msg) from None
        # Axes of the answer along which galaxies differ go first, the others last.
        padded = np.array((1,) * (len(shape) - len(own)) + own, int)
        is_other = padded != shape
        order = np.argsort(is_other, kind="stable")
        n_x = np.prod(np.array(shape, int)[is_other])
        x = np.broadcast_to(x, shape).transpose(order).reshape(self._flags.size, n_x)
        value = binned.map_rows(partial(kernel, self._bin_edges), self._probability, x)
        value = value.reshape([shape[i] for i in order]).transpose(np.argsort(order))
        return u.Quantity(value, u.one, copy=False)

    def _each(self, kernel, *arguments, block=binned.BLOCK):
        """Values of a function of rows, shaped as the galaxies."""
        value = binned.map_rows(
            lambda rows: kernel(self._bin_edges, rows, *arguments),
            self._probability,
            block=block,
        )
        return value.reshape(self._flags.shape + value.shape[1:])

    def pdf(self, z: ArrayLike) -> Quantity:
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

    def cdf(self, z: ArrayLike) -> Quantity:
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

    def ppf(self, q: ArrayLike) -> Quantity:
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

    def to_quantiles(self, quantiles: ArrayLike) -> Quantity:
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
        if not set(quantiles.tolist()) <= set(_QUANTILES):
            return self[..., None].ppf(quantiles)
        columns = [_QUANTILES.index(q) for q in quantiles.tolist()]
        return u.Quantity(self._quantiles[..., columns], u.one, copy=False)

    @cached_property
    def _quantiles(self):
        """Redshifts of ``_QUANTILES``, shape (..., 5)."""
        return _locked(self[..., None].ppf(_QUANTILES).value)

    def sample(self, n: int, rng: np.random.Generator | int) -> Quantity:
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

    def mean(self) -> Quantity:
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

    def std(self) -> Quantity:
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

    def median(self) -> Quantity:
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
        return self.to_quantiles([0.5])[..., 0]

    def mode(self) -> Quantity:
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
        return u.Quantity(self._mode, u.one)

    @cached_property
    def _mode(self):
        return _locked(self._each(binned.mode))

    def interval(
        self, level: float = 0.68, *, kind: Literal["central", "hpd"] = "central"
    ) -> tuple[Quantity, Quantity]:
        """
        Credible interval.

        Parameters
        ----------
        level : float, optional
            Probability, between 0 and 1.
        kind : {"central", "hpd"}, optional
            ``"central"`` leaves ``(1 - level) / 2`` below and above. ``"hpd"`` runs
            from the lower end of the lowest to the upper end of the highest piece of
            the highest-density region (`hpd_regions`); with several pieces it holds
            more than ``level``.

        Returns
        -------
        low, high : `~astropy.units.Quantity`
            Redshifts, not offsets; the shape of the galaxies.

        Raises
        ------
        ValueError
            If ``level`` is not between 0 and 1, or the kind is unknown.

        Examples
        --------
        >>> from mantis_astro import RedshiftPDF
        >>> low, high = RedshiftPDF([0, 1, 2, 3], [0.3, 0.5, 0.2]).interval(0.4)
        >>> low, high
        (<Quantity 1.>, <Quantity 1.8>)
        """
        _check_between("level", level, 0, 1)
        if kind == "central":
            ends = _INTERVALS.get(level, ((1 - level) / 2, (1 + level) / 2))
            low_high = self.to_quantiles(ends)
        elif kind == "hpd":
            low_high = u.Quantity(self._each(_enclosing_interval, level), u.one)
        else:
            msg = f"'kind' must be 'central' or 'hpd', got {kind!r}"
            raise ValueError(msg)
        return low_high[..., 0], low_high[..., 1]

    def hpd_regions(self, level: float = 0.68) -> Quantity | list:
        """
        Find the pieces of the highest-density region.

        The region is made of whole bins: the fewest of highest density that together
        hold at least ``level``; of bins of equal density the lower redshift comes
        first.

        Parameters
        ----------
        level : float, optional
            Probability, between 0 and 1.

        Returns
        -------
        `~astropy.units.Quantity` or list
            For one galaxy, shape ``(n_pieces, 2)``: the lower and upper redshift of
            each piece. For several, a list of these, nested as their shape is.

        Examples
        --------
        >>> from mantis_astro import RedshiftPDF
        >>> RedshiftPDF([0, 1, 2, 3, 4], [0.3, 0.1, 0.2, 0.4]).hpd_regions(0.85)
        <Quantity [[0., 1.],
                   [2., 4.]]>
        """
        _check_between("level", level, 0, 1)
        if not self.isscalar:
            return [pdf.hpd_regions(level) for pdf in self]
        inside = self._each(summaries.highest_bins, level)
        return u.Quantity(summaries.runs(self.bin_edges, inside), u.one)

    def odds(self, width: float = 0.05, *, z: ArrayLike | None = None) -> Quantity:
        """
        Probability within ``width * (1 + z)`` of a point estimate.

        Parameters
        ----------
        width : float, optional
            Half the width of the window over ``1 + z``.
        z : float, array_like or `~astropy.units.Quantity`, optional
            The point estimate, broadcast against the galaxies; by default `mode`.

        Returns
        -------
        `~astropy.units.Quantity`
            From 0 to 1: near 1 the density is one narrow peak.

        Raises
        ------
        ValueError
            If ``width`` is not positive.

        Notes
        -----
        The definition of Benitez (2000, ApJ 536, 571), with a window that grows with
        ``1 + z``; the default is the threshold of an outlier.

        Examples
        --------
        >>> from mantis_astro import RedshiftPDF
        >>> RedshiftPDF([0, 1, 3], [0.5, 0.5]).odds(0.2, z=1)
        <Quantity 0.3>
        """
        _check_between("width", width, 0, np.inf)
        z = binned.as_redshift(self.mode() if z is None else z)
        half = width * (1 + z)
        return self.cdf(z + half) - self.cdf(z - half)

    def z_risk(self, *, gamma: float = 0.15) -> Quantity:
        """
        Point estimate of least `risk`.

        Parameters
        ----------
        gamma : float, optional
            Width of the loss in ``dz``.

        Returns
        -------
        `~astropy.units.Quantity`
            The shape of the galaxies, to about ``1e-5 (1 + z)``.

        Raises
        ------
        ValueError
            If ``gamma`` is not positive.

        Examples
        --------
        >>> from mantis_astro import RedshiftPDF
        >>> RedshiftPDF([0, 0.4, 0.5, 2], [0, 1, 0]).z_risk().round(2)
        <Quantity 0.45>
        """
        _check_between("gamma", gamma, 0, np.inf)
        best = summaries.minimize_risk(self.bin_edges, gamma)
        z = binned.map_rows(best, self.probability)
        return u.Quantity(z.reshape(self.shape), u.one)

    def risk(self, z: ArrayLike | None = None, *, gamma: float = 0.15) -> Quantity:
        """
        Return the expected loss of a point estimate.

        Parameters
        ----------
        z : float, array_like or `~astropy.units.Quantity`, optional
            The point estimate, broadcast against the galaxies; by default the one of
            least risk, `z_risk`.
        gamma : float, optional
            Width of the loss in ``dz``.

        Returns
        -------
        `~astropy.units.Quantity`
            From 0 (certain) to 1.

        Raises
        ------
        ValueError
            If ``gamma`` is not positive.

        Notes
        -----
        Tanaka et al. (2018, PASJ 70, S9): the risk at ``z`` is the integral over
        ``z'`` of ``p(z') L(dz)``, with ``L(dz) = 1 - 1 / (1 + (dz / gamma)**2)`` and
        ``dz = (z - z') / (1 + z')``; worked out exactly for each bin.

        Examples
        --------
        >>> from mantis_astro import RedshiftPDF
        >>> pdf = RedshiftPDF([0, 0.4, 0.5, 2], [0, 1, 0])
        >>> bool(pdf.risk() < pdf.risk(0.6))
        True
        """
        _check_between("gamma", gamma, 0, np.inf)
        z = binned.as_redshift(self.z_risk(gamma=gamma) if z is None else z)
        return self._at(partial(_risk_at, gamma), z, "z")

    def peaks(self, *, ratio: float = _RATIO, min_mass: float = _MIN_MASS) -> Peaks:
        """
        Find the peaks: their number, redshifts and probabilities.

        Two maxima are two peaks if the density between them falls to ``ratio`` of the
        lower one; otherwise they are one. Peaks are cut apart at the centre of the
        lowest bin between them, and what lies between two cuts is a peak's
        probability. Peaks below ``min_mass`` do not count, except the most massive.

        Parameters
        ----------
        ratio : float, optional
            Depth of the valley between two peaks, between 0 and 1.
        min_mass : float, optional
            Probability of the least peak that counts, between 0 and 1.

        Returns
        -------
        Peaks
            With ``number``, ``z`` and ``mass``, the most massive peak first, and
            ``z_sec`` and ``p_sec``, those of the second.

        Raises
        ------
        ValueError
            If ``ratio`` or ``min_mass`` is not between 0 and 1.

        Examples
        --------
        >>> from mantis_astro import RedshiftPDF
        >>> pdf = RedshiftPDF([0, 1, 2, 3, 4], [0.3, 0.1, 0.2, 0.4])
        >>> peaks = pdf.peaks()
        >>> int(peaks.number), peaks.z, peaks.mass
        (2, <MaskedQuantity [3.5, 0.5]>, <MaskedQuantity [0.65, 0.35]>)
        """
        _check_between("ratio", ratio, 0, 1)
        _check_between("min_mass", min_mass, 0, 1)
        is_usual = (ratio, min_mass) == (_RATIO, _MIN_MASS)
        found = self._peaks if is_usual else self._find_peaks(ratio, min_mass)
        mask = np.isnan(found[..., 0])
        number = np.sum(~mask, axis=-1)
        z, mass = (
            Masked(u.Quantity(np.where(mask, 0, found[..., i]), u.one), mask=mask)
            for i in (0, 1)
        )
        return summaries.Peaks(number, z, mass)

    @cached_property
    def _peaks(self):
        return _locked(self._find_peaks(_RATIO, _MIN_MASS))

    def _find_peaks(self, ratio, min_mass):
        """Redshift and probability of each peak, NaN beyond the last one."""
        found = self._each(
            partial(summaries.find_peaks, ratio=ratio, min_mass=min_mass),
            block=binned.BLOCK * 16,  # works bin by bin: long columns are cheaper
        )
        most = np.sum(~np.isnan(found[..., 1]), axis=-1).max(initial=2)
        return found[..., :most, :].copy()

    def shape_flags(self) -> int | np.ndarray:
        """
        Quality bits that follow from the shape of the density.

        Returns
        -------
        int or ndarray of int
            Of ``MULTIMODAL``, ``BROAD`` and ``EDGE_PDF``, by the formulas and
            thresholds of `mantis_astro.flags`; 0 where the flag ``NO_DATA`` is set.
            Not added to `flags`: see `add_flags`.

        Examples
        --------
        >>> from mantis_astro import RedshiftPDF, decode_flags
        >>> pdf = RedshiftPDF([0, 0.1, 0.2, 0.3, 0.4], [0.8, 0, 0.2, 0])
        >>> decode_flags(pdf.shape_flags())
        ['MULTIMODAL']
        """
        first, last = self.bin_edges[[0, -1]]
        margin = 0.02 * (last - first)
        at_edge = 1 - self.cdf(last - margin)
        if first > 0:
            at_edge = at_edge + self.cdf(first + margin)
        p_sec = self.peaks().p_sec.filled(0)
        low, median, high = np.moveaxis(self.to_quantiles([0.16, 0.5, 0.84]), -1, 0)
        half_width = (high - low) / 2 / (1 + median)
        flags = (
            np.where(p_sec > Flag.MULTIMODAL.threshold, int(Flag.MULTIMODAL), 0)
            | np.where(half_width > Flag.BROAD.threshold, int(Flag.BROAD), 0)
            | np.where(at_edge > Flag.EDGE_PDF.threshold, int(Flag.EDGE_PDF), 0)
        )
        return np.where(self.flags & int(Flag.NO_DATA), 0, flags)[()]

    def summary(self) -> str:
        """
        One galaxy in a few words.

        Returns
        -------
        str
            Median, the offsets to the ends of the central 68 % interval, and flags; of
            what is flagged ``NO_DATA`` the flags alone.

        Examples
        --------
        >>> from mantis_astro import Flag, RedshiftPDF
        >>> RedshiftPDF([0, 1], [1], flags=Flag.BLEND).summary()
        'z = 0.500 -0.340 +0.340, BLEND'
        """
        if self.flags & int(Flag.NO_DATA):
            return ", ".join(decode_flags(self.flags))
        low, median, high = self.to_quantiles([0.16, 0.5, 0.84]).value
        text = f"z = {median:.3f} -{median - low:.3f} +{high - median:.3f}"
        return ", ".join([text, *decode_flags(self.flags)])


def _as_used(bands_used, shape):
    if bands_used is None:
        return None
    bands_used = np.array(bands_used, bool)
    if bands_used.shape[:-1] != shape or bands_used.ndim == 0:
        msg = (
            f"'bands_used' must have shape {(*shape, 'n_band')}, got {bands_used.shape}"
        )
        raise ValueError(msg)
    bands_used.flags.writeable = False
    return bands_used


def _joined_used(pdfs, meta, axis):
    parts = [pdf.bands_used for pdf in pdfs]
    if "PZBANDS" not in meta or any(part is None for part in parts):
        return None
    return np.concatenate(parts, axis=axis)


def _locked(values):
    values.flags.writeable = False
    return values


def _check_between(name, value, low, high):
    if not low < value < high:
        rule = "positive" if np.isinf(high) else f"between {low} and {high}"
        msg = f"'{name}' must be {rule}, got {value}"
        raise ValueError(msg)


def _risk_at(gamma, bin_edges, probability, z):
    return summaries.risk_at(bin_edges, probability, z, gamma)


def _enclosing_interval(bin_edges, probability, level):
    inside = summaries.highest_bins(bin_edges, probability, level)
    first = inside.argmax(axis=1)
    last = inside.shape[1] - inside[:, ::-1].argmax(axis=1)
    return bin_edges[np.stack([first, last], axis=-1)]
