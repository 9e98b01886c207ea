"""
`PhotoZ.refit` of an image network against going on training all of its weights.

The user's galaxies are simulated from the spectra of donors that no training saw, with
zero points off by 0.05 to 0.1 mag (those of `refit.py`). The refit sees features of the
labelled ones; the training their images, turned and mirrored, with the same soft
targets. Both are judged by 2,000 others, and nothing tells the training when to stop
but these: that favours it. Seconds are CPU time of one thread.
"""

import copy
import time

import numpy as np
import torch
from astropy.table import Table
from harness import run
from refit import BATCH, densities, scores_of, take_images
from torch.nn import functional

from mantis_astro import PhotoZ, RedshiftPDF, binned
from mantis_astro.models import predict_features
from mantis_astro.refitting.heads import soft_targets

RATES = (1e-4, 3e-4, 1e-3)
N_THIRD = 2000


def observe(n, spec):
    """Images as the network reads them, E(B-V) and redshifts of at least n."""
    parts = []
    for start in range(0, n, BATCH):
        ready = take_images("zero points", start).encoded(spec)
        parts.append((ready.images, ready.ebv, ready.z))
    images, ebv, z = (torch.cat(column) for column in zip(*parts, strict=True))
    return images, ebv, z.numpy()


def score(network, edges, images, ebv, z):
    """Mean log score of others."""
    network.eval()
    with torch.inference_mode():
        logits = [
            network(images[i : i + 512], ebv[i : i + 512])
            for i in range(0, len(z), 512)
        ]
    probability, _ = binned.softmax(edges, torch.cat(logits).double().numpy())
    return scores_of(RedshiftPDF(edges, probability), z)["log_score"].mean()


def train_until(photoz, rate, galaxies, third, goal, most):
    """CPU seconds until all weights, trained on, are as good; infinite if never."""
    images, ebv, z = galaxies
    edges = photoz.card.bin_edges
    targets = torch.from_numpy(soft_targets(edges, z, 0.02)).float()
    network = copy.deepcopy(photoz.network)
    optimizer = torch.optim.AdamW(network.parameters(), rate, weight_decay=0.02)
    rng, used = np.random.default_rng(0), 0.0
    while used < most:
        network.train()
        start = time.process_time()
        for _ in range(5):
            rows = rng.integers(len(z), size=min(256, len(z)))
            turned = torch.rot90(images[rows], int(rng.integers(4)), (2, 3))
            turned = turned.flip(3) if rng.integers(2) else turned
            optimizer.zero_grad()
            functional.cross_entropy(
                network(turned, ebv[rows]), targets[rows]
            ).backward()
            optimizer.step()
        used += time.process_time() - start
        if score(network, edges, *third) >= goal:
            return used
    return np.inf


def benchmark(short):
    """A row for each number of labels."""
    torch.set_num_threads(1)
    photoz = PhotoZ.from_pretrained("simulated-early")
    counts, most = ((100,), 5.0) if short else ((100, 500, 2000), 120.0)
    n_third = 500 if short else N_THIRD
    images, ebv, z = observe(max(counts) + n_third, photoz.card.spec)
    inside = np.flatnonzero((z >= 0) & (z < photoz.card.bin_edges[-1]))
    images, ebv, z = images[inside], ebv[inside], z[inside]
    third = images[-n_third:], ebv[-n_third:], z[-n_third:]
    of_third = predict_features(photoz.network, *third[:2])
    before = scores_of(densities(photoz, of_third), third[2])["log_score"].mean()
    rows = []
    for n in counts:
        galaxies = images[:n], ebv[:n], z[:n]
        start = time.process_time()
        features = predict_features(photoz.network, *galaxies[:2])
        middle = time.process_time()
        new, report = photoz.refit(features, galaxies[2], rng=0)
        end = time.process_time()
        row = {
            "labels": len(galaxies[2]),
            "accepted": str(report.accepted),
            "log score before": before,
            "after": np.nan,
            "features, s": middle - start,
            "refit, s": end - middle,
        }
        row |= {f"training at {rate:g}, s": np.nan for rate in RATES}
        if report.accepted:
            goal = scores_of(densities(new, of_third), third[2])["log_score"].mean()
            row["after"] = goal
            for rate in RATES:
                seconds = train_until(photoz, rate, galaxies, third, goal, most)
                row[f"training at {rate:g}, s"] = seconds
        rows.append(row)
    table = Table(rows=rows)
    for name in table.colnames[1:]:
        if table[name].dtype.kind == "f":
            table[name].info.format = ".3g"
    table.meta["title"] = (
        "Refitting an image network against training it on to the same log score, zero "
        f"points off; infinite: not within {most:g} s"
    )
    return table


if __name__ == "__main__":
    run(benchmark, "refit_or_train")
