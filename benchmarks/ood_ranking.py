"""
What ranks wrong redshifts: ``ood_score``, its parts, p(z) itself, or both together?

``any-band`` on real catalogues that its training has not seen: galaxies of Stripe 82
and zCOSMOS, and the quasars below z = 1.6 among the radio sources of Stripe 82. The
numbers are areas under the ROC curve of |delta_z| > 0.15 (1: all wrong ones first; 0.5:
chance), on one half of each sample, and on the other. Some twenty combinations were
looked at on the first half; the second is what is reported.

``distance`` and ``neighbours`` are what `ReferenceStatistics.ood_score` is the larger
of; ``risk`` is the share of p(z) farther than 0.15 (1 + z) from its median, ``width``
half the width of the 68 % interval over 1 + z, and ``sum`` the sum of minus the
logarithms of the shares of the reference above distance and, four times, above risk.
"""

import warnings

import numpy as np
import torch
from astropy.table import Table
from harness import run
from real_catalogs import read_stripe82, read_zcosmos
from sklearn.metrics import roc_auc_score

from mantis_astro import PhotoZ, RedshiftPDF, binned

OUTLIER = 0.15
EBV = 0.05  # where a catalogue does not say


class Rankings:
    """
    Scores of galaxies of a model.

    Parameters
    ----------
    photoz : PhotoZ
        A model that has statistics of its training set.
    """

    def __init__(self, photoz):
        self.photoz, self.reference = photoz, photoz.card.reference
        own = self._parts(self.reference.sample_features)
        self._own = {name: np.sort(own[name]) for name in ("distance", "risk")}

    def __call__(self, features):
        parts = self._parts(features)
        parts["sum"] = self._surprise(parts, "distance") + 4 * self._surprise(
            parts, "risk"
        )
        return parts

    def pdf(self, features):
        with torch.no_grad():
            logits = self.photoz.network.last_layer(torch.as_tensor(features).float())
        edges = self.photoz.card.bin_edges
        probability, _ = binned.softmax(edges, logits.double().numpy())
        return self.photoz.finish(RedshiftPDF(edges, probability))

    def _parts(self, features):
        pdf = self.pdf(features)
        median = np.asarray(pdf.median())
        low, high = (np.asarray(pdf.ppf(q)) for q in (0.16, 0.84))
        reach = OUTLIER * (1 + median)
        edges, probability = pdf.bin_edges, np.asarray(pdf.probability)
        within = [
            binned.cdf(np.asarray(edges), probability, np.maximum(z, 0)[:, None])[:, 0]
            for z in (median + reach, median - reach)
        ]
        support = self.reference.support
        score = self.reference.ood_score(features)
        error = self.reference.expected_error(features) / support.error_threshold
        near = self.reference._neighbours(self.reference.scaled(features))
        return {
            "ood_score": score,
            "distance": near.distance / support.threshold,
            "neighbours": error,
            "width": (high - low) / 2 / (1 + median),
            "risk": 1 - (within[0] - within[1]),
        }

    def _surprise(self, parts, name):
        own, values = self._own[name], parts[name]
        above = 1 - np.searchsorted(own, values) / len(own)
        edge = own[int(0.95 * len(own))]
        tail = (own[own > edge] - edge).mean()
        far = -np.log(0.05) + (values - edge) / tail
        return np.where(values > edge, far, -np.log(np.maximum(above, 1e-9)))


def benchmark(short):
    """Area under the ROC curve of each ranking, on each half of each sample."""
    warnings.simplefilter("ignore")
    photoz = PhotoZ.from_pretrained("any-band")
    rankings = Rankings(photoz)
    samples = {
        "Stripe 82, galaxies": read_stripe82(),
        "Stripe 82, quasars": read_stripe82(quasars=True),
        "zCOSMOS": read_zcosmos(),
    }
    rows = []
    for name, everything in samples.items():
        table = everything[:600] if short else everything
        ebv = np.nan_to_num(np.asarray(table["ebv"], float), nan=EBV)
        features = np.asarray(photoz.features(table, ebv=ebv), float)
        z_spec = np.asarray(table["z_spec"], float)
        z_phot = np.asarray(rankings.pdf(features).median())
        bad = np.abs(z_phot - z_spec) / (1 + z_spec) > OUTLIER
        half = np.random.default_rng(0).random(len(bad)) < 0.5
        scores = rankings(features)
        for part, rows_of in (("chosen on", half), ("reported", ~half)):
            row = {"sample": name, "half": part, "n": int(rows_of.sum())}
            row["bad"] = int(bad[rows_of].sum())
            for ranking, values in scores.items():
                row[ranking] = roc_auc_score(bad[rows_of], values[rows_of])
            rows.append(row)
    table = Table(rows)
    for ranking in scores:
        table[ranking].info.format = ".3f"
    table.meta["title"] = "What ranks redshifts beyond 0.15: areas under the ROC curve"
    return table


if __name__ == "__main__":
    run(benchmark, "ood_ranking")
