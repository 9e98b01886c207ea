"""
A campaign against archives and survey servers on this machine, killed -9 twice.

Galaxies are those of a `SimulatedSky`; half of them have a second redshift in another
survey. One run is not disturbed. The other is killed once while it fetches images and
once while it trains, and started again each time: the same models to the bit.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table
from harness import run
from safetensors.torch import load_file

from mantis_astro import CutoutStore, SimulatedSky
from mantis_astro.simulation.server import LocalSky
from mantis_astro.tables import read_table
from mantis_astro.training.toml_text import to_toml

AREA = (150.0, 158.0, 0.0, 8.0)

# Runs the command with the servers that it is told.
COMMAND = """
import json, sys
from mantis_astro.cli import main
from mantis_astro.services import conf

for name, url in json.loads(sys.argv[1]).items():
    if name in conf:
        setattr(conf, name, url)
sys.exit(main(["campaign", *sys.argv[2:], "--yes", "-q"]))
"""


def make_archives(n, rng):
    """Tables as DESI's and SDSS's, and the cutouts of their galaxies."""
    ra = rng.uniform(*AREA[:2], n).round(6)
    dec = rng.uniform(*AREA[2:], n).round(6)
    galaxies = SimulatedSky(seed=4)
    coords = SkyCoord(ra, dec, unit="deg")
    z = np.clip(galaxies.redshift(coords), 0.002, None)
    desi = Table({"mean_fiber_ra": ra, "mean_fiber_dec": dec, "z": z})
    desi["targetid"], desi["zerr"], desi["zwarn"] = np.arange(n), 1e-4, 0
    desi["zcat_primary"], desi["spectype"], desi["deltachi2"] = "t", "GALAXY", 900.0
    sdss = Table({"ra": ra[::2] + 1e-5, "dec": dec[::2], "z": z[::2] + 1e-4})
    sdss["specobjid"], sdss["zerr"], sdss["zwarning"] = np.arange(len(sdss)), 1e-4, 0
    sdss["class"] = "GALAXY"
    return galaxies, coords, {"desi_dr1.zpix": desi, "sdss_dr17.specobj": sdss}


def served(images, galaxies):
    """Images that are made already, and which there are, for the list of files."""
    return SimpleNamespace(iter_cutouts=images.iter_cutouts, observed=galaxies.observed)


def start(config, folder, sky):
    urls = json.dumps(sky.urls)
    command = [sys.executable, "-c", COMMAND, urls, str(config), "-o", str(folder)]
    return subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})


def kill_when(process, reached):
    """Kill a process at a moment; tell whether it was killed."""
    while process.poll() is None and not reached():
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def same_models(one, other):
    pairs = [
        (load_file(path), load_file(other / path.relative_to(one)))
        for path in sorted(one.glob("models/*/*.safetensors"))
    ]
    return bool(pairs) and all(
        a.keys() == b.keys() and all(bool((a[k] == b[k]).all()) for k in a)
        for a, b in pairs
    )


def benchmark(short):
    n, steps = (60, 20) if short else (500, 60)
    rng = np.random.default_rng(3)
    galaxies, coords, tables = make_archives(n, rng)
    model = {"n_steps": steps, "batch_size": 32, "amp": "none", "n_workers": 0}
    model |= {"checkpoint_every": 5}
    plain = {
        "redshifts": {"surveys": ["desi", "sdss"], "area": [list(AREA)]},
        "sample": {"dust_maps": [], "test": 0.25, "validation": 0.15},
        "models": {name: {"recipe": name, **model} for name in ("early", "late")},
    }
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        top = Path(temporary)
        config = top / "campaign.toml"
        config.write_text(to_toml(plain))
        with CutoutStore(top / "images", "a") as images:
            for _ in galaxies.fill_store(images, coords):
                pass
        with (
            CutoutStore(top / "images") as images,
            LocalSky(served(images, galaxies), tables=tables, lifetime=7200) as sky,
        ):
            started, before = time.perf_counter(), sky.count()
            code = start(config, top / "whole", sky).wait()
            seconds = time.perf_counter() - started
            rows.append(("undisturbed", code, sky.count() - before, seconds, "-"))

            folder, checkpoint = top / "killed", "models/late/checkpoint.pt"
            before = here = sky.count()
            started = time.perf_counter()
            process = start(config, folder, sky)
            if not kill_when(process, lambda: sky.count() - here > 4 * n):
                msg = "it was done before it could be killed"
                raise RuntimeError(msg)
            rows.append(("killed at images", -9, sky.count() - here, np.nan, "-"))
            here = sky.count()
            process = start(config, folder, sky)
            if not kill_when(process, (folder / checkpoint).exists):
                msg = "it was done before it could be killed"
                raise RuntimeError(msg)
            rows.append(("killed in training", -9, sky.count() - here, np.nan, "-"))
            here = sky.count()
            code = start(config, folder, sky).wait()
            seconds = time.perf_counter() - started
            same = "yes" if same_models(top / "whole", folder) else "NO"
            rows.append(("to the end", code, sky.count() - here, seconds, same))
        sample = read_table(top / "whole" / "sample.fits")
        metrics = read_table(top / "whole" / "metrics.ecsv")
    names = ("run", "exit code", "requests", "seconds in all", "same models")
    table = Table(rows=rows, names=names)
    table["seconds in all"].format = ".1f"
    table.meta["title"] = (
        f"{len(sample)} objects of {n + len(tables['sdss_dr17.specobj'])} redshifts, "
        f"nine bands, early and late fusion of {steps} steps, "
        f"{metrics['n'][0]} held out as test"
    )
    return table


if __name__ == "__main__":
    run(benchmark, "campaign")
