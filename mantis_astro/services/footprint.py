"""Footprints of surveys, evaluated before any request is sent."""

import astropy.units as u
import numpy as np

from mantis_astro._optional import require
from mantis_astro.bands import get_survey

__all__ = ["Footprints"]


class Footprints:
    """
    Footprints of surveys, as far as they are known.

    A survey's declination limit always counts; a coverage map counts where the caller
    gives one. A position outside costs no request.

    Parameters
    ----------
    maps : mapping of Survey or str to `mocpy.MOC` or path, optional
        Coverage maps by survey, for instance ``{"galex": "galex_nuv.fits"}``: a
        MOC, a FITS file of one, or anything with ``contains_lonlat``.

    Raises
    ------
    ImportError
        If a map is a file and mocpy is not installed. A map is never left out
        silently: the answer does not depend on what is installed.
    KeyError
        `~mantis_astro.exceptions.MissingBandError` for an unknown survey.

    Examples
    --------
    >>> from mantis_astro.services.footprint import Footprints
    >>> Footprints().contain("ps1", [10.0, 10.0], [-40.0, 40.0])
    array([False,  True])
    """

    def __init__(self, maps=None):
        self._maps = {
            get_survey(survey): _read_map(given)
            for survey, given in (maps or {}).items()
        }

    def contain(self, survey, ra, dec):
        """
        Return which positions a survey covers, as far as is known.

        Parameters
        ----------
        survey : Survey or str
            The survey.
        ra, dec : array_like of float
            ICRS degrees, shape (n,).

        Returns
        -------
        `~numpy.ndarray` of bool
            Shape (n,); False only where the survey surely has no image.
        """
        survey = get_survey(survey)
        ra, dec = np.asarray(ra, dtype=float), np.asarray(dec, dtype=float)
        inside = np.ones(np.broadcast(ra, dec).shape, dtype=bool)
        if survey.declination_limit is not None:
            inside &= dec >= survey.declination_limit.to_value(u.deg)
        if survey in self._maps:
            inside &= np.asarray(
                self._maps[survey].contains_lonlat(ra * u.deg, dec * u.deg), dtype=bool
            ).reshape(inside.shape)
        return inside


def _read_map(given):
    if hasattr(given, "contains_lonlat"):
        return given
    return require("mocpy", extra="moc").MOC.from_fits(str(given))
