"""
What `PhotoZ.refit` gains, and whether it ever harms: label counts, training lengths.

Each refit sees some labelled galaxies, some of which it holds out for its decision; the
numbers here are of a third sample of 8,000 that neither fitting nor decision saw.

Harmful, as fixed before the first run: the refit was accepted, and on the third sample
sigma_nmad or the outlier fraction at 0.15 or the log score is worse by more than two
errors of a paired bootstrap. Stricter, and counted too: sigma_nmad is worse at all.
The aim is fewer than 5 harmful in 100 runs. What it is compared with is what a user
has: the model as it comes, with its recalibration.

Models are those of the package and photometric networks trained here for three lengths.
The user's galaxies are simulated from the spectra of other donors: as in training
("same"), of a fainter mix whose spectra the templates fit half as well ("fainter"), or
with zero points off by 0.05 to 0.1 mag ("zero points"). For photometric models the
training goes on, too, on the galaxies of the fit, until the log score of the third
sample is that of the refit. ``REFIT_SEED`` in the environment sets other galaxies and
other draws, ``--draws`` their number, and ``--package`` leaves out the networks that
are trained here. Runs share the processors; seconds are CPU time of one thread.

With ``--output DIR`` every run goes to ``DIR/full/refit_runs.csv`` as well. ``--runs
FILE``, once or more, reads such files in place of running, so that runs with several
seeds make one table.
"""

import argparse
import copy
import json
import logging
import multiprocessing
import os
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import lru_cache
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import astropy.units as u
import numpy as np
import torch
from astropy.table import Table, vstack
from harness import run
from torch.nn import functional

from mantis_astro import PhotoZ, RedshiftPDF, binned
from mantis_astro.metrics import object_scores
from mantis_astro.metrics.point import point_statistics
from mantis_astro.models import predict_features
from mantis_astro.models.geometry import SurveyGrids
from mantis_astro.models.inputs import PUBLISHED_BANDS
from mantis_astro.refitting.heads import soft_targets
from mantis_astro.simulation import GalaxyPopulation
from mantis_astro.simulation.population.counts import DEFAULT_MIX, Subsample
from mantis_astro.simulation.population.scenes import draw_scenes
from mantis_astro.simulation.rendering.observation import observe_grid
from mantis_astro.training import RenderedData, TrainingConfig, train
from mantis_astro.training.batches.batch import TrainingBatch
from mantis_astro.training.data.grid_photometry import GridPhotometry

SEED = int(os.environ.get("REFIT_SEED", "0"))
N_POOL, N_THIRD, BATCH = 8192, 8000, 256
FAINTER = (
    *(s for s in DEFAULT_MIX if s.name in ("bgs", "elg")),
    Subsample("faint", 0.6, "ps1.i", bright=18.0, faint=22.6),
)
SCENARIOS = {
    "same": {},
    "fainter": {"mix": FAINTER, "template_error": 0.08},
    "zero points": {},
}
OFFSETS = np.array([0.1, -0.08, 0.06, -0.05, 0.07, -0.06, 0.08, 0.1, -0.1])  # mag
METHODS = ("logistic", "ridge")
IMAGE_MODELS = ("simulated-early", "simulated-late")
METRICS = {
    "sigma_nmad": 1,
    "outlier_fraction_015": 1,
    "log_score": -1,
}  # 1: low is good


def photometric_models(folder, short):
    """Write those that are trained here, and that of the package; yield names."""
    if not OPTIONS.package:
        yield from trained_models(folder, short)
    load("simulated-photometric").save(folder / "simulated-photometric.safetensors")
    yield "simulated-photometric"


def trained_models(folder, short):
    """Train for three lengths; yield names."""
    cores = len(os.sched_getaffinity(0))
    n_train = 2048 if short else 65_536
    config = TrainingConfig.read("photometric").with_options(
        data=RenderedData(n=n_train, cache=str(folder / "rendered")),
        n_workers=cores - 1,
        minutes=None,
    )
    if short:
        config = config.with_options(validation=replace(config.validation, n=512))
    data = config.data.open(config)
    for steps in (50,) if short else (150, 600, 2500):
        name = f"photometry, {steps} steps"
        own = config.with_options(name=f"{steps}-steps", n_steps=steps, n_workers=0)
        result = train(
            own, folder / f"{steps}", data=data, progress=False, device="cpu"
        )
        result.photoz.save(folder / f"{name}.safetensors")
        yield name


