"""
Sky to pixels and back, for code that asks thousands of times.

Directions are unit vectors in ICRS. wcslib is asked directly, and other frames than
ICRS are one rotation away, which is worked out once for each frame: 20 microseconds a
call, where `astropy.wcs.WCS.world_to_pixel` takes a millisecond.
"""

import numpy as np
from astropy.coordinates import (
    ICRS,
    CartesianRepresentation,
    SkyCoord,
    UnitSphericalRepresentation,
)
from astropy.wcs.utils import wcs_to_celestial_frame

__all__ = [
    "directions_of",
    "local_directions",
    "pixels_of",
    "pixels_of_each",
    "target_direction",
]

_rotations = {}


def target_direction(coord):
    """
    Turn a position into a unit vector, in ICRS.

    Parameters
    ----------
    coord : `~astropy.coordinates.SkyCoord`
        The position, a scalar.

    Returns
    -------
    `numpy.ndarray`
        Shape (3,).
    """
    # coord.icrs.ra and .dec would take three times as long
    sphere = coord.icrs.data.represent_as(UnitSphericalRepresentation)
    return _unit_vectors(sphere.lon.rad, sphere.lat.rad)


def local_directions(lon, lat, *, step):
    """
    Turn a position, and steps to the east and north of it, into unit vectors.

    Parameters
    ----------
    lon, lat : float
        Position in ICRS, in radians.
    step : float
        Length of the steps on the tangent plane, in radians.

    Returns
    -------
    `numpy.ndarray`
        Shape (3, 3): here, a step to the east, a step to the north. At a pole, east
        and north are those of the longitude given.

    Examples
    --------
    >>> from mantis_astro.astrometry.directions import local_directions
    >>> local_directions(0.0, 0.0, step=0.5)
    array([[1. , 0. , 0. ],
           [1. , 0.5, 0. ],
           [1. , 0. , 0.5]])
    """
    sin_lon, cos_lon = np.sin(lon), np.cos(lon)
    sin_lat, cos_lat = np.sin(lat), np.cos(lat)
    here = np.array([cos_lat * cos_lon, cos_lat * sin_lon, sin_lat])
    east = np.array([-sin_lon, cos_lon, 0.0])
    north = np.array([-sin_lat * cos_lon, -sin_lat * sin_lon, cos_lat])
    return np.stack([here, here + step * east, here + step * north])


def directions_of(wcs, x, y):
    """
    Turn pixel positions into unit vectors, in ICRS.

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
    Turn directions on the sky into pixel positions.

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
    return _pixels(wcs, _lon_lat(directions))


def pixels_of_each(wcs_list, directions):
    """
    Turn directions into pixel positions, each set on a grid of its own.

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
    matrices = [np.eye(3) if matrix is None else matrix for matrix in rotations]
    lonlat = _lon_lat(directions @ np.array(matrices))
    pixels = np.empty_like(lonlat)
    for i, wcs in enumerate(wcs_list):
        if rotations[i] is None or wcs.has_distortion:
            pixels[i] = pixels_of(wcs, directions[i])
        else:
            pixels[i] = _pixels(wcs, lonlat[i])
    return pixels


def _lon_lat(directions):
    """Longitude and latitude in degrees, (..., 2), of unit vectors (..., 3)."""
    vx, vy, vz = directions[..., 0], directions[..., 1], directions[..., 2]
    lonlat = np.empty((*directions.shape[:-1], 2))
    lonlat[..., 0] = np.arctan2(vy, vx)
    lonlat[..., 1] = np.arctan2(vz, np.hypot(vx, vy))
    return np.degrees(lonlat)


def _pixels(wcs, lonlat):
    world = lonlat if wcs.wcs.lng == 0 else lonlat[:, ::-1]
    if wcs.has_distortion:
        return wcs.all_world2pix(world, 0, tolerance=1e-6, quiet=True)
    try:
        return wcs.wcs.s2p(world, 0)["pixcrd"]
    except ValueError:  # wcslib refuses them all when one is out of reach
        return _pixels_in_reach(wcs, world)


def _pixels_in_reach(wcs, world):
    pixels = np.full_like(world, np.nan)
    for i, point in enumerate(world):
        try:
            pixels[i] = wcs.wcs.s2p(point[None], 0)["pixcrd"][0]
        except ValueError:
            continue
    return pixels


def _unit_vectors(lon, lat):
    return np.stack(
        [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1
    )


def _rotation_to_icrs(wcs):
    """Matrix from the frame of a WCS to ICRS, or None if it is no rotation (FK4)."""
    w = wcs.wcs
    equinox = None if np.isnan(w.equinox) else w.equinox
    key = (w.radesys, equinox, w.lngtyp)
    if key not in _rotations:
        frame = wcs_to_celestial_frame(wcs)
        axes = SkyCoord(CartesianRepresentation(np.eye(3)), frame=frame)
        matrix = axes.transform_to(ICRS()).cartesian.xyz.value
        is_rotation = np.allclose(matrix @ matrix.T, np.eye(3), rtol=0, atol=1e-12)
        _rotations[key] = matrix if is_rotation else None
    return _rotations[key]
