"""`PhotoZ`: a predictor with methods for files, tables and adaptation."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from astropy.table import Table

from mantis_astro import adaptation, redshift_table, refitting
from mantis_astro.calibration import Smoothing
from mantis_astro.cutouts import MultibandCutout
from mantis_astro.exceptions import InputSpecError, PlaceholderModelWarning
from mantis_astro.extinction import find_ebv, resolve_ebv
from mantis_astro.fluxes import SENTINELS
from mantis_astro.models import Committee, CommitteeConfig, load_model, save_model
from mantis_astro.models.reference_files import encoder_sha256
from mantis_astro.pdf import RedshiftPDF
from mantis_astro.prediction import Inference, Predictor, check_data
from mantis_astro.refitting.samples import check_redshifts
from mantis_astro.shift import ReferenceStatistics, ShiftReport
from mantis_astro.shift.verdict import LEVEL
from mantis_astro.tables.coordinates import find_coordinates

if TYPE_CHECKING:
    import torch
    from astropy.coordinates import SkyCoord
    from astropy.table import QTable, Row
    from numpy.typing import ArrayLike

    from mantis_astro.adaptation import ZeroPoints
    from mantis_astro.bands import BandLike
    from mantis_astro.calibration import Recalibrator
    from mantis_astro.cutouts import CutoutSource
    from mantis_astro.extinction import EbvLike
    from mantis_astro.refitting import RecalibrationReport, RefitReport
    from mantis_astro.typing import PathLike

__all__ = ["Inference", "PhotoZ"]


class PhotoZ(Predictor):
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

    @classmethod
    def from_pretrained(
        cls, name: str | None = None, *, device: torch.device | str | None = None
    ) -> Self:
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
    def from_file(
        cls, path: PathLike, *, device: torch.device | str | None = None
    ) -> Self:
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

    def save(
        self, path: PathLike, *, dtype: Literal["float32", "float16"] = "float32"
    ) -> None:
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

    def add_redshifts(
        self,
        table: Table,
        source: CutoutSource | None = None,
        *,
        ra: str | None = None,
        dec: str | None = None,
        ebv: EbvLike = None,
        prefix: str = "",
        columns: Sequence[str] | None = None,
        dihedral: bool = False,
        missing: Sequence[float] = SENTINELS,
        rng: np.random.Generator | None = None,
        chunk: int = 64,
        progress: bool = True,
        resume: PathLike | None = None,
        overwrite: bool = False,
    ) -> QTable:
        """
        Add redshift columns to a table of galaxies.

        Rows are predicted as their cutouts come, so that memory does not grow with the
        table beyond the columns themselves. Trouble with a row is a flag and a masked
        value, and never stops the others.

        Parameters
        ----------
        table : `~astropy.table.Table`
            The galaxies: ``ra`` and ``dec`` or a SkyCoord column (see
            `~mantis_astro.tables.coordinates.find_coordinates`), or fluxes for a
            photometric model. Not changed.
        source : CutoutSource, optional
            Where cutouts come from: `FitsFolder`, `CutoutStore`, `SimulatedSky`, ...;
            by default the surveys' servers, through `SurveyCutouts`. A photometric
            model reads fluxes from the table; with a source, for a table that has
            none, it measures them on the cutouts first, see `measure`.
        ra, dec : str, optional
            Names of the columns of coordinates, where they are not found.
        ebv : float, array_like, mapping or str, optional
            Galactic E(B-V) in magnitudes, or the name of its column, or a mapping of
            dust map to either. By default a column ``ebv`` if there is one, else the
            model's default, which is flagged.
        prefix : str, optional
            Put before the names of all new columns.
        columns : sequence of str, optional
            Which of the new columns to keep, without prefix; by default all.
        dihedral : bool, optional
            Average p(z) over the eight orientations of each image.
        missing : sequence of float, optional
            Values that mark a flux as not observed, for a photometric model; an empty
            one takes every flux for an observation. See
            `~mantis_astro.fluxes.read_fluxes`.
        rng : `numpy.random.Generator`, optional
            Adds a column ``z_mc``: one draw from each p(z).
        chunk : int, optional
            How many objects are predicted at once. Answers do not depend on it.
        progress : bool, optional
            Whether to show a progress bar, in a terminal or a notebook, if it takes
            longer than a second.
        resume : str or path-like, optional
            A file that keeps finished rows as they come. If it is there already, its
            rows are not computed again: call again with the same arguments after a
            crash, a kill or Ctrl-C. Rows of which a cutout failed to be fetched are
            not kept, so that they are tried again.
        overwrite : bool, optional
            Whether to replace the columns that an earlier call with this prefix added,
            all of them, so that none of another model is left.

        Returns
        -------
        `~astropy.table.QTable`
            All columns, units, masks, meta and indices of the input; then the columns
            of `RedshiftPDF.to_table`. Rows without data have masked estimates, a
            ``pz`` uniform in density, and say why in ``flags``. ``ood_score`` says how
            little the training set supports a redshift of each galaxy, as it has none
            alike or those disagree; masked if the model has no statistics of that.
            ``meta`` tells model, versions, thresholds and redshift bins.

        Raises
        ------
        KeyError
            If coordinates, fluxes or a named column are not there.
        TypeError
            If ``table`` is no table, or ``source`` no source of cutouts.
        ValueError
            If a new column has the name of an old one and ``overwrite`` is false, or an
            argument does not fit.
        MantisError
            If the file to resume from belongs to another table or model, or another
            process writes to it.

        Warns
        -----
        OutOfDistributionWarning
            If the sample as a whole is unlike the training set. All its rows are then
            flagged ``OOD_DOMAIN``. At least 50 rows are needed to tell; of more than
            2,000 as many, evenly spaced, are looked at.

        Examples
        --------
        >>> from astropy.table import QTable
        >>> from mantis_astro import CutoutStore, PhotoZ
        >>> photoz = PhotoZ.from_pretrained("simulated-early")
        >>> empty_sky = CutoutStore(getfixture("tmp_path") / "store", "a")
        >>> table = QTable({"name": ["NGC 1"], "ra": [1.816], "dec": [27.708]})
        >>> columns = ["z_median", "flags"]
        >>> table = photoz.add_redshifts(table, empty_sky, columns=columns)
        >>> table.colnames
        ['name', 'ra', 'dec', 'z_median', 'flags']
        >>> table["z_median"].mask
        array([ True])
        """
        return redshift_table.add_redshifts(
            self,
            table,
            source,
            ra=ra,
            dec=dec,
            ebv=ebv,
            prefix=prefix,
            columns=columns,
            dihedral=dihedral,
            missing=missing,
            rng=rng,
            chunk=chunk,
            progress=progress,
            resume=resume,
            overwrite=overwrite,
        )

    def at(
        self,
        target: str | SkyCoord,
        source: CutoutSource | None = None,
        *,
        ebv: EbvLike = None,
        dihedral: bool = False,
    ) -> Row:
        """
        Compute p(z) of one object, by its name or its position.

        Parameters
        ----------
        target : str or `~astropy.coordinates.SkyCoord`
            A name, such as ``"M 101"``, that Sesame finds in SIMBAD, NED or VizieR; or
            a position, in any frame. See `~mantis_astro.services.find_object`.
        source : CutoutSource, optional
            Where cutouts come from; by default the surveys' servers. A photometric
            model measures fluxes on the cutouts.
        ebv : float or mapping of str to float, optional
            Galactic E(B-V) in magnitudes; by default the model's default, which is
            flagged.
        dihedral : bool, optional
            Average p(z) over the eight orientations of each image.

        Returns
        -------
        `~astropy.table.Row`
            ``name``, ``coord`` and the columns of `add_redshifts`, ``pz`` and ``flags``
            among them; `RedshiftPDF.from_table` and the functions of
            `mantis_astro.plotting` take it.

        Raises
        ------
        OSError
            `~mantis_astro.exceptions.FetchError` if a name cannot be asked for.
        ValueError
            If there is no object of that name, or ``target`` is not one position.

        Examples
        --------
        >>> from astropy.coordinates import SkyCoord
        >>> from mantis_astro import PhotoZ, decode_flags
        >>> photoz = PhotoZ.from_pretrained("simulated-early")
        >>> row = photoz.at("M 101")  # doctest: +SKIP
        >>> from mantis_astro import CutoutStore
        >>> empty_sky = CutoutStore(getfixture("tmp_path") / "store", "a")
        >>> row = photoz.at(SkyCoord(l=102, b=59.8, unit="deg", frame="galactic"),
        ...                 empty_sky)
        >>> "NO_DATA" in decode_flags(row["flags"])
        True
        """
        return redshift_table.redshift_at(
            self, target, source, ebv=ebv, dihedral=dihedral
        )

    def with_recalibration(self, recalibrator: Recalibrator | None) -> Self:
        """
        Return a copy with recalibrated p(z).

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
        return self._with(self.network, replace(self.card, recalibration=plain))

    def with_smoothing(self, width: float | Smoothing) -> Self:
        """
        Return a copy with smoothed p(z).

        Parameters
        ----------
        width : float or `~mantis_astro.calibration.Smoothing`
            Standard deviation of the Gaussian in ln(1 + z), see `RedshiftPDF.smooth`;
            0 for none. Or what was fitted to p(z) of this model without smoothing.

        Returns
        -------
        PhotoZ
            The same network; `save` keeps the width in the card.

        Raises
        ------
        ValueError
            `~mantis_astro.exceptions.InputSpecError` if the model is recalibrated: that
            was fitted to p(z) of another width.

        Examples
        --------
        >>> from mantis_astro import PhotoZ
        >>> photoz = PhotoZ.from_pretrained().with_recalibration(None)
        >>> photoz.with_smoothing(0.005).card.smoothing
        0.005
        """
        value = float(width.width_ if isinstance(width, Smoothing) else width)
        if self.recalibrator is not None and value != self.card.smoothing:
            msg = (
                f"'{self.card.name}' is recalibrated, for p(z) of another width: "
                "smooth photoz.with_recalibration(None), and recalibrate that"
            )
            raise InputSpecError(msg)
        return self._with(self.network, replace(self.card, smoothing=value))

    def _with(self, network, card):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PlaceholderModelWarning)  # said before
            return type(self)(network, card)

    @classmethod
    def average(cls, models: Sequence[Self], *, name: str | None = None) -> Self:
        """
        Combine several models into one that averages their p(z).

        Parameters
        ----------
        models : sequence of PhotoZ
            Models that read the same and have the same redshift bins, such as several
            trainings from different seeds.
        name : str, optional
            Name of the new one; by default that of the first.

        Returns
        -------
        PhotoZ
            Saved and loaded as one file. Its p(z) are the mean of what the networks
            give, smoothed by the largest width of the models, and not recalibrated: an
            average is broader than its parts, so fit a recalibrator to it.

        Raises
        ------
        ValueError
            `~mantis_astro.exceptions.InputSpecError` if there is none, or they differ
            in what they read or in their bins.

        Examples
        --------
        >>> from mantis_astro import PhotoZ
        >>> photoz = PhotoZ.from_pretrained("simulated-photometric")
        >>> both = PhotoZ.average([photoz, photoz])
        >>> both.card.network.kind, both.network.n_features
        ('committee', 512)
        """
        models = list(models)
        if not models:
            msg = "'models' must have at least one model"
            raise InputSpecError(msg)
        first = models[0].card
        for model in models[1:]:
            card = model.card
            if card.spec != first.spec or card.z_edges != first.z_edges:
                msg = (
                    f"'models' must read the same and have the same redshift bins; "
                    f"'{card.name}' differs from '{first.name}'"
                )
                raise InputSpecError(msg)
        networks = [part for model in models for part in model._networks]
        config = CommitteeConfig(
            tuple(part for model in models for part in _configs(model.card.network))
        )
        card = replace(
            first,
            name=first.name if name is None else name,
            network=config,
            description=f"{first.description}; mean of {len(networks)} networks",
            smoothing=max(model.card.smoothing for model in models),
            recalibration=None,
            reference=None,
            file="",
            sha256="",
        )
        return models[0]._with(Committee(networks).eval(), card)

    def members(self) -> list[Self]:
        """
        Take an average apart.

        Returns
        -------
        list of PhotoZ
            The models of which this is the average, without recalibration or
            statistics of their training set; or this one, if it is none.
        """
        if not isinstance(self.network, Committee):
            return [self]
        plain = replace(self.card, recalibration=None, reference=None)
        return [
            self._with(network, replace(plain, network=config))
            for network, config in zip(
                self._networks, self.card.network.members, strict=True
            )
        ]

    @property
    def _networks(self):
        is_committee = isinstance(self.network, Committee)
        return list(self.network.members) if is_committee else [self.network]

    def with_reference(
        self,
        features: ArrayLike,
        *,
        rng: np.random.Generator | int,
        z_spec: ArrayLike | None = None,
        n_vector: int = 2000,
        sample: str | None = None,
    ) -> Self:
        """
        Return a copy with the statistics of its training set.

        Parameters
        ----------
        features : array_like
            What `PhotoZ.features` gives for galaxies of the training sample, shape (n,
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
        width = self.network.n_features
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
        return self._with(self.network, replace(self.card, reference=reference))

    def shift_report(
        self,
        data: MultibandCutout | Iterable[MultibandCutout] | Table,
        source: CutoutSource | None = None,
        *,
        rng: np.random.Generator | int,
        ebv: EbvLike = None,
        ra: str | None = None,
        dec: str | None = None,
        n_permutation: int = 500,
        level: float = LEVEL,
        max_objects: int = 1000,
        clip: float = 20.0,
    ) -> ShiftReport:
        """
        Compare a sample with the training set.

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
            As for `PhotoZ.predict`, or `add_redshifts` if it is a table.
        ra, dec : str, optional
            Names of the columns of coordinates, where they are not found.
        n_permutation : int, optional
            Number of permutations behind each p-value.
        level : float, optional
            False alarm rate of the verdict.
        max_objects : int, optional
            Of larger samples as many objects are drawn for the tests. Their cost grows
            with the cube.
        clip : float, optional
            Largest ratio of densities in the weights, and inverse of the smallest.

        Returns
        -------
        `~mantis_astro.shift.ShiftReport`
            Tests, scores of each galaxy, weights and a verdict; for a model of any
            bands also ``inputs``, what is different in which band.

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
        if self.card.is_photometric and not isinstance(data, Table):
            data = self.measure(data)
        if isinstance(data, Table):
            features = redshift_table.table_features(
                self, data, source, ra=ra, dec=dec, ebv=ebv
            )
        else:
            prepared = self.prepare(list(data), ebv)
            features = self.infer_features(prepared)
        known = features[np.isfinite(features).all(1)]
        report = ShiftReport.compare(
            self.card.reference,
            known,
            rng=rng,
            n_permutation=n_permutation,
            level=level,
            max_objects=max_objects,
            clip=clip,
        )
        ranges = getattr(self.card.spec, "ranges", None)
        if ranges is None:
            return report
        return replace(report, inputs=ranges.compare(*self._measured(data, ebv)))

    def refit(
        self,
        data: MultibandCutout | Iterable[MultibandCutout] | Table | ArrayLike,
        z_spec: ArrayLike,
        *,
        source: CutoutSource | None = None,
        ebv: EbvLike = None,
        coords: SkyCoord | None = None,
        sample_weight: ArrayLike | None = None,
        targets: MultibandCutout
        | Iterable[MultibandCutout]
        | Table
        | ArrayLike
        | None = None,
        targets_ebv: EbvLike = None,
        method: Literal["logistic", "ridge"] = "logistic",
        alphas: Sequence[float] | None = None,
        smoothing: float = 0.02,
        validation_fraction: float = 0.3,
        nside: int = 64,
        n_folds: int = 3,
        n_bootstrap: int = 500,
        rng: np.random.Generator | int = 0,
    ) -> tuple[Self, RefitReport]:
        """
        Fit the last layer to the user's galaxies with redshifts, if that improves p(z).

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
            As for `PhotoZ.predict`, or `add_redshifts` if it is a table.
        coords : `~astropy.coordinates.SkyCoord`, optional
            Positions, shape (n,), so that whole patches of sky are held out; those of
            a table of positions are used unless others are given.
        sample_weight : array_like, optional
            Weights, shape (n,), such as `ShiftReport.weights`; they count in the fit
            and in the decision.
        targets : iterable of MultibandCutout, table or array, optional
            Galaxies without redshifts that the model is for, at least five, in any form
            that ``data`` may have. Labelled galaxies are weighted to look like them, in
            the fit and in the decision; nothing is changed if more than a fifth of the
            targets have no labelled galaxies like them.
        targets_ebv : float, array_like, mapping or str, optional
            E(B-V) of the targets, as ``ebv``.
        method : {"logistic", "ridge"}, optional
            Multinomial logistic regression that begins at the last layer and is
            penalised for leaving it; or one step along a ridge regression, which is
            several times faster and gains less.
        alphas : sequence of float, optional
            Penalties to choose from by cross-validation, as a share of the mean
            squared length of a feature vector; by default 10, 1, 0.1, 0.01, 0.001.
        smoothing : float, optional
            Width, in units of 1 + z, of the Gaussian that a redshift is spread over.
        validation_fraction : float, optional
            Share of the galaxies that is held out to decide.
        nside : int, optional
            HEALPix resolution of the patches that are held out whole; doubled until
            there are ten of them with galaxies.
        n_folds : int, optional
            Folds of the cross-validation.
        n_bootstrap : int, optional
            Number of bootstrap samples of the held-out galaxies.
        rng : int or `~numpy.random.Generator`, optional
            Seed of the split and the bootstrap.

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
        >>> features = np.zeros((10, photoz.network.n_features))
        >>> new, report = photoz.refit(features, np.linspace(0.1, 0.5, 10))
        >>> new is photoz, report.accepted
        (True, False)
        >>> print(report)
        refit not accepted: 10 galaxies are too few to show an improvement: at least 50
        """
        if isinstance(data, Table):
            check_redshifts(z_spec, len(data))  # now, not after the images came
        if self._is_of_positions(data, source):
            if coords is None:
                coords, _ = find_coordinates(data)
            data = redshift_table.table_features(self, data, source, ebv=ebv)
        if targets is not None and self._is_of_positions(targets, source):
            targets = redshift_table.table_features(
                self, targets, source, ebv=targets_ebv
            )
        network, card, report = refitting.refit(
            self,
            data,
            z_spec,
            ebv=ebv,
            coords=coords,
            sample_weight=sample_weight,
            targets=targets,
            targets_ebv=targets_ebv,
            method=method,
            alphas=alphas,
            smoothing=smoothing,
            validation_fraction=validation_fraction,
            nside=nside,
            n_folds=n_folds,
            n_bootstrap=n_bootstrap,
            rng=rng,
        )
        return (self._with(network, card) if report.accepted else self), report

    def recalibrate(
        self,
        data: MultibandCutout | Iterable[MultibandCutout] | Table,
        z_spec: ArrayLike,
        *,
        source: CutoutSource | None = None,
        ebv: EbvLike = None,
        coords: SkyCoord | None = None,
        sample_weight: ArrayLike | None = None,
        rng: np.random.Generator | int = 0,
    ) -> tuple[Self, RecalibrationReport]:
        """
        Recalibrate p(z) on galaxies with known redshifts, if that improves them.

        Neither the network nor the order of redshifts changes: a temperature, a map of
        probabilities, or a map that depends on where p(z) lies and how broad it is are
        tried, see `~mantis_astro.calibration.BestRecalibration`. Some 50 galaxies are
        enough for a first one.

        Parameters
        ----------
        data : iterable of MultibandCutout, or `~astropy.table.Table`
            What the model reads; or a table of positions, as for `add_redshifts`.
        z_spec : array_like or `~astropy.units.Quantity`
            Spectroscopic redshifts, shape (n,); masked or NaN where there is none.
        source : CutoutSource, optional
            Where the cutouts of a table of positions come from.
        ebv : float, array_like, mapping or str, optional
            As for `PhotoZ.predict`, or `add_redshifts` if it is a table.
        coords : `~astropy.coordinates.SkyCoord`, optional
            Positions, shape (n,), so that whole patches of sky are left out together;
            those of a table of positions are used unless others are given.
        sample_weight : array_like, optional
            Weights, shape (n,), such as `ShiftReport.weights`.
        rng : int or `~numpy.random.Generator`, optional
            Seed of the folds.

        Returns
        -------
        photoz : PhotoZ
            The new model, whose card says what was done, if galaxies left out of the
            fit show it to be better; else this one. A recalibration that it had is
            replaced.
        report : `~mantis_astro.refitting.RecalibrationReport`
            What was chosen, why, and metrics before and after.

        Raises
        ------
        ValueError
            If shapes do not match or fewer than 20 galaxies can be used.

        Examples
        --------
        >>> from astropy.table import QTable
        >>> from mantis_astro import PhotoZ
        >>> photoz = PhotoZ.from_pretrained("simulated-photometric")
        >>> table = QTable.read("spectra.fits")  # doctest: +SKIP
        >>> new, report = photoz.recalibrate(table, table["z_spec"])  # doctest: +SKIP
        >>> print(report)  # doctest: +SKIP
        >>> new.save("mine.safetensors")  # doctest: +SKIP
        """
        bare = self.with_recalibration(None)
        if isinstance(data, Table):
            check_redshifts(z_spec, len(data))  # now, not after the images came
            if coords is None and self._is_of_positions(data, source):
                coords, _ = find_coordinates(data)
            columns, prefix = ["pz", "flags"], "recalibrate_"
            data = bare.add_redshifts(
                data, source, ebv=ebv, columns=columns, prefix=prefix
            )
            pdf = RedshiftPDF.from_table(data, prefix=prefix)
        else:
            data = [data] if isinstance(data, MultibandCutout) else data
            pdf = bare.predict(data, ebv=ebv)
        card, report = refitting.recalibrate(
            self, pdf, z_spec, coords=coords, sample_weight=sample_weight, rng=rng
        )
        return (self._with(self.network, card) if report.accepted else self), report

    def adapt(
        self,
        table: Table,
        *,
        ebv: EbvLike = None,
        reference: Iterable[BandLike] | None = None,
        n_galaxies: int = 5000,
        n_library: int = 20_000,
        systematic: float = 0.02,
        missing: Sequence[float] = SENTINELS,
        rng: np.random.Generator | int = 0,
    ) -> ZeroPoints:
        """
        Find offsets of the photometry of a sample, without redshifts.

        Parameters
        ----------
        table : `~astropy.table.Table`
            Fluxes and errors as `PhotoZ.predict` reads them, of some hundred galaxies.
        ebv : float, array_like, mapping or str, optional
            As for `add_redshifts`; with a mapping, the first of the model's maps
            counts.
        reference, n_galaxies, n_library, systematic
            As for `~mantis_astro.adaptation.fit_zero_points`.
        missing : sequence of float, optional
            As for `PhotoZ.predict`.
        rng : int or `~numpy.random.Generator`, optional
            As for `~mantis_astro.adaptation.fit_zero_points`.

        Returns
        -------
        `~mantis_astro.adaptation.ZeroPoints`
            Offsets of magnitudes with errors. Print it; ``zero_points.apply(table)``
            gives a corrected copy of the table.

        Raises
        ------
        ValueError
            `~mantis_astro.exceptions.InputSpecError` if the model reads images, or too
            few galaxies have fluxes and errors.

        Examples
        --------
        >>> from astropy.table import QTable
        >>> from mantis_astro import PhotoZ
        >>> photoz = PhotoZ.from_pretrained("simulated-photometric")
        >>> table = QTable.read("galaxies.fits")  # doctest: +SKIP
        >>> zero_points = photoz.adapt(table)  # doctest: +SKIP
        >>> photoz.add_redshifts(zero_points.apply(table))  # doctest: +SKIP
        """
        if not self.card.spec.reads_tables:
            msg = f"'{self.card.name}' reads images: zero points are those of tables"
            raise InputSpecError(msg)
        check_data(table)
        fluxes = self.card.spec.read(table, missing=missing)
        maps = self.card.ebv_maps
        ebv = find_ebv(table, ebv)
        values, _ = resolve_ebv(ebv, len(table), maps, default=dict.fromkeys(maps, 0.0))
        return adaptation.fit_zero_points(
            fluxes,
            ebv=values[:, 0],
            reference=reference,
            n_galaxies=n_galaxies,
            n_library=n_library,
            systematic=systematic,
            rng=rng,
        )

    def explain(
        self,
        data: MultibandCutout | Iterable[MultibandCutout] | Table | ArrayLike,
        reference: Table | ArrayLike,
        *,
        k: int = 5,
        source: CutoutSource | None = None,
        ebv: EbvLike = None,
    ) -> QTable:
        """
        Find the reference galaxies with the most similar features.

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
        if self._is_of_positions(data, source):
            data = redshift_table.table_features(self, data, source, ebv=ebv)
        return refitting.explain(self, data, reference, k=k, ebv=ebv)

    def list_outside(
        self,
        table: Table,
        *,
        ebv: EbvLike = None,
        missing: Sequence[float] = SENTINELS,
    ) -> QTable:
        """
        List the values of a table outside the training set, in words.

        Parameters
        ----------
        table : `~astropy.table.Table`
            Fluxes, as for `PhotoZ.predict`.
        ebv, missing
            As for `PhotoZ.predict`.

        Returns
        -------
        `~astropy.table.QTable`
            A line for each measurement by which a row is flagged OOD_FEATURE: ``row``,
            ``band``, ``quantity`` (magnitude, depth of the error or colour; or number
            of measurements, shortest or longest wavelength), ``value``, what was
            learnt (``low`` and ``high``) and the ``reason`` in words.

        Raises
        ------
        ValueError
            `~mantis_astro.exceptions.InputSpecError` if the model does not know what
            it learnt from, as those of fixed bands.
        """
        measured, bands = self._measured(table, ebv, missing)
        return self.card.spec.ranges.list_outside(measured, bands)

    def _measured(self, table, ebv, missing=SENTINELS):
        """Measurements of a table in magnitudes, and their bands."""
        spec = self.card.spec
        if getattr(spec, "ranges", None) is None:
            msg = (
                f"'{self.card.name}' does not know which magnitudes, errors and "
                "colours it has learnt from: models of any bands do"
            )
            raise InputSpecError(msg)
        check_data(table)
        fluxes = spec.read(table, missing=missing)
        ebv = find_ebv(table, ebv)
        return spec.measured(spec.to_tensor(fluxes, ebv).images), fluxes.bands

    def _is_of_positions(self, data, source):
        """Whether its cutouts are still to be found."""
        return (
            isinstance(data, Table)
            and (source is not None or not self.card.is_photometric)
            and "features" not in data.colnames
        )


def _configs(network):
    return network.members if isinstance(network, CommitteeConfig) else (network,)
