import json
import warnings

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import (
    CCDData,
    InverseVariance,
    StdDevUncertainty,
    VarianceUncertainty,
)
from astropy.wcs import WCS

from mantis_astro import MultibandCutout, get_band
from mantis_astro.exceptions import MissingBandError

COORD = SkyCoord(150.1, 2.2, unit="deg")


def make_wcs(shape=(6, 8), scale=0.25):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval = COORD.ra.deg, COORD.dec.deg
    wcs.wcs.crpix = (shape[1] + 1) / 2, (shape[0] + 1) / 2
    wcs.wcs.cdelt = -scale / 3600, scale / 3600
    return wcs


def make_cutout(unit="adu", seed=0, **kwargs):
    data = np.random.default_rng(seed).normal(size=(6, 8)).astype(np.float32)
    return CCDData(data, unit=unit, wcs=make_wcs(), **kwargs)


@pytest.fixture
def cutouts():
    mask = np.zeros((6, 8), bool)
    mask[1, 2] = True
    variance = VarianceUncertainty(np.full((6, 8), 2.0, np.float32))
    return MultibandCutout(
        COORD,
        {
            "unwise.W1": make_cutout("nmgy", 1, meta={"magsys": "Vega"}),
            "ps1.g": make_cutout(
                mask=mask,
                uncertainty=variance,
                meta={"exposure_time": 860.0, "zero_point_ab": 32.3, "skycell": 17},
            ),
        },
        meta={"id": "J1000+0212"},
    )


def test_bands_come_in_the_registry_s_order_whatever_the_input_s(cutouts):
    assert [str(band) for band in cutouts] == ["ps1.g", "unwise.W1"]
    assert cutouts.bands == (get_band("ps1.g"), get_band("unwise.W1"))
    assert [str(survey) for survey in cutouts.surveys] == ["ps1", "unwise"]


def test_keys_are_bands_or_their_names(cutouts):
    assert cutouts["ps1.g"] is cutouts[get_band("ps1.g")]
    assert "PS1.g" in cutouts
    assert "ps1.r" not in cutouts
    assert cutouts.get("ps1.r") is None


def test_a_missing_band_names_what_is_there(cutouts):
    with pytest.raises(
        MissingBandError, match="no cutout of ps1.r; there are ps1.g, unwise.W1"
    ):
        cutouts["ps1.r"]


def test_select_keeps_coordinate_meta_and_only_those_bands(cutouts):
    selected = cutouts.select(["unwise.W1"])
    assert selected.bands == (get_band("unwise.W1"),)
    assert selected.meta == cutouts.meta
    assert selected.coord is cutouts.coord


def test_select_of_a_band_that_is_not_there_is_an_error(cutouts):
    with pytest.raises(MissingBandError, match=r"no cutout of galex.NUV"):
        cutouts.select(["galex.NUV"])


def test_map_leaves_the_input_unchanged(cutouts):
    before = cutouts["ps1.g"].data.copy()
    doubled = cutouts.map(lambda cutout: cutout.multiply(2))
    np.testing.assert_array_equal(doubled["ps1.g"].data, 2 * before)
    np.testing.assert_array_equal(cutouts["ps1.g"].data, before)


def test_repr_says_where_and_what(cutouts):
    assert repr(cutouts) == (
        "<MultibandCutout at 150.10000 +2.20000: ps1.g 6x8 adu, unwise.W1 6x8 nmgy>"
    )
    assert repr(MultibandCutout(COORD, {})).endswith("no bands>")


def test_a_cutout_must_be_ccddata():
    with pytest.raises(TypeError, match="the cutout of ps1.g must be a CCDData"):
        MultibandCutout(COORD, {"ps1.g": np.ones((3, 3))})


def test_a_cube_is_refused():
    cube = CCDData(np.ones((2, 3, 3)), unit="adu")
    with pytest.raises(ValueError, match=r"two-dimensional, got shape \(2, 3, 3\)"):
        MultibandCutout(COORD, {"ps1.g": cube})


def test_a_band_given_under_two_spellings_is_refused():
    with pytest.raises(ValueError, match="a band comes twice in ps1.g, PS1.g"):
        MultibandCutout(COORD, {"ps1.g": make_cutout(), "PS1.g": make_cutout()})


