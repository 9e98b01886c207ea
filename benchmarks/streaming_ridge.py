"""
Ridge regression of many rows in bounded memory, against scikit-learn's.

The full form is the last layer of the published network on a million galaxies:
1,000,000 x 2,048 features to 400 outputs, which would take 16 GB as float64. Features
are made a block at a time. Each run is in a process of its own (Linux only); the time
is CPU time of one thread, the making of blocks not counted.
"""

import json
import subprocess
import sys

from astropy.table import Table
from harness import run

PROGRAM = """
import json, sys, time
import numpy as np

def peak():  # bytes
    with open("/proc/self/status") as status:
        return 1024 * next(int(s.split()[1]) for s in status if s.startswith("VmHWM"))

name, n, d, q = sys.argv[1], *map(int, sys.argv[2:])
rng = np.random.default_rng(0)
coef = rng.normal(size=(d, q)).astype("f4")
block = 8192

def blocks():
    for start in range(0, n, block):
        features = rng.standard_normal((min(block, n - start), d), dtype="f4")
        yield features, features @ coef

used = 0.0
if name == "scikit-learn Ridge":
    from sklearn.linear_model import Ridge
    features, targets = np.empty((n, d)), np.empty((n, q))
    for i, (part, values) in enumerate(blocks()):
        rows = slice(i * block, i * block + len(part))
        features[rows], targets[rows] = part, values
    ridge = Ridge(alpha=1.0, fit_intercept=False, copy_X=False)
    start = time.process_time()
    found = ridge.fit(features, targets).coef_.T
    used = time.process_time() - start
else:
    from mantis_astro.kernels import StreamingRidge
    ridge = StreamingRidge(method=name.split()[-1])
    for part, values in blocks():
        start = time.process_time()
        ridge.update(part, values)
        used += time.process_time() - start
    start = time.process_time()
    found = ridge.solve(alpha=1.0)
    used += time.process_time() - start
print(json.dumps([used, peak(), float(abs(found - coef).max())]))
"""
METHODS = ("StreamingRidge normal", "StreamingRidge qr", "scikit-learn Ridge")


def benchmark(short):
    """Fit made data."""
    if short:
        sizes = [(20_000, 256, 50, METHODS)]
    else:
        sizes = [
            (50_000, 2048, 400, METHODS),
            (200_000, 2048, 400, METHODS[::2]),
            (1_000_000, 2048, 400, METHODS[:1]),
        ]
    rows = []
    for n, d, q, methods in sizes:
        for name in methods:
            numbers = [str(number) for number in (n, d, q)]
            command = [sys.executable, "-c", PROGRAM, name, *numbers]
            out = subprocess.run(command, check=True, capture_output=True, text=True)
            seconds, memory, error = json.loads(out.stdout)
            rows.append((f"{n:,} x {d:,} to {q}", name, seconds, memory / 1e9, error))
    names = ["size", "method", "seconds", "peak_GB", "largest_error"]
    table = Table(rows=rows, names=names)
    for name, form in (
        ("seconds", ".1f"),
        ("peak_GB", ".2f"),
        ("largest_error", ".1g"),
    ):
        table[name].info.format = form
    table.meta["title"] = "Ridge regression of many rows, one thread"
    return table


if __name__ == "__main__":
    run(benchmark, "streaming_ridge")
