"""From rows of a tile to the image of one position: cut, or interpolated."""

import numpy as np

from mantis_astro.astrometry.directions import directions_of, pixels_of, tangent_axes
from mantis_astro.services.request import north_up

__all__ = ["NativeCut", "ViewerCut"]

_ORDER = 3  # of the Lanczos kernel


class NativeCut:
    """
    A square of a tile's own pixels, as Pan-STARRS1's server cuts it.

    Parameters
    ----------
    wcs : `~astropy.wcs.WCS`
        Of the tile.
    shape : tuple of int
        Of the tile, ``(ny, nx)`` in pixels.
    request : ImageRequest
        Position, and shape of the cutout.

    Attributes
    ----------
    rows : tuple of int
        First row of the tile that is needed, and the one after the last.
    """

    def __init__(self, wcs, shape, request):
        (pixel,) = pixels_of(wcs, _direction(request))
        middle = (np.array(request.shape[::-1]) - 1) / 2
        corner = np.nan_to_num(np.round(pixel - middle), nan=-1e6)
        self._corner = np.clip(corner, -1e6, 1e6).astype(int)
        self._shape = request.shape
        self._wcs = wcs
        x, y = self._corner
        self.rows = _within(y, y + request.shape[0], shape[0])
        self._columns = _within(x, x + request.shape[1], shape[1])
        if self._columns == (0, 0):
            self.rows = (0, 0)

    def take(self, array, top):
        """
        Take the cutout.

        Parameters
        ----------
        array : `~numpy.ndarray`
            Rows of the tile, at least those needed.
        top : int
            Number of the first.

        Returns
        -------
        data : `~numpy.ndarray`
            Pixels, NaN beyond the edge of the tile.
        wcs : `~astropy.wcs.WCS`
            Theirs.
        """
        (first, stop), (left, right) = self.rows, self._columns
        x, y = self._corner
        data = np.full(self._shape, np.nan, dtype=np.float32)
        data[first - y : stop - y, left - x : right - x] = array[
            first - top : stop - top, left:right
        ]
        wcs = self._wcs.deepcopy()
        wcs.wcs.crpix -= self._corner
        wcs.pixel_shape = self._shape[::-1]
        return data, wcs


class ViewerCut:
    """
    An image with north up, interpolated from a tile as the Legacy Survey viewer does.

    Parameters
    ----------
    wcs, shape, request
        As for `NativeCut`; the pixel scale of the request counts, too.

    Attributes
    ----------
    rows : tuple of int
        As of `NativeCut`.
    """

    def __init__(self, wcs, shape, request):
        (ny, nx), scale = request.shape, request.pixel_scale / 3600
        self._wcs = north_up(request.ra, request.dec, request.shape, scale)
        y, x = np.mgrid[:ny, :nx].reshape(2, -1).astype(float)
        self._pixels = pixels_of(wcs, directions_of(self._wcs, x, y))
        self._shape, self._tile = request.shape, shape
        near = np.round(np.nan_to_num(self._pixels, nan=-1e6))
        self._off = ((near < 0) | (near > np.array(shape[::-1]) - 1)).any(axis=1)
        inside = near[~self._off, 1]
        self.rows = (0, 0)
        if len(inside):
            low, high = int(inside.min()) - _ORDER, int(inside.max()) + _ORDER + 1
            self.rows = _within(low, high, shape[0])

    def take(self, array, top):
        """
        Take the cutout.

        Parameters
        ----------
        array, top
            As for `NativeCut.take`.

        Returns
        -------
        data : `~numpy.ndarray`
            Pixels, NaN beyond the edge of the tile.
        wcs : `~astropy.wcs.WCS`
            Theirs.
        """
        on = self._pixels[~self._off]
        near = np.round(on).astype(int)
        steps = np.arange(-_ORDER, _ORDER + 1)
        weights = [_lanczos(near[:, i, None] + steps - on[:, i, None]) for i in (0, 1)]
        (first, stop), nx = self.rows, self._tile[1]
        columns = np.clip(near[:, 0, None] + steps, 0, nx - 1)
        rows = np.clip(near[:, 1, None] + steps, first, stop - 1) - top
        values = array[rows[:, :, None], columns[:, None, :]]  # (n_pixel, 7, 7)
        data = np.full(len(self._off), np.nan, dtype=np.float32)
        data[~self._off] = np.einsum("iy,ix,iyx->i", weights[1], weights[0], values)
        return data.reshape(self._shape), self._wcs


def _lanczos(x):
    """Weights of the taps of each pixel, which sum to one; shape (n_pixel, 7)."""
    weights = np.where(np.abs(x) < _ORDER, np.sinc(x) * np.sinc(x / _ORDER), 0.0)
    return weights / weights.sum(axis=1, keepdims=True)


def _direction(request):
    return tangent_axes(np.radians([request.ra]), np.radians([request.dec]))[:, 0]


def _within(first, stop, n):
    """Part of a range of pixels that lies on a tile; empty as (0, 0)."""
    first, stop = max(int(first), 0), min(int(stop), n)
    return (first, stop) if first < stop else (0, 0)
