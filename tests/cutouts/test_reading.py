import gzip

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import CCDData

from mantis_astro import MultibandCutout, get_band
from mantis_astro.cutouts import read_cutout
from mantis_astro.cutouts.planes import guess_band
from mantis_astro.exceptions import FetchError, InputSpecError

PIXELS = np.arange(24, dtype=np.float32).reshape(4, 6)


def ps1_header(**cards):
    header = fits.Header()
    header["HIERARCH FPA.FILTERID"] = "g.00000"
    header["EXPTIME"] = 100.0
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN", "DEC--TAN"
    header["CRVAL1"], header["CRVAL2"] = 10.0, 20.0
    header["CRPIX1"], header["CRPIX2"] = 3.0, 2.0
    header["CDELT1"] = header["CDELT2"] = 0.25 / 3600
    header["PC001001"], header["PC002002"] = -1.0, 1.0
    header.update(cards)
    return header


@pytest.fixture
def write(tmp_path):
    def write(data=PIXELS, header=None, name="image.fits", kind=fits.PrimaryHDU):
        kind(data, ps1_header() if header is None else header).writeto(tmp_path / name)
        return tmp_path / name

    return write


def test_unit_zero_point_and_exposure_are_the_survey_s(write):
    cutout = read_cutout(write())
    assert cutout.unit == u.adu
    assert cutout.meta == {
        "magsys": "AB",
        "exposure_time": 100.0,
        "zero_point_ab": pytest.approx(30.0),
    }


def test_pixels_become_native_floats(write):
    for dtype in (np.float64, np.int16, np.uint8, ">i4"):
        cutout = read_cutout(write(PIXELS.astype(dtype), name=f"{dtype}.fits"))
        assert cutout.data.dtype == np.dtype("=f4")
        np.testing.assert_array_equal(cutout.data, PIXELS)
        assert cutout.mask is None


def test_bscale_and_bzero_are_applied(tmp_path):
    hdu = fits.PrimaryHDU(PIXELS.astype(np.int16), ps1_header())
    hdu.scale("int16", bscale=0.5, bzero=100)
    hdu.writeto(tmp_path / "scaled.fits")
    cutout = read_cutout(tmp_path / "scaled.fits")
    np.testing.assert_allclose(cutout.data, PIXELS, atol=0.25)


def test_a_tile_compressed_image_is_read(write):
    path = write(name="tiles.fits", kind=fits.CompImageHDU)
    np.testing.assert_allclose(read_cutout(path).data, PIXELS, atol=0.1)


def test_a_gzipped_file_is_read(write, tmp_path):
    zipped = tmp_path / "image.fits.gz"
    zipped.write_bytes(gzip.compress(write().read_bytes()))
    np.testing.assert_array_equal(read_cutout(zipped).data, PIXELS)


def test_pixels_that_are_not_finite_are_masked(write):
    data = PIXELS.copy()
    data[0, 1], data[2, 3] = np.nan, np.inf
    mask = read_cutout(write(data)).mask
    assert set(zip(*np.nonzero(mask), strict=True)) == {(0, 1), (2, 3)}


def test_asinh_scaling_is_undone_when_both_keywords_are_there(write):
    soften, offset = 50.0, 7.0
    # the inverse of the documented encoding, flux = offset + 2 soften sinh(0.4 ln10 v)
    flux = np.linspace(-200, 5000, 24).reshape(4, 6)
    v = np.arcsinh((flux - offset) / (2 * soften)) / (0.4 * np.log(10))
    header = ps1_header(BSOFTEN=soften, BOFFSET=offset)
    np.testing.assert_allclose(read_cutout(write(v, header)).data, flux, rtol=1e-4)


@pytest.mark.parametrize("keyword", ["BSOFTEN", "BOFFSET"])
def test_one_asinh_keyword_alone_changes_nothing(write, keyword):
    path = write(header=ps1_header(**{keyword: 50.0}))
    np.testing.assert_array_equal(read_cutout(path).data, PIXELS)


def test_positive_cdelt_with_negative_pc_still_puts_east_left(write):
    wcs = read_cutout(write()).wcs
    east = SkyCoord(10 + 1 / 3600, 20, unit="deg")
    x, _ = wcs.world_to_pixel(east)
    assert x < 2  # CRPIX 3 is 0-based pixel 2


def test_a_header_of_another_band_is_refused(write):
    with pytest.raises(InputSpecError, match="is an image of ps1.g, not of ps1.r"):
        read_cutout(write(), "ps1.r")


def test_a_band_that_nothing_tells_is_asked_for(write):
    path = write(header=fits.Header())
    with pytest.raises(InputSpecError, match="pass 'band'"):
        read_cutout(path)
    assert read_cutout(path, "galex.NUV").unit == u.ct / u.s


@pytest.mark.parametrize("bunit", ["nanomaggy", "Jy", "furlong"])
def test_another_unit_is_refused(write, bunit):
    path = write(header=ps1_header(BUNIT=bunit))
    with pytest.raises(InputSpecError, match=f"are in adu, the header says {bunit}"):
        read_cutout(path)


