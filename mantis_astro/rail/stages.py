"""
`AnyBandInformer` and `AnyBandEstimator`, in a module that needs RAIL.

Importing it imports RAIL, whose classes they derive from.
"""

import numpy as np

from mantis_astro._optional import require
from mantis_astro.exceptions import InputSpecError
from mantis_astro.flags import Flag
from mantis_astro.photoz import PhotoZ
from mantis_astro.rail.ensembles import KINDS, on_grid
from mantis_astro.rail.informed_model import InformedModel
from mantis_astro.rail.photometry import PhotometryColumns
from mantis_astro.training import finetune

informer = require("rail.estimation.informer", extra="rail")
estimator = require("rail.estimation.estimator", extra="rail")
data = require("rail.core.data", extra="rail")
enums = require("rail.core.enums", extra="rail")
shared = require("rail.core.common_params", extra="rail")
config = require("ceci.config", extra="rail")

__all__ = ["AnyBandEstimator", "AnyBandInformer", "InformedModelHandle"]

_METHODS = ("finetune", "refit", "adapt", "none")


def _column_options():
    """Parameters that both stages have, new ones for each."""
    copied = ("bands", "err_bands", "mag_limits", "nondetect_val", "nonobserved_val")
    options = {name: shared.SharedParams.copy_param(name) for name in copied}
    return options | {
        "filters": config.StageParameter(
            list,
            [f"lsst_baseline_{band}" for band in "ugrizy"],
            msg="filter of each of 'bands', in the same order: names of sedpy, such as "
            "decam_g, or bands of mantis_astro, such as ps1.g",
        ),
        "photometry_unit": config.StageParameter(
            str,
            "mag",
            msg="what 'bands' hold: mag for AB magnitudes, or a unit of flux densities "
            "such as nJy",
        ),
        "aperture": config.StageParameter(
            str,
            "total",
            msg="light that 'bands' hold: total, or empty if that is not known",
        ),
        "ebv_col": config.StageParameter(
            str,
            "",
            msg="column of the E(B-V) that photometry still suffers; empty if it is "
            "corrected for Galactic dust",
        ),
    }


class _ReadsPhotometry:
    """A stage with the parameters of `_column_options`."""

    @property
    def _columns(self):
        options = self.config
        return PhotometryColumns(
            tuple(options.bands),
            tuple(options.err_bands),
            tuple(options.filters),
            unit=options.photometry_unit,
            nondetect_val=options.nondetect_val,
            nonobserved_val=options.nonobserved_val,
            mag_limits=options.mag_limits,
            aperture=options.aperture,
            ebv_col=options.ebv_col,
        )

    @classmethod
    def get_module(cls):
        """
        Return the module from which a process of RAIL imports the stage.

        Returns
        -------
        str
            Name of a module of RAIL's namespace.
        """
        return "rail.mantis_astro"

    def _read(self, table):
        return self._columns.read(self._convert_table_format(table, "numpyDict"))

    def validate(self):
        """
        Check the parameters before anything is computed.

        Raises
        ------
        ValueError
            If one does not fit.
        """
        self._columns  # noqa: B018  its checks are what is wanted
        super().validate()


class InformedModelHandle(data.ModelHandle):
    """Files of an `InformedModel`: weights and their card, and no code."""

    suffix = "safetensors"

    @classmethod
    def _open(cls, path, **_):
        return InformedModel.read(path)

    @classmethod
    def _read(cls, path, **_):
        return InformedModel.read(path)

    @classmethod
    def _write(cls, data, path, **_):
        data.write(path)


