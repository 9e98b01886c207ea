"""What a batch is made of: pixels and pixel maps of many targets, put in blocks."""

import logging
import math
from dataclasses import dataclass
from functools import lru_cache

import astropy.units as u
import numpy as np
from astropy.wcs import WCS

from mantis_astro.alignment.grid import (
    common_wcs,
    pixel_scales,
    problem_with_position,
    problem_with_wcs,
)
from mantis_astro.alignment.methods import choose_method, output_pixel_scale
from mantis_astro.alignment.pixel_map import PixelMap, check_points
from mantis_astro.alignment.resample import check_grid, planes_and_bad
from mantis_astro.astrometry.directions import (
    directions_of,
    pixels_of_each,
    target_direction,
)

__all__ = ["Block", "Grids", "gather"]

log = logging.getLogger(__name__)

_IGNORE_ANCILLARY = 1  # wcslib's WCSCOMPARE_ANCILLARY: dates, observatory, names
_MARGIN = 2  # pixels read beyond those that a grid touches
_ROUND = 16  # windows measure a multiple of this, where the image is large enough


class Grids:
    """
    The output grids of a batch, one for each target.

    Parameters
    ----------
    coords : list of `~astropy.coordinates.SkyCoord`
        The targets.
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
        Unit vectors in ICRS of the check points and, last, of the target, shape
        (n, 26, 3).
    pixel_scale : list of float
        Scale of each grid, in arcsec.
    """

    def __init__(self, coords, wcs, shape):
        self._coords = coords
        self._grid = wcs
        targets = np.array([target_direction(coord) for coord in coords])
        targets = targets.reshape(len(coords), 3)
        if isinstance(wcs, u.Quantity):
            if shape is None:
                msg = "'shape' must be given with a pixel scale"
                raise ValueError(msg)
            self.shape = tuple(int(side) for side in shape)
            if not (wcs.isscalar and np.isfinite(wcs) and wcs > 0):
                msg = f"'wcs' as a pixel scale must be one positive angle, got {wcs}"
                raise ValueError(msg)
            points = self._centred_directions(targets, wcs.to_value(u.rad))
            self.pixel_scale = [float(wcs.to_value(u.arcsec))] * len(coords)
        else:
            grids = [wcs] if isinstance(wcs, WCS) else list(wcs)
            self.shape = self._shape_of_all(grids, shape)
            side = check_points(self.shape)
            points = np.array([directions_of(grid, *side) for grid in grids])
            points = np.broadcast_to(points, (len(coords), 25, 3))
            self.pixel_scale = output_pixel_scale(points, self.shape).tolist()
        self.directions = np.concatenate([points, targets[:, None]], axis=1)

    def wcs(self, i):
        """
        Make the WCS of the grid of one target.

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

    def _centred_directions(self, targets, scale):
        """Deproject the points of tangent planes at all targets at once."""
        x, y = check_points(self.shape)
        ny, nx = self.shape
        xi = -(x - (nx - 1) / 2) * scale  # radians, to the east
        eta = (y - (ny - 1) / 2) * scale
        vx, vy, vz = targets.T
        lon, lat = np.arctan2(vy, vx), np.arcsin(vz)
        sin, cos, zero = np.sin, np.cos, np.zeros_like(lon)
        east = np.stack([-sin(lon), cos(lon), zero], axis=-1)
        north = np.stack(
            [-sin(lat) * cos(lon), -sin(lat) * sin(lon), cos(lat)], axis=-1
        )
        plane = (
            targets[:, None]
            + xi[:, None] * east[:, None]
            + eta[:, None] * north[:, None]
        )  # (n, 25, 3)
        return plane / np.linalg.norm(plane, axis=-1, keepdims=True)


@dataclass(eq=False)
class _Item:
    """Images of one target that share WCS, shape and method: one map for all."""

    target: int
    method: str
    cutouts: list
    columns: list

    def shares_map_with(self, cutout):
        first = self.cutouts[0]
        is_alike = first.data.shape == cutout.data.shape  # CCDData.shape takes longer
        return is_alike and _same_wcs(first.wcs, cutout.wcs)


def _same_wcs(a, b):
    if a is b:
        return True
    if a is None or b is None or a.has_distortion or b.has_distortion:
        return False
    return a.wcs.compare(b.wcs, _IGNORE_ANCILLARY)


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


def gather(cutouts, grids, bands, method, *, block_size):
    """
    Put the images of a batch into blocks.

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
    items, positions, problems = _placed_items(cutouts, grids, bands, method)
    if problems:
        log.warning("%d images left out, first %s", len(problems), problems[0])
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


def _placed_items(cutouts, grids, bands, method):
    """Items whose target is on the image, their check points there, and the others."""
    items, problems = _items(cutouts, grids, bands, method)
    if not items:
        return [], None, problems
    directions = grids.directions[[item.target for item in items]]
    positions = pixels_of_each([item.cutouts[0].wcs for item in items], directions)
    is_good = np.ones(len(items), dtype=bool)
    for i, position in enumerate(positions[:, -1].tolist()):
        problem = problem_with_position(position, items[i].cutouts[0].data.shape)
        if problem is not None:
            names = ", ".join(str(bands[column]) for column in items[i].columns)
            problems.append(f"target {items[i].target}, {names}: {problem}")
            is_good[i] = False
    is_good &= _touches(positions[:, :-1], items)
    items = [item for item, good in zip(items, is_good, strict=True) if good]
    return items, positions[is_good, :-1], problems


def _touches(positions, items):
    """Whether the box around a grid meets the image."""
    shapes = np.array([item.cutouts[0].data.shape for item in items])
    on_low_side = (positions > -1).any(axis=1)  # False for NaN
    on_high_side = (positions < shapes[:, None, ::-1]).any(axis=1)
    return (on_low_side & on_high_side).all(axis=1)


def _items(cutouts, grids, bands, method):
    """Images gathered by target and map, and those whose WCS cannot be right."""
    column_of = {band: column for column, band in enumerate(bands)}
    choose = lru_cache(maxsize=None)(choose_method)  # the same few arguments again
    items, problems = [], []
    for target, images in enumerate(cutouts):
        last, last_survey = None, None
        for band, cutout in images.items():
            if band not in column_of:
                continue
            is_alike = last is not None and last.shares_map_with(cutout)
            if not (is_alike and band.survey == last_survey):
                problem = problem_with_wcs(cutout, band)
                if problem is not None:
                    problems.append(f"target {target}, {band}: {problem}")
                    continue
                scale_in = math.sqrt(math.prod(pixel_scales(cutout.wcs)))
                last_survey = band.survey
            chosen = choose(method, band, grids.pixel_scale[target], scale_in)
            if not (is_alike and chosen == last.method):
                last = _Item(target, chosen, [], [])
                items.append(last)
            last.cutouts.append(cutout)
            last.columns.append(column_of[band])
    return items, problems


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
