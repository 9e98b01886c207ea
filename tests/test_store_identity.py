"""A store is one thing by name and by position."""

import logging

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.nddata import CCDData
from astropy.table import MaskedColumn

from mantis_astro import CutoutStore, common_wcs, get_band
from mantis_astro.cutouts import NO_COVERAGE, OK, failed
from mantis_astro.store import column_keys, position_key

COORD = SkyCoord(150.1, 2.2, unit="deg")
HERE = COORD.reshape(1)
G, R, NUV = map(get_band, ("ps1.g", "ps1.r", "galex.NUV"))


def image(value=1.0, *, at=None, scale=0.25, side=9):
    """An image of one value; with ``at``, one that is centred there."""
    wcs = None if at is None else common_wcs(at, side, scale * u.arcsec)
    return CCDData(np.full((side, side), value, "f4"), unit="adu", wcs=wcs)


def moved(arcsec):
    return COORD.directional_offset_by(90 * u.deg, arcsec * u.arcsec)


def values(cutouts):
    return {str(band): float(each.data[0, 0]) for band, each in cutouts.items()}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def store(path):
    with CutoutStore(path, "a") as store:
        yield store


class TestFirstWithoutNameThenWith:
    @pytest.fixture
    def both(self, store):
        assert store.add(None, COORD, {G: image(1)}) == position_key(COORD)
        assert store.add("NGC 1", COORD, {R: image(2)}) == "NGC 1"
        return store

    def test_it_is_one_object_and_has_the_name(self, both):
        assert both.keys() == ["NGC 1"]
        assert both.find(COORD) == "NGC 1"

    def test_both_ways_find_all_bands(self, both):
        expected = {"ps1.g": 1.0, "ps1.r": 2.0}
        assert values(both["NGC 1"]) == expected
        for keys in (None, ["NGC 1"]):
            ((_, cutouts, _),) = both.iter_cutouts(HERE, [G, R], keys=keys)
            assert values(cutouts) == expected
            assert not both.missing(HERE, [G, R], keys=keys).any()

    def test_its_first_images_are_known_to_be_its_own(self, both):
        assert len(both.check()) == 0


def test_a_position_that_is_given_as_the_name_stays_that(store):
    key = store.add(None, COORD, {G: image(1)})
    assert store.add(key, COORD, {R: image(2)}) == key
    assert store.keys() == [key]
    assert values(store[key]) == {"ps1.g": 1.0, "ps1.r": 2.0}


class TestFirstWithNameThenWithout:
    def test_what_comes_by_position_is_added_to_the_named_object(self, store):
        store.add("NGC 1", COORD, {G: image(1)})
        assert store.add(None, COORD, {R: image(2)}) == "NGC 1"
        assert store.keys() == ["NGC 1"]
        assert values(store["NGC 1"]) == {"ps1.g": 1.0, "ps1.r": 2.0}
        assert len(store.check()) == 0

    def test_a_name_that_is_not_known_is_looked_for_by_position(self, store):
        store.add("NGC 1", COORD, {G: image(1)})
        ((_, cutouts, statuses),) = store.iter_cutouts(HERE, [G], keys=["M 1"])
        assert values(cutouts) == {"ps1.g": 1.0}
        assert statuses == {G: OK}


class TestSeveralNamesAtOnePosition:
    @pytest.fixture
    def twins(self, store):
        store.add("a", COORD, {G: image(1)}, {NUV: NO_COVERAGE})
        store.add("b", COORD, {G: image(2), NUV: image(3)})
        return store

    def test_each_has_its_own_images_first_and_then_the_others(self, twins):
        assert values(twins["a"]) == {"ps1.g": 1.0, "galex.NUV": 3.0}
        assert values(twins["b"]) == {"ps1.g": 2.0, "galex.NUV": 3.0}
        assert twins.statuses("a") == {G: OK, NUV: OK}

    def test_by_position_nothing_is_missing_that_one_of_them_has(self, twins):
        assert not twins.missing(HERE, [G, NUV]).any()

    def test_damage_of_one_is_made_good_by_the_other(self, twins, path):
        row = "SELECT start FROM cutouts WHERE band = 'ps1.g' ORDER BY start"
        ((start,), _) = twins._manifest.fetch(row)
        with (path / "pixels-00000.bin").open("r+b") as file:
            file.seek(start + 3)
            file.write(b"?")
        assert len(twins.check()) == 1
        assert values(twins.get("a", [G])) == {"ps1.g": 2.0}

    def test_a_third_name_is_kept_without_images_of_its_own(self, twins):
        twins.name_objects(HERE, ["c"])
        assert twins.keys() == ["a", "b", "c"]
        assert values(twins["c"]) == {"ps1.g": 1.0, "galex.NUV": 3.0}


