"""Any spectrum that means the same gives the same pixels; others are refused."""

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import (
    InverseVariance,
    StdDevUncertainty,
    UnknownUncertainty,
    VarianceUncertainty,
)
from astropy.utils.masked import Masked
from specutils import Spectrum

from mantis_astro.spectra.pixels import get_pixels

from .made import FLUX, spectrum

W = np.array([4000.0, 5000, 6000, 7000])
F = np.array([1.0, 3, 2, 4])


def same(pixels):
    np.testing.assert_allclose(pixels.wavelength, W)
    np.testing.assert_allclose(pixels.flux, F)
    np.testing.assert_allclose(pixels.std, 0.5)


def test_the_axis_may_run_backwards():
    same(get_pixels(spectrum(W[::-1], F[::-1], 0.5)))


def test_the_axis_may_be_frequency_and_the_flux_per_frequency():
    axis = (W * u.AA).to(u.GHz, u.spectral())
    flux, std = (
        (x * FLUX).to(u.mJy, u.spectral_density(W * u.AA)) for x in (F, np.full(4, 0.5))
    )
    given = Spectrum(
        flux=flux, spectral_axis=axis, uncertainty=StdDevUncertainty(std.value)
    )
    same(get_pixels(given))


@pytest.mark.parametrize(
    "uncertainty",
    [
        StdDevUncertainty(np.full(4, 0.5)),
        VarianceUncertainty(np.full(4, 0.25)),
        InverseVariance(np.full(4, 4.0)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_uncertainties_of_all_kinds_mean_the_same(uncertainty):
    same(
        get_pixels(
            Spectrum(flux=F * FLUX, spectral_axis=W * u.AA, uncertainty=uncertainty)
        )
    )


def test_an_uncertainty_may_have_a_unit_of_its_own():
    milli = StdDevUncertainty(np.full(4, 500.0), unit=u.Unit(1e-3 * FLUX))
    same(get_pixels(Spectrum(flux=F * FLUX, spectral_axis=W * u.AA, uncertainty=milli)))


def test_an_uncertainty_without_a_meaning_is_refused():
    given = Spectrum(
        flux=F * FLUX,
        spectral_axis=W * u.AA,
        uncertainty=UnknownUncertainty(np.ones(4)),
    )
    with pytest.raises(TypeError, match="InverseVariance, got UnknownUncertainty"):
        get_pixels(given)


def test_pixels_are_bad_where_masked_not_finite_or_without_positive_error():
    flux, std = np.ones(7), np.ones(7)
    flux[0], flux[1] = np.nan, np.inf
    std[2], std[3], std[4] = 0, -1, np.nan
    given = Spectrum(
        flux=flux * FLUX,
        spectral_axis=np.arange(4000, 4007) * u.AA,
        uncertainty=StdDevUncertainty(std),
        mask=np.arange(7) == 5,
    )
    assert np.flatnonzero(get_pixels(given).good).tolist() == [6]


def test_a_masked_quantity_masks_its_pixels():
    flux = Masked(F, mask=[False, True, False, False]) * FLUX
    given = Spectrum(flux=flux, spectral_axis=W * u.AA)
    assert get_pixels(given).good.tolist() == [True, False, True, True]


def test_the_spectrum_is_not_changed():
    given = spectrum(W[::-1], F[::-1], 0.5)
    get_pixels(given).flux[:] = 0
    np.testing.assert_array_equal(given.flux.value, F[::-1])


@pytest.mark.parametrize("unit", [u.ct, u.dimensionless_unscaled, u.K, u.nJy / u.sr])
def test_a_flux_that_is_no_flux_density_is_refused_with_what_is_needed(unit):
    message = r"flux of 'spectrum' must be a flux density, such as .* got"
    with pytest.raises(u.UnitsError, match=message):
        get_pixels(Spectrum(flux=F * unit, spectral_axis=W * u.AA))


def test_an_axis_of_velocity_is_refused_with_what_is_needed():
    axis = np.arange(4) * u.km / u.s
    with pytest.raises(u.UnitsError, match="axis of 'spectrum' must be a wavelength"):
        get_pixels(Spectrum(flux=F * FLUX, spectral_axis=axis))


def test_several_spectra_at_once_are_refused():
    several = Spectrum(flux=np.ones((2, 4)) * FLUX, spectral_axis=W * u.AA)
    with pytest.raises(ValueError, match=r"one spectrum, got .* shape \(2, 4\)"):
        get_pixels(several)


def test_what_is_no_spectrum_is_refused():
    with pytest.raises(TypeError, match="must be a specutils.Spectrum, got .*ndarray"):
        get_pixels(F)


def test_a_spectrum_without_a_good_pixel_is_refused():
    with pytest.raises(ValueError, match="no good pixel among 4"):
        get_pixels(spectrum(W, F, 0.5, mask=np.ones(4, dtype=bool)))
