"""
Sums over apertures and sky annuli, many images at once.

Images that share shape and aperture (all bands on a common grid; all GALEX and unWISE
cutouts, which are centred on their targets) are stacked and summed by one product
with weights that were computed once. Weights are photutils' exact overlaps.
"""

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

__all__ = ["N_SECTORS", "Request", "Sums", "measure_sums"]

#: Parts of equal size, in order of azimuth, that the sky annulus is divided into.
N_SECTORS = 16
_FEW = 4 * N_SECTORS  # sky pixels; with fewer, all pixels off the aperture are taken


@dataclass(frozen=True)
class Request:
    """
    One image to be measured in one aperture.

    Attributes
    ----------
    data : ndarray
        The pixels, shape (ny, nx).
    ellipse : tuple of float
        x, y, a, b in pixels and theta in radians.
    annulus : tuple of float
        Inner and outer radius in pixels.
    bad : ndarray of bool or None
        True for pixels to leave out; None if all are good.
    not_sky : ndarray of bool or None
        True for pixels that show sources.
    variance : ndarray or None
        Variance of each pixel.
    """

    data: np.ndarray
    ellipse: tuple
    annulus: tuple
    bad: np.ndarray | None = None
    not_sky: np.ndarray | None = None
    variance: np.ndarray | None = None


@dataclass(frozen=True)
class Sums:
    """
    Result of `measure_sums`, with one entry for each request.

    Attributes
    ----------
    flux : ndarray
        Weighted sum of the good pixels in the aperture.
    variance : ndarray
        The same of their variances; NaN where none are given.
    area : ndarray
        The same of ones: pixels measured.
    sky_flux, sky_square, sky_area : ndarray
        Sum, sum of squares and number of the good sky pixels of each sector, shape
        (n, N_SECTORS).
    """

    flux: np.ndarray
    variance: np.ndarray
    area: np.ndarray
    sky_flux: np.ndarray
    sky_square: np.ndarray
    sky_area: np.ndarray


def measure_sums(requests):
    """
    Sum the pixels of images over their apertures and sky annuli.

    Parameters
    ----------
    requests : sequence of Request
        The images.

    Returns
    -------
    Sums
        In the same order.
    """
    n = len(requests)
    sums = Sums(
        *(np.full(n, value) for value in (0.0, np.nan, 0.0)),
        *(np.zeros((n, N_SECTORS)) for _ in range(3)),
    )
    for (shape, ellipse), rows in _groups(requests, lambda r: r.ellipse).items():
        _sum_aperture(sums, requests, rows, *aperture_weights(shape, *ellipse))
    for (shape, annulus), rows in _groups(requests, _whole_pixels).items():
        _sum_sky(sums, requests, rows, sky_pixels(shape, *annulus))
    return sums


def _groups(requests, geometry):
    """Rows of the requests that share shape and geometry."""
    groups = defaultdict(list)
    for row, request in enumerate(requests):
        groups[request.data.shape, geometry(request)].append(row)
    return groups


def _whole_pixels(request):
    """Centre, guard and radii of the sky annulus, coarse so that they recur."""
    x, y, a, _, _ = request.ellipse
    inner, outer = request.annulus
    return round(x), round(y), round(1.1 * a + 1), round(inner), round(outer)


def _sum_aperture(sums, requests, rows, box, weights):
    stack = np.empty((len(rows), *weights.shape))
    with_bad = [i for i, row in enumerate(rows) if requests[row].bad is not None]
    for plane, row in zip(stack, rows, strict=True):
        plane[:] = requests[row].data[box]
    area = np.full(len(rows), weights.sum())
    for i in with_bad:
        bad = requests[rows[i]].bad[box]
        stack[i][bad] = 0
        area[i] -= weights[bad].sum()
    sums.flux[rows] = np.einsum("nyx,yx->n", stack, weights)
    sums.area[rows] = area
    for row in rows:
        request = requests[row]
        if request.variance is not None:
            variance = request.variance[box]
            if request.bad is not None:
                variance = np.where(request.bad[box], 0, variance)
            sums.variance[row] = np.sum(variance * weights)


def _sum_sky(sums, requests, rows, sky):
    pixels, starts = sky
    if not len(pixels):
        return
    values = np.empty((len(rows), len(pixels)))
    area = np.diff([*starts, len(pixels)])
    for value, row in zip(values, rows, strict=True):
        request = requests[row]
        value[:] = request.data.ravel()[pixels]
        masks = [m for m in (request.bad, request.not_sky) if m is not None]
        if masks:
            bad = np.any([mask.ravel()[pixels] for mask in masks], axis=0)
            value[bad] = 0
            sums.sky_area[row] = np.add.reduceat(~bad, starts, dtype=float)
        else:
            sums.sky_area[row] = area
    sums.sky_flux[rows] = np.add.reduceat(values, starts, axis=1)
    values *= values
    sums.sky_square[rows] = np.add.reduceat(values, starts, axis=1)


@lru_cache(maxsize=1024)
def aperture_weights(shape, x, y, a, b, theta):
    """
    Compute the overlap of an aperture with the pixels of an image.

    Parameters
    ----------
    shape : tuple of int
        Shape (ny, nx) of the image.
    x, y, a, b, theta : float
        Centre and semi-axes in pixels, angle in radians.

    Returns
    -------
    box : tuple of slice
        The part of the image that the aperture touches.
    weights : ndarray
        Overlap of each pixel of that part, 0 to 1.
    """
    mask = aperture_mask(x, y, a, b, theta)
    box, part = mask.get_overlap_slices(shape)
    return box, mask.data[part]


def aperture_mask(x, y, a, b, theta):
    """
    Compute the overlap of an aperture with pixels, inside and outside the image.

    Parameters
    ----------
    x, y, a, b, theta : float
        Centre and semi-axes in pixels, angle in radians.

    Returns
    -------
    `~photutils.aperture.ApertureMask`
        Exact overlaps.
    """
    from photutils.aperture import CircularAperture, EllipticalAperture

    if a == b:
        aperture = CircularAperture((x, y), a)
    else:
        aperture = EllipticalAperture((x, y), a, b, theta=theta)
    return aperture.to_mask(method="exact")


@lru_cache(maxsize=256)
def sky_pixels(shape, x, y, guard, inner, outer):
    """
    List the pixels of a sky annulus, sector by sector.

    Parameters
    ----------
    shape : tuple of int
        Shape (ny, nx) of the image.
    x, y : int
        Centre.
    guard, inner, outer : int
        Radii in pixels: of the aperture with a margin, and of the annulus.

    Returns
    -------
    pixels : ndarray of int
        Flat indices, sorted by azimuth; empty if the image ends at the aperture.
    starts : ndarray of int
        Where each of the `N_SECTORS` sectors, all of one size, starts.
    """
    rows, columns = np.indices(shape)
    dy, dx = rows - y, columns - x
    r2 = dx**2 + dy**2
    chosen = (r2 >= inner**2) & (r2 < outer**2)
    if chosen.sum() < _FEW:
        chosen = r2 >= guard**2
    if chosen.sum() < N_SECTORS:
        chosen[:] = False
    azimuth = np.arctan2(dy, dx)[chosen]
    pixels = np.flatnonzero(chosen)[np.argsort(azimuth, kind="stable")]
    starts = np.arange(N_SECTORS) * len(pixels) // N_SECTORS
    return pixels, starts
