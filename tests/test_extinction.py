"""What dust does to the bands, and E(B-V) as callers give it."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import MaskedColumn, Table
from hypothesis import given
from hypothesis import strategies as st

from mantis_astro.bands import BANDS, get_band
from mantis_astro.exceptions import InputSpecError, MissingBandError
from mantis_astro.extinction import (
    EXTINCTION_LAWS,
    extinction_coefficients,
    extinction_curve,
    find_ebv,
    resolve_ebv,
)
from mantis_astro.flags import Flag


def star_of_7000_kelvin(wavelength):
    return wavelength**-5 / np.expm1(1.43877e8 / wavelength / 7000)


@pytest.mark.parametrize(
    ("band", "published", "tolerance"),
    [  # Schlafly & Finkbeiner (2011), table 6, R_V = 3.1
        ("ps1.g", 3.172, 0.003),
        ("ps1.r", 2.271, 0.003),
        ("ps1.i", 1.682, 0.003),
        ("ps1.z", 1.322, 0.003),
        ("ps1.y", 1.087, 0.02),  # the published curve of y was an early one
    ],
)
def test_ps1_coefficients_are_those_of_schlafly_and_finkbeiner(
    band, published, tolerance
):
    computed = extinction_coefficients([band], spectrum=star_of_7000_kelvin)
    assert computed[get_band(band)] == pytest.approx(published, rel=tolerance)


def test_the_scale_of_sfd_differs_from_the_true_one_by_their_14_percent():
    sfd = extinction_coefficients(["ps1.r"])[get_band("ps1.r")]
    true = extinction_coefficients(["ps1.r"], scale="true")[get_band("ps1.r")]
    assert sfd / true == pytest.approx(0.86, abs=0.03)


def test_coefficients_cover_the_nine_bands_in_their_order():
    assert list(extinction_coefficients()) == list(BANDS)


def test_dust_dims_blue_more_than_red():
    values = list(extinction_coefficients(BANDS[2:]).values())  # g to W2
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("law", EXTINCTION_LAWS)
@pytest.mark.parametrize("r_v", [2.1, 3.1, 5.5])
def test_laws_mean_what_r_v_means(law, r_v):
    """R_V = A_V / E(B-V), and A_B - A_V = E(B-V), within the width of the bands."""
    blue, visual = extinction_curve([4400, 5470] * u.AA, law=law, r_v=r_v)
    assert visual == pytest.approx(r_v, rel=0.03)
    assert blue - visual == pytest.approx(1, abs=0.06)


def test_laws_agree_in_the_ultraviolet_where_both_were_fitted():
    wavelength = np.linspace(1250, 3000, 50) * u.AA
    fitzpatrick = extinction_curve(wavelength)
    odonnell = extinction_curve(wavelength, law="O94")
    np.testing.assert_allclose(fitzpatrick, odonnell, rtol=0.06)


@pytest.mark.parametrize("law", EXTINCTION_LAWS)
def test_laws_are_continuous(law):
    wavelength = np.geomspace(1000, 50000, 20001) * u.AA
    steps = np.abs(np.diff(extinction_curve(wavelength, law=law)))
    assert steps.max() < 0.05


def test_a_curve_keeps_the_shape_of_the_wavelengths():
    assert extinction_curve(0.5 * u.um).shape == ()
    assert extinction_curve([[0.5, 1]] * u.um).shape == (1, 2)


def test_linear_in_small_reddening_means_close_to_the_curve_at_the_pivot():
    for band, value in extinction_coefficients(BANDS[2:], scale="true").items():
        assert value == pytest.approx(float(extinction_curve(band.pivot)), rel=0.05)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"law": "C00"}, "no extinction law 'C00'; there are F99, O94"),
        ({"r_v": 0}, "'r_v' must be positive, got 0"),
        ({"scale": "planck"}, "'scale' must be 'sfd' or 'true', got 'planck'"),
    ],
)
def test_wrong_calls_say_what_is_possible(options, message):
    with pytest.raises(ValueError, match=message):
        extinction_coefficients(**options)


def test_an_unknown_band_is_named():
    with pytest.raises(MissingBandError, match=r"no band 'ps1\.u'"):
        extinction_coefficients(["ps1.u"])


def test_no_ebv_gives_the_default_and_says_so():
    values, flags = resolve_ebv(None, 2, ("csfd", "planck"), default=0.03)
    np.testing.assert_array_equal(values, np.full((2, 2), 0.03))
    assert (flags == Flag.EBV_ASSUMED).all()


def test_defaults_may_differ_by_map():
    default = {"planck": 0.04, "csfd": 0.03}
    values, _ = resolve_ebv(None, 1, ("csfd", "planck"), default=default)
    assert values.tolist() == [[0.03, 0.04]]


@pytest.mark.parametrize(
    "ebv",
    [
        0.1,
        0.1 * u.mag,
        [0.1, 0.1, 0.1],
        np.full((3, 2), 0.1),
        [0.1, 0.1, 0.1] * u.mag,
        MaskedColumn([0.1, 0.1, 0.1]),
        {"csfd": 0.1, "planck": [0.1, 0.1, 0.1]},
        np.full(3, 0.1, dtype=">f8"),
    ],
)
def test_all_ways_to_give_ebv_mean_the_same(ebv):
    values, flags = resolve_ebv(ebv, 3, ("csfd", "planck"))
    np.testing.assert_array_equal(values, np.full((3, 2), 0.1))
    assert not flags.any()


@pytest.mark.parametrize(
    "unknown", [np.nan, -99.0, np.inf, -np.inf, 999.0], ids=lambda value: f"{value}"
)
def test_a_value_that_cannot_be_is_not_known(unknown):
    values, flags = resolve_ebv([0.1, unknown], 2, default=0.02)
    assert values[:, 0].tolist() == [0.1, 0.02]
    assert flags.tolist() == [0, Flag.EBV_ASSUMED]


def test_a_masked_value_is_not_known():
    ebv = MaskedColumn([0.1, 0.7], mask=[False, True])
    values, flags = resolve_ebv(ebv, 2)
    assert values[:, 0].tolist() == [0.1, 0.0]
    assert flags.tolist() == [0, Flag.EBV_ASSUMED]


def test_a_map_that_is_left_out_is_not_known():
    values, flags = resolve_ebv({"csfd": 0.1}, 1, ("csfd", "planck"), default=0.5)
    assert values.tolist() == [[0.1, 0.5]]
    assert flags[0] == Flag.EBV_ASSUMED | Flag.HIGH_EBV


@pytest.mark.parametrize("mark", [-99, -999.0, 99, 99.9, 999, 1e20])
def test_marks_of_catalogues_are_no_ebv(mark):
    values, flags = resolve_ebv([0.1, mark], 2, default=0.02)
    assert values[:, 0].tolist() == [0.1, 0.02]
    assert flags.tolist() == [0, Flag.EBV_ASSUMED]


@pytest.mark.parametrize("ebv", [["0.1", ""], [0.1, 0.2] * u.uJy])
def test_what_is_no_number_of_magnitudes_is_told(ebv):
    with pytest.raises(InputSpecError, match="'ebv' must be numbers, in magnitudes"):
        resolve_ebv(ebv, 2)


def test_the_column_that_is_written_so_comes_first():
    table = Table({"EBV": [0.5], "ebv": [0.1]})
    assert find_ebv(table, None) is table["ebv"]
    assert find_ebv(table["EBV",], None)[0] == 0.5
    assert find_ebv(Table({"e": [0.1]}), None) is None


def test_the_noise_of_a_map_below_zero_becomes_zero():
    values, flags = resolve_ebv([-0.003], 1)
    assert values.tolist() == [[0.0]]
    assert flags.tolist() == [0]


def test_high_ebv_is_flagged_from_its_threshold_on():
    limit = Flag.HIGH_EBV.threshold
    _, flags = resolve_ebv([limit, limit + 0.01], 2)
    assert flags.tolist() == [0, Flag.HIGH_EBV]


@given(st.lists(st.floats(), min_size=1, max_size=5))
def test_whatever_comes_values_are_finite_and_not_negative(column):
    values, _ = resolve_ebv(column, len(column))
    assert np.isfinite(values).all()
    assert (values >= 0).all()


def test_the_input_is_not_changed():
    ebv = np.array([np.nan, -0.01])
    resolve_ebv(ebv, 2)
    np.testing.assert_array_equal(ebv, [np.nan, -0.01])


@pytest.mark.parametrize(
    ("ebv", "message"),
    [
        (-1, r"'ebv' must be from -0\.05 to 90 mag, got -1\.0"),
        ([0.1, 0.2], r"have shape \(3,\) or \(3, 1\), got shape \(2,\)"),
        ({"sfd": 0.1}, r"'ebv' may name the maps csfd; got \['sfd'\]"),
    ],
)
def test_a_wrong_ebv_is_an_error(ebv, message):
    with pytest.raises(ValueError, match=message):
        resolve_ebv(ebv, 3)
