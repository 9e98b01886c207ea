"""
Redshifts of real galaxies: the models, a random forest, neighbours, on the same rows.

One table: catalogues first (`real_catalogs.py` says how each is read), then the few
real images there are. Whatever is trained on real redshifts is trained on one part of
the sky and tested on another; what the simulation's spectra come from is never tested
on. Prints nothing but a message where the real data are absent.
"""

import logging
import sys
import time
import warnings

import astropy.units as u
import numpy as np
import real_peers as peers
import torch
from astropy.coordinates import SkyCoord
from astropy.nddata import CCDData
from astropy.table import MaskedColumn, Table
from harness import run
from real_catalogs import (
    READERS,
    REAL_DATA,
    as_nine_bands,
    magnitudes,
    without_dust,
)
from real_mapping import with_colour_terms
from real_training import (
    Z_EDGES,
    predict_mean,
    simulate_like,
    train_on_simulation,
    tune,
)

from mantis_astro import FitsFolder, MultibandCutout, PhotoZ, RedshiftPDF, decode_flags
from mantis_astro.bands import get_band
from mantis_astro.cutouts import read_cutout
from mantis_astro.metrics import evaluate, pit, pit_ks
from mantis_astro.models import list_models
from mantis_astro.training import finetune

N_BOOTSTRAP = 100
# position and spectroscopic redshift of what the folders of images show
IMAGES = {
    "ps1_j0028": (7.09390, -10.65098, 0.30185),
    "ugc1333": (27.952, 0.2635, 0.0585),
    "ic494": (121.6005, 1.0361, 0.0142),
    "frb190608": (334.0204, -7.8989, 0.11778),
    "g202627": (130.6179, -0.2717, 0.0508),
}
MEASURED = ["bias", "sigma_nmad", "nmad_err", "out_005", "out_005_err"]
MEASURED += ["out_015", "out_015_err", "cov_68", "cov_68_err", "pit_ks", "pit_ks_err"]
COLUMNS = ["sample", "method", "n", "point", *MEASURED, "note"]
drawn = []  # what the figure shows: sample, method, z_phot, z_spec


def benchmark(short):
    if not (REAL_DATA / "catalogs").is_dir():
        sys.exit(f"no real data at {REAL_DATA}: nothing to evaluate on")
    rows = []
    for reader in READERS[:1] if short else READERS:
        table = reader()
        print(f"{table.meta['name']} ...", file=sys.stderr, flush=True)
        rows += catalogue_rows(table, short=short)
    rows += image_rows()
    table = Table(rows=rows, names=COLUMNS)
    for name in MEASURED:
        values = np.array(table[name], float)
        table[name] = MaskedColumn(values, mask=np.isnan(values), format=".4f")
    table.meta["title"] = (
        "Real galaxies: delta_z of the point estimate of p(z), shares beyond 0.05 and "
        "0.15, coverage of the central 68 %, KS distance of the PIT, bootstrap errors"
    )
    return table


