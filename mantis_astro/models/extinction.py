"""E(B-V) of many objects as a network reads it."""

from collections.abc import Mapping

import astropy.units as u
import numpy as np
import torch

from mantis_astro.exceptions import InputSpecError
from mantis_astro.flags import Flag

__all__ = ["ebv_to_tensor"]


def ebv_to_tensor(ebv, n_object, *, maps, default):
    """
    Bring E(B-V) into the columns that a network was trained with.

    Parameters
    ----------
    ebv : None, array_like, `~astropy.units.Quantity` or mapping
        E(B-V) in magnitudes: shape (n_object, n_map) in the order of ``maps``; shape
        (n_object,) or a scalar, taken for every map; or a mapping of map name to
        values of shape (n_object,). None if not known.
    n_object : int
        Number of objects.
    maps : tuple of str
        Names of the dust maps, in the network's order.
    default : tuple of float
        Value for each map where none is given or it is not finite.

    Returns
    -------
    tensor : `torch.Tensor`
        Shape (n_object, n_map), float32.
    flags : `~numpy.ndarray`
        Shape (n_object,), int32: EBV_ASSUMED and HIGH_EBV.

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` if the shape or a map does not fit.

    Examples
    --------
    >>> from mantis_astro.flags import decode_flags
    >>> from mantis_astro.models.extinction import ebv_to_tensor
    >>> tensor, flags = ebv_to_tensor(
    ...     {"csfd": [0.01, 0.4]}, 2, maps=("csfd", "planck"), default=(0.03, 0.04)
    ... )
    >>> tensor.numpy().round(3).tolist()
    [[0.01, 0.04], [0.4, 0.04]]
    >>> decode_flags(flags)
    [['EBV_ASSUMED'], ['HIGH_EBV', 'EBV_ASSUMED']]
    """
    values = _columns(ebv, n_object, maps)  # (n_object, n_map), NaN where not given
    absent = ~np.isfinite(values)
    flags = np.zeros(n_object, np.int32)
    flags[absent.any(1)] |= Flag.EBV_ASSUMED
    flags[(values > Flag.HIGH_EBV.threshold).any(1)] |= Flag.HIGH_EBV
    values = np.where(absent, np.asarray(default, float).reshape(1, -1), values)
    return torch.from_numpy(values.astype(np.float32)), flags


def _columns(ebv, n_object, maps):
    shape = (n_object, len(maps))
    if ebv is None or not maps:
        return np.full(shape, np.nan)
    if isinstance(ebv, Mapping):
        strangers = sorted(set(ebv) - set(maps))
        if strangers:
            msg = f"'ebv' names maps {strangers}; the model reads {list(maps)}"
            raise InputSpecError(msg)
        columns = [_plain(ebv.get(name, np.nan)) for name in maps]
        return np.stack([_spread(c, (n_object,), maps) for c in columns], 1)
    ebv = _plain(ebv)
    return _spread(ebv[:, None] if ebv.ndim == 1 else ebv, shape, maps)


def _plain(ebv):
    if isinstance(ebv, u.Quantity):
        ebv = ebv.value if ebv.unit == u.mag else ebv.to_value(u.one)
    if np.ma.isMaskedArray(ebv):
        ebv = ebv.astype(float).filled(np.nan)
    return np.asarray(ebv, float)


def _spread(values, shape, maps):
    try:
        return np.broadcast_to(values, shape)
    except ValueError:
        n = shape[0]
        msg = (
            f"'ebv' must have shape ({n},) or ({n}, {len(maps)}) for the maps "
            f"{', '.join(maps)}, got {values.shape}"
        )
        raise InputSpecError(msg) from None
