"""Fluxes through filters: identities, sedpy as a second opinion, gaps and edges."""

import astropy.units as u
import numpy as np
import pytest
from astropy.utils.masked import Masked
from hypothesis import given, settings
from hypothesis import strategies as st
from sedpy.observate import load_filters
from specutils import Spectrum

from mantis_astro import synthetic_photometry
from mantis_astro.bands import BANDS, Band
from mantis_astro.exceptions import MissingBandError
from mantis_astro.flags import Flag, decode_flags

from .made import FLUX, spectrum

WIDE = np.geomspace(1000, 60000, 20000)
OPTICAL = np.arange(3500.0, 11000.0, 2.0)


def value(table, name):
    assert not table[name].mask[0]
    return table[name].unmasked.value[0]


def column(band, kind="flux"):
    return f"{kind}_{str(band).replace('.', '_')}"


@pytest.mark.parametrize("band", BANDS, ids=str)
def test_a_spectrum_flat_in_frequency_has_that_flux_in_every_band(band):
    flat = spectrum(WIDE, np.full(WIDE.size, 7.0), unit=u.uJy)
    table = synthetic_photometry(flat, [band])
    assert value(table, column(band)) == pytest.approx(7000, rel=2e-6)
    assert table[column(band)].unit == u.nJy
    assert table[column(band, "coverage")][0] == pytest.approx(1)
    assert table["flags"][0] == 0


@pytest.mark.parametrize("band", BANDS, ids=str)
def test_fluxes_are_those_of_sedpy(band):
    flux = 1 + np.sin(WIDE / 300) ** 2 + (WIDE / 5000) ** -1.5
    (curve,) = load_filters([band.sedpy_name])
    maggies = 10 ** (-0.4 * curve.ab_mag(WIDE, flux * 1e-17))
    table = synthetic_photometry(spectrum(WIDE, flux), [band])
    # sedpy's rule of integration and its rounded speed of light and AB zero point
    assert value(table, column(band)) == pytest.approx(maggies * 3631e9, rel=2e-3)


def test_photons_are_counted_not_energy():
    band = Band("ps1", "r", "panstarrs_r", 6200 * u.AA, 1 * u.arcsec, 25.0)
    (curve,) = load_filters([band.sedpy_name])
    w, T = np.array(curve.wavelength), np.array(curve.transmission)
    fine = np.linspace(w[0], w[-1], 200_000)
    T = np.interp(fine, w, T)
    # a spectrum of f_lambda = wavelength: integrals of T lambda^2 and of T / lambda
    mean = np.trapezoid(T * fine**2, fine) / np.trapezoid(T / fine, fine)
    expected = (mean * FLUX * u.AA**2 / (299792.458 * u.km / u.s)).to_value(u.nJy)
    table = synthetic_photometry(spectrum(OPTICAL, OPTICAL), [band])
    assert value(table, column(band)) == pytest.approx(expected, rel=1e-7)


@settings(max_examples=25)
@given(
    flux=st.lists(st.floats(0, 10), min_size=6, max_size=6),
    inserted=st.lists(st.floats(3501, 8999), min_size=1, max_size=30, unique=True),
)
def test_points_on_the_line_between_points_change_nothing(flux, inserted):
    coarse = np.array([3500.0, 4400, 4700, 5300, 6100, 9000])
    fine = np.unique(np.concatenate([coarse, np.round(inserted, 1)]))
    of_both = [
        synthetic_photometry(spectrum(w, np.interp(w, coarse, flux)), ["ps1.g"])
        for w in (coarse, fine)
    ]
    few, many = (value(table, "flux_ps1_g") for table in of_both)
    assert few == pytest.approx(many, rel=1e-10, abs=1e-9)


def test_a_pixel_that_comes_twice_costs_nothing():
    wavelength = np.append(np.arange(3800.0, 9400.0), 9399.0)  # at the end
    flat = Spectrum(
        flux=np.ones(wavelength.size) * u.uJy, spectral_axis=wavelength * u.AA
    )
    table = synthetic_photometry(flat, ["ps1.z"])
    assert table["flux_ps1_z"].unmasked[0].to_value(u.nJy) == pytest.approx(
        1000, rel=1e-6
    )


