"""
How typical the dozen galaxies of ``mantis-astro demo`` are of the sample it states.

The first row is of 600 galaxies of the same surveys, whose numbers the demonstration
prints; the others are of a dozen each, from which its own was chosen after a look at
them. Images come straight from the sky, without a server.
"""

import numpy as np
from astropy.table import Table
from harness import run

from mantis_astro import PhotoZ, SimulatedSky
from mantis_astro.demo import SEED, SURVEYS
from mantis_astro.metrics import delta_z
from mantis_astro.simulation import DEFAULT_MIX


def measure(photoz, seed, n):
    """Errors of the first galaxies of a sky."""
    mix = tuple(survey for survey in DEFAULT_MIX if survey.name in SURVEYS)
    sky = SimulatedSky(seed=seed, donors="test", mix=mix)
    table = photoz.add_redshifts(sky.catalog(n), sky, progress=False)
    names = "z_spec", "z_median", "z_err68_low", "z_err68_high"
    z, median, low, high = (np.asarray(table[name]) for name in names)
    error = np.abs(delta_z(median, z))
    return {
        "seed": seed,
        "n": n,
        "median_error": np.median(error),
        "in_68": np.mean((low <= z) & (z <= high)),
        "out_005": np.mean(error > 0.05),
        "out_015": np.mean(error > 0.15),
        "flagged": np.mean(np.asarray(table["flags"]) != 0),
        "is_demo": (seed, n) == (SEED, 12),
    }


def benchmark(short):
    """Compare the sample with those it was chosen from, and with a larger one."""
    photoz = PhotoZ.from_pretrained()
    asked = [(1, 60 if short else 600), *((seed, 12) for seed in range(1, 9))]
    table = Table([measure(photoz, seed, n) for seed, n in asked])
    for name in table.colnames[2:-1]:
        table[name].format = ".3f"
    table.meta["title"] = "Simulated galaxies as the demonstration draws them"
    return table


if __name__ == "__main__":
    run(benchmark, "demo_sample")
