"""The local sky answers as the survey servers do, and fails as ordered."""

import http.client
import io
import threading
import time
import warnings
from urllib.parse import urlsplit

import astropy.units as u
import numpy as np
import pytest
import requests
from astropy.config import ConfigItem, ConfigNamespace
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.wcs import WCS, FITSFixedWarning
from hypothesis import given
from hypothesis import strategies as st

from mantis_astro import MultibandCutout, get_band
from mantis_astro.cutouts import NO_COVERAGE, read_cutout
from mantis_astro.simulation.instruments.skycells import find_skycells, parse_file_name
from mantis_astro.simulation.server import Fault, LocalSky, faults, mixed_faults

RA, DEC = 150.1, 2.2


@pytest.fixture(scope="module")
def sky():
    with LocalSky(seed=3) as sky:
        yield sky


def list_files(sky, ra=RA, dec=DEC, filters="grizy", **options):
    payload = {"ra": ra, "dec": dec, "filters": filters, "type": "stack"}
    url = sky.urls["panstarrs_filenames"]
    return requests.get(url, params=payload, timeout=20, **options)


def list_many(sky, positions, filters="grizy"):
    text = "".join(f"{ra} {dec}\n" for ra, dec in positions)
    answer = requests.post(
        sky.urls["panstarrs_filenames"],
        data={"filters": filters, "type": "stack"},
        files={"file": ("positions.txt", text.encode())},
        timeout=20,
    )
    return answer.text


def rows_of(text):
    header, *rows = [line.split() for line in text.splitlines()]
    return [dict(zip(header, row, strict=True)) for row in rows]


def fitscut(sky, filename, ra=RA, dec=DEC, size=170, **options):
    payload = {"ra": ra, "dec": dec, "size": size, "format": "fits", "red": filename}
    url = sky.urls["panstarrs_fitscut"]
    return requests.get(url, params=payload, timeout=20, **options)


def ps1_image(sky, band="g", ra=RA, dec=DEC, size=170):
    (row, *_) = rows_of(list_files(sky, ra, dec, band).text)
    return fitscut(sky, row["filename"], ra, dec, size).content


def viewer(sky, timeout=20, **payload):
    payload = {"ra": RA, "dec": DEC, "size": 32, "layer": "galex"} | payload
    payload = {name: value for name, value in payload.items() if value is not None}
    return requests.get(sky.urls["legacy_survey"], params=payload, timeout=timeout)


def open_fits(content):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fits.open(io.BytesIO(content), memmap=False) as hdus:
            hdus.verify("exception")
            return hdus[0].data, hdus[0].header


def celestial(header):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        return WCS(header).celestial


class TestServers:
    def test_listens_on_the_loopback_with_a_port_for_each_host(self, sky):
        parts = [urlsplit(url) for url in sky.urls.values()]
        assert {part.hostname for part in parts} == {"127.0.0.1"}
        assert len({part.port for part in parts}) == 3

    def test_one_connection_serves_many_requests(self, sky):
        parts = urlsplit(sky.urls["legacy_survey"])
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
        for _ in range(3):
            connection.request("GET", f"{parts.path}?ra={RA}&dec={DEC}&layer=galex")
            answer = connection.getresponse()
            assert answer.version == 11
            assert len(answer.read()) == int(answer.headers["Content-Length"])
            socket = connection.sock
        assert connection.sock is socket is not None
        connection.close()

    def test_unknown_paths_are_not_found(self, sky):
        url = sky.urls["files"] + "/nothing"
        assert requests.get(url, timeout=20).status_code == 404

    def test_nobody_answers_after_the_end(self):
        with LocalSky() as sky:
            assert list_files(sky).ok
        with pytest.raises(requests.ConnectionError, match="refused"):
            list_files(sky)

    def test_the_end_does_not_wait_for_a_hanging_request(self):
        with LocalSky(faults=[Fault("hang", seconds=600)]) as sky:
            errors = []

            def ask():
                try:
                    list_files(sky)
                except requests.ConnectionError as error:
                    errors.append(error)

            thread = threading.Thread(target=ask)
            thread.start()
            while not sky.count():
                time.sleep(0.01)
        thread.join(10)
        assert not thread.is_alive()
        assert errors

    def test_stops_by_itself_at_the_end_of_its_lifetime(self):
        sky = LocalSky(lifetime=0.2).start()
        assert sky.stopped.wait(10)

    def test_configures_the_items_that_a_service_has(self, sky):
        class Conf(ConfigNamespace):
            legacy_survey = ConfigItem("https://survey", "", module="test.sky")
            timeout = ConfigItem(30, "", module="test.sky")

        conf = Conf()
        with sky.configure(conf):
            assert conf.legacy_survey == sky.urls["legacy_survey"]
            assert conf.timeout == 30
        assert conf.legacy_survey == "https://survey"

    def test_repr_tells_address_and_use(self):
        with LocalSky() as sky:
            list_files(sky)
            assert "127.0.0.1" in repr(sky)
            assert "1 requests" in repr(sky)
        assert "stopped" in repr(sky)


