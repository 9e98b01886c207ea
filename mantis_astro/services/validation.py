"""Validation of answers: only verified images are accepted."""

import io
import math
import re
import warnings
from datetime import UTC, datetime

import numpy as np
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.utils.exceptions import AstropyWarning
from astroquery.exceptions import RemoteServiceError

from mantis_astro.astrometry import judge
from mantis_astro.astrometry.directions import tangent_axes
from mantis_astro.bands import get_survey
from mantis_astro.cutouts.coverage import pixels_without_data
from mantis_astro.cutouts.planes import name_planes, zero_point_of_pixels
from mantis_astro.cutouts.reading import make_cutout
from mantis_astro.exceptions import InputSpecError

__all__ = [
    "BadAnswerError",
    "bad_fraction",
    "check_geometry",
    "check_image",
    "check_status",
    "is_covered",
    "open_fits",
    "read_images",
]

CENTRE_TOLERANCE = 1.5  # pixels, from the centre of the image to the position
SCALE_TOLERANCE = 0.01  # of the pixel scale, as `judge` takes it
_WELL_COVERED = 0.01  # share of bad pixels beyond which another image is tried
_FITS_BLOCK = 2880
# The viewer says this and no more, with status 200 or 400, off the edge of a survey.
_NO_OVERLAP = re.compile(r"(error:? *)?no overlap\b[^<>]{0,80}", re.IGNORECASE)


class BadAnswerError(RemoteServiceError):
    """
    Answer that does not match the request.

    Parameters
    ----------
    message : str
        What is wrong with it, in a sentence.
    lasting : bool, optional
        Whether the same answer is likely to come again.
    """

    def __init__(self, message, *, lasting=False):
        super().__init__(message)
        self.lasting = lasting


def check_status(status, content):
    """
    Refuse an answer by its HTTP status.

    Parameters
    ----------
    status : int
        HTTP status.
    content : bytes
        Body.

    Raises
    ------
    BadAnswerError
        For a status of 400 or more, unless it is 400 and the body says "no overlap":
        off the edge of a survey is an answer. In another error, a proxy's perhaps, it
        is not.
    """
    if status < 400 or (status == 400 and _says_no_overlap(content)):
        return
    passing = status in (408, 425, 429) or status >= 500
    msg = f"HTTP status {status}"
    text = _excerpt(content)
    raise BadAnswerError(f"{msg}: {text}" if text else msg, lasting=not passing)


def read_images(content, request):
    """
    Read the images of an answer and verify them.

    Parameters
    ----------
    content : bytes
        Body of the answer: a FITS image, or a cube whose header card ``BANDS`` names
        the planes.
    request : ImageRequest
        What was asked for.

    Returns
    -------
    dict of Band to `~astropy.nddata.CCDData` or None
        An image for each band; None where the survey has no data.

    Raises
    ------
    BadAnswerError
        If the answer is no FITS file, is cut short, or differs from the request in
        shape, band, centre (by more than 1.5 pixels), pixel scale or unit.
    """
    if _says_no_overlap(content):
        return dict.fromkeys(request.bands)
    data, header = open_fits(content)
    planes = _planes(data, header, request)
    missing = [str(band) for band in request.bands if band not in planes]
    if missing:
        found = ", ".join(map(str, planes)) or "none"
        msg = f"the answer lacks {', '.join(missing)}; it has {found}"
        raise BadAnswerError(msg)
    return {
        band: check_image(_meaningful(planes[band], header, band), band, request)
        for band in request.bands
    }


def check_image(image, band, request):
    """
    Verify an image against the request, and record its origin.

    Parameters
    ----------
    image : `~astropy.nddata.CCDData`
        The image; not changed.
    band : Band
        Its band.
    request : ImageRequest
        What was asked for.

    Returns
    -------
    `~astropy.nddata.CCDData` or None
        The image with ``url``, ``server``, ``date`` and ``band`` in its meta, pixels
        without data masked, and ``zero_point_ab`` that of its pixel scale; None if no
        pixel has data.

    Raises
    ------
    BadAnswerError
        If it differs in shape, centre or pixel scale.
    """
    check_geometry(image, band, request)
    bad = pixels_without_data(image.data, image.mask)
    if bad.all():
        return None
    return CCDData(
        image.data,
        unit=image.unit,
        wcs=image.wcs,
        mask=bad if bad.any() else None,
        meta={**image.meta, **_provenance(image, band, request)},
    )


