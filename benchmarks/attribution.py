"""
What each survey and band contributes to the redshifts of the embedded models.

Exact Shapley values on simulated galaxies that no training has seen, of spectra of
other donors: gains in the log score, ln p(z_spec), and in information, by survey for
each model, by band for the first and for the photometric one. ``share`` is that of the
sum; ``where_seen`` the mean over the galaxies that have the survey or band,
``negative`` how many of those it misleads. ``alone`` is the gain in the log score of a
group without all others, ``last`` that of adding it to all others: the two ends of what
a Shapley value averages. Where ``alone`` is far below 0, the model is asked what its
training did not show it.

Where the simulation knows the truth: the GALEX images of galaxies are exchanged among
them, so that each looks as it should and says nothing of its galaxy. Their contribution
to the log score must then not be positive; and galaxies that GALEX has not seen must
get exactly 0.

With ``--output DIR`` the table is written there, and a figure: shares against redshift.
"""

import argparse
import sys
import time
from dataclasses import replace

import numpy as np
import torch
from astropy.table import Table, vstack
from harness import run
from recalibration import readable

from mantis_astro import PhotoZ, RedshiftPDF, metrics
from mantis_astro.bands import get_band
from mantis_astro.models import (
    attribution_by_redshift,
    predict_probability,
    shapley_values,
)
from mantis_astro.models.absent_bands import observed_bands, without_bands
from mantis_astro.models.coalitions import take
from mantis_astro.models.photometric_inputs import PhotometrySpec
from mantis_astro.plotting import plot_attribution
from mantis_astro.training import iter_simulated

MODELS = ["simulated-early", "simulated-late", "simulated-photometric"]
OPTIONS = argparse.Namespace(model=None, n=2048, n_bands=512, seed=1000, bins=8)
_DRAWS = 500
SHOWN = []  # by redshift, for the figure


def simulated(photoz, n):
    """Batches of galaxies as the model reads them, with known redshifts."""
    batches = []
    for prepared, z_spec in iter_simulated(photoz.card, n, seed=OPTIONS.seed):
        good = np.flatnonzero(np.isfinite(z_spec) & prepared.usable)
        batches.append((take(prepared, good), z_spec[good]))
    return batches


def contributions(photoz, batches, *, groups, value):
    """Shapley values of all galaxies in one table, and their redshifts."""
    start = time.perf_counter()
    tables = [
        shapley_values(photoz, prepared, groups=groups, value=value, z_spec=z_spec)
        for prepared, z_spec in batches
    ]
    table = vstack(tables, metadata_conflicts="silent")
    table.meta = tables[0].meta  # vstack joins the names of the groups
    seconds = time.perf_counter() - start
    print(
        f"{photoz.card.name}: {len(table)} galaxies, {groups}, {value}: "
        f"{np.mean(table['v_none']):.3f} without any, {np.mean(table['v_all']):.3f} "
        f"with all; {seconds:.0f} s",
        flush=True,
    )
    return table, np.concatenate([z_spec for _, z_spec in batches])


def exchanged(prepared):
    """The same galaxies with GALEX images of others, where GALEX has been."""
    images = prepared.images.clone()
    seen = torch.from_numpy(np.flatnonzero(has_galex(prepared)))
    images[seen, :2] = images[seen.roll(1), :2]
    return replace(prepared, images=images)


def has_galex(prepared):
    return observed_bands(prepared, 9)[:, :2].any(axis=1)


def ends(photoz, batches, groups):
    """Gain in the log score of each group: without all others, and added to them."""
    bands = [get_band(band) for band in photoz.card.bands]
    names = [band.survey if groups == "surveys" else str(band) for band in bands]
    names = np.array([name.replace(".", "_") for name in names])

    def score(absent):
        parts = []
        for prepared, z_spec in batches:
            shown = without_bands(prepared, absent)
            answer = predict_probability(photoz.network, shown.images, shown.ebv)
            pdf = RedshiftPDF.from_batch(photoz.card.bin_edges, answer)
            parts.append(metrics.log_score(pdf, z_spec) * len(z_spec))
        return sum(parts) / sum(len(z_spec) for _, z_spec in batches)

    none, everything = score(np.ones(9, bool)), score(np.zeros(9, bool))
    return {
        name: (score(names != name) - none, everything - score(names == name))
        for name in dict.fromkeys(names)
    }


