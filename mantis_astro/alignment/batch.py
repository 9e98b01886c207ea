"""`align_batch`: images of many targets onto their grids at once, by torch."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch.nn.functional import grid_sample

from mantis_astro.alignment.gather import Grids, gather
from mantis_astro.alignment.methods import CONSERVE, MINIMUM_COVERAGE, check_option
from mantis_astro.alignment.pixel_map import (
    pixel_centres,
    pixel_corners,
    quadrilateral_area,
)
from mantis_astro.astrometry import judge_all
from mantis_astro.bands import get_bands, list_bands

if TYPE_CHECKING:
    from astropy.units import Quantity
    from astropy.wcs import WCS

    from mantis_astro.astrometry import Verdicts
    from mantis_astro.bands import BandLike
    from mantis_astro.cutouts import MultibandCutout

__all__ = ["align_batch"]

log = logging.getLogger(__name__)

_EDGE = 1 + 1e-6  # |normalised position| up to which a point is on the image
_LARGE = 256  # pixels a side above which float32 positions err by more than 1e-5 px
_VERTICAL = 1e-5  # an edge that spans less of a row, in px, is taken as vertical
# Pixels in a block: small enough for a processor's cache (a batch of 64 in one block
# takes three times as long), large enough to keep a GPU busy.
_BLOCK_SIZE = {"cpu": 1_000_000, "cuda": 100_000_000}


def align_batch(
    cutouts: Sequence[MultibandCutout],
    wcs: Quantity | WCS | Sequence[WCS],
    shape: tuple[int, int] | None = None,
    *,
    bands: Iterable[BandLike] | None = None,
    method: Literal["interp", "exact"] | None = None,
    conserve: Literal["flux", "surface brightness"] = "flux",
    device: torch.device | str | None = None,
    verdicts: Verdicts | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Resample the bands of many targets onto their pixel grids, as one tensor.

    The same numbers as `align`, some tens of times faster.

    Parameters
    ----------
    cutouts : sequence of MultibandCutout
        The targets, n of them.
    wcs : `~astropy.units.Quantity`, `~astropy.wcs.WCS` or sequence of WCS
        The grids: a pixel scale (an angle), for grids centred on each target exactly
        as `common_wcs` makes them; one WCS for all targets; or n of them.
    shape : tuple of int, optional
        Shape ``(ny, nx)`` of every grid; by default that of the WCS.
    bands : sequence of Band or str, optional
        The channels, in their order; by default all bands that any target has, in the
        order of the registry.
    method : {"interp", "exact"}, optional
        Bilinear interpolation or exact overlap of pixels. By default chosen for each
        survey as in `align`.
    conserve : {"flux", "surface brightness"}, optional
        What pixel values mean, as in `align`.
    device : `torch.device` or str, optional
        Where to compute and leave the result.
    verdicts : `~mantis_astro.astrometry.Verdicts`, optional
        Of `~mantis_astro.astrometry.judge_all` on the same cutouts and bands, if
        there are any already; by default the images are judged here.

    Returns
    -------
    tensor : `torch.Tensor`
        Shape (n, n_band, ny, nx), float32; NaN where masked.
    masks : `torch.Tensor`
        Same shape, bool; True where there is nothing good: bad or missing pixels, a
        missing band, or one whose WCS cannot be right (`find_wcs_problem`; logged).

    Raises
    ------
    ValueError
        If ``"interp"`` is asked for and would downsample, or the grids and targets do
        not match.

    Notes
    -----
    Pixel maps are quadratics fitted to the true positions of 25 points, with the
    error of each measured; where it exceeds 2e-5 px every pixel is transformed in
    full. Results agree with `reproject.reproject_interp` to 1e-5 of the peak and do
    not depend on the other targets of the batch, bit for bit.

    Exact overlap integrates the image, constant in each of its pixels, over each
    output pixel by Green's theorem: the sum over its four edges of the integral of
    F dy, with F the running sum along x. Each edge serves two pixels, whatever the
    rotation, and the sum over the grid is the flux of the image under it.

    Examples
    --------
    >>> import astropy.units as u
    >>> import numpy as np
    >>> from astropy.coordinates import SkyCoord
    >>> from astropy.nddata import CCDData
    >>> from mantis_astro import MultibandCutout, align_batch, common_wcs
    >>> coord = SkyCoord(10, 20, unit="deg")
    >>> wcs = common_wcs(coord, 32, 1.5 * u.arcsec)
    >>> image = CCDData(np.ones((32, 32)), unit="ct/s", wcs=wcs)
    >>> cutouts = MultibandCutout(coord, {"galex.NUV": image})
    >>> tensor, masks = align_batch([cutouts], 3 * u.arcsec, (8, 8))
    >>> tensor.shape, bool(masks.any()), float(tensor.mean())
    (torch.Size([1, 1, 8, 8]), False, 4.0)
    """
    check_option("method", method, (None, "interp", "exact"))
    check_option("conserve", conserve, CONSERVE)
    cutouts = list(cutouts)
    bands = _bands(cutouts) if bands is None else get_bands(bands)
    if verdicts is None:
        verdicts = judge_all(cutouts, bands)
        _log_problems(verdicts, bands)
    grids = Grids([images.coord for images in cutouts], verdicts.axes, wcs, shape)
    place = torch.device("cpu" if device is None else device)
    size = (len(cutouts), len(bands), *grids.shape)
    tensor = torch.empty(size, dtype=torch.float32, device=place)
    masks = torch.zeros(size, dtype=torch.bool, device=place)
    is_empty = np.ones(size[:2], dtype=bool)
    block_size = _BLOCK_SIZE.get(place.type, _BLOCK_SIZE["cuda"])
    for block in gather(cutouts, grids, bands, method, verdicts, block_size=block_size):
        sample = _interpolate if block.method == "interp" else _overlap
        values, mask, area = sample(block, place)
        if conserve == "flux":
            values *= area
        where = _indices(block)
        if mask is not None:
            values.masked_fill_(mask, torch.nan)
            masks[where] = mask
        tensor[where] = values
        is_empty[where] = False
    if is_empty.any():
        rows, columns = np.nonzero(is_empty)
        tensor[rows, columns] = torch.nan
        masks[rows, columns] = True
    return tensor, masks


