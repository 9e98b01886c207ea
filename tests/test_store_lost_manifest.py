"""A manifest, or the log of it, is lost: no pixel is."""

import json
import shutil
import sqlite3

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.nddata import CCDData

from mantis_astro import CutoutStore
from mantis_astro.cutouts import NO_COVERAGE
from mantis_astro.store.blobs import end_of_batch

COORD = SkyCoord(150.1, 2.2, unit="deg")


def image(value, side=20):
    return CCDData(np.full((side, side), value, "f4"), unit="adu")


def add(store, numbers):
    """Objects with three images each, every other one without a name."""
    store.add_many(
        (
            i if i % 2 else None,
            SkyCoord(i, 0, unit="deg"),
            {band: image(i) for band in ("ps1.g", "ps1.r", "galex.NUV")},
        )
        for i in numbers
    )


def contents(path):
    """First pixel of each band of each object, by its right ascension."""
    with CutoutStore(path) as store:
        assert len(store.check()) == 0
        return {
            round(store[key].coord.ra.deg): [c.data[0, 0] for c in store[key].values()]
            for key in store
        }


def expected(numbers):
    return {i: [i] * 3 for i in numbers}


def reopen(path):
    CutoutStore(path, "a").close()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def closed(path):
    with CutoutStore(path, "a") as store:
        add(store, range(4))
        add(store, range(4, 6))
    return path


def test_a_lost_log_costs_no_pixel(path, tmp_path, caplog):
    """As after a kill: the manifest without the log, which had all the objects."""
    with CutoutStore(path, "a") as store:
        add(store, range(4))
        add(store, range(4, 6))
        copy = tmp_path / "copy"
        shutil.copytree(path, copy, ignore=shutil.ignore_patterns("*-wal", "*-shm"))
    reopen(copy)
    assert contents(copy) == expected(range(6))
    assert "the manifest lacked 18 images, which were put back" in caplog.text


@pytest.mark.parametrize("what", ["empty", "missing"])
def test_a_lost_manifest_costs_no_pixel(closed, what):
    manifest = closed / "manifest.sqlite"
    manifest.write_bytes(b"") if what == "empty" else manifest.unlink()
    size = (closed / "pixels-00000.bin").stat().st_size
    reopen(closed)
    assert contents(closed) == expected(range(6))
    assert (closed / "pixels-00000.bin").stat().st_size == size


def test_an_older_manifest_costs_no_pixel(closed, tmp_path):
    older = shutil.copy(closed / "manifest.sqlite", tmp_path / "older")
    with CutoutStore(closed, "a") as store:
        store._segments.size = 1  # what comes next goes to another file
        add(store, range(6, 9))
        store.add(1, SkyCoord(1, 0, unit="deg"), {"ps1.g": image(50)})
    shutil.copy(older, closed / "manifest.sqlite")
    reopen(closed)
    found = contents(closed)
    assert sorted(found.pop(1)) == [1, 1, 50]  # the later of two counts
    assert found == expected([0, *range(2, 9)])


def test_a_manifest_damaged_by_the_loss_is_set_aside(closed):
    manifest = closed / "manifest.sqlite"
    content = bytearray(manifest.read_bytes())
    content[18:20] = b"\2\2"  # in WAL mode, and there is no log
    content[5000:9000] = bytes(4000)
    manifest.write_bytes(content)
    reopen(closed)
    assert contents(closed) == expected(range(6))
    assert (closed / "manifest.sqlite.damaged").exists()


def test_reading_says_how_to_make_the_manifest_anew(closed):
    (closed / "manifest.sqlite").unlink()
    with pytest.raises(
        FileNotFoundError, match="is lost; open the store with mode='a'"
    ):
        CutoutStore(closed)


def test_adding_goes_on_behind_what_was_put_back(closed):
    (closed / "manifest.sqlite").unlink()
    with CutoutStore(closed, "a") as store:
        add(store, [7])
    assert contents(closed) == expected([*range(6), 7])


