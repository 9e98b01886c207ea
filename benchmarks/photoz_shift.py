"""
Does a shift report warn where redshifts fail? Real tables and the simulated sky.

Each test has redshifts fitted to a reference sample (a random forest, on magnitudes and
colours or on a network's features) and applied to targets that are drawn otherwise. The
table shows what the report says of the targets, and the share of outliers, ``|delta_z|
> 0.15``, among those that ``ood_score`` flags and among the others; beside it the same
for a cut in magnitude that flags as many. ``auc_bad`` is how well either ranks the
outliers: 1 is perfect, 0.5 is chance.

Of the simulated fainter galaxies also what `PhotoZ.refit` recovers with some of them
labelled: ``bad`` is the share of outliers among others of them.

How often a shift is found, also one that is not there, is in `shift_power.py`.

``--model NAME`` takes the features of the simulated images from another model.
"""

import argparse
import sys
import warnings

import numpy as np
import torch
from astropy.table import Table
from harness import run
from real_catalogs import REAL_DATA, magnitudes, read_sdss_griz, read_zcosmos
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import roc_auc_score

from mantis_astro import PhotoZ, RedshiftPDF
from mantis_astro.models import predict_features
from mantis_astro.shift import ShiftReport

MODEL = [None]
BRIGHT, BLUE = 19.0, 1.6  # limits of the references, magnitudes
OUTLIER = 0.15
COLUMNS = {
    "test": "",
    "n_reference": "d",
    "n_target": "d",
    "auc": ".3f",
    "found": ".3f",
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
    train, held_out = reference.split(rng)
    forest = RandomForestRegressor(
        100, min_samples_leaf=2, max_features=0.5, random_state=0
    ).fit(train.features, train.z)
    z_phot = forest.predict(target.features)
    is_bad = np.abs(z_phot - target.z) / (1 + target.z) > OUTLIER
    report = ShiftReport.compare(train.features, target.features, rng=rng)
    null = ShiftReport.compare(train.features, held_out.features, rng=rng)
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


# ---- the simulated sky


def simulated_rows(short):
    """Images of one population, bright ones to learn from, through one network."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it may be a placeholder
        photoz = PhotoZ.from_pretrained(MODEL[0])
    n = 600 if short else 4000
    images, sample, mag, colour = render(n)
    good = np.isfinite(mag)
    features = features_of(photoz, images, sample)
    everything = Sample(features, sample.z, mag)
    smoothed = Sample(features_of(photoz, shifted(images), sample), sample.z, mag)
    rng = np.random.default_rng(0)
    name = f"simulated ({photoz.card.name})"
    bright = good & (mag < 20)
    faint = good & (mag >= 20)
    yield examine(f"{name}: r < 20, fainter", *pick(everything, bright, faint), rng=rng)
    yield from refit_rows(name, photoz, everything[faint])
    blue = good & (colour < np.median(colour[good]))
    red = good & ~blue
    yield examine(f"{name}: blue, red", *pick(everything, blue, red), rng=rng)
    half = rng.random(n) < 0.5
    first, second = good & half, good & ~half
    yield examine(
        f"{name}: resampled by half a pixel",
        everything[first],
        smoothed[second],
        rng=rng,
    )
    yield examine(f"{name}: no shift", *pick(everything, first, second), rng=rng)
    if photoz.card.reference is not None:
        for what, targets in (
            ("other donors of spectra", everything[good]),
            ("those with r > 21.5", everything[good & (mag > 21.5)]),
            ("those resampled by half a pixel", smoothed[good]),
        ):
            yield against_training(f"{name}, its own p(z): {what}", photoz, targets)


def against_training(test, photoz, targets):
    """One row: the model's own redshifts, against what it keeps of its training set."""
    z_phot = medians(photoz, targets.features)
    is_bad = np.abs(z_phot - targets.z) / (1 + targets.z) > OUTLIER
    report = ShiftReport.compare(photoz.card.reference, targets.features, rng=0)
    return row(test, report, targets, is_bad)


def refit_rows(name, photoz, targets):
    """Outliers among targets, the last layer refitted to others of them."""
    edges = photoz.card.bin_edges
    inside = targets[(targets.z >= edges[0]) & (targets.z < edges[-1])]
    labelled, test = inside.split(np.random.default_rng(1), share=0.6)
    for n in (0, 100, 500, 2000):
        if n > len(labelled):
            break
        model, accepted = photoz, ""
        if n:
            rows = slice(0, n)
            model, report = photoz.refit(labelled.features[rows], labelled.z[rows])
            accepted = ", kept" if report.accepted else ", not kept"
        z_phot = medians(model, test.features)
        is_bad = np.abs(z_phot - test.z) / (1 + test.z) > OUTLIER
        yield {
            "test": f"{name}: fainter, {n} labels{accepted}",
            "n_reference": n,
            "n_target": len(test),
            "bad": is_bad.mean(),
        }


@torch.inference_mode()
def medians(photoz, features):
    """Medians of p(z), of features alone."""
    logits = photoz.network.fc1(torch.from_numpy(features).float())
    probability = torch.softmax(logits, -1).numpy()
    return RedshiftPDF(photoz.card.bin_edges, probability).median().value


def pick(sample, *choices):
    return [sample[choice] for choice in choices]


def render(n, size=256):
    """Images in nJy on the grid of the embedded models, r magnitude and g - r."""
    from mantis_astro.simulation.galaxies import GalaxyPopulation
    from mantis_astro.simulation.observe_grid import observe_grid
    from mantis_astro.simulation.scenes import draw_scenes

    population = GalaxyPopulation(7, donors="test")
    sample = population.draw(n)
    images = []
    for start in range(0, n, size):
        part = sample[start : start + size]
        sources = draw_scenes(population, part)
        images.append(observe_grid(sources, len(part), keys=part.key)[0])
    bands = [str(band) for band in population.bands]
    g, r = (sample.flux[:, bands.index(f"ps1.{band}")] for band in "gr")
    mag = 31.4 - 2.5 * np.log10(r)
    return torch.cat(images), sample, mag, 2.5 * np.log10(r / g)


def features_of(photoz, images, sample, maps=("csfd", "planck")):
    softening = torch.tensor([s.softening for s in photoz.card.spec.stretch])
    stretched = torch.asinh(images / softening[:, None, None].float())
    ebv = sample.ebv_maps[:, [maps.index(name) for name in photoz.card.ebv_maps]]
    return predict_features(photoz.network, stretched, torch.from_numpy(ebv).float())


def shifted(images):
    """What a service that interpolates makes of them: half a pixel to the right."""
    moved = (images + images.roll(1, -1)) / 2
    return torch.where(images == 0, images, moved)


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