def _bands(cutouts):
    present = {band for images in cutouts for band in images}
    return tuple(band for band in list_bands() if band in present)


def _log_problems(verdicts, bands):
    wrong = np.argwhere((verdicts.index >= 0) & ~verdicts.is_right)
    if wrong.size:
        target, column = wrong[0]
        problem = verdicts.problems[verdicts.index[target, column]]
        text = "%d images left out, first target %d, %s: %s"
        log.warning(text, len(wrong), target, bands[column], problem)


def _indices(block):
    """Where a block goes: slices if it can be, which take a quarter of the time."""
    rows, columns = block.targets, block.columns
    is_run = np.all(np.diff(rows) == 1) and np.all(np.diff(columns[0]) == 1)
    if is_run and np.all(columns == columns[0]):
        return slice(rows[0], rows[-1] + 1), slice(columns[0, 0], columns[0, -1] + 1)
    return rows[:, None], columns


def _tensors(block, device):
    """Pixels (n, c, ny, nx), and where they are good (or None), on the device."""
    data = torch.from_numpy(block.data).to(device)
    good = None if block.bad is None else torch.from_numpy(~block.bad).to(device)
    return data, good


def _evaluate(coefficients, u, v, device):
    """Quadratics with coefficients (n, 6, 2) at the points u (nx), v (ny) of grids."""
    c = torch.from_numpy(coefficients[..., None, None]).to(device).unbind(1)
    u = torch.from_numpy(u).to(device)
    v = torch.from_numpy(v).to(device)[:, None]
    # Neither a matrix product nor a fused addcmul: the rounding of either depends on
    # where in memory a number falls, so on the size of the batch.
    xy = (c[0] + c[1] * u + c[3] * u**2) + (c[2] * v + c[5] * v**2)
    return xy.add_(c[4] * v * u)  # (n, 2, ny, nx)


