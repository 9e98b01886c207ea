"""Planes of a cube, as the Legacy Survey viewer writes them, by their bands."""

import math
import re
from pathlib import Path

from mantis_astro.bands import get_band, get_survey, list_bands, list_surveys
from mantis_astro.cutouts.headers import read_text
from mantis_astro.exceptions import InputSpecError

__all__ = ["guess_band", "name_planes", "zero_point_of_pixels"]

_SURVEY_ALIASES = {"panstarrs": "ps1", "panstarrs1": "ps1", "ps": "ps1"}
_SAME_PIXELS = 1e-3  # relative: a WCS says 2.75 arcsec as 2.7499999


def name_planes(header, shape, *, survey=None, filename=""):
    """
    Return the band of each plane of an image or a cube.

    A cube is told by the letters of its header card ``BANDS``, never by the order of
    its planes; an image without that card by `guess_band`.

    Parameters
    ----------
    header : `~astropy.io.fits.Header`
        Header of the image.
    shape : tuple of int
        Shape of the pixels, (..., ny, nx).
    survey : Survey, optional
        Survey whose letters they are; by default the one that the header names
        (``SURVEY``) or the file name, or the only one that has these letters.
    filename : str, optional
        Name of the file.

    Returns
    -------
    list of Band or None
        One for each plane; None where neither header nor file name tells.

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` if the planes are not named, or not
        as many as the letters.

    Examples
    --------
    >>> from astropy.io import fits
    >>> from mantis_astro.cutouts.planes import name_planes
    >>> header = fits.Header({"SURVEY": "GALEX", "BANDS": "nf"})
    >>> [str(band) for band in name_planes(header, (2, 32, 32))]
    ['galex.NUV', 'galex.FUV']
    """
    n_planes = math.prod(shape[:-2])
    letters = read_text(header, "BANDS")
    if letters:
        if len(letters) != n_planes:
            msg = f"BANDS = '{letters}' does not match a cube of {n_planes} planes"
            raise InputSpecError(msg)
        survey = survey or _survey_of_cube(header, letters, filename)
        bands = {} if survey is None else _by_letter(survey)
        planes = [bands.get(letter) for letter in letters]
    elif n_planes == 1:
        planes = [None]
    else:
        msg = f"the planes of a cube of shape {shape} are not named (no BANDS)"
        raise InputSpecError(msg)
    return [guess_band(header, filename)] if planes == [None] else planes


def guess_band(header, filename=""):
    """
    Identify the band from a header, or else from a file name.

    Parameters
    ----------
    header : `~astropy.io.fits.Header`
        Header of the image.
    filename : str, optional
        Name of the file; read only when the header does not tell.

    Returns
    -------
    Band or None
        None if neither tells, or they name a survey that is not registered.

    Raises
    ------
    KeyError
        `~mantis_astro.exceptions.MissingBandError` if the header names a band that
        its survey does not have.

    Examples
    --------
    >>> from astropy.io import fits
    >>> from mantis_astro.cutouts.planes import guess_band
    >>> guess_band(fits.Header(), "unwise-1866p257-w1-img-m.fits")
    Band(survey='unwise', name='W1')
    """
    if ps1_filter := read_text(header, "FPA.FILTERID"):  # Pan-STARRS1: "g.00000"
        return get_band(f"ps1.{ps1_filter[0]}")
    if read_text(header, "ORIGIN").startswith("WISE Science Data Center"):
        return get_band(f"allwise.W{read_text(header, 'BAND')}")
    by_name = {str(band).lower(): band for band in list_bands()}
    extname = read_text(header, "EXTNAME").lower()
    if extname in by_name:  # a file of ours
        return by_name[extname]
    words = _words(filename)
    for band in list_bands():
        if band.survey in words and band.name.lower() in words:
            return band
    return None


def zero_point_of_pixels(zero_point_ab, band, pixel_scale):
    """
    Return the zero point of pixels that were interpolated from a survey's own.

    Servers interpolate the values of native pixels: a pixel of another size then holds
    as much more flux as its area is larger.

    Parameters
    ----------
    zero_point_ab : float
        Of the survey's own pixels, AB magnitude of one unit.
    band : Band
        Band of the image.
    pixel_scale : float
        Side of a pixel in arcsec.

    Returns
    -------
    float
        Zero point of the image's pixels.
    """
    native = get_survey(band.survey).pixel_scale.to_value("arcsec")
    if math.isclose(pixel_scale, native, rel_tol=_SAME_PIXELS):
        return zero_point_ab
    return zero_point_ab - 5 * math.log10(pixel_scale / native)


def _survey_of_cube(header, letters, filename):
    told = read_text(header, "SURVEY").lower()
    if told:
        names = {s.title.lower(): s for s in list_surveys()}
        names |= {s.name: s for s in list_surveys()}
        return names.get(told)
    words = _words(filename)
    for survey in list_surveys():
        if survey.name in words:
            return survey
    coded = [s for s in list_surveys() if s.band_codes]
    found = [s for s in coded if set(letters) <= set(s.band_codes)]
    return found[0] if len(found) == 1 else None


def _by_letter(survey):
    letters = survey.band_codes or [band.name for band in survey.bands]
    return dict(zip(letters, survey.bands, strict=True))


def _words(filename):
    words = re.split(r"[^a-z0-9]+", Path(filename).name.lower())
    return {_SURVEY_ALIASES.get(word, word) for word in words}
