"""`Predictor`: a network and its card, from prepared input to p(z)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from importlib import metadata
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import astropy.units as u
import numpy as np
from astropy.table import Row, Table

from mantis_astro import __version__
from mantis_astro.bands import get_band, get_survey, list_bands
from mantis_astro.calibration import recalibrator_from_plain
from mantis_astro.calibration.recalibrator import META_KEY
from mantis_astro.cutouts import MultibandCutout
from mantis_astro.exceptions import InputSpecError, PlaceholderModelWarning
from mantis_astro.extinction import find_ebv, select_ebv
from mantis_astro.flags import FLAG_TABLE, Flag
from mantis_astro.fluxes import SENTINELS, Fluxes, find_bands
from mantis_astro.models import predict_both, predict_features, predict_probability
from mantis_astro.pdf import RedshiftPDF
from mantis_astro.pdf.n_of_z import N_OF_Z_KEY, PRIOR_KEY, n_of_z_to_text
from mantis_astro.pdf.smoothing import SMOOTH_KEY
from mantis_astro.photometry import Circular, measure_photometry

if TYPE_CHECKING:
    import torch
    from astropy.table import QTable

    from mantis_astro.bands import Band, BandLike
    from mantis_astro.calibration import Recalibrator
    from mantis_astro.extinction import EbvLike
    from mantis_astro.models import ModelCard, NetworkInput

__all__ = ["Inference", "Predictor", "check_data"]

_CHUNK = 64  # objects prepared at once: 32 MB of images as the published network reads
_ROWS = 8192  # rows of photometry prepared at once
_CIRCLE = Circular(3 * u.arcsec)  # what the models of fluxes were trained on, too
_MISSING = sum(
    1 << flag.bit for flag in FLAG_TABLE if str(flag.name).startswith("MISSING_")
)
_PACKAGES = ("astropy", "numpy", "torch")


class Inference(NamedTuple):
    """
    Output of a network for some objects.

    Attributes
    ----------
    pdf : RedshiftPDF
        Shape (n,): float32, uniform in density where nothing was usable or the
        network's answer is not finite; with the quality flags of the input, of the
        shape of p(z) and of the features.
    ood_score : `~numpy.ndarray`
        How little the training set supports a redshift; see
        `~mantis_astro.shift.ReferenceStatistics.ood_score`. Shape (n,), float32; NaN
        where nothing was usable
        or the model has no statistics of its training set.
    components : `~numpy.ndarray`
        `~mantis_astro.shift.ReferenceStatistics.components` of the features, shape
        (n, n_component), float32; without columns if the model has no statistics.
    p_star : `~numpy.ndarray` or None
        Probability that the object is a star, shape (n,), float32, NaN where nothing
        was usable; None if the model does not tell stars from galaxies.
    """

    pdf: RedshiftPDF
    ood_score: np.ndarray
    components: np.ndarray
    p_star: np.ndarray | None = None

    @property
    def probability(self):
        """Probability of each redshift bin, shape (n, n_bins), float32."""
        return self.pdf.probability

    @property
    def flags(self):
        """Quality flags, shape (n,)."""
        return self.pdf.flags


class Predictor:
    """
    Compute redshift probability densities from the input of a network.

    It holds nothing else than a network and its card, never changes, and does not use
    the internet; what it computes depends on the input alone, bit for bit, whatever
    else is computed with it.

    Parameters
    ----------
    network : `torch.nn.Module`
        Called as ``network(images, ebv)``; gives logits of redshift bins.
    card : `~mantis_astro.models.ModelCard`
        What the network reads and means.
    """

    def __init__(self, network: torch.nn.Module, card: ModelCard) -> None:
        self.network = network
        self.card = card
        self._check_recalibration()
        if card.placeholder:
            msg = (
                f"'{card.name}' is a stand-in trained on made data, for trying things "
                "out: its redshifts of real galaxies mean nothing. For science use "
                'PhotoZ.from_pretrained("mantis-shrimp-early")'
            )
            warnings.warn(msg, PlaceholderModelWarning, stacklevel=3)

    def __repr__(self):
        edges = self.card.bin_edges
        return (
            f"<{type(self).__name__} {self.card.name}: {self.card.network.kind} of "
            f"{len(self.card.bands) or 'any'} bands, z = {edges[0]:g} to "
            f"{edges[-1]:g}>"
        )

    @property
    def tells_stars(self) -> bool:
        """Whether the model computes the probability of a star."""
        return getattr(self.network, "tells_stars", hasattr(self.network, "star"))

    def predict(
        self,
        data: MultibandCutout | Iterable[MultibandCutout] | Table,
        *,
        ebv: EbvLike = None,
        dihedral: bool = False,
        missing: Sequence[float] = SENTINELS,
    ) -> RedshiftPDF:
        """
        Compute p(z). Does not use the internet.

        Parameters
        ----------
        data : MultibandCutout, iterable of MultibandCutout, or `~astropy.table.Table`
            Images of one object or of many, which are read a chunk at a time; or, for
            a photometric model, a table with columns such as ``flux_ps1_g`` and
            ``flux_err_ps1_g``, see `~mantis_astro.fluxes.read_fluxes`. Of images, such
            a model measures the fluxes first, see `measure`.
        ebv : float, array_like, mapping or str, optional
            Galactic E(B-V) in magnitudes, for all objects or one each; a mapping gives
            it map by map (``{"csfd": ..., "planck": ...}``); the name of a column if
            the data are a table. By default a table's column ``ebv``. Where it is not
            given or not finite the model's default is used, and flagged.
        dihedral : bool, optional
            Average p(z) over the eight orientations of each image, at eight times the
            cost.
        missing : sequence of float, optional
            Values that mark a flux as not observed, for a photometric model; an empty
            one takes every flux for an observation. See
            `~mantis_astro.fluxes.read_fluxes`.

        Returns
        -------
        RedshiftPDF
            Shape () for one MultibandCutout, else (n,). ``flags`` says what was the
            matter with each object; one of which nothing could be used gets a uniform
            density and ``NO_DATA``. ``meta`` says what made it.

        Raises
        ------
        TypeError
            If the data are not what the model reads.
        ValueError
            `~mantis_astro.exceptions.InputSpecError` if ``ebv`` or the columns do not
            fit.

        Notes
        -----
        The p(z) carry the n(z) that the model was trained with, see
        ``card.training_prior`` and ``card.n_of_z``; `RedshiftPDF.reweight` divides it
        out and brings in another.
        """
        self.check_dihedral(dihedral)
        if isinstance(data, Table):
            return self._predict_table(data, ebv, missing)
        predict: Callable = partial(self._predict_cutouts, dihedral=dihedral)
        if self.card.is_photometric:
            predict = self._predict_measured
        if isinstance(data, MultibandCutout):
            return predict([data], ebv)[0]
        check_data(data)
        return predict(data, ebv)

    def features(
        self,
        data: MultibandCutout | Iterable[MultibandCutout] | Table,
        *,
        ebv: EbvLike = None,
    ) -> np.ndarray:
        """
        Compute the input of the network's last layer.

        Parameters
        ----------
        data, ebv
            As for `predict`.

        Returns
        -------
        `~numpy.ndarray`
            Shape (n, n_feature), float32.
        """
        if isinstance(data, MultibandCutout):
            data = [data]
        check_data(data)
        prepared = self.prepare(data if isinstance(data, Table) else list(data), ebv)
        return predict_features(self.network, prepared.images, prepared.ebv)

    def measure(
        self,
        cutouts: MultibandCutout | Iterable[MultibandCutout],
        *,
        bands: Iterable[BandLike] | None = None,
    ) -> QTable:
        """
        Measure the fluxes for a photometric model on images.

        Whatever takes images for such a model measures them so. Keep the table where
        it is used more than once.

        Parameters
        ----------
        cutouts : MultibandCutout or iterable of MultibandCutout
            The objects; an iterable is read a chunk at a time.
        bands : iterable of Band or str, optional
            Bands to have columns for, if the model reads any; by default all that the
            images have. Others read their own.

        Returns
        -------
        `~astropy.table.QTable`
            What `~mantis_astro.measure_photometry` gives for circles of 3 arcsec.

        Raises
        ------
        TypeError
            If the model reads images, or these are none.
        """
        if not self.card.is_photometric:
            msg = f"'{self.card.name}' reads images: there is nothing to measure"
            raise TypeError(msg)
        if not isinstance(cutouts, MultibandCutout):
            check_data(cutouts)
        measure = partial(measure_photometry, aperture=_CIRCLE, deblend=None)
        cutouts = [cutouts] if isinstance(cutouts, MultibandCutout) else cutouts
        table = measure(cutouts, bands=self.card.bands or bands)
        if not find_bands(table):  # of images of nothing
            nothing = [MultibandCutout(coord, {}) for coord in table["coord"]]
            table = measure(nothing, bands=list_bands()[:1])
        return table

    def measured_flags(self, table: Table) -> np.ndarray:
        """
        Select the flags of `measure` that redshifts inherit.

        Parameters
        ----------
        table : `~astropy.table.Table`
            The fluxes measured.

        Returns
        -------
        `~numpy.ndarray`
            Shape (n,), int; without MISSING_* if the model expects no band.
        """
        flags = np.asarray(table["flags"])
        return flags if self.card.bands else flags & ~_MISSING

    def prepare(
        self, data: Sequence[MultibandCutout] | Table, ebv: EbvLike = None
    ) -> NetworkInput:
        """
        Prepare data as the network reads them.

        Parameters
        ----------
        data : sequence of MultibandCutout, table or `~mantis_astro.fluxes.Fluxes`
            What the model reads; or images for a photometric one, to be measured first.
        ebv : float, array_like, mapping or str, optional
            As for `predict`.

        Returns
        -------
        `~mantis_astro.models.NetworkInput`
            Tensors, flags and usability.

        Raises
        ------
        TypeError
            If the data are not what the model reads.
        """
        if isinstance(data, Table | Fluxes) == self.card.is_photometric:
            if isinstance(data, Table):
                ebv = find_ebv(data, ebv)
            return self.card.spec.to_tensor(data, ebv)
        if not self.card.is_photometric:
            msg = (
                f"'{self.card.name}' reads cutouts, got a table; add_redshifts takes a "
                "table of positions and finds the cutouts"
            )
            raise TypeError(msg)
        table = self.measure(data)
        prepared = self.card.spec.to_tensor(table, ebv)
        return replace(prepared, flags=prepared.flags | self.measured_flags(table))

    def infer(self, prepared: NetworkInput, *, dihedral: bool = False) -> Inference:
        """
        Run the network on prepared data.

        Parameters
        ----------
        prepared : `~mantis_astro.models.NetworkInput`
            What `prepare` returned.
        dihedral : bool, optional
            As for `predict`.

        Returns
        -------
        Inference
            Probability, flags, and how little the training set supports a redshift.
        """
        self.check_dihedral(dihedral)
        options = {"dihedral": True} if dihedral else {}
        arguments = (self.network, prepared.images, prepared.ebv)
        usable = prepared.usable
        score = np.full(len(usable), np.nan, np.float32)
        components = np.empty((len(usable), 0), np.float32)
        p_star = None
        if self.card.reference is None and not self.tells_stars:
            probability = predict_probability(*arguments, **options)
        else:
            probability, features = predict_both(*arguments, **options)
        if self.tells_stars:
            p_star = self.network.star_probability(features)
            p_star[~usable] = np.nan
        if self.card.reference is not None:
            score[usable] = self.card.reference.ood_score(features[usable])
            components = self.card.reference.components(features)
        probability[~prepared.usable] = 0  # nothing is known: made uniform, flagged
        pdf = RedshiftPDF.from_batch(
            self.card.bin_edges, probability, flags=prepared.flags
        )
        pdf = self.finish(pdf)
        flags = np.array(pdf.shape_flags())
        if self.card.placeholder:
            flags |= int(Flag.PLACEHOLDER_MODEL)
        flags[score > Flag.OOD_FEATURE.threshold] |= int(Flag.OOD_FEATURE)
        return Inference(pdf.add_flags(flags), score, components, p_star)

    def finish(self, pdf: RedshiftPDF) -> RedshiftPDF:
        """
        Smooth and recalibrate the p(z) of the network.

        Every p(z) of the model comes through here.

        Parameters
        ----------
        pdf : RedshiftPDF
            Softmax of the network's logits, any shape.

        Returns
        -------
        RedshiftPDF
            Smoothed by ``card.smoothing``, then through `recalibrator`.
        """
        pdf = pdf.smooth(self.card.smoothing)
        if self.recalibrator is None:
            return pdf
        return self.recalibrator.transform(pdf)

    def _check_recalibration(self):
        """Raise an error if the card's recalibration fails on a flat p(z)."""
        widths = np.diff(self.card.bin_edges)
        flat = RedshiftPDF(self.card.bin_edges, [widths / widths.sum()])
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                self.finish(flat)
        except Exception as error:  # of numbers that may be anything
            msg = f"the recalibration of '{self.card.name}' cannot be used: {error}"
            raise InputSpecError(msg) from error

    def check_dihedral(self, dihedral: bool) -> None:  # noqa: FBT001  no switch
        """
        Raise an error if the network has no orientations to average.

        Parameters
        ----------
        dihedral : bool
            As for `predict`.

        Raises
        ------
        ValueError
            `~mantis_astro.exceptions.InputSpecError` for a photometric model.
        """
        if dihedral and self.card.is_photometric:
            msg = "photometry has no orientation: leave 'dihedral' out"
            raise InputSpecError(msg)

    def infer_features(self, prepared: NetworkInput) -> np.ndarray:
        """
        Run the network on prepared data, up to its last layer.

        Parameters
        ----------
        prepared : `~mantis_astro.models.NetworkInput`
            What `prepare` returned.

        Returns
        -------
        `~numpy.ndarray`
            Shape (n, n_feature), float32; NaN where nothing was usable.
        """
        features = predict_features(self.network, prepared.images, prepared.ebv)
        features[~prepared.usable] = np.nan
        return features

    @cached_property
    def recalibrator(self) -> Recalibrator | None:
        """`Recalibrator` of all smoothed p(z), or None."""
        plain = self.card.recalibration
        return None if plain is None else recalibrator_from_plain(plain)

    def provenance(self, bands: Iterable[Band] | None = None) -> dict:
        """
        Collect facts to keep beside results.

        Parameters
        ----------
        bands : iterable of Band, optional
            The bands of the data, for a model that reads any.

        Returns
        -------
        dict
            Flat, with keys that fit FITS headers: model, SHA-256 of its weights, the
            n(z) its p(z) carry (in words, and in numbers if they are known), how they
            were smoothed and recalibrated, bands they rest on, versions of packages,
            thresholds of flags, what to cite.
        """
        facts = dict(self._provenance)
        if bands is not None:
            facts["PZBANDS"] = ", ".join(map(str, bands))
        return facts

    @cached_property
    def _provenance(self):
        versions = [f"mantis_astro {__version__}"]
        versions += [f"{name} {metadata.version(name)}" for name in _PACKAGES]
        thresholds = [
            f"{flag.name} {flag.threshold}" for flag in FLAG_TABLE if flag.threshold
        ]
        facts = {
            "PZMODEL": self.card.name,
            "PZSHA256": self.card.sha256,
            PRIOR_KEY: self.card.training_prior,
            "PZBANDS": ", ".join(map(str, self.card.bands)) or "any",
            "PZVERS": ", ".join(versions),
            "PZTHRESH": ", ".join(thresholds),
            "PZCITE": ", ".join(self.citations()),
        }
        if self.card.n_of_z is not None:
            facts[N_OF_Z_KEY] = n_of_z_to_text(self.card.n_of_z)
        if self.card.smoothing:
            facts[SMOOTH_KEY] = self.card.smoothing
        if self.recalibrator is not None:
            facts[META_KEY] = self.recalibrator.note
        return facts

    def citations(self) -> list[str]:
        """
        List the papers to cite for these redshifts.

        Returns
        -------
        list of str
            ADS bibcodes or arXiv numbers: the model's, then the surveys'.
        """
        bands = map(get_band, self.card.bands)
        surveys = [get_survey(band.survey) for band in bands if band.survey]
        papers = [*self.card.citations, *(survey.reference for survey in surveys)]
        return list(dict.fromkeys(papers))

    def _predict_cutouts(self, cutouts, ebv, *, dihedral):
        cutouts = iter(cutouts)
        parts, n = [], 0
        while chunk := list(islice(cutouts, _CHUNK)):
            rows = slice(n, n + len(chunk))
            prepared = self.prepare(chunk, select_ebv(ebv, rows))
            parts.append(self.infer(prepared, dihedral=dihedral))
            n += len(chunk)
        _check_used_up(ebv, n)
        return self._joined(parts)

    def _predict_measured(self, cutouts, ebv):
        table = self.measure(cutouts)
        pdf = self._predict_table(table, ebv, SENTINELS)
        return pdf.add_flags(self.measured_flags(table))

    def _predict_table(self, table, ebv, missing):
        parts, bands, used = [], None, None
        if self.card.is_photometric:
            ebv = find_ebv(table, ebv)
            table = self.card.spec.read(table, missing=missing)
            if not self.card.bands:
                bands, used = table.bands, table.observed
        _check_used_up(ebv, len(table))
        for start in range(0, len(table), _ROWS):
            rows = slice(start, start + _ROWS)
            prepared = self.prepare(table[rows], select_ebv(ebv, rows))
            parts.append(self.infer(prepared))
        return self._joined(parts, bands, used)

    def _joined(self, parts, bands=None, used=None):
        none = np.empty((0, self.card.n_bins), np.float32)
        none = RedshiftPDF(self.card.bin_edges, none)
        pdf = RedshiftPDF.concatenate([none, *(part.pdf for part in parts)])
        pdf.meta.update(self.provenance())
        return pdf if bands is None else pdf.with_bands(bands, used)


def check_data(data):
    """
    Check that data are cutouts or a table, before any work.

    Parameters
    ----------
    data : MultibandCutout, iterable of them or `~astropy.table.Table`
        As for `Predictor.predict`.

    Raises
    ------
    TypeError
        If they are a DataFrame, a row of a table or anything else.
    """
    if isinstance(data, Table):
        return
    is_other = isinstance(data, str | bytes | dict | Row) or hasattr(data, "iloc")
    if is_other or not hasattr(data, "__iter__"):
        msg = (
            "'data' must be a MultibandCutout, an iterable of them, or a table of "
            f"photometry, got {type(data)}; QTable.from_pandas takes a DataFrame, and "
            "table[:1] is a table of one row"
        )
        raise TypeError(msg)


def _check_used_up(ebv, n):
    """E(B-V) given one each must have been given for as many as there were."""
    for values in ebv.values() if isinstance(ebv, Mapping) else [ebv]:
        if np.ndim(values) and len(values) != n:
            msg = f"'ebv' has {len(values)} values for {n} objects"
            raise InputSpecError(msg)
