"""A store gives back what it was given, or says that it cannot."""

import json
import multiprocessing
import os
import pickle
import re
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import warnings
import zlib
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import (
    CCDData,
    InverseVariance,
    StdDevUncertainty,
    UnknownUncertainty,
    VarianceUncertainty,
)
from astropy.wcs import WCS, Sip
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mantis_astro import CutoutStore, MultibandCutout, get_band
from mantis_astro.bands import BANDS, get_survey
from mantis_astro.cutouts import NO_COVERAGE, OK, CutoutSource, CutoutStatus, failed
from mantis_astro.exceptions import FetchError, MissingBandError
from mantis_astro.store import position_key
from mantis_astro.store.blobs import decode_cutout, encode_cutout

COORD = SkyCoord(150.1, 2.2, unit="deg")


def make_wcs(scale=0.25, crpix=(-15746.0, -8561.0)):
    """As PS1 writes it: CDELT1 positive, mirrored by PC, tangent point far away."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval, wcs.wcs.crpix = (151.2, 1.6), crpix
    wcs.wcs.cdelt = scale / 3600, scale / 3600
    wcs.wcs.pc = [[-1, 0], [0, 1]]
    wcs.wcs.radesys = "FK5"
    wcs.wcs.set()
    return wcs


def make_image(seed=0, shape=(6, 5), unit="adu", **options):
    data = np.random.default_rng(seed).standard_normal(shape, dtype="f4")
    return CCDData(data, unit=unit, **options)


def make_nine(seed=0):
    images = {}
    for i, band in enumerate(BANDS):
        survey = get_survey(band.survey)
        scale = survey.pixel_scale.to_value("arcsec")
        images[band] = make_image(
            [seed, i], survey.shape, survey.unit, wcs=make_wcs(scale)
        )
    return images


def assert_same(one, other):
    assert one.data.dtype == other.data.dtype
    assert np.array_equal(one.data, other.data, equal_nan=True)
    assert one.unit == other.unit
    assert (one.mask is None) == (other.mask is None)
    if one.mask is not None:
        assert np.array_equal(one.mask, other.mask)
    assert type(one.uncertainty) is type(other.uncertainty)
    if one.uncertainty is not None:
        assert np.array_equal(one.uncertainty.array, other.uncertainty.array)
    assert dict(one.meta) == dict(other.meta)
    assert (one.wcs is None) == (other.wcs is None)
    if one.wcs is not None:
        pixels = np.array([[0, 0], [3, 4], [-20, 50.5]])
        worlds = [i.wcs.wcs_pix2world(pixels, 0) for i in (one, other)]
        assert np.array_equal(*worlds)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def store(path):
    with CutoutStore(path, "a") as store:
        yield store


def run(code, *arguments, **options):
    """Run Python in another process."""
    code = "import sys\n" + textwrap.dedent(code)
    command = [sys.executable, "-c", code, *map(str, arguments)]
    options = {"capture_output": True, "text": True, "timeout": 120} | options
    return subprocess.run(command, check=False, **options)


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def start_child(function, *arguments):
    """Start a process that is there at once; returns it and what it sends."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other threads here
        process = context.Process(target=function, args=[sender.send, *arguments])
        process.start()
    sender.close()
    return process, receiver


def run_child(function, *arguments):
    """Run a function in another process; returns all that it sends."""
    process, receiver = start_child(function, *arguments)
    sent = list(receive(receiver))
    process.join(60)
    return sent


def receive(receiver):
    while True:
        try:
            yield receiver.recv()
        except EOFError:
            receiver.close()
            return


