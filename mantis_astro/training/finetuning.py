"""`finetune`: continued training of a model on the user's spectra."""

import contextlib
import tempfile
import warnings
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from mantis_astro.calibration import BestRecalibration
from mantis_astro.exceptions import InputSpecError, PlaceholderModelWarning
from mantis_astro.models import predict_features
from mantis_astro.pdf import RedshiftPDF
from mantis_astro.photoz import PhotoZ
from mantis_astro.progress import progress_bar
from mantis_astro.training.batches.batch import TrainingBatch
from mantis_astro.training.completion import calibrated
from mantis_astro.training.configuration import (
    AugmentationConfig,
    LossConfig,
    OptimizerConfig,
    TrainingConfig,
    ValidationConfig,
)
from mantis_astro.training.finetuning_report import FinetuningReport
from mantis_astro.training.labelled_galaxies import gather
from mantis_astro.training.loop import train
from mantis_astro.training.optimization.losses import RedshiftLoss
from mantis_astro.training.validation import HeldOut, density_scores

__all__ = ["finetune"]

_AT_ONCE = 1024  # galaxies whose features are computed
_N_VECTOR = 2000  # galaxies whose features are kept
_TARGET_WIDTH = 0.01  # in ln(1 + z): half of good p(z), so that no bin stands alone
_LOSSES = {
    # the scale of the CRPS is that of delta_z, a few hundredths of the cross entropy's
    "both": LossConfig(cross_entropy=1.0, crps=20.0, target_width=_TARGET_WIDTH),
    "crps": LossConfig(cross_entropy=0.0, crps=20.0),
    "cross_entropy": LossConfig(cross_entropy=1.0, target_width=_TARGET_WIDTH),
}


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
    augmentation=AugmentationConfig(zero_point=0.005, extra_noise=0.3, drop_band=0.04),
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
    ebv : float, array_like, mapping or str, optional
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
        By default, for fluxes, 0.005 mag of zero point, noise drawn afresh, up to 0.3
        of the errors, and one band in 25 taken away; for images, 0.02 mag of zero point
        and orientations. More noise hides what precise photometry tells: with 0.02 mag
        and 0.7 the scatter of Stripe 82 is a sixth larger.
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
    galaxies = gather(
        photoz,
        data,
        z_spec,
        ebv=ebv,
        weights=weights,
        coord=coord,
        validation=validation,
        seed=seed,
        n_training=n_training,
    )
    samples = galaxies.samples
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
                sample,
                seed + k,
                lambda done, before=k * steps: update(before + done),
            )
            for k, sample in enumerate(samples)
        ]
    held_out = [_held_out_of(sample, card, loss, photoz.network) for sample in samples]
    rows, pdf, before_loss = _judged(samples, held_out, [photoz] * n_training)
    within = ~galaxies.beyond[rows]
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
        n_train=int((~galaxies.beyond[learnt]).sum()),
        n_validation=len(z),
        n_left_out=galaxies.n_left_out,
        n_beyond=int(galaxies.beyond.sum()),
        split=galaxies.split,
        before=before,
        after=after if improved else before,
        n_steps=sum(result.n_steps for result in results),
        smoothing=tuned.card.smoothing,
        calibration=_words(tuned),
        z_last=card.z_edges[-1],
        history=results[0].history,
    )
    return (tuned if improved else photoz), report


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
