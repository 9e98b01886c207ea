"""
The model of any bands on tables: real catalogues, LSST's DC2, its own kind of sky.

``python benchmarks/any_band.py [--model FILE] [--untouched] [--samples NAME ...]``
judges a checkpoint: each catalogue of `real_catalogs.py` in its own bands, without any
redshift of it seen and, unless only that is wanted, fine-tuned on one part of the sky
and tested on another. Then how fast it is, beside the nine-band network.
"""

import argparse
import sys
import time
import warnings
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import astropy.units as u
import numpy as np
import torch
from astropy.table import QTable, Table
from harness import interleaved, report
from real_catalogs import READERS, fluxes, magnitudes, read_dc2

from mantis_astro import Flag, PhotoZ, RedshiftPDF
from mantis_astro.fluxes import flux_columns
from mantis_astro.metrics import evaluate
from mantis_astro.models import NetworkInput, PhotometrySpec
from mantis_astro.models.band_sets import APERTURES
from mantis_astro.training import finetune
from mantis_astro.training.data.simulated import SimulatedData, SimulatedGalaxies

NINE = "simulated-photometric"
N_BOOTSTRAP = 100
POINT = ("bias_median", "sigma_nmad", "outlier_fraction_005", "outlier_fraction_015")
DENSITY = ("coverage_68", "pit_ks", "cde_loss", "crps")
COLUMNS = ("sample", "method", "n", "bias", "sigma_nmad", "out_005", "out_015")
COLUMNS += ("cov_68", "cov_err", "pit_ks", "cde_loss", "crps")


def main():
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="any-band", help="name or file")
    parser.add_argument("--untouched", action="store_true", help="no fine-tuning")
    parser.add_argument("--samples", nargs="*", help="of which catalogues; 'none'")
    parser.add_argument("--simulated", type=int, default=0, help="so many galaxies")
    parser.add_argument(
        "--bins", action="store_true", help="by magnitude, bands and flag"
    )
    parser.add_argument(
        "--depth",
        action="store_true",
        help="simulated galaxies with ten times the errors, too",
    )
    parser.add_argument("--speed", action="store_true", help="rows per second")
    parser.add_argument(
        "--members", type=int, default=1, help="networks of a fine-tuned model"
    )
    parser.add_argument("--steps", type=int, help="of fine-tuning")
    parser.add_argument("--output", type=Path, help="folder to write any_band.csv to")
    options = parser.parse_args()
    photoz = PhotoZ.from_pretrained(options.model)
    rows = []
    for table in _tables(options.samples):
        rows += catalogue_rows(photoz, table, options)
    if options.simulated:
        rows += simulated_rows(photoz, options.simulated, depth=options.depth)
    if rows:
        result = Table(rows=rows, names=COLUMNS)
        for name in COLUMNS[3:]:
            result[name].info.format = ".4f"
        result.meta["title"] = f"{photoz.card.name}: errors are those of a bootstrap"
        report(result, "any_band", options.output)
    if options.speed:
        report(speed(photoz), "any_band_speed", options.output)


def _tables(samples):
    for reader in (*READERS, read_dc2):
        try:
            table = reader()
        except FileNotFoundError:
            print(f"no data for {reader.__name__}", file=sys.stderr)
            continue
        if samples is None or table.meta["name"] in samples:
            yield table


def catalogue_rows(photoz, table, options):
    """Untouched and fine-tuned, on the rows that gave nothing to the simulation."""
    own, tested = own_bands(table), ~np.asarray(table["is_donor"])
    name, z = table.meta["name"], np.asarray(table["z_spec"])
    results = {"untouched": photoz.predict(own, ebv=table["ebv"])}
    if not options.untouched:
        results["fine-tuned"] = tuned_by_fold(photoz, table, options)
    rows = []
    for method, pdf in results.items():
        rows.append(as_row(name, method, pdf[tested], z[tested]))
        if options.bins:
            rows += binned_rows(table, method, pdf, tested)
    return rows


def own_bands(table):
    """Keep the fluxes of the catalogue's bands, as a model of any bands reads them."""
    names = [name for band in table.meta["bands"] for name in flux_columns(band)]
    own = QTable(table[[name for name in names if name in table.colnames]])
    own["coord"] = table["coord"]
    return own


def tuned_by_fold(photoz, table, options):
    """p(z) of each tested row, from models that learnt from the other folds."""
    own, fold = own_bands(table), np.asarray(table["fold"])
    ebv, z = np.asarray(table["ebv"]), np.asarray(table["z_spec"])
    tested = ~np.asarray(table["is_donor"])
    more = {"steps": options.steps} if options.steps else {}
    probability = np.ones((len(table), photoz.card.n_bins))
    flags = np.zeros(len(table), int)
    for k in np.unique(fold[tested]):
        rows, others = tested & (fold == k), fold != k
        start = time.process_time()
        tuned, _ = finetune(
            photoz,
            own[others],
            z[others],
            ebv=ebv[others],
            ensemble=options.members,
            **more,
        )
        seconds = time.process_time() - start
        print(f"{table.meta['name']}: fold in {seconds:.0f} s", file=sys.stderr)
        pdf = tuned.predict(own[rows], ebv=ebv[rows])
        probability[rows], flags[rows] = pdf.probability, pdf.flags
    return RedshiftPDF(photoz.card.bin_edges, probability, flags=flags)


