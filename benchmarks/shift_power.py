"""
How often is a shift found? `ShiftReport` at 1 %, without a shift and with many kinds.

Reference and targets are drawn at random from one sample, without overlap; then the
targets are changed, or drawn with a tilt towards faint or red ones, ``exp(a m)``. Each
row is the share of draws in which a test finds that at 1 %: ``found`` is the verdict,
all tests of the report combined; then each by itself; ``three_bonferroni`` is the
smallest of the first three p-values times three, the verdict before the tests were
combined by permutation. ``error`` is the binomial standard error of ``found``.

Two peers: ``ks``, Kolmogorov-Smirnov tests of all features with Bonferroni's
correction, and ``told_where``, a Welch test that is told where to look, at the
magnitude or colour that was changed: no test that must search can reach it.
``mag_shift`` is the measured mean difference in magnitudes.

Samples: galaxies of Stripe 82 and of zCOSMOS, a magnitude and colours, and what a
network makes of simulated images. Tests and their combination were chosen on other
random seeds, 77 and 78, than these. ``--draws 20`` takes so many, in place of 100; half
as many of 1,000 objects, and twice as many, 100 or more, without a shift.
"""

import argparse
import sys
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from astropy.table import Table
from harness import run
from photoz_shift import SimulatedTargets, brightness, complete, moved, stripe82
from real_catalogs import REAL_DATA, read_zcosmos
from scipy.stats import ks_2samp, ttest_ind

from mantis_astro import PhotoZ
from mantis_astro.shift import ShiftReport

SEED = 2026
LEVEL = 0.01
OPTIONS = argparse.Namespace(draws=100)
_FIRST = ("test", "n", "draws", "mag_shift", "found", "error")  # columns


@dataclass
class Pair:
    """A reference and targets, and what a peer is told of them."""

    reference: np.ndarray
    target: np.ndarray
    mag: tuple
    rows: np.ndarray  # of the sample, that targets are drawn from
    told: tuple = None  # the one quantity that was changed, of either

    @classmethod
    def draw(cls, sample, n, rng, *, tilt=None, along=None):
        """Draw both from a sample, targets with chance ``exp(tilt along)``."""
        chance = None
        if tilt:
            steps = (along - along.mean()) / along.var()  # shifts the mean by tilt
            chance = np.exp(tilt * steps)
            chance /= chance.sum()
        rows = rng.choice(len(sample), n, replace=False, p=chance)
        others = np.setdiff1d(np.arange(len(sample)), rows)
        rest = rng.choice(others, n, replace=False)
        return cls(
            sample.features[rest].astype(float),
            sample.features[rows].astype(float),
            (sample.mag[rest], sample.mag[rows]),
            rows,
            (along[rest], along[rows]) if tilt else None,
        )


def examine(name, make, *, n, n_draw):
    """One row: shares of draws in which each test finds something."""
    hits, shifts = [], []
    for seed in range(n_draw):
        rng = np.random.default_rng([SEED, seed])
        pair = make(n, rng)
        report = ShiftReport.compare(pair.reference, pair.target, rng=rng, level=LEVEL)
        p = {"found": report.p_value}
        p |= {name: test.p_value for name, test in report.tests.items()}
        first = report.domain, report.mmd, report.energy_distance
        p["three_bonferroni"] = 3 * min(test.p_value for test in first)
        # of a column with missing values: of those that are there
        columns = zip(pair.reference.T, pair.target.T, strict=True)
        several = [ks_2samp(*map(there, c), method="asymp").pvalue for c in columns]
        p["ks"] = len(several) * min(several)
        p["told_where"] = np.nan
        if pair.told is not None:
            p["told_where"] = ttest_ind(*pair.told, equal_var=False).pvalue
        hits.append([np.nan if np.isnan(v) else v <= LEVEL for v in p.values()])
        shifts.append(pair.mag[1].mean() - pair.mag[0].mean())
    shares = dict(zip(p, np.mean(hits, 0), strict=True))
    row = {
        "test": name,
        "n": n,
        "draws": n_draw,
        "mag_shift": np.mean(shifts),
        **shares,
    }
    row["error"] = np.sqrt(row["found"] * (1 - row["found"]) / n_draw)
    print(f"{name}, n = {n}: " + ", ".join(f"{k} {v:g}" for k, v in shares.items()))
    return row