def test_the_direction_of_the_axis_does_not_matter():
    flux = 1 + (OPTICAL / 6000) ** 2
    there = synthetic_photometry(spectrum(OPTICAL, flux, 0.1), ["ps1.i"])
    back = synthetic_photometry(spectrum(OPTICAL[::-1], flux[::-1], 0.1), ["ps1.i"])
    for name in ("flux_ps1_i", "flux_err_ps1_i"):
        assert value(back, name) == pytest.approx(value(there, name), rel=1e-12)


def test_errors_are_those_of_independent_pixels():
    wavelength = np.arange(3500.0, 6500.0, 60.0)
    flux = np.linspace(1, 2, wavelength.size)
    table = synthetic_photometry(spectrum(wavelength, flux, 0.3), ["ps1.g"])
    slopes = []  # the flux in a band is linear in the pixels
    for i in range(wavelength.size):
        moved = flux + (np.arange(wavelength.size) == i)
        more = synthetic_photometry(spectrum(wavelength, moved, 0.3), ["ps1.g"])
        slopes.append(value(more, "flux_ps1_g") - value(table, "flux_ps1_g"))
    expected = 0.3 * np.linalg.norm(slopes)
    assert value(table, "flux_err_ps1_g") == pytest.approx(expected, rel=1e-6)


def test_without_uncertainties_the_error_alone_is_masked():
    table = synthetic_photometry(spectrum(OPTICAL, OPTICAL), ["ps1.g"])
    assert table["flux_err_ps1_g"].mask[0]
    assert not table["flux_ps1_g"].mask[0]


@pytest.mark.parametrize(
    ("low", "high"), [(3500, 5000), (4500, 6000), (4300, 5300), (3500, 4100)]
)
def test_a_filter_that_sticks_out_is_masked_and_flagged(low, high):
    wavelength = np.arange(low, high, 2.0)
    table = synthetic_photometry(
        spectrum(wavelength, np.ones(wavelength.size), 0.1), ["ps1.g"]
    )
    assert table["flux_ps1_g"].mask[0]
    assert table["flux_err_ps1_g"].mask[0]
    (curve,) = load_filters(["panstarrs_g"])
    w, T = curve.wavelength, curve.transmission / curve.wavelength
    inside = (w >= low) & (w <= high)
    part = np.trapezoid(np.where(inside, T, 0), w) / np.trapezoid(T, w)
    assert table["coverage_ps1_g"][0] == pytest.approx(part, abs=0.02)
    names = ["NO_DATA", "MISSING_PS1", "PARTIAL_COVERAGE"]
    assert decode_flags(table["flags_ps1_g"][0]) == names
    assert decode_flags(table["flags"][0]) == names


def test_a_filter_beyond_the_spectrum_is_masked_beside_one_within():
    table = synthetic_photometry(
        spectrum(OPTICAL, np.ones(OPTICAL.size)), ["ps1.r", "unwise.W1"]
    )
    assert table["flux_unwise_W1"].mask[0]
    assert table["coverage_unwise_W1"][0] == 0
    assert not table["flux_ps1_r"].mask[0]
    assert table["flags_ps1_r"][0] == 0
    assert decode_flags(table["flags"][0]) == ["MISSING_UNWISE", "PARTIAL_COVERAGE"]


def test_a_little_of_a_filter_may_be_missing_if_the_caller_says_so():
    wavelength = np.arange(4000.0, 9000.0, 2.0)
    flat = spectrum(wavelength, np.full(wavelength.size, 2.0), unit=u.uJy)
    assert synthetic_photometry(flat, ["ps1.g"])["flux_ps1_g"].mask[0]
    table = synthetic_photometry(flat, ["ps1.g"], min_coverage=0.9)
    assert value(table, "flux_ps1_g") == pytest.approx(2000, rel=1e-5)
    assert 0.9 < table["coverage_ps1_g"][0] < 0.999


def test_bad_pixels_lie_on_the_line_between_their_neighbours():
    flux = 5 + OPTICAL / 1000
    whole = synthetic_photometry(spectrum(OPTICAL, flux, 0.1), ["ps1.r"])
    mask = (OPTICAL > 6000) & (OPTICAL < 6050)
    flux[mask] = 1e30  # a cosmic ray, say
    table = synthetic_photometry(spectrum(OPTICAL, flux, 0.1, mask=mask), ["ps1.r"])
    expected = value(whole, "flux_ps1_r")
    assert value(table, "flux_ps1_r") == pytest.approx(expected, rel=1e-9)
    assert decode_flags(table["flags_ps1_r"][0]) == ["BAD_PIXELS"]
    (curve,) = load_filters(["panstarrs_r"])
    T = np.interp(OPTICAL, curve.wavelength, curve.transmission) / OPTICAL
    assert table["coverage_ps1_r"][0] == pytest.approx(
        1 - T[mask].sum() / T.sum(), abs=1e-3
    )


