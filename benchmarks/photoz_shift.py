"""
Does a shift report warn where redshifts fail? Real tables and the simulated sky.

On real tables, redshifts are fitted to a reference sample (a random forest, on
magnitudes and colours) and applied to targets that are drawn otherwise. On the
simulated sky, networks are trained on the bright galaxies, or the blue ones, and read
the others; and the network of the package reads images as other services would send
them. The table shows what the report says of the targets, and the share of outliers,
``|delta_z| > 0.15``, among those that ``ood_score`` flags and among the others; beside
it the same for a cut in magnitude that flags as many. ``auc_bad`` is how well either
ranks the outliers: 1 is perfect, 0.5 is chance.

Of the simulated targets also what `PhotoZ.refit` recovers with some of them labelled:
outliers and sigma_nmad of others of them.

The score was chosen, among some forty, on Stripe 82 and zCOSMOS as they are cut here,
on the networks of bright and of blue galaxies, and with forests on features of
simulated populations 7, 8 and 9 in a network that knows all. SDSS from bright to faint
and the networks of the package were looked at afterwards.

How often a shift is found, also one that is not there, is in `shift_power.py`.

``--model NAME`` takes another network that knows all galaxies.
"""

import argparse
import sys
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from astropy.table import Table
from harness import run
from real_catalogs import (
    REAL_DATA,
    magnitudes,
    read_sdss_griz,
    read_stripe82,
    read_zcosmos,
)
from real_mapping import with_colour_terms
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import roc_auc_score
from torch.nn import functional

from mantis_astro import PhotoZ, RedshiftPDF, binned
from mantis_astro.metrics import sigma_nmad
from mantis_astro.models import predict_features
from mantis_astro.models.inputs import PUBLISHED_BANDS
from mantis_astro.shift import ShiftReport
from mantis_astro.simulation import GalaxyPopulation
from mantis_astro.simulation.population.scenes import draw_scenes
from mantis_astro.simulation.rendering.observation import observe_grid
from mantis_astro.training import ArrayData, RenderedData, TrainingConfig, train
from mantis_astro.training.data.grid_photometry import GridPhotometry

MODEL = [None]
BRIGHT, BLUE = 19.0, 1.6  # limits of the references, magnitudes
SDSS_BRIGHT, SIMULATED_BRIGHT, SIMULATED_BLUE = 16.3, 20.0, 1.0
OUTLIER = 0.15
COLUMNS = {
    "test": "",
    "n_reference": "d",
    "n_target": "d",
    "auc": ".3f",
    "found": ".3f",
    "sigma_nmad": ".4f",
    "bad": ".3f",
    "flagged": ".3f",
    "bad_flagged": ".3f",
    "bad_rest": ".3f",
    "cut_bad_flagged": ".3f",
    "cut_bad_rest": ".3f",
    "auc_bad": ".3f",
    "cut_auc_bad": ".3f",
}


class Sample:
    """
    Objects to compare.

    Parameters
    ----------
    features : array_like
        What redshifts and report are made from, shape (n, d).
    z : array_like
        Spectroscopic redshift.
    mag : array_like
        Magnitude for the cut that the scores are held against.
    """

    def __init__(self, features, z, mag):
        self.features, self.z, self.mag = map(np.asarray, (features, z, mag))

    def __getitem__(self, rows):
        return Sample(self.features[rows], self.z[rows], self.mag[rows])

    def __len__(self):
        return len(self.z)

    def split(self, rng, share=0.7):
        order = rng.permutation(len(self))
        n = int(share * len(self))
        return self[order[:n]], self[order[n:]]


def examine(test, reference, target, *, rng):
    """One row: report, outliers flagged and not, and those of a cut in magnitude."""
    print(test, "...", flush=True)
    known, held_out = reference.split(rng)
    forest = RandomForestRegressor(
        100, min_samples_leaf=2, max_features=0.5, random_state=0
    ).fit(known.features, known.z)
    z_phot = forest.predict(target.features)
    is_bad = np.abs(z_phot - target.z) / (1 + target.z) > OUTLIER
    options = {"rng": rng, "z_spec": known.z}
    report = ShiftReport.compare(known.features, target.features, **options)
    null = ShiftReport.compare(known.features, held_out.features, **options)
    print(f"  held-out reference: {null.severity}, {null.share_ood:.1%} beyond 1")
    return row(test, report, target, is_bad)


