"""`finetune`: continued training of a model on the user's spectra."""

import contextlib
import tempfile
import warnings
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table

from mantis_astro.binned import true_redshift
from mantis_astro.calibration import BestRecalibration
from mantis_astro.exceptions import InputSpecError, PlaceholderModelWarning
from mantis_astro.models import predict_features
from mantis_astro.models.inputs import dust_inputs
from mantis_astro.pdf import RedshiftPDF
from mantis_astro.photoz import PhotoZ
from mantis_astro.progress import progress_bar
from mantis_astro.tables.coordinates import find_coordinates
from mantis_astro.training.batches.batch import ArrayData, TrainingBatch
from mantis_astro.training.batches.sampling import lots_by_sky
from mantis_astro.training.completion import calibrated
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
from mantis_astro.training.validation import HeldOut, density_scores

__all__ = ["FinetuningReport", "finetune"]

_LEAST = 20  # galaxies to learn from, and ten to judge by
_LEAST_DIFFERENT = 10  # that a reference is made of
_AT_ONCE = 1024  # galaxies whose features are computed
_N_VECTOR = 2000  # galaxies whose features are kept
_TARGET_WIDTH = 0.01  # in ln(1 + z): half of good p(z), so that no bin stands alone
_LOSSES = {
    # the scale of the CRPS is that of delta_z, a few hundredths of the cross entropy's
    "both": LossConfig(cross_entropy=1.0, crps=20.0, target_width=_TARGET_WIDTH),
    "crps": LossConfig(cross_entropy=0.0, crps=20.0),
    "cross_entropy": LossConfig(cross_entropy=1.0, target_width=_TARGET_WIDTH),
}
_SHOWN = (
    "val_loss",
    "sigma_nmad",
    "outlier_fraction_005",
    "outlier_fraction_015",
    "crps",
    "cde_loss",
    "log_score",
    "coverage_68",
    "pit_ks",
)


class _Usual(NamedTuple):
    """Default settings."""

    steps: int
    batch_size: int
    learning_rate: float
    augmentation: AugmentationConfig


_PHOTOMETRIC = _Usual(
    steps=800,
    batch_size=128,
    learning_rate=1e-3,
    augmentation=AugmentationConfig(zero_point=0.02, extra_noise=0.7, drop_band=0.04),
)
_IMAGES = _Usual(
    steps=400,
    batch_size=64,
    learning_rate=3e-4,
    augmentation=AugmentationConfig(zero_point=0.02, dihedral=True),
)
_CALIBRATE = 30  # galaxies held out, below which a temperature would be noise
_LOOKS = 40  # validations of a whole training
_PATIENCE = 12  # of them without a gain, after which it ends
_EDGE = 0.02  # share of the redshift range that EDGE_PDF looks at
_NSIDES = (64, 128, 256, 512, 1024, 2048)  # from a degree to two arcmin


