"""`finetune`: a trained model goes on learning from one's own spectra."""

import contextlib
import tempfile
import warnings
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table

from mantis_astro.binned import true_redshift
from mantis_astro.exceptions import InputSpecError, PlaceholderModelWarning
from mantis_astro.models import predict_features
from mantis_astro.models.inputs import dust_inputs
from mantis_astro.photoz import PhotoZ
from mantis_astro.tables.coordinates import find_coordinates
from mantis_astro.training.batches.batch import ArrayData, TrainingBatch
from mantis_astro.training.batches.sampling import split_by_sky
from mantis_astro.training.configuration import (
    AugmentationConfig,
    LossConfig,
    OptimizerConfig,
    TrainingConfig,
    ValidationConfig,
)
from mantis_astro.training.data.pixel_cache import cutout_arrays
from mantis_astro.training.loop import train
from mantis_astro.training.optimization.losses import RedshiftLoss
from mantis_astro.training.validation import HeldOut

__all__ = ["FinetuningReport", "finetune"]

_LEAST = 20  # galaxies to learn from, and ten to judge by
_AT_ONCE = 1024  # galaxies whose features are computed
_N_VECTOR = 2000  # galaxies whose features are kept
_LOSSES = {
    # its scale is that of delta_z, a few hundredths of that of the cross entropy
    "crps": LossConfig(cross_entropy=0.0, crps=20.0),
    "cross_entropy": LossConfig(cross_entropy=1.0),
}
_NSIDES = (64, 128, 256, 512, 1024, 2048)  # from a degree to two arcmin


@dataclass(frozen=True)
class FinetuningReport:
    """
    What fine-tuning did, on galaxies held out.

    Attributes
    ----------
    improved : bool
        Whether the loss went down; if not, the model is the one that was given.
    n_train, n_validation : int
        Galaxies learnt from, and held out.
    n_left_out : int
        Galaxies without redshift, outside the bins, or of which nothing is usable.
    split : str
        How galaxies were held out.
    before, after : dict of str to float
        Loss and metrics of both models on those held out.
    n_steps : int
        Steps taken.
    history : `~astropy.table.Table`
        The course of it.
    """

    improved: bool
    n_train: int
    n_validation: int
    n_left_out: int
    split: str
    before: dict
    after: dict
    n_steps: int
    history: object = field(repr=False, default=None)

    def __str__(self):
        names = ("val_loss", "sigma_nmad", "outlier_fraction_005", "pit_ks")
        held_out = f"{self.n_validation} held out ({self.split})"
        lines = [f"{self.n_train} galaxies learnt from, {held_out}"]
        lines += [
            f"  {name:22s} {self.before[name]:.4g} -> {self.after[name]:.4g}"
            for name in names
        ]
        if not self.improved:
            lines.append("  no better on those held out: the model is unchanged")
        return "\n".join(lines)


