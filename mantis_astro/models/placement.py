"""Where the target lies in a cutout, and what its pixel values are worth."""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.coordinates import CartesianRepresentation

from mantis_astro.astrometry.directions import local_directions, pixels_of
from mantis_astro.flags import Flag
from mantis_astro.fluxes import native_factor, njy_factor

__all__ = [
    "PlacedBatch",
    "icrs_degrees",
    "place",
    "place_all",
]

# A pixel scale further than this from the survey's, as a ratio, is a wrong WCS.
SCALE_TOLERANCE = 1.2

_ARCSEC = np.radians(1 / 3600)


def icrs_degrees(coord):
    """
    Right ascension and declination of a target.

    Parameters
    ----------
    coord : `~astropy.coordinates.SkyCoord`
        A scalar.

    Returns
    -------
    ra, dec : float
        ICRS, in degrees; NaN where they are missing or not on the sphere.
    """
    frame = coord.frame if coord.frame.name == "icrs" else coord.icrs.frame
    sphere = frame.data
    if isinstance(sphere, CartesianRepresentation):
        sphere = frame.spherical
    ra, dec = sphere.lon.to_value(u.deg), sphere.lat.to_value(u.deg)
    return (float(ra), float(dec)) if np.isfinite(ra + dec) else (np.nan, np.nan)


def place(wcs, ra, dec):
    """
    Pixel of a position, and the linear map around it.

    Parameters
    ----------
    wcs : `~astropy.wcs.WCS` or None
        The image's.
    ra, dec : float
        ICRS, in degrees.

    Returns
    -------
    `~numpy.ndarray` or None
        Shape (2, 3): ``[[x, dx/dE, dx/dN], [y, dy/dE, dy/dN]]``, pixels (from 0) and
        pixels per arcsec to the east and to the north. None if the WCS is absent,
        not celestial, or cannot be inverted there.

    Notes
    -----
    A WCS without distortion takes about 30 microseconds: wcslib is asked directly,
    for the target and for points one arcsec from it.
    """
    if wcs is None or wcs.naxis != 2 or not np.isfinite(ra + dec):
        return None
    directions = local_directions(np.radians(ra), np.radians(dec), step=_ARCSEC)
    try:
        wcs.wcs.set()
        if wcs.wcs.lng < 0 or wcs.wcs.lat < 0:
            return None
        pixels = pixels_of(wcs, directions)
    except (ValueError, TypeError, AttributeError, RuntimeError):
        return None
    if not np.isfinite(pixels).all():
        return None
    return np.stack([pixels[0], pixels[1] - pixels[0], pixels[2] - pixels[0]], 1)


@dataclass(frozen=True)
class PlacedBatch:
    """
    Where the targets lie in the images of many objects.

    Attributes
    ----------
    maps : `~numpy.ndarray`
        What `place` gives for each image, shape (n_object, n_band, 2, 3); NaN where
        there is none.
    sizes : `~numpy.ndarray`
        Width and height of each image in pixels, shape (n_object, n_band, 2).
    factors : `~numpy.ndarray`
        Value of one pixel unit, shape (n_object, n_band).
    usable : `~numpy.ndarray`
        Whether there is an image that can be used, shape (n_object, n_band).
    flags : `~numpy.ndarray`
        Shape (n_object,), int32.
    """

    maps: np.ndarray
    sizes: np.ndarray
    factors: np.ndarray
    usable: np.ndarray
    flags: np.ndarray


def place_all(cutouts, bands, pixel_scales, *, in_njy):
    """
    Find the targets in all images, and which images can be used.

    Parameters
    ----------
    cutouts : sequence of MultibandCutout
        One for each object.
    bands : tuple of Band
        Bands wanted.
    pixel_scales : array_like
        Pixel scale that each band must have, in arcsec; NaN for any. Shape (n_band,).
    in_njy : bool
        Whether pixels are wanted in nJy, or else in the survey's own unit.

    Returns
    -------
    PlacedBatch
        Images with a WCS that is absent, has a pixel scale more than 20 % off, or does
        not show the target are not usable: BAD_WCS. Nor are images in a unit that
        cannot be converted: BAD_PIXELS. A target more than 1.5 pixels from the
        centre of its image is flagged OFF_CENTRE, one without coordinates
        BAD_COORDINATES.
    """
    shape = (len(cutouts), len(bands))
    maps = np.full((*shape, 2, 3), np.nan)
    sizes = np.full((*shape, 2), np.nan)
    factors = np.full(shape, np.nan)
    present = np.zeros(shape, bool)
    located = np.ones(len(cutouts), bool)
    factor = njy_factor if in_njy else native_factor
    for i, galaxy in enumerate(cutouts):
        ra, dec = icrs_degrees(galaxy.coord)
        located[i] = np.isfinite(ra)
        for j, band in enumerate(bands):
            cutout = galaxy.get(band)
            if cutout is None:
                continue
            present[i, j] = True
            ny, nx = cutout.shape
            sizes[i, j] = nx, ny
            value = factor(cutout, band)
            if value is not None:
                factors[i, j] = value
            if located[i]:
                found = place(cutout.wcs, ra, dec)
                if found is not None:
                    maps[i, j] = found

    right = _right_scale(maps[..., 1:], pixel_scales) & _shown(maps[..., 0], sizes)
    known = np.isfinite(factors)
    offset = np.hypot(*np.moveaxis(maps[..., 0] - (sizes - 1) / 2, -1, 0))
    flags = np.zeros(len(cutouts), np.int32)
    flags[~located] |= Flag.BAD_COORDINATES
    flags[(present & ~right).any(1) & located] |= Flag.BAD_WCS
    flags[(present & ~known).any(1)] |= Flag.BAD_PIXELS
    flags[(offset > Flag.OFF_CENTRE.threshold).any(1)] |= Flag.OFF_CENTRE
    return PlacedBatch(maps, sizes, factors, present & right & known, flags)


def _shown(positions, sizes):
    """Whether the position is on the image; NaN is not. Shape (..., 2) to (...)."""
    return ((positions >= -0.5) & (positions <= sizes - 0.5)).all(-1)


def _right_scale(jacobians, pixel_scales):
    """Whether both axes have the pixel scale; jacobians in pixels per arcsec."""
    a, b, c, d = np.moveaxis(jacobians.reshape(*jacobians.shape[:-2], 4), -1, 0)
    square, det = a * a + b * b + c * c + d * d, np.abs(a * d - b * c)
    # The singular values s1 >= s2 of a 2x2 matrix: s1^2 + s2^2 and s1 s2 are known.
    largest = np.sqrt((square + np.sqrt(np.maximum(square**2 - 4 * det**2, 0))) / 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        smallest = det / largest
        scale = np.where(np.isnan(pixel_scales), 1 / smallest, pixel_scales)
        return (largest * scale < SCALE_TOLERANCE) & (
            smallest * scale > 1 / SCALE_TOLERANCE
        )
