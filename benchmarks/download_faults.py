"""Every fault, singly and mixed: right state and image, bounded requests and time."""

import time

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table
from harness import run
from sky_process import remote_sky

from mantis_astro import SurveyCutouts
from mantis_astro.services import conf
from mantis_astro.simulation.server import FAULTS, Fault, mixed_faults

STATUSES = (429, 500, 502, 503, 504)
DEADLINE = 600 * u.s
MIXED = {"seconds": 10.0, "retry_after": 1}
GRACE = 0.5  # s: requests that were on their way when a ban was said
PATIENCE = {
    "timeout": 1.0,
    "answer_timeout": 2.0,
    "backoff": 0.05,
    "backoff_max": 1.0,
    "retry_after_max": 2.0,
}


def fetch_under(faults, coords, bands, *, is_slow=False, seed=3):
    """One table under some faults: what came of it."""
    pauses = np.random.default_rng(seed)
    with remote_sky(seed=seed, faults=faults, lifetime=1800.0) as sky:
        source = SurveyCutouts(
            progress=False, deadline=DEADLINE, rng=np.random.default_rng(seed)
        )
        start = time.perf_counter()
        images, owners = [], []
        told = set()
        for index, cutouts, statuses in source.iter_cutouts(coords, bands):
            told |= {
                (index, band)
                for band, status in statuses.items()
                if status.is_ok == (band in cutouts) and status.state != "pending"
            }
            if is_slow:  # now and then for longer than a ban
                time.sleep(1.5 if pauses.random() < 0.02 else 0.02)
            images += [cutout.data for cutout in cutouts.values()]
            owners += [(str(b), coords[index].ra.deg) for b in cutouts]
        seconds = time.perf_counter() - start
        stamps = sky.identify(images)
        wrong = sum(
            stamp is None or stamp[0] != name or abs(stamp[1] - ra) > 1e-6
            for stamp, (name, ra) in zip(stamps, owners, strict=True)
        )
        counts = source.counts()
        return (
            counts["ok"],
            counts["no_coverage"],
            counts["failed"],
            counts["pending"],
            wrong,
            len(coords) * len(bands) - len(told) + counts["no_coverage"],
            sky.count_in_bans(GRACE),
            sum(source.requests_sent().values()) / len(coords),
            sky.most_repeats(),
            seconds,
        )


def benchmark(short):
    """Strike 30 % of the requests with each fault, then with all of them."""
    rng = np.random.default_rng(0)
    n_single, n_mixed = (10, 40) if short else (100, 500)
    bands = ["galex.NUV", "galex.FUV", "ps1.g", "ps1.r", "unwise.W1", "unwise.W2"]
    rows = []
    previous = {name: getattr(conf, name) for name in PATIENCE}
    try:
        for name, value in PATIENCE.items():
            setattr(conf, name, value)
        mixed = ["all, mixed", "all, mixed, and a slow caller"]
        for kind in [None, *FAULTS, *STATUSES, *mixed]:
            n = n_mixed if kind in mixed else n_single
            ra, dec = rng.uniform(0, 360, n), rng.uniform(-29, 70, n)
            coords = SkyCoord(ra, dec, unit="deg")
            if kind in mixed:
                faults = mixed_faults(0.3, **MIXED)
            else:
                # a server that says twice that it has nothing is believed
                attempts = [0] if kind == "blank" else None
                fault = kind and Fault(kind, "", 0.3, attempts, **MIXED)
                faults = [fault] if kind else []
            measured = fetch_under(faults, coords, bands, is_slow=kind == mixed[1])
            rows.append((str(kind), n, *measured))
    finally:
        for name, value in previous.items():
            setattr(conf, name, value)
    names = (
        "fault",
        "objects",
        "ok",
        "no_coverage",
        "failed",
        "pending",
        "wrong_images",
        "lost",
        "in_ban",
        "requests_per_object",
        "most_repeats",
        "seconds",
    )
    table = Table(rows=rows, names=names)
    table["requests_per_object"].format = table["seconds"].format = ".3g"
    table.meta["title"] = (
        f"Six bands; 30 % of requests struck; at most {1 + conf.retries} tries each "
        f"(a redirection counts as one more); deadline {DEADLINE:.0f}; lost: no image "
        "and no reason, or said not to be covered; in_ban: requests from "
        f"{GRACE:g} s after an answer with Retry-After to its end"
    )
    return table


if __name__ == "__main__":
    run(benchmark, "download_faults")
