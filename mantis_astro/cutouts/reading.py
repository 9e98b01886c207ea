"""Reading of surveys' FITS files, with corrected unit, zero point, mask and WCS."""

import contextlib
import math
import re
import warnings
import zlib

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs import WCS, FITSFixedWarning

from mantis_astro.bands import get_band, get_survey
from mantis_astro.cutouts.coverage import pixels_without_data
from mantis_astro.cutouts.headers import read_number, read_text
from mantis_astro.cutouts.multiband import META_CARDS
from mantis_astro.cutouts.planes import name_planes, zero_point_of_pixels
from mantis_astro.exceptions import FetchError, InputSpecError

__all__ = ["celestial_wcs", "make_cutout", "read_cutout"]

#: What astropy raises for a file that is no FITS file, is cut short or breaks the
#: standard; the last two come from gzip.
UNREADABLE = (
    OSError,
    TypeError,
    ValueError,
    LookupError,
    fits.VerifyError,
    EOFError,
    zlib.error,
)

# Spellings of units in the wild, where they mean what the survey's unit means.
_UNIT_ALIASES = {
    "": None,
    "adu": u.adu,
    "dn": u.adu,
    "count": u.adu,
    "counts": u.adu,
    "electron": u.electron,
    "electrons": u.electron,
    "nanomaggy": u.nmgy,
    "nanomaggies": u.nmgy,
    "vega nanomaggy": u.nmgy,
    "counts/s": u.ct / u.s,
    "cps": u.ct / u.s,
}
_WCS_CARD = re.compile(
    r"WCSAXES|NAXIS[12]?$|(CTYPE|CRVAL|CRPIX|CDELT|CUNIT|CROTA)[12]|CD[12]_[12]"
    r"|PC[12]_[12]|PC00[12]00[12]|PV[12]_|LONPOLE|LATPOLE|RADE|EQUINOX|EPOCH"
    r"|[AB]P?_(ORDER|\d)"
)


