"""`DensityEstimates`: intervals, peaks, risk and what else sums up a density."""

from functools import partial

import astropy.units as u
import numpy as np

from mantis_astro import binned
from mantis_astro.flags import Flag, decode_flags
from mantis_astro.pdf import summaries
from mantis_astro.pdf.density import BinnedDensity

__all__ = ["DensityEstimates"]


class DensityEstimates(BinnedDensity):
    """
    Intervals, best guesses, peaks and quality bits of each galaxy's density.

    Parameters are those of `BinnedArray`.
    """

    def interval(self, level=0.68, *, kind="central"):
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
            low_high = self.to_quantiles([(1 - level) / 2, (1 + level) / 2])
        elif kind == "hpd":
            low_high = u.Quantity(self._each(_enclosing_interval, level), u.one)
        else:
            msg = f"'kind' must be 'central' or 'hpd', got {kind!r}"
            raise ValueError(msg)
        return low_high[..., 0], low_high[..., 1]

    def hpd_regions(self, level=0.68):
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

    def odds(self, width=0.05, *, z=None):
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

    def z_risk(self, *, gamma=0.15):
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

    def risk(self, z=None, *, gamma=0.15):
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

    def peaks(self, *, ratio=0.5, min_mass=0.05):
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
        from astropy.utils.masked import Masked

        _check_between("ratio", ratio, 0, 1)
        _check_between("min_mass", min_mass, 0, 1)
        found = self._each(
            partial(summaries.find_peaks, ratio=ratio, min_mass=min_mass),
            block=binned.BLOCK * 16,  # works bin by bin: long columns are cheaper
        )
        number = np.sum(~np.isnan(found[..., 1]), axis=-1)
        found = found[..., : max(2, number.max(initial=2)), :]
        mask = np.isnan(found[..., 0])
        z, mass = (
            Masked(u.Quantity(np.where(mask, 0, found[..., i]), u.one), mask=mask)
            for i in (0, 1)
        )
        return summaries.Peaks(number, z, mass)

    def shape_flags(self):
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

    def summary(self):
        """
        One galaxy in a few words.

        Returns
        -------
        str
            Median, the offsets to the ends of the central 68 % interval, and flags.

        Examples
        --------
        >>> from mantis_astro import Flag, RedshiftPDF
        >>> RedshiftPDF([0, 1], [1], flags=Flag.BLEND).summary()
        'z = 0.500 -0.340 +0.340, BLEND'
        """
        low, median, high = self.to_quantiles([0.16, 0.5, 0.84]).value
        text = f"z = {median:.3f} -{median - low:.3f} +{high - median:.3f}"
        return ", ".join([text, *decode_flags(self.flags)])


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
