"""
A model of any bands on simulated catalogues that no training has seen.

Galaxies with spectra of other donors, quasars and stars, in catalogues as
`AnyBandData` draws them: is p(z) calibrated for any number of bands, at any redshift,
for active nuclei, and are stars told apart? ``--model`` is a name or a file. For stars,
``coverage_68`` stands for the share with ``p_star`` above 0.5, ``pit_ks`` for the area
under the curve of true against false stars.
"""

import argparse
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
from astropy.table import Table
from harness import run

from mantis_astro import PhotoZ, RedshiftPDF, metrics
from mantis_astro.models import NetworkInput
from mantis_astro.simulation.photometry.sources import KINDS
from mantis_astro.training.data.any_bands import AnyBandData, SimulatedCatalogs

OPTIONS = argparse.Namespace(model="any-band", n=20_000, seed=1000)
NUMBERS = (1, 2, 3, 4, 5, 6, 8, 11, 16, 41)
REDSHIFTS = (0.0, 0.3, 0.8, 1.6, 2.5, 4.0, 6.0)


def benchmark(short):
    """Return calibration and scatter by what catalogues have."""
    n = 2000 if short else OPTIONS.n
    load = PhotoZ.from_file if Path(OPTIONS.model).suffix else PhotoZ.from_pretrained
    photoz = load(OPTIONS.model)
    data = SimulatedCatalogs(
        AnyBandData(population_seed=OPTIONS.seed, validation_donors="test"),
        photoz.card.spec,
        z_edges=photoz.card.z_edges,
        n_validation=n,
        seed=OPTIONS.seed,
    )
    probability, p_star, z, number, kind = [], [], [], [], []
    for batch in data.held_out(n):
        ready = batch.encoded(photoz.card.spec)
        there = ready.images[..., -1] > 0
        usable = there.any(1).numpy()
        flags = np.zeros(len(batch), np.int32)
        answer = photoz.infer(
            NetworkInput(ready.images, ready.ebv.nan_to_num(), flags, usable)
        )
        probability.append(answer.probability)
        p_star.append(answer.p_star)
        z.append(batch.z.numpy())
        number.append(there.sum(1).numpy())
        kind.append(np.where(batch.star.numpy(), KINDS.index("star"), 0))
    pdf = RedshiftPDF(photoz.card.bin_edges, np.concatenate(probability))
    p_star, z, number, kind = map(np.concatenate, (p_star, z, number, kind))
    star = kind == KINDS.index("star")
    rows = [_scores("all but stars", pdf[~star], z[~star])]
    for low, high in pairwise(NUMBERS):
        name = f"{low} bands" if high == low + 1 else f"{low} to {high - 1} bands"
        chosen = ~star & (number >= low) & (number < high)
        rows.append(_scores(name, pdf[chosen], z[chosen]))
    for low, high in pairwise(REDSHIFTS):
        chosen = ~star & (z >= low) & (z < high)
        rows.append(_scores(f"z {low:g} to {high:g}", pdf[chosen], z[chosen]))
    told = p_star[star][:, None] > p_star[~star]
    rows.append(
        {
            "sample": "stars",
            "n": int(star.sum()),
            "coverage_68": float((p_star[star] > 0.5).mean()),
            "pit_ks": float(told.mean()),
        }
    )
    table = Table(rows=[{**dict.fromkeys(rows[0], np.nan), **row} for row in rows])
    table.meta["title"] = f"{photoz.card.name} on simulated catalogues"
    return table


def _scores(name, pdf, z):
    z_phot = pdf.median()
    return {
        "sample": name,
        "n": len(z),
        "bias_median": metrics.bias_median(z_phot, z),
        "sigma_nmad": metrics.sigma_nmad(z_phot, z),
        "beyond_005": metrics.outlier_fraction(z_phot, z, threshold=0.05),
        "beyond_015": metrics.outlier_fraction(z_phot, z, threshold=0.15),
        "coverage_68": metrics.coverage(pdf, z, level=0.68),
        "pit_ks": metrics.pit_ks(metrics.pit(pdf, z)),
        "log_score": float(np.log(np.maximum(pdf.pdf(z), 1e-9)).mean()),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    for name, value in vars(OPTIONS).items():
        parser.add_argument(f"--{name}", type=type(value), default=value)
    _, rest = parser.parse_known_args(namespace=OPTIONS)
    sys.argv[1:] = rest
    run(benchmark, "any_band_catalogs")
