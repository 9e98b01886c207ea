"""Cutouts on a network's grid, kept on disk in arrays that are mapped into memory."""

import json
import logging
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

from mantis_astro.atomic import atomic_folder
from mantis_astro.exceptions import InputSpecError
from mantis_astro.records import to_plain

__all__ = ["HalfPrecision", "PixelCache", "cutout_arrays", "write_cache"]

log = logging.getLogger(__name__)

_CHUNK = 64  # objects prepared at once
_TELL = 2048  # objects between messages


def cutout_arrays(cutouts, spec):
    """
    Bring cutouts onto a network's grid, before the stretch.

    Parameters
    ----------
    cutouts : sequence of MultibandCutout
        The cutouts.
    spec : InputSpec
        What the network reads.

    Returns
    -------
    planes : tuple of `~numpy.ndarray`
        Shape (n, n_band, ny, nx) each, float32; 0 where a pixel is bad.
    observed : `~numpy.ndarray`
        Whether there is an image, shape (n, n_band).
    flags : `~numpy.ndarray`
        Quality flags, but for those of E(B-V), shape (n,).
    """
    pixels = spec.cut(cutouts)
    return pixels.planes, pixels.observed, pixels.flags


class PixelCache:
    """
    Arrays that `write_cache` wrote.

    Parameters
    ----------
    folder : `~pathlib.Path`
        Where they are.

    Attributes
    ----------
    planes : tuple
        Pixels of each plane, (n, n_band, ny, nx), taken by rows.
    observed : `~numpy.ndarray`
        Whether there is an image, (n, n_band).
    flags : `~numpy.ndarray`
        Quality flags, (n,).
    """

    def __init__(self, folder):
        facts = json.loads((folder / "facts.json").read_text())
        planes = [
            np.load(folder / f"plane_{i}.npy", mmap_mode="r")
            for i in range(facts["planes"])
        ]
        if facts["scales"] is not None:
            scales = np.array(facts["scales"], np.float32)
            planes = list(_expanded(planes, scales))
        self.planes = tuple(planes)
        self.observed = np.load(folder / "observed.npy", mmap_mode="r")
        self.flags = np.load(folder / "flags.npy")


def write_cache(folder, cutouts, n, spec, dtype):
    """
    Prepare cutouts, and write them; the folder appears whole or not at all.

    Parameters
    ----------
    folder : `~pathlib.Path`
        Where to.
    cutouts : iterable of MultibandCutout
        The cutouts.
    n : int
        How many.
    spec : InputSpec
        What the network reads.
    dtype : {"float32", "float16"}
        Of the pixels on disk; half precision keeps their inverse hyperbolic sine.
    """
    with atomic_folder(folder) as temporary:
        _fill(temporary, cutouts, n, spec, dtype)


def _fill(folder, cutouts, n, spec, dtype):
    scales = _scales(spec) if dtype == "float16" else None
    arrays, start, cutouts = None, 0, iter(cutouts)
    while chunk := list(islice(cutouts, _CHUNK)):
        planes, observed, flags = cutout_arrays(chunk, spec)
        if arrays is None:
            arrays = _empty(folder, planes, n, dtype)
        rows = slice(start, start + len(chunk))
        channel = 0
        for array, plane in zip(arrays["planes"], planes, strict=True):
            stop = channel + plane.shape[1]
            kept = plane
            if scales is not None:
                kept = np.arcsinh(plane / scales[channel:stop, None, None])
            array[rows], channel = kept, stop
        arrays["observed"][rows], arrays["flags"][rows] = observed, flags
        if start // _TELL < rows.stop // _TELL:
            log.info("prepared %d of %d cutouts", rows.stop, n)
        start = rows.stop
    for array in [*arrays["planes"], arrays["observed"], arrays["flags"]]:
        array.flush()
    facts = {
        "dtype": dtype,
        "planes": len(arrays["planes"]),
        "scales": None if scales is None else scales.tolist(),
        "spec": to_plain(spec),
    }
    (folder / "facts.json").write_text(json.dumps(facts))


def _scales(spec):
    """Pixel value of each band from which on the cache is logarithmic."""
    without = [type(s).__name__ for s in spec.stretch if not hasattr(s, "scale")]
    if without:
        msg = (
            f"pixels are kept in half precision by the 'scale' of their stretch, which "
            f"{without[0]} has not: take dtype='float32'"
        )
        raise InputSpecError(msg)
    return np.array([stretch.scale for stretch in spec.stretch], np.float32)


def _empty(folder, planes, n, dtype):
    def make(name, shape, kind):
        path = folder / f"{name}.npy"
        return np.lib.format.open_memmap(path, "w+", kind, shape)

    bands = sum(plane.shape[1] for plane in planes)
    return {
        "planes": [
            make(f"plane_{i}", (n, *plane.shape[1:]), dtype)
            for i, plane in enumerate(planes)
        ],
        "observed": make("observed", (n, bands), bool),
        "flags": make("flags", (n,), np.int32),
    }


def _expanded(planes, scales):
    start = 0
    for plane in planes:
        stop = start + plane.shape[1]
        yield HalfPrecision(plane, scales[start:stop])
        start = stop


@dataclass(frozen=True)
class HalfPrecision:
    """
    Pixels stored as inverse hyperbolic sines, and converted back when read.

    Attributes
    ----------
    kept : `~numpy.ndarray`
        ``arcsinh(pixel / scale)``, shape (n, n_band, ny, nx), float16.
    scales : `~numpy.ndarray`
        Of each band, shape (n_band,).
    """

    kept: np.ndarray
    scales: np.ndarray

    def __getitem__(self, rows):
        """Return the pixels of chosen objects."""
        # torch's function takes an eighth of the time of numpy's
        pixels = torch.from_numpy(np.asarray(self.kept[rows])).float().sinh_()
        return pixels.numpy() * self.scales[:, None, None]
