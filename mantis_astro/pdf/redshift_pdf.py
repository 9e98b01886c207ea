"""`RedshiftPDF`: what one can ask of redshift probability densities."""

from functools import partial

import astropy.units as u
import numpy as np

from mantis_astro import binned
from mantis_astro.flags import Flag, decode_flags
from mantis_astro.pdf import summaries
from mantis_astro.pdf.density import BinnedDensity

__all__ = ["RedshiftPDF"]


class RedshiftPDF(BinnedDensity):
    """
    Redshift probability densities of any number of galaxies, constant within bins.

    Array-like over galaxies: one galaxy has shape ``()``, a table of them ``(n,)``;
    indexing, iteration, ``reshape``, ``ravel``, ``T`` never touch the bins. All
    galaxies share the bins, whose widths may differ; `pdf`, `cdf`, `ppf` and `sample`
    treat the density as exactly constant within each bin and so agree with each other.

    Parameters
    ----------
    bin_edges : array_like or `~astropy.units.Quantity`
        Edges of the bins in redshift, shape ``(n_bins + 1,)``: finite, increasing, not
        below 0.
    probability : array_like
        Probability of each bin, shape ``(..., n_bins)``: a share of the whole, not a
        density. Rows are divided by their sum. Kept as float32 if given as float32 or
        float16, else as float64; results are always worked out in float64.
    flags : int or array_like of int, optional
        Quality bits (`~mantis_astro.flags.Flag`), broadcast to the leading shape.
    meta : dict, optional
        Anything worth keeping about all of them (JSON types, to be written).

    Raises
    ------
    ValueError
        If the bin edges or shapes are wrong, or a row holds a negative or non-finite
        number or only zeros. For a batch of which some rows may be bad, see
        `from_batch`.
    TypeError
        If ``probability`` or ``flags`` are not numbers.

    Notes
    -----
    Two objects are equal (``==``) if bin edges, probabilities and flags are.

    A redshift or quantile broadcasts against the galaxies, as in NumPy: one for all or
    one each. For a grid of ``n_z`` values at each of ``n`` galaxies, give the galaxies
    one more axis: ``pdf[..., None].pdf(grid)`` has shape ``(n, n_z)``.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro import RedshiftPDF
    >>> pdf = RedshiftPDF([0, 0.1, 0.3, 0.5], [[1, 2, 1], [0, 1, 3]])
    >>> pdf
    <RedshiftPDF shape=(2,): 3 bins over z = 0 to 0.5>
    >>> pdf.probability[0]
    array([0.25, 0.5 , 0.25])
    >>> pdf.median()
    <Quantity [0.2       , 0.36666667]>
    >>> pdf[0].pdf(0.05)
    <Quantity 2.5>
    >>> pdf[..., None].cdf([0.1, 0.3, 0.5])
    <Quantity [[0.25, 0.75, 1.  ],
               [0.  , 0.25, 1.  ]]>
    """

    @classmethod
    def from_batch(cls, bin_edges, probability, *, flags=None, meta=None):
        """
        Densities of a batch in which some rows may be bad.

        A row that cannot be normalised (negative, NaN or infinite entries, only zeros)
        becomes uniform in density and gets the flag ``NO_DATA``.

        Parameters
        ----------
        bin_edges, probability, flags, meta
            As for `RedshiftPDF`.

        Returns
        -------
        RedshiftPDF
            One density for each row.

        Examples
        --------
        >>> from mantis_astro import RedshiftPDF, decode_flags
        >>> pdf = RedshiftPDF.from_batch([0, 1, 4], [[1, 1], [0, 0]])
        >>> pdf.probability[1]
        array([0.25, 0.75])
        >>> decode_flags(pdf.flags)
        [[], ['NO_DATA']]
        """
        return cls._from_weights(
            bin_edges, probability, flags=flags, meta=meta, bad="flag"
        )

    @classmethod
    def from_logits(cls, bin_edges, logits, *, flags=None, meta=None, bad="raise"):
        """
        Softmax of the outputs of a classifier.

        Parameters
        ----------
        bin_edges : array_like
            Shape ``(n_bins + 1,)``.
        logits : array_like or `torch.Tensor`
            Shape ``(..., n_bins)``, on any device; float32 stays float32.
        flags, meta
            As for `RedshiftPDF`.
        bad : {"raise", "flag"}, optional
            What to do with a row that is not finite: refuse, or make it uniform in
            density and flag it ``NO_DATA``.

        Returns
        -------
        RedshiftPDF
            One density for each row.

        Raises
        ------
        ValueError
            If a row is not finite and ``bad`` is ``"raise"``.

        Examples
        --------
        >>> from mantis_astro import RedshiftPDF
        >>> RedshiftPDF.from_logits([0, 1, 2], [1000.0, 1000.0]).probability
        array([0.5, 0.5])
        """
        edges, logits = cls._match(bin_edges, logits, "logits")
        parts = edges, *binned.softmax(edges, logits)
        return cls._from_rows(parts, logits, "logits", flags=flags, meta=meta, bad=bad)

    @classmethod
    def _from_weights(cls, bin_edges, weights, *, flags, meta, bad):
        edges, weights = cls._match(bin_edges, weights, "probability")
        parts = edges, *binned.normalize(edges, weights)
        return cls._from_rows(
            parts, weights, "probability", flags=flags, meta=meta, bad=bad
        )

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
        Pieces of the highest-density region.

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

    def to_table(self, *, prefix=""):
        """
        Point estimates and probabilities as the columns of a table.

        Parameters
        ----------
        prefix : str, optional
            Put before every column name.

        Returns
        -------
        `~astropy.table.QTable`
            One row for each galaxy: ``z_mean z_median z_mode z_risk z_err68_low
            z_err68_high z_err95_low z_err95_high z_std odds n_peaks z_sec p_sec flags``
            and ``pz``, the probabilities as float32, shape ``(n, n_bins)``. Estimates
            are dimensionless, with a description and a UCD in ``info.meta``; masked
            where the flag ``NO_DATA`` is set, and ``z_sec``, ``p_sec`` where there is
            no second peak. The table's ``meta`` holds ``bin_edges``.

        Raises
        ------
        ValueError
            If the galaxies have more than one dimension.

        Examples
        --------
        >>> from mantis_astro import RedshiftPDF
        >>> table = RedshiftPDF([0, 1, 4], [[0.25, 0.75], [1, 0]]).to_table()
        >>> table["z_mean"]
        <Quantity [2. , 0.5]>
        >>> table["z_mean"].info.description
        'Mean of p(z)'
        """
        from mantis_astro.pdf.columns import make_table

        return make_table(self, prefix=prefix)

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
        low, median, high = np.moveaxis(self.to_quantiles([0.16, 0.5, 0.84]), -1, 0)
        return self._shape_flags(low, median, high, self.peaks())

    def _shape_flags(self, low, median, high, peaks):
        first, last = self.bin_edges[[0, -1]]
        margin = 0.02 * (last - first)
        at_edge = 1 - self.cdf(last - margin)
        if first > 0:
            at_edge = at_edge + self.cdf(first + margin)
        p_sec = peaks.p_sec.filled(0)
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

    def __repr__(self):
        first, last = self.bin_edges[[0, -1]]
        what = self.summary() if self.isscalar else f"shape={self.shape}"
        return (
            f"<{type(self).__name__} {what}: {self.n_bins} bins over "
            f"z = {first:g} to {last:g}>"
        )

    def _repr_html_(self):
        from mantis_astro.pdf.picture import make_html

        return make_html(self)


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