def open_fits(content):
    """
    Open the FITS file of an answer.

    Parameters
    ----------
    content : bytes
        Body of the answer.

    Returns
    -------
    data : `~numpy.ndarray`
        The first image.
    header : `~astropy.io.fits.Header`
        Its header.

    Raises
    ------
    BadAnswerError
        If it is no FITS file, is cut short or has no image.
    """
    if not content:
        msg = "the answer is empty"
        raise BadAnswerError(msg)
    if not content.startswith(b"SIMPLE"):
        msg = f"the answer is no FITS file but {_excerpt(content)!r}"
        raise BadAnswerError(msg, lasting=b"no such layer" in content[:200])
    if len(content) % _FITS_BLOCK:
        msg = f"the answer is cut short: {len(content)} bytes are not whole FITS blocks"
        raise BadAnswerError(msg)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)
            with fits.open(io.BytesIO(content), memmap=False) as hdus:
                image = next(
                    h for h in hdus if h.is_image and math.prod(h.shape or [0])
                )
                return image.data, image.header
    except StopIteration:
        msg = "the FITS file in the answer holds no image"
        raise BadAnswerError(msg) from None
    except (OSError, TypeError, ValueError, LookupError) as error:
        msg = f"the FITS file in the answer is cut short or broken ({error})"
        raise BadAnswerError(msg) from error


def _planes(data, header, request):
    """Arrays by band: of a cube by the letters of its BANDS card, never by position."""
    survey = get_survey(request.bands[0].survey)
    try:
        bands = name_planes(header, data.shape, survey=survey)
    except (InputSpecError, KeyError) as error:
        raise BadAnswerError(str(error)) from error
    planes = data.reshape(-1, *data.shape[-2:])
    if bands == [None] and "BANDS" not in header:
        bands = request.bands[:1]
    return {band: plane for band, plane in zip(bands, planes, strict=True) if band}


def _meaningful(data, header, band):
    try:
        return make_cutout(data, header, band)
    except InputSpecError as error:
        raise BadAnswerError(str(error)) from error


def check_geometry(image, band, request):
    """
    Verify shape, centre and pixel scale of an image.

    Parameters
    ----------
    image : `~astropy.nddata.CCDData`
        The image.
    band : Band
        Its band.
    request : ImageRequest
        What was asked for.

    Raises
    ------
    BadAnswerError
        If one differs.
    """
    if image.shape != request.shape:
        msg = f"{band}: asked for shape {request.shape}, got {image.shape}"
        raise BadAnswerError(msg)
    axes = tangent_axes(math.radians(request.ra), math.radians(request.dec))
    local, problem = judge(image, axes, request.pixel_scale, tolerance=SCALE_TOLERANCE)
    x, y = local.origin
    ny, nx = request.shape
    off = float(np.hypot(x - (nx - 1) / 2, y - (ny - 1) / 2))
    if off > CENTRE_TOLERANCE:
        msg = f"{band}: the image is centred {off:.1f} pixels from the position"
        raise BadAnswerError(msg)
    if problem is not None:
        msg = f"{band}: {problem}"
        raise BadAnswerError(msg)


def bad_fraction(image):
    """
    Return the share of an image without data.

    Parameters
    ----------
    image : `~astropy.nddata.CCDData` or None
        The image.

    Returns
    -------
    float
        Share of the pixels that are masked, from 0 to 1; 1 for None.
    """
    if image is None:
        return 1.0
    return 0.0 if image.mask is None else float(np.mean(image.mask))


def is_covered(image):
    """
    Return whether an image covers its field completely.

    Parameters
    ----------
    image : `~astropy.nddata.CCDData` or None
        The image.

    Returns
    -------
    bool
        Whether no more than 1 % of its pixels lack data.
    """
    return bad_fraction(image) <= _WELL_COVERED


def _provenance(image, band, request):
    facts = {
        "band": str(band),
        "url": request.http.url,
        "server": request.http.host,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if "zero_point_ab" in image.meta:
        facts["zero_point_ab"] = zero_point_of_pixels(
            image.meta["zero_point_ab"], band, request.pixel_scale
        )
    return facts


def _says_no_overlap(content):
    text = re.sub(r"<[^<>]*>", " ", content[:1000].decode("ascii", "replace"))
    return _NO_OVERLAP.fullmatch(" ".join(text.split())) is not None


def _excerpt(content):
    """Quote the first words of a text answer, on one line."""
    text = content[:300].decode("ascii", "replace")
    return " ".join(text.split())[:80]
