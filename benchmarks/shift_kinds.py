"""
Does a shift report name what changed? Made shifts whose kind and size are known.

Magnitudes and colours of made galaxies, 300 of either side; in each draw the targets
are changed in one way. The table shows in how many draws a shift is found at 1 %, in
how many of those the first change named is the one that was made, how large a share of
the targets it says to be concerned (median over draws) beside the truth, and how often
the grade is *slight*. Targets without a change are drawn more often: how often a shift
is found then is the rate of false alarms, also of 60 and 25 objects.
"""

import numpy as np
from astropy.table import Table
from harness import run
from scipy.special import ndtr

from mantis_astro.shift import ShiftReport

N, N_DRAW, N_NULL = 300, 20, 40
NAMES = ["mag_r", "g-r", "r-i", "i-z", "mag_err_r"]


def galaxies(n, rng):
    """A magnitude, three colours that go with it, and an error that grows with it."""
    faint = rng.normal(size=n)
    colours = 0.3 * faint[:, None] + rng.normal(0, [0.3, 0.2, 0.1], (n, 3))
    error = np.exp(-3 + 0.5 * faint + rng.normal(0, 0.2, n))
    return np.column_stack([21 + faint, colours, error])


def fainter(y, _):
    y[:, 0] += 0.7
    return y


def noisier(y, rng):
    y[:, 1:4] += rng.normal(0, 3**0.5 * y[:, 1:4].std(0), (len(y), 3))
    return y


def tighter(y, _):
    return y.mean(0) + 0.5 * (y - y.mean(0))


def wild(y, rng):
    rows = rng.random(len(y)) < 0.08
    sign = rng.choice([-1, 1], (rows.sum(), 3))
    y[rows, 1:4] += sign * rng.uniform(1.5, 6, (rows.sum(), 3))
    return y


def wild_in_one(y, rng):
    rows = rng.random(len(y)) < 0.08
    y[rows, 2] += rng.choice([-1, 1], rows.sum()) * rng.uniform(2, 6, rows.sum())
    return y


def clump(y, rng):
    rows = rng.random(len(y)) < 0.12
    place = np.array([20.3, 0.9, -0.7, 0.5, 0.05])
    y[rows] = rng.normal(place, [0.2, 0.08, 0.08, 0.05, 0.005], (rows.sum(), 5))
    return y


def lacking(y, rng):
    y[rng.random(len(y)) < 0.2, 3] = np.nan
    return y


# what was made, how it should be named, and the share of the targets concerned: beyond
# the 84 % of the reference, or outside of its central 68 %
KINDS = {
    "0.7 mag fainter": (fainter, "mean", 1 - ndtr(1 - 0.7)),
    "colours scatter twice as much": (noisier, "scatter", 2 * ndtr(-0.5)),
    "half the scatter": (tighter, "scatter", 2 * ndtr(-2)),
    "8 % wild outliers in colours": (wild, "outliers", 0.08),
    "8 % wild outliers in one colour": (wild_in_one, "outliers", 0.08),
    "12 % in a clump": (clump, "clump", 0.12),
    "a band missing in 20 %": (lacking, "missing", 0.2),
}


def reports(change, n, n_draw):
    for seed in range(n_draw):
        rng = np.random.default_rng([n, seed])
        x, y = galaxies(n, rng), change(galaxies(n, rng), rng)
        x, y = (Table(side, names=NAMES) for side in (x, y))
        yield ShiftReport.compare(x, y, rng=seed, n_permutation=199)


def row(what, kind, truth, n, made):
    made = list(made)
    found = [report for report in made if report.is_shifted]
    named = [r for r in found if r.changes and r.changes[0].kind == kind]
    shares = [report.changes[0].share for report in named]
    return {
        "made": what,
        "n": n,
        "draws": len(made),
        "found": len(found),
        "named": len(named),
        "share": truth,
        "share_named": float(np.median(shares)) if shares else np.nan,
        "slight": sum(report.severity == "slight" for report in found),
        "auc": float(np.mean([report.domain.statistic for report in made])),
    }


def benchmark(short):
    """Each change, and none."""
    n_draw, n_null = (3, 5) if short else (N_DRAW, N_NULL)
    rows = []
    for what, (change, kind, truth) in KINDS.items():
        rows.append(row(what, kind, truth, N, reports(change, N, n_draw)))
        print(rows[-1], flush=True)
    for n in (N, 60, 25):
        rows.append(row("nothing", "", np.nan, n, reports(lambda y, _: y, n, n_null)))
        print(rows[-1], flush=True)
    table = Table(rows)
    for name in ("share", "share_named", "auc"):
        table[name] = np.ma.masked_invalid(table[name])
        table[name].info.format = ".3f"
    table.meta["title"] = "Made shifts, and how a report names them"
    return table


if __name__ == "__main__":
    run(benchmark, "shift_kinds")
