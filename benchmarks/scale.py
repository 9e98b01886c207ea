"""
Catalogues of LSDB on a local cluster, against one call of add_redshifts.

One process with `PhotoZ.add_redshifts`, and on the same rows one and two
workers of dask with `scale.predict_catalog`, from HATS to HATS. Seconds are of the
clock and of the processors; the latter do not depend on what else runs on the machine.
Answers, with their quantiles of p(z), are compared bit by bit. At most 100,000 of the
rows are for the rest. dask makes its workers return memory to the system at once, which
costs page faults at each large array: one run shows that. Another is killed with
SIGKILL at three points, and started again. ``MANTIS_ASTRO_SCALE_ROWS`` in the
environment sets the number of rows.
"""

import multiprocessing
import os
import signal
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.table import Table
from harness import peak_memory, run

MODEL = "simulated-photometric"
FEWER = 100_000  # rows
PIECE = 32_768  # rows whose p(z) are compared at once
TRIM = "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_"
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


def write_catalog(rows, path):
    """A HATS catalogue of the rows, in at least twelve parts."""
    import lsdb

    lsdb.from_dataframe(
        rows,
        catalog_name="made",
        partition_rows=max(len(rows) // 12, 1),
        margin_threshold=None,
    ).write_catalog(path, progress_bar=False)


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


def predict_in_cluster(path, output, n_worker, *, returns_memory=False):
    """LSDB on a local cluster; returns seconds of clock and processors, and memory."""
    import dask
    from distributed import Client, LocalCluster

    from mantis_astro.scale import ModelReference, predict_catalog

    model = ModelReference.of(MODEL)
    with (
        dask.config.set({} if returns_memory else {TRIM: None}),
        LocalCluster(
            n_workers=n_worker,
            threads_per_worker=1,
            dashboard_address=None,
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # a free port
        ) as cluster,
        Client(cluster) as client,
    ):
        client.run(_warm_up, model)
        before = client.run(time.process_time)
        start = time.perf_counter()
        predict_catalog(path, MODEL, output=output)
        seconds = time.perf_counter() - start
        after = client.run(time.process_time)
        memory = client.run(peak_memory)
    cpu = sum(after[worker] - before[worker] for worker in after)
    return seconds, cpu, max(memory.values())


def compared_in_cluster(path, table, n_worker, *, returns_memory=False):
    """A row of the result: one run on a cluster, and whether it is as the table."""
    with tempfile.TemporaryDirectory() as output:
        folder = Path(output) / "out"
        measured = predict_in_cluster(
            path, folder, n_worker, returns_memory=returns_memory
        )
        found = read_rows(folder)
        size = sum(p.stat().st_size for p in folder.rglob("Npix=*.parquet"))
        size -= sum(p.stat().st_size for p in path.rglob("Npix=*.parquet"))
    way = f"LSDB, {n_worker} worker{'s'[: n_worker - 1]}"
    way += ", dask's MALLOC_TRIM_THRESHOLD_" * returns_memory
    n = len(table)
    return way, n, *measured, n_different(found, table), size / n


def _warm_up(model):
    model.load()


def read_rows(folder):
    """All rows of a catalogue, in the order of their numbers."""
    paths = sorted((Path(folder) / "made").rglob("Npix=*.parquet"))
    content = pd.concat(pq.read_table(p).to_pandas(types_mapper=_arrow) for p in paths)
    return content.sort_values("id")


def _arrow(kind):
    return pd.ArrowDtype(kind)


def n_different(rows, table):
    """Count numbers of the table that are not, bit for bit, those of the rows."""
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
    return n + n_different_quantiles(rows, table, i)


def n_different_quantiles(rows, table, i):
    """Count quantiles of p(z) that are not those of the table's rows i."""
    from mantis_astro import PhotoZ
    from mantis_astro.scale.densities import nested_densities

    edges, n = PhotoZ.from_pretrained(MODEL).card.bin_edges, 0
    lists = pa.chunked_array(pa.array(rows["pz"].array))
    for start in range(0, len(i), PIECE):
        ours = lists[start : start + PIECE].combine_chunks()
        pz = np.ma.getdata(table["pz"])[i[start : start + PIECE]]
        theirs = nested_densities(np.asarray(pz), edges, "quantiles")
        for name in theirs.type.names:
            pair = [np.asarray(x.field(name).flatten()) for x in (ours, theirs)]
            n += np.count_nonzero(pair[0] != pair[1])
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
        import lsdb  # noqa: F401
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
        path, fewer = Path(folder) / "in", Path(folder) / "fewer"
        write_catalog(rows, path)
        table, *spent = predict_plain(rows)
        lines.append(("add_redshifts", n, *spent, peak_memory(), 0, 0.0))
        for n_worker in (1, 2):
            lines.append(compared_in_cluster(path, table, n_worker))
            print(*lines[-1], flush=True)
        n_fewer = min(n, FEWER)
        write_catalog(rows[:n_fewer], fewer)
        for returns_memory in (False, True):
            options = {"returns_memory": returns_memory}
            lines.append(compared_in_cluster(fewer, table[:n_fewer], 1, **options))
        _predict(fewer, Path(folder) / "whole")
        found = read_rows(Path(folder) / "whole")
        for name, same in killed_and_restarted(fewer, folder, found):
            unknown = [np.nan] * 3
            lines.append((name, n_fewer, *unknown, int(not same), np.nan))
    names = ["way", "rows", "s", "cpu_s", "peak_mb", "n_different", "bytes_per_row"]
    result = Table(rows=lines, names=names)
    result["rows_per_s"] = result["rows"] / result["s"]
    result["rows_per_cpu_s"] = result["rows"] / result["cpu_s"]
    for name in result.colnames[2:]:
        result[name].format = ".4g"
    result.meta["title"] = f"Rows of nine bands, {MODEL}, from and to HATS"
    return result


if __name__ == "__main__":
    run(benchmark, "scale")
