"""`PhotoZ`: a network, its card, and what one does with them."""

import warnings
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from importlib import metadata
from itertools import islice
from typing import NamedTuple

import numpy as np
from astropy.table import Table

from mantis_astro import __version__, redshift_table, refitting
from mantis_astro.bands import get_band, get_survey
from mantis_astro.calibration import recalibrator_from_plain
from mantis_astro.calibration.recalibrator import META_KEY
from mantis_astro.cutouts import MultibandCutout
from mantis_astro.exceptions import InputSpecError, PlaceholderModelWarning
from mantis_astro.extinction import select_ebv
from mantis_astro.flags import FLAG_TABLE, Flag
from mantis_astro.models import (
    load_model,
    predict_both,
    predict_features,
    predict_probability,
    save_model,
)
from mantis_astro.models.reference_files import encoder_sha256
from mantis_astro.pdf import RedshiftPDF
from mantis_astro.shift import ReferenceStatistics, ShiftReport
from mantis_astro.tables.coordinates import find_coordinates

__all__ = ["Inference", "PhotoZ"]

_CHUNK = 64  # objects prepared at once: 32 MB of images as the published network reads
_ROWS = 8192  # rows of photometry prepared at once
_PACKAGES = ("astropy", "numpy", "torch")


class Inference(NamedTuple):
    """
    What a network says about some objects.

    Attributes
    ----------
    probability : `~numpy.ndarray`
        Shape (n, n_bins), float32; uniform in density where nothing was usable or the
        network's answer is not finite.
    flags : `~numpy.ndarray`
        Quality flags of the input, of the shape of p(z) and of the features, shape
        (n,), int32.
    ood_score : `~numpy.ndarray`
        How little the training set supports a redshift; see
        `~mantis_astro.shift.ReferenceStatistics.ood_score`. Shape (n,), float32; NaN
        where nothing was usable
        or the model has no statistics of its training set.
    components : `~numpy.ndarray`
        `~mantis_astro.shift.ReferenceStatistics.components` of the features, shape
        (n, n_component), float32; without columns if the model has no statistics.
    """

    probability: np.ndarray
    flags: np.ndarray
    ood_score: np.ndarray
    components: np.ndarray


