"""
Catalogues of LSDB on a local cluster, against one call of add_redshifts.

One process with `PhotoZ.add_redshifts`, and on the same rows one and two
workers of dask with `scale.predict_catalog`, from HATS to HATS. Seconds are of the
clock and of the processors; the latter do not depend on what else runs on the machine.
Answers are compared bit by bit. Then the run is killed with SIGKILL at
three points, and started again.
"""

import multiprocessing
import os
import resource
import shutil
import signal
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from astropy.table import Table
from harness import run

MODEL = "simulated-photometric"
BANDS = (
    *("galex_NUV", "galex_FUV", "ps1_g", "ps1_r", "ps1_i", "ps1_z", "ps1_y"),
    *("unwise_W1", "unwise_W2"),
)


def make_rows(n):
    """Fluxes of nine bands, one in ten missing, all over a part of the sky."""
    rng = np.random.default_rng(0)
    columns = {"id": np.arange(n)}
    columns["ra"], columns["dec"] = rng.uniform(0, 60, n), rng.uniform(-30, 30, n)
    bright = rng.normal(10, 1, n)
    for band in BANDS:
        flux = np.exp(bright + rng.normal(0, 0.5, n))
        flux[rng.random(n) < 0.1] = np.nan
        columns[f"flux_{band}"] = flux
        columns[f"flux_err_{band}"] = 0.03 * flux + 300
    columns["ebv"] = rng.uniform(0, 0.2, n)
    return pd.DataFrame(columns)


def predict_plain(rows):
    """One call for all rows; returns the table, seconds and memory."""
    from mantis_astro import PhotoZ

    table = Table.from_pandas(rows)
    for name in table.colnames:
        if name.startswith("flux"):
            table[name].unit = "nJy"
    photoz = PhotoZ.from_pretrained(MODEL)
    photoz.add_redshifts(table[:64])  # what is tried out at the first call
    start, cpu = time.perf_counter(), time.process_time()
    table = photoz.add_redshifts(table)
    return table, time.perf_counter() - start, time.process_time() - cpu


def predict_in_cluster(path, output, n_worker):
    """LSDB on a local cluster; returns seconds of clock and processors, and memory."""
    from distributed import Client, LocalCluster

    from mantis_astro.scale import ModelReference, predict_catalog

    model = ModelReference.of(MODEL)
    with (
        LocalCluster(
            n_workers=n_worker, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        client.run(_warm_up, model)
        before = client.run(time.process_time)
        start = time.perf_counter()
        predict_catalog(path, MODEL, output=output)
        seconds = time.perf_counter() - start
        after = client.run(time.process_time)
        memory = client.run(_peak_memory)
    cpu = sum(after[worker] - before[worker] for worker in after)
    return seconds, cpu, max(memory.values())


def _warm_up(model):
    model.load()


def _peak_memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # MB


def read_rows(folder):
    """All rows of a catalogue, in the order of their numbers."""
    paths = sorted((Path(folder) / "made").rglob("Npix=*.parquet"))
    content = pd.concat(pq.read_table(p).to_pandas(types_mapper=_arrow) for p in paths)
    return content.sort_values("id")


def _arrow(kind):
    return pd.ArrowDtype(kind)


def n_different(rows, table):
    """How many numbers of the table are not, bit for bit, those of the rows."""
    from mantis_astro import Flag

    n, i = 0, rows["id"].to_numpy(dtype=int)
    for name in table.colnames:
        if name not in rows or name == "pz":
            continue
        theirs = np.asarray(np.ma.getdata(table[name]))[i]  # without its unit
        ours = rows[name].to_numpy(dtype=float, na_value=np.nan)
        if name == "flags":  # of a sample as a whole
            theirs = theirs & ~int(Flag.OOD_DOMAIN)
        mask = np.ma.getmaskarray(np.ma.asarray(table[name]))[i]
        n += np.count_nonzero(np.isnan(ours[~mask]) | (ours[~mask] != theirs[~mask]))
        n += np.count_nonzero(~np.isnan(ours[mask]))
    return n


def killed_and_restarted(path, folder, expected, shares=(0.2, 0.5, 0.8)):
    """Kill a run when some parts are written; start it again; count what differs."""
    n_part = len(list((Path(path) / "made").rglob("Npix=*.parquet")))
    answers = []
    for share in shares:
        output = Path(folder) / f"killed{share}"
        process = multiprocessing.get_context("spawn").Process(
            target=_predict, args=(path, output)
        )
        process.start()
        done = output / "made" / "done"
        while process.is_alive() and len(list(done.glob("*"))) < share * n_part:
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        there = len(list(done.glob("*")))
        _predict(path, output)
        rows = read_rows(output)
        answers.append((f"killed at {there} of {n_part}", rows.equals(expected)))
    return answers


def _predict(path, output):
    warnings.simplefilter("ignore")
    from mantis_astro.scale import predict_catalog

    predict_catalog(path, MODEL, output=output)


def benchmark(short):
    """Measure; returns a table with a row for each way."""
    try:
        import lsdb
    except ImportError:
        return Table(
            names=["way"], dtype=[str], meta={"title": "LSDB is not installed"}
        )
    warnings.simplefilter("ignore")
    n = int(os.environ.get("MANTIS_ASTRO_SCALE_ROWS", "0"))
    n = n or (4_000 if short else 1_000_000)
    rows = make_rows(n)
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "in"
        lsdb.from_dataframe(
            rows,
            catalog_name="made",
            partition_rows=max(n // 12, 1),
            margin_threshold=None,
        ).write_catalog(path, progress_bar=False)
        table, seconds, cpu = predict_plain(rows)
        lines.append(("add_redshifts", seconds, cpu, _peak_memory(), 0, 0.0))
        for n_worker in (1, 2):
            output = Path(folder) / f"out{n_worker}"
            measured = predict_in_cluster(path, output, n_worker)
            found = read_rows(output)
            size = sum(p.stat().st_size for p in output.rglob("Npix=*.parquet"))
            size -= sum(p.stat().st_size for p in path.rglob("Npix=*.parquet"))
            ways = f"LSDB, {n_worker} worker{'s'[: n_worker - 1]}"
            lines.append((ways, *measured, n_different(found, table), size / n))
        for name, same in killed_and_restarted(path, folder, found):
            lines.append((name, np.nan, np.nan, np.nan, int(not same), np.nan))
        shutil.rmtree(folder, ignore_errors=True)
    names = ["way", "s", "cpu_s", "peak_mb", "n_different", "bytes_per_row"]
    result = Table(rows=lines, names=names)
    result["rows_per_s"] = n / result["s"]
    result["rows_per_cpu_s"] = n / result["cpu_s"]
    for name in result.colnames[1:]:
        result[name].format = ".4g"
    result.meta["title"] = f"{n:,} rows of nine bands, {MODEL}, from and to HATS"
    return result


if __name__ == "__main__":
    run(benchmark, "scale")