def row(test, report, target, is_bad):
    print(f"{test}: {report.verdict}")
    score = report.ood_score
    flagged = score > 1
    # as many of the faintest; of equal ones the first
    faintest = np.argsort(-target.mag, kind="stable")[: flagged.sum()]
    is_cut = np.isin(np.arange(len(target)), faintest)
    return {
        "test": test,
        "n_reference": report.n_reference,
        "n_target": len(target),
        "auc": report.domain.statistic,
        "found": float(report.is_shifted),
        "bad": is_bad.mean(),
        "flagged": flagged.mean(),
        "bad_flagged": mean(is_bad[flagged]),
        "bad_rest": mean(is_bad[~flagged]),
        "cut_bad_flagged": mean(is_bad[is_cut]),
        "cut_bad_rest": mean(is_bad[~is_cut]),
        "auc_bad": rank(is_bad, score),
        "cut_auc_bad": rank(is_bad, target.mag),
    }


def mean(values):
    return values.mean() if len(values) else np.nan


def rank(is_bad, score):
    return roc_auc_score(is_bad, score) if 0 < is_bad.sum() < len(is_bad) else np.nan


# ---- real tables


def brightness_and_colours(mag, bright):
    """One magnitude and neighbouring colours: more of the first would outvote them."""
    return np.column_stack([mag[:, bright], -np.diff(mag, axis=1)])


def stripe82():
    """DES griz and AllWISE: galaxies below z = 1.2, and quasars, where all is there."""
    path = REAL_DATA / "catalogs/stripe82_des_allwise.csv"
    data = Table.read(path, format="ascii.csv")
    names = ["des_g", "des_r", "des_i", "des_z", "w1_vega", "w2_vega"]
    mag = np.stack([np.asarray(data[name], float) for name in names], 1)
    z = np.asarray(data["z_spec"], float)
    is_galaxy = np.asarray(data["spec_class"] == "GALAXY")
    good = ((mag > 0) & (mag < 30)).all(1) & (z > 0.002) & ((z < 1.2) | ~is_galaxy)
    sample = Sample(brightness_and_colours(mag, 2), z, mag[:, 2])
    return sample[good & is_galaxy], sample[good & ~is_galaxy]


def complete(table, bands, bright):
    """Objects of a catalogue of the survey that have all of some bands."""
    mag = magnitudes(table, bands)
    good = np.isfinite(mag).all(1)
    z = np.asarray(table["z_spec"], float)
    features = brightness_and_colours(mag, bright)
    return Sample(features, z, mag[:, bright])[good & np.isfinite(z)]


def real_rows(short):
    rng = np.random.default_rng(0)
    galaxies, quasars = stripe82()
    yield examine("Stripe 82: galaxies, quasars", galaxies, quasars, rng=rng)
    bright = galaxies.mag < BRIGHT
    yield examine(
        "Stripe 82: bright, faint", galaxies[bright], galaxies[~bright], rng=rng
    )
    zcosmos = read_zcosmos()
    nine = [f"cosmos.{b}" for b in "uBVgrizJK"]
    cosmos = complete(zcosmos, nine, 5)
    bright = cosmos.mag < 21.3
    yield examine("zCOSMOS: bright, faint", cosmos[bright], cosmos[~bright], rng=rng)
    blue = cosmos.features[:, 2:5].sum(1) < BLUE  # B - r
    yield examine("zCOSMOS: blue, red", cosmos[blue], cosmos[~blue], rng=rng)
    sdss = complete(read_sdss_griz(), [f"sdss.{b}" for b in "griz"], 2)
    griz = complete(zcosmos, [f"cosmos.{b}" for b in "griz"], 2)
    if short:
        sdss = sdss[:1500]
    yield examine("griz: SDSS, zCOSMOS", sdss, griz, rng=rng)
    bright = sdss.mag < SDSS_BRIGHT
    yield examine("SDSS: bright, faint", sdss[bright], sdss[~bright], rng=rng)
    for catalogue in (read_stripe82(), read_zcosmos(), read_sdss_griz()):
        yield through_package(catalogue[:1500] if short else catalogue)


def through_package(catalogue):
    """One row: real fluxes through the network of the package, with colour terms."""
    fluxes = with_colour_terms(catalogue)
    photoz = PhotoZ.from_pretrained("simulated-photometric")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the sample is unlike the training set
        found = photoz.add_redshifts(fluxes, columns=["z_median"])
    z_spec = np.asarray(catalogue["z_spec"], float)
    z_phot = np.ma.filled(np.ma.asarray(found["z_median"]), np.nan)
    r = np.asarray(fluxes["flux_ps1_r"], float)
    rows = np.isfinite(z_phot) & np.isfinite(z_spec) & (r > 0)
    features = photoz.features(fluxes[rows])
    sample = Sample(features, z_spec[rows], -2.5 * np.log10(r[rows]))
    delta_z = (z_phot[rows] - sample.z) / (1 + sample.z)
    report = ShiftReport.compare(photoz.card.reference, features, rng=0)
    test = f"{photoz.card.name}: {catalogue.meta['name']}"
    return row(test, report, sample, np.abs(delta_z) > OUTLIER) | {
        "sigma_nmad": sigma_nmad(z_phot[rows], sample.z)
    }


