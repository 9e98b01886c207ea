"""What has come is kept, however a fetch ends."""

import numpy as np
from astropy.coordinates import SkyCoord

from mantis_astro import CutoutStore, SurveyCutouts
from mantis_astro.simulation.server import Fault, LocalSky

BANDS = ["galex.NUV", "ps1.g", "ps1.r", "unwise.W1"]
COORDS = SkyCoord(150 + np.arange(6) / 20, np.full(6, 2.2), unit="deg")


def count_images(sky):
    images = sky.find_requests("red=|layer=", status=200)
    return len(images), len({request.identity for request in images})


def test_images_of_unfinished_objects_are_kept_when_the_loop_is_left(sky, tmp_path):
    with CutoutStore(tmp_path / "store", "a") as store:
        for _ in SurveyCutouts(store=store, progress=False).iter_cutouts(COORDS, BANDS):
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