def test_few_bad_pixels_raise_no_flag():
    flux = np.ones(OPTICAL.size)
    flux[1300] = np.nan
    table = synthetic_photometry(spectrum(OPTICAL, flux, 0.1), ["ps1.r"])
    assert table["flags"][0] == 0


def test_a_wide_gap_is_not_interpolated():
    mask = (OPTICAL > 5800) & (OPTICAL < 6300)
    flux = np.ones(OPTICAL.size)
    table = synthetic_photometry(spectrum(OPTICAL, flux, 0.1, mask=mask), ["ps1.r"])
    assert table["flux_ps1_r"].mask[0]
    assert Flag.BAD_PIXELS & table["flags_ps1_r"][0]
    more = synthetic_photometry(
        spectrum(OPTICAL, flux, 0.1, mask=mask), ["ps1.r"], max_interpolated=0.6
    )
    assert not more["flux_ps1_r"].mask[0]


def test_a_gap_at_the_edge_is_missing_coverage():
    mask = OPTICAL > 6000
    table = synthetic_photometry(
        spectrum(OPTICAL, np.ones(OPTICAL.size), mask=mask), ["ps1.r"]
    )
    assert Flag.PARTIAL_COVERAGE & table["flags_ps1_r"][0]


def test_masked_quantities_and_bad_errors_are_left_out():
    flux = np.full(OPTICAL.size, 2.0)
    bad = np.zeros(OPTICAL.size, dtype=bool)
    bad[1300:1303] = True
    flux[bad] = 1e9
    masked = Spectrum(flux=Masked(flux, mask=bad) * u.uJy, spectral_axis=OPTICAL * u.AA)
    table = synthetic_photometry(masked, ["ps1.r"])
    assert value(table, "flux_ps1_r") == pytest.approx(2000, rel=1e-6)
    zero_errors = spectrum(OPTICAL, flux, 1.0, unit=u.uJy)
    zero_errors.uncertainty.array[bad] = 0, -1, np.nan
    table = synthetic_photometry(zero_errors, ["ps1.r"])
    assert value(table, "flux_ps1_r") == pytest.approx(2000, rel=1e-6)


def test_many_spectra_make_as_many_rows():
    spectra = (spectrum(OPTICAL, np.full(OPTICAL.size, k), unit=u.uJy) for k in (1, 2))
    table = synthetic_photometry(spectra, ["ps1.g", "ps1.r", "ps1.g"])
    np.testing.assert_allclose(table["flux_ps1_r"].unmasked.value, [1000, 2000], 1e-5)
    assert sum(name.startswith("flux_ps1_g") for name in table.colnames) == 1


def test_no_spectra_make_no_rows():
    table = synthetic_photometry([], ["ps1.g"])
    assert len(table) == 0
    assert table["flux_ps1_g"].unit == u.nJy


def test_units_that_are_no_flux_density_are_refused():
    with pytest.raises(u.UnitsError, match="must be a flux density"):
        synthetic_photometry(spectrum(OPTICAL, OPTICAL, unit=u.ct), ["ps1.g"])


def test_an_unknown_band_is_refused():
    with pytest.raises(MissingBandError, match="no band 'ps1.u'"):
        synthetic_photometry(spectrum(OPTICAL, OPTICAL), ["ps1.u"])


def test_a_filter_that_sedpy_does_not_know_is_refused():
    band = Band("mine", "u", "no_such_filter", 3600 * u.AA, 1 * u.arcsec, 22.5)
    with pytest.raises(ValueError, match="sedpy has no filter 'no_such_filter' for mi"):
        synthetic_photometry(spectrum(OPTICAL, OPTICAL), [band])


@pytest.mark.parametrize("name", ["min_coverage", "max_interpolated"])
@pytest.mark.parametrize("limit", [-0.1, 1.1, np.nan])
def test_limits_are_parts_of_a_whole(name, limit):
    with pytest.raises(ValueError, match=f"'{name}' must be from 0 to 1, got"):
        synthetic_photometry(spectrum(OPTICAL, OPTICAL), ["ps1.g"], **{name: limit})
