"""
What to do with 400 redshifts of one's own: six ways, in four situations.

``any-band`` on real galaxies of Stripe 82 and of zCOSMOS that its training has not
seen. The labelled ones are of one part of the sky; what counts are others, of another
part. Situations: the sample as it is; zero points off by 0.05 to 0.1 mag in all of
it; another n(z), of labelled galaxies and of others (few at low redshift, by chance
``(z / 0.6)**2``); and labels that do not reach: the brighter 40 % are labelled, the
others are what counts.

Ways: a temperature; the recalibration that is chosen; `PhotoZ.refit`, and with the
other galaxies as ``targets``; fine-tuning of all weights; and a random forest on
magnitudes and colours that learns from the labelled galaxies alone. Each with its
defaults. ``kept`` is in how many of the draws of labelled galaxies (``--draws``) the
way changed the model; numbers are means over draws; ``error`` is that of sigma_nmad by
bootstrap of the galaxies that count; seconds are CPU time of one thread. There is no
mean log score where a redshift has density 0. ``--samples`` names one of the two.
"""

import argparse
import sys
import time
import warnings

import numpy as np
import torch
from any_band import own_bands
from astropy.table import Table
from harness import run
from real_catalogs import REAL_DATA, magnitudes, read_stripe82, read_zcosmos
from real_peers import colour_features, forest_pdf

from mantis_astro import PhotoZ
from mantis_astro.calibration import BestRecalibration, TemperatureScaling
from mantis_astro.metrics import object_scores
from mantis_astro.metrics.point import point_statistics
from mantis_astro.training import finetune

READERS = {"Stripe 82": read_stripe82, "zCOSMOS": read_zcosmos}
OPTIONS = argparse.Namespace(draws=2, samples=list(READERS))
EBV = 0.05  # where a catalogue does not say
OFFSETS = 0.1, -0.08, 0.06, -0.05, 0.07, -0.06, 0.08  # mag, over and over
STEP = 0.004  # bins of the forest, in ln(1 + z)


class Galaxies:
    """Rows of a catalogue, as a model and as a forest read them."""

    def __init__(self, table):
        self.table, self.own = table, own_bands(table)
        self.z = np.asarray(table["z_spec"], float)
        self.ebv = np.nan_to_num(np.asarray(table["ebv"], float), nan=EBV)

    def __len__(self):
        return len(self.z)

    def __getitem__(self, rows):
        return Galaxies(self.table[rows])

    def pdf(self, photoz):
        return photoz.predict(self.own, ebv=self.ebv)

    def features(self, photoz):
        return np.asarray(photoz.features(self.own, ebv=self.ebv))


def with_zero_points_off(table):
    """The same galaxies, their fluxes scaled."""
    off = table.copy()
    for i, band in enumerate(table.meta["bands"]):
        for kind in ("flux", "flux_err"):
            name = f"{kind}_{band.replace('.', '_')}"
            off[name] *= 10 ** (-0.4 * OFFSETS[i % len(OFFSETS)])
    return off


def situations(table, rng, n):
    """Yield a name, galaxies with labels, and others."""
    is_here = np.asarray(table["fold"]) == 0
    z = np.asarray(table["z_spec"], float)

    def draw(*, labelled=True, counts=True, galaxies=table):
        chosen = rng.choice(np.flatnonzero(is_here & labelled), n, replace=False)
        return Galaxies(galaxies[chosen]), Galaxies(galaxies[~is_here & counts])

    yield "as it is", *draw()
    yield "zero points off", *draw(galaxies=with_zero_points_off(table))
    high = rng.random(len(z)) < (z / 0.6) ** 2
    yield "other n(z)", *draw(labelled=high, counts=high)
    mag = magnitudes(table, [table.meta["bright"]])[:, 0]
    bright = mag < np.nanquantile(mag, 0.4)
    yield "labels do not reach", *draw(labelled=bright, counts=~bright)


# ---- ways; each returns p(z) of the others, and whether the model was changed


def as_it_is(photoz, labelled, others, seed):  # noqa: ARG001
    return others.pdf(photoz), False


def temperature(photoz, labelled, others, seed):  # noqa: ARG001
    scaling = TemperatureScaling().fit(labelled.pdf(photoz), labelled.z)
    return scaling.transform(others.pdf(photoz)), True


