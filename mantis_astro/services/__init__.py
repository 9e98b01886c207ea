"""
Survey servers, asked in astroquery's manner; the only code that asks a survey.

`PanSTARRS`, `GALEX`, `UnWISE`, `LegacySurvey` and `HiPS` serve one position at a time;
`get_cutouts` asks the right ones for any bands; `SurveyCutouts` serves tables of any
length. Servers, time-outs and retries are in `conf`.
"""

from mantis_astro.services.configuration import Conf, conf
from mantis_astro.services.hips import HiPS, HiPSClass
from mantis_astro.services.legacy_survey import (
    GALEX,
    LegacySurvey,
    LegacySurveyClass,
    UnWISE,
)
from mantis_astro.services.panstarrs import PanSTARRS, PanSTARRSClass
from mantis_astro.services.routing import get_cutouts, get_service
from mantis_astro.services.survey_cutouts import SurveyCutouts

__all__ = [
    "GALEX",
    "Conf",
    "HiPS",
    "HiPSClass",
    "LegacySurvey",
    "LegacySurveyClass",
    "PanSTARRS",
    "PanSTARRSClass",
    "SurveyCutouts",
    "UnWISE",
    "conf",
    "get_cutouts",
    "get_service",
]