def _interpolate(block, device):
    """Bilinear values (n, c, ny, nx), mask (or None) and pixel area of a block."""
    data, good = _tensors(block, device)
    ny, nx = data.shape[-2:]
    # positions from -1 to 1, edge to edge, as grid_sample wants them
    coefficients = block.maps.coefficients * (2 / np.array([nx, ny]))
    coefficients[:, 0] += 1 / np.array([nx, ny]) - 1
    n_y, n_x = block.maps.shape
    u = (2 * np.arange(n_x) + 1) / n_x - 1
    v = (2 * np.arange(n_y) + 1) / n_y - 1
    positions = _evaluate(coefficients, u, v, device)  # (n, 2, n_y, n_x)
    for k, wcs_pair in block.full.items():
        centres = (2 * pixel_centres(*wcs_pair, block.maps.shape) + 1) / [nx, ny] - 1
        positions[k] = torch.from_numpy(np.moveaxis(centres, -1, 0))
    dtype = torch.float64 if max(nx, ny) > _LARGE else torch.float32
    positions = positions.to(dtype)
    channels = data if good is None else torch.cat([data, good], dim=1)
    values = grid_sample(
        channels.to(dtype),
        torch.stack(positions.unbind(1), dim=-1),
        padding_mode="border",
        align_corners=False,
    ).float()
    mask = None
    if not block.is_inside:
        outside = ~(positions.abs() <= _EDGE).all(dim=1, keepdim=True)  # True for NaN
        mask = outside.expand(-1, data.shape[1], -1, -1)
    if good is not None:
        values, weight = values.chunk(2, dim=1)
        touches_bad = weight < MINIMUM_COVERAGE["interp"]
        mask = touches_bad if mask is None else mask | touches_bad
        values = values / _whole(weight, 1, 1e-6)
    return values, mask, _areas(block).to(device)


def _areas(block):
    """Area of output pixels in input pixels, (n, 1, 1, 1) or (n, 1, ny, nx)."""
    area = torch.from_numpy(block.maps.area).float()[:, None, None, None]
    if block.full:
        area = area.repeat(1, 1, *block.maps.shape)
        for k, wcs_pair in block.full.items():
            corners = pixel_corners(*wcs_pair, block.maps.shape)
            area[k, 0] = torch.from_numpy(quadrilateral_area(corners))
    return area


def _overlap(block, device):
    """Mean values over output pixels, mask (or None) and pixel areas of a block."""
    data, good = _tensors(block, device)
    n_y, n_x = block.maps.shape
    corners = _evaluate(
        block.maps.coefficients,
        np.linspace(-1, 1, n_x + 1),
        np.linspace(-1, 1, n_y + 1),
        device,
    )
    for k, wcs_pair in block.full.items():
        full = pixel_corners(*wcs_pair, block.maps.shape)
        corners[k] = torch.from_numpy(np.moveaxis(full, -1, 0))
    corners += 0.5  # input pixel i runs from i to i + 1
    signed_area = _signed_areas(corners)[:, None]  # (n, 1, n_y, n_x)
    if good is None and block.is_inside:
        return (_around(data, corners) / signed_area).float(), None, signed_area.abs()
    good = torch.ones_like(data[:, :1]) if good is None else good
    sums = _around(torch.cat([data, good], dim=1), corners)
    n_band = data.shape[1]
    covered = _whole(sums[:, n_band:], signed_area, 1e-9)  # (n, n_band or 1, n_y, n_x)
    mask = ~(covered / signed_area >= MINIMUM_COVERAGE["exact"])  # True for NaN
    values = (sums[:, :n_band] / covered).float()
    return values, mask.expand(-1, n_band, -1, -1), signed_area.abs()


def _whole(part, whole, tolerance):
    """
    Make exact a part that is the whole but for rounding.

    Images without bad pixels then come out the same, bit for bit, in a block where
    another one has some.
    """
    return torch.where((part - whole).abs() <= tolerance * abs(whole), whole, part)


def _signed_areas(corners):
    """Areas (n, ny, nx) between corners (n, 2, ny + 1, nx + 1); by orientation."""
    d = corners[..., 1:, 1:] - corners[..., :-1, :-1]
    e = corners[..., 1:, :-1] - corners[..., :-1, 1:]
    return (d[:, 0] * e[:, 1] - d[:, 1] * e[:, 0]) / 2


