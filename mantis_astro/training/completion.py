"""What a model gets after its last step, from the galaxies held out for validation."""

import numpy as np
import torch

from mantis_astro.calibration import PITRecalibration
from mantis_astro.models import predict_both
from mantis_astro.pdf import RedshiftPDF

__all__ = ["completed"]

_LEAST = 100  # galaxies held out, below which there is nothing to be learnt from them


def completed(photoz, held_out, config):
    """
    Round the weights as they are kept, and add what is known of the training set.

    Parameters
    ----------
    photoz : PhotoZ
        The trained model; its weights are rounded in place.
    held_out : HeldOut
        Galaxies that it was not fitted to.
    config : TrainingConfig
        Its ``dtype``, ``n_reference``, ``recalibrate`` and ``seed`` are used.

    Returns
    -------
    PhotoZ
        With statistics of the features of these galaxies, and recalibrated, if the
        configuration says so; as it was if fewer than 100 galaxies are held out.
    """
    if config.dtype == "float16":
        with torch.no_grad():
            for parameter in photoz.network.parameters():
                parameter.copy_(parameter.half().float())
    wanted = config.n_reference or config.recalibrate != "none"
    if len(held_out) < _LEAST or not wanted:
        return photoz
    parts = [predict_both(photoz.network, b.images, b.ebv) for b in held_out.batches]
    probability, features = map(np.concatenate, zip(*parts, strict=True))
    z = np.concatenate([batch.z.numpy() for batch in held_out.batches])
    if config.recalibrate == "pit":
        pdf = RedshiftPDF(photoz.card.bin_edges, probability)
        photoz = photoz.with_recalibration(PITRecalibration().fit(pdf, z))
    if config.n_reference:
        photoz = photoz.with_reference(
            features,
            rng=config.seed,
            z_spec=z,
            n_vector=min(config.n_reference, len(z)),
            sample=f"{len(z):,} galaxies held out of: {photoz.card.training_sample}",
        )
    return photoz