def best_recalibration(photoz, labelled, others, seed):
    best = BestRecalibration(rng=seed).fit(labelled.pdf(photoz), labelled.z)
    before = others.pdf(photoz)
    after = best.transform(before)
    return after, not np.array_equal(after.probability, before.probability)


def refit(photoz, labelled, others, seed, **options):
    coord = labelled.table["coord"]
    new, report = photoz.refit(
        labelled.features(photoz), labelled.z, coords=coord, rng=seed, **options
    )
    return others.pdf(new), report.accepted


def refit_for_targets(photoz, labelled, others, seed):
    return refit(photoz, labelled, others, seed, targets=others.features(photoz))


def fine_tuning(photoz, labelled, others, seed):
    new, _ = finetune(photoz, labelled.own, labelled.z, ebv=labelled.ebv, seed=seed)
    return others.pdf(new), new is not photoz


def forest(photoz, labelled, others, seed):
    edges = np.expm1(np.arange(0, np.log1p(photoz.card.bin_edges[-1]) + STEP, STEP))
    known, asked = magnitudes(labelled.table), magnitudes(others.table)
    features = colour_features(np.concatenate([known, asked]))
    n = len(labelled)
    return forest_pdf(features[:n], labelled.z, features[n:], edges, seed=seed), True


WAYS = (
    as_it_is,
    temperature,
    best_recalibration,
    refit,
    refit_for_targets,
    fine_tuning,
    forest,
)


def scores(pdf, z, n_bootstrap=100):
    table, rng = object_scores(pdf, z), np.random.default_rng(0)
    delta_z = table["delta_z"].value
    point = point_statistics(delta_z)
    drawn = [
        point_statistics(rng.choice(delta_z, len(z)))["sigma_nmad"]
        for _ in range(n_bootstrap)
    ]
    return (
        point["sigma_nmad"],
        np.std(drawn),
        point["outlier_fraction_015"],
        table["crps"].value.mean(),
        table["log_score"].value.mean(),
    )


def benchmark(short):
    """A row for each sample, situation and way."""
    if not REAL_DATA.is_dir():
        print(f"no real data at {REAL_DATA}")
        return Table({"sample": []})
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    photoz = PhotoZ.from_pretrained("any-band")
    samples = ["Stripe 82"] if short else OPTIONS.samples
    n, n_draws = (100, 1) if short else (400, OPTIONS.draws)
    rows = []
    for table in (READERS[name]() for name in samples):
        found = {}
        for seed in range(n_draws):
            drawn = situations(table, np.random.default_rng(seed), n)
            for situation, labelled, others in drawn:
                for way in WAYS:
                    if short and way is fine_tuning:
                        continue
                    start = time.process_time()
                    pdf, is_changed = way(photoz, labelled, others, seed)
                    seconds = time.process_time() - start
                    found.setdefault((situation, way.__name__), []).append(
                        (*scores(pdf, others.z), len(others), seconds, is_changed)
                    )
                    print(table.meta["name"], situation, way.__name__, flush=True)
        for (situation, way), values in found.items():
            means = np.mean(values, 0)
            nmad, error, beyond, crps, log_score, n_others, seconds, kept = means
            rows.append(
                {
                    "sample": table.meta["name"],
                    "situation": situation,
                    "n": round(n_others),
                    "way": way.replace("_", " "),
                    "kept": f"{round(kept * n_draws)}/{n_draws}",
                    "sigma_nmad": nmad,
                    "error": error,
                    "beyond_015": beyond,
                    "crps": crps,
                    "log_score": log_score,
                    "seconds": seconds,
                }
            )
    table = Table(rows)
    table["log_score"] = np.ma.masked_invalid(table["log_score"])
    for name in table.colnames[5:]:
        table[name].info.format = ".4f"
    for name, spec in (("log_score", ".2f"), ("seconds", ".1f")):
        table[name].info.format = spec
    table.meta["title"] = f"Ways to use {n} redshifts of one's own, any-band"
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--draws", type=int, default=OPTIONS.draws)
    parser.add_argument(
        "--samples", nargs="+", choices=READERS, default=OPTIONS.samples
    )
    OPTIONS, rest = parser.parse_known_args()
    sys.argv[1:] = rest
    run(benchmark, "refit_methods")
