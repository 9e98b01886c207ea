"""
The sky around a target as a plane, and where it falls on an image.

Over an aperture the map from sky to pixels is linear to better than 1e-4 of a pixel,
so one matrix for each image stands for its WCS: apertures are ellipses on the sky,
and ellipses on every image, whatever its scale, rotation or parity.
"""

from dataclasses import dataclass

import numpy as np
from astropy.wcs import WCS

from mantis_astro.astrometry.directions import local_directions, pixels_of

__all__ = ["LocalMap", "Target", "WcsError"]

_ARCSEC = np.deg2rad(1 / 3600)
_STEP = 1.0  # arcsec, of the difference quotient; wcslib is exact to 1e-9 px


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
        return cls(local_directions(lon, lat, step=_STEP * _ARCSEC))

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
            pixels = pixels_of(wcs, target.directions)
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
