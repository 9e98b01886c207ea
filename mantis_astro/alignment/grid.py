"""Pixel grids on the sky: the common grid, and WCSs that cannot be right."""

import math

import astropy.units as u
import numpy as np
from astropy.wcs import WCS

from mantis_astro.astrometry.directions import pixels_of, target_direction
from mantis_astro.bands import get_band, get_survey
from mantis_astro.exceptions import InputSpecError

__all__ = [
    "SCALE_TOLERANCE",
    "check_wcs",
    "common_wcs",
    "find_wcs_problem",
    "pixel_scales",
    "problem_with_position",
    "problem_with_wcs",
]

#: How far the pixel scale of a cutout may be from its survey's, relative.
SCALE_TOLERANCE = 0.2
_LEAST_SINE = 0.1  # of the angle between the pixel axes: 6 degrees


def common_wcs(coord, size, pixel_scale):
    """
    Make the grid that the bands of one target are brought onto.

    A gnomonic (TAN) projection in ICRS, north up and east to the left, with the
    target at the centre of the grid: on the central pixel where the number of pixels
    is odd, on the corner of the four central ones where it is even.

    Parameters
    ----------
    coord : `~astropy.coordinates.SkyCoord`
        The target, a scalar.
    size : `~astropy.units.Quantity` or int, or two of them
        Side of the grid as an angle, rounded to whole pixels, or in pixels; or height
        and width.
    pixel_scale : `~astropy.units.Quantity`
        Side of a pixel, an angle.

    Returns
    -------
    `~astropy.wcs.WCS`
        With ``array_shape`` set.

    Raises
    ------
    ValueError
        If the size is less than half a pixel or the scale is not positive.

    Notes
    -----
    The position angle of north is fixed by LONPOLE = 180 deg at the poles too, so the
    grid turns smoothly with right ascension there.

    Examples
    --------
    >>> import astropy.units as u
    >>> from astropy.coordinates import SkyCoord
    >>> from mantis_astro import common_wcs
    >>> wcs = common_wcs(SkyCoord(0, -30, unit="deg"), 30 * u.arcsec, 0.25 * u.arcsec)
    >>> wcs.array_shape
    (120, 120)
    >>> wcs.wcs.crpix
    array([60.5, 60.5])
    """
    if isinstance(pixel_scale, str):  # "0.25 arcsec"
        pixel_scale = u.Quantity(pixel_scale)
    if not hasattr(pixel_scale, "unit"):
        msg = (
            f"'pixel_scale' must be an angle with a unit, got {pixel_scale!r}; "
            f"perhaps {pixel_scale!r} * u.arcsec"
        )
        raise u.UnitsError(msg)
    scale = u.Quantity(pixel_scale, u.deg).value
    if not (np.ndim(scale) == 0 and np.isfinite(scale) and scale > 0):
        msg = f"'pixel_scale' must be one positive angle, got {pixel_scale}"
        raise ValueError(msg)
    shape = _shape_in_pixels(size, scale)
    icrs = coord.icrs
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.radesys = "ICRS"
    wcs.wcs.crval = [icrs.ra.deg, icrs.dec.deg]
    wcs.wcs.crpix = [(shape[1] + 1) / 2, (shape[0] + 1) / 2]
    wcs.wcs.cdelt = [-scale, scale]
    wcs.wcs.lonpole = 180.0
    wcs.wcs.set()
    wcs.array_shape = shape
    return wcs


def _shape_in_pixels(size, scale):
    if isinstance(size, tuple | list) and isinstance(size[0], u.Quantity):
        size = u.Quantity(size)
    if isinstance(size, u.Quantity):
        pixels = np.rint(size.to_value(u.deg) / scale)
    else:
        pixels = np.asarray(size)
    sides = np.broadcast_to(pixels, 2) if pixels.shape in {(), (1,), (2,)} else [0]
    if not np.all(np.isfinite(sides)) or min(sides) < 1 or np.any(sides % 1):
        msg = (
            "'size' must be an angle of at least one pixel or a whole number of pixels "
            f"(or height and width), got {size} at {scale * 3600:.6g} arcsec per pixel"
        )
        raise ValueError(msg)
    return tuple(int(side) for side in sides)