class TestRoundTrip:
    def check(self, store, image):
        store.add("x", COORD, {"ps1.g": image})
        assert_same(store["x"]["ps1.g"], image)

    def test_pixels(self, store):
        self.check(store, make_image())

    def test_pixels_that_are_not_finite(self, store):
        image = make_image()
        image.data[0, :3] = np.nan, np.inf, -np.inf
        self.check(store, image)

    @pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "u1", "i8"])
    def test_types_of_number(self, store, dtype):
        self.check(store, CCDData(np.arange(6, dtype=dtype).reshape(2, 3), unit="adu"))

    def test_numbers_in_the_byte_order_of_fits_come_back_native(self, store):
        swapped = CCDData(np.arange(6.0).reshape(2, 3).astype(">f4"), unit="adu")
        store.add("x", COORD, {"ps1.g": swapped})
        data = store["x"]["ps1.g"].data
        assert data.dtype.isnative
        assert np.array_equal(data, swapped.data)

    def test_arrays_that_are_not_contiguous(self, store):
        data = np.arange(24.0).reshape(4, 6)[::2, ::-1]
        self.check(store, CCDData(data, unit="adu"))

    def test_mask(self, store):
        mask = np.random.default_rng(1).random((6, 5)) < 0.3
        self.check(store, make_image(mask=mask))

    @pytest.mark.parametrize(
        "kind", [StdDevUncertainty, VarianceUncertainty, InverseVariance]
    )
    def test_uncertainty(self, store, kind):
        self.check(store, make_image(uncertainty=kind(np.full((6, 5), 2.0))))

    def test_meta(self, store):
        meta = {"zero_point_ab": 32.5, "magsys": "AB", "url": "http://x/?a=1", "n": [1]}
        self.check(store, make_image(meta=meta))

    def test_meta_of_other_types_comes_back_as_numbers_or_text(self, store):
        meta = {"exposure_time": np.float32(1.5), "path": Path("x"), "a": np.arange(2)}
        store.add("x", COORD, {"ps1.g": make_image(meta=meta)})
        expected = {"exposure_time": 1.5, "path": "x", "a": [0, 1]}
        assert store["x"]["ps1.g"].meta == expected

    @pytest.mark.parametrize("unit", ["adu", "nmgy", "ct/s", "nJy", "", "10^-3 mag"])
    def test_unit(self, store, unit):
        self.check(store, make_image(unit=u.Unit(unit)))

    def test_wcs_of_ps1(self, store):
        self.check(store, make_image(wcs=make_wcs()))

    def test_wcs_with_a_cd_matrix(self, store):
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
        wcs.wcs.crval, wcs.wcs.crpix = (10, 20), (3, 4)
        wcs.wcs.cd = [[-1e-4, 2e-5], [2e-5, 1e-4]]
        self.check(store, make_image(wcs=wcs))

    def test_wcs_in_other_units_and_frames(self, store):
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = "GLON-SIN", "GLAT-SIN"
        wcs.wcs.cunit = "arcsec", "arcsec"
        wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = (36e3, 72e3), (1, 2), (-1.5, 1.5)
        self.check(store, make_image(wcs=wcs))

    def test_wcs_with_parameters_keeps_its_header(self, store):
        wcs = make_wcs()
        wcs.wcs.ctype = "RA---ZPN", "DEC--ZPN"
        wcs.wcs.set_pv([(2, 1, 1.0), (2, 3, 42.0)])
        wcs.wcs.set()
        store.add("x", COORD, {"ps1.g": make_image(wcs=wcs)})
        pixels = np.array([[0, 0], [300, 4.0]])
        worlds = [w.wcs_pix2world(pixels, 0) for w in (wcs, store["x"]["ps1.g"].wcs)]
        assert np.allclose(*worlds, rtol=0, atol=1e-10)

    def test_wcs_with_distortion_keeps_its_header(self, store):
        wcs = make_wcs(crpix=(3, 3))
        wcs.wcs.ctype = "RA---TAN-SIP", "DEC--TAN-SIP"
        a = np.zeros((3, 3))
        a[2, 0] = 1e-3
        wcs.sip = Sip(a, np.zeros((3, 3)), None, None, wcs.wcs.crpix)
        store.add("x", COORD, {"ps1.g": make_image(wcs=wcs)})
        back = store["x"]["ps1.g"].wcs
        pixels = np.array([[0, 0], [5, 4.0]])
        assert np.allclose(back.all_pix2world(pixels, 0), wcs.all_pix2world(pixels, 0))
        assert not np.allclose(
            back.all_pix2world(pixels, 0), make_wcs().wcs_pix2world(pixels, 0)
        )

    def test_frame_and_shape_of_the_wcs(self, store):
        store.add("x", COORD, {"ps1.g": make_image(wcs=make_wcs())})
        wcs = store["x"]["ps1.g"].wcs
        assert wcs.wcs.radesys == "FK5"
        assert wcs.array_shape == (6, 5)

    def test_all_nine_bands(self, store):
        images = make_nine()
        store.add("x", COORD, images)
        cutouts = store["x"]
        assert cutouts.bands == BANDS
        for band in BANDS:
            assert_same(cutouts[band], images[band])

    def test_position_and_key(self, store):
        store.add("x", COORD, {"ps1.g": make_image()})
        assert store["x"].coord.separation(COORD) == 0
        assert store["x"].meta == {"key": "x"}

    def test_position_in_another_frame(self, store):
        store.add("x", COORD.galactic, {"ps1.g": make_image()})
        assert store["x"].coord.icrs.separation(COORD).arcsec < 1e-9

    def test_compressed(self, path):
        images = make_nine() | {BANDS[0]: CCDData(np.zeros((32, 32)), unit="adu")}
        with CutoutStore(path, "a", compress=True) as store:
            store.add("x", COORD, images)
            for band in BANDS:
                assert_same(store["x"][band], images[band])

    def test_compression_makes_blank_images_small(self):
        image = CCDData(np.zeros((170, 170), dtype="f4"), unit="adu")
        plain, small = (
            len(encode_cutout(image, "x", "ps1.g", compress=c)) for c in (False, True)
        )
        assert plain > 170 * 170 * 4
        assert small < plain / 50

    @settings(max_examples=40)
    @given(
        data=hnp.arrays(
            st.sampled_from(["f4", "f8", "i4"]),
            hnp.array_shapes(min_dims=2, max_dims=2, max_side=9),
        ),
        with_mask=st.booleans(),
        compress=st.booleans(),
        key=st.text(min_size=1),
    )
    def test_records_hold_any_image(self, data, with_mask, compress, key):
        mask = data > 0 if with_mask else None
        image = CCDData(data, unit="adu", mask=mask)
        record = encode_cutout(image, key, get_band("ps1.g"), compress=compress)
        assert len(record) % 64 == 0
        assert_same(decode_cutout(bytearray(record), key, "ps1.g"), image)

    def test_what_comes_back_may_be_written_to(self, store):
        store.add("x", COORD, {"ps1.g": make_image()})
        store["x"]["ps1.g"].data[:] = 0
        assert store["x"]["ps1.g"].data.any()

    def test_what_goes_in_is_not_changed(self, store):
        image = make_image(mask=np.zeros((6, 5), dtype=bool), meta={"a": 1})
        copy = image.copy()
        store.add("x", COORD, {"ps1.g": image})
        assert_same(image, copy)


