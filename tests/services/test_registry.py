import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astroquery.exceptions import RemoteServiceError

from mantis_astro import SurveyCutouts
from mantis_astro.exceptions import MissingBandError
from mantis_astro.services import (
    CutoutServiceClass,
    LegacySurveyClass,
    conf,
    get_cutouts,
    get_service,
    get_services,
    list_services,
    register_service,
    unregister_service,
)
from mantis_astro.services.request import HttpRequest, ImageRequest
from mantis_astro.simulation.server import Fault
from tests.services.fakes import DEC, RA, FakeClock

COORD = SkyCoord(RA, DEC, unit="deg")
COORDS = SkyCoord([RA, 121.6, 200.0], [DEC, 1.04, 30.0], unit="deg")


class MirrorClass(CutoutServiceClass):
    """The viewer once more, at an address of its own."""

    def image_requests(self, ra, dec, bands, shape, pixel_scale=None):
        scale = (pixel_scale or self.survey.pixel_scale).to_value("arcsec")
        url = (
            f"{conf.legacy_survey}?mirror=1&ra={ra:.7f}&dec={dec:.7f}&size={shape[0]}"
            f"&pixscale={scale}&layer={self.survey.layer}"
        )
        return [ImageRequest(HttpRequest(url), bands, ra, dec, shape, scale)]


@pytest.fixture
def mirror():
    register_service("mirror", MirrorClass, surveys=["galex", "unwise"])
    yield
    unregister_service("mirror")


@pytest.mark.usefixtures("mirror")
def test_sources_are_asked_in_order_of_preference():
    kinds = [type(service) for service in get_services("galex")]
    assert kinds == [LegacySurveyClass, MirrorClass]
    assert get_service("galex").survey.name == "galex"
    assert list(list_services())[-1] == "mirror"
    assert len(get_services("ps1")) == 1


def test_a_preferred_source_comes_first():
    register_service("mine", MirrorClass, surveys=["galex"], preferred=True)
    try:
        assert type(get_service("galex")) is MirrorClass
    finally:
        unregister_service("mine")
    assert type(get_service("galex")) is LegacySurveyClass


def test_the_list_refuses_what_makes_no_sense():
    with pytest.raises(ValueError, match="a service 'hips' already, besides legacy"):
        register_service("hips", MirrorClass)
    with pytest.raises(ValueError, match="no service 'x'; there are legacy_survey"):
        unregister_service("x")
    with pytest.raises(MissingBandError, match="no survey 'x'"):
        register_service("new", MirrorClass, surveys=["x"])
    assert "new" not in list_services()


@pytest.mark.usefixtures("mirror", "quick")
def test_what_the_first_source_fails_to_give_is_asked_of_the_next(sky):
    sky.faults = [Fault(404, match=r"\?ra=.*layer=galex")]
    cutouts = get_cutouts(COORD, ["galex.NUV", "galex.FUV", "unwise.W1"], cache=False)
    assert len(cutouts) == 3
    assert "mirror=1" in cutouts["galex.NUV"].meta["url"]
    assert "mirror=1" not in cutouts["unwise.W1"].meta["url"]
    assert sky.count("mirror=1") == 1  # a cube has both bands


@pytest.mark.usefixtures("mirror")
def test_a_table_falls_back_too_and_its_report_says_so(sky):
    sky.faults = [Fault(503, match=r"\?ra=.*layer=galex")]
    source = SurveyCutouts(clock=FakeClock(), progress=False)
    bands = ["galex.NUV", "galex.FUV", "unwise.W1"]
    for index, cutouts, statuses in source.iter_cutouts(COORDS, bands):
        assert all(status.is_ok for status in statuses.values())
        name, ra, _ = sky.identify(cutouts["galex.FUV"])
        assert (name, ra) == ("galex.FUV", pytest.approx(COORDS[index].ra.deg))
    assert sky.count("mirror=1") == 3
    for row in source.report():
        assert ("mirror=1" in row["URL"]) == row["band"].startswith("galex")


@pytest.mark.usefixtures("mirror", "quick")
def test_when_all_sources_fail_the_last_one_s_reason_is_given(sky):
    sky.faults = [Fault(503, match=r"\?ra="), Fault(404, match="mirror")]
    with pytest.raises(RemoteServiceError, match="HTTP status 404"):
        get_cutouts(COORD, ["galex.NUV"], cache=False)


@pytest.mark.usefixtures("mirror")
def test_no_coverage_is_an_answer_and_needs_no_other_source(sky):
    source = SurveyCutouts(coverage={"galex": _Nowhere()}, progress=False)
    for *_, statuses in source.iter_cutouts(COORDS, ["galex.NUV"]):
        assert [status.state for status in statuses.values()] == ["no_coverage"]
    assert sky.requests == []


class _Nowhere:
    def contains_lonlat(self, lon, lat):
        return lat.value > 90


@pytest.mark.parametrize("name", list(list_services()))
def test_every_service_names_its_requests_without_sending_any(name):
    survey = {"legacy_survey": "galex", "unwise_cutouts": "unwise"}.get(name, "ps1")
    service = list_services()[name](survey)
    fetcher = service.fetcher(service, None, None, size=None, pixel_scale=None)
    bands = service.survey.bands
    assert fetcher.image_url(RA, DEC, bands, None).startswith("https://")
    ra = np.linspace(0, 300, 10)
    seen = fetcher.foresee(ra, np.zeros(10), bands, 200)
    assert seen.n_requests >= 10 or seen.left.all()
    assert seen.n_bytes >= 10 * 4 * 32**2 or seen.left.all()
