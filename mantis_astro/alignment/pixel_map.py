"""
Positions of the pixels of one grid on another.

Over a cutout, the map between two celestial grids is very nearly linear, so it is
fitted by a quadratic through the true positions of 25 points, and the error of the
fit is measured at those points: below 1e-6 px for Pan-STARRS1 cutouts two degrees
from their tangent point, where a linear fit errs by 3e-4 px. Where the error exceeds
`TOLERANCE` (strong distortion, wide fields, the far side of the sky) every pixel is
transformed instead. Evaluating all points through a WCS costs milliseconds for each
band, the quadratic some microseconds.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from mantis_astro.astrometry.directions import directions_of, pixels_of

__all__ = [
    "TOLERANCE",
    "PixelMap",
    "check_points",
    "pixel_centres",
    "pixel_corners",
    "quadrilateral_area",
]

#: Largest error of a fitted map, in input pixels: 1e-5 of the peak of an image whose
#: brightness falls by no more than half the peak from one pixel to the next.
TOLERANCE = 2e-5
# The same for its area, relative: the fit takes one pixel area for the whole grid.
_AREA_TOLERANCE = 1e-4
_N_SIDE = 5  # points along a side of the fit


@lru_cache(maxsize=64)
def check_points(shape):
    """
    Points of a grid to which its maps are fitted, from edge to edge.

    Parameters
    ----------
    shape : tuple of int
        Shape ``(ny, nx)`` of the grid.

    Returns
    -------
    x, y : `numpy.ndarray`
        Positions in pixels from 0, shape (25,) each.
    """
    side = np.linspace(-1, 1, _N_SIDE)
    v, u = (side.ravel() for side in np.meshgrid(side, side, indexing="ij"))
    ny, nx = shape
    return (nx * (u + 1) - 1) / 2, (ny * (v + 1) - 1) / 2


def _basis(u, v):
    return np.stack([np.ones_like(u), u, v, u * u, u * v, v * v], axis=-1)


@lru_cache(maxsize=1)
def _fit_matrices():
    x, y = check_points((1, 1))
    basis = _basis(2 * x, 2 * y)  # (25, 6)
    return basis, np.linalg.pinv(basis)


@dataclass(frozen=True, eq=False)
class PixelMap:
    """
    Maps from one output grid to many input grids.

    Attributes
    ----------
    shape : tuple of int
        Shape ``(ny, nx)`` of the output grid.
    positions : `numpy.ndarray`
        Input pixel positions of the grid's check points, shape (n_map, 25, 2).
    """

    shape: tuple
    positions: np.ndarray

    @cached_property
    def coefficients(self):
        """
        Coefficients of 1, u, v, u^2, uv, v^2, shape (n_map, 6, 2).

        The output grid runs from -1 to 1 in u (along x) and v, edge to edge.
        """
        return np.matmul(_fit_matrices()[1], self.positions)

    @cached_property
    def error(self):
        """Largest error of the fit at the check points, in input pixels, (n_map,)."""
        fitted = np.matmul(_fit_matrices()[0], self.coefficients)
        return np.abs(fitted - self.positions).max(axis=(1, 2))

    @cached_property
    def area(self):
        """Area of an output pixel at the grid's centre, in input pixels, (n_map,)."""
        ny, nx = self.shape
        c = self.coefficients
        return np.abs(_cross(c[:, 1], c[:, 2])) * 4 / (nx * ny)

    @cached_property
    def is_accurate(self):
        """Whether the fit is within the tolerances, shape (n_map,)."""
        _, a, b, uu, uv, vv = np.moveaxis(self.coefficients, 1, 0)  # (n_map, 2) each
        # first order change of the Jacobian from the centre to an edge, along u and v
        along_u = 2 * _cross(uu, b) + _cross(a, uv)
        along_v = _cross(uv, b) + 2 * _cross(a, vv)
        change = (np.abs(along_u) + np.abs(along_v)) / np.abs(_cross(a, b))
        return (self.error <= TOLERANCE) & (change <= _AREA_TOLERANCE)


def pixel_corners(wcs_out, wcs_in, shape):
    """
    Transform the corners of every output pixel in full.

    Parameters
    ----------
    wcs_out, wcs_in : `~astropy.wcs.WCS`
        Output and input grid.
    shape : tuple of int
        Shape ``(ny, nx)`` of the output grid.

    Returns
    -------
    `numpy.ndarray`
        Columns x and y in input pixels, shape (ny + 1, nx + 1, 2).
    """
    return _transform(wcs_out, wcs_in, shape[0] + 1, shape[1] + 1, -0.5)


def pixel_centres(wcs_out, wcs_in, shape):
    """
    Transform the centre of every output pixel in full.

    Parameters
    ----------
    wcs_out, wcs_in : `~astropy.wcs.WCS`
        Output and input grid.
    shape : tuple of int
        Shape ``(ny, nx)`` of the output grid.

    Returns
    -------
    `numpy.ndarray`
        Columns x and y in input pixels, shape (ny, nx, 2).
    """
    return _transform(wcs_out, wcs_in, *shape, 0.0)


def _transform(wcs_out, wcs_in, n_y, n_x, first):
    y, x = np.mgrid[:n_y, :n_x] + first
    directions = directions_of(wcs_out, x.ravel(), y.ravel())
    return pixels_of(wcs_in, directions).reshape(n_y, n_x, 2)


def quadrilateral_area(corners):
    """
    Measure the areas of the pixels that corners enclose.

    Parameters
    ----------
    corners : `numpy.ndarray`
        Shape (ny + 1, nx + 1, 2).

    Returns
    -------
    `numpy.ndarray`
        Shape (ny, nx), in the corners' unit squared.
    """
    diagonal = corners[1:, 1:] - corners[:-1, :-1]
    other = corners[1:, :-1] - corners[:-1, 1:]
    cross = diagonal[..., 0] * other[..., 1] - diagonal[..., 1] * other[..., 0]
    return np.abs(cross) / 2


def _cross(a, b):
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
