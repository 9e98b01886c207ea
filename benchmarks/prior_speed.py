"""
RedshiftPrior in prospector, against prospector's own priors and scipy's histogram.

Each is called as a sampler calls it, with an array of one redshift, and with many.
"""

from functools import partial

import numpy as np
from astropy.table import Table
from harness import interleaved, run
from prospect.models import priors
from scipy.stats import rv_histogram

from mantis_astro import RedshiftPDF

EDGES = np.concatenate([[0], 0.002 + 0.004 * np.arange(399), [1.6]])


class Histogram(priors.Prior):
    """The shortest tabulated prior one can write on scipy."""

    prior_params = ["mini"]  # noqa: RUF012  prospector's protocol

    def __init__(self, prior):
        super().__init__(mini=0.0)
        table = prior.probability, prior.bin_edges
        self.distribution = rv_histogram(table, density=False)


def repeat(call, x, number):
    for _ in range(number):
        call(x)


def benchmark(short):
    """Time of prior calls, microseconds a call."""
    prior = RedshiftPDF.from_gaussians(EDGES, 0.5, 0.05).to_prior()
    peers = {
        "RedshiftPrior": prior.as_prospector(),
        "ClippedNormal": priors.ClippedNormal(mean=0.5, sigma=0.05, mini=0, maxi=1.6),
        "rv_histogram": Histogram(prior),
    }
    rng = np.random.default_rng(1)
    inputs = {"1": rng.random(1), "(1000, 1)": rng.random((1000, 1))}
    rows = []
    for method in ("__call__", "unit_transform"):
        for shape, x in inputs.items():
            number = (50 if short else 500) // (1 if shape == "1" else 10)
            functions = {
                name: partial(repeat, getattr(peer, method), x, number)
                for name, peer in peers.items()
            }
            seconds = interleaved(functions, repeats=3 if short else 9)
            ours = seconds["RedshiftPrior"]
            rows += [
                (method, shape, name, 1e6 * t / number, ours / t)
                for name, t in seconds.items()
            ]
    table = Table(
        rows=rows, names=["method", "shape", "prior", "microseconds", "ours_over_it"]
    )
    table["microseconds"].info.format = ".2f"
    table["ours_over_it"].info.format = ".3f"
    table.meta["title"] = "Calls of a prior, as a sampler makes them (400 bins)"
    return table


if __name__ == "__main__":
    run(benchmark, "prior_speed")
