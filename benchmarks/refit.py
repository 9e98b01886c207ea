"""
What `PhotoZ.refit` gains, and whether it ever harms: label counts, training lengths.

Each refit sees some labelled galaxies, some of which it holds out for its decision; the
numbers here are of a third sample that neither fitting nor decision saw. By default the
networks are photometric ones trained here for three lengths on made galaxies, and the
user's galaxies are either such as they were trained on ("same") or fainter, redder and
with zero points off by up to 0.1 mag ("shift"). For features of a model of one's own:
``python benchmarks/refit.py --model NAME_OR_FILE --features FILE.npz``, with arrays
``features`` (n, n_feature) and ``z_spec`` (n,) in the file.
"""

import argparse
import logging
import sys
import time
import warnings
from types import SimpleNamespace

import numpy as np
import torch
from astropy.table import Table
from harness import run
from torch.nn import functional

from mantis_astro import PhotoZ, RedshiftPDF, binned
from mantis_astro.bands import get_band
from mantis_astro.metrics import object_scores
from mantis_astro.metrics.point import point_statistics
from mantis_astro.models import (
    ModelCard,
    PhotometricConfig,
    PhotometrySpec,
    build_network,
    predict_features,
)
from mantis_astro.models.inputs import PUBLISHED_BANDS
from mantis_astro.refitting import refit
from mantis_astro.refitting.heads import last_layer
from mantis_astro.simulation.made_spectra import (
    Z_MAX,
    draw_made_galaxies,
    made_fluxes,
)

N_THIRD = 8000
OFFSETS = np.array([0.1, -0.08, 0.06, 0.0, -0.05, 0.04, -0.06, 0.1, -0.1])  # mag
METRICS = ("sigma_nmad", "outlier_fraction_015", "crps", "log_score")


BANDS = [get_band(name) for name in PUBLISHED_BANDS]
# Noise of a point source in nJy, from depths at five sigma roughly the surveys'.
NOISE = (
    3631e9
    / 5
    * 10 ** (-0.4 * np.array([20.8, 19.9, 23.3, 23.2, 23.1, 22.3, 21.3, 20.7, 20.0]))
)
BINS = np.linspace(0, Z_MAX, 201).round(6)


def card():
    spec = PhotometrySpec(PUBLISHED_BANDS, tuple(NOISE.tolist()))
    network = PhotometricConfig(spec.n_inputs, 200, widths=(128, 128), hidden=96)
    return ModelCard("made", network, spec, tuple(BINS.tolist()))


def galaxies(spec, n, rng, *, shift=False):
    """Redshifts, and fluxes as the network reads them; a quarter without GALEX."""
    z, kind, mag_i = draw_made_galaxies(n, rng)
    if shift:
        mag_i, kind = np.minimum(mag_i + 0.7, 22.2), kind**1.5
    flux = made_fluxes(z, kind, mag_i, BANDS) * 10 ** (-0.4 * OFFSETS * shift)
    flux *= 10 ** rng.normal(0, 0.02, flux.shape)
    error = np.hypot(NOISE * rng.uniform(1, 3, (n, 1)), 0.02 * flux)
    flux += rng.normal(0, error)
    flux[:, :2][rng.random(n) < 0.25] = np.nan
    table = Table()
    for j, band in enumerate(spec.bands):
        name, name_err = spec.columns(band)
        table[name], table[name_err] = flux[:, j], error[:, j]
        table[name].unit = table[name_err].unit = "nJy"
    prepared = spec.to_tensor(table, 0.0)
    return z, prepared.images, prepared.ebv


def made_samples(short):
    """Yield name, model, features and redshifts."""
    for steps in (150, 600) if short else (150, 600, 3000):
        model = SimpleNamespace(card=card())
        model.network = trained(model.card, steps)
        for name, shift in (("same", False), ("shift", True)):
            rng = np.random.default_rng(5)
            z, fluxes, ebv = galaxies(
                model.card.spec, 10_000 + N_THIRD, rng, shift=shift
            )
            features = predict_features(model.network, fluxes, ebv)
            yield f"{steps} steps, {name}", model, features, z


