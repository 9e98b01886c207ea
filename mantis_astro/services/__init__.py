"""
Survey servers, asked in astroquery's manner; the only code that asks a survey.

`PanSTARRS`, `GALEX`, `UnWISE`, `LegacySurvey` and `HiPS` serve one position at a time;
`get_cutouts` asks the right ones for any bands; `SurveyCutouts` serves tables of any
length. `register_service` adds a server. Servers' addresses, time-outs and retries are
in `conf`.
"""

from mantis_astro.services.base import CutoutServiceClass
from mantis_astro.services.configuration import Conf, conf
from mantis_astro.services.hips import HiPS, HiPSClass
from mantis_astro.services.legacy_survey import (
    GALEX,
    LegacySurvey,
    LegacySurveyClass,
    UnWISE,
)
from mantis_astro.services.names import find_object
from mantis_astro.services.panstarrs import PanSTARRS, PanSTARRSClass
from mantis_astro.services.registry import (
    get_service,
    get_services,
    list_services,
    register_service,
    unregister_service,
)
from mantis_astro.services.request import HttpRequest, ImageRequest
from mantis_astro.services.routing import get_cutouts
from mantis_astro.services.survey_cutouts import SurveyCutouts

__all__ = [
    "GALEX",
    "Conf",
    "CutoutServiceClass",
    "HiPS",
    "HiPSClass",
    "HttpRequest",
    "ImageRequest",
    "LegacySurvey",
    "LegacySurveyClass",
    "PanSTARRS",
    "PanSTARRSClass",
    "SurveyCutouts",
    "UnWISE",
    "conf",
    "find_object",
    "get_cutouts",
    "get_service",
    "get_services",
    "list_services",
    "register_service",
    "unregister_service",
]