class TestFileList:
    def test_get_and_post_agree(self, sky):
        assert list_many(sky, [(RA, DEC)]) == list_files(sky).text

    def test_one_request_serves_many_positions(self, sky):
        rows = rows_of(list_many(sky, [(RA, DEC), (20, 80), (200, -10)]))
        assert {(row["ra"], row["dec"]) for row in rows} == {
            ("150.100000", "2.200000"),
            ("20.000000", "80.000000"),
            ("200.000000", "-10.000000"),
        }
        assert {row["filter"] for row in rows} == set("grizy")

    def test_lists_the_filters_asked_for(self, sky):
        assert {
            row["filter"] for row in rows_of(list_files(sky, filters="gy").text)
        } == {
            "g",
            "y",
        }

    def test_no_rows_south_of_the_survey(self, sky):
        assert rows_of(list_files(sky, dec=-40).text) == []

    def test_no_rows_outside_the_coverage_given(self):
        with LocalSky(coverage={"ps1": lambda ra, dec: ra < 180}) as sky:
            assert rows_of(list_files(sky, ra=150).text)
            assert rows_of(list_files(sky, ra=200).text) == []

    @pytest.mark.parametrize("payload", [{}, {"ra": "x", "dec": "1"}])
    def test_bad_positions_are_a_bad_request(self, sky, payload):
        url = sky.urls["panstarrs_filenames"]
        answer = requests.get(url, params=payload, timeout=20)
        assert answer.status_code == 400

    @given(
        ra=st.floats(0, 360, exclude_max=True),
        sin_dec=st.floats(np.sin(np.radians(-30.5)), 1.0),
    )
    def test_skycells_cover_every_position(self, ra, sin_dec):
        dec = np.degrees(np.arcsin(sin_dec))
        cells = find_skycells(ra, dec)
        assert 1 <= len(cells) <= 4
        assert all(
            parse_file_name(cell.file_name("g")) == (cell, "g") for cell in cells
        )

    def test_skycell_pixels_are_those_of_the_tangent_plane(self):
        (cell, *_) = find_skycells(RA, DEC)
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
        wcs.wcs.crval, wcs.wcs.crpix = cell.crval, (1, 1)
        wcs.wcs.cdelt = -0.25 / 3600, 0.25 / 3600
        assert np.allclose(cell.pixel(RA, DEC), wcs.wcs_world2pix(RA, DEC, 0))