def trained(card, steps):
    """Cross entropy, fresh galaxies at every step."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    network = build_network(card.network).train()
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, steps)
    for _ in range(steps):
        z, fluxes, ebv = galaxies(card.spec, 256, rng)
        label = torch.from_numpy(np.searchsorted(BINS, z, side="right") - 1)
        optimizer.zero_grad()
        functional.cross_entropy(network(fluxes, ebv), label).backward()
        optimizer.step()
        schedule.step()
    return network.eval()


def own_samples(model, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        photoz = PhotoZ.from_pretrained(model) if "." not in model else None
        photoz = photoz or PhotoZ.from_file(model)
    arrays = np.load(path)
    yield photoz.card.name, photoz, arrays["features"], arrays["z_spec"]


def scores_of(edges, head, features, z):
    """Columns of each galaxy of the third sample."""
    features = np.column_stack([features.astype(float), np.ones(len(z))])
    probability, _ = binned.softmax(edges, features @ head)
    table = object_scores(RedshiftPDF(edges, probability), z)
    return {name: table[name].value for name in ("delta_z", "crps", "log_score")}


def metrics(columns, index):
    point = point_statistics(columns["delta_z"][index])
    return np.array(
        [
            point.get(name, columns[name][index].mean() if name in columns else np.nan)
            for name in METRICS
        ]
    )


def harm(before, after, rng, n_bootstrap=50):
    """Change of each metric, and whether it is worse by two paired errors."""
    everything = np.arange(len(before["crps"]))
    change = metrics(after, everything) - metrics(before, everything)
    draws = []
    for _ in range(n_bootstrap):
        index = rng.integers(len(everything), size=len(everything))
        draws.append(metrics(after, index) - metrics(before, index))
    worse = change * [1, 1, 1, -1] > 2 * np.std(draws, axis=0)
    return change, worse


def benchmark(short):
    """Refit many times, and look at a third sample."""
    logging.disable(logging.WARNING)
    samples = made_samples(short) if OWN is None else own_samples(*OWN)
    counts, seeds = ((100, 500), 2) if short else ((100, 500, 2000), 6)
    rows = []
    for name, model, features, z in samples:
        edges = model.card.bin_edges
        third = slice(len(z) - min(N_THIRD, len(z) // 2), None)
        pool = third.start
        before = scores_of(edges, last_layer(model.network), features[third], z[third])
        now = metrics(before, np.arange(len(before["crps"])))
        for n in counts:
            for method in ("ridge", "logistic"):
                rows.append(
                    repeated(model, features, z, pool, n, method, seeds, before, now)
                    | {"sample": name}
                )
                print(rows[-1], file=sys.stderr, flush=True)
    table = Table(rows=rows)
    table = table["sample", *[c for c in table.colnames if c != "sample"]]
    for column in table.itercols():
        if column.dtype.kind == "f":
            column.info.format = ".3g"
    table.meta["title"] = (
        f"PhotoZ.refit on a third sample of {len(before['crps']):,}: medians of the "
        f"accepted of {seeds} runs; harmful: sigma_nmad or outliers worse by two "
        "paired errors"
    )
    return table


def repeated(model, features, z, pool, n, method, seeds, before, now):
    """Refit with several draws of n labelled galaxies; one row of the table."""
    edges = model.card.bin_edges
    changes, harmful, accepted, seconds = [], 0, 0, []
    for seed in range(seeds):
        rng = np.random.default_rng([seed, n])
        chosen = rng.choice(pool, min(n, pool), replace=False)
        start = time.process_time()
        network, _, report = refit(
            model, features[chosen], z[chosen], method=method, rng=seed
        )
        seconds.append(time.process_time() - start)
        if not report.accepted:
            continue
        accepted += 1
        head = last_layer(network)
        after = scores_of(edges, head, features[pool:], z[pool:])
        change, worse = harm(before, after, rng)
        harmful += bool(worse[:2].any())
        changes.append(change)
    middle = np.median(changes, axis=0) if changes else np.full(len(METRICS), np.nan)
    row = {"labels": n, "method": method, "accepted": f"{accepted}/{seeds}"}
    for name, value, change in zip(METRICS, now, middle, strict=True):
        row |= {name: value, f"{name} change": change}
    return row | {"harmful": harmful, "cpu_seconds": np.median(seconds)}


OWN = None

if __name__ == "__main__":
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--model")
    parser.add_argument("--features")
    arguments, rest = parser.parse_known_args()
    if arguments.features is not None:
        OWN = arguments.model, arguments.features
    sys.argv = [sys.argv[0], *rest]
    run(benchmark, "refit")
