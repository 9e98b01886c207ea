"""
Point estimates and quantiles of many p(z): RedshiftPDF against qp histograms.

Both sides start from ready objects on the same probabilities. Bins are equal, because
qp 1.1 takes them to be so where it computes moments. The numbers of both sides are
compared too: `difference` is the largest over all galaxies; that of `std` is the
variance within a bin, which qp leaves out.
"""

import harness
import numpy as np
from astropy.table import Table

from mantis_astro import RedshiftPDF

N_BINS = 400
QUANTILES = (0.16, 0.5, 0.84)


def make_pdf(n_galaxies):
    """Noisy densities of one or two peaks."""
    rng = np.random.default_rng(0)
    edges = np.linspace(0, 1.6, N_BINS + 1)
    mean = rng.uniform(0.05, 1.5, (2, n_galaxies))
    std = rng.uniform(0.01, 0.1, (2, n_galaxies))
    one, two = RedshiftPDF.from_gaussians(edges, mean, std).probability
    noise = rng.lognormal(0, 0.2, one.shape)
    return RedshiftPDF(edges, (one + rng.random((n_galaxies, 1)) * two) * noise)


def benchmark(short):
    """Point estimates and three quantiles of 20,000 x 400 densities, against qp."""
    n_galaxies, repeats = (4000, 3) if short else (20000, 7)
    pdf = make_pdf(n_galaxies)
    ensemble = pdf.to_qp()
    centres = pdf.bin_centres
    pairs = {
        "mean": (pdf.mean, ensemble.mean),
        "median": (pdf.median, ensemble.median),
        # qp keeps the densities of the last grid, and would answer from memory
        "mode": (pdf.mode, lambda: pdf.to_qp().mode(centres)),
        "std": (pdf.std, ensemble.std),
        "3 quantiles": (
            lambda: pdf.to_quantiles(QUANTILES),
            lambda: ensemble.ppf(QUANTILES),
        ),
    }

    estimates = list(pairs.values())
    pairs["all of these"] = (
        lambda: [ours() for ours, _ in estimates],
        lambda: [peers() for _, peers in estimates],
    )
    rows = []
    for name, (ours, peers) in pairs.items():
        seconds = harness.interleaved({"ours": ours, "qp": peers}, repeats=repeats)
        difference = np.nan
        if name != "all of these":
            values = np.reshape(ours(), (n_galaxies, -1))
            difference = np.abs(values - np.reshape(peers(), values.shape)).max()
        rows.append(
            {
                "what": name,
                "galaxies": n_galaxies,
                "bins": N_BINS,
                "mantis_astro_ms": 1e3 * seconds["ours"],
                "qp_ms": 1e3 * seconds["qp"],
                "ratio": seconds["qp"] / seconds["ours"],
                "difference": difference,
            }
        )
    table = Table(rows, meta={"title": "RedshiftPDF against qp.hist"})
    for name in ("mantis_astro_ms", "qp_ms", "ratio"):
        table[name].info.format = ".1f"
    table["difference"].info.format = ".1e"
    return table


if __name__ == "__main__":
    harness.run(benchmark, "redshift_pdf")