class TestFitscut:
    def test_header_is_as_unusual_as_the_real_one(self, sky):
        _, header = open_fits(ps1_image(sky))
        assert header["CDELT1"] > 0
        assert header["PC001001"] == -1
        assert header["RADESYS"] == "FK5"
        assert header["FPA.FILTERID"] == "g.00000"
        assert header["BUNIT"].strip() == ""
        assert abs(header["CRPIX1"]) > 1000

    @pytest.mark.parametrize("size", [170, 171, 32])
    def test_target_is_in_the_middle(self, sky, size):
        image = read_cutout(io.BytesIO(ps1_image(sky, size=size)), "ps1.g")
        x, y = image.wcs.wcs_world2pix([[RA, DEC]], 0)[0]
        assert image.shape == (size, size)
        assert np.hypot(x - (size - 1) / 2, y - (size - 1) / 2) <= np.sqrt(0.5) + 1e-6

    def test_galaxy_stands_on_the_target(self, sky):
        image = read_cutout(io.BytesIO(ps1_image(sky)), "ps1.g")
        y, x = np.unravel_index(np.argmax(image.data), image.shape)
        there = image.wcs.wcs_pix2world([[x, y]], 0)[0]
        assert np.allclose(there, (RA, DEC), atol=1 / 3600)

    def test_exposure_differs_by_band_and_skycell(self, sky):
        near = {open_fits(ps1_image(sky, b))[1]["EXPTIME"] for b in "grizy"}
        far = {open_fits(ps1_image(sky, b, ra=10))[1]["EXPTIME"] for b in "grizy"}
        assert len(near) == 5
        assert near.isdisjoint(far)

    def test_overlapping_skycells_agree_in_magnitude(self, sky):
        ra, dec = next(
            (ra, 2.2)
            for ra in np.arange(0, 5, 0.01)
            if len(find_skycells(ra, 2.2)) == 2
        )
        magnitudes = []
        for row in rows_of(list_files(sky, ra, dec, "r").text):
            image = fitscut(sky, row["filename"], ra, dec).content
            image = read_cutout(io.BytesIO(image), "ps1.r")
            flux = np.nansum(image.data[75:95, 75:95])
            magnitudes.append(image.meta["zero_point_ab"] - 2.5 * np.log10(flux))
        assert np.isclose(*magnitudes, atol=0.05)

    def test_pixels_beyond_the_edge_of_a_skycell_are_nan(self, sky):
        (cell, *_) = find_skycells(RA, DEC)
        x0, _ = cell.origin
        wcs = celestial(open_fits(ps1_image(sky))[1])
        x, y = wcs.wcs_world2pix([[RA, DEC]], 0)[0]
        to_edge = x0 - cell.pixel(RA, DEC)[0]
        ra, dec = wcs.wcs_pix2world([[x + to_edge + 20, y]], 0)[0]
        image, _ = open_fits(fitscut(sky, cell.file_name("g"), ra, dec).content)
        assert np.isnan(image[:, :64]).all()
        assert np.isfinite(image[:, 66:]).all()

    @pytest.mark.parametrize("filename", ["nothing.fits", "/rings.v3.skycell/1/2"])
    def test_unknown_files_are_a_bad_request(self, sky, filename):
        assert fitscut(sky, filename).status_code == 400


class TestViewer:
    def test_serves_galex_as_a_cube_with_its_planes_named(self, sky):
        cube, header = open_fits(viewer(sky).content)
        assert cube.shape == (2, 32, 32)
        assert header["BANDS"] == "nf"

    def test_target_is_in_the_middle(self, sky):
        _, header = open_fits(viewer(sky, layer="unwise-neo7").content)
        assert (header["CRPIX1"], header["CRPIX2"]) == (16.5, 16.5)
        assert np.allclose(
            celestial(header).wcs_world2pix([[RA, DEC]], 0), 15.5, atol=1e-9
        )

    def test_north_is_up_and_east_to_the_left(self, sky):
        _, header = open_fits(viewer(sky).content)
        assert header["CD1_1"] == pytest.approx(-1.5 / 3600)
        assert header["CD2_2"] == pytest.approx(1.5 / 3600)

    def test_unknown_layer_is_answered_with_status_200(self, sky):
        answer = viewer(sky, layer="sdss99")
        assert (answer.status_code, answer.text) == (200, "no such layer")

    @pytest.mark.parametrize("absent", ["ra", "dec"])
    def test_position_is_required(self, sky, absent):
        assert viewer(sky, **{absent: None}).status_code == 400

    def test_size_is_256_unless_asked(self, sky):
        cube, _ = open_fits(viewer(sky, size=None).content)
        assert cube.shape == (2, 256, 256)

    def test_more_than_3000_pixels_are_cut_without_notice(self, sky):
        cube, _ = open_fits(viewer(sky, width=4000, height=2).content)
        assert cube.shape == (2, 2, 3000)

    def test_off_the_survey_is_all_zeros(self):
        with LocalSky(coverage={"galex": lambda ra, dec: False}) as sky:
            cube, _ = open_fits(viewer(sky).content)
        assert cube.shape == (2, 32, 32)
        assert not cube.any()

    def test_sums_change_with_the_area_of_a_pixel(self, sky):
        native = finer = 0.0
        for ra in RA + np.arange(8) / 10:  # eight galaxies, against the noise
            place = {"ra": ra, "layer": "unwise-neo7"}
            coarse, _ = open_fits(viewer(sky, size=32, pixscale=2.75, **place).content)
            fine, _ = open_fits(viewer(sky, size=64, pixscale=1.375, **place).content)
            native += coarse[0, 10:22, 10:22].sum()
            finer += fine[0, 20:44, 20:44].sum()
        # the brightness of the sky is kept, so four times the pixels, four the sum
        assert finer / native == pytest.approx(4, rel=0.05)

    def test_one_band_is_an_image_not_a_cube(self, sky):
        image, header = open_fits(viewer(sky, layer="ls-dr10", bands="g").content)
        assert image.shape == (32, 32)
        assert header["BANDS"] == "g"

    def test_weights_and_maskbits_come_as_extensions(self, sky):
        answer = viewer(sky, invvar="", maskbits="")
        with fits.open(io.BytesIO(answer.content)) as hdus:
            hdus.verify("exception")
            assert [hdu.name for hdu in hdus] == ["PRIMARY", "INVVAR", "MASKBITS"]
            assert hdus["MASKBITS"].data.shape == (32, 32)