@dataclass(frozen=True)
class FinetuningReport:
    """
    Effect of fine-tuning on galaxies held out.

    Attributes
    ----------
    improved : bool
        Whether the loss went down; if not, the model is the one that was given.
    n_train, n_validation : int
        Galaxies learnt from, and held out; of an ensemble, by any of its networks.
    n_left_out : int
        Galaxies without redshift, below the bins, or of which nothing is usable.
    n_beyond : int
        Galaxies beyond the last redshift bin, which are learnt to be there.
    split : str
        How galaxies were held out.
    before, after : dict of str to float
        Loss of both networks, and metrics of both models' p(z), on those held out, each
        by networks that have not seen it; the recalibration of the new one is fitted
        to four fifths of them and judged by the last, in turn.
    n_steps : int
        Steps taken, by all networks together.
    smoothing : float
        Width of the new model's smoothing, in units of 1 + z.
    calibration : str
        How it is recalibrated, in words.
    z_last : float
        Upper end of the redshift bins.
    history : `~astropy.table.Table`
        The course of the first network.
    """

    improved: bool
    n_train: int
    n_validation: int
    n_left_out: int
    n_beyond: int
    split: str
    before: dict
    after: dict
    n_steps: int
    smoothing: float = 0.0
    calibration: str = ""
    z_last: float = np.inf
    history: object = field(repr=False, default=None)

    def __str__(self):
        held_out = f"{self.n_validation} held out ({self.split})"
        lines = [f"{self.n_train} galaxies learnt from, {held_out}"]
        if self.n_left_out:
            lines.append(f"  {self.n_left_out} left out: no redshift, or no data")
        if self.n_beyond:
            lines.append(
                f"  {self.n_beyond} beyond the model's last redshift bin, z = "
                f"{self.z_last:g}: learnt to be at that end, where p(z) get the flag "
                "EDGE_PDF; the model cannot give them a redshift"
            )
        lines += [
            f"  {name:22s} {self.before[name]:.4g} -> {self.after[name]:.4g}"
            for name in _SHOWN
        ]
        if self.improved:
            lines.append(
                f"  p(z) smoothed by {self.smoothing:g} (1 + z), {self.calibration}"
            )
        else:
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
    steps=None,
    learning_rate=None,
    batch_size=None,
    loss="both",
    validation=0.2,
    augmentation=None,
    ensemble=1,
    seed=0,
    progress=True,
):
    """
    Continue the training of a model on galaxies with spectra.

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
        Their redshifts, shape (n,); those that are masked, NaN or below the model's
        bins are left out. Galaxies beyond the last bin are learnt to be at its end.
    ebv : float, array_like or mapping, optional
        As for `PhotoZ.predict`.
    weights : array_like, optional
        Weight of each galaxy in the loss, shape (n,): that of `shift`, for example.
    coord : `~astropy.coordinates.SkyCoord`, optional
        Positions, for a split by sky; by default those of the cutouts, or of the
        table if it has any. Without positions galaxies are held out at random.
    steps : int, optional
        Steps at most: the training ends where galaxies held out gain no more, and
        those with their lowest loss count. By default 800 for tables of fluxes and 400
        for images.
    learning_rate : float, optional
        The largest; by default 1e-3 for tables of fluxes and 3e-4 for images.
    batch_size : int, optional
        Galaxies in a step; by default 128 for tables of fluxes and 64 for images.
    loss : LossConfig or {"both", "crps", "cross_entropy"}, optional
        What is made small, and what galaxies held out are judged by. The CRPS, in
        which single galaxies weigh less, leaves combs of bins, which it does not see;
        the cross entropy, of redshifts that are spread over 0.01 in ln(1 + z), takes
        them away. Of 600 galaxies of Stripe 82 both together leave a CDE loss of
        -13.1 on others, the CRPS alone -10.3, and no larger scatter.
    validation : float, optional
        Share that is held out; another one by each network of an ensemble.
    augmentation : AugmentationConfig, optional
        By default 0.02 mag of zero point; orientations, for images; and, for fluxes,
        noise drawn afresh, up to 0.7 of the errors, and one band in 25 taken away.
    ensemble : int, optional
        Number of trainings from different seeds, whose p(z) are averaged: each takes
        as long as one. As each holds out other galaxies, none is lost to learning, and
        what comes after the network is fitted to more. Of an average that is
        fine-tuned, each member is.
    seed : int, optional
        Of order and augmentation, and of what is held out.
    progress : bool, optional
        Whether to show a progress bar in a terminal or a notebook.

    Returns
    -------
    photoz : PhotoZ
        A new model with a new card; the given one if it is no better.
    report : FinetuningReport
        How good both are on galaxies held out.

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` if lengths do not match, or fewer than
        20 galaxies or ten different ones are left.
    TypeError
        If the data are not what the model reads.

    Notes
    -----
    The layer that reads fluxes learns in whitened inputs, which makes it quicker to
    tell colours from brightness; the new model reads plain ones again.

    At the end the width by which p(z) are smoothed and a recalibration are fitted to
    the galaxies held out, if there are 30, see
    `~mantis_astro.calibration.BestRecalibration`: a network that stops where it is best
    on a few hundred galaxies has p(z) that are too narrow or too broad. Of an ensemble
    they are fitted to the p(z) of those networks that have not seen a galaxy, mostly
    one; the mean of all is a little broader.

    The new model's p(z) carry the n(z) of these galaxies (``card.n_of_z``, smoothed),
    and its ``ood_score`` tells what is unlike them, whatever it had learnt from before:
    see `PhotoZ.with_reference`. With fewer than some hundred spectra `PhotoZ.refit`,
    which changes the last layer only, is safer.
    """
    if not ensemble >= 1:
        msg = f"'ensemble' must be 1 or more, got {ensemble}"
        raise InputSpecError(msg)
    starts = [model.with_recalibration(None) for model in photoz.members()]
    n_training = max(ensemble, len(starts))
    samples, left, split = _gathered(
        photoz, data, z_spec, ebv, weights, coord, validation, seed, n_training
    )
    loss = _as_loss(loss)
    card = photoz.card
    usual = _PHOTOMETRIC if card.is_photometric else _IMAGES
    steps = usual.steps if steps is None else steps
    batch_size = usual.batch_size if batch_size is None else batch_size
    config = TrainingConfig(
        name=f"{card.name}-finetuned",
        network=card.network,
        spec=card.spec,
        z_edges=card.z_edges,
        n_steps=steps,
        batch_size=min(batch_size, *map(len, samples)),
        seed=seed,
        amp="none",
        n_workers=0,
        log_every=max(steps // _LOOKS, 1),
        checkpoint_every=steps + 1,
        n_reference=0,
        smooth="none",
        optimizer=OptimizerConfig(
            learning_rate=learning_rate or usual.learning_rate,
            weight_decay=0.0,
            warmup=0.1,
            ema_decay=0.95,
        ),
        augmentation=augmentation or usual.augmentation,
        loss=loss,
        validation=ValidationConfig(every=max(steps // _LOOKS, 1), patience=_PATIENCE),
    )
    with progress_bar(n_training * steps, wanted=progress) as update:
        results = [
            _trained(
                config,
                starts[k % len(starts)],
                galaxies,
                seed + k,
                lambda done, before=k * steps: update(before + done),
            )
            for k, galaxies in enumerate(samples)
        ]
    held_out = [_held_out_of(sample, card, loss, photoz.network) for sample in samples]
    rows, pdf, before_loss = _judged(samples, held_out, [photoz] * n_training)
    within = ~left.beyond[rows]
    z = samples[0].z[rows][within]
    before = {"val_loss": before_loss} | density_scores(photoz.finish(pdf[within]), z)
    tuned = [result.photoz for result in results]
    rows, pdf, after_loss = _judged(samples, held_out, tuned)
    tuned = tuned[0] if len(tuned) == 1 else _average(tuned, card.spec)
    tuned.network.to(next(photoz.network.parameters()).device)
    learnt = np.unique(np.concatenate([sample.rows["train"] for sample in samples]))
    improved = after_loss < before_loss
    if improved:
        tuned = _named(tuned, photoz, samples, samples[0].z[learnt])
        tuned, pdf = _calibrated(tuned, pdf[within], z)
        tuned = _with_reference(tuned, samples[0])
        after = {"val_loss": after_loss} | density_scores(pdf, z)
    report = FinetuningReport(
        improved=improved,
        n_train=int((~left.beyond[learnt]).sum()),
        n_validation=len(z),
        n_left_out=left.n_out,
        n_beyond=int(left.beyond.sum()),
        split=split,
        before=before,
        after=after if improved else before,
        n_steps=sum(result.n_steps for result in results),
        smoothing=tuned.card.smoothing,
        calibration=_words(tuned),
        z_last=card.z_edges[-1],
        history=results[0].history,
    )
    return (tuned if improved else photoz), report


class _Left(NamedTuple):
    """Number of galaxies that cannot be used, and those beyond the last bin."""

    n_out: int
    beyond: np.ndarray


def _trained(config, start, galaxies, seed, progress):
    """Train one network from where a model stands."""
    config = config.with_options(network=start.card.network, seed=seed)
    with tempfile.TemporaryDirectory() as folder, _quiet():
        return train(
            config,
            folder,
            data=galaxies,
            start=start,
            progress=progress,
            device=next(start.network.parameters()).device,
        )


def _held_out_of(galaxies, card, loss, network):
    device = next(network.parameters()).device
    prepare = partial(TrainingBatch.encoded, spec=card.spec)
    loss = RedshiftLoss(loss, card.z_edges, device)
    return HeldOut(galaxies, prepare, loss, card.z_edges, device)


def _average(models, spec):
    """Average models, of which each knows the ranges of what it held out."""
    with _quiet():
        return PhotoZ.average(
            [PhotoZ(model.network, replace(model.card, spec=spec)) for model in models]
        )


def _judged(samples, held_out, models):
    """Mean p(z) of each galaxy held out, by those models that have not seen it."""
    held_by = np.concatenate([sample.rows["validation"] for sample in samples])
    rows, member = np.unique(held_by, return_inverse=True)
    outputs = [
        galaxies.predict(model.network, contextlib.nullcontext)
        for galaxies, model in zip(held_out, models, strict=True)
    ]
    probability = np.zeros((len(rows), outputs[0][0].n_bins))
    np.add.at(
        probability, member, np.concatenate([pdf.probability for pdf, _, _ in outputs])
    )
    probability /= np.bincount(member)[:, None]
    losses = [loss for _, _, loss in outputs]
    loss = np.average(losses, weights=[len(galaxies) for galaxies in held_out])
    return rows, RedshiftPDF(outputs[0][0].bin_edges, probability), float(loss)


def _calibrated(photoz, pdf, z):
    """Fit what comes after the network; p(z) are by fits that have not seen them."""
    if len(z) < _CALIBRATE:
        return photoz, photoz.finish(pdf)
    with _quiet():
        photoz = calibrated(photoz, pdf, z, recalibrate="none")
        best = BestRecalibration().fit(photoz.finish(pdf), z)
        return photoz.with_recalibration(best.recalibrator_), best.held_out_


def _words(photoz):
    recalibrator = photoz.recalibrator
    return "not recalibrated" if recalibrator is None else recalibrator.note


def _as_loss(loss):
    if isinstance(loss, LossConfig):
        return loss
    if not isinstance(loss, str) or loss not in _LOSSES:
        names = ", ".join(map(repr, _LOSSES))
        msg = f"'loss' must be a LossConfig or one of {names}, got {loss!r}"
        raise InputSpecError(msg)
    return _LOSSES[loss]


def _gathered(photoz, data, z_spec, ebv, weights, coord, validation, seed, n_training):
    """Convert the input to arrays, with some galaxies held out of each training."""
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
    return samples, _Left(int((~usable).sum()), beyond), split


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


def _named(tuned, original, samples, z):
    """Return the new model with a card that states its origin."""
    old = original.card
    card = replace(
        old,
        name=f"{old.name}-finetuned",
        network=tuned.card.network,
        description=f"{old.description}; fine-tuned",
        training_sample=(
            f"{old.training_sample}; then {len(z)} galaxies with spectra, z = "
            f"{z.min():.3g} to {z.max():.3g}"
        ),
        training_prior="n(z) of the galaxies that it was fine-tuned on",
        n_of_z=np.mean([sample.n_of_z for sample in samples], axis=0),
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
    """Suppress the warning of placeholders, given when the model was loaded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PlaceholderModelWarning)
        yield
