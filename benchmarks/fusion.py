"""
Early fusion, late fusion and photometry on equal budgets: which is better, if any?

Engel et al. 2025 (arXiv:2501.09112) find early and late fusion equal within errors.
Here the recipes of the package see the same simulated galaxies, equally often, from
several seeds, and are scored on the same galaxies, whose spectra come from donors and
whose places on the sky come from a population that no training has seen. The finding
is counted only if both beat the photometric network, and the table says what
difference could have been seen.

    python benchmarks/fusion.py --folder trainings

renders 400,000 galaxies once (18 kB each) and trains nine networks, about an hour on
two cores; finished trainings are not run again.
"""

import argparse
import logging
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from astropy.table import Table

from mantis_astro import PhotoZ, RedshiftPDF
from mantis_astro.metrics import evaluate, object_scores
from mantis_astro.models import predict_probability
from mantis_astro.simulation.population.galaxies import GalaxyPopulation
from mantis_astro.training import RenderedData, TrainingConfig, train

MODELS = ("photometric", "early", "late")
SCORES = ("sigma_nmad", "outlier_fraction_005", "outlier_fraction_015", "crps")
TEST_SEED = 1000
_N_BOOTSTRAP = 500


class TestGalaxies:
    """Galaxies that no training has seen, as each model reads them."""

    def __init__(self, n, cache):
        self.data = RenderedData(
            n=n, cache=str(cache), population_seed=TEST_SEED, donors="test"
        )
        sample = GalaxyPopulation(TEST_SEED, donors="test").draw(n)
        self.n, self.kind, self.z = n, sample.kind, sample.z

    def predict(self, photoz, config):
        small = config.with_options(
            validation=type(config.validation)(n=1), sampling="natural"
        )
        data = self.data.open(small)
        parts = []
        for start in range(0, self.n, 1024):
            rows = np.arange(start, min(start + 1024, self.n))
            batch = data.take(rows).encoded(photoz.card.spec)
            parts.append(predict_probability(photoz.network, batch.images, batch.ebv))
        return RedshiftPDF(photoz.card.bin_edges, np.concatenate(parts))


def trained(folder, cache, recipe, seed, n, n_steps):
    """The model of a recipe and a seed, trained if it is not there yet."""
    config = TrainingConfig.read(recipe)
    name = f"{config.name}-{seed}"
    config = config.with_options(
        name=name, seed=seed, data=RenderedData(n=n, cache=str(cache)), n_steps=n_steps
    )
    path = folder / name / f"{name}.safetensors"
    if path.exists():
        return PhotoZ.from_file(path), config
    return train(config, folder / name).photoz, config


def summary(delta, crps):
    nmad = 1.4826 * np.median(abs(delta - np.median(delta)))
    size = abs(delta)
    return np.array([nmad, np.mean(size >= 0.05), np.mean(size >= 0.15), crps.mean()])


def compared(results, rng):
    """
    Differences between models, with the errors of test galaxies and of seeds.

    ``results[model]`` is a list over seeds of (delta_z, crps). The galaxies are the
    same for all, so they are resampled together; seeds are resampled too.
    """
    n = len(next(iter(results.values()))[0][0])
    draws = {model: [] for model in results}
    for _ in range(_N_BOOTSTRAP):
        rows = rng.integers(n, size=n)
        for model, seeds in results.items():
            chosen = rng.integers(len(seeds), size=len(seeds))
            values = [summary(*(x[rows] for x in seeds[i])) for i in chosen]
            draws[model].append(np.mean(values, axis=0))
    draws = {model: np.array(values) for model, values in draws.items()}
    means = {
        model: np.mean([summary(*seed) for seed in seeds], axis=0)
        for model, seeds in results.items()
    }
    rows = []
    for model, mean in means.items():
        row = {"what": model}
        for name, value, error in zip(SCORES, mean, draws[model].std(0), strict=True):
            row[name], row[f"{name}_err"] = value, error
        rows.append(row)
    for a, b in combinations(means, 2):
        row = {"what": f"{b} minus {a}"}
        errors = (draws[b] - draws[a]).std(0)
        for name, value, error in zip(SCORES, means[b] - means[a], errors, strict=True):
            row[name], row[f"{name}_err"] = value, error
        rows.append(row)
    return Table(rows)


def verdict(table):
    """Say in sentences what the table says."""
    rows = {row["what"]: row for row in table}
    for first, second in combinations([m for m in MODELS if m in rows], 2):
        row = rows[f"{second} minus {first}"]
        for name in SCORES:
            difference, error = row[name], row[f"{name}_err"]
            seen = 2.8 * error  # found with 80 % power at the 5 % level, two-sided
            word = "differ" if abs(difference) > 1.96 * error else "agree"
            print(
                f"{second} and {first} {word} in {name}: {difference:+.4f} +- "
                f"{error:.4f}; a difference of {seen:.4f} would have been seen"
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("trainings"))
    parser.add_argument("--cache", type=Path, default=Path("rendered_galaxies"))
    parser.add_argument("--n", type=int, default=400_000, help="galaxies trained on")
    parser.add_argument("--n-test", type=int, default=12_000)
    parser.add_argument("--steps", type=int, default=2500, help="of 256 galaxies")
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--output", type=Path, help="folder for fusion.csv")
    parser.add_argument("--short", action="store_true", help="tiny, to see it run")
    options = parser.parse_args()
    if options.short:
        options.n, options.n_test, options.steps, options.seeds = 4096, 2048, 40, [0]
        options.folder = options.folder / "short"
    logging.basicConfig(level=logging.INFO)
    torch.set_num_threads(1)
    test = TestGalaxies(options.n_test, options.cache)
    results, rows = {}, []
    for model in options.models:
        for seed in options.seeds:
            photoz, config = trained(
                options.folder, options.cache, model, seed, options.n, options.steps
            )
            pdf = test.predict(photoz, config)
            each = object_scores(pdf, test.z)
            results.setdefault(model, []).append(
                (each["delta_z"].value, each["crps"].value)
            )
            for kind in ("all", *dict.fromkeys(test.kind)):
                chosen = (test.kind == kind) | (kind == "all")
                row = evaluate(pdf[chosen], test.z[chosen], sample=kind)[0]
                rows.append(
                    {"model": model, "seed": seed, "sample": kind}
                    | {k: float(row[k]) for k in _COLUMNS}
                )
    trainings = Table(rows)
    table = compared(results, np.random.default_rng(0))
    for shown in (trainings, table):
        for name in shown.colnames:
            if shown[name].dtype.kind == "f":
                shown[name].format = ".4f"
    print(f"{options.n_test} test galaxies; median of p(z)")
    trainings.pprint(max_lines=-1, max_width=-1)
    print()
    table.pprint(max_lines=-1, max_width=-1)
    verdict(table)
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        table.meta = {"comments": ["fusion.py: early, late and photometric networks"]}
        path = options.output / "fusion.csv"
        table.write(path, format="ascii.csv", comment="# ", overwrite=True)


_COLUMNS = (
    "n",
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


if __name__ == "__main__":
    main()