class TestAdding:
    def test_bands_may_come_one_after_the_other(self, store):
        store.add("x", COORD, {"ps1.g": make_image(1)})
        store.add("x", COORD, {"galex.NUV": make_image(2)})
        assert [str(band) for band in store["x"]] == ["galex.NUV", "ps1.g"]

    def test_a_band_that_comes_again_replaces_what_was_there(self, store):
        store.add("x", COORD, {"ps1.g": make_image(1)})
        store.add("x", COORD, {"ps1.g": make_image(2)})
        assert_same(store["x"]["ps1.g"], make_image(2))
        assert len(store) == 1

    def test_no_coverage_is_kept(self, store):
        store.add("x", COORD, {"ps1.g": make_image()}, {"galex.NUV": NO_COVERAGE})
        assert store.statuses("x") == {
            get_band("ps1.g"): OK,
            get_band("galex.NUV"): NO_COVERAGE,
        }

    def test_the_words_of_no_coverage_are_kept(self, store):
        status = CutoutStatus("no_coverage", "south of the survey")
        store.add("x", COORD, {}, {"ps1.g": status})
        assert store.statuses("x") == {get_band("ps1.g"): status}

    def test_failed_is_not_kept(self, store):
        store.add("x", COORD, {}, {"ps1.g": failed("time-out")})
        assert "x" not in store

    def test_no_coverage_does_not_replace_an_image(self, store):
        store.add("x", COORD, {"ps1.g": make_image()})
        store.add("x", COORD, {}, {"ps1.g": NO_COVERAGE})
        assert store.statuses("x") == {get_band("ps1.g"): OK}
        assert "ps1.g" in store["x"]

    def test_an_image_replaces_no_coverage(self, store):
        store.add("x", COORD, {}, {"ps1.g": NO_COVERAGE})
        store.add("x", COORD, {"ps1.g": make_image()})
        assert store.statuses("x") == {get_band("ps1.g"): OK}

    def test_ok_needs_an_image(self, store):
        with pytest.raises(ValueError, match=r"ps1\.g is ok, but 'cutouts' has no"):
            store.add("x", COORD, {}, {"ps1.g": OK})
        assert len(store) == 0

    def test_one_key_never_holds_two_objects(self, store):
        store.add("x", COORD, {"ps1.g": make_image()})
        elsewhere = COORD.directional_offset_by(0 * u.deg, 5 * u.arcsec)
        with pytest.raises(ValueError, match=r"key 'x' is the object at.*5\.0 arcsec"):
            store.add("x", elsewhere, {"ps1.r": make_image()})
        assert store["x"].bands == (get_band("ps1.g"),)

    def test_the_same_object_measured_a_little_elsewhere_is_the_same(self, store):
        store.add("x", COORD, {"ps1.g": make_image()})
        near = COORD.directional_offset_by(0 * u.deg, 0.5 * u.arcsec)
        store.add("x", near, {"ps1.r": make_image()})
        assert len(store["x"]) == 2

    @pytest.mark.parametrize("key", ["NGC 1", 17, np.int64(17), b"NGC 1", "a/b\\c:é"])
    def test_keys_are_text_or_integers(self, store, key):
        text = store.add(key, COORD, {"ps1.g": make_image()})
        assert isinstance(text, str)
        assert key in store
        assert text in store
        assert store[key].meta["key"] == text

    @pytest.mark.parametrize("key", [1.5, np.ma.masked, True, ("a",)])
    def test_other_keys_are_refused(self, store, key):
        with pytest.raises(TypeError, match="'key' must be text or an integer"):
            store.add(key, COORD, {"ps1.g": make_image()})

    def test_empty_keys_are_refused(self, store):
        with pytest.raises(ValueError, match="'key' must not be empty"):
            store.add("  ", COORD, {"ps1.g": make_image()})

    def test_positions_that_are_not_finite_are_refused(self, store):
        with pytest.raises(ValueError, match="'coord' must be finite, got ra=nan"):
            store.add("x", SkyCoord(np.nan, 2, unit="deg"), {"ps1.g": make_image()})

    def test_cutouts_must_be_ccddata(self, store):
        with pytest.raises(TypeError, match=r"ps1\.g must be a CCDData, got ndarray"):
            store.add("x", COORD, {"ps1.g": np.ones((2, 2))})

    def test_unknown_bands_are_refused(self, store):
        with pytest.raises(MissingBandError, match=r"no band 'ps1\.q'"):
            store.add("x", COORD, {"ps1.q": make_image()})

    def test_foreign_kinds_of_uncertainty_are_refused(self, store):
        image = make_image(uncertainty=UnknownUncertainty(np.ones((6, 5))))
        with pytest.raises(
            TypeError, match=r"of ps1\.g must be one of std, .* 'unknown'"
        ):
            store.add("x", COORD, {"ps1.g": image})

    def test_a_failed_call_leaves_no_trace(self, store):
        with pytest.raises(TypeError, match="must be a CCDData"):
            store.add("x", COORD, {"ps1.g": make_image(), "ps1.r": 1})
        assert len(store) == 0

    def test_many_objects_may_be_added_at_once(self, store):
        coords = SkyCoord(range(3), [0] * 3, unit="deg")
        rows = [(i, coords[i], {"ps1.g": make_image(i)}, None) for i in range(2)]
        rows.append((2, coords[2], {}, {"ps1.g": NO_COVERAGE}))
        assert store.add_many(rows) == ["0", "1", "2"]
        for i in range(2):
            assert_same(store[i]["ps1.g"], make_image(i))
        assert store.statuses(2) == {get_band("ps1.g"): NO_COVERAGE}

    def test_all_of_many_are_added_or_none(self, store):
        store.add("x", COORD, {"ps1.g": make_image()})
        elsewhere = SkyCoord(1, 1, unit="deg")
        rows = [
            ("y", COORD, {"ps1.g": make_image()}),
            ("x", elsewhere, {"ps1.g": make_image()}),
        ]
        with pytest.raises(ValueError, match="key 'x' is the object at"):
            store.add_many(rows)
        assert store.keys() == ["x"]

    def test_adding_nothing_is_no_trouble(self, store):
        assert store.add_many([]) == []

    def test_threads_may_add_together(self, store):
        def add(first):
            for i in range(first, 40, 4):
                store.add(i, SkyCoord(i, 0, unit="deg"), {"ps1.g": make_image(i)})

        threads = [threading.Thread(target=add, args=[i]) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(store) == 40
        for i in range(40):
            assert_same(store[i]["ps1.g"], make_image(i))

    def test_a_large_file_is_followed_by_another(self, store, path):
        store._segments.size = 10_000
        for i in range(9):
            store.add(i, SkyCoord(i, 0, unit="deg"), {"ps1.g": make_image(i, (32, 32))})
        assert len(list(path.glob("pixels-*.bin"))) == 3
        for i in range(9):
            assert_same(store[i]["ps1.g"], make_image(i, (32, 32)))
        assert len(store.check()) == 0

    def test_a_file_that_is_just_full_is_followed_by_another(self, store, path):
        store.add("x", COORD, {"ps1.g": make_image()})
        store._segments.size = (path / "pixels-00000.bin").stat().st_size
        store.add("x", COORD, {"ps1.r": make_image()})
        assert len(list(path.glob("pixels-*.bin"))) == 2


class TestKeysOfPositions:
    @settings(max_examples=40)
    @given(ra=st.floats(0, 360, exclude_max=True), dec=st.floats(-90, 90))
    def test_a_key_is_its_position_to_a_hundredth_of_an_arcsecond(self, ra, dec):
        key = position_key(SkyCoord(ra, dec, unit="deg"))
        there = [
            float(number) for number in re.fullmatch(r"(.+)([+-].+)", key).groups()
        ]
        most = 0.005 / 3600 + 0.5e-7  # half a step, and half of the last digit
        assert abs((there[0] - ra + 180) % 360 - 180) <= most * (1 + 1e-6)
        assert abs(there[1] - dec) <= most * (1 + 1e-6)

    def test_a_position_is_its_own_key(self, store):
        key = store.add(None, COORD, {"ps1.g": make_image()})
        assert key == position_key(COORD)
        assert store.find(COORD) == key

    @given(step=st.floats(-0.004, 0.004), n=st.integers(0, 129_599_999))
    def test_rounding_does_not_hide_a_position(self, step, n):
        """Whichever side of a half step a position falls, it is found."""
        from mantis_astro.store.keys import find_cell, neighbour_cells

        ra = (n + 0.5) / 360_000  # in the middle between two steps
        ras, decs = neighbour_cells(ra, 0.0)
        cell = find_cell((ra + step / 3600) % 360, step / 3600)
        assert cell[0] in ras
        assert cell[1] in decs

    def test_positions_meet_across_the_meridian(self, store):
        store.add("x", SkyCoord(359.999999999, 0, unit="deg"), {"ps1.g": make_image()})
        assert store.find(SkyCoord(1e-10, 0, unit="deg")) == "x"

    def test_steps_of_a_hundredth_of_an_arcsecond_go_on_across_the_meridian(
        self, store
    ):
        step = 0.01 / 3600
        store.add("x", SkyCoord(360 - step, 0, unit="deg"), {"ps1.g": make_image()})
        assert store.find(SkyCoord(0, 0, unit="deg")) == "x"
        assert store.find(SkyCoord(step, 0, unit="deg")) is None

    @pytest.mark.parametrize("east", [0, 1], ids=["north", "east"])
    def test_the_nearest_of_two_is_found(self, store, east):
        step = 0.012 / 3600
        ra, dec = COORD.ra.deg + east * step, COORD.dec.deg + (1 - east) * step
        near = SkyCoord(ra, dec, unit="deg")
        store.add("a", COORD, {"ps1.g": make_image(1)})
        store.add("b", near, {"ps1.g": make_image(2)})
        assert store.find(COORD) == "a"
        assert store.find(near) == "b"

    def test_other_positions_are_not_found(self, store):
        store.add("x", COORD, {"ps1.g": make_image()})
        away = COORD.directional_offset_by(90 * u.deg, 0.1 * u.arcsec)
        assert store.find(away) is None
        assert store.find(SkyCoord(np.nan, 0, unit="deg")) is None


class TestReading:
    @pytest.fixture
    def coords(self):
        return SkyCoord([10, 20, 30], [1, 2, 3], unit="deg")

    @pytest.fixture
    def filled(self, store, coords):
        store.add("a", coords[0], {"ps1.g": make_image(1)}, {"galex.NUV": NO_COVERAGE})
        store.add("b", coords[1], {"ps1.g": make_image(2), "ps1.r": make_image(3)})
        return store

    def test_is_a_source_of_cutouts(self, store):
        assert isinstance(store, CutoutSource)

    def test_yields_by_position(self, filled, coords):
        bands = ["galex.NUV", "ps1.g", "ps1.r"]
        found = list(filled.iter_cutouts(coords, bands))
        assert [index for index, _, _ in found] == [0, 1, 2]
        states = [[status.state for status in s.values()] for _, _, s in found]
        assert states == [
            ["no_coverage", "ok", "failed"],
            ["failed", "ok", "ok"],
            ["failed"] * 3,
        ]
        assert_same(found[0][1]["ps1.g"], make_image(1))
        assert_same(found[1][1]["ps1.r"], make_image(3))
        assert len(found[2][1]) == 0

    def test_says_that_what_is_not_there_is_not_there(self, filled, coords, path):
        *_, (_, _, statuses) = filled.iter_cutouts(coords, ["ps1.g"])
        assert statuses[get_band("ps1.g")] == failed(f"not in {path}")

    def test_positions_that_are_not_finite_are_nowhere(self, filled):
        coords = SkyCoord([np.nan, 20], [1, 2], unit="deg")
        states = [
            s[get_band("ps1.g")].state
            for *_, s in filled.iter_cutouts(coords, ["ps1.g"])
        ]
        assert states == ["failed", "ok"]

    def test_missing_is_what_has_no_final_status(self, filled, coords):
        missing = filled.missing(coords, ["galex.NUV", "ps1.g", "ps1.r"])
        assert missing.tolist() == [
            [False, False, True],
            [True, False, False],
            [True, True, True],
        ]

    def test_observed_is_what_has_an_image(self, filled, coords):
        bands = ["galex.NUV", "ps1.g", "ps1.r"]
        held = [
            [band in cutouts for band in bands]
            for _, cutouts, _ in filled.iter_cutouts(coords, bands)
        ]
        assert np.any(held)
        assert filled.observed(coords, bands).tolist() == held
        assert filled.observed(coords[:0], bands).shape == (0, 3)

    def test_each_band_that_is_named_has_its_answer(self, filled, coords):
        twice = ["ps1.r", "ps1.g", "ps1.r"]
        for ask in (filled.missing, filled.observed):
            assert ask(coords, []).shape == (3, 0)
            answers = ask(coords, twice)
            assert answers.shape == (3, 3)
            assert (answers[:, 0] == answers[:, 2]).all()

    def test_yields_by_key_where_positions_are_shared(self, store, coords):
        same = coords[[0, 0]]
        store.add("a", same[0], {"ps1.g": make_image(1)})
        store.add("b", same[1], {"ps1.g": make_image(2)})
        found = store.iter_cutouts(same, ["ps1.g"], keys=["b", "a"])
        for (_, cutouts, _), seed in zip(found, (2, 1), strict=True):
            assert_same(cutouts["ps1.g"], make_image(seed))

    def test_keys_must_be_as_many_as_positions(self, store, coords):
        with pytest.raises(
            ValueError, match="'keys' must name each of 3 objects, got 1"
        ):
            next(store.iter_cutouts(coords, ["ps1.g"], keys=["a"]))

    def test_missing_by_key(self, filled, coords):
        missing = filled.missing(coords, ["ps1.r"], keys=["a", "b", "c"])
        assert missing.tolist() == [[True], [False], [True]]

    def test_some_bands_only(self, filled):
        assert filled.get("b", ["ps1.r"]).bands == (get_band("ps1.r"),)

    def test_a_band_that_is_not_there_is_absent(self, filled):
        assert len(filled.get("a", ["ps1.y"])) == 0

    def test_keys_and_positions_are_in_the_order_of_adding(self, filled, coords):
        assert filled.keys() == list(filled) == ["a", "b"]
        assert filled.coords.separation(coords[:2]).max() == 0

    def test_an_empty_store_has_no_positions(self, store):
        assert store.coords.shape == (0,)
        assert store.keys() == []
        assert len(store.check()) == 0

    def test_unknown_objects_are_a_key_error(self, filled):
        with pytest.raises(KeyError, match="no object 'c' among the 2 of"):
            filled["c"]

    def test_repr_tells_how_many(self, filled):
        assert "(a): 2 objects" in repr(filled)

    def test_removed_objects_are_missing(self, filled, coords):
        filled.remove("a")
        filled.remove("b", ["ps1.g"])
        assert "a" not in filled
        assert filled["b"].bands == (get_band("ps1.r"),)
        assert filled.missing(coords, ["ps1.g"]).all()


class TestModes:
    def test_what_was_added_is_there_when_opened_again(self, path):
        with CutoutStore(path, "a") as store:
            store.add("x", COORD, {"ps1.g": make_image(1)})
        with CutoutStore(path, "a") as store:
            store.add("y", COORD, {"ps1.g": make_image(2)})
        with CutoutStore(path) as store:
            assert_same(store["x"]["ps1.g"], make_image(1))
            assert_same(store["y"]["ps1.g"], make_image(2))

    def test_reading_needs_a_store(self, path):
        with pytest.raises(FileNotFoundError, match="no store at .*pass mode='a'"):
            CutoutStore(path)
        assert not path.exists()

    @pytest.mark.parametrize(
        "change",
        [
            lambda s: s.add("y", COORD, {"ps1.g": make_image()}),
            lambda s: s.remove("x"),
            lambda s: s.import_fits("."),
        ],
    )
    def test_a_store_open_for_reading_is_not_changed(self, path, change):
        with CutoutStore(path, "a") as store:
            store.add("x", COORD, {"ps1.g": make_image()})
        with (
            CutoutStore(path) as store,
            pytest.raises(ValueError, match="is open for reading; open it with mode="),
        ):
            change(store)

    def test_other_modes_are_refused(self, path):
        with pytest.raises(ValueError, match=r"'mode' must be 'r' \(read\) or 'a'"):
            CutoutStore(path, "w")

    def test_a_folder_of_other_things_is_refused(self, tmp_path):
        (tmp_path / "thesis.tex").write_text("")
        with pytest.raises(ValueError, match=r"not a store: it holds thesis\.tex"):
            CutoutStore(tmp_path, "a")
        assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]

    @pytest.mark.parametrize("mode", ["r", "a"])
    def test_a_manifest_that_is_none_is_refused(self, path, mode):
        path.mkdir()
        (path / "manifest.sqlite").write_bytes(b"not a database at all" * 100)
        with pytest.raises((ValueError, OSError), match="not a database"):
            CutoutStore(path, mode)

    def test_a_later_version_is_refused(self, path):
        CutoutStore(path, "a").close()
        with sqlite3.connect(path / "manifest.sqlite") as db:
            db.execute("UPDATE store SET value = '9' WHERE name = 'version'")
        db.close()
        with pytest.raises(ValueError, match="version 1; got .*, version 9"):
            CutoutStore(path)

    def test_a_second_writer_in_this_process_is_refused(self, store, path):
        with pytest.raises(BlockingIOError, match="is open for writing by process"):
            CutoutStore(path, "a")
        store.add("x", COORD, {"ps1.g": make_image()})  # the first goes on

    @needs_fork
    def test_a_second_writer_in_another_process_is_refused(self, store, path):
        def write(send):
            try:
                CutoutStore(path, "a")
            except BlockingIOError as error:
                send(str(error))

        (message,) = run_child(write)
        who = f"{path} is open for writing by process {os.getpid()} on "
        assert message.startswith(who)
        assert "open it with mode='r' to read beside it" in message

    def test_the_next_may_write_when_the_writer_has_closed(self, path):
        CutoutStore(path, "a").close()
        CutoutStore(path, "a").close()

    def test_a_reader_sees_what_a_writer_adds(self, store, path):
        with CutoutStore(path) as reader:
            assert len(reader) == 0
            for i in range(3):
                store.add(i, SkyCoord(i, 0, unit="deg"), {"ps1.g": make_image(i)})
                assert_same(reader[i]["ps1.g"], make_image(i))

    @needs_fork
    def test_a_reader_in_another_process_reads_while_we_write(self, store, path):
        def read(send):
            with CutoutStore(path) as reader:
                send("ready")
                while len(reader) < 60:
                    wrong = [
                        k for k in reader if reader[k]["ps1.g"].data[0, 0] != int(k)
                    ]
                    send(wrong + list(reader.check()))

        process, receiver = start_child(read)
        assert receiver.recv() == "ready"
        for i in range(60):
            image = CCDData(np.full((20, 20), i, dtype="f4"), unit="adu")
            store.add(i, SkyCoord(i, 0, unit="deg"), {"ps1.g": image})
        looks = list(receive(receiver))
        process.join(60)
        assert process.exitcode == 0
        assert not any(looks)

    def test_a_writer_does_not_wait_for_readers_to_close(self, path):
        with CutoutStore(path, "a") as store:
            store.add("x", COORD, {"ps1.g": make_image()})
            reader = CutoutStore(path)
            assert len(reader) == 1
            start = time.monotonic()
        assert time.monotonic() - start < 25  # a lock is waited for 30 s
        assert_same(reader["x"]["ps1.g"], make_image())
        with CutoutStore(path, "a") as store:
            store.add("y", COORD, {"ps1.g": make_image()})
            assert len(reader) == 2
        reader.close()

    def test_a_closed_store_has_no_log_left(self, path):
        with CutoutStore(path, "a") as store:
            store.add("x", COORD, {"ps1.g": make_image()})
        assert {file.name for file in path.iterdir()} == {
            "README.txt",
            "manifest.sqlite",
            "pixels-00000.bin",
            "writer.lock",
        }
        with CutoutStore(path) as reader:
            assert len(reader) == 1
        assert not list(path.glob("*-wal"))

    def test_a_closed_store_is_no_longer_of_use(self, path):
        store = CutoutStore(path, "a")
        store.close()
        store.close()
        with pytest.raises(OSError, match="closed database"):
            len(store)

    def test_pickled_it_reads_in_another_process(self, store):
        store.add("x", COORD, {"ps1.g": make_image()})
        with pickle.loads(pickle.dumps(store)) as reader:
            assert reader.mode == "r"
            assert_same(reader["x"]["ps1.g"], make_image())

    @needs_fork
    def test_a_forked_child_reads_and_may_not_write(self, store):
        store.add("x", COORD, {"ps1.g": make_image()})

        def use(send):
            send(len(store["x"]))
            try:
                store.add("y", COORD, {"ps1.g": make_image()})
            except ValueError as error:
                send(str(error))
            store.close()

        n_bands, message = run_child(use)
        assert n_bands == 1
        assert "is open for reading" in message
        store.add("z", COORD, {"ps1.g": make_image()})  # the parent goes on
        with pytest.raises(BlockingIOError, match="is open for writing"):
            CutoutStore(store.path, "a")

    @needs_fork
    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
    def test_a_folder_one_may_not_write_to_can_be_read(self):
        def use(send):
            os.setuid(65534)  # nobody
            with CutoutStore(path) as reader:
                send(len(reader["x"]))
            try:
                CutoutStore(path, "a")
            except OSError as error:
                send(str(error))

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "store"
            with CutoutStore(path, "a") as store:
                store.add("x", COORD, {"ps1.g": make_image()})
            for part in (Path(folder), path):
                part.chmod(0o555)
            n_bands, message = run_child(use)
            for part in (Path(folder), path):
                part.chmod(0o755)
        assert n_bands == 1
        assert str(path) in message


