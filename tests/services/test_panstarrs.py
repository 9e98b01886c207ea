import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astroquery.exceptions import (
    InvalidQueryError,
    NoResultsWarning,
    RemoteServiceError,
)

from mantis_astro import get_band
from mantis_astro.services import PanSTARRS, PanSTARRSClass, conf
from mantis_astro.services.validation import BadAnswerError
from mantis_astro.simulation.server import Fault
from mantis_astro.simulation.server.protocols import PanstarrsProtocol
from tests.services.fakes import (
    DATA,
    DEC,
    RA,
    fitscut_bytes,
    position_at_edge_of_skycell,
    position_between_skycells,
)

LIST = (DATA / "ps1filenames.txt").read_bytes()
G, R = get_band("ps1.g"), get_band("ps1.r")
COORD = SkyCoord(RA, DEC, unit="deg")
TWO = ([RA, 121.6], [DEC, 1.04])


@pytest.fixture
def service(tmp_path):
    service = PanSTARRSClass()
    service.cache_location = tmp_path
    return service


def test_payload_names_bands_and_positions():
    payload = PanSTARRS.get_file_list(
        SkyCoord([10.0, 20.0], [1.0, -2.0], unit="deg"),
        bands="gy",
        get_query_payload=True,
    )
    assert payload == {
        "filters": "gy",
        "type": "stack",
        "positions": "10.0000000 1.0000000\n20.0000000 -2.0000000\n",
    }


def test_galactic_positions_are_sent_as_icrs():
    payload = PanSTARRS.get_images(COORD.galactic, bands="g", get_query_payload=True)
    assert payload["positions"] == f"{RA:.7f} {DEC:.7f}\n"


def test_files_are_found_for_their_positions_and_sorted():
    first, second = PanSTARRS.parse_list(LIST, *TWO, (G, R))
    assert {band: len(files) for band, files in first.items()} == {G: 1, R: 1}
    assert [file[:2] for file in second[G]] == [(1698, 36), (1698, 37)]
    assert R not in second


def test_order_and_duplicates_of_rows_do_not_matter():
    header, *rows = LIST.decode().splitlines()
    mixed = "\n".join([header, *rows[::-1], *rows]) + "\n"
    assert PanSTARRS.parse_list(mixed.encode(), *TWO, (G, R)) == PanSTARRS.parse_list(
        LIST, *TWO, (G, R)
    )


def test_positions_are_recognised_across_the_meridian():
    text = LIST.decode().replace("7.093900 -10.650980", "359.999999 0.000000")
    files, _ = PanSTARRS.parse_list(text.encode(), [1e-8, 121.6], [0.0, 1.04], (G,))
    assert G in files


def test_positions_closer_than_the_list_rounds_all_get_their_files():
    ra, dec = [RA, RA + 1e-7, RA - 1e-7, 121.6], [DEC, DEC, DEC + 1e-7, 1.04]
    files = PanSTARRS.parse_list(LIST, ra, dec, (G, R))
    assert files[0] == files[1] == files[2]
    assert G in files[0]


def test_rows_of_other_bands_and_types_are_passed_over():
    text = LIST.decode().replace(" stack ", " warp ", 1)
    first, _ = PanSTARRS.parse_list(text.encode(), *TWO, (G, R))
    assert list(first) == [R]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no list of images"),
        ((DATA / "maintenance.html").read_bytes(), "no list of images"),
        (LIST[:-40], "cut short or broken"),
        (LIST.replace(b"121.600000", b"121.700000"), "121.7 .* not asked for"),
    ],
    ids=["empty", "html", "cut short", "elsewhere"],
)
def test_what_is_no_list_of_these_positions_is_refused(content, message):
    with pytest.raises(BadAnswerError, match=message):
        PanSTARRS.parse_list(content, *TWO, (G, R))


def test_image_address():
    request = PanSTARRS.image_request(RA, DEC, (G,), (170, 170), "/a/b.stk.g.fits")
    assert request.http.url == (
        "https://ps1images.stsci.edu/cgi-bin/fitscut.cgi?ra=7.0939000&dec=-10.6509800"
        "&size=170&format=fits&red=/a/b.stk.g.fits"
    )


