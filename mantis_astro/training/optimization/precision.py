"""Precision of a training step, and the choice of the faster one."""

import contextlib
from functools import partial

import torch

from mantis_astro.models.processor import choose_fastest

__all__ = ["autocast", "choose_amp"]


def autocast(amp, device):
    """
    Context in which encoders compute in a given precision.

    Parameters
    ----------
    amp : {"bf16", "none"}
        As in a `~mantis_astro.training.TrainingConfig`.
    device : `torch.device`
        Where they compute.

    Returns
    -------
    context manager
        To run a network in.
    """
    if amp == "none":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def choose_amp(gradients, team):
    """
    Time a step in either precision, without taking it.

    Parameters
    ----------
    gradients : callable
        From an ``amp`` to the gradients of a step in that precision; None for weights
        that have none.
    team : Team
        The first of its processes decides.

    Returns
    -------
    str
        ``"bf16"`` if that is clearly faster, else ``"none"``; the same in all
        processes.
    """
    choices = ("none", "bf16")

    def step(amp):
        last = next(g for g in gradients(amp) if g is not None)
        last.sum().item()  # waits for a GPU, too

    chosen = 0.0
    if team.leads:
        forms = {f"amp = {amp!r}": partial(step, amp) for amp in choices}
        chosen = float(list(forms).index(choose_fastest(forms, "a training step")))
    return choices[int(team.agree(chosen))]
