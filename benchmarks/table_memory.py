"""Time and memory of a long table through a photometric model."""

import subprocess
import sys
import time
import warnings
from itertools import product

import numpy as np
from astropy.table import QTable, Table
from harness import peak_memory, run


def predict(model, n):
    """Add redshifts to a made table of n rows; print seconds and peak memory."""
    from mantis_astro import PhotoZ
    from mantis_astro.bands import BANDS

    warnings.simplefilter("ignore")
    photoz = PhotoZ.from_pretrained(model)
    rng = np.random.default_rng(0)
    table = QTable()
    for band in BANDS:
        name = str(band).replace(".", "_")
        table[f"flux_{name}"] = rng.lognormal(10, 1, n)
        table[f"flux_err_{name}"] = np.full(n, 100.0)
        for column in (f"flux_{name}", f"flux_err_{name}"):
            table[column].unit = "nJy"
    before = peak_memory()
    start = time.perf_counter()
    table = photoz.add_redshifts(table, ebv=0.03)
    output = sum(column.nbytes for column in table.itercols()) / 1e6
    print(time.perf_counter() - start, before, peak_memory(), output)


def benchmark(short):
    """Predict tables of growing length, each in a process of its own."""
    from mantis_astro.models import default_table_model

    rows = []
    models = dict.fromkeys(["simulated-photometric", default_table_model()])
    numbers = (1_000, 10_000, 100_000) if not short else (1_000, 100_000)
    for model, n in product(models, numbers):
        command = [sys.executable, __file__, "--rows", model, str(n)]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        seconds, *megabytes = map(float, out.split())
        rows.append((model, n, round(seconds, 2), *map(round, megabytes)))
    names = (
        "model",
        "rows",
        "seconds",
        "MB before",
        "peak MB",
        "MB of output",
    )
    return Table(rows=rows, names=names, meta={"title": "add_redshifts of nine bands"})


if __name__ == "__main__":
    if "--rows" in sys.argv:
        predict(sys.argv[-2], int(sys.argv[-1]))
    else:
        run(benchmark, "table_memory")
