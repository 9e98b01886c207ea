"""What has come is kept, however a fetch ends."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from mantis_astro import CutoutStore, SurveyCutouts
from mantis_astro.simulation.server import Fault, LocalSky

BANDS = ["galex.NUV", "ps1.g", "ps1.r", "unwise.W1"]
COORDS = SkyCoord(150 + np.arange(6) / 20, np.full(6, 2.2), unit="deg")

FETCH_AND_REPORT = """
import json, sys
from astropy.coordinates import SkyCoord
from mantis_astro import CutoutStore, SurveyCutouts
from mantis_astro.services import conf

job = json.loads(sys.argv[1])
for name, url in job["urls"].items():
    setattr(conf, name, url)
coords = SkyCoord(job["ra"], job["dec"], unit="deg")
with CutoutStore(job["path"], "a") as store:
    source = SurveyCutouts(store=store, progress=False)
    for index, _, statuses in source.iter_cutouts(coords, job["bands"]):
        assert all(status.is_final for status in statuses.values())
        print(index, flush=True)
"""


def fetch_in_a_process(path, sky, coords, *, kill_after=None):
    """Objects that another process reported, before it was killed or at its end."""
    job = {
        "path": str(path),
        "urls": {name: url for name, url in sky.urls.items() if name != "files"},
        "ra": coords.ra.deg.tolist(),
        "dec": coords.dec.deg.tolist(),
        "bands": BANDS,
    }
    with subprocess.Popen(
        [sys.executable, "-c", FETCH_AND_REPORT, json.dumps(job)],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        lines = [process.stdout.readline()]  # it is at work
        if kill_after is not None:
            time.sleep(kill_after)
            process.kill()
        lines += process.stdout.readlines()
    return {int(line) for line in lines if line.endswith("\n")}


def count_images(sky):
    images = sky.find_requests("red=|layer=", status=200)
    return len(images), len({request.identity for request in images})


@pytest.mark.parametrize("seconds", [0, 0.5])
def test_images_of_unfinished_objects_are_kept_when_the_loop_is_left(
    sky, tmp_path, seconds
):
    with CutoutStore(tmp_path / "store", "a") as store:
        for _ in SurveyCutouts(store=store, progress=False).iter_cutouts(COORDS, BANDS):
            time.sleep(seconds)  # meanwhile answers come that nobody looks at
            break  # one object is finished, some bands of others are there
        kept = (~store.missing(COORDS, BANDS)).sum()
        assert kept > len(BANDS)
        for _ in SurveyCutouts(store=store, progress=False).iter_cutouts(COORDS, BANDS):
            pass
        assert not store.missing(COORDS, BANDS).any()
    n_requests, n_images = count_images(sky)
    under_way = 2 * 4  # two hosts, four connections each
    assert n_requests - n_images <= under_way


def test_what_is_on_disk_is_not_written_again(sky, tmp_path):
    with CutoutStore(tmp_path / "store", "a") as store:
        source = SurveyCutouts(store=store, progress=False)
        for _ in source.iter_cutouts(COORDS, BANDS[:3]):
            pass
        pixels = store.path / "pixels-00000.bin"
        size = pixels.stat().st_size
        for _ in source.iter_cutouts(COORDS, BANDS):
            pass
        # six more images of 32 x 32 pixels, and none of those of 170 x 170
        assert 0 < pixels.stat().st_size - size < 6 * 2 * 32 * 32 * 4


def test_a_store_that_adds_one_by_one_will_do(sky):
    class Store:
        def __init__(self):
            self.added = {}

        def iter_cutouts(self, coords, bands):
            return iter(())

        def add(self, key, coord, cutouts, statuses):
            self.added.setdefault(round(coord.ra.deg, 4), []).extend(map(str, cutouts))

    store = Store()
    for _ in SurveyCutouts(store=store, progress=False).iter_cutouts(COORDS, BANDS):
        pass
    assert len(store.added) == len(COORDS)
    assert all(sorted(bands) == sorted(BANDS) for bands in store.added.values())


def test_failures_are_never_kept(tmp_path):
    from mantis_astro.services import conf

    faults = [Fault(404, match="layer=galex")]
    with (
        LocalSky(seed=1, faults=faults) as sky,
        sky.configure(conf),
        conf.set_temp("backoff", 0.01),
        CutoutStore(tmp_path / "store", "a") as store,
    ):
        source = SurveyCutouts(store=store, progress=False)
        for _ in source.iter_cutouts(COORDS, BANDS):
            pass
        missing = store.missing(COORDS, BANDS)
    assert missing[:, 0].all()
    assert not missing[:, 1:].any()


def test_nothing_is_lost_when_a_fetch_is_killed_and_resumed(tmp_path):
    """kill -9 at random instants."""
    path, n, kills = tmp_path / "store", 60, 3
    rng = np.random.default_rng(7)
    coords = SkyCoord(150 + np.arange(n) / 50, np.full(n, 2.2), unit="deg")
    reported = set()
    with LocalSky(seed=1, latency=0.1) as sky:
        for kill_after in [*rng.uniform(0, 0.5, kills), None]:
            reported |= fetch_in_a_process(path, sky, coords, kill_after=kill_after)
            with CutoutStore(path) as store:
                is_struck = store.missing(coords, BANDS).any()
                assert is_struck == (kill_after is not None)
                assert len(store.check()) == 0
                assert not store.missing(coords[sorted(reported)], BANDS).any()
                for index, cutouts, _ in store.iter_cutouts(coords, BANDS):
                    for band, image in cutouts.items():
                        name, ra, _ = sky.identify(image)
                        assert name == str(band)
                        assert abs(ra - coords[index].ra.deg) < 1e-6
        n_requests, n_images = count_images(sky)
    assert reported == set(range(n))
    # a kill costs what is under way (two hosts, four connections each, 0.1 s) and what
    # came since it was last saved (0.25 s, or as long as a busy machine takes)
    assert n_requests - n_images <= kills * 60