def _around(images, corners):
    """
    Integrals of images (n, c, ny_in, nx_in) over pixels between corners, signed.

    By Green's theorem, the sum over the edges of a pixel of the integral of F dy.
    Corners (n, 2, ny + 1, nx + 1) are in input pixels, the first from 0 to 1. Returns
    (n, c, ny, nx), float64.
    """
    table = _running_sums(images)
    along_x = _edge_integrals(table, corners[..., :-1], corners[..., 1:])
    along_y = _edge_integrals(table, corners[..., :-1, :], corners[..., 1:, :])
    around = (
        along_x[:, :-1] + along_y[:, :, 1:] - along_x[:, 1:] - along_y[:, :, :-1]
    )  # (n, ny, nx, c)
    return around.movedim(-1, 1)


def _running_sums(images):
    """
    G, F and f at the left edge of each pixel: F is the integral of f along x, G of F.

    Shape (n, ny, nx + 2, 3, c), float64: an empty column on either side, so that there
    is nothing left and right of the image.
    """
    n, c, ny, nx = images.shape
    table = images.new_zeros((n, ny, nx + 2, 3, c), dtype=torch.float64)
    G, F, f = table.unbind(3)  # (n, ny, nx + 2, c)
    f[:, :, 1:-1] = images.permute(0, 2, 3, 1)
    torch.cumsum(f[:, :, :-1], dim=2, out=F[:, :, 1:])
    torch.cumsum((F + f / 2)[:, :, :-1], dim=2, out=G[:, :, 1:])
    return table


def _edge_integrals(table, start, end):
    """Integral of F dy along straight edges, summed row by row of the image."""
    n, ny = table.shape[:2]
    (xa, ya), (xb, yb) = start.unbind(1), end.unbind(1)  # (n, n_y, n_x) each
    dy = yb - ya
    slope = (xb - xa) / torch.where(dy == 0, 1, dy)
    first = torch.minimum(ya, yb).floor()
    n_row = torch.nan_to_num(torch.maximum(ya, yb) - first).max().ceil()
    image = torch.arange(n, device=table.device)[:, None, None] * ny
    total = table.new_zeros(*xa.shape, table.shape[-1])
    for k in range(int(n_row)):
        row = first + k
        y0 = torch.clamp(ya, row, row + 1)
        y1 = torch.clamp(yb, row, row + 1)
        height = torch.where((row >= 0) & (row < ny), y1 - y0, 0)
        j = image + torch.nan_to_num(row).clamp(0, ny - 1).long()
        x0, x1 = xa + (y0 - ya) * slope, xa + (y1 - ya) * slope
        total += _mean_along(table, j, x0, x1, height) * height[..., None]
    return total  # (n, n_y, n_x, c)


def _mean_along(table, j, x0, x1, height):
    """Mean of F between x0 and x1 in the rows j of all images, (..., c)."""
    run = x1 - x0
    is_vertical = run.abs() < _VERTICAL
    if is_vertical.all():
        return _integral(table, 1, j, (x0 + x1) / 2)
    mean = _integral(table, 0, j, x1) - _integral(table, 0, j, x0)
    mean /= torch.where(is_vertical, 1, run)[..., None]
    is_upright = is_vertical & (height != 0)  # most without a run have no height either
    if is_upright.any():
        upright = _integral(table, 1, j, (x0 + x1) / 2)
        mean = torch.where(is_upright[..., None], upright, mean)
    return mean


def _integral(table, which, j, x):
    """G (which = 0) or F (1) at the positions x of rows j: a piecewise polynomial."""
    _, _, width, _, c = table.shape
    x = x + 1  # the table's empty column
    i = torch.nan_to_num(x).floor().clamp(0, width - 1)
    r = (x - i)[..., None]
    index = j * width + i.long()
    at_edge = table.view(-1, 3, c).index_select(0, index.flatten())
    at_edge = at_edge.view(*x.shape, 3, c).unbind(-2)
    G, F, f = at_edge
    return F + f * r if which else G + (F + f * (r / 2)) * r  # not fused, as above
