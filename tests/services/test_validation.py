import numpy as np
import pytest

from mantis_astro import get_band
from mantis_astro.services.validation import (
    BadAnswerError,
    check_status,
    read_images,
)
from tests.services.fakes import (
    DATA,
    fits_bytes,
    fitscut_bytes,
    fitscut_cards,
    image_request,
    noise,
    viewer_bytes,
)

GALEX = image_request("galex.NUV", "galex.FUV")
PS1 = image_request("ps1.g")
NUV, FUV, G = map(get_band, ("galex.NUV", "galex.FUV", "ps1.g"))


def test_planes_follow_the_header_not_their_position():
    cube = noise(2, 8, 8)
    images = read_images(viewer_bytes(cube), GALEX)
    np.testing.assert_array_equal(images[NUV].data, cube[0])
    np.testing.assert_array_equal(images[FUV].data, cube[1])
    swapped = read_images(viewer_bytes(cube, bands="fn"), GALEX)
    np.testing.assert_array_equal(swapped[FUV].data, cube[0])


def test_a_single_plane_comes_without_a_third_axis():
    image = noise(8, 8)
    request = image_request("galex.FUV")
    images = read_images(viewer_bytes(image, bands="f"), request)
    np.testing.assert_array_equal(images[FUV].data, image)


def test_an_image_says_what_its_pixels_mean_and_where_it_came_from():
    image = read_images(fitscut_bytes(), PS1)[G]
    assert str(image.unit) == "adu"
    assert image.meta["zero_point_ab"] == pytest.approx(25 + 2.5 * np.log10(100))
    assert image.meta["exposure_time"] == 100.0
    assert image.meta["magsys"] == "AB"
    assert image.meta["url"] == "http://x.org/cut?ra=7"
    assert image.meta["server"] == "x.org"
    assert image.meta["date"].startswith("20")
    assert image.wcs is not None


def test_unwise_is_vega_with_its_ab_zero_point_beside_it():
    request = image_request("unwise.W1", "unwise.W2")
    images = read_images(viewer_bytes(scale=2.75, bands="12"), request)
    w1, w2 = (images[band] for band in request.bands)
    assert w1.meta["magsys"] == "Vega"
    assert w1.meta["zero_point_ab"] == pytest.approx(22.5 + 2.699)
    assert w2.meta["zero_point_ab"] == pytest.approx(22.5 + 3.339)


def test_the_zero_point_belongs_to_the_pixels_served():
    """A pixel of twice the side, interpolated, stands for four times the flux."""
    request = image_request("galex.NUV", "galex.FUV", pixel_scale=3.0)
    image = read_images(viewer_bytes(scale=3.0), request)[NUV]
    native = read_images(viewer_bytes(), GALEX)[NUV]
    ratio = 10 ** (-0.4 * (image.meta["zero_point_ab"] - native.meta["zero_point_ab"]))
    assert ratio == pytest.approx(4.0)


def test_asinh_pixels_are_decoded_if_both_keywords_are_there():
    v = noise(8, 8)
    decoded = read_images(fitscut_bytes(v, BSOFTEN=2.0, BOFFSET=1.0), PS1)[G]
    expected = 1.0 + 2.0 * (10 ** (0.4 * v) - 10 ** (-0.4 * v))
    np.testing.assert_allclose(decoded.data, expected, rtol=1e-5)
    for alone in ({"BSOFTEN": 2.0}, {"BOFFSET": 1.0}):
        kept = read_images(fitscut_bytes(v, **alone), PS1)[G]
        np.testing.assert_array_equal(kept.data, v)


def test_nothing_but_zeros_is_no_coverage_band_by_band():
    cube = noise(2, 8, 8)
    cube[1] = 0
    images = read_images(viewer_bytes(cube), GALEX)
    assert images[NUV] is not None
    assert images[FUV] is None


def test_nothing_but_nan_is_no_coverage():
    assert read_images(fitscut_bytes(np.full((8, 8), np.nan)), PS1)[G] is None


def test_nan_and_zero_together_are_no_coverage():
    data = np.zeros((8, 8))
    data[:, :4] = np.nan
    assert read_images(fitscut_bytes(data), PS1)[G] is None


@pytest.mark.parametrize(
    "text", [b"No overlap", b"<h1>no overlap</h1>\n", b"Error: no overlap with survey"]
)
def test_no_overlap_is_no_coverage(text):
    check_status(400, text)
    assert read_images(text, GALEX) == {NUV: None, FUV: None}


@pytest.mark.parametrize("status", [403, 500, 503])
def test_no_overlap_in_another_error_is_an_error(status):
    with pytest.raises(BadAnswerError, match=f"HTTP status {status}"):
        check_status(status, b"No overlap")


