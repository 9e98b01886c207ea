"""
Conversion between sky positions and pixels, fast for thousands of calls.

Directions are unit vectors in ICRS. wcslib is asked directly, and other frames than
ICRS are one rotation away, which is worked out once for each frame: 20 microseconds a
call, where `astropy.wcs.WCS.world_to_pixel` takes a millisecond.
"""

import math

import astropy.units as u
import numpy as np
from astropy.coordinates import ICRS, CartesianRepresentation, SkyCoord
from astropy.wcs.utils import wcs_to_celestial_frame

__all__ = [
    "directions_of",
    "has_known_frame",
    "icrs_lon_lat",
    "lon_lat",
    "pixels_of",
    "pixels_of_each",
    "tangent_axes",
]

_IDENTITY = np.eye(3)
_rotations: dict = {}


def icrs_lon_lat(coord):
    """
    Read right ascension and declination of a target.

    Parameters
    ----------
    coord : `~astropy.coordinates.SkyCoord`
        The position, a scalar.

    Returns
    -------
    lon, lat : float
        ICRS, in radians; NaN where they are missing or not on the sphere.
    """
    # an attribute such as coord.icrs.ra takes twenty times as long
    frame = coord.frame if coord.frame.name == "icrs" else coord.icrs.frame
    sphere = frame.data
    if isinstance(sphere, CartesianRepresentation):
        sphere = frame.spherical
    lon, lat = sphere.lon.to_value(u.rad), sphere.lat.to_value(u.rad)
    return (float(lon), float(lat)) if np.isfinite(lon + lat) else (np.nan, np.nan)


def tangent_axes(lon, lat):
    """
    Compute unit vectors to positions, and to the east and north there.

    Parameters
    ----------
    lon, lat : float or `numpy.ndarray`
        Positions in ICRS, in radians, shape (...).

    Returns
    -------
    `numpy.ndarray`
        Shape (..., 3, 3): here, east, north. At a pole, east and north are those of
        the longitude given.

    Examples
    --------
    >>> from mantis_astro.astrometry.directions import tangent_axes
    >>> tangent_axes(0.0, 0.0)
    array([[ 1.,  0.,  0.],
           [-0.,  1.,  0.],
           [-0., -0.,  1.]])
    """
    lon, lat = np.asarray(lon, float), np.asarray(lat, float)
    sin_lon, cos_lon = np.sin(lon), np.cos(lon)
    sin_lat, cos_lat = np.sin(lat), np.cos(lat)
    axes = np.zeros((*lon.shape, 3, 3))
    axes[..., 0, 0], axes[..., 0, 1] = cos_lat * cos_lon, cos_lat * sin_lon
    axes[..., 0, 2] = sin_lat
    axes[..., 1, 0], axes[..., 1, 1] = -sin_lon, cos_lon
    axes[..., 2, 0], axes[..., 2, 1] = -sin_lat * cos_lon, -sin_lat * sin_lon
    axes[..., 2, 2] = cos_lat
    return axes


def lon_lat(directions):
    """
    Convert directions to longitude and latitude.

    Parameters
    ----------
    directions : `numpy.ndarray`
        Vectors of any length, shape (..., 3).

    Returns
    -------
    `numpy.ndarray`
        In degrees, longitude from -180 to 180, shape (..., 2).
    """
    vx, vy, vz = directions[..., 0], directions[..., 1], directions[..., 2]
    lonlat = np.empty((*directions.shape[:-1], 2))
    lonlat[..., 0] = np.arctan2(vy, vx)
    lonlat[..., 1] = np.arctan2(vz, np.hypot(vx, vy))
    return np.degrees(lonlat)


def directions_of(wcs, x, y):
    """
    Convert pixel positions to unit vectors, in ICRS.

    Parameters
    ----------
    wcs : `~astropy.wcs.WCS`
        Celestial WCS of two axes.
    x, y : `numpy.ndarray`
        Positions in pixels from 0, shape (n,).

    Returns
    -------
    `numpy.ndarray`
        Shape (n, 3); NaN where the projection has no sky.
    """
    if wcs.has_distortion:
        x, y = wcs.pix2foc(x, y, 0)
    world = wcs.wcs.p2s(np.stack([x, y], axis=-1), 0)["world"]
    lon, lat = np.radians(world[:, [wcs.wcs.lng, wcs.wcs.lat]].T)
    directions = _unit_vectors(lon, lat)
    rotation = _rotation_to_icrs(wcs)
    if rotation is not None:
        return directions @ rotation.T
    frame = wcs_to_celestial_frame(wcs)
    coords = SkyCoord(CartesianRepresentation(directions.T), frame=frame)
    return coords.icrs.cartesian.xyz.value.T