def test_what_was_removed_does_not_come_back(closed):
    with CutoutStore(closed, "a") as store:
        for key in store:
            store.remove(key)
    reopen(closed)
    assert contents(closed) == {}


def test_a_name_given_to_another_object_since_is_the_later_one(path):
    with CutoutStore(path, "a") as store:
        store.add("x", COORD, {"ps1.g": image(1)})
        store.remove("x")
        store.add("x", SkyCoord(10, 20, unit="deg"), {"ps1.r": image(2)})
    (path / "manifest.sqlite").unlink()
    reopen(path)
    with CutoutStore(path) as store:
        assert store["x"].coord.ra.deg == pytest.approx(10)
        assert [str(band) for band in store["x"]] == ["ps1.r"]


def test_no_coverage_is_asked_for_again(path):
    with CutoutStore(path, "a") as store:
        store.add("x", COORD, {"ps1.g": image(1)}, {"galex.NUV": NO_COVERAGE})
    (path / "manifest.sqlite").unlink()
    reopen(path)
    with CutoutStore(path) as store:
        missing = store.missing(COORD.reshape(1), ["ps1.g", "galex.NUV"])
    assert missing.tolist() == [[False, True]]


class TestUnfinishedBatch:
    """What a dead writer had not finished is there as a whole or not at all."""

    @pytest.fixture
    def pixels(self, closed):
        return closed / "pixels-00000.bin"

    def last_batch(self, pixels):
        """The bytes of the last two objects, and those before."""
        content = pixels.read_bytes()
        start = content.index(end_of_batch(12)) + len(end_of_batch(12))
        return content[:start], content[start:]

    @pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
    def test_half_of_one_is_cut_off(self, closed, pixels, share):
        whole = pixels.read_bytes()
        _, batch = self.last_batch(pixels)
        pixels.write_bytes(whole + batch[: int(share * len(batch))])
        reopen(closed)
        assert pixels.read_bytes() == whole
        assert contents(closed) == expected(range(6))

    def test_one_that_is_whole_is_kept(self, closed, pixels):
        """It was on the disk before the commit that would have made it known."""
        before, _ = self.last_batch(pixels)
        database = sqlite3.connect(closed / "manifest.sqlite")
        with database:
            database.execute(
                "UPDATE store SET value = ? WHERE name = 'end'", [f"0 {len(before)}"]
            )
            database.execute("DELETE FROM cutouts WHERE start >= ?", [len(before)])
            database.execute("DELETE FROM objects WHERE ra > 3.5")
        database.close()
        reopen(closed)
        assert contents(closed) == expected(range(6))

    def test_a_record_with_a_hole_does_not_hide_those_behind_it(self, closed, pixels):
        content = bytearray(pixels.read_bytes())
        content[1000:1010] = b"\1" * 10  # in the pixels of the first record
        pixels.write_bytes(content)
        (closed / "manifest.sqlite").unlink()
        reopen(closed)
        found = contents(closed)
        assert len(found.pop(0)) == 2
        assert found == expected(range(1, 6))
        assert pixels.stat().st_size == len(content)


def test_records_of_earlier_versions_stay_where_they_are(closed):
    """They do not tell their position, so they cannot be put back; nor are they cut."""
    pixels = closed / "pixels-00000.bin"
    line, _, arrays = pixels.read_bytes().partition(b"\n")
    facts = json.loads(line)
    for name in ("ra", "dec", "crc32"):
        del facts[name]
    size = facts["arrays"]["data"]["length"]
    line = json.dumps(facts).encode()
    line += b" " * (-(len(line) + 1) % 64) + b"\n"
    record = line + arrays[:size] + bytes(-size % 64)
    content = pixels.read_bytes() + record
    pixels.write_bytes(content)
    reopen(closed)
    assert pixels.read_bytes() == content
    assert contents(closed) == expected(range(6))