class PhotoZ:
    """
    Redshift probability densities from images or photometry.

    Made by `from_pretrained` or `from_file`. It never changes; what it computes depends
    on the input alone, bit for bit, whatever else is computed with it.

    Parameters
    ----------
    network : `torch.nn.Module`
        Called as ``network(images, ebv)``; gives logits of redshift bins.
    card : `~mantis_astro.models.ModelCard`
        What the network reads and means.

    Examples
    --------
    >>> from mantis_astro import PhotoZ
    >>> photoz = PhotoZ.from_pretrained("simulated-early")
    >>> photoz
    <PhotoZ simulated-early: early_fusion of 9 bands, z = 0 to ...>
    """

    def __init__(self, network, card):
        self.network = network
        self.card = card
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
            f"{len(self.card.bands)} bands, z = {edges[0]:g} to {edges[-1]:g}>"
        )

    @classmethod
    def from_pretrained(cls, name=None, *, device=None):
        """
        Load a named model.

        Parameters
        ----------
        name : str, optional
            A name that `~mantis_astro.models.list_models` shows; by default the
            embedded model, which needs no network. Other weights are fetched once,
            verified, and kept.
        device : str or `torch.device`, optional
            Where to compute; by default the processor.

        Returns
        -------
        PhotoZ
            Ready to predict.

        Raises
        ------
        OSError
            `~mantis_astro.exceptions.FetchError` if the weights cannot be had.
        ValueError
            `~mantis_astro.exceptions.InputSpecError` if there is no such model, or the
            weights are not those of its card.
        """
        return cls(*load_model(name, device=device))

    @classmethod
    def from_file(cls, path, *, device=None):
        """
        Load a file of weights.

        Parameters
        ----------
        path : str or path-like
            A file that `save` wrote, or a checkpoint in the published layout.
        device : str or `torch.device`, optional
            Where to compute; by default the processor.

        Returns
        -------
        PhotoZ
            Ready to predict.

        Raises
        ------
        OSError
            `~mantis_astro.exceptions.FetchError` if the file is missing, cut short or
            holds more than weights.
        ValueError
            `~mantis_astro.exceptions.InputSpecError` if the weights are not of a known
            layout; the message names what differs.
        """
        return cls(*load_model(path, device=device))

    def save(self, path, *, dtype="float32"):
        """
        Write weights and card into one safetensors file.

        Parameters
        ----------
        path : str or path-like
            Where to.
        dtype : {"float32", "float16"}, optional
            Precision of the weights in the file.
        """
        save_model(path, self.network, self.card, dtype=dtype)

    def predict(self, data, *, ebv=None, dihedral=False):
        """
        Compute p(z), without touching the network of computers.

        Parameters
        ----------
        data : MultibandCutout, iterable of MultibandCutout, or `~astropy.table.Table`
            Images of one object or of many, which are read a chunk at a time; or, for
            a photometric model, a table with columns such as ``flux_ps1_g`` and
            ``flux_err_ps1_g`` (nJy; masked where not observed).
        ebv : float, array_like or mapping, optional
            Galactic E(B-V) in magnitudes, for all objects or one each; a mapping gives
            it map by map (``{"csfd": ..., "planck": ...}``). Where it is not given or
            not finite the model's default is used, and flagged.
        dihedral : bool, optional
            Average p(z) over the eight orientations of each image, at eight times the
            cost.

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
        ``card.training_prior``; `RedshiftPDF.reweight` brings in another.
        """
        if isinstance(data, MultibandCutout):
            return self._predict_cutouts([data], ebv, dihedral=dihedral)[0]
        if isinstance(data, Table):
            return self._predict_table(data, ebv)
        return self._predict_cutouts(data, ebv, dihedral=dihedral)

    def features(self, data, *, ebv=None):
        """
        Compute what the last layer of the network reads.

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
        prepared = self.prepare(data if isinstance(data, Table) else list(data), ebv)
        return predict_features(self.network, prepared.images, prepared.ebv)

    def prepare(self, data, ebv=None):
        """
        Prepare data as the network reads them.

        Parameters
        ----------
        data : sequence of MultibandCutout, or `~astropy.table.Table`
            What the model reads.
        ebv : float, array_like or mapping, optional
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
        if isinstance(data, Table) != self.card.is_photometric:
            reads = "a table of fluxes" if self.card.is_photometric else "cutouts"
            got = "a table" if isinstance(data, Table) else "cutouts"
            msg = f"'{self.card.name}' reads {reads}, got {got}"
            if isinstance(data, Table):
                msg += (
                    "; add_redshifts takes a table of positions and finds the cutouts"
                )
            raise TypeError(msg)
        return self.card.spec.to_tensor(data, ebv)

    def infer(self, prepared, *, dihedral=False):
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
        if dihedral and self.card.is_photometric:
            msg = "photometry has no orientation: leave 'dihedral' out"
            raise InputSpecError(msg)
        options = {"dihedral": True} if dihedral else {}
        arguments = (self.network, prepared.images, prepared.ebv)
        usable = prepared.usable
        score = np.full(len(usable), np.nan, np.float32)
        components = np.empty((len(usable), 0), np.float32)
        if self.card.reference is None:
            probability = predict_probability(*arguments, **options)
        else:
            probability, features = predict_both(*arguments, **options)
            score[usable] = self.card.reference.ood_score(features[usable])
            components = self.card.reference.components(features)
        probability[~prepared.usable] = 0  # nothing is known: made uniform, flagged
        pdf = RedshiftPDF.from_batch(
            self.card.bin_edges, probability, flags=prepared.flags
        )
        if self.recalibrator is not None:
            pdf = self.recalibrator.transform(pdf)
        flags = pdf.flags | pdf.shape_flags()
        if self.card.placeholder:
            flags |= int(Flag.PLACEHOLDER_MODEL)
        flags[score > Flag.OOD_FEATURE.threshold] |= int(Flag.OOD_FEATURE)
        return Inference(pdf.probability, flags.astype(np.int32), score, components)

    def infer_features(self, prepared):
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

    def add_redshifts(self, table, source=None, **options):
        """
        Add redshift columns to a table of galaxies.

        Parameters
        ----------
        table : `~astropy.table.Table`
            The galaxies: ``ra`` and ``dec`` or a SkyCoord column (see
            `~mantis_astro.tables.coordinates.find_coordinates`), or fluxes for a
            photometric model. Not changed.
        source : CutoutSource, optional
            Where cutouts come from: `FitsFolder`, `CutoutStore`, `SimulatedSky`, ...;
            by default the surveys' servers, through `SurveyCutouts`.
        **options
            Keywords of `mantis_astro.redshift_table.add_redshifts`: ``ra``, ``dec``,
            ``ebv``, ``prefix``, ``columns``, ``dihedral``, ``rng``, ``chunk``,
            ``progress``, ``resume``.

        Returns
        -------
        `~astropy.table.QTable`
            All that the table had, and the redshift columns.

        Raises
        ------
        KeyError
            If coordinates or fluxes are not found in the table.
        ValueError
            If a column of that name is there already: choose another ``prefix``.
        """
        return redshift_table.add_redshifts(self, table, source, **options)

    @cached_property
    def recalibrator(self):
        """What every p(z) goes through, a `Recalibrator`, or None."""
        plain = self.card.recalibration
        return None if plain is None else recalibrator_from_plain(plain)

    def with_recalibration(self, recalibrator):
        """
        Make a copy whose p(z) are recalibrated.

        Parameters
        ----------
        recalibrator : `~mantis_astro.calibration.Recalibrator` or None
            Fitted to p(z) of this model without recalibration; None takes off the one
            that the model has. It must need nothing but the p(z).

        Returns
        -------
        PhotoZ
            The same network; `save` keeps the recalibrator in the card.

        Raises
        ------
        ValueError
            `~mantis_astro.exceptions.InputSpecError` if the model is recalibrated
            already, or if the recalibrator reads features of galaxies.

        Examples
        --------
        >>> from mantis_astro import PhotoZ
        >>> photoz = PhotoZ.from_pretrained()
        >>> bare = photoz.with_recalibration(None)
        >>> bare.recalibrator is None
        True
        """
        if recalibrator is not None and self.recalibrator is not None:
            msg = (
                f"'{self.card.name}' is recalibrated already: fit to the p(z) of "
                "photoz.with_recalibration(None), and give that the new one"
            )
            raise InputSpecError(msg)
        if getattr(recalibrator, "given_features_", False):
            msg = (
                "'recalibrator' reads features of galaxies, which a model does not "
                "have: fit it without 'features', or apply it to the p(z) yourself"
            )
            raise InputSpecError(msg)
        plain = None if recalibrator is None else recalibrator.to_plain()
        return self._with_card(replace(self.card, recalibration=plain))

    def _with_card(self, card):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PlaceholderModelWarning)  # said before
            return type(self)(self.network, card)

    def with_reference(self, features, *, rng, z_spec=None, n_vector=2000, sample=None):
        """
        Make a copy that knows what its training set looks like.

        Parameters
        ----------
        features : array_like
            What `features` gives for galaxies of the training sample, shape (n,
            n_feature): of every kind that the model is to be trusted with, best of
            those that the network was not fitted to.
        rng : int or `~numpy.random.Generator`
            Chooses the galaxies whose features are kept.
        z_spec : array_like, optional
            Their redshifts, shape (n,).
        n_vector : int, optional
            For how many galaxies features are kept: 2 bytes each in the file.
        sample : str, optional
            What they are; by default the card's ``training_sample``.

        Returns
        -------
        PhotoZ
            The same network; its redshifts get an ``ood_score``, and `save` writes the
            statistics into the file of weights.

        Raises
        ------
        ValueError
            `~mantis_astro.exceptions.InputSpecError` if these are not features of this
            model, or there are fewer than ten.
        """
        width = self.network.fc1.in_features
        if np.ndim(features) != 2 or np.shape(features)[1] != width:
            msg = (
                f"'features' must be those of '{self.card.name}', of shape (n, {width})"
                f", got {np.shape(features)}"
            )
            raise InputSpecError(msg)
        reference = ReferenceStatistics.from_features(
            features,
            rng=rng,
            z_spec=z_spec,
            n_vector=n_vector,
            sample=self.card.training_sample if sample is None else sample,
            encoder=encoder_sha256(self.network),
        )
        return self._with_card(replace(self.card, reference=reference))

    def shift_report(
        self, data, source=None, *, rng, ebv=None, ra=None, dec=None, **options
    ):
        """
        Tell whether a sample looks like the training set.

        Parameters
        ----------
        data : sequence of MultibandCutout, or `~astropy.table.Table`
            Images, or a table as for `add_redshifts`; at least five galaxies. Those of
            which nothing is usable are left out.
        source : CutoutSource, optional
            Where the cutouts of a table come from, as for `add_redshifts`.
        rng : int or `~numpy.random.Generator`
            Draws subsamples, folds and permutations.
        ebv : float, array_like, mapping or str, optional
            As for `predict`, or `add_redshifts` if it is a table.
        ra, dec : str, optional
            Names of the columns of coordinates, where they are not found.
        **options
            Keywords of `~mantis_astro.shift.ShiftReport.compare`: ``n_permutation``,
            ``level``, ``max_objects``, ``clip``.

        Returns
        -------
        `~mantis_astro.shift.ShiftReport`
            Tests, scores of each galaxy, weights and a verdict.

        Raises
        ------
        ValueError
            `~mantis_astro.exceptions.InputSpecError` if the model has no statistics of
            its training set.
        """
        if self.card.reference is None:
            msg = (
                f"'{self.card.name}' has no statistics of its training set; make them "
                "with PhotoZ.with_reference, or compare features or colours of two "
                "samples with ShiftReport.compare"
            )
            raise InputSpecError(msg)
        if isinstance(data, Table):
            features = redshift_table.table_features(
                self, data, source, ra=ra, dec=dec, ebv=ebv
            )
        else:
            prepared = self.prepare(list(data), ebv)
            features = self.infer_features(prepared)
        known = features[np.isfinite(features).all(1)]
        return ShiftReport.compare(self.card.reference, known, rng=rng, **options)

    def refit(self, data, z_spec, *, source=None, ebv=None, coords=None, **options):
        """
        Fit the last layer to galaxies with redshifts of one's own, if that helps.

        Parameters
        ----------
        data : iterable of MultibandCutout, `~astropy.table.Table` or array
            What the model reads; a table of positions; or features of this model, as a
            table from `~mantis_astro.refitting.feature_table` or an array of shape (n,
            n_feature).
        z_spec : array_like or `~astropy.units.Quantity`
            Spectroscopic redshifts, shape (n,); masked or NaN where there is none.
        source : CutoutSource, optional
            Where the cutouts of a table of positions come from, as for
            `add_redshifts`.
        ebv : float, array_like, mapping or str, optional
            As for `predict`, or `add_redshifts` if it is a table of positions.
        coords : `~astropy.coordinates.SkyCoord`, optional
            Positions, shape (n,), so that whole patches of sky are held out; those of
            a table of positions are used unless others are given.
        **options
            Keywords of `mantis_astro.refitting.refit`: ``sample_weight``, ``method``,
            ``alphas``, ``smoothing``, ``validation_fraction``, ``nside``, ``n_folds``,
            ``n_bootstrap``, ``rng``.

        Returns
        -------
        photoz : PhotoZ
            The new model, whose card says what it was refitted to, if the galaxies
            that were held out show it to be better; else this one.
        report : `~mantis_astro.refitting.RefitReport`
            Whether it was accepted, why, and the metrics before and after.

        Raises
        ------
        ValueError
            If an argument does not fit, or no galaxy can be used;
            `~mantis_astro.exceptions.InputSpecError` if features are another model's.

        Examples
        --------
        >>> import numpy as np
        >>> from mantis_astro import PhotoZ
        >>> photoz = PhotoZ.from_pretrained("simulated-photometric")
        >>> features = np.zeros((10, photoz.network.fc1.in_features))
        >>> new, report = photoz.refit(features, np.linspace(0.1, 0.5, 10))
        >>> new is photoz, report.accepted
        (True, False)
        >>> print(report)
        refit not accepted: 10 galaxies are too few to show an improvement: at least 50
        """
        if self._is_of_positions(data):
            if coords is None:
                coords, _ = find_coordinates(data)
            data = redshift_table.table_features(self, data, source, ebv=ebv)
        network, card, report = refitting.refit(
            self, data, z_spec, ebv=ebv, coords=coords, **options
        )
        if not report.accepted:
            return self, report
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PlaceholderModelWarning)  # said before
            return type(self)(network, card), report

    def explain(self, data, reference, *, k=5, source=None, ebv=None):
        """
        Find the reference galaxies that this model takes for the most alike.

        Parameters
        ----------
        data : MultibandCutout, iterable of them, `~astropy.table.Table` or array
            What the model reads, a table of positions, or features; as for `refit`.
        reference : `~astropy.table.Table` or array
            Galaxies to find, such as the training set: a table from
            `~mantis_astro.refitting.feature_table`, whose other columns are carried
            over, or an array of features, shape (m, n_feature).
        k : int, optional
            How many for each object.
        source : CutoutSource, optional
            Where the cutouts of a table of positions come from.
        ebv : float, array_like, mapping or str, optional
            As for `refit`.

        Returns
        -------
        `~astropy.table.QTable`
            A row for each object and neighbour, with ``similarity`` and ``weight``; see
            `mantis_astro.refitting.explain`.

        Raises
        ------
        ValueError
            If ``k`` does not fit; `~mantis_astro.exceptions.InputSpecError` if features
            are another model's.
        """
        if self._is_of_positions(data):
            data = redshift_table.table_features(self, data, source, ebv=ebv)
        return refitting.explain(self, data, reference, k=k, ebv=ebv)

    def _is_of_positions(self, data):
        """Whether its cutouts are still to be found."""
        return (
            isinstance(data, Table)
            and not self.card.is_photometric
            and "features" not in data.colnames
        )

    def provenance(self):
        """
        Collect facts to keep beside results.

        Returns
        -------
        dict
            Flat, with keys that fit FITS headers: model, SHA-256 of its weights, the
            prior its p(z) carry, how they were recalibrated, bands they rest on,
            versions of packages, thresholds of flags, what to cite.
        """
        versions = [f"mantis_astro {__version__}"]
        versions += [f"{name} {metadata.version(name)}" for name in _PACKAGES]
        thresholds = [
            f"{flag.name} {flag.threshold}" for flag in FLAG_TABLE if flag.threshold
        ]
        facts = {
            "PZMODEL": self.card.name,
            "PZSHA256": self.card.sha256,
            "PZPRIOR": self.card.training_prior,
            "PZBANDS": ", ".join(map(str, self.card.bands)),
            "PZVERS": ", ".join(versions),
            "PZTHRESH": ", ".join(thresholds),
            "PZCITE": ", ".join(self.citations()),
        }
        if self.recalibrator is not None:
            facts[META_KEY] = self.recalibrator.note
        return facts

    def citations(self):
        """
        List what to cite when these redshifts are used.

        Returns
        -------
        list of str
            ADS bibcodes or arXiv numbers: the model's, then the surveys'.
        """
        surveys = [get_survey(get_band(band).survey) for band in self.card.bands]
        papers = [*self.card.citations, *(survey.reference for survey in surveys)]
        return list(dict.fromkeys(papers))

    def _predict_cutouts(self, cutouts, ebv, *, dihedral):
        if isinstance(cutouts, str | bytes | dict) or not hasattr(cutouts, "__iter__"):
            msg = (
                "'data' must be a MultibandCutout, an iterable of them, or a table of "
                f"photometry, got {type(cutouts)}"
            )
            raise TypeError(msg)
        cutouts = iter(cutouts)
        parts, n = [], 0
        while chunk := list(islice(cutouts, _CHUNK)):
            rows = slice(n, n + len(chunk))
            prepared = self.prepare(chunk, select_ebv(ebv, rows))
            parts.append(self.infer(prepared, dihedral=dihedral))
            n += len(chunk)
        _check_used_up(ebv, n)
        return self._joined(parts)

    def _predict_table(self, table, ebv):
        _check_used_up(ebv, len(table))
        parts = []
        for start in range(0, len(table), _ROWS):
            rows = slice(start, start + _ROWS)
            prepared = self.prepare(table[rows], select_ebv(ebv, rows))
            parts.append(self.infer(prepared))
        return self._joined(parts)

    def _joined(self, parts):
        n_bins = self.card.n_bins
        probability = [np.empty((0, n_bins), np.float32)]
        probability += [part.probability for part in parts]
        flags = [np.empty(0, np.int32), *(part.flags for part in parts)]
        return RedshiftPDF(
            self.card.bin_edges,
            np.concatenate(probability),
            flags=np.concatenate(flags),
            meta=self.provenance(),
        )


def _check_used_up(ebv, n):
    """E(B-V) given one each must have been given for as many as there were."""
    for values in ebv.values() if isinstance(ebv, Mapping) else [ebv]:
        if np.ndim(values) and len(values) != n:
            msg = f"'ebv' has {len(values)} values for {n} objects"
            raise InputSpecError(msg)
