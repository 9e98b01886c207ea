"""
How many true redshifts does a recalibration need, and which one mends what?

p(z) of made galaxies that are right, or wrong in one of six ways: too narrow by 2, too
broad by 2, shifted by one of their widths, narrow and low for bright and broad and high
for faint galaxies, with a second peak that never holds the truth, and with redshifts
that are anywhere in 5 % of cases. Each recalibrator is fitted on 50 to 3,000 galaxies
and judged on 4,000 others; means over several draws of the galaxies to fit.

``ecdf`` is the plain empirical distribution of PIT as a map, which smooths nothing.
"""

import argparse
import sys
import warnings

import numpy as np
from astropy.table import Table
from harness import run

from mantis_astro import RedshiftPDF, metrics
from mantis_astro.calibration import (
    BestRecalibration,
    LocalRecalibration,
    PITRecalibration,
    TemperatureScaling,
)
from mantis_astro.calibration.recalibrator import remap
from mantis_astro.exceptions import CalibrationWarning

EDGES = np.r_[0, 0.008 * np.arange(199) + 0.004, 1.6]
KINDS = ("narrow", "wide", "shifted", "by magnitude", "two peaks", "outliers", "right")
DRAWS = {50: 16, 100: 12, 300: 6, 1000: 3, 3000: 2}
OPTIONS = argparse.Namespace(kind=None, draws=1.0, test=4000)


class EmpiricalDistribution:
    """The step function of PIT values, joined by lines."""

    def fit(self, pdf, z_spec):
        pit = np.sort(metrics.pit(pdf, z_spec))
        self.u = np.r_[0, pit, 1]
        self.mapped = np.r_[0, (np.arange(len(pit)) + 0.5) / len(pit), 1]
        return self

    def transform(self, pdf):
        def cdf(u, *, upper):
            mapped = np.interp(1 - u if upper else u, self.u, self.mapped)
            return 1 - mapped if upper else mapped

        return RedshiftPDF(EDGES, remap(np.asarray(pdf.probability), cdf))


METHODS = {
    "none": None,
    "ecdf": EmpiricalDistribution,
    "temperature": lambda: TemperatureScaling(floor=True),
    "pit": PITRecalibration,
    "local": LocalRecalibration,
    "best": BestRecalibration,
}


def galaxies(kind, n, seed):
    """P(z) that are wrong in a way, and redshifts."""
    rng = np.random.default_rng(seed)
    faint = rng.uniform(-1, 1, n)
    centre = rng.uniform(0.45, 1.0, n)
    sigma = (0.02 + 0.01 * (faint + 1)) * (1 + centre)
    z_spec = rng.normal(centre, sigma)
    stated = sigma * {"narrow": 0.5, "wide": 2.0}.get(kind, 1.0)
    place = centre + (sigma if kind == "shifted" else 0)
    if kind == "by magnitude":
        place, stated = centre + 0.5 * faint * sigma, sigma * np.exp(0.7 * faint)
    if kind == "outliers":
        out = rng.random(n) < 0.05
        z_spec[out] = rng.uniform(0, 1.6, out.sum())
    rows = RedshiftPDF.from_gaussians(EDGES, place, stated).probability
    if kind == "two peaks":
        other = centre + 5 * sigma * rng.choice([-1, 1], n)
        rows = (
            0.7 * rows
            + 0.3
            * RedshiftPDF.from_gaussians(
                EDGES, np.clip(other, 0.05, 1.5), sigma
            ).probability
        )
    floor = 1e-3 if kind == "outliers" else 1e-6
    rows = (1 - floor) * rows + floor * np.diff(EDGES) / EDGES[-1]
    pdf = RedshiftPDF(EDGES, rows)
    return pdf, np.clip(z_spec, 1e-3, 1.599)


def judged(pdf, z_spec):
    pit = metrics.pit(pdf, z_spec)
    return {
        "pit_ks": metrics.pit_ks(pit),
        "cov68": np.mean(abs(pit - 0.5) <= 0.34),
        "cov95": np.mean(abs(pit - 0.5) <= 0.475),
        "log_score": metrics.log_score(pdf, z_spec),
    }


def rows_of(kind, draws):
    test, truth = galaxies(kind, OPTIONS.test, 999)
    for n, n_draw in draws.items():
        found = {name: [] for name in METHODS}
        chosen = []
        for seed in range(n_draw):
            pdf, z_spec = galaxies(kind, n, seed)
            for name, make in METHODS.items():
                after = test
                if make is not None:
                    fitted = make().fit(pdf, z_spec)
                    after = fitted.transform(test)
                    chosen += [fitted.chosen_] if name == "best" else []
                found[name].append(list(judged(after, truth).values()))
        names = list(judged(test, truth))
        for name, values in found.items():
            row = {"wrong": kind, "truths": n, "draws": n_draw, "method": name}
            row |= dict(zip(names, np.mean(values, 0).round(4), strict=True))
            row["ks_err"] = round(np.std([v[0] for v in values]) / n_draw**0.5, 4)
            row["chosen"] = ""
            if name == "best":
                kinds, counts = np.unique(chosen, return_counts=True)
                row["chosen"] = " ".join(
                    f"{k}:{c}" for k, c in zip(kinds, counts, strict=True)
                )
            print(" ".join(map(str, row.values())), flush=True)
            yield row


def benchmark(short):
    """PIT KS, coverage and log score of each method, by number of truths."""
    warnings.simplefilter("ignore", CalibrationWarning)
    draws = {50: 2, 300: 1} if short else DRAWS
    draws = {n: max(1, round(k * OPTIONS.draws)) for n, k in draws.items()}
    rows = [row for kind in OPTIONS.kind or KINDS for row in rows_of(kind, draws)]
    table = Table(rows)
    table.meta["title"] = "Recalibration by number of true redshifts"
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--kind", action="append", choices=KINDS)
    parser.add_argument("--draws", type=float, default=OPTIONS.draws)
    parser.add_argument("--test", type=int, default=OPTIONS.test)
    own, sys.argv[1:] = parser.parse_known_args()
    vars(OPTIONS).update(vars(own))
    run(benchmark, "recalibration_truths")
