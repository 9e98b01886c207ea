"""Fluxes and magnitudes."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import Column, MaskedColumn
from astropy.utils.masked import Masked
from hypothesis import given
from hypothesis import strategies as st

from mantis_astro.bands import BANDS, get_band
from mantis_astro.photometry import (
    asinh_mag_to_flux,
    default_softening,
    flux_to_asinh_mag,
    flux_to_mag_ab,
    mag_ab_to_flux,
    magnitude_error,
    to_flux,
)

magnitudes = st.floats(0, 35)
fluxes = st.floats(-1e9, 1e9)
softenings = st.floats(1, 1e5)


@given(magnitudes)
def test_ab_magnitudes_are_those_of_astropy(mag):
    """Whose zero point is 48.6 exactly: 3,630.78 Jy, not 3,631."""
    expected = (mag * u.ABmag).to_value(u.nJy)
    assert mag_ab_to_flux(mag).value == pytest.approx(expected, rel=1e-4)


@given(magnitudes)
def test_flux_of_a_magnitude_has_that_magnitude(mag):
    assert flux_to_mag_ab(mag_ab_to_flux(mag)).value == pytest.approx(mag, abs=1e-9)


@given(fluxes, softenings)
def test_flux_of_an_asinh_magnitude_is_the_flux(flux, softening):
    mag = flux_to_asinh_mag(flux, softening)
    back = asinh_mag_to_flux(mag, softening).value
    assert back == pytest.approx(flux, rel=1e-9, abs=1e-9 * softening)


@given(softenings)
def test_asinh_magnitudes_of_bright_sources_are_ab_magnitudes(softening):
    """For f >> s the difference is (2.5 / ln 10) (s / f)**2."""
    flux = 1000 * softening
    difference = flux_to_asinh_mag(flux, softening) - flux_to_mag_ab(flux)
    assert difference.value == pytest.approx(-1.0857e-6, rel=1e-3)


def test_no_flux_has_the_asinh_magnitude_of_the_softening():
    expected = flux_to_mag_ab(100.0).value
    assert flux_to_asinh_mag(0, 100.0).value == pytest.approx(expected)


def test_a_flux_that_is_not_positive_has_no_ab_magnitude():
    assert np.isnan(flux_to_mag_ab([0, -5])).all()


@pytest.mark.parametrize("softening", [0.0, 30.0])
def test_errors_are_the_derivative(softening):
    flux, step = 120.0, 1e-3

    def magnitude(flux):
        if softening:
            return flux_to_asinh_mag(flux, softening)
        return flux_to_mag_ab(flux)

    slope = (magnitude(flux - step) - magnitude(flux + step)).value / (2 * step)
    error = magnitude_error(flux, 7.0, softening).value
    assert error == pytest.approx(7.0 * slope, rel=1e-6)


def test_units_are_converted():
    assert flux_to_mag_ab(3631 * u.Jy).value == pytest.approx(0)
    assert mag_ab_to_flux(0 * u.mag).to_value(u.Jy) == pytest.approx(3631)


def test_a_flux_of_another_kind_is_refused():
    with pytest.raises(u.UnitConversionError, match=r"'erg' .* and 'nJy'"):
        flux_to_mag_ab(1 * u.erg)


@pytest.mark.parametrize("band", BANDS, ids=str)
def test_the_nine_bands_have_a_softening(band):
    assert default_softening(band) > 0 * u.nJy


def test_a_survey_without_a_depth_has_no_softening():
    assert default_softening("legacysurvey.i") is None


MASK = [False, True]
FORMS = {
    "Column": (lambda x, unit: Column(x, unit=unit), False),
    "MaskedColumn": (lambda x, unit: MaskedColumn(x, mask=MASK, unit=unit), True),
    "Masked": (lambda x, unit: Masked(x * unit, mask=MASK), True),
    "Quantity": (lambda x, unit: x * unit, False),
}


@pytest.mark.parametrize(("form", "is_masked"), FORMS.values(), ids=FORMS)
@pytest.mark.parametrize(
    ("function", "value", "unit"),
    [
        (flux_to_mag_ab, 3.631, u.uJy),
        (lambda x: flux_to_asinh_mag(x, 3 * u.nJy), 3.631, u.uJy),
        (lambda x: magnitude_error(x, 100 * u.nJy), 3.631, u.uJy),
        (lambda x: magnitude_error(1 * u.uJy, x), 0.1, u.uJy),
        (mag_ab_to_flux, 20.0, u.mag),
        (lambda x: asinh_mag_to_flux(x, 3 * u.nJy), 20.0, u.mag),
        (to_flux, 20.0, u.mag),
    ],
)
def test_units_and_masks_survive_in_every_form(function, value, unit, form, is_masked):
    expected = function(value * unit)
    found = function(form(np.array([value, 2 * value]), unit))
    assert found[0] == expected
    if is_masked:
        assert found.mask.tolist() == MASK
        assert np.isnan(found.unmasked[1])


@pytest.mark.parametrize("mark", [-99.0, 99.0, 999.0, -9999.0])
def test_marks_of_missing_magnitudes_have_no_flux(mark):
    assert np.isnan(mag_ab_to_flux(mark))
    assert to_flux([mark, 20.0]).mask.tolist() == [True, False]


@pytest.mark.parametrize("band", BANDS, ids=str)
def test_vega_magnitudes_become_fluxes(band):
    flux, error = to_flux([20.0], [0.1], band=band, system="Vega")
    expected = mag_ab_to_flux(20.0 + band.vega_to_ab).value
    assert flux.unmasked.value == pytest.approx(expected)
    assert magnitude_error(flux, error).unmasked[0].value == pytest.approx(0.1)
    nmgy = to_flux([10.0] * u.nmgy, band=band, system="Vega")
    assert nmgy.unmasked.value == pytest.approx(flux.unmasked.value)


@pytest.mark.parametrize("system", ["AB", "Vega"])
def test_asinh_magnitudes_become_fluxes_with_errors(system):
    """Negative ones too; the error is the derivative."""
    band, step = get_band("unwise.W1"), 1e-4
    options = {"band": band, "system": system, "softening": 300.0}
    mag = np.array([16.0, 23.0, 30.0])
    flux, error = to_flux(mag, np.full(3, 0.1), **options)
    slope = (to_flux(mag - step, **options) - to_flux(mag + step, **options)) / step / 2
    np.testing.assert_allclose(error.unmasked.value, 0.1 * slope.unmasked.value, 1e-5)
    offset = band.vega_to_ab if system == "Vega" else 0.0
    bright = flux_to_mag_ab(flux[0]).unmasked.value
    assert bright == pytest.approx(16 + offset, abs=1e-3)
    assert flux[2] < 0


def test_fluxes_and_their_errors_are_only_converted():
    flux, error = to_flux([3.631, np.nan] * u.uJy, [1.0, 1.0] * u.uJy)
    assert flux.mask.tolist() == error.mask.tolist() == [False, True]
    assert flux_to_mag_ab(flux).unmasked[0].value == pytest.approx(22.5)
    assert error[0].unmasked.to_value(u.nJy) == pytest.approx(1000)


def test_what_cannot_be_converted_is_said():
    with pytest.raises(u.UnitConversionError):
        to_flux([1.0] * u.K)
    with pytest.raises(ValueError, match="'system' must be 'AB' or 'Vega', got 'ST'"):
        to_flux(20.0, system="ST")
    with pytest.raises(ValueError, match="give 'band'"):
        to_flux(20.0, system="Vega")
