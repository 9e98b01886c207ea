"""What a batch is made of: pixels and pixel maps of many targets, put in blocks."""

import logging
from dataclasses import dataclass, field

import astropy.units as u
import numpy as np
from astropy.wcs import WCS

from mantis_astro.alignment.grid import common_wcs, find_wcs_problem
from mantis_astro.alignment.methods import choose_method, output_pixel_scale
from mantis_astro.alignment.pixel_map import (
    PixelMap,
    check_points,
    directions_of,
    pixels_of,
    target_direction,
)
from mantis_astro.alignment.resample import check_grid

__all__ = ["Block", "Grids", "gather"]

log = logging.getLogger(__name__)

_IGNORE_ANCILLARY = 1  # wcslib's WCSCOMPARE_ANCILLARY: dates, observatory, names
_BLOCK = 64  # images of one shape resampled at once: bounds the memory


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
    targets : `numpy.ndarray`
        Unit vectors of the targets in ICRS, shape (n, 3).
    directions : `numpy.ndarray`
        Unit vectors of the check points in ICRS, shape (n, 25, 3).
    """

    def __init__(self, coords, wcs, shape):
        self._coords = coords
        self._grid = wcs
        self.targets = np.array([target_direction(coord) for coord in coords])
        self.targets = self.targets.reshape(len(coords), 3)
        if isinstance(wcs, u.Quantity):
            if shape is None:
                msg = "'shape' must be given with a pixel scale"
                raise ValueError(msg)
            self.shape = tuple(int(side) for side in shape)
            self.directions = self._centred_directions(wcs.to_value(u.rad))
        elif isinstance(wcs, WCS):
            self.shape = check_grid(wcs, shape)
            one = directions_of(wcs, *check_points(self.shape))
            self.directions = np.broadcast_to(one, (len(coords), *one.shape))
        else:
            self.shape = self._shape_of_all(wcs, shape)
            points = check_points(self.shape)
            self.directions = np.array([directions_of(w, *points) for w in wcs])
        self.pixel_scale = output_pixel_scale(self.directions, self.shape)

    def wcs(self, i):
        """WCS of the grid of target i."""
        if isinstance(self._grid, u.Quantity):
            return common_wcs(self._coords[i], self.shape, self._grid)
        return self._grid if isinstance(self._grid, WCS) else self._grid[i]

    def _shape_of_all(self, grids, shape):
        if len(grids) != len(self._coords):
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

    def _centred_directions(self, scale):
        """Deproject the points of tangent planes at all targets at once."""
        x, y = check_points(self.shape)
        ny, nx = self.shape
        xi = -(x - (nx - 1) / 2) * scale  # radians, to the east
        eta = (y - (ny - 1) / 2) * scale
        vx, vy, vz = self.targets.T
        lon, lat = np.arctan2(vy, vx), np.arcsin(vz)
        sin, cos, zero = np.sin, np.cos, np.zeros_like(lon)
        east = np.stack([-sin(lon), cos(lon), zero], axis=-1)
        north = np.stack(
            [-sin(lat) * cos(lon), -sin(lat) * sin(lon), cos(lat)], axis=-1
        )
        plane = (
            self.targets[:, None]
            + xi[:, None] * east[:, None]
            + eta[:, None] * north[:, None]
        )  # (n, 25, 3)
        return plane / np.linalg.norm(plane, axis=-1, keepdims=True)


@dataclass(eq=False)
class _Item:
    """Images of one target that share a WCS and a shape: one map for all."""

    target: int
    cutouts: list
    bands: list
    columns: list
    method: str = ""

    def shares_map_with(self, cutout):
        mine = self.cutouts[0]
        if cutout.shape != mine.shape:
            return False
        a, b = mine.wcs, cutout.wcs
        if a is b:
            return True
        if a.has_distortion or b.has_distortion:
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
        One for each item.
    full : dict of int to (WCS, WCS)
        Output and input WCS of the items whose map is not accurate enough.
    """

    method: str
    data: np.ndarray
    bad: np.ndarray | None
    targets: np.ndarray
    columns: np.ndarray
    maps: PixelMap
    full: dict = field(default_factory=dict)


def gather(cutouts, grids, bands, method):
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

    Yields
    ------
    Block
        Bands that are missing, or whose WCS cannot be right, are in none.

    Raises
    ------
    ValueError
        If ``"interp"`` is asked for and would downsample.
    """
    items = _items(cutouts, bands)
    if not items:
        return
    positions = np.array(
        [pixels_of(item.cutouts[0].wcs, grids.directions[item.target]) for item in items]
    )
    maps = PixelMap(grids.shape, positions)
    scale_out = grids.pixel_scale[[item.target for item in items]]
    scale_in = scale_out / np.sqrt(maps.area)
    groups = {}
    for i, item in enumerate(items):
        item.method = choose_method(method, item.bands, scale_out[i], scale_in[i])
        key = (item.cutouts[0].shape, len(item.cutouts), item.method)
        groups.setdefault(key, []).append(i)
    for members in groups.values():
        for start in range(0, len(members), _BLOCK):
            yield _block(items, positions, grids, members[start : start + _BLOCK])


def _items(cutouts, bands):
    items = []
    for target, images in enumerate(cutouts):
        last = None
        for column, band in enumerate(bands):
            if band not in images:
                continue
            cutout = images[band]
            if last is not None and last.bands[0].survey == band.survey:
                if cutout.wcs is not None and last.shares_map_with(cutout):
                    last.cutouts.append(cutout)
                    last.bands.append(band)
                    last.columns.append(column)
                    continue
            problem = find_wcs_problem(cutout, band, images.coord)
            if problem is not None:
                log.warning("target %d, %s left out: %s", target, band, problem)
                continue
            last = _Item(target, [cutout], [band], [column])
            items.append(last)
    return items


def _block(items, positions, grids, members):
    first = items[members[0]]
    maps = PixelMap(grids.shape, positions[members])
    shape = (len(members), len(first.cutouts), *first.cutouts[0].shape)
    data = np.empty(shape, np.float32)
    masked = []
    for k, i in enumerate(members):
        for c, cutout in enumerate(items[i].cutouts):
            data[k, c] = cutout.data
            if cutout.mask is not None:
                masked.append((k, c, cutout.mask))
    bad = None
    if masked or not np.isfinite(data.sum()):  # the sum of finite pixels is finite
        bad = ~np.isfinite(data)
        for k, c, mask in masked:
            bad[k, c] |= mask
        data[bad] = 0
        bad = bad if bad.any() else None
    return Block(
        first.method,
        data,
        bad,
        np.array([items[i].target for i in members]),
        np.array([items[i].columns for i in members]),
        maps,
        {
            k: (grids.wcs(items[i].target), items[i].cutouts[0].wcs)
            for k, i in enumerate(members)
            if not maps.is_accurate[k]
        },
    )
