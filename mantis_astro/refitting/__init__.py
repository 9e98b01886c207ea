"""Adaptation of models to the user's spectra without training; explanation of p(z)."""

from mantis_astro.refitting.acceptance import RefitReport
from mantis_astro.refitting.explanation import explain
from mantis_astro.refitting.heads import with_last_layer
from mantis_astro.refitting.recalibration import RecalibrationReport, recalibrate
from mantis_astro.refitting.refit import refit
from mantis_astro.refitting.samples import feature_table

__all__ = [
    "RecalibrationReport",
    "RefitReport",
    "explain",
    "feature_table",
    "recalibrate",
    "refit",
    "with_last_layer",
]
