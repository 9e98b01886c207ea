"""
The sky around a target as a plane, and where it falls on an image.

Over an aperture the map from sky to pixels is linear to better than 1e-4 of a pixel,
so one matrix for each image stands for its WCS: apertures are ellipses on the sky,
and ellipses on every image, whatever its scale, rotation or parity.
"""

from dataclasses import dataclass

import numpy as np
from astropy.coordinates import ICRS, CartesianRepresentation, SkyCoord
from astropy.wcs import WCS
from astropy.wcs.utils import wcs_to_celestial_frame

__all__ = ["LocalMap", "Target", "WcsError"]

_ARCSEC = np.deg2rad(1 / 3600)
_STEP = 1.0  # arcsec, of the difference quotient; wcslib is exact to 1e-9 px
_rotations = {}


class WcsError(ValueError):
    """The WCS of an image does not say where the target is."""


@dataclass(frozen=True)
class Target:
    """
    A position, and the directions east and north of it.

    Attributes
    ----------
    directions : ndarray
        Unit vectors in ICRS of the position, and of the points one step east and one
        step north of it, shape (3, 3).
    """

    directions: np.ndarray

    @classmethod
    def at(cls, coord):
        """
        Make the target at a position.

        Parameters
        ----------
        coord : `~astropy.coordinates.SkyCoord`
            The position, a scalar.

        Returns
        -------
        Target or None
            None if the position is not finite.
        """
        coord = coord if coord.frame.name == "icrs" else coord.icrs
        lon, lat = coord.ra.rad, coord.dec.rad
        if not (np.isfinite(lon) and np.isfinite(lat)):
            return None
        sin_lon, cos_lon = np.sin(lon), np.cos(lon)
        sin_lat, cos_lat = np.sin(lat), np.cos(lat)
        here = np.array([cos_lat * cos_lon, cos_lat * sin_lon, sin_lat])
        east = np.array([-sin_lon, cos_lon, 0.0])
        north = np.array([-sin_lat * cos_lon, -sin_lat * sin_lon, cos_lat])
        step = _STEP * _ARCSEC
        return cls(np.stack([here, here + step * east, here + step * north]))

    def offset(self, east, north):
        """
        Find the position at an offset.

        Parameters
        ----------
        east, north : float
            Offset in arcsec on the tangent plane.

        Returns
        -------
        ra, dec : float
            In degrees.
        """
        here, to_east, to_north = self.directions
        x, y, z = here + (east * (to_east - here) + north * (to_north - here)) / _STEP
        lon, lat = np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))
        return np.rad2deg(lon) % 360, np.rad2deg(lat)


@dataclass(frozen=True)
class LocalMap:
    """
    Linear map from offsets on the sky to pixels of one image.

    Attributes
    ----------
    origin : ndarray
        Pixel position (x, y) of the target, from 0.
    matrix : ndarray
        Pixels per arcsec: columns are what one arcsec to the east and one to the
        north are in (x, y), shape (2, 2).
    """

    origin: np.ndarray
    matrix: np.ndarray

    @classmethod
    def of(cls, cutout, target):
        """
        Read the map off the WCS of an image.

        Parameters
        ----------
        cutout : `~astropy.nddata.CCDData`
            The image.
        target : Target
            The position.

        Returns
        -------
        LocalMap
            The map.

        Raises
        ------
        WcsError
            If there is no celestial WCS, its matrix is singular, or the image does
            not show the target.
        """
        wcs = cutout.wcs
        if not isinstance(wcs, WCS):
            msg = "there is no WCS"
            raise WcsError(msg)
        try:
            wcs.wcs.set()
            if wcs.naxis != 2 or not wcs.has_celestial:
                msg = "the WCS is not one of two celestial axes"
                raise WcsError(msg)
            pixels = _pixels_of(wcs, target.directions)
        except ValueError as error:  # wcslib's errors are ValueErrors
            msg = str(error).strip().splitlines()[-1]
            raise WcsError(msg) from None
        origin = pixels[0]
        matrix = (pixels[1:] - origin).T / _STEP
        (a, b), (c, d) = matrix.tolist()
        if not 0 < abs(a * d - b * c) < np.inf:  # nor NaN
            msg = "the WCS does not reach the target"
            raise WcsError(msg)
        (x, y), (ny, nx) = origin.tolist(), cutout.shape
        if not (-0.5 <= x <= nx - 0.5 and -0.5 <= y <= ny - 0.5):
            msg = (
                f"the target falls at pixel ({x:.1f}, {y:.1f}) of an image of "
                f"{nx} x {ny}"
            )
            raise WcsError(msg)
        return cls(origin, matrix)

    @property
    def pixel_scale(self):
        """Side of a pixel in arcsec, as the root of its area."""
        (a, b), (c, d) = self.matrix.tolist()
        return abs(a * d - b * c) ** -0.5

    def is_like(self, other):
        """
        Tell whether another image has the same grid around the target.

        Parameters
        ----------
        other : LocalMap
            Map of the other image.

        Returns
        -------
        bool
            True if they agree to a twentieth of a pixel over a hundred pixels.
        """
        return bool(
            np.allclose(self.origin, other.origin, rtol=0, atol=0.05)
            and np.allclose(self.matrix, other.matrix, rtol=0, atol=5e-4)
        )

    def to_pixel(self, offset):
        """
        Find the pixel positions of offsets.

        Parameters
        ----------
        offset : ndarray
            East and north in arcsec, shape (..., 2).

        Returns
        -------
        ndarray
            x and y, shape (..., 2).
        """
        return self.origin + offset @ self.matrix.T

    def to_sky(self, pixel):
        """
        Find the offsets of pixel positions.

        Parameters
        ----------
        pixel : ndarray
            x and y, shape (..., 2).

        Returns
        -------
        ndarray
            East and north in arcsec, shape (..., 2).
        """
        return (pixel - self.origin) @ np.linalg.inv(self.matrix).T


def _pixels_of(wcs, directions):
    rotation = _rotation_from_icrs(wcs)
    if rotation is None:  # FK4 is no rotation of ICRS
        coords = SkyCoord(CartesianRepresentation(directions.T), frame="icrs")
        frame = wcs_to_celestial_frame(wcs)
        vectors = coords.transform_to(frame).cartesian.xyz.value
    else:
        vectors = rotation @ directions.T
    x, y, z = vectors
    world = np.empty((len(directions), 2))
    world[:, wcs.wcs.lng] = np.rad2deg(np.arctan2(y, x))
    world[:, wcs.wcs.lat] = np.rad2deg(np.arctan2(z, np.hypot(x, y)))
    if wcs.has_distortion:
        return wcs.all_world2pix(world, 0)
    return wcs.wcs.s2p(world, 0)["pixcrd"]


def _rotation_from_icrs(wcs):
    """Matrix from ICRS to the frame of a WCS, or None if it is no rotation."""
    key = (wcs.wcs.radesys, str(wcs.wcs.equinox), wcs.wcs.lngtyp)
    if key not in _rotations:
        frame = wcs_to_celestial_frame(wcs)
        axes = SkyCoord(CartesianRepresentation(np.eye(3)), frame=ICRS())
        matrix = axes.transform_to(frame).cartesian.xyz.value
        is_rotation = np.allclose(matrix @ matrix.T, np.eye(3), rtol=0, atol=1e-12)
        _rotations[key] = matrix if is_rotation else None
    return _rotations[key]
