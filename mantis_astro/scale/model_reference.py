"""`ModelReference`: a few bytes that identify the model to load on a worker."""

from __future__ import annotations

import contextlib
import multiprocessing
import threading
from dataclasses import dataclass
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import Self

import numpy as np

from mantis_astro._optional import require
from mantis_astro.exceptions import InputSpecError
from mantis_astro.models import list_models
from mantis_astro.photoz import PhotoZ

__all__ = ["ModelReference"]

_lock = threading.Lock()  # threads of one worker wait for the first to load


@dataclass(frozen=True)
class ModelReference:
    """
    Name or file of a model, and the SHA-256 of its weights.

    This goes to workers in place of the weights. Each worker loads the model when it
    is first needed, and keeps it.

    Attributes
    ----------
    name : str
        A name that `~mantis_astro.models.list_models` shows, or the path of a file.
    sha256 : str
        Of the file of weights. A worker that finds another file refuses to go on.
    device : str
        Where to compute; empty for the processor. On several GPUs, ``"cuda"`` gives
        each worker the one of its number.

    Examples
    --------
    >>> from mantis_astro.scale import ModelReference
    >>> ModelReference.of("simulated-photometric").load()
    <PhotoZ simulated-photometric: photometric of 9 bands, z = 0 to ...>
    """

    name: str
    sha256: str
    device: str = ""

    @classmethod
    def of(cls, photoz: str | PathLike | PhotoZ, device: str | None = None) -> Self:
        """
        Refer to a model.

        Parameters
        ----------
        photoz : str, path-like or PhotoZ
            Name or file of a model, or a model as `PhotoZ.from_pretrained` gave it.
        device : str, optional
            Where workers compute.

        Returns
        -------
        ModelReference
            It can be sent to other processes, and to machines that have the same file.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            `~mantis_astro.exceptions.InputSpecError` if there is no such model, or a
            PhotoZ differs from the model of its name: save it, and give its file.
        """
        name = photoz.card.name if isinstance(photoz, PhotoZ) else str(photoz)
        named = {card.name for card in list_models()}
        if name not in named and not isinstance(photoz, PhotoZ):
            name = str(Path(name).resolve())
        try:
            model = _load(name, None, _stamp(name))
        except InputSpecError:
            if not isinstance(photoz, PhotoZ):
                raise
            model = None
        if isinstance(photoz, PhotoZ) and not _is_same(photoz, model):
            msg = (
                f"'photoz' is not the model named '{name}' any more: write it with "
                "photoz.save('mine.safetensors'), and give the name of that file, "
                "which workers can load"
            )
            raise InputSpecError(msg)
        return cls(name, model.card.sha256, device or "")

    def load(self) -> PhotoZ:
        """
        Load the model, once in each process.

        Returns
        -------
        PhotoZ
            Ready to predict.

        Raises
        ------
        OSError
            If there is no such file here.
        ValueError
            `~mantis_astro.exceptions.InputSpecError` if it is another file.
        """
        with _lock:
            photoz = _load(self.name, _own_device(self.device), _stamp(self.name))
        if photoz.card.sha256 != self.sha256:
            msg = (
                f"the weights of {self.name} are others here: SHA-256 "
                f"{photoz.card.sha256[:12]}..., not {self.sha256[:12]}..."
            )
            raise InputSpecError(msg)
        return photoz


def _stamp(name):
    """Time and size of a file of weights, which may be written anew."""
    path = Path(name)
    if not (path.is_absolute() and path.is_file()):
        return None
    return path.stat().st_mtime_ns, path.stat().st_size


@lru_cache(maxsize=2)
def _load(name, device, stamp):  # noqa: ARG001  it tells files of one name apart
    if Path(name).is_absolute():
        return PhotoZ.from_file(name, device=device)
    return PhotoZ.from_pretrained(name, device=device)


def _is_same(photoz, named):
    """Whether a model in memory is what workers would load by its name."""
    if named is None:
        return False
    ours, theirs = photoz.card, named.card
    statistics = [getattr(card.reference, "vectors", None) for card in (ours, theirs)]
    return (
        ours.sha256 == theirs.sha256
        and ours.to_plain() == theirs.to_plain()
        and np.array_equal(*statistics)
    )


def _own_device(device):
    """Give each worker the GPU of its number, where they are not told apart."""
    if device != "cuda":
        return device or None
    import torch

    n_gpu = torch.cuda.device_count()
    return f"cuda:{_worker_number() % n_gpu}" if n_gpu else device


def _worker_number():
    """Find the number of this process among the workers; 0 if it is none."""
    name = multiprocessing.current_process().name
    with contextlib.suppress(ImportError, ValueError):  # this is no worker of dask
        name = str(require("distributed", extra="scale").get_worker().name)
    digits = name[len(name.rstrip("0123456789")) :]
    return int(digits or 0)
