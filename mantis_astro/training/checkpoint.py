"""Checkpoints: the complete state of a training, to resume it exactly."""

import pickle

import torch

from mantis_astro.atomic import atomic_file
from mantis_astro.exceptions import FetchError

__all__ = ["read_checkpoint", "write_checkpoint"]

_FORMAT = 1


def write_checkpoint(path, state):
    """
    Write a checkpoint atomically.

    Parameters
    ----------
    path : `~pathlib.Path`
        Where to.
    state : dict
        Tensors, numbers, strings, and lists and dictionaries of those.
    """
    with atomic_file(path) as temporary:
        torch.save({"format": _FORMAT, **state}, temporary)


def read_checkpoint(path):
    """
    Read a checkpoint; only tensors and plain values are read, no code is run.

    Parameters
    ----------
    path : `~pathlib.Path`
        A file of `write_checkpoint`.

    Returns
    -------
    dict
        What was written.

    Raises
    ------
    OSError
        `~mantis_astro.exceptions.FetchError` if it is no such file.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        msg = (
            f"{path} is no checkpoint, or damaged ({str(error).splitlines()[0]}); "
            "remove it, or give resume=False (--fresh), to start anew"
        )
        raise FetchError(msg) from error
    if not isinstance(state, dict) or state.get("format") != _FORMAT:
        msg = (
            f"{path} is no checkpoint of this version; start anew with resume=False "
            "(--fresh)"
        )
        raise FetchError(msg)
    return state
