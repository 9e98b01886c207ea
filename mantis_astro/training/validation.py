"""Validation of a network on held-out galaxies: the loss, and the field's metrics."""

import math

import numpy as np
import torch

from mantis_astro import metrics
from mantis_astro.pdf import RedshiftPDF

__all__ = ["VALIDATION_COLUMNS", "HeldOut", "density_scores"]

VALIDATION_COLUMNS = (
    "val_loss",
    "sigma_nmad",
    "outlier_fraction_005",
    "outlier_fraction_015",
    "bias_median",
    "pit_ks",
    "coverage_68",
    "crps",
    "cde_loss",
    "log_score",
)
_BATCH = 256


class HeldOut:
    """
    Prepared galaxies held out, and the output of a network for them.

    Parameters
    ----------
    data : TrainingData
        Where they come from.
    prepare : callable
        From batch to prepared batch.
    loss : RedshiftLoss
        The loss of the training.
    z_edges : sequence of float
        Edges of the redshift bins.
    device : `torch.device`
        Where the network is.
    """

    def __init__(self, data, prepare, loss, z_edges, device):
        self.batches = [prepare(batch) for batch in data.validation(_BATCH)]
        self.loss, self.device = loss, device
        self.z_edges = np.asarray(z_edges, float)

    def __len__(self):
        return sum(map(len, self.batches))

    def predict(self, network, autocast):
        """
        Run a network over all of them.

        Parameters
        ----------
        network : `torch.nn.Module`
            The network.
        autocast : callable
            Gives the context to run it in.

        Returns
        -------
        pdf : RedshiftPDF
            Shape (n,).
        z : `~numpy.ndarray`
            Their redshifts, (n,).
        loss : float
            The mean loss.
        """
        network.eval()
        probabilities, losses = [], []
        with torch.inference_mode():
            for batch in self.batches:
                there = batch.to(self.device)
                with autocast():
                    logits = network(there.images, there.ebv)
                losses.append(self.loss(logits, there.z).cpu())
                probabilities.append(torch.softmax(logits.float(), 1).cpu().numpy())
        z = np.concatenate([batch.z.numpy() for batch in self.batches])
        pdf = RedshiftPDF(self.z_edges, np.concatenate(probabilities))
        return pdf, z, float(torch.cat(losses).double().mean())

    def scores(self, network, autocast):
        """
        Score a network.

        Parameters
        ----------
        network, autocast
            As for `predict`.

        Returns
        -------
        dict of str to float
            `VALIDATION_COLUMNS`, with the median as point estimate; none of them if
            nothing is held out.
        """
        if not self.batches:
            return {}
        pdf, z, loss = self.predict(network, autocast)
        if not math.isfinite(loss):
            return {"val_loss": loss}
        return {"val_loss": loss} | density_scores(pdf, z)


def density_scores(pdf, z_spec):
    """
    Score p(z) by the metrics of a validation.

    Parameters
    ----------
    pdf : RedshiftPDF
        Densities, shape (n,).
    z_spec : `~numpy.ndarray`
        True redshifts, shape (n,).

    Returns
    -------
    dict of str to float
        `VALIDATION_COLUMNS` but the loss, with the median as point estimate.
    """
    z, z_phot = z_spec, pdf.median()
    return {
        "sigma_nmad": metrics.sigma_nmad(z_phot, z),
        "outlier_fraction_005": metrics.outlier_fraction(z_phot, z, threshold=0.05),
        "outlier_fraction_015": metrics.outlier_fraction(z_phot, z, threshold=0.15),
        "bias_median": metrics.bias_median(z_phot, z),
        "pit_ks": metrics.pit_ks(metrics.pit(pdf, z)),
        "coverage_68": metrics.coverage(pdf, z, level=0.68),
        "crps": metrics.crps(pdf, z),
        "cde_loss": metrics.cde_loss(pdf, z),
        "log_score": metrics.log_score(pdf, z),
    }
