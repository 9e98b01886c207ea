"""Fluxes and magnitudes."""

import astropy.units as u
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mantis_astro.bands import BANDS
from mantis_astro.photometry import (
    asinh_mag_to_flux,
    default_softening,
    flux_to_asinh_mag,
    flux_to_mag_ab,
    mag_ab_to_flux,
    magnitude_error,
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