def binned_rows(table, method, pdf, tested):
    """The same by brightness (quarters of the rows), number of bands, and flag."""
    name, z = table.meta["name"], np.asarray(table["z_spec"])
    flux, _ = fluxes(table)
    number = np.isfinite(flux).sum(1)
    (bright,) = magnitudes(table, [table.meta["bright"]]).T
    edges = np.nanpercentile(bright[tested], [0, 25, 50, 75, 100])
    parts = {
        f"{low:.1f} to {high:.1f} mag": (bright >= low) & (bright < high)
        for low, high in pairwise(edges)
    }
    parts |= {f"{k} bands": number == k for k in np.unique(number[tested])}
    flagged = (np.asarray(pdf.flags) & int(Flag.OOD_FEATURE)) != 0
    parts |= {"OOD_FEATURE": flagged, "no OOD_FEATURE": ~flagged}
    for title, chosen in parts.items():
        rows = chosen & tested
        if rows.sum() >= 30:
            yield as_row(name, f"{method}, {title}", pdf[rows], z[rows])


def as_row(sample, method, pdf, z):
    """One row of the result."""
    (found,) = evaluate(pdf, z, point="median", n_bootstrap=N_BOOTSTRAP)
    numbers = [float(found[name]) for name in POINT]
    numbers += [float(found["coverage_68"]), float(found["coverage_68_err"])]
    numbers += [float(found[name]) for name in DENSITY[1:]]
    return (sample, method, int(found["n"]), *numbers)


def simulated_rows(photoz, n, *, depth):
    """Nine bands in apertures, as the nine-band network was trained on."""
    nine = PhotoZ.from_pretrained(NINE)
    record = SimulatedData(population_seed=999, validation_donors="test")
    galaxies = SimulatedGalaxies(
        record,
        nine.card.spec,
        z_edges=nine.card.z_edges,
        sampling="natural",
        n_validation=n,
    )
    batches = list(galaxies.held_out(n, 256))
    z = np.concatenate([batch.z.numpy() for batch in batches])
    rng = torch.Generator().manual_seed(0)
    rows = []
    for factor in (1, 10) if depth else (1,):
        if factor > 1:
            batches = [_noisier(batch, factor, rng) for batch in batches]
        for model in (nine, photoz):
            parts = [predict_batch(model, batch) for batch in batches]
            pdf = RedshiftPDF.concatenate(parts)
            title = f"{model.card.name}, errors x {factor}"
            rows.append(as_row("simulated, nine bands", title, pdf, z))
    return rows


def _noisier(batch, factor, rng):
    """Raise errors, and add the noise that goes with them."""
    flux, error = batch.images.unbind(1)
    extra = error * (factor**2 - 1) ** 0.5
    noise = torch.nan_to_num(extra) * torch.randn(flux.shape, generator=rng)
    return replace(batch, images=torch.stack([flux + noise, error * factor], 1))


def predict_batch(photoz, batch):
    """p(z) of galaxies as the nine-band network's training has them."""
    spec = photoz.card.spec
    if not photoz.card.bands:
        flux, error = batch.images.unbind(1)
        described = spec.describe(PhotoZ.from_pretrained(NINE).card.bands)[None]
        aperture = torch.full((len(batch),), APERTURES.index(PhotometrySpec.aperture))
        images, ebv = (flux, error, described, aperture), batch.ebv[:, :1]
        batch = replace(batch, images=images, ebv=ebv)
    ready, usable = batch.encoded(spec), batch.observed.any(1).numpy()
    flags = np.zeros(len(batch), np.int32)
    return photoz.infer(NetworkInput(ready.images, ready.ebv, flags, usable)).pdf


def speed(photoz, n=20_000):
    """Rows per second of `predict` on nine bands, beside the nine-band network."""
    nine = PhotoZ.from_pretrained(NINE)
    rng = np.random.default_rng(0)
    table = QTable()
    for band in nine.card.bands:
        for name, value in zip(
            flux_columns(band),
            (rng.lognormal(10, 1, n), np.full(n, 100.0)),
            strict=True,
        ):
            table[name] = value * u.nJy
    models = {model.card.name: model for model in (nine, photoz)}
    functions = {
        name: lambda model=model: model.predict(table, ebv=0.03)
        for name, model in models.items()
    }
    seconds = interleaved(functions, repeats=3, clock=time.process_time)
    rows = [(name, n, round(n / value)) for name, value in seconds.items()]
    names = ("model", "rows", "rows per second of a processor")
    return Table(rows=rows, names=names, meta={"title": "predict, nine bands"})


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    main()
