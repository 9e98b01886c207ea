"""
Shift tests of frouros on the samples that `shift_kinds.py` makes: power and time.

frouros has two-sample tests of single features and, of all together, the maximum mean
discrepancy with permutations, whose kernel here has the median distance for bandwidth.
The tests of single features are combined by Bonferroni. Columns are standardised by the
reference; rows with missing values are left out, as frouros takes none. Each row is the
share of draws in which a shift is found at 1 %, and the mean time of one comparison.

Needs frouros, in an environment of its own if it would bring another numpy:
``pip install frouros``.
"""

import importlib.util
import sys
import time
from functools import partial

import numpy as np
from astropy.table import Table
from harness import run
from scipy.spatial.distance import pdist
from shift_kinds import KINDS, galaxies

from mantis_astro.shift import ShiftReport

LEVEL, N, N_PERMUTATION = 0.01, 300, 199


def of_package(x, y, seed):
    report = ShiftReport.compare(x, y, rng=seed, n_permutation=N_PERMUTATION)
    return report.p_value


def complete(x, y):
    x, y = (side[np.isfinite(side).all(1)] for side in (x, y))
    return (x - x.mean(0)) / x.std(0), (y - x.mean(0)) / x.std(0)


def frouros_ks(x, y, _):
    from frouros.detectors.data_drift import KSTest

    p_values = []
    for one, two in zip(*(side.T for side in complete(x, y)), strict=True):
        detector = KSTest()
        detector.fit(X=one)
        p_values.append(detector.compare(X=two)[0].p_value)
    return min(1.0, min(p_values) * len(p_values))


def frouros_mmd(x, y, seed):
    from frouros.callbacks import PermutationTestDistanceBased
    from frouros.detectors.data_drift import MMD
    from frouros.utils.kernels import rbf_kernel

    x, y = complete(x, y)
    sigma = float(np.median(pdist(np.vstack([x, y]))))
    permutation = PermutationTestDistanceBased(
        num_permutations=N_PERMUTATION,
        random_state=seed,
        num_jobs=1,
        method="conservative",
        name="permutation",
    )
    detector = MMD(kernel=partial(rbf_kernel, sigma=sigma), callbacks=[permutation])
    detector.fit(X=x)
    _, logs = detector.compare(X=y)
    return logs["permutation"]["p_value"]


METHODS = {
    "ShiftReport": of_package,
    "frouros KS, Bonferroni": frouros_ks,
    "frouros MMD": frouros_mmd,
}


def benchmark(short):
    """Power by kind of shift; without one, the rate of false alarms."""
    if importlib.util.find_spec("frouros") is None:
        print("no frouros: nothing is measured")
        sys.exit()
    n_draw, n_null = (2, 3) if short else (10, 40)
    rows = []
    kinds = {name: kind[0] for name, kind in KINDS.items()}
    for what, change in (kinds | {"nothing": lambda y, _: y}).items():
        n = n_null if what == "nothing" else n_draw
        row = {"made": what, "n": N, "draws": n}
        for method, test in METHODS.items():
            found, seconds = 0, 0.0
            for seed in range(n):
                rng = np.random.default_rng([N, seed])
                x, y = galaxies(N, rng), change(galaxies(N, rng), rng)
                start = time.process_time()
                found += test(x, y, seed) <= LEVEL
                seconds += time.process_time() - start
            row[method] = found / n
            row[f"{method}, s"] = round(seconds / n, 3)
        print(row, flush=True)
        rows.append(row)
    table = Table(rows)
    table.meta["title"] = "Shares of draws in which a shift is found, and CPU seconds"
    return table


if __name__ == "__main__":
    run(benchmark, "shift_peers")
