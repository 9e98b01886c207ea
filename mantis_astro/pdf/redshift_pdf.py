"""`RedshiftPDF`: redshift probability densities and their methods."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal, Self

import numpy as np

from mantis_astro import binned, pdf_io
from mantis_astro.exceptions import NoDataWarning, UnknownPriorWarning
from mantis_astro.flags import Flag
from mantis_astro.pdf.checks import match_bins
from mantis_astro.pdf.density import BinnedDensity
from mantis_astro.pdf.n_of_z import (
    N_OF_Z_KEY,
    PRIOR_KEY,
    change_bins,
    n_of_z_from_text,
    n_of_z_to_text,
)
from mantis_astro.pdf.smoothing import SMOOTH_KEY, smooth_rows

if TYPE_CHECKING:
    import qp
    from astropy.table import QTable, Row, Table
    from numpy.typing import ArrayLike

    from mantis_astro.bands import BandLike
    from mantis_astro.priors import RedshiftPrior
    from mantis_astro.typing import PathLike

__all__ = ["RedshiftPDF"]


class RedshiftPDF(BinnedDensity):  # numpydoc ignore=PR02
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
    bands_used : array_like of bool, optional
        Which of the bands that ``PZBANDS`` of the meta lists each galaxy had, shape
        ``(..., n_band)``.

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
    def from_batch(
        cls,
        bin_edges: ArrayLike,
        probability: ArrayLike,
        *,
        flags: ArrayLike | None = None,
        meta: dict | None = None,
    ) -> Self:
        """
        Create densities of a batch in which some rows may be bad.

        A row that cannot be normalised (negative, NaN or infinite entries, only zeros)
        becomes uniform in density and gets the flag ``NO_DATA``.

        Parameters
        ----------
        bin_edges, probability : array_like
            As for `RedshiftPDF`.
        flags, meta : optional
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
    def from_logits(
        cls,
        bin_edges: ArrayLike,
        logits: ArrayLike,
        *,
        flags: ArrayLike | None = None,
        meta: dict | None = None,
        bad: Literal["raise", "flag"] = "raise",
    ) -> Self:
        """
        Softmax of the outputs of a classifier.

        Parameters
        ----------
        bin_edges : array_like
            Shape ``(n_bins + 1,)``.
        logits : array_like or `torch.Tensor`
            Shape ``(..., n_bins)``, on any device; float32 stays float32.
        flags, meta : optional
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
        edges, logits = match_bins(bin_edges, logits, "logits")
        parts = edges, *binned.softmax(edges, logits)
        return cls._from_rows(parts, logits, "logits", flags=flags, meta=meta, bad=bad)

    @classmethod
    def from_samples(
        cls,
        bin_edges: ArrayLike,
        samples: ArrayLike,
        *,
        flags: ArrayLike | None = None,
        meta: dict | None = None,
        bad: Literal["raise", "flag"] = "raise",
    ) -> Self:
        """
        Create histograms of samples, for example of a posterior.

        Parameters
        ----------
        bin_edges : array_like
            Shape ``(n_bins + 1,)``.
        samples : array_like or `~astropy.units.Quantity`
            Redshifts, shape ``(..., n_samples)``. Those outside the bins are left out.
        flags, meta : optional
            As for `RedshiftPDF`.
        bad : {"raise", "flag"}, optional
            What to do with a row that has a NaN or no sample in the bins, as in
            `from_logits`.

        Returns
        -------
        RedshiftPDF
            One density for each row, flagged ``EDGE_PDF`` where more than 10 % of the
            samples are beyond the last bin, or before a first one above redshift 0.

        Raises
        ------
        ValueError
            If a row is bad and ``bad`` is ``"raise"``.

        Examples
        --------
        >>> from mantis_astro import RedshiftPDF
        >>> RedshiftPDF.from_samples([0, 1, 2], [0.1, 0.2, 0.3, 1.5]).probability
        array([0.75, 0.25])
        """
        edges = binned.validate_bin_edges(bin_edges)
        weights = pdf_io.weights_from_samples(edges, samples)
        z = binned.as_redshift(samples)
        is_beyond = (z > edges[-1]) | ((z < edges[0]) & (edges[0] > 0))
        n_known = weights.sum(axis=-1) + is_beyond.sum(axis=-1)
        beyond = is_beyond.sum(axis=-1) / np.where(n_known > 0, n_known, 1)
        flags = _cut_off(flags, beyond, weights)
        return cls._from_weights(edges, weights, flags=flags, meta=meta, bad=bad)

    @classmethod
    def from_gaussians(
        cls,
        bin_edges: ArrayLike,
        mean: ArrayLike,
        std: ArrayLike,
        *,
        flags: ArrayLike | None = None,
        meta: dict | None = None,
        bad: Literal["raise", "flag"] = "raise",
    ) -> Self:
        """
        Create Gaussians, cut at the ends of the bins.

        Parameters
        ----------
        bin_edges : array_like
            Shape ``(n_bins + 1,)``.
        mean, std : float, array_like or `~astropy.units.Quantity`
            Of each Gaussian before the cut, broadcast against each other.
        flags, meta : optional
            As for `RedshiftPDF`.
        bad : {"raise", "flag"}, optional
            What to do with a NaN, a ``std`` that is not positive, or a Gaussian
            altogether outside the bins, as in `from_logits`.

        Returns
        -------
        RedshiftPDF
            One density for each Gaussian, flagged ``EDGE_PDF`` where more than 10 % of
            it is beyond the last bin, or before a first one above redshift 0.

        Raises
        ------
        ValueError
            If one is bad and ``bad`` is ``"raise"``.

        Examples
        --------
        >>> from mantis_astro import RedshiftPDF
        >>> RedshiftPDF.from_gaussians([0, 0.5, 1], [0.5, 0.6], 0.1).probability
        array([[0.5       , 0.5       ],
               [0.15866028, 0.84133972]])
        """
        edges = binned.validate_bin_edges(bin_edges)
        ends = np.concatenate([[-np.inf], edges, [np.inf]])
        weights = pdf_io.weights_from_gaussians(ends, mean, std)
        weights, beyond = _without_ends(edges, weights)
        flags = _cut_off(flags, beyond, weights)
        return cls._from_weights(edges, weights, flags=flags, meta=meta, bad=bad)

    @classmethod
    def from_quantiles(
        cls,
        bin_edges: ArrayLike,
        quantiles: ArrayLike,
        z: ArrayLike,
        *,
        flags: ArrayLike | None = None,
        meta: dict | None = None,
        bad: Literal["raise", "flag"] = "raise",
    ) -> Self:
        """
        Create densities from tables of quantiles.

        The cumulative distribution is taken to be linear between quantiles; beyond the
        outermost ones the density of the neighbouring interval goes on until no
        probability is left, but not beyond the bins.

        Parameters
        ----------
        bin_edges : array_like
            Shape ``(n_bins + 1,)``.
        quantiles : array_like
            Probabilities, increasing, from 0 to 1, shape ``(n_q,)``.
        z : array_like or `~astropy.units.Quantity`
            Their redshifts, shape ``(..., n_q)``.
        flags, meta : optional
            As for `RedshiftPDF`.
        bad : {"raise", "flag"}, optional
            What to do with a row whose redshifts decrease, are not finite or lie
            outside the bins, as in `from_logits`.

        Returns
        -------
        RedshiftPDF
            One density for each row.

        Raises
        ------
        ValueError
            If quantiles or shapes are wrong, or a row is bad and ``bad`` is
            ``"raise"``.

        Examples
        --------
        >>> from mantis_astro import RedshiftPDF
        >>> pdf = RedshiftPDF.from_quantiles([0, 1, 2], [0, 0.5, 1], [0, 0.5, 2])
        >>> pdf.probability
        array([0.66666667, 0.33333333])
        """
        edges = binned.validate_bin_edges(bin_edges)
        weights = pdf_io.weights_from_quantiles(edges, quantiles, z)
        flags = _cut_off(flags, 1 - weights.sum(axis=-1), weights)
        return cls._from_weights(edges, weights, flags=flags, meta=meta, bad=bad)

    @classmethod
    def from_grid(
        cls,
        z: ArrayLike,
        density: ArrayLike,
        *,
        bin_edges: ArrayLike | None = None,
        flags: ArrayLike | None = None,
        meta: dict | None = None,
        bad: Literal["raise", "flag"] = "raise",
    ) -> Self:
        """
        Create densities from p(z) at points, as template fits write them.

        The density is taken to be linear between the points and zero beyond them, and
        is integrated, exactly, over each bin. By default there is one bin around each
        point, with edges half-way to its neighbours (cut at redshift 0): so the bins
        are as fine as the grid, and the density of a bin is close to that at its point.

        Parameters
        ----------
        z : array_like or `~astropy.units.Quantity`
            Redshifts of the points, increasing, not below 0, shape ``(n,)``.
        density : array_like
            Density per unit redshift at each, in any scale, shape ``(..., n)``:
            ``pdf`` of EAZY, ``pz`` of LePhare, ``yvals`` of qp's ``interp``. What is a
            probability per point has to be divided by the points' spacing first.
        bin_edges : array_like, optional
            Shape ``(n_bins + 1,)``; what lies outside is left out.
        flags, meta : optional
            As for `RedshiftPDF`.
        bad : {"raise", "flag"}, optional
            What to do with a row that is negative or not finite somewhere, or zero
            everywhere, as in `from_logits`.

        Returns
        -------
        RedshiftPDF
            One density for each row, flagged ``EDGE_PDF`` where more than 10 % of it is
            beyond the last bin, or before a first one above redshift 0.

        Raises
        ------
        ValueError
            If points or shapes are wrong, or a row is bad and ``bad`` is ``"raise"``.

        Examples
        --------
        >>> from mantis_astro import RedshiftPDF
        >>> pdf = RedshiftPDF.from_grid([0, 1, 2], [0, 1, 0])
        >>> pdf.bin_edges
        array([0. , 0.5, 1.5, 2.5])
        >>> pdf.probability
        array([0.125, 0.75 , 0.125])
        """
        points = binned.as_redshift(z)
        if bin_edges is None:
            if points.ndim != 1 or points.size < 2:
                msg = f"'z' must be at least two increasing redshifts, got {points}"
                raise ValueError(msg)
            bin_edges = pdf_io.edges_around(points)
        edges = binned.validate_bin_edges(bin_edges)
        first, last = np.nanmin(points), np.nanmax(points)
        ends = [min(first, edges[0])], edges, [max(last, edges[-1])]
        weights = pdf_io.weights_from_grid(np.concatenate(ends), points, density)
        weights, beyond = _without_ends(edges, weights)
        flags = _cut_off(flags, beyond, weights)
        return cls._from_weights(edges, weights, flags=flags, meta=meta, bad=bad)

    @classmethod
    def from_qp(
        cls,
        ensemble: qp.Ensemble,
        bin_edges: ArrayLike | None = None,
        *,
        meta: dict | None = None,
        bad: Literal["raise", "flag"] = "raise",
    ) -> Self:
        """
        Create densities from a qp ensemble.

        Parameters
        ----------
        ensemble : `qp.Ensemble`
            Of any parameterization. A column ``flags`` of its ancillary data becomes
            the flags.
        bin_edges : array_like, optional
            Shape ``(n_bins + 1,)``; by default the bins of a histogram. What the
            ensemble has outside is left out.
        meta : dict, optional
            As for `RedshiftPDF`.
        bad : {"raise", "flag"}, optional
            What to do with a distribution that has no probability in the bins, as in
            `from_logits`.

        Returns
        -------
        RedshiftPDF
            Shape ``(n,)``, also for one distribution; flagged ``EDGE_PDF`` where more
            than 10 % of it is beyond the bins given.

        Raises
        ------
        ValueError
            If bin edges are needed and not given, or a row is bad and ``bad`` is
            ``"raise"``.

        Examples
        --------
        >>> import numpy as np
        >>> import qp
        >>> from mantis_astro import RedshiftPDF
        >>> ensemble = qp.hist.create_ensemble(np.array([0.0, 1, 4]), [[1.0, 1.0]])
        >>> RedshiftPDF.from_qp(ensemble).probability
        array([[0.25, 0.75]])
        """
        if bin_edges is not None:
            bin_edges = binned.validate_bin_edges(bin_edges)
        edges, weights = pdf_io.from_ensemble(ensemble, bin_edges)
        flags = (ensemble.ancil or {}).get("flags")
        if bin_edges is not None:
            below = np.ravel(ensemble.cdf(edges[:1])) if edges[0] == 0 else 0
            flags = _cut_off(flags, 1 - weights.sum(axis=-1) - below, weights)
        return cls._from_weights(edges, weights, flags=flags, meta=meta, bad=bad)

    @classmethod
    def from_table(
        cls, table: Table | Row, *, prefix: str = "", bin_edges: ArrayLike | None = None
    ) -> Self:
        """
        Read the densities in column ``pz`` of a table, such as one made by `to_table`.

        Parameters
        ----------
        table : `~astropy.table.Table` or `~astropy.table.Row`
            With columns ``pz`` of shape ``(n, n_bins)`` and, if there are any,
            ``flags``: as it was made, or stacked, joined, grouped, sorted, cut, or
            read from a file; or one row of it.
        prefix : str, optional
            What stands before the names of the columns, and of facts in the meta.
        bin_edges : array_like, optional
            Shape ``(n_bins + 1,)``; by default what the description of the column, or
            ``PZEDGES`` in the table's meta, says.

        Returns
        -------
        RedshiftPDF
            One density for each row, with the table's meta; of shape () for a Row. A
            row whose ``pz`` is masked, as where there is no data or after an outer
            join, is uniform in density and flagged ``NO_DATA``.

        Raises
        ------
        TypeError
            If it is no table.
        ValueError
            If the column or the bin edges are missing, or a row is bad.

        Examples
        --------
        >>> from mantis_astro import RedshiftPDF
        >>> pdf = RedshiftPDF([0, 1, 4], [[0.25, 0.75], [1, 0]])
        >>> RedshiftPDF.from_table(pdf.to_table()) == pdf
        True
        """
        parts = pdf_io.parts_from_table(table, prefix=prefix, bin_edges=bin_edges)
        return cls(**parts._asdict())

    @classmethod
    def read(
        cls,
        path: PathLike,
        *,
        format: Literal["ecsv", "fits", "parquet", "hdf5", "asdf"] | None = None,
    ) -> Self:
        """
        Read a file that `write` made, or another table with a column ``pz``.

        Parameters
        ----------
        path : str or path-like
            The file. HDF5 may be any qp histogram.
        format : {"ecsv", "fits", "parquet", "hdf5", "asdf"}, optional
            By default from the ending of the name.

        Returns
        -------
        RedshiftPDF
            Shape, bin edges, probabilities, flags and meta as they were written.

        Raises
        ------
        OSError
            If there is no such file, or it is cut short or something else.
        ValueError
            If the format is unknown, or a row is bad.
        """
        parts = pdf_io.read_parts(path, format=format)
        return cls(**parts._asdict())

    def write(
        self,
        path: PathLike,
        *,
        format: Literal["ecsv", "fits", "parquet", "hdf5", "asdf"] | None = None,
        overwrite: bool = False,
    ) -> None:
        """
        Write everything to a file, atomically.

        Parameters
        ----------
        path : str or path-like
            Ending in ``.ecsv``, ``.fits``, ``.parquet``, ``.hdf5`` or ``.asdf``.
        format : {"ecsv", "fits", "parquet", "hdf5", "asdf"}, optional
            By default from the ending of the name.
        overwrite : bool, optional
            Whether an existing file may be replaced.

        Raises
        ------
        OSError
            If the file exists and ``overwrite`` is False, or the folder cannot be
            written.
        ValueError
            If the format is unknown.
        TypeError
            If ``meta`` holds what JSON cannot.

        Notes
        -----
        Columns are ``pz``, ``flags`` and, if known, ``bands_used``. FITS keeps the bin
        edges in an image extension ``BIN_EDGES``. HDF5 is a qp ensemble of histograms,
        which `qp.read` reads; qp stores densities, so probabilities come back to
        rounding, from the other formats exactly.

        Examples
        --------
        >>> from mantis_astro import RedshiftPDF
        >>> path = getfixture("tmp_path") / "pdf.fits"
        >>> pdf = RedshiftPDF([0, 1, 4], [[0.25, 0.75], [1, 0]], meta={"by": "me"})
        >>> pdf.write(path)
        >>> again = RedshiftPDF.read(path)
        >>> again == pdf, again.meta
        (True, {'by': 'me'})
        """
        parts = pdf_io.PDFParts(
            self.bin_edges, self.probability, self.flags, self.meta, self.bands_used
        )
        pdf_io.write_parts(path, parts, format=format, overwrite=overwrite)

    @classmethod
    def _from_weights(cls, bin_edges, weights, *, flags, meta, bad):
        edges, weights = match_bins(bin_edges, weights, "probability")
        parts = edges, *binned.normalize(edges, weights)
        return cls._from_rows(
            parts, weights, "probability", flags=flags, meta=meta, bad=bad
        )

    def to_qp(
        self, *, kind: Literal["hist", "interp", "quant"] = "hist"
    ) -> qp.Ensemble:
        """
        Convert to an ensemble of the package qp.

        Parameters
        ----------
        kind : {"hist", "interp", "quant"}, optional
            Histograms are the same density. ``"interp"`` joins the densities at the
            centres of the bins by straight lines; ``"quant"`` keeps 101 quantiles.
            Both are approximations.

        Returns
        -------
        `qp.Ensemble`
            One distribution for each galaxy, flattened, with ``flags`` as ancillary
            data.

        Raises
        ------
        ImportError
            If qp is not installed.
        ValueError
            If the kind is unknown.

        Notes
        -----
        qp 1.1 takes all bins of a histogram to be as wide as the first where it
        computes moments: with the half-width first bin of the published network, its
        ``mean()`` is half of the true one. Its ``pdf``, ``cdf`` and ``ppf`` are right.

        Examples
        --------
        >>> from mantis_astro import RedshiftPDF
        >>> RedshiftPDF([0, 1, 4], [[0.25, 0.75], [1, 0]]).to_qp().median()
        array([[2. ],
               [0.5]])
        """
        return pdf_io.to_ensemble(
            self.bin_edges,
            self.probability.reshape(-1, self.n_bins),
            kind=kind,
            ancil={"flags": np.ravel(self.flags)},
        )

    @property
    def n_of_z(self) -> np.ndarray | None:
        """
        The n(z) that all these p(z) carry.

        Shape ``(n_bins,)``: probability of each bin; None where it is not known. A
        p(z) divided by it, bin by bin, is the likelihood of the data in each bin, but
        for a factor. ``meta`` has it as ``PZNOFZ`` and, in words, as ``PZPRIOR``.
        """
        text = self.meta.get(N_OF_Z_KEY)
        if text is None:
            return None
        values = n_of_z_from_text(text)
        if len(values) != self.n_bins:
            msg = (
                f"'{N_OF_Z_KEY}' of the meta has {len(values)} redshift bins, and p(z) "
                f"has {self.n_bins}"
            )
            raise ValueError(msg)
        return values

    def to_prior(
        self,
        *,
        n_of_z: Callable | ArrayLike | RedshiftPDF | None = None,
        floor: float = 1e-3,
        temper: float = 1.0,
        support: tuple[float, float] | None = None,
        bands: Iterable[BandLike] | None = None,
    ) -> RedshiftPrior:
        """
        Create a prior for fits of spectral energy distributions.

        Parameters
        ----------
        n_of_z : callable, array_like or RedshiftPDF, optional
            Number of galaxies per unit redshift that the prior shall carry in place of
            the n(z) that p(z) carries, as `reweight` takes it; by default p(z) is
            taken as it is. Where the fit has an n(z) of its own, give the same for all
            redshifts: ``np.ones(pdf.n_bins)``.
        floor : float, optional
            Share of the prior spread evenly over the support, so that data may
            overrule a p(z) that is wrong.
        temper : float, optional
            Power, from 0 (flat) to 1 (full strength), to which the density is raised:
            below 1 where the fit uses data that made p(z).
        support : tuple of float, optional
            Lowest and highest redshift, by default the ends of the bins.
        bands : iterable of Band or str, optional
            Bands of the data that made p(z) of this galaxy. By default those that it
            had, where p(z) knows them (``bands_used``, of models of any bands), else
            all that the model reads (``PZBANDS`` of the meta): which of them a galaxy
            had, its flags do not say, as MISSING_PS1 means one band or five.

        Returns
        -------
        `~mantis_astro.priors.RedshiftPrior`
            Knows the model, the bands and the n(z) of p(z) if ``meta`` does
            (``PZMODEL``; ``PZBANDS``, names of bands joined by commas; ``PZPRIOR``; as
            `PhotoZ` writes them).

        Raises
        ------
        ValueError
            If there is more than one galaxy, or an option is out of range.

        Warns
        -----
        UnknownPriorWarning
            If ``n_of_z`` is given and that of the model is not known, see `reweight`.
        NoDataWarning
            If the galaxy is flagged ``NO_DATA``: its p(z), and so the prior, is flat.

        Examples
        --------
        >>> from mantis_astro import RedshiftPDF
        >>> RedshiftPDF([0, 1, 2], [0.9, 0.1]).to_prior(floor=0.01)
        <RedshiftPrior z = 0 to 2, median 0.558: 2 bins, floor 0.01>
        """
        from mantis_astro.priors import RedshiftPrior

        if not self.isscalar:
            msg = (
                "a prior belongs to one galaxy, and there are galaxies of shape "
                f"{self.shape}: take one, as in pdf[0].to_prior()"
            )
            raise ValueError(msg)
        has_data = not self.flags & Flag.NO_DATA
        if not has_data:
            msg = (
                "this p(z) was made of no data (flag NO_DATA): the prior is flat in "
                "redshift"
            )
            warnings.warn(msg, NoDataWarning, stacklevel=2)
        pdf = self if n_of_z is None else self._reweighted(n_of_z, None)
        return RedshiftPrior(
            self.bin_edges,
            pdf.probability,
            floor=floor,
            temper=temper,
            support=support,
            bands=self._bands_of_model() if bands is None else bands,
            model=self.meta.get("PZMODEL"),
            n_of_z=pdf.meta.get(PRIOR_KEY),
            has_data=has_data,
        )

    def _bands_of_model(self):
        """Bands that can have made the p(z) of one galaxy."""
        if "PZBANDS" not in self.meta:
            return None
        if self.flags & int(Flag.NO_DATA):
            return ()
        bands = [band.strip() for band in self.meta["PZBANDS"].split(",")]
        if self.bands_used is None:
            return bands
        return [band for band, used in zip(bands, self.bands_used, strict=True) if used]

    def rebin(self, bin_edges: ArrayLike) -> Self:
        """
        Convert to other bins; the probability between any two new edges is kept.

        Parameters
        ----------
        bin_edges : array_like
            The new edges, shape ``(n_new + 1,)``.

        Returns
        -------
        RedshiftPDF
            Same galaxies, flags and meta.

        Raises
        ------
        ValueError
            If more than 1e-6 of the probability of a galaxy lies outside the new bins.

        Examples
        --------
        >>> from mantis_astro import RedshiftPDF
        >>> RedshiftPDF([0, 1, 3], [0.5, 0.5]).rebin([0, 2, 3, 4]).probability
        array([0.75, 0.25, 0.  ])
        """
        edges = binned.validate_bin_edges(bin_edges)
        share = binned.overlap(self.bin_edges, edges)
        weights = binned.map_rows(lambda rows: rows @ share, self.probability)
        lost = 1 - weights.sum(axis=-1)
        if lost.max(initial=0) > 1e-6:
            msg = (
                f"bins from {edges[0]:g} to {edges[-1]:g} leave out {lost.max():.2g}"
                f" of the probability of row {np.argmax(lost)}: they must cover it all"
            )
            raise ValueError(msg)
        new = self._with_weights(edges, weights.reshape(*self.shape, len(edges) - 1))
        change_bins(new.meta, self.bin_edges, edges)
        return new

    def _with_weights(self, bin_edges, weights):
        """Give the galaxies other weights; rows without any become NO_DATA."""
        probability, good = binned.normalize(bin_edges, weights)
        probability = probability.astype(self.probability.dtype, copy=False)
        flags = np.where(good, 0, int(Flag.NO_DATA)) | self.flags
        return self._from_parts(
            bin_edges, probability, np.asarray(flags), self.meta, self.bands_used
        )

    def smooth(self, width: float) -> Self:
        """
        Smooth by a Gaussian in ln(1 + z).

        A network's p(z) follow the noise of single bins, which shows as peaks where
        there are none. A width of about a bin takes them away; `calibration.Smoothing`
        finds the width that the true redshifts of a sample call for.

        Parameters
        ----------
        width : float
            Standard deviation of the Gaussian: in redshift, ``width * (1 + z)``. 0
            changes nothing.

        Returns
        -------
        RedshiftPDF
            Same galaxies, bins and flags; rows flagged ``NO_DATA`` are unchanged.
            Flags of shape (``MULTIMODAL``, ...) are not made anew.

        Raises
        ------
        ValueError
            If the width is negative or not below 1.

        Examples
        --------
        >>> from mantis_astro import RedshiftPDF
        >>> comb = [0.1, 0.3, 0.05, 0.35, 0.1, 0.1]
        >>> pdf = RedshiftPDF([0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06], comb)
        >>> int(pdf.peaks().number), int(pdf.smooth(0.008).peaks().number)
        (2, 1)
        """
        if not 0 <= width < 1:
            msg = f"'width' must be from 0 to below 1, got {width}"
            raise ValueError(msg)
        if not width:
            return self
        rows = np.array(self.probability).reshape(-1, self.n_bins)
        known = np.ravel(self._flags & int(Flag.NO_DATA) == 0)
        rows[known] = smooth_rows(self.bin_edges, rows[known], width)
        before = float(self.meta.get(SMOOTH_KEY, 0.0))
        meta = {**self.meta, SMOOTH_KEY: float(np.hypot(before, width))}
        probability = rows.reshape(self.probability.shape)
        return self._from_parts(
            self._bin_edges, probability, self._flags, meta, self.bands_used
        )

    def reweight(
        self,
        n_of_z: Callable | ArrayLike | RedshiftPDF,
        *,
        prior: Callable | ArrayLike | RedshiftPDF | None = None,
    ) -> Self:
        """
        Replace the redshift distribution in p(z).

        Divides out the n(z) that p(z) carries, such as that of a training set,
        multiplies by the one given and normalises: this is the posterior for a
        population.

        Parameters
        ----------
        n_of_z : callable, array_like or RedshiftPDF
            Number of galaxies per unit redshift, in any units: a function of redshift,
            which is averaged over each bin; a number for each bin, shape
            ``(..., n_bins)``; or a density.
        prior : callable, array_like or RedshiftPDF, optional
            The density, likewise, that was assumed so far and is divided out; by
            default the one that p(z) is known to carry (`n_of_z`, which the p(z) of a
            model have from its card), and where none is known the same for all
            redshifts.

        Returns
        -------
        RedshiftPDF
            Same galaxies; `n_of_z`, and ``PZPRIOR`` of the meta, are those of the new
            distribution. Nothing is known, and so nothing is left, where the n(z) that
            p(z) carried is 0. Where nothing at all is left, a row is uniform in density
            and flagged ``NO_DATA``.

        Raises
        ------
        ValueError
            If a value is negative or not finite, the prior is not positive, or the
            shapes do not match.

        Warns
        -----
        UnknownPriorWarning
            If a model made these p(z), or they were brought to another n(z) before,
            and the n(z) that they carry is not known in numbers: it stays in them.

        Examples
        --------
        A network that saw four galaxies in the first bin for each one in the second:

        >>> from mantis_astro import RedshiftPDF
        >>> pdf = RedshiftPDF([0, 1, 2], [0.8, 0.2], meta={"PZNOFZ": "800000 200000"})
        >>> pdf.reweight([1, 1]).probability
        array([0.5, 0.5])
        >>> pdf.reweight([1, 3]).reweight([1, 1]).probability
        array([0.5, 0.5])

        Without a known n(z):

        >>> from mantis_astro import RedshiftPDF
        >>> pdf = RedshiftPDF([0, 1, 2], [0.5, 0.5])
        >>> pdf.reweight([1, 3]).probability
        array([0.25, 0.75])
        >>> pdf.reweight(lambda z: z**2).probability  # integrals 1/3 and 7/3
        array([0.125, 0.875])
        """
        return self._reweighted(n_of_z, prior)

    def _reweighted(self, n_of_z, prior):
        wanted = self._per_bin(n_of_z, "n_of_z")
        known = self.n_of_z
        if prior is not None:
            used = self._per_bin(prior, "prior")
            if not np.all(used > 0):
                msg = f"'prior' must be positive in every bin, got {used.min()}"
                raise ValueError(msg)
        elif known is not None:
            used = known / self.bin_widths
        else:
            used = np.ones(self.n_bins)
            self._warn_of_unknown_prior()
        seen = used > 0
        factor = np.where(seen, wanted / np.where(seen, used, 1), 0)
        pdf = self._with_weights(self.bin_edges, self.probability * factor)
        words = "n(z) given to reweight"
        pdf.meta.pop(N_OF_Z_KEY, None)
        if prior is None and known is None:
            before = self.meta.get(PRIOR_KEY) or "not known"
            words += f"; what p(z) carried before ({before}) is not divided out"
        elif wanted.ndim > 1:
            words += ", another for each galaxy"
        else:
            carried = np.where(seen, wanted, 0) * self.bin_widths
            if carried.ndim == 1 and carried.any():
                pdf.meta[N_OF_Z_KEY] = n_of_z_to_text(carried / carried.sum())
        pdf.meta[PRIOR_KEY] = words
        return pdf

    def _warn_of_unknown_prior(self):
        """Warn if p(z) probably contain an n(z) that is not removed."""
        if not {"PZMODEL", PRIOR_KEY} & self.meta.keys():
            return
        words = self.meta.get(PRIOR_KEY) or "it is not named"
        msg = (
            f"the n(z) that these p(z) carry is not known in numbers ({words}): it is "
            "not divided out, and the new one comes on top. Give it as 'prior', per "
            "unit redshift; 1 for all bins if p(z) is a likelihood"
        )
        warnings.warn(msg, UnknownPriorWarning, stacklevel=4)

    def _per_bin(self, function, name):
        """Values of each bin of a callable, an array or another density."""
        if isinstance(function, RedshiftPDF):
            share = binned.overlap(function.bin_edges, self.bin_edges)
            values = function.probability @ share / self.bin_widths
        elif callable(function):
            values = binned.bin_averages(self.bin_edges, function)
        else:
            values = binned.as_redshift(function)
        try:
            matches = np.broadcast_shapes(values.shape, self.probability.shape)
        except ValueError:
            matches = None
        if values.shape[-1:] != (self.n_bins,) or matches != self.probability.shape:
            msg = (
                f"'{name}' must have a value for each of the {self.n_bins} bins and "
                f"broadcast to galaxies of shape {self.shape}, got shape {values.shape}"
            )
            raise ValueError(msg)
        if not np.all(np.isfinite(values) & (values >= 0)):
            fault = values[~(np.isfinite(values) & (values >= 0))].flat[0]
            msg = f"'{name}' must be finite and not negative, got {fault}"
            raise ValueError(msg)
        return values

    def to_table(self, *, prefix: str = "") -> QTable:
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
            and ``pz``, the probabilities as float32, shape ``(n, n_bins)``; before it
            ``bands_used``, if it is known. All but the flags and ``bands_used`` are
            masked columns, with a description and a UCD in ``info.meta``:
            masked, and NaN underneath, where the flag ``NO_DATA`` is set, and
            ``z_sec``, ``p_sec`` where there is no second peak. ``PZEDGES`` of the
            table's ``meta`` tells the redshift bins, as does the description of ``pz``.

        Raises
        ------
        ValueError
            If the galaxies have more than one dimension.

        Examples
        --------
        >>> from mantis_astro import RedshiftPDF
        >>> table = RedshiftPDF([0, 1, 4], [[0.25, 0.75], [1, 0]]).to_table()
        >>> print(table["z_mean"])
        z_mean
        ------
        2.0000
        0.5000
        >>> table["pz"].info.description
        'Probability of each redshift bin; edges 0, 1, 4'
        """
        from mantis_astro.pdf.columns import make_table

        return make_table(self, prefix=prefix)

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


def _without_ends(bin_edges, weights):
    """Weights in the bins, and the share beyond them; below redshift 0 is nothing."""
    beyond = weights[..., -1] + (weights[..., 0] if bin_edges[0] > 0 else 0)
    inside = weights[..., 1:-1]
    total = inside.sum(axis=-1) + beyond
    return inside, beyond / np.where(total > 0, total, 1)


def _cut_off(flags, beyond, weights):
    """Add EDGE_PDF where too much of a density lies beyond the bins."""
    is_cut = (beyond > Flag.EDGE_PDF.threshold) & (weights.sum(axis=-1) > 0)
    flag = np.where(is_cut, int(Flag.EDGE_PDF), 0)
    return flag if flags is None else np.asarray(flags) | flag