def find_wcs_problem(cutout, band, coord):
    """
    Say why the WCS of a cutout cannot be right.

    Parameters
    ----------
    cutout : `~astropy.nddata.CCDData`
        The image; only its ``wcs`` and shape are read.
    band : Band or str
        Its band: the pixel scale is held against the survey's or, if the cutout was
        aligned before, against what its ``meta["alignment"]`` records.
    coord : `~astropy.coordinates.SkyCoord`
        The target, which the image must show.

    Returns
    -------
    str or None
        What is wrong, or None if nothing is. East to the right (flipped parity) is
        nothing wrong.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.coordinates import SkyCoord
    >>> from astropy.nddata import CCDData
    >>> from mantis_astro.alignment import find_wcs_problem
    >>> image = CCDData(np.ones((8, 8)), unit="adu")
    >>> find_wcs_problem(image, "ps1.g", SkyCoord(10, 20, unit="deg"))
    'there is no WCS'
    """
    problem = problem_with_wcs(cutout, band)
    if problem is None:
        position = pixels_of(cutout.wcs, target_direction(coord)[None])[0]
        problem = problem_with_position(position, cutout.shape)
    return problem


def problem_with_wcs(cutout, band):
    """
    Say why a WCS cannot be right, wherever the target is.

    Parameters
    ----------
    cutout : `~astropy.nddata.CCDData`
        The image.
    band : Band or str
        Its band.

    Returns
    -------
    str or None
        What is wrong, or None.
    """
    wcs = cutout.wcs
    if wcs is None:
        return "there is no WCS"
    if not isinstance(wcs, WCS):
        return f"the WCS must be an astropy.wcs.WCS, got {type(wcs).__name__}"
    try:
        wcs.wcs.set()
    except (ValueError, MemoryError) as error:  # wcslib's errors are ValueErrors
        reason = str(error).strip().splitlines()[-1]
        return f"the WCS is broken ({reason})"
    if not (wcs.naxis == 2 and wcs.has_celestial):
        axes = ", ".join(axis or "none" for axis in wcs.wcs.ctype)
        return f"the WCS must have two celestial axes and no other, got {axes}"
    (xx, xy), (yx, yy) = wcs.pixel_scale_matrix.tolist()
    x, y = pixel_scales(wcs)
    if (
        not abs(xx * yy - xy * yx) * 3600**2 > _LEAST_SINE * x * y
    ):  # wcslib lets it pass
        return "the matrix of the WCS is singular: its axes are (nearly) parallel"
    owner, expected = _expected_scale(cutout, band)
    if max(abs(x / expected - 1), abs(y / expected - 1)) <= SCALE_TOLERANCE:
        return None
    return (
        f"its pixels measure {x:.4g} x {y:.4g} arcsec, those of {owner} "
        f"{expected:.4g} arcsec (more than {SCALE_TOLERANCE:.0%} off)"
    )


def pixel_scales(wcs):
    """
    Sides of a pixel where the projection touches the sky.

    Parameters
    ----------
    wcs : `~astropy.wcs.WCS`
        Celestial WCS of two axes.

    Returns
    -------
    x, y : float
        In arcsec; the same as `astropy.wcs.utils.proj_plane_pixel_scales`, which
        takes three times as long.
    """
    (xx, xy), (yx, yy) = wcs.pixel_scale_matrix.tolist()
    return math.hypot(xx, yx) * 3600, math.hypot(xy, yy) * 3600


def _expected_scale(cutout, band):
    if "alignment" in cutout.meta:
        record = cutout.meta["alignment"][-1]
        return "the grid it was aligned to", record["pixel_scale_arcsec"][1]
    survey = get_survey(get_band(band).survey)
    return survey.title, survey.pixel_scale.to_value(u.arcsec)


def problem_with_position(position, shape):
    """
    Say so if a target is outside an image.

    Parameters
    ----------
    position : sequence of float
        The target's x and y in pixels from 0.
    shape : tuple of int
        Shape ``(ny, nx)`` of the image.

    Returns
    -------
    str or None
        What is wrong, or None.
    """
    x, y = position
    ny, nx = shape
    if -0.5 <= x <= nx - 0.5 and -0.5 <= y <= ny - 0.5:
        return None
    return (
        f"the target falls at pixel ({x:.0f}, {y:.0f}), outside the image of "
        f"{nx} x {ny} pixels (was it cropped without updating the WCS?)"
    )


def check_wcs(cutouts):
    """
    Refuse cutouts with a WCS that cannot be right.

    Parameters
    ----------
    cutouts : MultibandCutout
        The images of one target.

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` naming the first such band, and why.
    """
    for band, cutout in cutouts.items():
        problem = find_wcs_problem(cutout, band, cutouts.coord)
        if problem is not None:
            msg = f"the cutout of {band} cannot be placed on the sky: {problem}"
            raise InputSpecError(msg)