class TestDamage:
    """Whatever happens to the files, a wrong image is never given out."""

    @pytest.fixture
    def closed(self, path):
        with CutoutStore(path, "a") as store:
            for i in range(4):
                images = {"ps1.g": make_image(i), "ps1.r": make_image(i + 10)}
                store.add(i, SkyCoord(i, 0, unit="deg"), images)
        return path

    def place(self, path, key, band="ps1.g"):
        db = sqlite3.connect(path / "manifest.sqlite")
        row = db.execute(
            "SELECT segment, start, length FROM cutouts JOIN objects ON id = object "
            "WHERE key = ? AND band = ?",
            (str(key), band),
        ).fetchone()
        db.close()
        return path / f"pixels-{row[0]:05d}.bin", row[1], row[2]

    @pytest.mark.parametrize("where", [0, 0.3, 0.6, 0.999])
    def test_a_changed_bit_is_found_and_never_returned(self, closed, where):
        file, start, length = self.place(closed, 2)
        content = bytearray(file.read_bytes())
        content[start + int(where * length)] ^= 1
        file.write_bytes(content)
        with CutoutStore(closed) as store:
            (problem,) = store.check()
            assert (problem["key"], problem["band"]) == ("2", "ps1.g")
            with pytest.raises(FetchError, match=r"ps1\.g of '2' in .* is damaged"):
                store[2]
            assert_same(store.get(2, ["ps1.r"])["ps1.r"], make_image(12))

    def test_a_damaged_image_fails_in_a_batch_and_the_batch_goes_on(self, closed):
        file, start, _ = self.place(closed, 2)
        content = bytearray(file.read_bytes())
        content[start + 100] ^= 255
        file.write_bytes(content)
        with CutoutStore(closed) as store:
            coords = SkyCoord(range(4), [0] * 4, unit="deg")
            states = [
                s[get_band("ps1.g")].state
                for *_, s in store.iter_cutouts(coords, ["ps1.g"])
            ]
        assert states == ["ok", "ok", "failed", "ok"]

    def test_damage_is_repaired_by_removing_and_adding_again(self, closed):
        file, start, _ = self.place(closed, 2)
        content = bytearray(file.read_bytes())
        content[start + 100] ^= 255
        file.write_bytes(content)
        with CutoutStore(closed, "a") as store:
            for row in store.check():
                store.remove(row["key"], [row["band"]])
            coord = SkyCoord(2, 0, unit="deg")
            assert store.missing(coord.reshape(1), ["ps1.g", "ps1.r"]).tolist() == [
                [True, False]
            ]
            store.add(2, coord, {"ps1.g": make_image(2)})
            assert len(store.check()) == 0

    def test_a_lost_file_of_pixels_is_reported(self, closed):
        self.place(closed, 2)[0].unlink()
        with CutoutStore(closed) as store:
            assert len(store.check()) == 8
            with pytest.raises(FetchError, match="FileNotFoundError"):
                store[2]

    def test_a_file_cut_short_is_reported(self, closed):
        file, start, _ = self.place(closed, 2)
        os.truncate(file, start + 10)
        with CutoutStore(closed) as store:
            assert set(store.check()["key"]) == {"2", "3"}

    def test_the_record_of_another_object_is_not_taken_for_ours(self, closed):
        """Even with the right checksum: each record says whose it is."""
        db = sqlite3.connect(closed / "manifest.sqlite")
        place = db.execute(
            "SELECT segment, start, length, crc32 FROM cutouts JOIN objects "
            "ON id = object WHERE key = '3' AND band = 'ps1.g'"
        ).fetchone()
        with db:
            db.execute(
                "UPDATE cutouts SET segment = ?, start = ?, length = ?, crc32 = ? "
                "WHERE band = 'ps1.g' AND object = "
                "(SELECT id FROM objects WHERE key = '2')",
                place,
            )
        db.close()
        with CutoutStore(closed) as store:
            with pytest.raises(
                FetchError, match=r"this is ps1\.g of '3', not ps1\.g of"
            ):
                store[2]
            assert len(store.check()) == 1

    def test_what_a_dead_writer_left_behind_is_cut_off(self, closed):
        file, *_ = self.place(closed, 3)
        size = file.stat().st_size
        with file.open("ab") as handle:
            handle.write(b"torn record")
        (closed / "pixels-00001.bin").write_bytes(b"torn record in a new file")
        with CutoutStore(closed, "a") as store:
            assert file.stat().st_size == size
            assert not (closed / "pixels-00001.bin").exists()
            store.add("new", COORD, {"ps1.g": make_image(99)})
            assert len(store.check()) == 0
            assert len(store) == 5

    def test_a_store_whose_making_was_interrupted_is_made_anew(self, path):
        path.mkdir()
        (path / "manifest.sqlite").touch()
        (path / "writer.lock").touch()
        with CutoutStore(path, "a") as store:
            store.add("x", COORD, {"ps1.g": make_image()})
            assert_same(store["x"]["ps1.g"], make_image())