def finetune(
    photoz,
    data,
    z_spec,
    *,
    ebv=None,
    weights=None,
    coord=None,
    steps=400,
    learning_rate=None,
    batch_size=64,
    loss="crps",
    validation=0.2,
    augmentation=None,
    seed=0,
):
    """
    Let a trained model go on learning from galaxies with spectra.

    Calibration does not transfer between catalogues: magnitudes are defined in other
    ways, and other galaxies are observed. Some hundred spectra of the sample at hand
    are what helps most.

    Parameters
    ----------
    photoz : PhotoZ
        The model; it is not changed.
    data : sequence of MultibandCutout, or `~astropy.table.Table`
        Galaxies, as `PhotoZ.predict` takes them.
    z_spec : array_like
        Their redshifts, shape (n,); those that are masked, NaN or outside the model's
        bins are left out.
    ebv : float, array_like or mapping, optional
        As for `PhotoZ.predict`.
    weights : array_like, optional
        Weight of each galaxy in the loss, shape (n,): that of `shift`, for example.
    coord : `~astropy.coordinates.SkyCoord`, optional
        Positions, for a split by sky; by default those of the cutouts, or of the
        table if it has any. Without positions galaxies are held out at random.
    steps : int, optional
        Steps at most; those with the lowest loss on galaxies held out count.
    learning_rate : float, optional
        The largest; by default 1e-3 for tables of fluxes and 3e-4 for images.
    batch_size : int, optional
        Galaxies in a step.
    loss : LossConfig or {"crps", "cross_entropy"}, optional
        What is made small, and what galaxies held out are judged by. Of 1,200
        galaxies of Stripe 82 the CRPS leaves sigma_nmad 0.0170, the cross entropy
        0.0193 and both together 0.0188: single galaxies weigh less in it.
    validation : float, optional
        Share that is held out.
    augmentation : AugmentationConfig, optional
        By default orientations, for images, and 0.02 mag of zero point.
    seed : int, optional
        Of order and augmentation.

    Returns
    -------
    photoz : PhotoZ
        A new model with a new card; the given one if it is no better.
    report : FinetuningReport
        How good both are on galaxies held out.

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` if lengths do not match or fewer than
        20 galaxies are left.
    TypeError
        If the data are not what the model reads.

    Notes
    -----
    The layer that reads fluxes learns in whitened inputs, which makes it quicker to
    tell colours from brightness; the new model reads plain ones again.

    The new model's p(z) carry the n(z) of these galaxies (``card.n_of_z``, smoothed),
    and its ``ood_score`` tells what is unlike them, whatever it had learnt from before:
    see `PhotoZ.with_reference`. With fewer than some hundred spectra `PhotoZ.refit`,
    which changes the last layer only, is safer.
    """
    galaxies, n_left_out, split = _gathered(
        photoz, data, z_spec, ebv, weights, coord, validation, seed
    )
    n_train = len(galaxies)
    if learning_rate is None:
        learning_rate = 1e-3 if photoz.card.is_photometric else 3e-4
    loss = _as_loss(loss)
    if augmentation is None:
        augmentation = AugmentationConfig(
            dihedral=not photoz.card.is_photometric, zero_point=0.02
        )
    every = max(steps // 20, 1)
    card = photoz.card
    config = TrainingConfig(
        name=f"{card.name}-finetuned",
        network=card.network,
        spec=card.spec,
        z_edges=card.z_edges,
        n_steps=steps,
        batch_size=min(batch_size, n_train),
        seed=seed,
        amp="none",
        n_workers=0,
        log_every=every,
        checkpoint_every=steps + 1,
        optimizer=OptimizerConfig(
            learning_rate=learning_rate, weight_decay=0.0, warmup=0.1, ema_decay=0.95
        ),
        augmentation=augmentation,
        loss=loss,
        validation=ValidationConfig(every=every),
    )
    before = _scores(photoz, galaxies, loss)
    with tempfile.TemporaryDirectory() as folder, _quiet():
        result = train(
            config,
            folder,
            data=galaxies,
            start=photoz,
            progress=False,
            device=next(photoz.network.parameters()).device,
        )
        improved = result.metrics["val_loss"] < before["val_loss"]
        after = result.metrics if improved else before
        tuned = photoz
        if improved:
            tuned = _with_reference(_named(result.photoz, photoz, galaxies), galaxies)
    report = FinetuningReport(
        improved=improved,
        n_train=n_train,
        n_validation=len(galaxies.rows["validation"]),
        n_left_out=n_left_out,
        split=split,
        before=before,
        after=after,
        n_steps=result.n_steps,
        history=result.history,
    )
    return tuned, report


def _as_loss(loss):
    if isinstance(loss, LossConfig):
        return loss
    if not isinstance(loss, str) or loss not in _LOSSES:
        names = ", ".join(map(repr, _LOSSES))
        msg = f"'loss' must be a LossConfig or one of {names}, got {loss!r}"
        raise InputSpecError(msg)
    return _LOSSES[loss]


def _gathered(photoz, data, z_spec, ebv, weights, coord, validation, seed):
    """Bring what was given into arrays, with some galaxies held out."""
    card = photoz.card
    data = data if isinstance(data, Table) else list(data)
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
    dust, _ = dust_inputs(card.spec, ebv, len(data))
    edges = card.bin_edges
    good = np.isfinite(z) & (z >= edges[0]) & (z < edges[-1]) & observed.any(1)
    if good.sum() < _LEAST:
        msg = (
            f"fine-tuning needs at least {_LEAST} galaxies with a redshift from "
            f"{edges[0]:g} to {edges[-1]:g}, got {good.sum()} of {len(data)}"
        )
        raise InputSpecError(msg)
    parts, split = _held_out(_positions(data, coord), good, validation, seed)
    arrays = ArrayData(
        images,
        observed,
        dust.numpy(),
        z,
        z_edges=card.z_edges,
        parts=np.where(good, parts, "left out"),
        seed=seed,
        weights=_weights(weights, good),
        description=f"{good.sum()} galaxies with spectra",
    )
    return arrays, int((~good).sum()), split


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


def _held_out(coord, good, share, seed):
    """Hold galaxies out by sky, in pixels small enough to have the share."""
    n = int(good.sum())
    wanted = max(10, round(share * n))
    for nside in _NSIDES if coord is not None else ():
        parts = split_by_sky(
            coord, nside=nside, shares=(1 - share, share, 0.0), seed=seed
        )
        n_out = int((parts[good] == "validation").sum())
        if 0.7 * wanted <= n_out <= 1.5 * wanted:
            return parts, f"by HEALPix pixel of nside {nside}"
    order = np.random.default_rng(seed).permutation(np.flatnonzero(good))
    parts = np.full(len(good), "train", dtype="<U10")
    parts[order[:wanted]] = "validation"
    return parts, "at random, for want of positions or of enough sky"


def _scores(photoz, galaxies, loss):
    card = photoz.card
    network = photoz.network
    device = next(network.parameters()).device
    prepare = partial(TrainingBatch.encoded, spec=card.spec)
    loss = RedshiftLoss(loss, card.z_edges, device)
    held_out = HeldOut(galaxies, prepare, loss, card.z_edges, device)
    return held_out.scores(network, contextlib.nullcontext)


def _named(tuned, original, galaxies):
    """Give the new model a card that says where it comes from."""
    old = original.card
    z = galaxies.z[galaxies.rows["train"]]
    card = replace(
        old,
        name=tuned.card.name,
        description=f"{old.description}; fine-tuned",
        training_sample=(
            f"{old.training_sample}; then {len(z)} galaxies with spectra, z = "
            f"{z.min():.3g} to {z.max():.3g}"
        ),
        training_prior="n(z) of the galaxies that it was fine-tuned on",
        n_of_z=galaxies.n_of_z,
        sha256="",
        recalibration=None,
        reference=None,
    )
    with _quiet():
        return PhotoZ(tuned.network, card)


def _with_reference(photoz, galaxies):
    """Let it know the galaxies that it learnt from and was judged by."""
    rows = np.concatenate([galaxies.rows["train"], galaxies.rows["validation"]])
    parts, images = [], []
    for start in range(0, len(rows), _AT_ONCE):
        batch = galaxies.take(rows[start : start + _AT_ONCE]).encoded(photoz.card.spec)
        parts.append(predict_features(photoz.network, batch.images, batch.ebv))
        images.append(batch.images)
    card = replace(photoz.card, spec=photoz.card.spec.learnt(images))
    with _quiet():
        return PhotoZ(photoz.network, card).with_reference(
            np.concatenate(parts),
            rng=galaxies.sampler.seed,
            z_spec=galaxies.z[rows],
            n_vector=min(_N_VECTOR, len(rows)),
            sample=f"the {len(rows)} galaxies that it was fine-tuned on, and judged by",
        )


@contextlib.contextmanager
def _quiet():
    """Say nothing of placeholders: it was said when the model was loaded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PlaceholderModelWarning)
        yield
