"""Pixels and pixel maps of many targets, gathered in blocks of one shape."""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.wcs import WCS

from mantis_astro.alignment.grid import common_wcs
from mantis_astro.alignment.methods import choose_method, output_pixel_scale
from mantis_astro.alignment.pixel_map import PixelMap, check_points
from mantis_astro.alignment.resample import check_grid, planes_and_bad
from mantis_astro.astrometry.directions import directions_of, pixels_of_each

__all__ = ["Block", "Grids", "gather"]

_MARGIN = 2  # pixels read beyond those that a grid touches
_ROUND = 16  # windows measure a multiple of this, where the image is large enough


class Grids:
    """
    The output grids of a batch, one for each target.

    Parameters
    ----------
    coords : list of `~astropy.coordinates.SkyCoord`
        The targets.
    axes : `numpy.ndarray`
        The same with east and north, as `tangent_axes` gives them, shape (n, 3, 3).
    wcs : `~astropy.units.Quantity`, `~astropy.wcs.WCS` or sequence of WCS
        A pixel scale, for grids centred on each target as `common_wcs` makes them;
        one grid for all; or one for each.
    shape : tuple of int or None
        Shape ``(ny, nx)``; None takes that of the WCS.

    Attributes
    ----------
    shape : tuple of int
        Shape ``(ny, nx)`` of every grid.
    directions : `numpy.ndarray`
        Unit vectors in ICRS of the check points, shape (n, 25, 3).
    pixel_scale : list of float
        Scale of each grid, in arcsec.
    """

    def __init__(self, coords, axes, wcs, shape):
        self._coords = coords
        self._grid = wcs
        if isinstance(wcs, u.Quantity):
            if shape is None:
                msg = "'shape' must be given with a pixel scale"
                raise ValueError(msg)
            self.shape = tuple(int(side) for side in shape)
            if not (wcs.isscalar and np.isfinite(wcs) and wcs > 0):
                msg = f"'wcs' as a pixel scale must be one positive angle, got {wcs}"
                raise ValueError(msg)
            self.directions = self._centred_directions(axes, wcs.to_value(u.rad))
            self.pixel_scale = [float(wcs.to_value(u.arcsec))] * len(coords)
        else:
            grids = [wcs] if isinstance(wcs, WCS) else list(wcs)
            self.shape = self._shape_of_all(grids, shape)
            side = check_points(self.shape)
            points = np.array([directions_of(grid, *side) for grid in grids])
            self.directions = np.broadcast_to(points, (len(coords), 25, 3))
            scales = output_pixel_scale(self.directions, self.shape)
            self.pixel_scale = scales.tolist()

    def wcs(self, i):
        """
        Return the WCS of the grid of one target.

        Parameters
        ----------
        i : int
            Which target.

        Returns
        -------
        `~astropy.wcs.WCS`
            Its grid.
        """
        if isinstance(self._grid, u.Quantity):
            return common_wcs(self._coords[i], self.shape, self._grid)
        return self._grid if isinstance(self._grid, WCS) else self._grid[i]

    def _shape_of_all(self, grids, shape):
        if not isinstance(self._grid, WCS) and len(grids) != len(self._coords):
            msg = (
                "'wcs' must be one WCS, a pixel scale or one WCS for each target: "
                f"expected {len(self._coords)}, got {len(grids)}"
            )
            raise ValueError(msg)
        shapes = {check_grid(wcs, shape) for wcs in grids}
        if len(shapes) != 1:
            msg = f"the grids of a batch must have one shape, got {sorted(shapes)}"
            raise ValueError(msg)
        return shapes.pop()

    def _centred_directions(self, axes, scale):
        """Deproject the points of tangent planes at all targets at once."""
        x, y = check_points(self.shape)
        ny, nx = self.shape
        xi = -(x - (nx - 1) / 2) * scale  # radians, to the east
        eta = (y - (ny - 1) / 2) * scale
        plane = np.stack([np.ones_like(xi), xi, eta], axis=-1) @ axes  # (n, 25, 3)
        return plane / np.linalg.norm(plane, axis=-1, keepdims=True)


@dataclass(eq=False)
class _Item:
    """Images of one target that share a verdict and a method: one map for all."""

    target: int
    verdict: int
    method: str
    cutouts: list
    columns: list


@dataclass(eq=False)
class Block:
    """
    Items of one shape, number of bands and method, resampled in one go.

    Attributes
    ----------
    method : str
        ``"interp"`` or ``"exact"``.
    data : `numpy.ndarray`
        Pixels, 0 where bad, shape (n_item, n_band, ny_in, nx_in), float32.
    bad : `numpy.ndarray` or None
        What is bad, same shape; None if nothing is.
    targets, columns : `numpy.ndarray`
        Where results go along the first two axes of the tensor, shapes (n_item,) and
        (n_item, n_band).
    maps : PixelMap
        One for each item, to the pixels of ``data``.
    is_inside : bool
        Whether every output pixel lies well on its image.
    full : dict of int to (WCS, WCS)
        Output and input WCS of the items whose map is not accurate enough.
    """

    method: str
    data: np.ndarray
    bad: np.ndarray | None
    targets: np.ndarray
    columns: np.ndarray
    maps: PixelMap
    is_inside: bool
    full: dict