@needs_fork
class TestFullDisk:
    """A limit on the size of files stands for the full disk."""

    @pytest.mark.parametrize(
        ("side", "limit", "file"),
        [(100, 150_000, "pixels-00000.bin"), (2, 100_000, "manifest.sqlite")],
    )
    def test_what_was_added_before_is_sound_and_adding_goes_on(
        self, path, side, limit, file
    ):
        image = CCDData(np.ones((side, side), dtype="f4"), unit="adu")

        def write(send):
            with CutoutStore(path, "a") as store:
                hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
                try:
                    for i in range(1000):
                        store.add(i, SkyCoord(i % 360, 0, unit="deg"), {"ps1.g": image})
                        send(i)
                except OSError as error:
                    send(str(error))
                resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
                store.add("after", SkyCoord(9, 9, unit="deg"), {"ps1.g": image})

        *added, message = run_child(write)
        assert file in message
        assert added
        with CutoutStore(path) as store:
            assert store.keys() == [*map(str, added), "after"]
            assert len(store.check()) == 0
            assert (store["after"]["ps1.g"].data == 1).all()


@needs_fork
class TestKilled:
    """kill -9 at any instant: nothing that was reported is lost, nothing is half."""

    def test_nothing_reported_is_lost(self, path):
        coords = SkyCoord(np.arange(3000) * 0.1, np.zeros(3000), unit="deg")

        def write(send):
            with CutoutStore(path, "a") as store:
                for i in range(len(store), 3000):
                    image = CCDData(np.full((50, 50), i, dtype="f4"), unit="adu")
                    images = dict.fromkeys(["ps1.g", "ps1.r", "ps1.i"], image)
                    store.add(i, coords[i], images)
                    send(i)

        rng = np.random.default_rng(5)
        last = -1
        for _ in range(6):
            process, receiver = start_child(write)
            first = receiver.recv()  # it is at work
            time.sleep(rng.uniform(0, 0.1))
            process.kill()
            reported = [first, *receive(receiver)]
            process.join(60)
            assert first in {last + 1, last + 2}  # resumed where it was
            last = reported[-1]
            with CutoutStore(path) as store:
                assert len(store) in {last + 1, last + 2}
                assert len(store.check()) == 0
                for key in store:
                    cutouts = store[key]
                    assert len(cutouts) == 3
                    assert all((c.data == int(key)).all() for c in cutouts.values())


