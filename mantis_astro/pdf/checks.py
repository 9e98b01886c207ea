"""Checks of the input of densities, on plain arrays."""

import numpy as np

from mantis_astro import binned

__all__ = ["as_flags", "match_bins", "refuse_bad_rows"]


def match_bins(bin_edges, values, name):
    """
    Check bin edges, and an array whose last axis must match them.

    Parameters
    ----------
    bin_edges : array_like or `~astropy.units.Quantity`
        Shape ``(n_bins + 1,)``.
    values : array_like or `torch.Tensor`
        Shape ``(..., n_bins)``.
    name : str
        What a message shall call the values.

    Returns
    -------
    bin_edges : ndarray
        Read-only.
    values : ndarray
        Real numbers; masked ones are NaN.

    Raises
    ------
    TypeError
        If the values are no real numbers.
    ValueError
        If the edges are wrong, or the shapes do not match.
    """
    edges = binned.validate_bin_edges(bin_edges)
    values = _plain_array(values)
    if values.dtype.kind not in "biuf":
        msg = f"'{name}' must be real numbers, got dtype {values.dtype}"
        raise TypeError(msg)
    if values.ndim == 0 or values.shape[-1] != len(edges) - 1:
        msg = (
            f"last axis of '{name}' must match the redshift bins: expected "
            f"{len(edges) - 1}, got shape {values.shape}"
        )
        raise ValueError(msg)
    return edges, values


def refuse_bad_rows(name, values, good):
    """
    Refuse rows that cannot be normalised.

    Parameters
    ----------
    name : str
        What the message shall call them.
    values : ndarray
        Shape ``(..., n_bins)``.
    good : ndarray of bool
        Shape ``(...)``.

    Raises
    ------
    ValueError
        If one is bad; the message names the first.
    """
    if good.all():
        return
    first = tuple(int(i) for i in np.argwhere(~good)[0])
    row = np.asarray(values)[first]
    if not np.isfinite(row).all():
        fault = f"holds {row[~np.isfinite(row)][0]}"
    elif (row < 0).any():
        fault = f"holds {row.min()}"
    else:
        fault = "has no probability in the bins"
    where = f"row {first[0] if len(first) == 1 else first} of " if first else ""
    msg = (
        f"{where}'{name}' {fault}: a row must be finite, not negative and not all "
        f"zero ({np.sum(~good)} of {good.size} are not). Within a batch, "
        f"bad='flag' makes such rows uniform and flags them NO_DATA"
    )
    raise ValueError(msg)


def as_flags(flags, shape):
    """
    Convert quality bits to int64, in the galaxies' shape.

    Parameters
    ----------
    flags : int, array_like of int or None
        Broadcast to the shape; None is 0.
    shape : tuple of int
        Of the galaxies.

    Returns
    -------
    ndarray of int64
        A copy.

    Raises
    ------
    TypeError
        If they are no integers.
    ValueError
        If they do not broadcast to the shape.
    """
    flags = np.asarray(0 if flags is None else flags)
    if flags.dtype.kind not in "iu":
        msg = f"'flags' must be integers, got dtype {flags.dtype}"
        raise TypeError(msg)
    try:
        return np.broadcast_to(flags, shape).astype(np.int64)
    except ValueError:
        msg = f"'flags' must broadcast to shape {shape}, got shape {flags.shape}"
        raise ValueError(msg) from None


def _plain_array(values):
    """Make a numpy array, also of a torch tensor on any device; masked becomes NaN."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = values.float() if values.dtype.itemsize < 4 else values  # bfloat16
    if np.ma.isMA(values):
        values = values.astype(np.result_type(values, np.float32)).filled(np.nan)
    return np.asarray(values)
