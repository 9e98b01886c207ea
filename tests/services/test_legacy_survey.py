import astropy.units as u
import pytest
from astropy.coordinates import SkyCoord
from astroquery.exceptions import (
    InvalidQueryError,
    NoResultsWarning,
    RemoteServiceError,
    TimeoutError,
)

from mantis_astro.services import (
    GALEX,
    LegacySurvey,
    LegacySurveyClass,
    UnWISE,
    conf,
)
from mantis_astro.services.transport import Answer
from mantis_astro.simulation.server import Fault, LocalSky
from tests.services.fakes import DEC, RA, image_request, viewer_bytes

COORD = SkyCoord(RA, DEC, unit="deg")


@pytest.fixture
def galex(tmp_path):
    service = LegacySurveyClass("galex")
    service.cache_location = tmp_path
    return service


def test_payloads_are_those_of_the_published_network():
    assert GALEX.get_images(COORD, get_query_payload=True) == {
        "ra": "7.0939000",
        "dec": "-10.6509800",
        "size": 32,
        "pixscale": 1.5,
        "layer": "galex",
    }
    assert UnWISE.get_images(COORD, get_query_payload=True)["layer"] == "unwise-neo7"
    assert UnWISE.get_images(COORD, get_query_payload=True)["pixscale"] == 2.75


def test_optical_layers_are_asked_for_their_bands():
    payload = LegacySurvey.get_images(COORD, bands="gz", get_query_payload=True)
    assert payload["bands"] == "gz"
    assert "bands" not in GALEX.get_images(COORD, bands=["NUV"], get_query_payload=True)


def test_request_and_parse_work_apart(galex):
    request = galex.image_request(RA, DEC, galex.survey.bands, (8, 8))
    assert request.http.url.startswith(conf.legacy_survey)
    answer = Answer(content=viewer_bytes())
    parsed = galex.accept(answer, image_request(*galex.survey.bands))
    assert [str(band) for band in parsed] == ["galex.NUV", "galex.FUV"]


@pytest.mark.parametrize("service", [GALEX, UnWISE, LegacySurvey])
def test_every_band_of_an_image_is_its_own(sky, service):
    images = service.get_images(COORD, cache=False)
    assert [image.meta["band"] for image in images] == [
        str(band) for band in service.survey.bands
    ]
    for image in images:
        assert sky.identify(image) == (image.meta["band"], RA, DEC)
    assert len(sky.requests) == 1


def test_size_and_pixel_scale(sky, galex):
    (image,) = galex.get_images(
        COORD, bands=["FUV"], size=60 * u.arcsec, pixel_scale=3 * u.arcsec
    )
    assert image.shape == (20, 20)
    assert sky.requests[0].query["pixscale"] == "3.0"


def test_what_the_viewer_would_clip_is_refused():
    with pytest.raises(InvalidQueryError, match="'size' must be 1 to 3000 pixels"):
        LegacySurvey.get_images(COORD, size=15 * u.arcmin)


def test_off_the_survey_is_an_empty_list_and_a_warning(galex):
    with (
        LocalSky(coverage={"galex": lambda ra, dec: False}) as sky,
        sky.configure(conf),
        pytest.warns(NoResultsWarning, match="no galex.NUV, galex.FUV image"),
    ):
        assert galex.get_images(COORD) == []


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        (Fault(503), RemoteServiceError, "HTTP status 503: try again later"),
        (Fault("reset"), RemoteServiceError, "broke off"),
        (Fault("no_such_layer"), RemoteServiceError, "no such layer"),
        (Fault("wrong_centre"), RemoteServiceError, "from the position"),
        (Fault("hang", seconds=2), TimeoutError, "was silent for more than 0.2 s"),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
@pytest.mark.usefixtures("quick")
def test_trouble_is_an_error_of_astroquery(sky, galex, fault, error, message):
    sky.faults = [fault]
    galex.TIMEOUT = 0.2
    with pytest.raises(error, match=message):
        galex.get_images(COORD)


@pytest.mark.usefixtures("quick")
def test_nobody_at_the_address(galex):
    with (
        conf.set_temp("legacy_survey", "http://127.0.0.1:9/x"),
        pytest.raises(RemoteServiceError, match=r"127.0.0.1:9 cannot be reached"),
    ):
        galex.get_images(COORD)


def test_servers_learn_whom_to_write_to(sky, galex):
    with conf.set_temp("contact", "me@example.org"):
        galex.get_images(COORD, cache=False)
    agent = sky.requests[0].headers["User-Agent"]
    assert "mantis_astro/" in agent
    assert "me@example.org" in agent