class TestMadeImages:
    def test_same_seed_makes_the_same_sky(self, sky):
        with LocalSky(seed=3) as again:
            assert viewer(again).content == viewer(sky).content

    def test_another_seed_makes_another_sky(self, sky):
        with LocalSky(seed=4) as other:
            assert viewer(other).content != viewer(sky).content

    @pytest.mark.parametrize("letter", "gy")
    def test_a_ps1_image_is_identified_by_its_pixels(self, sky, letter):
        image = read_cutout(io.BytesIO(ps1_image(sky, letter)), f"ps1.{letter}")
        assert sky.identify(image) == (f"ps1.{letter}", RA, DEC)

    def test_each_plane_of_a_cube_is_identified(self, sky):
        cube, _ = open_fits(viewer(sky, layer="unwise-neo7").content)
        names = [sky.identify(plane)[0] for plane in cube]
        assert names == ["unwise.W1", "unwise.W2"]

    def test_an_image_never_served_is_nobodys(self, sky):
        assert sky.identify(np.ones((32, 32), dtype="f4")) is None

    def test_blank_sky_is_nobodys(self):
        with LocalSky(coverage={"galex": lambda ra, dec: False}) as sky:
            cube, _ = open_fits(viewer(sky).content)
            assert sky.identify(cube[0]) is None