def pixels_of(wcs, directions):
    """
    Convert directions on the sky to pixel positions.

    Parameters
    ----------
    wcs : `~astropy.wcs.WCS`
        Celestial WCS of two axes.
    directions : `numpy.ndarray`
        Unit vectors in ICRS, shape (n, 3).

    Returns
    -------
    `numpy.ndarray`
        Columns x and y in pixels from 0, shape (n, 2); NaN where the projection does
        not reach.
    """
    rotation = _rotation_to_icrs(wcs)
    if rotation is not None:
        directions = directions @ rotation
    else:
        coords = SkyCoord(CartesianRepresentation(directions.T), frame="icrs")
        frame = wcs_to_celestial_frame(wcs)
        directions = coords.transform_to(frame).cartesian.xyz.value.T
    return _pixels(wcs, lon_lat(directions))


def pixels_of_each(wcs_list, directions):
    """
    Convert directions to pixel positions, each on its own grid.

    Parameters
    ----------
    wcs_list : list of `~astropy.wcs.WCS`
        n grids.
    directions : `numpy.ndarray`
        Unit vectors in ICRS, shape (n, n_point, 3).

    Returns
    -------
    `numpy.ndarray`
        As `pixels_of` gives them one by one, shape (n, n_point, 2).
    """
    rotations = [_rotation_to_icrs(wcs) for wcs in wcs_list]
    matrices = [_IDENTITY if matrix is None else matrix for matrix in rotations]
    lonlat = lon_lat(directions @ np.array(matrices).reshape(-1, 3, 3))
    pixels = np.empty_like(lonlat)
    for i, wcs in enumerate(wcs_list):
        if rotations[i] is None or wcs.has_distortion:
            pixels[i] = pixels_of(wcs, directions[i])
        else:
            pixels[i] = _pixels(wcs, lonlat[i])
    return pixels


def _pixels(wcs, lonlat):
    world = lonlat if wcs.wcs.lng == 0 else lonlat[:, ::-1]
    invert = _distorted_pixels if wcs.has_distortion else _plain_pixels
    try:
        return invert(wcs, world)
    except ValueError:  # wcslib refuses them all when one is out of reach
        return _pixels_in_reach(invert, wcs, world)


def _plain_pixels(wcs, world):
    return wcs.wcs.s2p(world, 0)["pixcrd"]


def _distorted_pixels(wcs, world):
    pixels = np.full_like(world, np.nan)
    within = np.isfinite(_plain_pixels(wcs, world)).all(axis=-1)  # others make it warn
    if within.any():
        pixels[within] = wcs.all_world2pix(world[within], 0, tolerance=1e-6, quiet=True)
    return pixels


def _pixels_in_reach(invert, wcs, world):
    pixels = np.full_like(world, np.nan)
    for i, point in enumerate(world):
        try:
            pixels[i] = invert(wcs, point[None])[0]
        except ValueError:
            continue
    return pixels


def _unit_vectors(lon, lat):
    return np.stack(
        [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1
    )


def has_known_frame(wcs):
    """
    Return whether positions on a WCS can be converted to ICRS.

    Parameters
    ----------
    wcs : `~astropy.wcs.WCS`
        Celestial WCS of two axes.

    Returns
    -------
    bool
        False for axes that have no frame in astropy, such as ecliptic ones.
    """
    try:
        _rotation_to_icrs(wcs)
    except (ValueError, TypeError):  # TypeError: a planet without a size
        return False
    return True


def _rotation_to_icrs(wcs):
    """Matrix from the frame of a WCS to ICRS, or None if it is no rotation (FK4)."""
    w = wcs.wcs
    equinox = None if math.isnan(w.equinox) else w.equinox
    key = (w.radesys, equinox, w.lngtyp)
    if key not in _rotations:
        frame = wcs_to_celestial_frame(wcs)
        axes = SkyCoord(CartesianRepresentation(np.eye(3)), frame=frame)
        matrix = axes.transform_to(ICRS()).cartesian.xyz.value
        is_rotation = np.allclose(matrix @ matrix.T, np.eye(3), rtol=0, atol=1e-12)
        _rotations[key] = matrix if is_rotation else None
    return _rotations[key]
