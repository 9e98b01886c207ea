import io

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from astroquery.exceptions import InvalidQueryError, RemoteServiceError

from mantis_astro.services import HiPS, conf
from tests.services.fakes import DEC, RA, noise

COORD = SkyCoord(RA, DEC, unit="deg")


@pytest.fixture
def serve(httpserver):
    def serve(data, **cards):
        file = io.BytesIO()
        hdu = fits.PrimaryHDU(data)
        hdu.header.update(cards)
        hdu.writeto(file)
        httpserver.expect_request("/hips").respond_with_data(file.getvalue())
        return conf.set_temp("hips", httpserver.url_for("/hips"))

    return serve


def test_full_identifiers_are_asked_for():
    bands = ["galex.NUV", "ps1.g", "unwise.W1"]
    payloads = HiPS.get_images(COORD, bands=bands, get_query_payload=True)
    assert [payload["hips"] for payload in payloads] == [
        "CDS/P/GALEXGR6_7/NUV",
        "CDS/P/PanSTARRS/DR1/g",
        "CDS/P/unWISE/W1",
    ]


def test_by_default_each_survey_keeps_its_pixels_with_the_position_in_the_middle():
    (payload,) = HiPS.get_images(COORD, bands=["galex.NUV"], get_query_payload=True)
    wcs = payload["wcs"]
    assert wcs.array_shape == (32, 32)
    x, y = wcs.world_to_pixel(COORD)
    np.testing.assert_allclose([x, y], 15.5, atol=1e-6)
    np.testing.assert_allclose(
        wcs.proj_plane_pixel_scales()[1].to("arcsec"), 1.5 * u.arcsec
    )


def test_any_grid_can_be_asked_for(serve, httpserver):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["GLON-CAR", "GLAT-CAR"]
    wcs.wcs.cdelt = [-0.1, 0.1]
    wcs.array_shape = (5, 7)
    data = noise(5, 7)
    data[0, 0] = np.nan
    with serve(data):
        (image,) = HiPS.get_images(wcs=wcs, bands=["galex.NUV"])
    assert image.wcs is wcs
    assert image.mask.sum() == 1
    np.testing.assert_array_equal(image.data, data)
    request, _ = httpserver.log[0]
    assert request.args["hips"] == "CDS/P/GALEXGR6_7/NUV"


def test_images_to_look_at_carry_no_zero_point(serve):
    with serve(noise(32, 32)):
        (image,) = HiPS.get_images(COORD, bands=["galex.NUV"])
    assert "zero_point_ab" not in image.meta
    assert image.unit == u.dimensionless_unscaled
    assert image.meta["band"] == "galex.NUV"
    assert image.meta["server"].startswith("localhost")


def test_a_unit_that_the_map_states_is_kept(serve):
    with serve(noise(32, 32), BUNIT="Jy"):
        (image,) = HiPS.get_images(COORD, bands=["galex.NUV"])
    assert image.unit == u.Jy


def test_another_shape_than_asked_for_is_refused(serve):
    with (
        serve(noise(16, 16)),
        pytest.raises(RemoteServiceError, match=r"asked for shape \(32, 32\), got"),
    ):
        HiPS.get_images(COORD, bands=["galex.NUV"])


def test_a_refusal_is_an_error_with_the_server_s_words(httpserver):
    httpserver.expect_request("/hips").respond_with_json(
        {"title": "Bad request", "description": "no such HiPS"}, status=400
    )
    with (
        conf.set_temp("hips", httpserver.url_for("/hips")),
        pytest.raises(RemoteServiceError, match="Bad request: no such HiPS"),
    ):
        HiPS.get_images(COORD, bands=["galex.NUV"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give either 'coordinates' or 'wcs'"),
        ({"coordinates": COORD, "wcs": WCS(naxis=2)}, "give either"),
        ({"wcs": WCS(naxis=2)}, "'wcs' must know its array_shape"),
        ({"coordinates": COORD, "size": 9 * u.deg}, "'size' must be 1 to 5000"),
    ],
)
def test_wrong_calls_are_refused(options, message):
    with pytest.raises(InvalidQueryError, match=message):
        HiPS.get_images(bands=["galex.NUV"], get_query_payload=True, **options)


def test_a_survey_without_hips_is_refused():
    with pytest.raises(InvalidQueryError, match="AllWISE Atlas has no HiPS"):
        HiPS.get_images(COORD, bands=["allwise.W1"], get_query_payload=True)