def there(column):
    return column[np.isfinite(column)]


# ---- shifts of tables: a magnitude, then colours


def of_table(sample, r):
    """Kinds of shift, by name; ``r`` is the column of the first colour that has r."""
    scatter = sample.features.std(0)

    def changed(change):
        def make(n, rng):
            pair = Pair.draw(sample, n, rng)
            change(pair, rng)
            return pair

        return make

    def zero_point(size):
        def change(pair, _rng):
            pair.target[:, r] -= size
            pair.target[:, r + 1] += size
            pair.told = pair.reference[:, r], pair.target[:, r]

        return changed(change)

    def one_colour(pair, _rng):
        pair.target[:, r] += 0.15 * scatter[r]
        pair.told = pair.reference[:, r], pair.target[:, r]

    def spread(pair, _rng):
        mag = pair.target[:, 0]
        pair.target[:, 0] = mag + 0.25 * (mag - sample.mag.mean())

    def noise(pair, rng):
        size = 0.15 * scatter[1:]
        pair.target[:, 1:] += size * rng.normal(size=(len(pair.target), len(size)))

    def missing(pair, rng):
        for values, share in ((pair.reference, 0.02), (pair.target, 0.08)):
            values[rng.random(len(values)) < share, -1] = np.nan

    def clump(pair, rng):
        k = len(pair.target) // 20
        offset = np.zeros(len(scatter))
        offset[1:4] = 1.5, -1.5, 1.5
        made = offset + 0.3 * rng.normal(size=(k, len(scatter)))
        pair.target[:k] = sample.features.mean(0) + scatter * made

    def shuffled(pair, rng):
        k = 3 * len(pair.target) // 10
        pair.target[:k, r + 1] = rng.permutation(pair.target[:k, r + 1])

    return {
        "r zero point, 0.02 mag": zero_point(0.02),
        "r zero point, 0.05 mag": zero_point(0.05),
        "a colour redder by 0.15 of its scatter": changed(one_colour),
        "magnitudes scatter 25 % more": changed(spread),
        "colours noisier by 0.15 of their scatter": changed(noise),
        "last colour missing in 8 %, not 2": changed(missing),
        "5 % in a clump of odd colours": changed(clump),
        "a colour shuffled among 30 %": changed(shuffled),
    }


def tilted(sample, tilt, along=None):
    along = sample.mag if along is None else along
    return lambda n, rng: Pair.draw(sample, n, rng, tilt=tilt, along=along)


def with_others(sample, others, share):
    """Some targets replaced by objects of another sample."""

    def make(n, rng):
        pair = Pair.draw(sample, n, rng)
        k = int(share * n)
        pair.target[:k] = others.features[rng.choice(len(others), k, replace=False)]
        return pair

    return make


def draws(short):
    """Of 1,000 objects, of 250, and of 250 without a shift."""
    if short:
        return 5, 10, 20
    return OPTIONS.draws // 2, OPTIONS.draws, max(100, 2 * OPTIONS.draws)


def real_rows(short):
    galaxies, quasars = stripe82()
    cosmos = complete(read_zcosmos(), [f"cosmos.{b}" for b in "uBVgrizJK"], 5)
    few, many, null = draws(short)
    # colours: g - r, r - i of Stripe 82; V - g, g - r, r - i of zCOSMOS
    for name, sample, r in (("Stripe 82", galaxies, 1), ("zCOSMOS", cosmos, 4)):
        yield examine(f"{name}: no shift", tilted(sample, 0), n=250, n_draw=null)
        for tilt in (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6):
            what = f"{name}: {tilt:g} mag fainter"
            yield examine(what, tilted(sample, tilt), n=250, n_draw=many)
        kinds = of_table(sample, r)
        for kind, make in kinds.items():
            yield examine(f"{name}: {kind}", make, n=250, n_draw=many)
    mixed = with_others(galaxies, quasars, 0.05)
    yield examine("Stripe 82: 5 % are quasars", mixed, n=250, n_draw=many)
    for tilt in (0.05, 0.1, 0.15, 0.2):
        what = f"zCOSMOS: {tilt:g} mag fainter"
        yield examine(what, tilted(cosmos, tilt), n=1000, n_draw=few)
    for kind in ("r zero point, 0.02 mag", "last colour missing in 8 %, not 2"):
        yield examine(f"zCOSMOS: {kind}", kinds[kind], n=1000, n_draw=few)