class TestFits:
    @pytest.fixture
    def images(self):
        mask = np.random.default_rng(1).random((6, 5)) < 0.3
        uncertainty = StdDevUncertainty(np.full((6, 5), 2.0, dtype="f4"))
        image = make_image(
            1,
            mask=mask,
            uncertainty=uncertainty,
            wcs=make_wcs(),
            meta={"zero_point_ab": 25.0, "magsys": "AB"},
        )
        return {"ps1.g": image, "ps1.r": make_image(2, wcs=make_wcs())}

    def test_exported_files_are_plain_fits(self, store, images, tmp_path):
        store.add("NGC 1/a", COORD, images)
        (file,) = store.export_fits(tmp_path / "out")
        with warnings.catch_warnings(), fits.open(file) as hdus:
            warnings.simplefilter("error")
            hdus.verify("exception")
            assert np.array_equal(hdus["PS1.G"].data, images["ps1.g"].data)
            assert file.parent == tmp_path / "out"

    def test_exported_and_imported_it_is_the_same(self, store, images, tmp_path):
        store.add("NGC 1/a", COORD, images)
        store.add(7, SkyCoord(7, 7, unit="deg"), {"galex.NUV": make_image(5)})
        store.export_fits(tmp_path / "out")
        with CutoutStore(tmp_path / "again", "a") as again:
            assert sorted(again.import_fits(tmp_path / "out")) == ["7", "NGC 1/a"]
            for key in store:
                assert again[key].coord.separation(store[key].coord).arcsec < 1e-6
                for band in store[key]:
                    assert_same(again[key][band], store[key][band])

    def test_some_objects_only(self, store, images, tmp_path):
        for i in range(3):
            store.add(i, SkyCoord(i, 0, unit="deg"), images)
        files = store.export_fits(tmp_path / "out", keys=[0, 2])
        assert [file.name for file in files] == ["0.fits", "2.fits"]

    def test_files_are_not_overwritten_unless_told(self, store, images, tmp_path):
        store.add("x", COORD, images)
        store.export_fits(tmp_path)
        with pytest.raises(FileExistsError, match="pass overwrite=True"):
            store.export_fits(tmp_path)
        store.export_fits(tmp_path, overwrite=True)

    def test_unknown_objects_cannot_be_exported(self, store, tmp_path):
        with pytest.raises(KeyError, match="no object 'x' among the 0"):
            store.export_fits(tmp_path, keys=["x"])

    def test_files_that_are_none_of_ours_are_refused(self, store, tmp_path):
        fits.PrimaryHDU(np.ones((2, 2))).writeto(tmp_path / "x.fits")
        with pytest.raises(OSError, match="no multiband cutout"):
            store.import_fits(tmp_path)

    def test_a_folder_without_files_is_an_error(self, store, tmp_path):
        with pytest.raises(FileNotFoundError, match="that export_fits writes"):
            store.import_fits(tmp_path)

    def test_cubes_of_the_viewer_are_imported_band_by_band(self, store, tmp_path):
        header = make_wcs(crpix=(3.0, 3.5)).to_header()
        header["SURVEY"], header["BANDS"] = "GALEX", "nf"
        cube = np.stack([np.full((6, 5), value, "f4") for value in (1, 2)])
        fits.PrimaryHDU(cube, header).writeto(tmp_path / "whatever.fits")
        store.import_fits(tmp_path, SkyCoord([151.2], [1.6], unit="deg"), keys=["a"])
        assert [image.data[0, 0] for image in store["a"].values()] == [1, 2]

    def test_any_fits_images_are_imported_by_position(self, store, tmp_path):
        wcs = make_wcs(crpix=(3.0, 3.5))
        header = wcs.to_header()
        header["HIERARCH FPA.FILTERID"] = "g.00000"
        header["EXPTIME"] = 100.0
        data = np.ones((6, 5), dtype="f4")
        fits.PrimaryHDU(data, header).writeto(tmp_path / "whatever.fits")
        coords = SkyCoord([151.2, 10], [1.6, 10], unit="deg")
        assert store.import_fits(tmp_path, coords, keys=["a", "b"]) == ["a"]
        assert store["a"]["ps1.g"].meta["zero_point_ab"] == 30.0
        assert "b" not in store

    @pytest.mark.real_data
    def test_real_images_are_imported_as_they_are(self, store, real_data):
        from mantis_astro.cutouts import read_cutout

        folder = real_data / "images" / "ps1_j0028"
        coord = SkyCoord([7.09390], [-10.65098], unit="deg")
        (key,) = store.import_fits(folder, coord)
        assert "".join(band.name for band in store[key]) == "grizy"
        image, original = store[key]["ps1.g"], read_cutout(folder / "2_g.fits")
        assert np.array_equal(image.data, original.data, equal_nan=True)
        assert np.array_equal(image.mask, original.mask)
        pixels = np.array([[0, 0], [700.0, 3]])
        worlds = [i.wcs.wcs_pix2world(pixels, 0) for i in (image, original)]
        assert np.array_equal(*worlds)


