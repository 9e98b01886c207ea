"""
Recalibration of the embedded models: do maps fitted on some spectra hold for others?

p(z) of simulated galaxies that no training has seen, without the model's own
recalibration, are tested as they are, with that of the model, and with each
recalibrator fitted on other galaxies. The spectra of the galaxies tested, and of those
fitted on, are of three sets, see `mantis_astro.simulation.GalaxyPopulation`:

    train       spectra that the network was trained on (other galaxies)
    validation  spectra that it was not
    test        others that it was not

A fit on ``validation``, tested on ``test``, is what a recipe does that holds out
spectra; one on ``train``, tested on ``train``, what can be had where nothing is new.

The goals: PIT KS < 0.02, 68 +- 1.5 % in the 68 % interval, sigma_nmad not worse by more
than 2 %, on 10,000 galaxies that the fit has not seen. Errors are of a bootstrap of
donors: galaxies of one spectrum share their errors. For the same reason PIT KS of
perfect p(z) is not 0: ``ks_chance`` is what it would be on average for so many donors.
"""

import argparse
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from astropy.table import Table
from harness import run

from mantis_astro import PhotoZ, RedshiftPDF, metrics
from mantis_astro.calibration import (
    BestRecalibration,
    LocalRecalibration,
    PITRecalibration,
    TemperatureScaling,
)
from mantis_astro.exceptions import CalibrationWarning
from mantis_astro.simulation import GalaxyPopulation
from mantis_astro.training import predict_simulated

SHIPPED = ["simulated-early", "simulated-late", "simulated-photometric"]
OPTIONS = argparse.Namespace(model=None, n=12_000, seed=1000, keep=None, draws=200)
RECALIBRATORS = {
    "temperature": lambda: TemperatureScaling(floor=True),
    "pit": PITRecalibration,
    "local": LocalRecalibration,
    "best": BestRecalibration,
}
CASES = (("test", "train"), ("test", "validation"), ("train", "train"))
_GRID = np.linspace(0, 1, 1001)


def load(model):
    if Path(model).suffix:
        return PhotoZ.from_file(model)
    return PhotoZ.from_pretrained(model)


def predicted(photoz, n, donors):
    """P(z), redshifts and donors of simulated galaxies; kept, if a folder is given."""
    path = None
    if OPTIONS.keep is not None:
        path = OPTIONS.keep / f"{photoz.card.name}-{donors}-{OPTIONS.seed}-{n}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
    if path is not None and path.exists():
        kept = np.load(path)
        probability, flags, z_spec = kept["probability"], kept["flags"], kept["z_spec"]
        pdf = RedshiftPDF(photoz.card.bin_edges, probability, flags=flags)
    else:
        pdf, z_spec = predict_simulated(
            photoz, n, seed=OPTIONS.seed, donors=donors, progress=True
        )
        if path is not None:
            kept = {"probability": pdf.probability, "flags": pdf.flags}
            np.savez(path, z_spec=z_spec, **kept)
    sample = GalaxyPopulation(OPTIONS.seed, donors=donors, bands=photoz.card.bands)
    return pdf, z_spec, sample.draw(n).donor


def parts(photoz, n):
    """
    The sets of galaxies, by what they are for and whose spectra they have.

    Each has n galaxies with known redshifts, as (p(z), redshift, donor).
    """
    sets = {
        ("fit", "validation"): predicted(photoz, n, "validation"),
        ("test", "test"): predicted(photoz, n, "test"),
    }
    both = predicted(photoz, 2 * n, "train")
    sets["fit", "train"] = tuple(values[:n] for values in both)
    sets["test", "train"] = tuple(values[n:] for values in both)
    for key, (pdf, z_spec, donor) in sets.items():
        known = np.isfinite(z_spec)
        sets[key] = pdf[known], z_spec[known], donor[known]
    return sets


def scores(pdf, z_spec):
    table = metrics.object_scores(pdf, z_spec)
    return {
        name: np.asarray(table[name].value, float)
        for name in ("pit", "cde_loss", "crps", "log_score", "delta_z")
    }


def statistics(score):
    pit, delta = score["pit"], score["delta_z"]
    middle = abs(pit - 0.5)
    return {
        "pit_ks": metrics.pit_ks(pit),
        **{f"cov{n}": np.mean(middle <= n / 200) for n in (50, 68, 95)},
        **{name: np.mean(score[name]) for name in ("cde_loss", "crps", "log_score")},
        "sigma_nmad": 1.4826 * np.median(abs(delta - np.median(delta))),
        "out_0.05": np.mean(abs(delta) >= 0.05),
        "out_0.15": np.mean(abs(delta) >= 0.15),
        "bias": np.median(delta),
    }