@pytest.mark.parametrize(
    "text", [b"there is no overlap between your session and ours", b"No overlapping"]
)
def test_other_texts_with_these_words_are_no_answer(text):
    with pytest.raises(BadAnswerError, match="no FITS file but"):
        read_images(text, GALEX)


def test_zeros_in_a_sky_subtracted_image_are_masked():
    cube = noise(2, 8, 8)
    cube[0, :3] = 0
    mask = read_images(viewer_bytes(cube), GALEX)[NUV].mask
    np.testing.assert_array_equal(mask, cube[0] == 0)


def test_zeros_between_photons_are_measurements():
    """GALEX counts without sky subtraction: most pixels are zero, none is negative."""
    cube = np.random.default_rng(0).poisson(0.1, (2, 8, 8)).astype("f4")
    assert 0 < np.mean(cube[0] == 0) < 1
    assert read_images(viewer_bytes(cube), GALEX)[NUV].mask is None


def test_nan_pixels_are_masked():
    data = noise(8, 8)
    data[2, 3] = np.nan
    mask = read_images(fitscut_bytes(data), PS1)[G].mask
    assert list(zip(*np.nonzero(mask), strict=True)) == [(2, 3)]


REFUSED = {
    "empty": (b"", PS1, "the answer is empty"),
    "html": (
        (DATA / "maintenance.html").read_bytes(),
        PS1,
        "no FITS file but '<!DOCTYPE",
    ),
    "no such layer": (b"no such layer", GALEX, "no FITS file but 'no such layer'"),
    "data cut off": (fitscut_bytes()[:-2880], PS1, "cut short or broken"),
    "odd length": (fitscut_bytes()[:-100], PS1, "not whole FITS blocks"),
    "shape": (
        fits_bytes(noise(4, 4), **fitscut_cards()),
        PS1,
        r"\(8, 8\), got \(4, 4\)",
    ),
    "band": (fitscut_bytes(band="r"), PS1, "lacks ps1.g; it has ps1.r"),
    "unknown band": (fitscut_bytes(band="q"), PS1, "no band 'ps1.q'"),
    "other layer": (viewer_bytes(bands="12"), GALEX, "galex.FUV; it has none"),
    "letters": (viewer_bytes(bands="nfx"), GALEX, "does not match a cube of 2"),
    "no letters": (viewer_bytes(BANDS=None), GALEX, "are not named"),
    "centre": (fitscut_bytes(CRPIX1=6.1), PS1, "centred 1.5 pixels from"),
    "elsewhere": (fitscut_bytes(CRVAL2=79.0), PS1, "pixels from the position"),
    "far side": (fitscut_bytes(CRVAL2=-79.0, CRVAL1=187.0), PS1, "outside the image"),
    "PS1 pixels": (fitscut_bytes(CDELT1=0.3 / 3600), PS1, "0.3 x 0.25 arcsec, those"),
    "pixels": (viewer_bytes(scale=2.75), GALEX, "those of the request 1.5 arcsec"),
    "no WCS": (fitscut_bytes(CTYPE1=None, CTYPE2=None), PS1, "there is no WCS"),
    "unit": (fitscut_bytes(BUNIT="Jy"), PS1, "the header says Jy"),
    "no image": (fits_bytes(np.zeros(0)), PS1, "holds no image"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_the_image_asked_for_is_refused(case):
    content, request, message = REFUSED[case]
    with pytest.raises(BadAnswerError, match=message):
        read_images(content, request)


def test_a_centre_within_one_and_a_half_pixels_is_accepted():
    assert read_images(fitscut_bytes(CRPIX1=5.9), PS1)[G] is not None


def test_the_far_tangent_point_of_a_skycell_is_no_trouble():
    """The position is found through the WCS: 5000 pixels from the tangent point."""
    dec = -10.65098 - 5000 * 0.25 / 3600
    assert read_images(fitscut_bytes(CRVAL2=dec, CRPIX2=4.5 - 5000), PS1)[G] is not None


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_status_that_may_pass_is_worth_another_try(status):
    with pytest.raises(BadAnswerError, match=f"HTTP status {status}: busy") as caught:
        check_status(status, b"busy\n")
    assert not caught.value.lasting


@pytest.mark.parametrize("status", [400, 403, 404, 410])
def test_a_refusal_lasts(status):
    with pytest.raises(BadAnswerError, match=f"HTTP status {status}$") as caught:
        check_status(status, b"")
    assert caught.value.lasting


@pytest.mark.real_data
@pytest.mark.parametrize("letter", "grizy")
def test_real_fitscut_images_are_accepted(real_data, letter):
    content = (real_data / "images" / "ps1_j0028" / f"2_{letter}.fits").read_bytes()
    request = image_request(f"ps1.{letter}", size=720)
    image = read_images(content, request)[request.bands[0]]
    assert image.meta["zero_point_ab"] > 30
    assert image.mask is None or np.mean(image.mask) < 0.01  # the saturated core