def read_cutout(path, band=None, *, hdu=None):
    """
    Read one image of a survey, with its unit, zero point, mask and WCS.

    The unit comes from the band (most survey headers leave it out or blank), the
    zero point from the band and the exposure time or ``MAGZP`` of the header; a card
    whose value is no number (``"N/A"``) counts as missing, with a message. Pixels that
    are not finite are masked, and those that are exactly zero in an image whose sky was
    subtracted: there the survey has no data. Of a cube of the Legacy Survey viewer one
    plane is read, and its zero point is that of the cube's pixels. The asinh scaling of
    whole Pan-STARRS1 skycells is undone if, and only if, both of its keywords are
    there.

    Parameters
    ----------
    path : str, path-like or file object
        FITS file; gzipped and tile-compressed files too.
    band : Band or str, optional
        Band of the image; by default what the header or the file name tells. Of a cube
        of several bands it must be given.
    hdu : int or str, optional
        HDU to read; by default the first that holds an image.

    Returns
    -------
    `~astropy.nddata.CCDData`
        Image in the survey's unit; ``meta`` has ``zero_point_ab`` (AB magnitude of
        one unit, where it can be known), ``magsys`` and ``exposure_time`` (s). The
        ``wcs`` is None if the header has no celestial one.

    Raises
    ------
    OSError
        `~mantis_astro.exceptions.FetchError` if the file is cut short or is not FITS.
    ValueError
        `~mantis_astro.exceptions.InputSpecError` if the header names another band or
        another unit, or the band cannot be told.

    Notes
    -----
    The scaling of skycells is
    ``flux = BOFFSET + BSOFTEN * (10**(0.4 v) - 10**(-0.4 v))`` (Waters et al. 2020,
    ApJS 251, 4, section 3).
    """
    name = getattr(path, "name", path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        warnings.simplefilter("ignore", AstropyUserWarning)  # "may have been truncated"
        data, header, mask = _read_image(path, hdu, name)
    asked = None if band is None else get_band(band)
    planes = _planes(header, data.shape, asked, name)
    band = _settle_band(asked, planes, name)
    data = data.reshape(-1, *data.shape[-2:])[planes.index(band) if planes[1:] else 0]
    cutout = make_cutout(data, header, band, mask=mask, name=name)
    if "BANDS" in header and "zero_point_ab" in cutout.meta and cutout.wcs is not None:
        area = cutout.wcs.proj_plane_pixel_area().to_value("arcsec2")
        cutout.meta["zero_point_ab"] = zero_point_of_pixels(
            cutout.meta["zero_point_ab"], band, math.sqrt(area)
        )
    return cutout


def make_cutout(data, header, band, *, mask=None, name="the image"):
    """
    Add unit, zero point, mask and WCS of the survey to pixels.

    Parameters
    ----------
    data : `~numpy.ndarray`
        Pixels as the server wrote them, shape (ny, nx).
    header : `~astropy.io.fits.Header`
        Header of the image, or of the cube that it is a plane of.
    band : Band
        Band of the image.
    mask : `~numpy.ndarray` of bool, optional
        Pixels that are known to be bad, shape (ny, nx).
    name : str, optional
        What to call the image in a message.

    Returns
    -------
    `~astropy.nddata.CCDData`
        What `read_cutout` describes, in native float32, but for the zero point: it is
        that of the survey's own pixels.

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` if the header names another unit.
    """
    survey = get_survey(band.survey)
    _check_unit(header, survey, name)
    wcs = celestial_wcs(header)
    data = data.astype(np.float32)
    soften, offset = (
        read_number(header, keyword, name=name) for keyword in ("BSOFTEN", "BOFFSET")
    )
    if soften is not None and offset is not None:
        data = offset + soften * (10 ** (0.4 * data) - 10 ** (-0.4 * data))
    bad = pixels_without_data(data, mask)
    return CCDData(
        data,
        unit=survey.unit,
        wcs=wcs,
        mask=bad if bad.any() else None,
        meta=_facts(header, band, name),
    )


def _read_image(path, hdu, name):
    try:
        with fits.open(path, memmap=False) as hdus:
            if hdu is None:
                hdu = next(i for i, h in enumerate(hdus) if h.is_image and h.shape)
            data, header = hdus[hdu].data, hdus[hdu].header
            mask_name = f"{hdus[hdu].name}_MASK"  # as `MultibandCutout.write` does
            mask = hdus[mask_name].data != 0 if mask_name in hdus else None
    except StopIteration:
        msg = f"{name} holds no image"
        raise FetchError(msg) from None
    except (FileNotFoundError, PermissionError):
        raise
    except UNREADABLE as error:
        msg = f"{name} is cut short or not a FITS file ({error})"
        raise FetchError(msg) from error
    if data is None or data.ndim < 2:
        msg = f"{name}: expected an image, got shape {np.shape(data)}"
        raise InputSpecError(msg)
    return data, header, mask


def _planes(header, shape, asked, name):
    """Bands of the planes by the header, or else by the requested survey."""
    try:
        planes = name_planes(header, shape, filename=str(name))
        if planes[1:] and not any(planes) and asked is not None:
            planes = name_planes(header, shape, survey=get_survey(asked.survey))
    except InputSpecError as error:
        msg = f"{name}: {error}"
        raise InputSpecError(msg) from error
    return planes


def _settle_band(asked, planes, name):
    told = [band for band in planes if band is not None]
    if asked is None and len(told) > 1:
        msg = f"{name} holds {', '.join(map(str, told))}: pass 'band' to choose"
        raise InputSpecError(msg)
    if asked is None and not told:
        msg = f"{name}: neither header nor file name identifies the band; pass 'band'"
        raise InputSpecError(msg)
    if asked is None:
        return told[0]
    if asked not in planes and (told or planes[1:]):
        there = ", ".join(map(str, told)) or "bands that are not known here"
        msg = f"{name} is an image of {there}, not of {asked}"
        raise InputSpecError(msg)
    return asked


def _check_unit(header, survey, name):
    text = read_text(header, "BUNIT")
    unit = _UNIT_ALIASES.get(text.lower(), text)
    if unit is not None and u.Unit(unit, parse_strict="silent") != survey.unit:
        msg = (
            f"{name}: {survey.title} images are in {survey.unit}, "
            f"the header says {text}"
        )
        raise InputSpecError(msg)


def celestial_wcs(header):
    """
    Celestial WCS of a header, or None.

    Only the cards that matter are parsed: survey headers are long, and wcslib then
    takes nine times as long (6.5 ms against 0.7 for a Pan-STARRS1 cutout).

    Parameters
    ----------
    header : `~astropy.io.fits.Header`
        Header of an image, or of a cube whose planes share a WCS.

    Returns
    -------
    `~astropy.wcs.WCS` or None
        Two-dimensional; None if the header has no celestial axes or its WCS is broken.
    """
    cards = [card for card in header.cards if _WCS_CARD.match(card.keyword)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        warnings.simplefilter("ignore", AstropyUserWarning)
        try:
            wcs = WCS(fits.Header(cards), naxis=2)
        except Exception:  # noqa: BLE001  wcslib raises many kinds for a broken header
            return None
    return wcs if wcs.has_celestial and wcs.naxis == 2 else None


def _facts(header, band, name):
    meta = {"magsys": get_survey(band.survey).magsys}
    exposure_time = read_number(header, "EXPTIME", u.s, positive=True, name=name)
    if exposure_time is not None:
        meta["exposure_time"] = exposure_time
    ours, _ = META_CARDS["zero_point_ab"]  # of a file that we wrote
    zero_point_ab = read_number(header, ours, name=name)
    if zero_point_ab is not None:
        meta["zero_point_ab"] = zero_point_ab
        return meta
    # Without an exposure time there is no zero point: photometry says so if needed.
    with contextlib.suppress(ValueError):
        meta["zero_point_ab"] = band.zero_point_ab(
            exposure_time, read_number(header, "MAGZP", name=name)
        )
    return meta