def mean_rows(photoz, table, sample, gains):
    """A row for each group: mean contribution, share, and mean where there are data."""
    names = table.meta["groups"]
    shares = np.stack([np.asarray(table[f"shapley_{name}"]) for name in names], 1)
    rng, n = np.random.default_rng(0), len(table)
    drawn = np.array(
        [shares[rng.integers(n, size=n)].mean(axis=0) for _ in range(_DRAWS)]
    )
    total = shares.sum(axis=1).mean()
    rows = []
    for i, name in enumerate(names):
        seen = shares[:, i] != 0  # exactly, where it is lacking
        here = shares[seen, i]
        rows.append(
            {
                "model": photoz.card.name,
                "sample": sample,
                "value": table.meta["value"],
                "group": name,
                "n": n,
                "mean": shares[:, i].mean(),
                "mean_err": drawn[:, i].std(),
                "share": shares[:, i].mean() / total,
                "share_err": (drawn[:, i] / drawn.sum(axis=1)).std(),
                "seen": seen.mean(),
                "where_seen": here.mean() if len(here) else np.nan,
                "where_seen_err": here.std() / max(len(here), 1) ** 0.5,
                "negative": np.mean(here < 0) if len(here) else np.nan,
                "alone": gains.get(name, (np.nan, np.nan))[0],
                "last": gains.get(name, (np.nan, np.nan))[1],
            }
        )
    return rows


def check_absent(table, batches):
    """Galaxies that GALEX has not seen get nothing from it, exactly."""
    absent = ~np.concatenate([has_galex(prepared) for prepared, _ in batches])
    if np.any(table["shapley_galex"][absent] != 0):
        msg = "a galaxy that GALEX has not seen has a contribution of GALEX"
        raise AssertionError(msg)
    print(f"{absent.sum()} galaxies without GALEX: it contributes exactly 0 to each")


def draw(results, path):
    from matplotlib.figure import Figure

    n_rows = -(-len(results) // 2)
    figure = Figure(figsize=(11, 3.8 * n_rows), layout="constrained")
    axes = figure.subplots(n_rows, 2, squeeze=False).ravel()
    for ax in axes[len(results) :]:
        ax.remove()
    for (title, by_redshift), ax in zip(results, axes, strict=False):
        plot_attribution(by_redshift, ax=ax)
        ax.set_title(title)
    figure.savefig(path, dpi=75)


def bands_of(photoz, n, *, first, short):
    """Tell how many galaxies are asked by band: 512 runs of the network for each."""
    if isinstance(photoz.card.spec, PhotometrySpec) and OPTIONS.n_bands:
        return n
    return min(OPTIONS.n_bands, 64 if short else n) if first else 0


def benchmark(short):
    """Shares of surveys and bands, and what GALEX images of others are worth."""
    torch.set_num_threads(1)
    n = 256 if short else OPTIONS.n
    rows, results = [], []
    for i, model in enumerate(OPTIONS.model or MODELS):
        photoz = PhotoZ.from_pretrained(model)
        batches = simulated(photoz, n)

        def ask(
            groups, value, *, sample="as simulated", batches=batches, photoz=photoz
        ):
            table, z = contributions(photoz, batches, groups=groups, value=value)
            gains = ends(photoz, batches, groups) if value == "log_score" else {}
            rows.extend(mean_rows(photoz, table, sample, gains))
            if value == "log_score" and sample == "as simulated":
                by_redshift = attribution_by_redshift(table, z, bins=OPTIONS.bins)
                results.append((f"{photoz.card.name}, {groups}", by_redshift))
            return table

        ask("surveys", "kl")
        table = ask("surveys", "log_score")
        if i == 0:
            check_absent(table, batches)
            others = [(exchanged(prepared), z_spec) for prepared, z_spec in batches]
            ask("surveys", "log_score", sample="GALEX of others", batches=others)
            del others
        n_bands = bands_of(photoz, n, first=i == 0, short=short)
        if n_bands:
            ask("bands", "log_score", batches=simulated(photoz, n_bands))
    for title, by_redshift in results:
        print(title)
        print("\n".join(by_redshift.pformat(max_lines=-1, max_width=-1)))
    SHOWN.extend(results)
    table = Table([readable(row) for row in rows])
    for name in ("alone", "last"):  # not told of information
        table[name] = np.ma.masked_invalid(table[name])
    for name in ("seen", "negative", "alone", "last"):
        table[name].info.format = ".3f"
    table.meta["title"] = "Shapley values of surveys and bands on simulated galaxies"
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--model", action="append")
    for name in ("n", "n_bands", "seed", "bins"):
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=int, default=getattr(OPTIONS, name))
    own, sys.argv[1:] = parser.parse_known_args()
    vars(OPTIONS).update(vars(own))
    if (folder := run(benchmark, "attribution")) is not None:
        draw(SHOWN, folder / "attribution.png")