# ---- the simulated sky


def simulated_rows(short):
    """Images through networks that were trained on some galaxies, or on all."""
    n = 2048 if short else 8192
    sky = SimulatedTargets(n)
    everything = np.isfinite(sky.mag) & np.isfinite(sky.colour)
    bright, blue = sky.mag < SIMULATED_BRIGHT, sky.colour < SIMULATED_BLUE
    with TemporaryDirectory() as folder:
        data, mag, colour = training_galaxies(Path(folder), 16_384 if short else 98_304)
        steps = 150 if short else 2500
        is_bright, is_blue = mag < SIMULATED_BRIGHT, colour < SIMULATED_BLUE
        of_bright = train_on(data, is_bright, "bright", Path(folder), steps)
        of_blue = train_on(data, is_blue, "blue", Path(folder), steps)
    name = f"trained on simulated r < {SIMULATED_BRIGHT:g}"
    yield against_training(f"{name}: as bright", of_bright, sky, bright & everything)
    faint = everything & ~bright
    yield against_training(f"{name}: fainter", of_bright, sky, faint)
    yield from refit_rows(f"{name}: fainter", of_bright, sky, faint)
    name = f"trained on simulated g - r < {SIMULATED_BLUE:g}"
    yield against_training(f"{name}: as blue", of_blue, sky, blue & everything)
    red = everything & ~blue
    yield against_training(f"{name}: redder", of_blue, sky, red)
    yield from refit_rows(f"{name}: redder", of_blue, sky, red)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it may be a placeholder
        photoz = PhotoZ.from_pretrained(MODEL[0])
    name = photoz.card.name
    yield against_training(f"{name}: other donors of spectra", photoz, sky, everything)
    faintest = everything & (sky.mag > 21.5)
    yield against_training(f"{name}: those with r > 21.5", photoz, sky, faintest)
    for what, change in (
        ("images moved by half a pixel", moved),
        ("images with pixels 10 % larger", coarser),
    ):
        other = sky.through(change)
        test = f"{name}: {what}"
        yield against_training(test, photoz, other, everything)
        yield from refit_rows(test, photoz, other, everything)


class SimulatedTargets:
    """
    Images in nJy on the grid of the embedded models, of donors not trained on.

    Parameters
    ----------
    n : int
        How many.
    images : `torch.Tensor`, optional
        Other images of the same galaxies.
    """

    def __init__(self, n, images=None):
        population = GalaxyPopulation(7, donors="test")
        self.sample = population.draw(n)
        self.z = self.sample.z
        self.images = images
        if images is None:
            parts = []
            for start in range(0, n, 256):
                part = self.sample[start : start + 256]
                sources = draw_scenes(population, part)
                parts.append(observe_grid(sources, len(part), keys=part.key)[0])
            self.images = torch.cat(parts)
        apertures = GridPhotometry(PUBLISHED_BANDS, self.images.shape[2:], 1.0, 3.0)
        self.mag, self.colour = brightness(apertures.measure(self.images.numpy()))

    def through(self, change):
        """The same galaxies, their images changed; they stay as bright as they were."""
        other = SimulatedTargets(len(self.z), change(self.images))
        other.mag, other.colour = self.mag, self.colour
        return other

    def features(self, photoz, rows):
        """What the last layer of a model reads."""
        maps = [("csfd", "planck").index(name) for name in photoz.card.ebv_maps]
        observed = torch.ones(len(rows), self.images.shape[1], dtype=bool)
        stretched = photoz.card.spec.encode((self.images[rows],), observed)
        ebv = torch.from_numpy(self.sample.ebv_maps[rows][:, maps]).float()
        return predict_features(photoz.network, stretched, ebv)


def brightness(photometry):
    """Magnitude in r and g - r, of fluxes in nJy; NaN where there is no light."""
    g, r = (photometry[:, 0, PUBLISHED_BANDS.index(f"ps1.{band}")] for band in "gr")
    with np.errstate(invalid="ignore", divide="ignore"):
        mag = 31.4 - 2.5 * np.log10(r)
        return mag, 2.5 * np.log10(r / g)


