"""Galaxies with spectra as arrays, of which some are held out of each training."""

from typing import NamedTuple

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table

from mantis_astro.binned import true_redshift
from mantis_astro.exceptions import InputSpecError
from mantis_astro.extinction import find_ebv
from mantis_astro.models.inputs import dust_inputs
from mantis_astro.tables.coordinates import find_coordinates
from mantis_astro.training.batches.batch import ArrayData
from mantis_astro.training.batches.sampling import lots_by_sky
from mantis_astro.training.data.pixel_cache import cutout_arrays

__all__ = ["LabelledGalaxies", "gather"]

_LEAST = 20  # galaxies to learn from, and ten to judge by
_LEAST_DIFFERENT = 10  # that a reference is made of
_EDGE = 0.02  # share of the redshift range that EDGE_PDF looks at
_NSIDES = (64, 128, 256, 512, 1024, 2048)  # from a degree to two arcmin


class LabelledGalaxies(NamedTuple):
    """
    Galaxies with spectra, as networks are trained on them.

    Attributes
    ----------
    samples : list of ArrayData
        The same galaxies for each training, of which each holds out its own.
    beyond : `~numpy.ndarray`
        Which are beyond the last redshift bin, shape (n,).
    n_left_out : int
        Galaxies that cannot be used.
    split : str
        How they are held out, in words.
    """

    samples: list
    beyond: np.ndarray
    n_left_out: int
    split: str


def gather(
    photoz, data, z_spec, *, ebv, weights, coord, validation, seed, n_training=1
):
    """
    Convert galaxies with spectra to arrays, with some held out of each training.

    Parameters
    ----------
    photoz : PhotoZ
        The model whose inputs they become.
    data, z_spec, ebv, weights, coord, validation, seed
        As for `~mantis_astro.training.finetune`.
    n_training : int, optional
        Number of trainings. No galaxy is held out twice before all are once.

    Returns
    -------
    LabelledGalaxies
        Those beyond the last redshift bin are put to its end.

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` as `~mantis_astro.training.finetune`
        raises it.
    """
    card = photoz.card
    if not isinstance(data, Table):
        data = photoz.measure(data) if card.is_photometric else list(data)
    z = true_redshift(z_spec)
    if z.shape != (len(data),):
        msg = f"'z_spec' must have shape ({len(data)},), as 'data', got {z.shape}"
        raise InputSpecError(msg)
    if isinstance(data, Table) != card.is_photometric:
        photoz.prepare(data[:1])  # says what the model reads
    if card.is_photometric:
        images, observed = card.spec.arrays(data)
    else:
        images, observed, _ = cutout_arrays(data, card.spec)
    if isinstance(data, Table):
        ebv = find_ebv(data, ebv)
    dust, _ = dust_inputs(card.spec, ebv, len(data))
    edges = card.bin_edges
    usable = np.isfinite(z) & (z >= edges[0]) & observed.any(1)
    beyond = usable & (z >= edges[-1])
    good = usable & ~beyond
    if good.sum() < _LEAST:
        msg = (
            f"fine-tuning needs at least {_LEAST} galaxies with a redshift from "
            f"{edges[0]:g} to {edges[-1]:g}, got {good.sum()} of {len(data)}"
        )
        raise InputSpecError(msg)
    planes = images if isinstance(images, tuple) else (images,)
    n_different = _count_different((*planes, observed), np.flatnonzero(usable))
    if n_different < _LEAST_DIFFERENT:
        msg = (
            f"fine-tuning needs at least {_LEAST_DIFFERENT} different galaxies, got "
            f"{n_different} in {len(data)} rows: the same measurements are repeated"
        )
        raise InputSpecError(msg)
    held_out, split = _held_out(
        _positions(data, coord), good, validation, seed, n_training
    )
    margin = _EDGE * (edges[-1] - edges[0])
    end = np.random.default_rng(seed).uniform(edges[-1] - margin, edges[-1], len(z))
    z = np.where(beyond, np.minimum(end, np.nextafter(edges[-1], 0)), z)
    weights = _weights(weights, usable)
    samples = [
        ArrayData(
            images,
            observed,
            dust.numpy(),
            z,
            z_edges=card.z_edges,
            parts=np.where(usable, np.where(out, "validation", "train"), "left out"),
            seed=seed,
            weights=weights,
            description=f"{good.sum()} galaxies with spectra",
        )
        for out in held_out
    ]
    return LabelledGalaxies(samples, beyond, int((~usable).sum()), split)


def _count_different(arrays, rows):
    """Count rows that differ in any array, until there are enough."""
    seen = set()
    for row in rows:
        seen.add(b"".join(np.ascontiguousarray(a[row]).tobytes() for a in arrays))
        if len(seen) == _LEAST_DIFFERENT:
            break
    return len(seen)


def _weights(weights, good):
    if weights is None:
        return None
    weights = np.asarray(weights, float)
    if weights.shape != good.shape or not (np.isfinite(weights) & (weights >= 0)).all():
        msg = f"'weights' must be {len(good)} numbers that are not negative"
        raise InputSpecError(msg)
    return weights / weights[good].mean()


def _positions(data, coord):
    if coord is not None:
        return coord
    if not isinstance(data, Table):
        return SkyCoord([cutout.coord.icrs for cutout in data])
    try:
        coord, good = find_coordinates(data)
    except (KeyError, ValueError):
        return None
    return coord if good.all() else None


def _held_out(coord, good, share, seed, n_training):
    """
    Hold galaxies out by sky, in pixels small enough to have the share.

    Each training has its own, and no galaxy is held out twice before all are once.
    """
    n = int(good.sum())
    wanted = max(10, round(share * n))
    others = f", others by each of {n_training} networks" if n_training > 1 else ""
    for nside in _NSIDES if coord is not None else ():
        held_out = _windows(
            lots_by_sky(coord, nside=nside, seed=seed), share, n_training
        )
        counts = held_out[:, good].sum(1)
        if 0.7 * wanted <= counts.min() and counts.max() <= 1.5 * wanted:
            return held_out, f"by HEALPix pixel of nside {nside}{others}"
    order = np.random.default_rng(seed).permutation(np.flatnonzero(good))
    lots = np.full(len(good), np.nan)
    lots[order] = 1 - (np.arange(n) + 0.5) / n
    held_out = _windows(lots, wanted / n, n_training)
    return held_out, f"at random, for want of positions or of enough sky{others}"


def _windows(lots, share, n):
    """Whether lots from 0 to 1 are in each of some windows, side by side from 1 on."""
    return np.stack([(lots + (k + 1) * share) % 1 < share for k in range(n)])