class TestNamingWhatIsThere:
    def test_an_object_gets_the_name_and_keeps_its_images(self, store):
        store.add(None, COORD, {G: image(1)})
        store.name_objects(HERE, [17])
        assert store.keys() == ["17"]
        assert values(store[17]) == {"ps1.g": 1.0}

    def test_positions_with_nothing_are_passed_over(self, store):
        nowhere = SkyCoord([10, np.nan], [20, np.nan], unit="deg")
        store.name_objects(nowhere, ["a", "b"])
        assert len(store) == 0

    def test_failures_make_no_object(self, store):
        store.add("x", COORD, {}, {G: failed("time-out")})
        assert len(store) == 0


class TestMoving:
    """A catalogue was measured again, and its positions are 0.4 arcsec off."""

    @pytest.fixture
    def filled(self, store):
        images = {
            G: image(1, at=COORD),
            R: image(2, at=COORD),
            NUV: image(3, at=COORD, scale=1.5),
        }
        store.add("x", COORD, images)
        return store

    def test_position_and_images_go_together(self, filled, caplog):
        there = moved(0.4)  # 1.6 pixels of Pan-STARRS1, 0.3 of GALEX
        with caplog.at_level(logging.INFO, "mantis_astro"):
            filled.add("x", there, {G: image(9, at=there)})
        assert filled.find(there) == "x"
        assert filled.find(COORD) is None
        assert filled["x"].coord.separation(there).arcsec < 1e-6
        assert values(filled["x"]) == {"ps1.g": 9.0, "galex.NUV": 3.0}
        assert "'x' has moved by 0.40 arcsec: its ps1.r, 1.6 pixels off" in caplog.text

    def test_images_that_were_centred_count_as_missing(self, filled):
        there = moved(0.4).reshape(1)
        filled.name_objects(there, ["x"])
        assert filled.missing(there, [G, R, NUV]).tolist() == [[True, True, False]]

    def test_a_step_below_the_tolerance_moves_the_position_only(self, filled):
        there = moved(0.3)  # 1.2 pixels
        filled.name_objects(there.reshape(1), ["x"])
        assert filled.find(there) == "x"
        assert len(filled["x"]) == 3

    def test_images_that_never_were_centred_stay(self, store):
        corner = moved(1.0)
        store.add("x", COORD, {G: image(1, at=corner)})  # 4 pixels off
        store.name_objects(moved(-0.4).reshape(1), ["x"])
        assert values(store["x"]) == {"ps1.g": 1.0}

    def test_what_was_fetched_without_a_name_at_the_new_position_is_its_own(
        self, filled
    ):
        there = moved(0.4)
        filled.add(None, there, {R: image(8, at=there)})
        assert len(filled) == 2
        filled.name_objects(there.reshape(1), ["x"])
        assert filled.keys() == ["x"]
        assert values(filled["x"]) == {"ps1.r": 8.0, "galex.NUV": 3.0}
        assert len(filled.check()) == 0

    def test_objects_further_apart_are_two(self, filled):
        with pytest.raises(ValueError, match=r"key 'x' is the object at .* 2\.0 arcs"):
            filled.name_objects(moved(2.0).reshape(1), ["x"])


class TestChecksBeforeTheWork:
    COORDS = SkyCoord([10, 20, 10], [1, 2, 1], unit="deg")

    def test_additions_that_are_possible(self, store):
        store.check_additions(self.COORDS)
        store.check_additions(self.COORDS, ["a", "b", "a"])  # one object, twice

    @pytest.mark.parametrize(
        ("keys", "error", "match"),
        [
            (["a", "a", "c"], ValueError, r"'a' names rows 0 and 1, .* arcsec apart"),
            (["1", 1, "c"], ValueError, "'1' names rows 0 and 1"),
            (["a", np.ma.masked, "c"], TypeError, "'key' must be text or an integer"),
            (["a", " ", "c"], ValueError, "'key' must not be empty"),
            (["a", "b"], ValueError, "must name each of 3 objects, got 2"),
        ],
        ids=["twice", "text and number", "masked", "empty", "too few"],
    )
    def test_names_that_cannot_be_kept_apart(self, store, keys, error, match):
        with pytest.raises(error, match=match):
            store.check_additions(self.COORDS, keys)

    def test_names_of_other_objects_in_the_store(self, store):
        store.add("b", COORD, {G: image()})
        with pytest.raises(ValueError, match="key 'b' is the object at 150.100000"):
            store.check_additions(self.COORDS, ["a", "b", "c"])

    def test_a_store_open_for_reading(self, store, path):
        with (
            CutoutStore(path) as reader,
            pytest.raises(ValueError, match="is open for reading; open it with"),
        ):
            reader.check_additions(self.COORDS)

    def test_names_come_from_columns(self):
        assert column_keys(np.array([b"a ", b"b"])) == ["a", "b"]
        assert column_keys(np.array([1, 2])) == ["1", "2"]

    @pytest.mark.parametrize(
        "column", [MaskedColumn(["a", "b"], mask=[False, True]), ["a", ""]]
    )
    def test_a_row_without_a_name_is_told(self, column):
        with pytest.raises(ValueError, match="row 1 has no name"):
            column_keys(column)
