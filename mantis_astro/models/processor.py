"""Capabilities of the processor at hand, determined by trials."""

import logging
import time
from functools import cache

import torch
from torch.nn import functional

__all__ = ["choose_fastest", "fused_linear", "fused_linear_works"]

log = logging.getLogger(__name__)

_MARGIN = 1.1  # by which another form must be faster than the first
_BUDGET = 1.0  # seconds of timing; every form is timed twice at least


def fused_linear(x, layer, activation):
    """
    Apply a linear layer and its activation in one pass of oneDNN.

    Parameters
    ----------
    x : `torch.Tensor`
        Shape (n, n_in).
    layer : `torch.nn.Linear`
        The layer, of the type of ``x``.
    activation : {"gelu", "none"}
        What follows it.

    Returns
    -------
    `torch.Tensor`
        Shape (n, n_out).
    """
    return torch.ops.mkldnn._linear_pointwise(
        x,
        layer.weight,
        layer.bias,
        activation,
        [],
        "none",  # the exact GELU, not the one with tanh
    )


def fused_linear_works(dtype):
    """
    Test whether `fused_linear` equals torch's public layers on this CPU.

    The operation is torch.compile's own and not documented. It may be missing, and
    processors without instructions for bfloat16 refuse that type.

    Parameters
    ----------
    dtype : `torch.dtype`
        Type of inputs and weights.

    Returns
    -------
    bool
        Whether it can be used; tried once for each type.
    """
    return torch.backends.mkldnn.is_available() and _agrees(dtype)


@cache
def _agrees(dtype):
    layer = torch.nn.Linear(8, 4)
    with torch.no_grad():
        layer.weight.copy_(torch.linspace(-1, 1, 32).view(4, 8))
        layer.bias.copy_(torch.linspace(-1, 1, 4))
        x = torch.linspace(-2, 2, 16).view(2, 8)
        expected = functional.gelu(layer(x))
        try:
            found = fused_linear(x.to(dtype), layer.to(dtype), "gelu")
        except (AttributeError, RuntimeError, TypeError):
            return False
    within = 4 * torch.finfo(dtype).eps * expected.abs().max()
    return bool((found - expected).abs().max() <= within)


def choose_fastest(forms, what, *, clock=time.perf_counter):
    """
    Time several equivalent functions, and log and return the fastest.

    Parameters
    ----------
    forms : dict of str to callable
        Each way; called in turn, at least twice, until a second is over.
    what : str
        What is done, for the log.
    clock : callable, optional
        Seconds since some time.

    Returns
    -------
    str
        The fastest; the first one if none is faster by more than a tenth.
    """
    seconds = dict.fromkeys(forms, float("inf"))
    start, n_round = clock(), 0
    while n_round < 2 or clock() - start < _BUDGET:
        for name, form in forms.items():
            before = clock()
            form()
            seconds[name] = min(seconds[name], clock() - before)
        n_round += 1
    first = next(iter(forms))
    fastest = min(forms, key=lambda name: seconds[name] * _MARGIN ** (name != first))
    times = ", ".join(f"{1e3 * s:.3g} ms in {name}" for name, s in seconds.items())
    log.info("%s takes %s on this processor: %s is used", what, times, fastest)
    return fastest
