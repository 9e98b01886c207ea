"""
Recalibrate densities of redshift from galaxies whose redshift is known.

Recalibrators with ``fit`` and ``transform``, one that chooses among them, a report of
what they do to both sides, calibration and point accuracy, and folds for samples that
are their own test.
"""

from mantis_astro.calibration.choice import BestRecalibration
from mantis_astro.calibration.folds import out_of_fold
from mantis_astro.calibration.ladder import compare_log_scores
from mantis_astro.calibration.local import LocalRecalibration, density_features
from mantis_astro.calibration.pit_map import PITRecalibration
from mantis_astro.calibration.plain import recalibrator_from_plain
from mantis_astro.calibration.recalibrator import Recalibrator
from mantis_astro.calibration.report import report_calibration, summarize_calibration
from mantis_astro.calibration.smoothing import Smoothing
from mantis_astro.calibration.temperature import TemperatureScaling

__all__ = [
    "BestRecalibration",
    "LocalRecalibration",
    "PITRecalibration",
    "Recalibrator",
    "Smoothing",
    "TemperatureScaling",
    "compare_log_scores",
    "density_features",
    "out_of_fold",
    "recalibrator_from_plain",
    "report_calibration",
    "summarize_calibration",
]