@pytest.mark.parametrize("bunit", ["", "DN", "adu"])
def test_spellings_of_the_same_unit_are_accepted(write, bunit):
    assert read_cutout(write(header=ps1_header(BUNIT=bunit))).unit == u.adu


def test_without_exposure_time_there_is_no_zero_point(write):
    header = ps1_header()
    del header["EXPTIME"]
    assert "zero_point_ab" not in read_cutout(write(header=header)).meta


def test_an_image_without_celestial_axes_has_no_wcs(write):
    header = fits.Header()
    header["HIERARCH FPA.FILTERID"] = "g.00000"
    assert read_cutout(write(header=header)).wcs is None


def test_a_broken_wcs_is_no_wcs(write):
    header = ps1_header(PC001001=0.0, PC002002=0.0)  # singular
    assert read_cutout(write(header=header)).wcs is None


@pytest.mark.parametrize("kept", [0, 100, 3000])
def test_a_file_cut_short_is_said_to_be(write, tmp_path, kept):
    whole = write(np.ones((50, 50), np.float32)).read_bytes()
    path = tmp_path / "short.fits"
    path.write_bytes(whole[:kept])
    with pytest.raises(FetchError, match=r"short.fits is cut short or not a FITS file"):
        read_cutout(path)


def test_a_page_of_html_is_not_an_image(tmp_path):
    path = tmp_path / "error.fits"
    path.write_text("<html>503 Service Unavailable</html>" * 100)
    with pytest.raises(FetchError, match="not a FITS file"):
        read_cutout(path)


def test_a_missing_file_is_python_s_own_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_cutout(tmp_path / "nothing.fits")


def test_a_table_holds_no_image(tmp_path):
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU()]).writeto(tmp_path / "t.fits")
    with pytest.raises(FetchError, match=r"t.fits holds no image"):
        read_cutout(tmp_path / "t.fits", "ps1.g")


def test_a_cube_whose_planes_are_not_named_is_refused(write):
    with pytest.raises(InputSpecError, match=r"shape \(2, 3, 4\) are not named"):
        read_cutout(write(np.ones((2, 3, 4), np.float32)))


def test_a_cube_of_one_plane_is_an_image(write):
    cutout = read_cutout(write(PIXELS[None, None]))
    np.testing.assert_array_equal(cutout.data, PIXELS)


def viewer_header(scale=1.5, **cards):
    """What the Legacy Survey viewer writes, for pixels of ``scale`` arcsec."""
    header = fits.Header()
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN", "DEC--TAN"
    header["CRVAL1"], header["CRVAL2"] = 10.0, 20.0
    header["CRPIX1"], header["CRPIX2"] = 3.0, 2.0
    header["CD1_1"], header["CD2_2"] = -scale / 3600, scale / 3600
    header["CD1_2"] = header["CD2_1"] = 0.0
    header.update({"SURVEY": "GALEX", "BANDS": "nf"} | cards)
    return header


CUBE = np.stack([PIXELS + 1, PIXELS + 100])


@pytest.mark.parametrize("letters", ["nf", "fn"])
@pytest.mark.parametrize("survey", ["GALEX", "galex", ""])
def test_planes_of_a_viewer_s_cube_are_told_by_its_letters(write, letters, survey):
    path = write(CUBE, viewer_header(BANDS=letters, SURVEY=survey))
    for plane, letter in zip(CUBE, letters, strict=True):
        band = {"n": "galex.NUV", "f": "galex.FUV"}[letter]
        np.testing.assert_array_equal(read_cutout(path, band).data, plane)


def test_the_band_of_a_cube_must_be_chosen(write):
    path = write(CUBE, viewer_header())
    with pytest.raises(InputSpecError, match=r"galex.NUV, galex.FUV: pass 'band'"):
        read_cutout(path)


def test_a_cube_of_another_survey_is_refused(write):
    path = write(CUBE, viewer_header(SURVEY="unWISE", BANDS="12"))
    with pytest.raises(InputSpecError, match="of unwise.W1, unwise.W2, not of galex"):
        read_cutout(path, "galex.NUV")


def test_letters_that_fit_no_planes_are_refused(write):
    path = write(CUBE, viewer_header(BANDS="nfx"))
    with pytest.raises(InputSpecError, match=r"image.fits: BANDS = 'nfx' does not mat"):
        read_cutout(path, "galex.NUV")


def test_the_zero_point_of_a_cube_is_that_of_its_pixels(write):
    """The viewer interpolates: four pixels of half the side hold four times as much."""
    native = read_cutout(write(CUBE, viewer_header()), "galex.NUV")
    path = write(CUBE, viewer_header(scale=0.75), name="fine.fits")
    fine = read_cutout(path, "galex.NUV")
    assert native.meta["zero_point_ab"] == get_band("galex.NUV").zero_point
    flux_ratio = 10 ** (0.4 * (fine.meta["zero_point_ab"] - 20.08))
    assert flux_ratio == pytest.approx(4, rel=1e-4)


