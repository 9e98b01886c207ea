"""
Fetch, kill -9 at random instants, resume: what is lost, what is fetched twice.

Once as it is, and once with the log of the manifest (``manifest.sqlite-wal``) deleted
after each kill, as a copy that leaves it out, or a file system, may lose it.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table
from harness import run

from mantis_astro import CutoutStore
from mantis_astro.bands import BANDS
from mantis_astro.simulation.server import LocalSky

# Fetches everything that the store lacks, and reports each object that is done.
FETCH = """
import contextlib, json, sys
from astropy.coordinates import SkyCoord
from mantis_astro import CutoutStore, SurveyCutouts
from mantis_astro.services import conf

path, job = sys.argv[1], json.loads(sys.stdin.readline())
for name, url in job["urls"].items():
    setattr(conf, name, url)
coords = SkyCoord(job["ra"], job["dec"], unit="deg")
print(-1, flush=True)  # about to begin
with CutoutStore(path, "a") as store:
    source = SurveyCutouts(store=store, progress=False)
    for index, _, statuses in source.iter_cutouts(coords):
        if all(status.is_final for status in statuses.values()):
            print(index, flush=True)
"""


def fetch(path, sky, coords, *, seconds=None):
    """Fetch in another process; kill it some seconds after it began."""
    urls = {name: url for name, url in sky.urls.items() if name != "files"}
    job = {"urls": urls, "ra": coords.ra.deg.tolist(), "dec": coords.dec.deg.tolist()}
    process = subprocess.Popen(
        [sys.executable, "-c", FETCH, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    process.stdin.write(json.dumps(job) + "\n")
    process.stdin.flush()
    process.stdout.readline()
    if seconds is not None:
        time.sleep(seconds)
        process.kill()
    lines = process.stdout.readlines()
    process.stdin.close()
    process.stdout.close()
    process.wait()
    return {int(line) for line in lines if line.endswith("\n")}


def lose_log(path):
    """Delete the log of the manifest, and open the store as the next writer does."""
    log = path / "manifest.sqlite-wal"
    is_lost = log.exists()
    for name in ("manifest.sqlite-wal", "manifest.sqlite-shm"):
        (path / name).unlink(missing_ok=True)
    CutoutStore(path, "a").close()
    return is_lost


def count_wrong(path, sky, coords, reported):
    """Images lost after they were reported, damaged cutouts, images of others."""
    with CutoutStore(path) as store:
        lost = int(store.missing(coords[sorted(reported)], BANDS).sum())
        damaged = len(store.check())
        wrong = 0
        for i, cutouts, _ in store.iter_cutouts(coords, BANDS):
            asked = (round(coords[i].ra.deg, 6), round(coords[i].dec.deg, 6))
            for band, image in cutouts.items():
                name, ra, dec = sky.identify(image)
                wrong += (name, round(ra, 6), round(dec, 6)) != (str(band), *asked)
        return lost, damaged, wrong, len(store)


def run_until_done(coords, kills, longest, rng, *, without_log):
    """Rows of the table: kill, resume, count, until everything is there."""
    rows, reported = [], set()
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalSky(seed=1, latency=0.2, lifetime=3600) as sky,
    ):
        path = Path(folder) / "store"
        for kill in [*range(1, kills + 1), 0]:
            before = sky.count()
            seconds = rng.uniform(0, longest) if kill else None
            reported |= fetch(path, sky, coords, seconds=seconds)
            log = "kept"
            if without_log and kill:
                log = "lost" if lose_log(path) else "none yet"
            lost, damaged, wrong, stored = count_wrong(path, sky, coords, reported)
            images = sky.find_requests("red=|layer=", status=200)
            twice = len(images) - len({request.identity for request in images})
            name = f"kill {kill}" if kill else "to the end"
            row = (name, log, len(reported), stored, lost, damaged, wrong)
            rows.append((*row, sky.count() - before, twice))
            if stored == len(coords):
                break
    return rows


def benchmark(short):
    kills, n_objects, longest = (3, 30, 2.0) if short else (20, 500, 5.0)
    rng = np.random.default_rng(2)
    ra, dec = rng.uniform(150, 152, n_objects), rng.uniform(1, 3, n_objects)
    coords = SkyCoord(ra.round(5), dec.round(5), unit="deg")
    rows = [
        row
        for without_log in (False, True)
        for row in run_until_done(coords, kills, longest, rng, without_log=without_log)
    ]
    names = ("run", "log", "reported", "stored", "images lost", "damaged", "wrong")
    table = Table(rows=rows, names=(*names, "requests", "images asked for again"))
    table.meta["title"] = (
        f"{n_objects} objects in nine bands, 200 ms latency, killed at {kills} random "
        "instants, twice; counts since the start, but for requests. A kill may cost "
        "eight requests under way and the answers that are not on disk yet"
    )
    return table


if __name__ == "__main__":
    run(benchmark, "store_crash")
