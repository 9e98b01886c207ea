"""Spectroscopic redshifts of public surveys: queries, local copies, combination."""

from mantis_astro.redshift_surveys.boxes import SkyBox
from mantis_astro.redshift_surveys.combination import combine_redshifts
from mantis_astro.redshift_surveys.fetching import fetch_redshifts
from mantis_astro.redshift_surveys.surveys import (
    RedshiftSurvey,
    get_redshift_survey,
    list_redshift_surveys,
    register_redshift_survey,
    unregister_redshift_survey,
)

__all__ = [
    "RedshiftSurvey",
    "SkyBox",
    "combine_redshifts",
    "fetch_redshifts",
    "get_redshift_survey",
    "list_redshift_surveys",
    "register_redshift_survey",
    "unregister_redshift_survey",
]