def sky_subtracted():
    data = np.random.default_rng(0).normal(0, 1, (6, 8)).astype(np.float32)
    data[:, 5:] = 0
    return data


def test_zeros_in_a_sky_subtracted_image_have_no_data(write):
    data = sky_subtracted()
    np.testing.assert_array_equal(read_cutout(write(data)).mask, data == 0)


def test_zeros_between_photons_are_measurements(write):
    data = np.random.default_rng(0).poisson(0.3, (6, 8)).astype(np.float32)
    assert (data == 0).any()
    path = write(data, fits.Header(), name="galex_nuv.fits")
    assert read_cutout(path).mask is None


def test_masks_and_zero_points_of_files_of_ours_are_read(tmp_path):
    image = CCDData(PIXELS, unit="adu", mask=PIXELS > 20)
    image.meta["zero_point_ab"] = 27.5
    path = tmp_path / "ours.fits"
    MultibandCutout(SkyCoord(10, 20, unit="deg"), {"ps1.g": image}).write(path)
    cutout = read_cutout(path)
    np.testing.assert_array_equal(cutout.mask, image.mask)
    assert cutout.meta["zero_point_ab"] == 27.5


@pytest.mark.parametrize("value", ["N/A", "", "unknown", True, -1.0, 0, "nan"])
def test_an_exposure_time_that_is_none_is_missing(write, value, caplog):
    cutout = read_cutout(write(header=ps1_header(EXPTIME=value)))
    assert "exposure_time" not in cutout.meta
    assert "zero_point_ab" not in cutout.meta
    assert f"EXPTIME = {value!r} cannot be read: treated as missing" in caplog.text


@pytest.mark.parametrize(
    "value", ["100", "100.0 s", 100, ("100", "[s] time"), (100 / 60, "[min] time")]
)
def test_an_exposure_time_is_read_with_its_unit(write, value, caplog):
    cutout = read_cutout(write(header=ps1_header(EXPTIME=value)))
    assert cutout.meta["exposure_time"] == pytest.approx(100)
    assert not caplog.text


@pytest.mark.parametrize("value", ["", "1.2.3", "1 0", "100 s", "'100"])
def test_a_card_that_breaks_the_standard_is_missing(write, value):
    path = write()
    card = b"EXPTIME =                100.0"
    assert path.read_bytes().count(card) == 1
    odd = f"EXPTIME = {value}".ljust(len(card)).encode()
    path.write_bytes(path.read_bytes().replace(card, odd))
    cutout = read_cutout(path)
    assert "exposure_time" not in cutout.meta
    np.testing.assert_array_equal(cutout.data, PIXELS)


def test_a_name_that_is_no_text_is_no_band(write):
    path = write(header=fits.Header({"OBSERVER": 3}), name="ps1_g.fits")
    path.write_bytes(path.read_bytes().replace(b"OBSERVER=", b"EXTNAME ="))
    assert read_cutout(path).meta["magsys"] == "AB"


def test_a_gzipped_file_cut_short_is_said_to_be(write, tmp_path):
    zipped = tmp_path / "ps1_g.fits.gz"
    zipped.write_bytes(gzip.compress(write().read_bytes())[:-200])
    with pytest.raises(FetchError, match=r"ps1_g.fits.gz is cut short"):
        read_cutout(zipped)


@pytest.mark.parametrize(
    ("name", "band"),
    [
        ("GALEX_FUV.fits", "galex.FUV"),
        ("J1000_panstarrs_y.fits", "ps1.y"),
        ("unwise-1866p257-w2-img-m.fits", "unwise.W2"),
        ("/data/ps1.z/image.fits", None),  # folders do not count
        ("DES_g.fits", None),
        ("gg.fits", None),
    ],
)
def test_band_told_by_the_file_name(name, band):
    guess = guess_band(fits.Header(), name)
    assert guess == (None if band is None else get_band(band))


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("file", "band", "zero_point_ab"),
    [
        ("ps1_j0028/2_g.fits", "ps1.g", 25 + 2.5 * np.log10(860)),
        ("ic494/GALEX_NUV.fits", "galex.NUV", 20.08),
        ("ic494/WISE_W1.fits", "allwise.W1", 20.5 + 2.699),
        (
            "unwise_1866p257/unwise-1866p257-w1-img-m.fits",
            "unwise.W1",
            22.5 + 2.699,
        ),
    ],
)
def test_real_files_tell_their_band_and_zero_point(
    real_data, file, band, zero_point_ab
):
    cutout = read_cutout(real_data / "images" / file)
    assert cutout.unit == {"ps1": u.adu, "galex": u.ct / u.s, "allwise": u.adu}.get(
        band.split(".")[0], u.nmgy
    )
    assert cutout.meta["zero_point_ab"] == pytest.approx(zero_point_ab)
    assert read_cutout(real_data / "images" / file, band).shape == cutout.shape


@pytest.mark.real_data
def test_a_real_image_of_an_unregistered_survey_is_not_guessed(real_data):
    with pytest.raises(InputSpecError, match="neither header nor file name identifies"):
        read_cutout(real_data / "images/ugc1333/DES_g.fits")