class TestGivenImages:
    """Images with a source off the middle, so that a flip or shift would show."""

    @pytest.fixture
    def image(self):
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
        wcs.wcs.crval, wcs.wcs.crpix = (RA, DEC), (20.5, 20.5)
        angle = np.radians(20)
        wcs.wcs.cd = (
            np.array([[-np.cos(angle), np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            * 0.25
            / 3600
        )
        data = np.zeros((40, 40), dtype="f4")
        data[30, 12] = 7
        return CCDData(data, unit="adu", wcs=wcs, meta={"exposure_time": 123.0})

    @pytest.fixture
    def cutouts(self, image):
        coord = SkyCoord(RA, DEC, unit="deg")
        return MultibandCutout(coord, {"ps1.g": image})

    def check(self, sky, image):
        served = read_cutout(io.BytesIO(ps1_image(sky, size=30)), "ps1.g")
        (y,), (x,) = np.nonzero(served.data == 7)
        place = served.wcs.wcs_pix2world([[x, y]], 0)
        assert np.allclose(place, image.wcs.wcs_pix2world([[12, 30]], 0), atol=1e-9)
        assert served.meta["exposure_time"] == 123

    def test_a_mapping_of_positions(self, image):
        with LocalSky({(RA, DEC): {"ps1.g": image}}) as sky:
            self.check(sky, image)

    def test_multiband_cutouts(self, image, cutouts):
        with LocalSky([cutouts]) as sky:
            self.check(sky, image)

    def test_a_callable(self, image):
        with LocalSky(lambda coord, band: image if band.name == "g" else None) as sky:
            self.check(sky, image)

    def test_a_cutout_source(self, image, cutouts):
        class Source:
            def iter_cutouts(self, coords, bands):
                for index in range(len(coords)):
                    yield index, cutouts, dict.fromkeys(bands, NO_COVERAGE)

        with LocalSky(Source()) as sky:
            self.check(sky, image)

    def test_nothing_where_no_image_is_near(self, cutouts):
        with LocalSky([cutouts]) as sky:
            assert rows_of(list_files(sky, ra=RA + 0.01).text) == []
            (row, *_) = rows_of(list_files(sky).text)
            assert fitscut(sky, row["filename"], ra=RA + 0.01).status_code == 404

    def test_bands_without_an_image_are_not_listed(self, cutouts):
        with LocalSky([cutouts]) as sky:
            rows = rows_of(list_files(sky, filters="gri").text)
        assert {row["filter"] for row in rows} == {"g"}

    def test_pixels_beyond_a_small_image_are_nan(self, cutouts):
        with LocalSky([cutouts]) as sky:
            image, _ = open_fits(ps1_image(sky, size=60))
        assert np.isnan(image[:10]).all()
        assert np.isfinite(image[10:50, 10:50]).all()

    def test_other_pixels_show_the_same_place(self):
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
        wcs.wcs.crval, wcs.wcs.crpix = (RA, DEC), (16.5, 16.5)
        wcs.wcs.cdelt = -1.5 / 3600, 1.5 / 3600
        y, x = np.mgrid[:32, :32]
        data = np.exp(-((x - 20.0) ** 2 + (y - 10.0) ** 2) / 18)
        image = CCDData(data, unit=u.ct / u.s, wcs=wcs)
        with LocalSky(lambda coord, band: image) as sky:
            cube, header = open_fits(viewer(sky, size=64, pixscale=0.75).content)
        y, x = np.mgrid[:64, :64]
        centroid = [[(x * cube[0]).sum(), (y * cube[0]).sum()] / cube[0].sum()]
        there = celestial(header).wcs_pix2world(centroid, 0)
        expected = wcs.wcs_pix2world([[20, 10]], 0)
        assert np.allclose(there, expected, atol=0.1 / 3600)
        # brightness is kept, so four times the pixels, four times the sum
        assert cube[0].sum() == pytest.approx(4 * data.sum(), rel=0.01)

    def test_other_things_are_refused(self):
        with pytest.raises(TypeError, match="'images' must be a CutoutSource"):
            LocalSky(images=3)


class TestFiles:
    path = "/unwise/tile.fits"
    content = bytes(range(256)) * 20

    @pytest.fixture
    def url(self):
        with LocalSky(files={self.path: self.content}) as sky:
            yield sky.urls["files"] + self.path

    def get(self, url, wanted):
        return requests.get(url, headers={"Range": wanted}, timeout=20)

    def test_the_whole_file(self, url):
        answer = requests.get(url, timeout=20)
        assert answer.content == self.content
        assert answer.headers["Accept-Ranges"] == "bytes"

    @pytest.mark.parametrize(
        ("wanted", "part"),
        [
            ("bytes=0-0", slice(0, 1)),
            ("bytes=100-199", slice(100, 200)),
            ("bytes=5000-", slice(5000, None)),
            ("bytes=-7", slice(-7, None)),
            ("bytes=5100-9999", slice(5100, None)),
        ],
    )
    def test_a_range_of_bytes(self, url, wanted, part):
        answer = self.get(url, wanted)
        first = range(len(self.content))[part][0]
        last = range(len(self.content))[part][-1]
        assert answer.status_code == 206
        assert answer.content == self.content[part]
        assert answer.headers["Content-Range"] == f"bytes {first}-{last}/5120"

    def test_a_range_beyond_the_end_cannot_be_satisfied(self, url):
        answer = self.get(url, "bytes=6000-7000")
        assert answer.status_code == 416
        assert answer.headers["Content-Range"] == "bytes */5120"

    def test_head_tells_the_length(self, url):
        answer = requests.head(url, timeout=20)
        assert answer.headers["Content-Length"] == "5120"
        assert answer.content == b""

    def test_a_file_can_be_made_when_first_asked_for(self):
        calls = []

        def make():
            calls.append(1)
            return b"made"

        with LocalSky(files={"/made": make}) as sky:
            assert calls == []
            for _ in range(2):
                answer = requests.get(sky.urls["files"] + "/made", timeout=20)
                assert answer.content == b"made"
        assert calls == [1]


class TestLimits:
    def test_latency_is_waited_for(self):
        with LocalSky(latency=0.15) as sky:
            start = time.monotonic()
            list_files(sky)
            assert time.monotonic() - start >= 0.15

    def test_bandwidth_is_not_exceeded(self):
        with LocalSky(bandwidth=50_000) as sky:
            start = time.monotonic()
            n_bytes = len(viewer(sky).content)
            # the last twentieth of a second's worth is sent at once
            assert time.monotonic() - start >= n_bytes / 50_000 - 0.05

    def test_connections_beyond_the_limit_are_refused(self):
        with LocalSky(latency=0.3, max_connections=2) as sky:
            threads = [threading.Thread(target=list_files, args=[sky]) for _ in "abcde"]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert sky.count(status=503) >= 3
            assert sky.count(status=200) <= 2

    def test_requests_in_flight_are_counted_by_host(self):
        with LocalSky(latency=0.3) as sky:
            threads = [threading.Thread(target=list_files, args=[sky]) for _ in "abc"]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            viewer(sky)
            assert sky.peak_in_flight("panstarrs") == 3
            assert sky.peak_in_flight("legacy_survey") == 1


class TestLog:
    def test_counts_by_address_and_by_facts(self):
        with LocalSky(faults=[Fault(503, match="galex", attempts=[0])]) as sky:
            viewer(sky)
            viewer(sky)
            list_files(sky)
            assert sky.count() == 3
            assert sky.count("layer=galex") == 2
            assert sky.count(host="legacy_survey", status=503) == 1
            assert sky.count(fault=None) == 2

    def test_repeats_are_counted_for_each_thing_asked_for(self):
        with LocalSky() as sky:
            viewer(sky)
            viewer(sky)
            list_many(sky, [(RA, DEC), (20, 80)])
            list_many(sky, [(RA, DEC), (20, 80)])
            list_many(sky, [(RA, DEC)])
            assert sorted(sky.repeats().values()) == [1, 2, 2]

    def test_tells_how_many_positions_a_list_asked_for(self):
        with LocalSky() as sky:
            list_many(sky, [(RA, DEC), (20, 80), (30, 40)])
            assert [request.n_positions for request in sky.requests] == [3]

    def test_tells_how_long_an_answer_took_and_its_size(self):
        with LocalSky(latency=0.1) as sky:
            answer = viewer(sky)
            while not sky.requests[0].stop > 0:
                time.sleep(0.01)  # the answer arrives before it is written down
            (request,) = sky.requests
            assert request.stop - request.start >= 0.1
            assert request.n_bytes == len(answer.content)


class TestFaults:
    @pytest.fixture
    def sky(self):
        with LocalSky(seed=3) as sky:
            yield sky

    @pytest.fixture
    def filename(self):
        return find_skycells(RA, DEC)[0].file_name("g")

    @pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
    def test_status(self, sky, status):
        sky.faults = [Fault(status)]
        answer = viewer(sky)
        assert answer.status_code == status
        assert "Retry-After" not in answer.headers

    @pytest.mark.parametrize(
        "retry_after", [2, 0.5, "Wed, 21 Oct 2026 07:28:00 GMT"], ids=str
    )
    def test_retry_after(self, sky, retry_after):
        sky.faults = [Fault(429, retry_after=retry_after)]
        assert viewer(sky).headers["Retry-After"] == str(retry_after)

    def test_hang_before_the_body(self, sky):
        sky.faults = [Fault("hang")]
        with pytest.raises(requests.ReadTimeout, match="timed out"):
            viewer(sky, timeout=0.2)

    def test_hang_in_the_body(self, sky):
        sky.faults = [Fault("hang_in_body")]
        with pytest.raises(requests.ConnectionError, match="timed out"):
            viewer(sky, timeout=0.2)

    def test_reset(self, sky):
        sky.faults = [Fault("reset")]
        with pytest.raises(requests.exceptions.ChunkedEncodingError, match="reset"):
            viewer(sky)

    def test_cut_short(self, sky):
        sky.faults = [Fault("cut_short")]
        with pytest.raises(
            requests.exceptions.ChunkedEncodingError, match="5760 more expected"
        ):
            viewer(sky)

    def test_slow_drip_never_stalls_but_takes_its_time(self, sky):
        sky.faults = [Fault("slow_drip", seconds=0.6)]
        start = time.monotonic()
        answer = viewer(sky, timeout=0.4)
        assert len(answer.content) == 11520
        assert time.monotonic() - start > 0.5

    def test_refused(self, sky):
        sky.faults = [Fault("refused")]
        with pytest.raises(requests.ConnectionError, match="reset by peer"):
            viewer(sky)

    def test_gzip_bomb(self, sky):
        sky.faults = [Fault("gzip_bomb")]
        answer = viewer(sky)
        assert int(answer.headers["Content-Length"]) < 20_000
        assert len(answer.content) == 2**24

    def test_blank_and_wrong_scale_differ_from_the_image_in_that_alone(self, sky):
        with fits.open(io.BytesIO(viewer(sky).content)) as hdus:
            data, scale = hdus[0].data, hdus[0].header["CD2_2"]
        sky.faults = [Fault("blank")]
        with fits.open(io.BytesIO(viewer(sky).content)) as hdus:
            assert hdus[0].data.shape == data.shape
            assert not hdus[0].data.any()
            assert hdus[0].header["CD2_2"] == scale
        sky.faults = [Fault("wrong_scale")]
        with fits.open(io.BytesIO(viewer(sky).content)) as hdus:
            assert np.array_equal(hdus[0].data, data)
            assert hdus[0].header["CD2_2"] == pytest.approx(2 * scale)

    def test_html(self, sky):
        sky.faults = [Fault("html")]
        answer = viewer(sky)
        assert answer.status_code == 200
        assert answer.text.startswith("<!DOCTYPE html>")

    def test_no_such_layer(self, sky):
        sky.faults = [Fault("no_such_layer")]
        assert viewer(sky).text == "no such layer"

    def test_empty(self, sky):
        sky.faults = [Fault("empty")]
        answer = viewer(sky)
        assert (answer.status_code, answer.content) == (200, b"")

    def test_wrong_shape(self, sky, filename):
        sky.faults = [Fault("wrong_shape")]
        assert open_fits(viewer(sky).content)[0].shape == (2, 16, 16)
        assert open_fits(fitscut(sky, filename).content)[0].shape == (85, 85)

    def test_wrong_centre_is_told_by_the_header(self, sky, filename):
        sky.faults = [Fault("wrong_centre")]
        for content in (viewer(sky).content, fitscut(sky, filename).content):
            image, header = open_fits(content)
            _, y = celestial(header).wcs_world2pix([[RA, DEC]], 0)[0]
            assert abs(y - (image.shape[-1] - 1) / 2) > 10

    def test_wrong_band_is_told_by_the_header(self, sky, filename):
        sky.faults = [Fault("wrong_band")]
        assert open_fits(viewer(sky).content)[1]["BANDS"] == "12"
        header = open_fits(fitscut(sky, filename).content)[1]
        assert header["FPA.FILTERID"] == "r.00000"

    def test_redirect_leads_to_the_answer(self, sky):
        sky.faults = []
        expected = viewer(sky).content
        sky.faults = [Fault("redirect")]
        answer = viewer(sky)
        assert [r.status_code for r in answer.history] == [302]
        assert answer.content == expected

    def test_redirect_of_a_post_keeps_the_positions(self, sky):
        sky.faults = [Fault("redirect")]
        rows = rows_of(list_many(sky, [(RA, DEC), (20, 80)]))
        assert {row["ra"] for row in rows} == {"150.100000", "20.000000"}

    def test_rows_come_twice(self, sky):
        sky.faults = []
        expected = rows_of(list_files(sky).text)
        sky.faults = [Fault("duplicate_rows")]
        assert rows_of(list_files(sky).text) == [r for r in expected for _ in "ab"]

    def test_rows_of_every_second_position_are_missing(self, sky):
        sky.faults = [Fault("missing_rows")]
        rows = rows_of(list_many(sky, [(RA, DEC), (20, 80), (30, 40), (50, 60)]))
        assert {row["ra"] for row in rows} == {"150.100000", "30.000000"}

    def test_rows_are_shuffled(self, sky):
        sky.faults = []
        expected = list_files(sky).text.splitlines()
        sky.faults = [Fault("shuffled_rows")]
        shuffled = list_files(sky).text.splitlines()
        assert shuffled[0] == expected[0]
        assert shuffled != expected
        assert sorted(shuffled) == sorted(expected)

    @pytest.mark.parametrize(
        "kind", ["no_such_layer", "wrong_shape", "wrong_centre", "wrong_band"]
    )
    def test_faults_of_images_leave_the_list_alone(self, sky, kind):
        sky.faults = []
        expected = list_files(sky).text
        sky.faults = [Fault(kind)]
        assert list_files(sky).text == expected

    def test_attempts_say_which_requests_are_struck(self):
        with LocalSky(faults=[Fault(503, attempts=range(1, 3))]) as sky:
            assert [viewer(sky).status_code for _ in range(4)] == [200, 503, 503, 200]

    def test_the_first_that_strikes_wins(self):
        with LocalSky(faults=[Fault(503, match="galex"), Fault(500)]) as sky:
            assert viewer(sky).status_code == 503
            assert viewer(sky, layer="unwise-neo7").status_code == 500

    def test_faults_do_not_depend_on_the_order_of_requests(self):
        ras = [10, 20, 30, 40, 50, 60, 70, 80]

        def struck(order):
            with LocalSky(seed=1, faults=[Fault(503, probability=0.5)]) as sky:
                return {ra: viewer(sky, ra=ra).status_code for ra in order}

        forward = struck(ras)
        assert forward == struck(ras[::-1])
        assert set(forward.values()) == {200, 503}

    @pytest.mark.parametrize(
        "path", ["/cgi-bin/ps1filenames.py", "/viewer/fits-cutout"]
    )
    def test_mixed_faults_strike_their_share_with_every_kind(self, path):
        mixed = mixed_faults(0.3)
        request = _FakeRequest(path)
        n, kinds = 5000, []
        for i in range(n):
            request.identity = str(i)
            fault = faults.choose_fault(mixed, request, seed=0)
            kinds += [fault.kind] if fault else []
        expected = {fault.kind for fault in mixed if fault.applies_to(path)}
        assert set(kinds) == expected
        assert len(kinds) / n == pytest.approx(0.3, abs=4 * np.sqrt(0.3 * 0.7 / n))

    @pytest.mark.parametrize("kind", ["nonsense", 200, 700, None])
    def test_unknown_kinds_are_refused(self, kind):
        with pytest.raises(ValueError, match="'kind' must be an HTTP status"):
            Fault(kind)

    @pytest.mark.parametrize("probability", [-0.1, 1.1, np.nan])
    def test_probabilities_are_from_0_to_1(self, probability):
        with pytest.raises(ValueError, match="'probability' must be from 0 to 1"):
            Fault("html", probability=probability)


class _FakeRequest:
    method, attempt, identity = "GET", 0, ""

    def __init__(self, path):
        self.path = self.url = path


def test_importing_the_server_imports_nothing_heavy():
    import subprocess
    import sys

    code = (
        "import sys, mantis_astro.simulation.server.local_sky; "
        "print({'torch', 'astroquery', 'photutils', 'scipy.stats'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_bands_of_made_images_use_the_registry():
    from mantis_astro.simulation.server.images import MadeImages

    made = MadeImages(seed=1)
    image = made.draw(
        get_band("ps1.g"),
        RA,
        DEC,
        shape=(5, 7),
        pixel=(3, 2),
        pixel_scale=0.25,
        exposure_time=100,
    )
    assert image.shape == (5, 7)
    assert image.dtype == np.float32