def draws_of(donor, n_draws):
    """Rows of bootstrap samples of donors."""
    _, member, count = np.unique(donor, return_inverse=True, return_counts=True)
    order = np.split(np.argsort(member, kind="stable"), np.cumsum(count)[:-1])
    rng = np.random.default_rng(0)
    for _ in range(n_draws):
        chosen = rng.integers(len(order), size=len(order))
        yield np.concatenate([order[i] for i in chosen])


def distribution(pit):
    return np.searchsorted(np.sort(pit), _GRID, side="right") / len(pit)


def rows_of(photoz, sets, n_draws):
    """A row for each set tested, each set fitted on and each recalibrator."""
    for tested in ("test", "train"):
        pdf, z_spec, donor = sets["test", tested]
        after = {("none", "-"): pdf}
        if photoz.recalibrator is not None:
            after["shipped", "card"] = photoz.recalibrator.transform(pdf)
        for fitted in (on for test, on in CASES if test == tested):
            for name, make in RECALIBRATORS.items():
                recalibrator = make().fit(*sets["fit", fitted][:2])
                after[name, fitted] = recalibrator.transform(pdf)
                print(f"  {tested}: {recalibrator.note} ({fitted})", flush=True)
        score = {key: scores(p, z_spec) for key, p in after.items()}
        value = {key: statistics(s) for key, s in score.items()}
        samples = {key: [] for key in score}
        mean = {key: distribution(s["pit"]) for key, s in score.items()}
        chance = {key: [] for key in score}
        for rows in draws_of(donor, n_draws):
            for key, s in score.items():
                drawn = statistics({name: v[rows] for name, v in s.items()})
                samples[key].append(list(drawn.values()))
                away = distribution(s["pit"][rows]) - mean[key]
                chance[key].append(abs(away).max())
        before = np.array(samples["none", "-"])
        for key, numbers in value.items():
            drawn = np.array(samples[key])
            nmad = list(numbers).index("sigma_nmad")
            ratio = drawn[:, nmad] / before[:, nmad]
            row = {"model": photoz.card.name, "tested_on": tested, "n": len(z_spec)}
            row |= {"recalibration": key[0], "fitted_on": key[1]}
            for (name, number), error in zip(
                numbers.items(), drawn.std(axis=0), strict=True
            ):
                row |= {name: number, f"{name}_err": error}
            row["ks_chance"] = round(float(np.mean(chance[key])), 4)
            row["nmad_ratio"] = numbers["sigma_nmad"] / value["none", "-"]["sigma_nmad"]
            row["nmad_ratio_err"] = ratio.std()
            yield row


def readable(row):
    """Numbers with their errors, to two digits of those."""
    return {
        name: _readable(value, row[f"{name}_err"]) if f"{name}_err" in row else value
        for name, value in row.items()
        if not name.endswith("_err")
    }


def _readable(value, error):
    if not error > 0:
        return f"{value:.3g}"
    digits = max(0, 1 - int(np.floor(np.log10(error))))
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def benchmark(short):
    """Metrics before and after each recalibration."""
    torch.set_num_threads(1)
    warnings.simplefilter("always", CalibrationWarning)
    rows = []
    for model in OPTIONS.model or SHIPPED:
        photoz = load(model)
        bare = photoz.with_recalibration(None)
        sets = parts(bare, 1000 if short else OPTIONS.n)
        for (role, spectra), (_, z_spec, donor) in sets.items():
            n_donor = len(np.unique(donor))
            print(f"{model}: {len(z_spec)} of {n_donor} {spectra} donors to {role}")
        rows += rows_of(photoz, sets, 20 if short else OPTIONS.draws)
    table = Table([readable(row) for row in rows])
    table.meta["title"] = "Recalibration of models on simulated galaxies"
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--model", action="append")
    parser.add_argument("--keep", type=Path)
    for name in ("n", "seed", "draws"):
        parser.add_argument(f"--{name}", type=int, default=getattr(OPTIONS, name))
    own, sys.argv[1:] = parser.parse_known_args()
    vars(OPTIONS).update(vars(own))
    run(benchmark, "recalibration")