def catalogue_rows(table, *, short):
    """Each method on one catalogue."""
    where = f"by {table.meta['folds']}"
    options = {"steps": 200, "members": 2} if short else {"steps": 400}
    results = []

    def add(method, pdf, note, point="median"):
        print(f"  {time.process_time():5.0f} s {method}", file=sys.stderr, flush=True)
        results.append((method, pdf, point, note))

    plain = without_dust(table)
    photometric = next(card for card in list_models() if card.is_photometric)
    shipped = PhotoZ.from_pretrained(photometric.name)
    stand_ins = ", ".join(
        f"{v} as {k}" for k, v in table.meta["nine"].items() if k != v
    )
    nine = as_nine_bands(table)
    add(
        f"{shipped.card.name}, as shipped",
        predict_mean([shipped], nine),
        stand_ins or "its own bands",
    )
    if stand_ins:
        nine = with_colour_terms(table)
        add(
            f"{shipped.card.name}, colour terms",
            predict_mean([shipped], nine),
            "the same, with colour terms of simulated galaxies; no redshift seen",
        )
    add(
        f"{shipped.card.name}, finetune()",
        by_fold(table, lambda rows: finetuned(shipped, nine[rows], short), nine),
        f"trained and tested {where}",
    )
    galaxies = simulate_like(plain, n=40_000 if short else 100_000)
    own = train_on_simulation(plain, galaxies, steps=200 if short else 2000)
    add(
        "own bands, simulation only",
        own.predict(plain),
        f"{', '.join(table.meta['bands'])}; photometry of the table seen, no redshift",
    )
    add(
        "own bands, fine-tuned",
        by_fold(table, lambda rows: tune(own, plain, rows, **options), plain),
        f"trained and tested {where}",
    )
    features = peers.colour_features(magnitudes(plain))
    for method, function, points in (
        ("random forest", peers.forest_pdf, ("mean", "median")),
        ("20 neighbours", peers.neighbours_pdf, ("median",)),
    ):
        pdf = peer_by_fold(table, features, function)
        for point in points:
            add(method, pdf, f"same rows, bands and folds, {where}", point)
    tested = tested_rows(table)
    return [
        as_row(table.meta["name"], method, pdf[tested], table["z_spec"][tested], *rest)
        for method, pdf, *rest in results
    ]


def finetuned(photoz, table, short):
    """The package's own way, from some seeds, each with others held out."""
    ebv, z = np.asarray(table["ebv"]), np.asarray(table["z_spec"])
    options = {"steps": 100} if short else {"steps": 600}
    return [
        finetune(photoz, table, z, ebv=ebv, seed=seed, **options)[0]
        for seed in range(1 if short or len(table) < 100 else 3)
    ]


def tested_rows(table):
    return ~np.asarray(table["is_donor"])


def by_fold(table, learn, read):
    """p(z) of each tested row, from models that learnt from the other folds."""
    tested, fold = tested_rows(table), np.asarray(table["fold"])
    probability = None
    for k in np.unique(fold[tested]):
        rows = tested & (fold == k)
        pdf = predict_mean(learn(fold != k), read[rows])
        if probability is None:
            probability = np.full((len(table), pdf.probability.shape[-1]), np.nan)
        probability[rows] = pdf.probability
    probability[~tested] = 1
    return RedshiftPDF(pdf.bin_edges, probability)


def peer_by_fold(table, features, function):
    tested, fold = tested_rows(table), np.asarray(table["fold"])
    probability = np.ones((len(table), len(Z_EDGES) - 1))
    z = np.asarray(table["z_spec"])
    for k in np.unique(fold[tested]):
        rows, others = tested & (fold == k), fold != k
        pdf = function(features[others], z[others], features[rows], Z_EDGES)
        probability[rows] = pdf.probability
    return RedshiftPDF(Z_EDGES, probability)


def as_row(sample, method, pdf, z_spec, point, note):
    z_spec = np.asarray(z_spec)
    (e,) = evaluate(pdf, z_spec, point=point, n_bootstrap=N_BOOTSTRAP)
    values = pit(pdf, z_spec)
    rng = np.random.default_rng(0)
    ks = [pit_ks(rng.choice(values, len(values))) for _ in range(N_BOOTSTRAP)]
    title = method if point == "median" else f"{method}, {point}"
    drawn.append((sample, title, np.asarray(getattr(pdf, point)()), z_spec))
    numbers = [e["bias_median"]]
    for name in (
        "sigma_nmad",
        "outlier_fraction_005",
        "outlier_fraction_015",
        "coverage_68",
    ):
        numbers += [e[name], e[f"{name}_err"]]
    return (sample, method, e["n"], point, *numbers, e["pit_ks"], np.std(ks), note)


