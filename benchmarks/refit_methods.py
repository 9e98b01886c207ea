"""
What to do with 400 redshifts of one's own: six ways, in four situations.

``any-band`` on real galaxies of Stripe 82 and of zCOSMOS. The labelled ones are of one
part of the sky; what counts are others, of another part, which its training has not
seen (the labelled half of zCOSMOS gave spectra to the simulation). Situations: the
sample as it is; zero points off by 0.05 to 0.1 mag in all of it; another n(z), of
labelled galaxies and of others (few at low redshift, by chance ``(z / 0.6)**2``); and
labels that do not reach: the brighter 40 % are labelled, the others are what counts.

Ways: a temperature; the recalibration that is chosen; `PhotoZ.refit`, and with the
other galaxies as ``targets``; fine-tuning of all weights; and a random forest on
magnitudes and colours that learns from the labelled galaxies alone. Each with its
defaults. Numbers are means over draws of labelled galaxies; ``kept`` is in how many of
them the way changed the model. Errors are of a bootstrap of both, the draws and the
galaxies that count. ``crps_change`` is relative to the model as it is, in pairs: the
same draws and galaxies. Seconds are CPU time of one thread. There is no mean log score
where a redshift has density 0. ``--samples`` names samples, ``--draws`` the number of
draws, one for all or one for each of them.
"""

import argparse
import sys
import time
import warnings
from dataclasses import dataclass

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
OPTIONS = argparse.Namespace(draws=[5, 3], samples=list(READERS))
EBV = 0.05  # where a catalogue does not say
OFFSETS = 0.1, -0.08, 0.06, -0.05, 0.07, -0.06, 0.08  # mag, over and over
STEP = 0.004  # bins of the forest, in ln(1 + z)
N_BOOTSTRAP = 200


class Galaxies:
    """Rows of a catalogue, as a model and as a forest read them."""

    def __init__(self, table, rows):
        self.rows = np.arange(len(table))[rows]
        self.table = table = table[rows]
        self.own = own_bands(table)
        self.z = np.asarray(table["z_spec"], float)
        self.ebv = np.nan_to_num(np.asarray(table["ebv"], float), nan=EBV)

    def __len__(self):
        return len(self.z)

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
        return Galaxies(galaxies, chosen), Galaxies(galaxies, ~is_here & counts)

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


@dataclass
class Outcome:
    """One way with one draw: scores of each galaxy that counts."""

    rows: np.ndarray  # of the catalogue
    delta_z: np.ndarray
    crps: np.ndarray
    log_score: np.ndarray
    seconds: float
    is_changed: bool

    @classmethod
    def of(cls, way, photoz, labelled, others, seed):
        start = time.process_time()
        pdf, is_changed = way(photoz, labelled, others, seed)
        seconds = time.process_time() - start
        table = object_scores(pdf, others.z)
        columns = (table[name].value for name in ("delta_z", "crps", "log_score"))
        return cls(others.rows, *columns, seconds, is_changed)

    def statistics(self, times):
        """Numbers of a sample in which each row of the catalogue is so many times."""
        again = np.repeat(np.arange(len(self.rows)), times[self.rows])
        point = point_statistics(self.delta_z[again])
        return (
            point["sigma_nmad"],
            point["outlier_fraction_015"],
            self.crps[again].mean(),
            self.log_score[again].mean(),
        )


def means(outcomes, n_rows, rng=None):
    """Statistics, means over draws; of draws and galaxies drawn again with ``rng``."""
    times = np.ones(n_rows, int)
    if rng is not None:
        times = rng.poisson(1, n_rows)
        outcomes = [
            outcomes[i] for i in rng.integers(len(outcomes), size=len(outcomes))
        ]
    return np.mean([outcome.statistics(times) for outcome in outcomes], 0)


def drawn_again(outcomes, n_rows):
    """Bootstrap of `means`, shape (n, 4): of all ways with the same draws, galaxies."""
    rng = np.random.default_rng(0)
    return np.array([means(outcomes, n_rows, rng) for _ in range(N_BOOTSTRAP)])


def table_rows(table, found):
    """Yield a row for each situation and way of a sample."""
    bootstrap = {key: drawn_again(found[key], len(table)) for key in found}
    for (situation, way), outcomes in found.items():
        nmad, beyond, crps, log_score = means(outcomes, len(table))
        again = bootstrap[situation, way]
        errors = again.std(0)
        untouched = situation, as_it_is.__name__
        _, _, crps_before, _ = means(found[untouched], len(table))
        change = again[:, 2] / bootstrap[untouched][:, 2] - 1
        kept = sum(outcome.is_changed for outcome in outcomes)
        yield {
            "sample": table.meta["name"],
            "situation": situation,
            "n": round(np.mean([len(outcome.rows) for outcome in outcomes])),
            "way": way.replace("_", " "),
            "kept": f"{kept}/{len(outcomes)}",
            "sigma_nmad": nmad,
            "sigma_error": errors[0],
            "beyond_015": beyond,
            "beyond_error": errors[1],
            "crps": crps,
            "crps_change": crps / crps_before - 1,
            "change_error": change.std(),
            "log_score": log_score,
            "seconds": np.mean([outcome.seconds for outcome in outcomes]),
        }


def outcomes_of(photoz, table, n, n_draws, ways):
    """Lists of outcomes, one for each draw, by situation and way."""
    found = {}
    for seed in range(n_draws):
        drawn = situations(table, np.random.default_rng(seed), n)
        for situation, labelled, others in drawn:
            for way in ways:
                outcome = Outcome.of(way, photoz, labelled, others, seed)
                found.setdefault((situation, way.__name__), []).append(outcome)
                print(table.meta["name"], seed, situation, way.__name__, flush=True)
    return found


def benchmark(short):
    """A row for each sample, situation and way."""
    if not REAL_DATA.is_dir():
        print(f"no real data at {REAL_DATA}")
        return Table({"sample": []})
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    photoz = PhotoZ.from_pretrained("any-band")
    samples, n, n_draws, ways = OPTIONS.samples, 400, OPTIONS.draws, WAYS
    if short:
        samples, n, n_draws = ["Stripe 82"], 100, [1]
        ways = [way for way in WAYS if way is not fine_tuning]
    if len(n_draws) == 1:
        n_draws *= len(samples)
    rows = []
    for name, n_of_sample in zip(samples, n_draws, strict=True):
        table = READERS[name]()
        found = outcomes_of(photoz, table, n, n_of_sample, ways)
        rows += table_rows(table, found)
    table = Table(rows)
    table["log_score"] = np.ma.masked_invalid(table["log_score"])
    for name in table.colnames[5:]:
        table[name].info.format = ".4f"
    for name in ("crps_change", "change_error", "log_score"):
        table[name].info.format = ".2f"
    table["seconds"].info.format = ".1f"
    draws = " and ".join(
        f"{d} draws of {s}" for s, d in zip(samples, n_draws, strict=True)
    )
    table.meta["title"] = (
        f"Ways to use {n} redshifts of one's own, any-band: {draws}, errors of a "
        "bootstrap of draws and galaxies"
    )
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--draws", type=int, nargs="+", default=OPTIONS.draws)
    parser.add_argument(
        "--samples", nargs="+", choices=READERS, default=OPTIONS.samples
    )
    OPTIONS, rest = parser.parse_known_args()
    sys.argv[1:] = rest
    run(benchmark, "refit_methods")
