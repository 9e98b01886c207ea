"""Astrometry: positions of targets on images, and detection of impossible WCSs."""

from mantis_astro.astrometry.checks import (
    SCALE_TOLERANCE,
    Verdicts,
    check_wcs,
    find_wcs_problem,
    judge,
    judge_all,
)
from mantis_astro.astrometry.local_map import LocalMap

__all__ = [
    "SCALE_TOLERANCE",
    "LocalMap",
    "Verdicts",
    "check_wcs",
    "find_wcs_problem",
    "judge",
    "judge_all",
]