@pytest.mark.parametrize("coord", [(150, 2), SkyCoord([1, 2], [1, 2], unit="deg")])
def test_the_target_must_be_one_skycoord(coord):
    with pytest.raises(TypeError, match="'coord' must be a scalar SkyCoord"):
        MultibandCutout(coord, {})


def test_everything_comes_back_from_fits(cutouts, tmp_path):
    cutouts.write(tmp_path / "a.fits")
    back = MultibandCutout.read(tmp_path / "a.fits")
    assert back.bands == cutouts.bands
    assert back.meta == cutouts.meta
    assert back.coord.separation(cutouts.coord).arcsec < 1e-9
    for band, cutout in cutouts.items():
        assert back[band].unit == cutout.unit
        assert back[band].data.dtype == np.float32
        assert back[band].meta == cutout.meta
        np.testing.assert_array_equal(back[band].data, cutout.data)
        x, y = back[band].wcs.world_to_pixel(COORD)
        np.testing.assert_allclose((x, y), (3.5, 2.5), atol=1e-6)
    np.testing.assert_array_equal(back["ps1.g"].mask, cutouts["ps1.g"].mask)
    assert back["unwise.W1"].mask is None


@pytest.mark.parametrize(
    "kind", [StdDevUncertainty, VarianceUncertainty, InverseVariance]
)
def test_the_kind_of_uncertainty_comes_back_from_fits(kind, tmp_path):
    error = kind(np.full((6, 8), 3.0, np.float32))
    MultibandCutout(COORD, {"ps1.g": make_cutout(uncertainty=error)}).write(
        tmp_path / "a.fits"
    )
    back = MultibandCutout.read(tmp_path / "a.fits")["ps1.g"].uncertainty
    assert isinstance(back, kind)
    np.testing.assert_array_equal(back.array, error.array)


def test_a_cutout_without_wcs_survives_fits(tmp_path):
    bare = CCDData(np.ones((3, 3), np.float32), unit="adu")
    MultibandCutout(COORD, {"ps1.g": bare}).write(tmp_path / "a.fits")
    assert MultibandCutout.read(tmp_path / "a.fits")["ps1.g"].wcs is None


def test_the_file_is_plain_fits_that_names_its_parts(cutouts, tmp_path):
    cutouts.write(tmp_path / "a.fits")
    with (
        fits.open(tmp_path / "a.fits", checksum=True) as hdus,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("error")
        assert [hdu.name for hdu in hdus[1:]] == [
            "PS1.G",
            "PS1.G_MASK",
            "PS1.G_UNCERT",
            "UNWISE.W1",
        ]
        assert hdus["PS1.G"].header["EXPTIME"] == 860
        assert hdus["PS1.G"].header["ZPAB"] == 32.3
        assert json.loads(hdus["PS1.G"].header["META"]) == {"skycell": 17}


def test_writing_never_replaces_a_file_unasked(cutouts, tmp_path):
    path = tmp_path / "a.fits"
    path.write_text("precious")
    with pytest.raises(FileExistsError, match="pass overwrite=True"):
        cutouts.write(path)
    assert path.read_text() == "precious"
    cutouts.write(path, overwrite=True)
    assert len(MultibandCutout.read(path)) == 2


def test_a_failed_write_leaves_nothing_behind(cutouts, tmp_path, monkeypatch):
    def fail(self, name, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(fits.HDUList, "writeto", fail)
    with pytest.raises(OSError, match="disk full"):
        cutouts.write(tmp_path / "a.fits")
    assert list(tmp_path.iterdir()) == []


def test_another_fits_file_is_refused(tmp_path):
    fits.PrimaryHDU(np.ones((3, 3))).writeto(tmp_path / "other.fits")
    with pytest.raises(OSError, match="is no multiband cutout"):
        MultibandCutout.read(tmp_path / "other.fits")


def test_a_filter_without_a_survey_has_no_images():
    image = CCDData(np.ones((4, 4)), unit="nJy")
    with pytest.raises(MissingBandError, match="'decam_g', has fluxes but no images"):
        MultibandCutout(COORD, {"decam_g": image})