def test_servers_are_read_from_conf_at_the_call():
    with conf.set_temp("panstarrs_filenames", "http://elsewhere/list"):
        assert PanSTARRS.list_request([1], [2], (G,)).url == "http://elsewhere/list"
    assert "stsci" in PanSTARRS.list_request([1], [2], (G,)).url


def test_timeout_follows_conf_until_it_is_set():
    service = PanSTARRSClass()
    with conf.set_temp("timeout", 7.0):
        assert service.TIMEOUT == 7.0
    service.TIMEOUT = 3
    assert service.TIMEOUT == 3


def test_images_of_a_position(sky, service):
    images = service.get_images(COORD, bands=["ps1.g", "i"], size=10 * u.arcsec)
    assert [image.meta["band"] for image in images] == ["ps1.g", "ps1.i"]
    assert [sky.identify(image)[0] for image in images] == ["ps1.g", "ps1.i"]
    assert images[0].shape == (40, 40)


def test_many_positions_take_one_request(sky, service):
    coords = SkyCoord(np.linspace(0, 300, 50), np.linspace(-20, 60, 50), unit="deg")
    table = service.get_file_list(coords)
    assert sky.count("ps1filenames") == 1
    assert set(table["position"]) == set(range(50))
    assert set(table["band"]) == {"ps1.g", "ps1.r", "ps1.i", "ps1.z", "ps1.y"}


def test_the_same_position_twice_is_asked_once(sky, service):
    table = service.get_file_list(SkyCoord([RA, RA], [DEC, DEC], unit="deg"))
    assert sky.requests[0].n_positions == 1
    assert sorted(set(table["position"])) == [0, 1]


def test_an_empty_list_keeps_its_columns(sky, service):
    table = service.get_file_list(SkyCoord(10, -60, unit="deg"))
    assert len(table) == 0
    assert table.colnames == ["position", "band", "projcell", "subcell", "filename"]


def test_image_list_names_an_address_for_each_band(sky, service):
    urls = service.get_image_list(COORD, bands="gr")
    assert [url.split(".stk.")[1][0] for url in urls] == ["g", "r"]


def test_south_of_the_survey_costs_no_request(sky, service):
    with pytest.warns(NoResultsWarning, match="Pan-STARRS1 has no ps1.g image at"):
        assert service.get_images(SkyCoord(10, -31, unit="deg"), bands="g") == []
    assert sky.requests == []


def test_of_several_skycells_the_one_that_covers_is_taken(sky, service):
    """Next to the edge of a skycell, its neighbour covers the whole field."""
    edge = position_at_edge_of_skycell()
    (image,) = service.get_images(edge, bands="g", size=40 * u.arcsec)
    assert image.mask is None
    assert sky.count("fitscut") == 2


@pytest.mark.parametrize("best", [0, 1])
def test_where_no_skycell_covers_the_field_the_one_that_covers_most_is_taken(
    sky, service, best
):
    coord, path = position_between_skycells(best)
    (image,) = service.get_images(coord, bands="g", size=175 * u.arcsec)
    assert image.meta["url"].endswith(path)
    assert sky.count("fitscut") == 2


@pytest.mark.usefixtures("quick")
def test_an_image_is_kept_only_after_it_was_proved(sky, service):
    sky.faults = [Fault("html", match="fitscut")]
    with pytest.raises(RemoteServiceError, match="no FITS file"):
        service.get_images(COORD, bands="g")
    sky.faults = []
    assert len(service.get_images(COORD, bands="g")) == 1
    n_requests = len(sky.requests)
    assert len(service.get_images(COORD, bands="g")) == 1  # from the cache
    assert len(sky.requests) == n_requests
    service.get_images(COORD, bands="g", cache=False)
    assert len(sky.requests) == n_requests + 2


def cut_lists_to_their_header(monkeypatch, n):
    """The first lists of the server have no rows."""
    whole, served = PanstarrsProtocol._file_list, []

    def file_list(self, *args):
        answer = whole(self, *args)
        served.append(answer)
        if len(served) <= n:
            answer.body = answer.body.partition(b"\n")[0] + b"\n"
        return answer

    monkeypatch.setattr(PanstarrsProtocol, "_file_list", file_list)


def test_a_list_cut_to_its_header_is_neither_believed_nor_kept(
    sky, service, monkeypatch, tmp_path
):
    cut_lists_to_their_header(monkeypatch, 2)
    assert len(service.get_images(COORD, bands="g")) == 1
    assert sky.count("ps1filenames") == 3
    assert len(list(tmp_path.rglob("*.answer"))) == 2  # the whole list and the image


