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
    register_filter,
    register_survey,
    unregister_filter,
)
from mantis_astro.exceptions import MissingBandError
from mantis_astro.filters import list_filters


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


def test_every_filter_of_sedpy_is_a_band_with_the_pivot_of_its_curve():
    from sedpy.observate import Filter, list_available_filters

    assert set(list_available_filters()) == set(list_filters())
    for name in list_filters()[::15]:
        band = get_band(name.upper())
        assert band.sedpy_name.lower() == name.lower()
        assert band.pivot.to_value(u.AA) == Filter(name).wave_pivot


def test_a_filter_alone_is_no_registered_band():
    band = get_band("decam_Y")
    assert (band.survey, band.name, str(band)) == ("", "decam_Y", "decam_Y")
    assert band not in list_bands()
    assert band is get_band("decam_y") is get_bands("decam_Y")[0]
    assert pickle.loads(pickle.dumps(band)) == band


def test_a_registered_band_wins_where_a_filter_has_the_same_columns():
    assert get_band("galex_NUV") is get_band("galex.NUV")
    assert get_band("ps1_g") is get_band("ps1.g")
    assert str(get_band("panstarrs_g")) == "panstarrs_g"  # whose columns are others


def test_a_name_that_is_nearly_that_of_a_filter_is_answered_with_it():
    with pytest.raises(MissingBandError, match="such as sdss_u0 or"):
        get_band("sdss_u")


def test_vega_zero_points_are_those_that_the_surveys_define():
    for name, zero in (("wise_w1", 2.699), ("wise_w4", 6.620), ("twomass_J", 0.894)):
        assert get_band(name).vega_to_ab == zero
    assert get_band("allwise.W2").vega_to_ab == get_band("wise_w2").vega_to_ab == 3.339
    # V of Vega is 0.03 mag; the zero point of Bessell's V is 3,636 Jy
    assert get_band("bessell_V").vega_to_ab == pytest.approx(0, abs=0.02)


def test_a_filter_without_a_survey_has_no_zero_point_of_images():
    with pytest.raises(MissingBandError, match="has fluxes but no images"):
        get_band("decam_g").zero_point_ab()


@pytest.fixture
def narrow():
    curve = np.array([[9140, 9145, 9275, 9280], [0, 0.5, 0.5, 0]])
    yield register_filter("narrow_921", curve[0] / 10 * u.nm, curve[1])
    unregister_filter("narrow_921")


def test_a_filter_that_sedpy_lacks_is_a_band_once_its_curve_is_given(narrow):
    assert get_band("Narrow_921") is narrow
    assert narrow.pivot.to_value(u.AA) == pytest.approx(9210, abs=1)
    assert "narrow_921" in list_filters()


def test_a_filter_that_was_unregistered_is_unknown_and_its_name_free():
    for centre in (5000, 6000):
        band = register_filter("box", [centre - 50, centre, centre + 50], [1, 1, 1])
        assert band.pivot.to_value(u.AA) == pytest.approx(centre, rel=1e-3)
        unregister_filter("box")
        with pytest.raises(MissingBandError, match="no band 'box'"):
            get_band("box")
    with pytest.raises(ValueError, match="no filter 'box' was registered"):
        unregister_filter("box")


@pytest.mark.parametrize("name", ["decam_g", "DECAM_G", "ps1_g", "narrow_921"])
def test_a_name_that_is_taken_is_refused_to_another_filter(narrow, name):
    with pytest.raises(ValueError, match="'name': there is a band .* already"):
        register_filter(name, [4000, 5000, 6000], [0, 1, 0])


@pytest.mark.parametrize("name", ["", "my filter", "my.g", "flux/g"])
def test_the_name_of_a_filter_must_fit_columns(name):
    with pytest.raises(ValueError, match="'name' must be letters, digits and"):
        register_filter(name, [4000, 5000, 6000], [0, 1, 0])


@pytest.mark.parametrize(
    ("wavelength", "transmission"),
    [
        ([4000, 5000], [1, 1, 1]),
        ([4000], [1]),
        ([4000, 4000], [1, 1]),
        ([4000, 5000], [0, 0]),
        ([4000, 5000], [1, -1]),
        ([4000, 5000], [1, np.nan]),
        ([-4000, 5000], [1, 1]),
    ],
)
def test_what_is_no_curve_is_refused(wavelength, transmission):
    with pytest.raises(ValueError, match="the curve of filter 'bad' must be two or"):
        register_filter("bad", wavelength, transmission)
    assert "bad" not in list_filters()
