"""Pixel grids on the sky: the common grid of one target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import astropy.units as u
import numpy as np
from astropy.wcs import WCS

from mantis_astro.astrometry import check_wcs, find_wcs_problem

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from astropy.units import Quantity

__all__ = ["check_wcs", "common_wcs", "find_wcs_problem"]


def common_wcs(
    coord: SkyCoord, size: Quantity | int | tuple, pixel_scale: Quantity
) -> WCS:
    """
    Create the common pixel grid of the bands of one target.

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
