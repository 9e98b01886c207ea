"""Pixel grids on the sky: the common grid, and WCSs that cannot be right."""

import astropy.units as u
import numpy as np
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_scales

from mantis_astro.alignment.pixel_map import pixels_of, target_direction
from mantis_astro.bands import get_band, get_survey
from mantis_astro.exceptions import InputSpecError

__all__ = ["SCALE_TOLERANCE", "check_wcs", "common_wcs", "find_wcs_problem"]

#: How far the pixel scale of a cutout may be from its survey's, relative.
SCALE_TOLERANCE = 0.2


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
    if not isinstance(size, u.Quantity) and np.ndim(size) == 1:
        if all(isinstance(side, u.Quantity) for side in size):
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
        Its band: the pixel scale is held against the survey's.
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
    wcs = cutout.wcs
    if wcs is None:
        return "there is no WCS"
    if not isinstance(wcs, WCS):
        return f"the WCS must be an astropy.wcs.WCS, got {type(wcs).__name__}"
    try:
        wcs.wcs.set()
        is_celestial = wcs.naxis == 2 and wcs.has_celestial
        scales = proj_plane_pixel_scales(wcs) * 3600
    except (ValueError, MemoryError) as error:  # wcslib's errors are ValueErrors
        reason = str(error).strip().splitlines()[-1]
        return f"the WCS is broken ({reason})"
    if not is_celestial:
        axes = ", ".join(axis or "none" for axis in wcs.wcs.ctype)
        return f"the WCS must have two celestial axes and no other, got {axes}"
    if not abs(np.linalg.det(wcs.pixel_scale_matrix)) > 0:
        return "the matrix of the WCS is singular"
    return _scale_problem(scales, band) or _position_problem(cutout, coord)


def _scale_problem(scales, band):
    survey = get_survey(get_band(band).survey)
    expected = survey.pixel_scale.to_value(u.arcsec)
    if np.all(np.abs(scales / expected - 1) <= SCALE_TOLERANCE):
        return None
    x, y = scales
    return (
        f"its pixels measure {x:.4g} x {y:.4g} arcsec, those of "
        f"{survey.title} {expected:.4g} arcsec (more than {SCALE_TOLERANCE:.0%} off)"
    )


def _position_problem(cutout, coord):
    ((x, y),) = pixels_of(cutout.wcs, target_direction(coord)[None])
    ny, nx = cutout.shape
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