@lru_cache(maxsize=8)
def load(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return (PhotoZ.from_file if "/" in name else PhotoZ.from_pretrained)(name)


def take_images(scenario, start):
    """Take images of a batch of the user's galaxies."""
    population = GalaxyPopulation(
        5000 + 10 * SEED + list(SCENARIOS).index(scenario),
        donors="test",
        bands=PUBLISHED_BANDS,
        **SCENARIOS[scenario],
    )
    sample = population.draw(BATCH, start=start)
    sources = draw_scenes(population, sample, radius=24 * u.arcsec, neighbours=True)
    images, observed = observe_grid(sources, BATCH, keys=sample.key)
    if scenario == "zero points":
        images *= torch.from_numpy(10 ** (-0.4 * OFFSETS)).float()[:, None, None]
    return TrainingBatch(
        images=(images,),
        observed=torch.from_numpy(observed),
        ebv=torch.from_numpy(sample.ebv_maps.astype(np.float32)),
        z=torch.from_numpy(sample.z),
        weight=torch.ones(BATCH),
        index=torch.arange(BATCH),
    )


def observe(scenario, start, models):
    """Take images of a batch: redshifts, what networks of photometry read, features."""
    torch.set_num_threads(1)
    batch = take_images(scenario, start)
    images, observed = batch.images[0], batch.observed.numpy()
    arrays = {"z": batch.z.numpy(), "ebv": batch.ebv.numpy()}
    for name in models:
        arrays[name] = features_of(load(name), batch)
    spec = load("simulated-photometric").card.spec
    flux = GridPhotometry(PUBLISHED_BANDS, (32, 32), 1.0, 3.0).measure(images.numpy())
    flux[~np.broadcast_to(observed[:, None], flux.shape)] = np.nan
    measured = TrainingBatch(**vars(batch) | {"images": torch.from_numpy(flux)})
    arrays["photometry"] = measured.encoded(spec).images.numpy()
    return arrays


def features_of(photoz, batch):
    images, spec = batch.images[0], photoz.card.spec
    if isinstance(spec.geometry, SurveyGrids):
        batch = TrainingBatch(
            **vars(batch) | {"images": tuple(images.split([2, 5, 2], 1))}
        )
    ready = batch.encoded(spec)
    return predict_features(photoz.network, ready.images, ready.ebv)


def observe_all(pool, folder, names, image_models, n):
    """Write features of all models, and what the photometric ones read."""
    for scenario in SCENARIOS:
        starts = range(0, n, BATCH)
        parts = list(
            pool.map(
                observe, [scenario] * len(starts), starts, [image_models] * len(starts)
            )
        )
        arrays = {key: np.concatenate([p[key] for p in parts]) for key in parts[0]}
        within = arrays["z"] < load("simulated-photometric").card.bin_edges[-1]
        arrays = {key: values[within] for key, values in arrays.items()}
        ebv = torch.from_numpy(arrays["ebv"])
        for name in names:
            if name not in image_models:
                photoz = load(f"{folder}/{name}.safetensors")
                fluxes = torch.from_numpy(arrays["photometry"])
                arrays[name] = predict_features(photoz.network, fluxes, ebv)
            np.savez(
                folder / f"{name}, {scenario}.npz",
                features=arrays[name],
                **{key: arrays[key] for key in ("z", "photometry", "ebv")},
            )


@lru_cache(maxsize=4)
def sample_of(path):
    with np.load(path) as arrays:
        return dict(arrays)


def densities(photoz, features):
    """Densities of a model as it comes."""
    weight = photoz.network.fc1.weight.detach().double().numpy()
    logits = features.astype(float) @ weight.T
    logits += photoz.network.fc1.bias.detach().double().numpy()
    probability, _ = binned.softmax(photoz.card.bin_edges, logits)
    pdf = RedshiftPDF(photoz.card.bin_edges, probability)
    return pdf if photoz.recalibrator is None else photoz.recalibrator.transform(pdf)


def scores_of(pdf, z):
    table = object_scores(pdf, z)
    return {name: table[name].value for name in ("delta_z", "log_score")}


def metrics(columns, index=slice(None)):
    point = point_statistics(columns["delta_z"][index])
    values = {**point, "log_score": columns["log_score"][index].mean()}
    return np.array([values[name] for name in METRICS])


def judge(before, after, rng, n_bootstrap=100):
    """Change of each metric, and whether it is worse by two paired errors."""
    n = len(before["delta_z"])
    change = metrics(after) - metrics(before)
    draws = []
    for _ in range(n_bootstrap):
        index = rng.integers(n, size=n)
        draws.append(metrics(after, index) - metrics(before, index))
    signs = np.array(list(METRICS.values()))
    return change, change * signs > 2 * np.std(draws, axis=0)


def one_refit(seed, n, method, name, scenario, folder, most):
    """Refit with one draw of n labelled galaxies, and look at the third sample."""
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    own = f"{folder}/{name}.safetensors"
    photoz = load(own if Path(own).exists() else name)
    sample = sample_of(f"{folder}/{name}, {scenario}.npz")
    features, z = sample["features"], sample["z"]
    pool = len(z) - min(N_THIRD, len(z) // 2)
    rng = np.random.default_rng([SEED, seed, n])
    chosen = rng.choice(pool, min(n, pool), replace=False)
    start = time.process_time()
    new, report = photoz.refit(
        features[chosen], z[chosen], method=method, rng=1000 * SEED + seed
    )
    row = {
        "model": name,
        "galaxies": scenario,
        "labels": n,
        "method": method,
        "seed": seed,
        "accepted": report.accepted,
        "seconds": time.process_time() - start,
        "harmful": "",
        "training": np.nan,
    }
    before = scores_of(densities(photoz, features[pool:]), z[pool:])
    row |= dict(zip(METRICS, metrics(before), strict=True))
    change = np.full(len(METRICS), np.nan)
    if report.accepted:
        after = scores_of(densities(new, features[pool:]), z[pool:])
        change, worse = judge(before, after, rng)
        row["harmful"] = " ".join(np.array(list(METRICS))[worse])
        if photoz.card.is_photometric and method == "logistic" and seed == 0:
            target = after["log_score"].mean()
            row["training"] = training_time(
                photoz, sample, chosen, pool, target, most=most
            )
    return row | {f"{key} change": v for key, v in zip(METRICS, change, strict=True)}


def training_time(photoz, sample, chosen, pool, target, *, most):
    """CPU seconds until all weights, trained on, reach a log score; infinite if not."""
    edges, best = photoz.card.bin_edges, np.inf
    fluxes, ebv = (torch.from_numpy(sample[key]) for key in ("photometry", "ebv"))
    goal = torch.from_numpy(soft_targets(edges, sample["z"][chosen], 0.02)).float()
    for rate in (1e-4, 1e-3):
        network = copy.deepcopy(photoz.network).train()
        optimizer = torch.optim.AdamW(network.parameters(), rate, weight_decay=0.02)
        rng, used = np.random.default_rng(0), 0.0
        while used < min(best, most):
            start = time.process_time()
            for _ in range(10):
                rows = rng.integers(len(chosen), size=min(256, len(chosen)))
                which = chosen[rows]
                optimizer.zero_grad()
                loss = functional.cross_entropy(
                    network(fluxes[which], ebv[which]), goal[rows]
                )
                loss.backward()
                optimizer.step()
            used += time.process_time() - start
            network.eval()
            with torch.no_grad():
                logits = network(fluxes[pool:], ebv[pool:]).double().numpy()
            network.train()
            probability, _ = binned.softmax(edges, logits)
            reached = scores_of(RedshiftPDF(edges, probability), sample["z"][pool:])
            if reached["log_score"].mean() >= target:
                best = used
            elif reached["log_score"].mean() < target - 1.0 and used > 10:
                break  # over-fitted
    return best


def benchmark(short):
    """Refit many times, and look at a third sample."""
    if OPTIONS.runs:
        tables = [Table.read(path, format="ascii.csv") for path in OPTIONS.runs]
        runs = vstack(tables, metadata_conflicts="silent")
        runs["accepted"] = runs["accepted"].astype(str) == "True"
        runs["harmful"] = runs["harmful"].astype(str).filled("")
        runs = runs.filled(np.nan)
    else:
        runs = run_all(short)
    if OPTIONS.output is not None:
        path = OPTIONS.output / "full" / "refit_runs.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        for column in runs.itercols():
            if column.dtype.kind == "f":
                column.info.format = ".4g"
        runs.write(path, format="ascii.csv", overwrite=True)
    return summary(runs)


def run_all(short):
    """Every model, sample, number of labels, method and draw: a row for each."""
    counts, draws, most = (100, 500, 2000), OPTIONS.draws, 60.0
    if short:
        counts, draws, most = (200,), 1, 1.0
    image_models = IMAGE_MODELS[:0] if short else IMAGE_MODELS
    n = 1024 if short else N_POOL + N_THIRD
    spawn = multiprocessing.get_context("spawn")
    with (
        TemporaryDirectory() as temporary,
        ProcessPoolExecutor(mp_context=spawn) as pool,
    ):
        folder = Path(temporary)
        names = [*photometric_models(folder, short), *image_models]
        print(f"{time.process_time():.0f} s of CPU: trained", file=sys.stderr)
        observe_all(pool, folder, names, image_models, n)
        print("galaxies observed", file=sys.stderr)
        what = counts[::-1], METHODS, names, SCENARIOS, [folder], [most]
        rows = []
        for row in pool.map(
            one_refit, *zip(*product(range(draws), *what), strict=True)
        ):
            rows.append(row)
            print(json.dumps(row, default=float), file=sys.stderr, flush=True)
        return Table(rows=rows)


def summary(runs):
    """
    A row for each sample, number of labels and method, all models together.

    Changes of sigma_nmad and outliers are relative; all are medians of the accepted.
    ``trained on`` is seconds until training on reaches the log score of the refit.
    """
    rows = []
    for galaxies, labels, method in product(
        SCENARIOS, sorted(set(runs["labels"])), METHODS
    ):
        group = runs[
            (runs["galaxies"] == galaxies)
            & (runs["labels"] == labels)
            & (runs["method"] == method)
        ]
        kept = group[group["accepted"]]
        row = {"galaxies": galaxies, "labels": labels, "method": method}
        row["accepted"] = f"{len(kept)}/{len(group)}"
        row["harmful"] = int(np.sum(kept["harmful"] != ""))
        row["sigma_nmad worse at all"] = int(np.sum(kept["sigma_nmad change"] > 0))
        for name, label in (
            ("sigma_nmad", "sigma_nmad"),
            ("outlier_fraction_015", "outliers"),
        ):
            change = np.median(kept[f"{name} change"] / kept[name])
            row[label] = f"{100 * change:+.0f} %" if len(kept) else ""
        change = np.median(kept["log_score change"])
        row["log score"] = f"{change:+.2f}" if len(kept) else ""
        row["seconds"] = f"{np.median(group['seconds']):.2g}"
        training = np.asarray(kept["training"], float)
        training = training[~np.isnan(training)]
        row["trained on"] = f"{np.median(training):.2g}" if len(training) else ""
        rows.append(row)
    table = Table(rows=rows)
    totals = []
    for method in METHODS:
        of = runs[runs["method"] == method]
        kept = of[of["accepted"]]
        totals.append(
            f"{method}: {len(kept)} of {len(of)} accepted, "
            f"{np.sum(kept['harmful'] != '')} of them harmful, "
            f"{np.sum(kept['sigma_nmad change'] > 0)} with sigma_nmad worse at all"
        )
    table.meta["title"] = (
        "PhotoZ.refit on a third sample, all models together, median changes of the "
        f"accepted ({'; '.join(totals)})"
    )
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--runs", type=Path, action="append")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--package", action="store_true")
    OPTIONS, rest = parser.parse_known_args()
    sys.argv[1:] = rest
    if OPTIONS.output is not None:
        sys.argv += ["--output", str(OPTIONS.output)]
    torch.set_num_threads(1)
    warnings.filterwarnings(
        "ignore", "All-NaN|Mean of empty|invalid value", RuntimeWarning
    )
    run(benchmark, "refit")