def image_rows():
    """The default model on real images, one galaxy each."""
    photoz = PhotoZ.from_pretrained()
    rows = []
    for name, (ra, dec, z_spec) in IMAGES.items():
        cutouts = read_images(name, SkyCoord(ra, dec, unit="deg"), photoz.card.bands)
        pdf = photoz.predict(cutouts)
        low, high = (float(z) for z in pdf.interval(0.68))
        z_phot = float(pdf.median())
        flags = ", ".join(decode_flags(int(pdf.flags))) or "none"
        bands = ", ".join(str(band) for band in cutouts)
        interval = f"{low:.3f} to {high:.3f}"
        note = (
            f"z_spec {z_spec:.3f}, z_median {z_phot:.3f} ({interval}); {bands}; {flags}"
        )
        delta_z = (z_phot - z_spec) / (1 + z_spec)
        numbers = [delta_z, *[np.nan] * 10]
        rows.append((name, f"{photoz.card.name}, images", 1, "median", *numbers, note))
    return rows


def read_images(name, coord, bands):
    """All images of a target in a model's bands; AllWISE stands in for unWISE."""
    folder = REAL_DATA / "images" / name
    ((_, cutouts, _),) = FitsFolder(folder).iter_cutouts(coord.reshape(1), bands)
    more = {}
    for band in ("W1", "W2"):
        path = folder / f"WISE_{band}.fits"
        if path.exists() and f"unwise.{band}" in bands:
            cutout = read_cutout(path, f"allwise.{band}")
            more[f"unwise.{band}"] = as_unwise(cutout, f"unwise.{band}")
    return MultibandCutout(coord, {**cutouts, **more})


def as_unwise(cutout, band):
    """Turn counts of the AllWISE atlas into Vega nanomaggies in pixels of 2 x 2."""
    unwise = get_band(band).zero_point_ab()
    scale = 10 ** (0.4 * (unwise - cutout.meta["zero_point_ab"]))
    data = (cutout.data - np.nanmedian(cutout.data)) * scale  # it has a pedestal
    ny, nx = (n // 2 for n in data.shape)
    data = data[: 2 * ny, : 2 * nx].reshape(ny, 2, nx, 2).sum(axis=(1, 3))
    wcs = cutout.wcs.slice((slice(0, 2 * ny, 2), slice(0, 2 * nx, 2)))
    meta = {"magsys": "Vega", "zero_point_ab": unwise}
    return CCDData(data, unit=u.nmgy, wcs=wcs, meta=meta)


def draw_figure(path):
    """z_phot against z_spec: a row for each catalogue, a column for each method."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt
    from PIL import Image

    samples = list(dict.fromkeys(sample for sample, *_ in drawn))
    n_column = max(sum(s == sample for s, *_ in drawn) for sample in samples)
    figure, axes = plt.subplots(
        len(samples),
        n_column,
        figsize=(2.6 * n_column, 2.7 * len(samples)),
        squeeze=False,
        layout="constrained",
    )
    for row, sample in zip(axes, samples, strict=True):
        mine = [item for item in drawn if item[0] == sample]
        top = np.percentile(mine[0][3], 99.5) * 1.1
        for ax, (_, method, z_phot, z_spec) in zip(row, mine, strict=False):
            if len(z_spec) > 200:
                ax.hist2d(
                    z_spec,
                    z_phot,
                    bins=80,
                    range=[[0, top], [0, top]],
                    norm="log",
                    cmap="viridis",
                )
            else:
                ax.plot(z_spec, z_phot, ".", color="C0")
            line = np.array([0, top])
            ax.plot(line, line, "k-", lw=0.7)
            for sign in (-1, 1):
                ax.plot(line, line + sign * 0.05 * (1 + line), "k:", lw=0.7)
            ax.set(xlim=(0, top), ylim=(0, top))
            ax.set_title(method, fontsize=8)
        row[0].set_ylabel(f"{sample}\nz_phot")
        for ax in row[: len(mine)]:
            ax.set_xlabel("z_spec")
        for ax in row[len(mine) :]:
            ax.axis("off")
    figure.savefig(path, dpi=75)
    Image.open(path).quantize(64).save(path, optimize=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable()
    torch.set_num_threads(1)
    folder = run(benchmark, "real_tables")
    if folder is not None:
        draw_figure(folder / "real_tables.png")
