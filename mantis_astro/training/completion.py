"""Completion of a model after its last step, with the validation galaxies."""

from dataclasses import replace

import numpy as np
import torch

from mantis_astro import metrics
from mantis_astro.calibration import (
    PITRecalibration,
    Smoothing,
    TemperatureScaling,
)
from mantis_astro.models import predict_both
from mantis_astro.models.checkpoints import as_kept
from mantis_astro.pdf import RedshiftPDF
from mantis_astro.photoz import PhotoZ

__all__ = ["calibrated", "completed", "performance"]

_LEAST = 100  # galaxies held out, below which there is nothing to be learnt from them


def completed(photoz, held_out, config):
    """
    Round the weights as stored, and add statistics of the training set.

    Parameters
    ----------
    photoz : PhotoZ
        The trained model; its weights are rounded in place.
    held_out : HeldOut
        Galaxies that it was not fitted to.
    config : TrainingConfig
        Its ``dtype``, ``n_reference``, ``smooth``, ``recalibrate`` and ``seed`` are
        used.

    Returns
    -------
    PhotoZ
        With statistics of the features of these galaxies, smoothed and recalibrated,
        if the configuration says so, and with what it reached in its card; as it was
        if fewer than 100 galaxies are held out.
    """
    with torch.no_grad():
        for name, parameter in photoz.network.named_parameters():
            parameter.copy_(as_kept(name, parameter, config.dtype).float())
    if len(held_out) < _LEAST:
        return photoz
    parts = [predict_both(photoz.network, b.images, b.ebv) for b in held_out.batches]
    probability, features = map(np.concatenate, zip(*parts, strict=True))
    z = np.concatenate([batch.z.numpy() for batch in held_out.batches])
    pdf = RedshiftPDF(photoz.card.bin_edges, probability)
    photoz = calibrated(
        photoz, pdf, z, smooth=config.smooth == "fit", recalibrate=config.recalibrate
    )
    pdf = photoz.finish(pdf)
    reached = performance(pdf, z, "galaxies held out of those trained on")
    spec = photoz.card.spec.learnt([batch.images for batch in held_out.batches])
    card = replace(photoz.card, spec=spec, performance=reached)
    photoz = PhotoZ(photoz.network, card)
    if config.n_reference:
        photoz = photoz.with_reference(
            features,
            rng=config.seed,
            z_spec=z,
            n_vector=min(config.n_reference, len(z)),
            sample=f"{len(z):,} galaxies held out of: {photoz.card.training_sample}",
        )
    return photoz


def calibrated(photoz, pdf, z_spec, *, smooth=True, recalibrate="temperature"):
    """
    Fit the smoothing and the recalibration of p(z).

    Parameters
    ----------
    photoz : PhotoZ
        A model; what it has of these is replaced.
    pdf : RedshiftPDF
        Softmax of its network's logits, for galaxies that it was not fitted to, (n,).
    z_spec : array_like
        Their redshifts, (n,).
    smooth : bool, optional
        Whether to smooth.
    recalibrate : {"pit", "temperature", "none"}, optional
        How to recalibrate.

    Returns
    -------
    PhotoZ
        The same network.
    """
    photoz = photoz.with_recalibration(None).with_smoothing(0.0)
    if smooth:
        photoz = photoz.with_smoothing(Smoothing().fit(pdf, z_spec))
    if recalibrate == "none":
        return photoz
    # with a floor: else the few redshifts that are badly wrong make all p(z) broad
    temperature = TemperatureScaling(floor=True)
    recalibrator = PITRecalibration() if recalibrate == "pit" else temperature
    fitted = recalibrator.fit(photoz.finish(pdf), z_spec)
    return photoz.with_recalibration(fitted)


def performance(pdf, z_spec, what):
    """
    Describe the accuracy of redshifts in a sentence.

    Parameters
    ----------
    pdf : RedshiftPDF
        Densities, shape (n,).
    z_spec : `~numpy.ndarray`
        True redshifts, shape (n,).
    what : str
        What galaxies these are.

    Returns
    -------
    str
        For ``ModelCard.performance``.
    """
    z_phot = pdf.median()
    within = [
        metrics.outlier_fraction(z_phot, z_spec, threshold=limit)
        for limit in (0.05, 0.15)
    ]
    return (
        f"{len(z_spec):,} {what}: sigma_nmad {metrics.sigma_nmad(z_phot, z_spec):.4f}, "
        f"{within[0]:.1%} beyond 0.05 and {within[1]:.1%} beyond 0.15 of the median of "
        f"p(z), {metrics.coverage(pdf, z_spec, level=0.68):.1%} inside the 68 % "
        f"interval, PIT KS {metrics.pit_ks(metrics.pit(pdf, z_spec)):.3f}"
    )