class AnyBandInformer(_ReadsPhotometry, informer.CatInformer):
    """
    Fit a model of any bands to a sample with redshifts.

    What comes out is a file of weights: `AnyBandEstimator` reads it, and so does
    `PhotoZ.from_file`.

    Parameters
    ----------
    args : dict or namespace
        What RAIL gives to a stage.
    **kwargs
        As for all stages of RAIL.
    """

    name = "AnyBandInformer"
    entrypoint_function = "inform"
    outputs = [("model", InformedModelHandle)]  # noqa: RUF012  RAIL's protocol
    config_options = informer.CatInformer.config_options.copy()
    config_options.update(
        **_column_options(),
        redshift_col=shared.SharedParams.copy_param("redshift_col"),
        start_model=config.StageParameter(
            str, "any-band", msg="model to begin with: a name, or a file of weights"
        ),
        method=config.StageParameter(
            str,
            "finetune",
            msg="finetune: all of the network goes on learning, best from some hundred "
            "galaxies on; refit: its last layer alone; adapt: zero points of the "
            "bands, without redshifts; none: the model as it is",
        ),
        steps=config.StageParameter(
            int,
            0,
            msg="steps of finetune at most, 0 for its default; it ends when it gains "
            "nothing more",
        ),
        ensemble=config.StageParameter(
            int, 1, msg="trainings of finetune whose p(z) are averaged"
        ),
        seed=config.StageParameter(int, 0, msg="seed of all that is drawn"),
    )

    def validate(self):
        """
        Check the parameters before anything is computed.

        Raises
        ------
        ValueError
            If one does not fit.
        """
        if self.config.method not in _METHODS:
            msg = f"'method' must be one of {', '.join(_METHODS)}, got "
            raise InputSpecError(msg + repr(self.config.method))
        super().validate()

    def run(self):
        """Fit the model, and put it into RAIL's store of data."""
        options = self.config
        name = options.start_model
        is_file = name.endswith(".safetensors")
        photoz = PhotoZ.from_file(name) if is_file else PhotoZ.from_pretrained(name)
        training = self.get_data("input")
        if options.hdf5_groupname:
            training = training[options.hdf5_groupname]
        points, report = None, None
        if options.method != "none":
            table, ebv = self._read(training)
        if options.method == "adapt":
            points = report = photoz.adapt(table, ebv=ebv, rng=options.seed)
        elif options.method != "none":
            z = np.asarray(training[options.redshift_col], float)
        if options.method == "refit":
            photoz, report = photoz.refit(table, z, ebv=ebv, rng=options.seed)
        elif options.method == "finetune":
            photoz, report = finetune(
                photoz,
                table,
                z,
                ebv=ebv,
                steps=options.steps or None,
                ensemble=options.ensemble,
                seed=options.seed,
            )
        self.log.info("what it learnt", method=options.method, report=str(report))
        self.model = InformedModel(photoz, points)
        self.add_data("model", self.model)


class AnyBandEstimator(_ReadsPhotometry, estimator.CatEstimator):
    """
    Compute p(z) with a model of `AnyBandInformer`, or any file of weights.

    Beside each p(z) goes what the model says of the object: ``flags`` (see
    `mantis_astro.Flag`), ``ood_score`` and ``p_star``, NaN where the model does not
    know, and ``zmode``, the grid's redshift of highest density.

    Parameters
    ----------
    args : dict or namespace
        What RAIL gives to a stage.
    **kwargs
        As for all stages of RAIL.
    """

    name = "AnyBandEstimator"
    entrypoint_function = "estimate"
    inputs = [("model", InformedModelHandle), ("input", data.TableHandle)]  # noqa: RUF012
    config_options = estimator.CatEstimator.config_options.copy()
    config_options.update(
        **_column_options(),
        qp_representation=config.StageParameter(
            str,
            "interp",
            msg="interp: densities at 'nzbins' redshifts from 'zmin' to 'zmax', to be "
            "joined by straight lines; hist: 'nzbins' bins between them",
        ),
    )

    @classmethod
    def default_distribution_type(cls):
        """
        Return the type of the densities for RAIL.

        Returns
        -------
        DistributionType
            Posteriors: they carry the n(z) of what the model learnt from.
        """
        return enums.DistributionType.posterior

    def validate(self):
        """
        Check the parameters before anything is computed.

        Raises
        ------
        ValueError
            If one does not fit.
        """
        if self.config.qp_representation not in KINDS:
            msg = f"'qp_representation' must be one of {', '.join(KINDS)}, "
            raise InputSpecError(msg + f"got {self.config.qp_representation!r}")
        super().validate()

    def _process_chunk(self, start, end, data, first):
        photoz, points = self.model.photoz, self.model.zero_points
        table, ebv = self._read(data)
        if points is not None:
            table = points.apply(table)
        fluxes = photoz.card.spec.read(table, missing=())
        answer = photoz.infer(photoz.prepare(fluxes, ebv))
        options = self.config
        grid = options.zmin, options.zmax, options.nzbins
        ensemble, beyond = on_grid(answer.pdf, *grid, kind=options.qp_representation)
        flags = np.array(answer.flags)
        flags[beyond > Flag.EDGE_PDF.threshold] |= int(Flag.EDGE_PDF)
        unknown = np.full(end - start, np.nan, np.float32)
        p_star = unknown if answer.p_star is None else answer.p_star
        ensemble.set_ancil(
            {
                "flags": flags,
                "ood_score": answer.ood_score,
                "p_star": p_star,
                "zmode": np.ravel(ensemble.mode(np.linspace(*grid))),
            }
        )
        self._do_chunk_output(ensemble, start, end, first, data=data)