def gather(cutouts, grids, bands, method, verdicts, *, block_size):
    """
    Collect the images of a batch in blocks.

    Parameters
    ----------
    cutouts : sequence of MultibandCutout
        The targets.
    grids : Grids
        Their output grids.
    bands : tuple of Band
        Bands wanted, in the order of the tensor's second axis.
    method : str or None
        Method, or None to choose it for each survey.
    verdicts : Verdicts
        Of the images; nothing is judged again here.
    block_size : int
        Number of pixels, in and out, to put into a block.

    Yields
    ------
    Block
        Bands that are missing, or whose WCS cannot be right, are in none.

    Raises
    ------
    ValueError
        If ``"interp"`` is asked for and would downsample.
    """
    items = _items(cutouts, grids, bands, method, verdicts)
    items, positions = _touching(items, grids)
    if not items:
        return
    maps = PixelMap(grids.shape, positions)
    shapes = [item.cutouts[0].data.shape for item in items]
    starts, sizes = _windows(maps, np.array(shapes))
    groups = {}
    for i, item in enumerate(items):
        key = (tuple(sizes[i]), len(item.cutouts), item.method)
        groups.setdefault(key, []).append(i)
    for (size, n_band, _), members in groups.items():
        pixels = n_band * (np.prod(size) + np.prod(grids.shape))
        step = max(1, int(block_size // pixels))
        for first in range(0, len(members), step):
            chosen = members[first : first + step]
            yield _block(items, maps, grids, starts, size, chosen)


def _items(cutouts, grids, bands, method, verdicts):
    """Gather the images that are right by target and map."""
    scales_in = [round(local.pixel_scale, 6) for local in verdicts.local_maps]
    items = []
    for target, column in np.argwhere(verdicts.is_right).tolist():
        band, verdict = bands[column], int(verdicts.index[target, column])
        chosen = choose_method(
            method, band, grids.pixel_scale[target], scales_in[verdict]
        )
        last = items[-1] if items else None
        if last is None or last.verdict != verdict or last.method != chosen:
            last = _Item(target, verdict, chosen, [], [])
            items.append(last)
        last.cutouts.append(cutouts[target][band])
        last.columns.append(column)
    return items


def _touching(items, grids):
    """Items whose images meet the box around their grid, and the check points there."""
    if not items:
        return [], None
    directions = grids.directions[[item.target for item in items]]
    positions = pixels_of_each([item.cutouts[0].wcs for item in items], directions)
    shapes = np.array([item.cutouts[0].data.shape for item in items])
    on_low_side = (positions > -1).any(axis=1)  # False for NaN
    on_high_side = (positions < shapes[:, None, ::-1]).any(axis=1)
    touches = (on_low_side & on_high_side).all(axis=1)
    chosen = np.flatnonzero(touches)
    return [items[k] for k in chosen], positions[chosen]


def _windows(maps, shapes):
    """
    Find the part of each image that its grid needs: first pixel and shape, (n, 2).

    They depend on nothing but the image and its own grid, so that results do not
    depend on the company; shapes are rounded up, so that most are alike.
    """
    low = np.floor(np.nan_to_num(maps.positions.min(axis=1)))[:, ::-1] - _MARGIN
    high = np.ceil(np.nan_to_num(maps.positions.max(axis=1)))[:, ::-1] + _MARGIN
    low, high = np.clip([low, high], 0, shapes).astype(int)
    size = np.minimum(_ROUND * -(-(high - low) // _ROUND), shapes)
    start = np.minimum(low, shapes - size)
    is_whole = ~maps.is_accurate[:, None]  # may bulge between the check points
    return np.where(is_whole, 0, start), np.where(is_whole, shapes, size)


def _block(items, maps, grids, starts, size, members):
    ny, nx = size
    data = np.empty((len(members), len(items[members[0]].cutouts), ny, nx), np.float32)
    masked = []
    for k, i in enumerate(members):
        y, x = starts[i]
        window = (slice(y, y + ny), slice(x, x + nx))
        for c, cutout in enumerate(items[i].cutouts):
            data[k, c] = cutout.data[window]
            if cutout.mask is not None or cutout.uncertainty is not None:
                masked.append((k, c, planes_and_bad(cutout)[1][window]))
    bad = None
    if masked or not np.isfinite(data.sum()):  # the sum of finite pixels is finite
        bad = ~np.isfinite(data)
        for k, c, mask in masked:
            bad[k, c] |= mask
        data[bad] = 0
        bad = bad if bad.any() else None
    positions = maps.positions[members] - starts[members][:, None, ::-1]
    is_inside = positions.min() > 0.5 and np.all(positions < np.array([nx, ny]) - 1.5)
    own = PixelMap(grids.shape, positions)
    return Block(
        method=items[members[0]].method,
        data=data,
        bad=bad,
        targets=np.array([items[i].target for i in members]),
        columns=np.array([items[i].columns for i in members]),
        maps=own,
        is_inside=bool(is_inside and own.is_accurate.all()),
        full={
            k: (grids.wcs(items[i].target), items[i].cutouts[0].wcs)
            for k, i in enumerate(members)
            if not maps.is_accurate[i]
        },
    )