def test_an_absence_is_never_kept(sky, service, monkeypatch, tmp_path):
    cut_lists_to_their_header(monkeypatch, 3)
    with pytest.warns(NoResultsWarning, match="no ps1.g image"):
        assert service.get_images(COORD, bands="g") == []
    assert not list(tmp_path.rglob("*.answer"))
    assert len(service.get_file_list(COORD, bands="g")) == 1


@pytest.mark.parametrize("damage", [b"", b"<html>", b"projcell subcell ra dec"])
def test_a_damaged_file_is_dropped_and_the_server_asked(sky, service, tmp_path, damage):
    (image,) = service.get_images(COORD, bands="g")
    for path in tmp_path.rglob("*.answer"):
        path.write_bytes(damage)
    n_requests = len(sky.requests)
    (again,) = service.get_images(COORD, bands="g")
    assert len(sky.requests) == n_requests + 2
    np.testing.assert_array_equal(again.data, image.data)
    service.get_images(COORD, bands="g")  # the files are good again
    assert len(sky.requests) == n_requests + 2


def test_without_a_folder_to_write_nothing_is_kept(sky, service, tmp_path):
    (tmp_path / "file").touch()
    service.cache_location = tmp_path / "file" / "folder"
    assert len(service.get_images(COORD, bands="g")) == 1


@pytest.mark.usefixtures("quick")
def test_passing_trouble_is_ridden_out(sky, service):
    sky.faults = [Fault(503, attempts=[0]), Fault("reset", attempts=[1])]
    assert len(service.get_images(COORD, bands="gr")) == 2


def test_a_blank_image_is_asked_for_again(sky, service, monkeypatch):
    whole, served = PanstarrsProtocol._cutout, []

    def cutout(self, query):
        answer = whole(self, query)
        served.append(answer)
        if len(served) == 1:
            answer.body = fitscut_bytes(np.zeros((40, 40)), size=40)
        return answer

    monkeypatch.setattr(PanstarrsProtocol, "_cutout", cutout)
    (image,) = service.get_images(COORD, bands="g", size=10 * u.arcsec)
    assert sky.identify(image)[0] == "ps1.g"


def test_cleared_cache_is_empty(sky, service, tmp_path):
    service.get_images(COORD, bands="g")
    assert list(tmp_path.rglob("*.answer"))
    service.clear_cache()
    assert not list(tmp_path.rglob("*.answer"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bands": ["q"]}, "Pan-STARRS1 has no band 'q'; there are g, r, i, z, y"),
        ({"bands": ["galex.NUV"]}, "Pan-STARRS1 has no band 'galex.NUV'"),
        ({"size": 40}, "'size' must be an angle"),
        ({"size": 1 * u.deg}, "'size' must be 1 to 6000 pixels .* = 14400 pixels"),
        ({"size": 0 * u.deg}, "'size' must be 1 to 6000 pixels"),
        ({"pixel_scale": 1 * u.arcsec}, "its own pixels of 0.25 arcsec only"),
    ],
)
def test_wrong_calls_are_refused_without_a_request(options, message):
    with pytest.raises(InvalidQueryError, match=message):
        PanSTARRS.get_images(COORD, get_query_payload=False, **options)


@pytest.mark.parametrize("coordinates", [7, SkyCoord(np.nan, 1, unit="deg")])
def test_what_is_no_position_is_refused(coordinates):
    with pytest.raises(InvalidQueryError, match="'coordinates' must be"):
        PanSTARRS.get_images(coordinates)


def test_one_position_at_a_time():
    with pytest.raises(InvalidQueryError, match="one position, got 2; use Survey"):
        PanSTARRS.get_images(SkyCoord([1, 2], [3, 4], unit="deg"))


def test_positions_near_the_pole_may_be_rounded_in_right_ascension():
    """There a degree of right ascension is short: 4e-4 degrees are 0.13 arcsec."""
    text = LIST.decode().replace("7.093900 -10.650980", "7.094300 85.000000")
    files, _ = PanSTARRS.parse_list(text.encode(), [7.0939, 121.6], [85.0, 1.04], (G,))
    assert G in files