class TestWithoutThisPackage:
    def test_the_readme_tells_how_to_read(self, store, path, monkeypatch):
        """The program in README.txt is run as it stands."""
        store.add("some key", COORD, {"ps1.g": make_image(3)})
        text = (path / "README.txt").read_text()
        code = text.partition("with Python:\n")[2].partition("Copy a")[0]
        monkeypatch.chdir(path)
        names = {}
        exec(textwrap.dedent(code), names)
        names["db"].close()
        assert np.array_equal(names["image"], make_image(3).data)
        assert names["facts"]["unit"] == "adu"

    def test_numpy_sqlite_and_astropy_are_enough(self, store, path):
        mask = np.random.default_rng(1).random((6, 5)) < 0.3
        image = make_image(3, mask=mask, wcs=make_wcs())
        store.add("x", COORD, {"ps1.g": image}, {"galex.NUV": NO_COVERAGE})
        code = """
            import json, sqlite3, zlib
            import numpy as np
            from astropy.wcs import WCS

            path = sys.argv[1]
            db = sqlite3.connect(f"{path}/manifest.sqlite")
            rows = dict(db.execute("SELECT band, state FROM cutouts").fetchall())
            assert rows == {"ps1.g": "ok", "galex.NUV": "no_coverage"}
            segment, start, length, crc = db.execute(
                "SELECT segment, start, length, crc32 FROM cutouts WHERE state = 'ok'"
            ).fetchone()
            with open(f"{path}/pixels-{segment:05d}.bin", "rb") as file:
                file.seek(start)
                record = file.read(length)
            assert zlib.crc32(record) == crc
            line, _, arrays = record.partition(b"\\n")
            facts = json.loads(line)
            a = facts["arrays"]
            data = np.frombuffer(arrays, a["data"]["dtype"], 30, a["data"]["start"])
            bits = np.frombuffer(arrays, "u1", a["mask"]["length"], a["mask"]["start"])
            wcs = WCS(naxis=2)
            for name, value in facts["wcs"].items():
                setattr(wcs.wcs, name, value)
            ra, dec = wcs.wcs_pix2world([[2, 3]], 0)[0]
            print(json.dumps([
                data.tolist(), np.unpackbits(bits, count=30).tolist(), ra, dec,
                "mantis_astro" in sys.modules,
            ]))
        """
        done = run(code, path)
        assert done.returncode == 0, done.stderr
        data, bits, ra, dec, imported = json.loads(done.stdout)
        assert np.array_equal(np.reshape(data, (6, 5)).astype("f4"), image.data)
        assert np.array_equal(np.reshape(bits, (6, 5)), mask)
        assert [ra, dec] == image.wcs.wcs_pix2world([[2, 3]], 0)[0].tolist()
        assert not imported