# ---- shifts of images, seen by a network


@dataclass
class Sky:
    """Features of simulated galaxies, magnitudes and colours."""

    features: np.ndarray
    mag: np.ndarray
    colour: np.ndarray

    def __len__(self):
        return len(self.mag)


def with_changed(sky, changed, share):
    """Some targets as the network sees them after a change of the image."""

    def make(n, rng):
        pair = Pair.draw(sky, n, rng)
        k = int(share * n)
        pair.target[:k] = changed[pair.rows[:k]]
        return pair

    return make


def simulated_rows(short):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it may be a placeholder
        photoz = PhotoZ.from_pretrained()
    targets = SimulatedTargets(600 if short else 4000)
    mag, colour = brightness(targets.sample.flux[:, None])  # as drawn, not measured
    good = np.isfinite(mag) & np.isfinite(colour)
    r = [str(band) for band in photoz.card.bands].index("ps1.r")

    def seen(change=None):
        those = targets if change is None else targets.through(change)
        return np.asarray(those.features(photoz, good))

    def without_r(images):
        images = images.clone()
        images[:, r] = 0
        return images

    def brighter_r(images):
        images = images.clone()
        images[:, r] *= 1.03
        return images

    low, high = np.percentile(colour[good], [1, 99])
    sky = Sky(seen(), mag[good], np.clip(colour[good], low, high))
    few, many, null = draws(short)
    name = f"simulated ({photoz.card.name})"
    yield examine(f"{name}: no shift", tilted(sky, 0), n=250, n_draw=null)
    sizes = {250: many} if short else {250: many, 1000: few}
    for n, n_draw in sizes.items():
        for tilt in (0.2, 0.4, 0.6) if n == 250 else (0.2, 0.4):
            what = f"{name}: {tilt:g} mag fainter"
            yield examine(what, tilted(sky, tilt), n=n, n_draw=n_draw)
    red = 0.3 * sky.colour.std()
    redder = tilted(sky, red, sky.colour)
    yield examine(f"{name}: g - r redder by {red:.2f}", redder, n=250, n_draw=many)
    for what, change, share in (
        ("r brighter by 3 %", brighter_r, 1),
        ("r missing in 30 %", without_r, 0.3),
        ("resampled by half a pixel", moved, 1),
    ):
        make = with_changed(sky, seen(change), share)
        yield examine(f"{name}: {what}", make, n=250, n_draw=many)


def benchmark(short):
    """All rows: no shift, graded shifts, kinds of shift."""
    torch.set_num_threads(1)
    rows = []
    if REAL_DATA.is_dir():
        rows += real_rows(short)
    else:
        print(f"no real data at {REAL_DATA}")
    rows += simulated_rows(short)
    table = Table()
    tests = [key for key in rows[0] if key not in _FIRST]
    for key in (*_FIRST, *tests):
        values = [row[key] for row in rows]
        is_share = key not in ("test", "n", "draws")
        table[key] = np.ma.masked_invalid(values) if is_share else values
        if is_share:
            table[key].info.format = ".3f" if key in ("found", "error") else ".2f"
    table.meta["title"] = (
        f"Shares of draws in which a shift is found at {100 * LEVEL:g} %: by the "
        "report, by each of its tests, and by peers"
    )
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--draws", type=int, default=OPTIONS.draws)
    OPTIONS, rest = parser.parse_known_args()
    sys.argv[1:] = rest
    run(benchmark, "shift_power")
