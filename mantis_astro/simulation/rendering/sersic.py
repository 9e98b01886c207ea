"""Sersic profiles as they are in k-space: a table of their Hankel transforms."""

from functools import lru_cache

import numpy as np
import torch

__all__ = ["SERSIC_MAX", "SERSIC_MIN", "sersic_b", "sersic_transform"]

#: Range of Sersic indices in the table.
SERSIC_MIN, SERSIC_MAX = 0.5, 6.0

_N_INDEX = 64
# A node of the table is a float32 whose mantissa ends after 4 bits, so that 16 nodes
# share an octave and the node of a number is a shift of its bits.
_SHIFT = 19
_FIRST = np.float32(2.0**-22).view(np.int32) >> _SHIFT
_LAST = np.float32(2.0**12).view(np.int32) >> _SHIFT


def sersic_b(n):
    r"""
    Compute the constant :math:`b_n` with half of the light within the radius.

    Parameters
    ----------
    n : array_like
        Sersic index.

    Returns
    -------
    `~numpy.ndarray`
        Solution of :math:`\gamma(2 n, b) = \Gamma(2 n) / 2`.

    Examples
    --------
    >>> from mantis_astro.simulation.rendering.sersic import sersic_b
    >>> sersic_b([1, 4])
    array([1.67834699, 7.66924944])
    """
    from scipy.special import gammaincinv

    return gammaincinv(2 * np.asarray(n, dtype=float), 0.5)


def sersic_transform(x, index):
    r"""
    Fourier transforms of round Sersic profiles of unit flux.

    Parameters
    ----------
    x : `torch.Tensor`
        :math:`(k R_e)^2` with the wave number :math:`k` in cycles per unit of the
        half-light radius :math:`R_e`, shape (n_source, n_k), float32. For an
        elliptical profile k is transformed (stretched along the minor axis) first.
    index : `torch.Tensor`
        Sersic indices from 0.5 to 6, shape (n_source,), float32.

    Returns
    -------
    `torch.Tensor`
        Same shape as ``x``; 1 at x = 0.

    Notes
    -----
    Rows of the table are blended linearly between 64 indices, nodes linearly in x: the
    error is less than 3e-4 everywhere (a test compares with closed forms). Where the
    bits of a float32 say between which nodes it lies, no logarithm is needed: 2 ns for
    a number on one core.

    Examples
    --------
    An exponential disc, :math:`(1 + (2 \pi k R_e / b)^2)^{-3/2}`:

    >>> import torch
    >>> from mantis_astro.simulation.rendering.sersic import sersic_transform
    >>> x = torch.tensor([[0.0, 0.01, 0.1]])
    >>> sersic_transform(x, torch.tensor([1.0])).round(decimals=3)
    tensor([[1.0000, 0.8210, 0.2690]])
    """
    lines = _blend(index)  # (2, n_source, n_node): value at 0 and slope
    n_source, n_node = lines.shape[1:]
    x = x.clamp(_nodes()[0], _nodes()[-2])
    row = torch.arange(n_source, dtype=torch.int32, device=x.device) * n_node
    node = (x.view(torch.int32) >> _SHIFT) + (row - int(_FIRST))[:, None]
    value, slope = (
        line.flatten().index_select(0, node.flatten()).view(x.shape) for line in lines
    )
    return value.addcmul_(slope, x)


def _blend(index):
    """Rows of the table for these indices."""
    table = _table(index.device)
    step = (SERSIC_MAX / SERSIC_MIN) ** (1 / (_N_INDEX - 1))
    position = torch.log(index.double() / SERSIC_MIN) / np.log(step)
    position = position.clamp(0, _N_INDEX - 1)
    low = position.long().clamp(max=_N_INDEX - 2)
    # linear in the index itself, which is what the weight is taken in
    n_low = SERSIC_MIN * step ** low.double()
    weight = ((index.double() - n_low) / (n_low * (step - 1))).clamp(0, 1).float()
    return torch.lerp(table[:, low], table[:, low + 1], weight[:, None])


@lru_cache(maxsize=1)
def _nodes():
    bits = np.arange(_FIRST, _LAST + 2, dtype=np.int32) << _SHIFT
    return bits.view(np.float32).astype(float)


@lru_cache
def _table(device):
    """Straight lines from node to node, shape (2, n_index, n_node), float32."""
    x = _nodes()
    indices = np.geomspace(SERSIC_MIN, SERSIC_MAX, _N_INDEX)
    values = np.array([_hankel(n, 2 * np.pi * np.sqrt(x)) for n in indices])
    slopes = np.diff(values, axis=1) / np.diff(x)
    lines = np.stack([values[:, :-1] - slopes * x[:-1], slopes])
    return torch.from_numpy(lines.astype(np.float32)).to(device)


def _hankel(n, k):
    """Transform of the profile with half-light radius 1 at angular wave numbers k."""
    from scipy.fft import fht, fhtoffset
    from scipy.interpolate import CubicSpline
    from scipy.special import gammaln

    b = sersic_b(n)
    step, n_radius = 0.01, 6000
    log_r = step * (np.arange(n_radius) - n_radius / 2 + 0.5)
    log_total = np.log(2 * np.pi * n) - 2 * n * np.log(b) + gammaln(2 * n)
    with np.errstate(over="ignore"):
        profile = np.exp(log_r - b * np.exp(log_r / n) - log_total)  # r I(r)
    offset = fhtoffset(step, mu=0)
    transform = fht(profile, step, mu=0, offset=offset)
    log_k = log_r + offset
    values = 2 * np.pi * transform / np.exp(log_k)
    return CubicSpline(log_k, values)(np.log(k))