def training_galaxies(folder, n):
    """Galaxies to train on, their r magnitude and g - r."""
    source = RenderedData(n=n, cache=str(folder / "rendered"))
    early, fluxes = (
        source.open(TrainingConfig.read(recipe)) for recipe in ("early", "photometric")
    )
    return early, *brightness(np.asarray(fluxes.images))


def train_on(data, chosen, name, folder, steps):
    """Train the early network on chosen galaxies, for as many steps."""
    config = TrainingConfig.read("early").with_options(
        name=f"simulated-{name}", n_steps=steps, minutes=None, n_workers=0
    )
    parts = np.full(len(data.z), "others", dtype="U10")
    for part, rows in data.rows.items():
        parts[rows[chosen[rows]]] = part
    some = ArrayData(
        data.images,
        data.observed,
        data.ebv,
        data.z,
        z_edges=config.z_edges,
        parts=parts,
    )
    result = train(config, folder / name, data=some, progress=False, device="cpu")
    print(f"  {name}: {len(some)} galaxies; {result.photoz.card.performance}")
    return result.photoz


def against_training(test, photoz, sky, rows):
    """One row: the model's own redshifts, against what it keeps of its training set."""
    features = sky.features(photoz, rows)
    sample = Sample(features, sky.z[rows], sky.mag[rows])
    is_bad, nmad = judge(photoz, features, sample.z)
    report = ShiftReport.compare(photoz.card.reference, features, rng=0)
    return row(test, report, sample, is_bad) | {"sigma_nmad": nmad}


def refit_rows(test, photoz, sky, rows):
    """Outliers among targets, the last layer refitted to others of them."""
    edges = photoz.card.bin_edges
    rows = np.flatnonzero(rows & (sky.z >= edges[0]) & (sky.z < edges[-1]))
    features, z = sky.features(photoz, rows), sky.z[rows]
    order = np.random.default_rng(1).permutation(len(rows))
    n_test = max(len(rows) - 2000, len(rows) // 3)
    held_out, labelled = order[:n_test], order[n_test:]
    for n in (0, 100, 500, 2000):
        if n > len(labelled):
            break
        model, what = photoz, "as it is"
        if n:
            chosen = labelled[:n]
            model, report = photoz.refit(features[chosen], z[chosen])
            what = f"refit to {n}, {'kept' if report.accepted else 'not kept'}"
        is_bad, nmad = judge(model, features[held_out], z[held_out])
        yield {
            "test": f"{test}, {what}",
            "n_reference": n,
            "n_target": n_test,
            "bad": is_bad.mean(),
            "sigma_nmad": nmad,
        }


def judge(photoz, features, z):
    """Which medians of p(z) are outliers, and sigma_nmad."""
    layer = photoz.network.fc1
    with torch.inference_mode():
        logits = layer(torch.from_numpy(features).float()).double().numpy()
    probability, _ = binned.softmax(photoz.card.bin_edges, logits)
    pdf = RedshiftPDF(photoz.card.bin_edges, probability)
    if photoz.recalibrator is not None:
        pdf = photoz.recalibrator.transform(pdf)
    z_phot = pdf.median().value
    is_bad = np.abs(z_phot - z) / (1 + z) > OUTLIER
    return is_bad, sigma_nmad(z_phot, z)


def moved(images):
    """What a service that interpolates makes of them: half a pixel to the right."""
    mean = (images + images.roll(1, -1)) / 2
    return torch.where(images == 0, images, mean)


def coarser(images, factor=1.1):
    """What a service with larger pixels makes of them, read as if it had the same."""
    like = torch.eye(2, 3)[None] * factor
    grid = functional.affine_grid(
        like.expand(len(images), 2, 3), images.shape, align_corners=False
    )
    return factor**2 * functional.grid_sample(images, grid, align_corners=False)


def benchmark(short):
    """All tests, a row each."""
    torch.set_num_threads(1)
    rows = []
    if REAL_DATA.is_dir():
        rows += real_rows(short)
    else:
        print(f"no real data at {REAL_DATA}")
    rows += simulated_rows(short)
    table = Table()
    for name, form in COLUMNS.items():
        values = [row.get(name, np.nan) for row in rows]
        table[name] = values if form in ("", "d") else np.ma.masked_invalid(values)
        table[name].info.format = form or None
    table.meta["title"] = (
        f"Shift reports on redshifts; outliers beyond {OUTLIER}; 'found' is the share "
        "of reports that find a shift at 1 %"
    )
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--model", default=None)
    own, sys.argv[1:] = parser.parse_known_args()
    MODEL[0] = own.model
    run(benchmark, "photoz_shift")
