"""
Linear map from the sky around a target to the pixels of an image.

Over an aperture the map from sky to pixels is linear to better than 1e-4 of a pixel,
so one matrix for each image stands for its WCS: apertures are ellipses on the sky,
and ellipses on every image, whatever its scale, rotation or parity.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mantis_astro.astrometry.directions import lon_lat, pixels_of_each

__all__ = ["LocalMap", "local_maps", "offset_positions", "pixel_extents"]

_ARCSEC = np.radians(1 / 3600)
_STEPS = np.array([0, _ARCSEC, _ARCSEC])[:, None]  # wcslib is exact to 1e-9 px


def local_maps(wcs_list, axes):
    """
    Find the pixels of positions, and the linear maps around them.

    Parameters
    ----------
    wcs_list : list of `~astropy.wcs.WCS`
        The WCSs of n images, celestial and of two axes.
    axes : `numpy.ndarray`
        The n positions with east and north, as `tangent_axes` gives them, shape
        (n, 3, 3).

    Returns
    -------
    `numpy.ndarray`
        Shape (n, 2, 3): ``[[x, dx/dE, dx/dN], [y, dy/dE, dy/dN]]``, pixels (from 0)
        and pixels per arcsec to the east and to the north; all NaN where the
        projection does not reach the position.
    """
    points = axes[:, :1] + _STEPS * axes  # here + 0 here, a step east, a step north
    points[:, 0] = axes[:, 0]
    maps = pixels_of_each(wcs_list, points).transpose(0, 2, 1).copy()
    maps[:, :, 1:] -= maps[:, :, :1]
    maps[~np.isfinite(maps).all(axis=(1, 2))] = np.nan
    return maps


def pixel_extents(matrices):
    """
    Measure pixels along their longest and their shortest direction on the sky.

    Parameters
    ----------
    matrices : `numpy.ndarray`
        Pixels per arcsec, shape (..., 2, 2).

    Returns
    -------
    longest, shortest : `numpy.ndarray`
        In arcsec, shape (...); not finite where a matrix is singular.
    """
    a, b, c, d = np.moveaxis(matrices.reshape(*matrices.shape[:-2], 4), -1, 0)
    square, det = a * a + b * b + c * c + d * d, np.abs(a * d - b * c)
    # The singular values s1 >= s2 of a 2x2 matrix: s1^2 + s2^2 and s1 s2 are known.
    largest = np.sqrt((square + np.sqrt(np.maximum(square**2 - 4 * det**2, 0))) / 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        return largest / det, 1 / largest


def offset_positions(axes, offsets):
    """
    Find the positions at offsets from targets.

    Parameters
    ----------
    axes : `numpy.ndarray`
        The targets with east and north, as `tangent_axes` gives them, shape
        (..., 3, 3).
    offsets : `numpy.ndarray`
        East and north in arcsec on the tangent plane, shape (..., 2).

    Returns
    -------
    `numpy.ndarray`
        Right ascension and declination in degrees, shape (..., 2).
    """
    here, east, north = np.moveaxis(axes, -2, 0)
    steps = _ARCSEC * offsets[..., None]
    direction = here + steps[..., 0, :] * east + steps[..., 1, :] * north
    position = lon_lat(direction)
    position[..., 0] %= 360
    return position


@dataclass(frozen=True, eq=False)
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

    @cached_property
    def pixel_scale(self):
        """Side of a pixel in arcsec, as the root of its area."""
        (a, b), (c, d) = self.matrix.tolist()
        return abs(a * d - b * c) ** -0.5

    def is_like(self, other):
        """
        Return whether another image has the same grid around the target.

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
