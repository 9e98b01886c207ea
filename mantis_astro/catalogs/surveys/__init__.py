"""The catalogues of surveys, each in a file of its own."""

from mantis_astro.catalogs.surveys.allwise import ALLWISE
from mantis_astro.catalogs.surveys.des import DES
from mantis_astro.catalogs.surveys.galex import GALEX
from mantis_astro.catalogs.surveys.hsc import HSC
from mantis_astro.catalogs.surveys.legacy_survey import LEGACY_SURVEY
from mantis_astro.catalogs.surveys.lsst import LSST
from mantis_astro.catalogs.surveys.ps1 import PS1
from mantis_astro.catalogs.surveys.sdss import SDSS
from mantis_astro.catalogs.surveys.twomass import TWOMASS

__all__ = ["CATALOGS"]

CATALOGS = (LEGACY_SURVEY, SDSS, PS1, DES, GALEX, ALLWISE, LSST, HSC, TWOMASS)
