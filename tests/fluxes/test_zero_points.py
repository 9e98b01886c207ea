"""What a unit of an image's pixels is worth."""

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import CCDData

from mantis_astro.bands import BANDS, get_band, get_survey
from mantis_astro.fluxes import ab_from_njy, native_factor, njy_factor, njy_from_ab


def image(unit, **meta):
    return CCDData(np.zeros((2, 2)), unit=unit, meta=meta)


def test_magnitude_and_flux_are_inverse():
    mag = np.linspace(10, 30, 5)
    np.testing.assert_allclose(ab_from_njy(njy_from_ab(mag)), mag)


@pytest.mark.parametrize("unit", ["nJy", "uJy", "erg / (s cm2 Hz)"])
def test_a_flux_density_needs_no_zero_point(unit):
    factor = njy_factor(image(unit, zero_point_ab=25.0), get_band("ps1.g"))
    assert factor == pytest.approx(u.Unit(unit).to(u.nJy))


@pytest.mark.parametrize("band", BANDS, ids=str)
def test_a_survey_unit_is_worth_the_zero_point_of_the_band(band):
    served = image(get_survey(band.survey).unit, exposure_time=100.0)
    assert njy_factor(served, band) == pytest.approx(
        njy_from_ab(band.zero_point_ab(100.0))
    )
    assert native_factor(served, band) == 1


def test_the_image_knows_its_zero_point_better_than_the_band():
    served = image("adu", exposure_time=100.0, zero_point_ab=27.5)
    assert njy_factor(served, get_band("ps1.g")) == pytest.approx(36.31)


@pytest.mark.parametrize("zero_point", [np.nan, np.inf, "N/A", None])
def test_a_zero_point_that_is_no_number_is_not_known(zero_point):
    counts = image("ct", zero_point_ab=zero_point)
    assert njy_factor(counts, get_band("ps1.g")) is None
    assert native_factor(counts, get_band("ps1.g")) is None


def test_native_units_come_back_from_nanojansky():
    band = get_band("galex.NUV")
    worth = njy_from_ab(band.zero_point_ab())
    assert native_factor(image("nJy"), band) == pytest.approx(1 / worth)


@pytest.mark.parametrize(
    "unit", ["adu", "ct / s", "electron", "DN", "nmgy", "", "MJy / sr", "Jy / beam"]
)
def test_what_is_linear_in_flux_takes_a_zero_point(unit):
    counts = image(unit, zero_point_ab=22.5)
    assert njy_factor(counts, BANDS[0]) == pytest.approx(3631)


@pytest.mark.parametrize("unit", ["K", "m", "deg", "adu K", "cm / s"])
def test_no_zero_point_makes_a_flux_of_another_quantity(unit):
    for factor in (njy_factor, native_factor):
        assert factor(image(unit, zero_point_ab=22.5), BANDS[0]) is None
