"""Objects per second, against what cap and latency allow and against a plain client."""

import time
from concurrent.futures import ThreadPoolExecutor

import astropy.io.ascii
import numpy as np
import requests
from astropy.coordinates import SkyCoord
from astropy.table import Table
from harness import run
from sky_process import remote_sky

from mantis_astro import SurveyCutouts

LATENCY, CAP = 0.2, 4


def fetch_ours(coords, _urls):
    """All nine bands through the download engine; requests sent."""
    source = SurveyCutouts(connections_per_host=CAP, progress=False)
    n_ok = sum(s.is_ok for *_, st in source.iter_cutouts(coords) for s in st.values())
    assert n_ok == 9 * len(coords), source.counts()
    return source.requests_sent()


def fetch_plainly(coords, urls):
    """As the published code does: a file list, then ten threads, for each object."""
    sent = {"panstarrs": 0, "legacy_survey": 0}

    def get(url):
        answer = requests.get(url, timeout=60)
        answer.raise_for_status()
        return answer.content

    for coord in coords:
        position = f"?ra={coord.ra.deg}&dec={coord.dec.deg}"
        listing = get(
            f"{urls['panstarrs_filenames']}{position}&filters=grizy&type=stack"
        )
        files = astropy.io.ascii.read(listing.decode(), format="basic")[:5]["filename"]
        wanted = [
            f"{urls['panstarrs_fitscut']}{position}&size=170&format=fits&red={name}"
            for name in files
        ]
        wanted += [
            f"{urls['legacy_survey']}{position}&size=32&pixscale={scale}&layer={layer}"
            for layer, scale in (("galex", 1.5), ("unwise-neo7", 2.75))
        ]
        with ThreadPoolExecutor(10) as pool:
            list(pool.map(get, wanted))
        sent["panstarrs"] += 1 + len(files)
        sent["legacy_survey"] += 2
    return sent


def benchmark(short):
    """Fetch nine bands of many objects from a sky with 200 ms latency, both ways."""
    n = 24 if short else 300
    rng = np.random.default_rng(1)
    coords = SkyCoord(rng.uniform(0, 360, n), rng.uniform(-20, 60, n), unit="deg")
    rows = []
    with remote_sky(latency=LATENCY, lifetime=1800.0) as sky:
        for name, fetch in (
            ("SurveyCutouts", fetch_ours),
            ("plain client", fetch_plainly),
        ):
            start = time.perf_counter()
            sent = fetch(coords, sky.urls)
            seconds = time.perf_counter() - start
            if fetch is fetch_ours:
                occupancy = sky.busy_seconds("panstarrs") / CAP / seconds
            busiest = max(sent.values())
            limit = (
                CAP / LATENCY * n / busiest
            )  # objects/s that the busiest host allows
            rows.append(
                (
                    name,
                    n,
                    seconds,
                    n / seconds,
                    sum(sent.values()) / n,
                    limit if fetch is fetch_ours else np.nan,
                    n / seconds / limit if fetch is fetch_ours else np.nan,
                    occupancy if fetch is fetch_ours else np.nan,
                )
            )
    names = (
        "client",
        "objects",
        "seconds",
        "objects_per_s",
        "requests_per_object",
        "limit_per_s",
        "share_of_limit",
        "cap_in_use",
    )
    table = Table(rows=rows, names=names)
    for name in names[2:]:
        table[name].format = ".3g"
    for name in names[-2:]:
        table[name].format = ".1%"
    title = (
        f"Nine bands of {n} objects, {LATENCY * 1e3:.0f} ms latency; SurveyCutouts at "
        f"most {CAP} requests at a time per host, the plain client up to 7"
    )
    table.meta["title"] = title
    return table


if __name__ == "__main__":
    run(benchmark, "download_throughput")