N_LARGE = 100_000


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """The manifest of 100,000 objects with nine bands; made by one statement."""
    path = tmp_path_factory.mktemp("large")
    with CutoutStore(path, "a") as store:
        bands = dict.fromkeys(BANDS, NO_COVERAGE)
        store.add("object 0", SkyCoord(0, 0, unit="deg"), {}, bands)
        with store._manifest.transaction() as execute:
            execute(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE "
                f"i < {N_LARGE - 1}) INSERT INTO objects "
                "(key, ra, dec, cell_ra, cell_dec) "
                "SELECT 'object ' || i, i * 0.0036, 0, i * 1296, 0 FROM n"
            )
            execute(
                "INSERT INTO cutouts SELECT objects.id, c.band, c.state, '', "
                "NULL, NULL, NULL, NULL FROM objects JOIN cutouts AS c "
                "WHERE objects.id > 1 AND c.object = 1"
            )
    return path


class TestSize:
    @pytest.mark.parametrize(
        "query",
        [
            "SELECT id FROM objects WHERE key = '5'",
            "SELECT id FROM objects WHERE cell_dec IN (1, 2, 3) AND cell_ra IN (1)",
            "SELECT * FROM cutouts WHERE object = 5",
        ],
    )
    def test_finding_one_of_100000_does_not_scan_the_others(self, large, query):
        with CutoutStore(large) as store:
            plans = store._manifest.fetch(f"EXPLAIN QUERY PLAN {query}")
        assert all(plan.startswith("SEARCH") for *_, plan in plans)

    def test_objects_of_a_large_store_are_found(self, large):
        rng = np.random.default_rng(0)
        with CutoutStore(large) as store:
            assert len(store) == N_LARGE
            for i in rng.integers(0, N_LARGE, 200):
                coord = SkyCoord(i * 0.0036, 0, unit="deg")
                assert store.find(coord) == f"object {i}"
                assert len(store.statuses(f"object {i}")) == 9

    def test_there_is_no_file_for_each_cutout(self, large):
        assert len(list(large.iterdir())) < 8


def test_checksums_are_those_of_zlib(store, path):
    store.add("x", COORD, {"ps1.g": make_image()})
    (row,) = store._manifest.fetch("SELECT start, length, crc32 FROM cutouts")
    record = (path / "pixels-00000.bin").read_bytes()[row[0] : row[0] + row[1]]
    assert zlib.crc32(record) == row[2]


def test_a_store_is_closed_however_it_was_used(tmp_path):
    """No warning about files left open, even if it is just dropped."""
    for i in range(2):  # a second writer would be refused, were the first not closed
        store = CutoutStore(tmp_path / "s", "a")
        store.add(i, COORD, {"ps1.g": make_image()})
        del store


def test_copying_the_folder_copies_the_store(store, path, tmp_path):
    store.add("x", COORD, {"ps1.g": make_image()})
    store.close()
    shutil.copytree(path, tmp_path / "copy")
    with CutoutStore(tmp_path / "copy") as copy:
        assert_same(copy["x"]["ps1.g"], make_image())


def test_any_multiband_cutout_can_be_added(store):
    cutouts = MultibandCutout(COORD, {"ps1.g": make_image()})
    store.add("x", cutouts.coord, cutouts)
    assert_same(store["x"]["ps1.g"], cutouts["ps1.g"])
