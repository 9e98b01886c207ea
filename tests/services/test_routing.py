import dataclasses

import astropy.units as u
import pytest
from astropy.coordinates import SkyCoord
from astroquery.exceptions import InvalidQueryError

from mantis_astro import bands as registry
from mantis_astro.bands import BANDS, Band, Survey, register_survey
from mantis_astro.exceptions import MissingBandError
from mantis_astro.services import get_cutouts, get_service
from tests.services.fakes import DEC, RA

COORD = SkyCoord(RA, DEC, unit="deg")


@pytest.fixture
def sdss(monkeypatch):
    """One more survey on the viewer: an entry in the registry and nothing else."""
    monkeypatch.setattr(registry, "_surveys", dict(registry._surveys))
    monkeypatch.setattr(registry, "_bands", dict(registry._bands))
    band = Band("sdss", "r", "sdss_r0", 6166 * u.AA, 1.3 * u.arcsec, 22.5)
    return register_survey(
        Survey(
            name="sdss",
            title="SDSS",
            bands=(band,),
            pixel_scale=0.396 * u.arcsec,
            shape=(40, 40),
            unit=u.nmgy,
            magsys="AB",
            service="legacy_survey",
            layer="sdss2",
            reference="2000AJ....120.1579Y",
        )
    )


def test_nine_bands_come_from_their_servers(sky):
    cutouts = get_cutouts(COORD, cache=False)
    assert cutouts.bands == BANDS
    for band, image in cutouts.items():
        assert sky.identify(image) == (str(band), RA, DEC)
    assert (sky.count(host="panstarrs"), sky.count(host="legacy_survey")) == (6, 2)


def test_only_the_bands_asked_for_are_fetched(sky):
    cutouts = get_cutouts(COORD, ["unwise.W2", "ps1.y"], cache=False)
    assert [str(band) for band in cutouts] == ["ps1.y", "unwise.W2"]


def test_bands_without_coverage_are_absent(sky):
    cutouts = get_cutouts(SkyCoord(10, -60, unit="deg"), ["ps1.g", "galex.NUV"])
    assert [str(band) for band in cutouts] == ["galex.NUV"]


def test_another_survey_is_an_entry_in_the_registry(sky, sdss):
    image = get_cutouts(COORD, ["sdss.r"], cache=False)["sdss.r"]
    assert image.shape == (40, 40)
    assert image.meta["zero_point_ab"] == 22.5
    assert sky.requests[0].query["layer"] == "sdss2"


def test_band_codes_name_every_band(sdss):
    band = dataclasses.replace(sdss.bands[0], survey="other")
    with pytest.raises(ValueError, match="a letter for each of 1 bands, got 'ab'"):
        register_survey(
            dataclasses.replace(sdss, name="other", bands=(band,), band_codes="ab")
        )


def test_a_survey_that_nobody_serves_is_refused():
    with pytest.raises(InvalidQueryError, match="no service for AllWISE Atlas"):
        get_service("allwise")


def test_unknown_bands_are_refused():
    with pytest.raises(MissingBandError, match="no band 'hst.f814w'"):
        get_cutouts(COORD, ["hst.f814w"])
