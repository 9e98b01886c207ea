import pickle

import astropy.units as u
import numpy as np
import pytest

from mantis_astro.bands import (
    BANDS,
    Band,
    Survey,
    get_band,
    get_bands,
    get_survey,
    list_bands,
    list_surveys,
    register_survey,
)
from mantis_astro.exceptions import MissingBandError


def test_the_nine_bands_come_in_the_published_channel_order():
    assert [str(band) for band in BANDS] == [
        "galex.NUV",
        "galex.FUV",
        "ps1.g",
        "ps1.r",
        "ps1.i",
        "ps1.z",
        "ps1.y",
        "unwise.W1",
        "unwise.W2",
    ]


@pytest.mark.parametrize("band", list_bands(), ids=str)
def test_pivot_wavelength_is_that_of_the_filter_curve(band):
    from sedpy.observate import Filter

    pivot = Filter(band.sedpy_name).wave_pivot
    assert band.pivot.to_value(u.AA) == pytest.approx(pivot, rel=1e-6)


@pytest.mark.parametrize("band", list_bands(), ids=str)
def test_a_band_is_found_by_its_name_in_any_case(band):
    assert get_band(str(band)) is get_band(str(band).upper()) is get_band(band) is band


@pytest.mark.parametrize("survey", list_surveys(), ids=str)
def test_a_survey_names_its_own_bands(survey):
    assert {band.survey for band in survey.bands} == {survey.name}


def test_the_inner_filters_of_galex_are_not_swapped():
    assert get_band("galex.FUV").pivot < get_band("galex.NUV").pivot


def test_unknown_band_names_what_there_is():
    with pytest.raises(
        MissingBandError, match=r"^no band 'ps1.u'; there are galex.NUV"
    ):
        get_band("ps1.u")


@pytest.mark.parametrize("not_a_name", [3, None])
def test_a_band_that_is_no_name_is_unknown(not_a_name):
    with pytest.raises(MissingBandError, match="no band"):
        get_band(not_a_name)


def test_unknown_survey_names_what_there_is():
    with pytest.raises(
        MissingBandError, match="no survey 'sdss'; there are galex, ps1"
    ):
        get_survey("sdss")


def test_registering_a_name_twice_is_refused():
    with pytest.raises(ValueError, match="survey 'ps1' is already registered"):
        register_survey(get_survey("ps1"))


def test_a_survey_cannot_adopt_bands_of_another():
    survey = Survey(
        name="new",
        title="New",
        bands=get_survey("ps1").bands,
        pixel_scale=1 * u.arcsec,
        shape=(8, 8),
        unit=u.nmgy,
        magsys="AB",
        service="none",
        layer="none",
        reference="",
    )
    with pytest.raises(ValueError, match="must carry its name, got .*ps1.g"):
        register_survey(survey)
    assert "new" not in map(str, list_surveys())


def test_ps1_zero_point_follows_the_exposure_time():
    # mag = 25 + 2.5 log10(EXPTIME) - 2.5 log10(flux): ten times the time, 2.5 mag
    g = get_band("ps1.g")
    assert g.zero_point_ab(100 * u.s) == pytest.approx(30)
    assert g.zero_point_ab(1000) - g.zero_point_ab(100) == pytest.approx(2.5)
    assert g.zero_point_ab(1 * u.min) == g.zero_point_ab(60)


def test_unwise_zero_point_is_converted_from_vega_to_ab():
    assert get_band("unwise.W1").zero_point_ab() == pytest.approx(22.5 + 2.699)
    assert get_band("unwise.W2").zero_point_ab() == pytest.approx(22.5 + 3.339)


def test_a_header_zero_point_replaces_the_band_s():
    assert get_band("allwise.W1").zero_point_ab(zero_point=20.5) == pytest.approx(
        23.199
    )


def test_a_missing_zero_point_is_said_not_guessed():
    with pytest.raises(ValueError, match="allwise.W1 has no fixed zero point"):
        get_band("allwise.W1").zero_point_ab()


def test_a_missing_exposure_time_is_said_not_guessed():
    with pytest.raises(ValueError, match="'exposure_time' is needed"):
        get_band("ps1.g").zero_point_ab()


@pytest.mark.parametrize("exposure", [0, -1, np.nan])
def test_an_exposure_time_must_be_positive(exposure):
    with pytest.raises(ValueError, match="'exposure_time' must be positive"):
        get_band("ps1.g").zero_point_ab(exposure)


def test_a_band_survives_pickling_as_the_same_key():
    band = get_band("ps1.g")
    assert {band: 1}[pickle.loads(pickle.dumps(band))] == 1


def test_bands_are_told_apart_by_survey_and_name_only():
    g = Band("ps1", "g", "other", 1 * u.AA, 1 * u.arcsec, None)
    assert g == get_band("ps1.g") != get_band("ps1.r")


def test_several_bands_are_each_taken_once_in_the_order_given():
    assert get_bands(["ps1.r", get_band("ps1.g"), "PS1.R"]) == (
        get_band("ps1.r"),
        get_band("ps1.g"),
    )


@pytest.mark.parametrize("one", ["ps1.g", get_band("ps1.g")])
def test_one_band_is_a_list_of_one_not_of_letters(one):
    assert get_bands(one) == (get_band("ps1.g"),)


def test_no_bands_at_all_are_an_error_not_an_endless_wait():
    with pytest.raises(ValueError, match="'bands' is empty: name at least one"):
        get_bands([])
