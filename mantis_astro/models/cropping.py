"""Cutting one image around its target, in the image's own pixels."""

import numpy as np

from mantis_astro.flags import Flag

__all__ = ["crop", "is_blank"]


def crop(cutout, placement, side):
    """
    Cut a square out of an image, north up and east to the left.

    Parameters
    ----------
    cutout : `~astropy.nddata.CCDData`
        The image; integers and any byte order will do.
    placement : `~numpy.ndarray`
        Where the target is, shape (2, 3), as
        `~mantis_astro.models.placement.PlacedBatch` has it.
    side : int
        Side of the square in pixels.

    Returns
    -------
    window : `~numpy.ndarray`
        Shape (side, side), float32; NaN where masked, 0 beyond the image.
    complete : bool
        Whether the image covers the whole square.
    """
    data, mask = cutout.data, cutout.mask
    (x, *of_x), (y, *of_y) = placement
    if abs(of_x[0]) + abs(of_y[1]) < abs(of_x[1]) + abs(of_y[0]):
        data, mask = data.T, None if mask is None else mask.T
        x, y, of_x, of_y = y, x, of_y, of_x
    ny, nx = data.shape
    if of_y[1] < 0:  # north down
        data, mask = data[::-1], None if mask is None else mask[::-1]
        y = ny - 1 - y
    if of_x[0] > 0:  # east to the right
        data, mask = data[:, ::-1], None if mask is None else mask[:, ::-1]
        x = nx - 1 - x
    centred = np.hypot(x - (nx - 1) / 2, y - (ny - 1) / 2) <= Flag.OFF_CENTRE.threshold
    rows, to_rows = _span(y, ny, side, centred=centred)
    columns, to_columns = _span(x, nx, side, centred=centred)

    window = np.zeros((side, side), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        window[to_rows, to_columns] = data[rows, columns]
    if mask is not None:
        window[to_rows, to_columns][mask[rows, columns]] = np.nan
    inside = (rows.stop - rows.start) * (columns.stop - columns.start)
    return window, inside == side * side


def _span(position, length, side, *, centred):
    """Slices of the image and of the window, along one axis."""
    if centred:  # about the image's own centre, as the published code crops
        start = round((length - side) / 2)
    else:
        start = int(np.floor(position + 0.5)) - side // 2
    low, high = max(start, 0), min(start + side, length)
    return slice(low, high), slice(low - start, high - start)


def is_blank(window, cutout):
    """
    Whether an image is blank: every pixel masked, not finite or exactly zero.

    GALEX serves zeros where it never looked; but a window that happens to hold no
    photon is an observation, so the whole image decides.

    Parameters
    ----------
    window : `~numpy.ndarray`
        The part that is used.
    cutout : `~astropy.nddata.CCDData`
        The whole image.

    Returns
    -------
    bool
        True if there is nothing to see.
    """
    if _has_signal(window):
        return False
    data = np.asarray(cutout.data)
    return not _has_signal(data if cutout.mask is None else data[~cutout.mask])


def _has_signal(pixels):
    return bool((np.isfinite(pixels) & (pixels != 0)).any())
