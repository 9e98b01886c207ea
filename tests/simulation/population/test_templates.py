import numpy as np
import pytest
from sedpy.observate import Filter

from mantis_astro.bands import BANDS
from mantis_astro.extinction import extinction_coefficients
from mantis_astro.simulation.population.templates import (
    A_V,
    N_STELLAR,
    Z_MAX,
    TemplateGrid,
    calzetti_curve,
    fluxes_at_rest,
    igm_transmission,
    rest_templates,
    rest_wavelength,
)

FILTERS = tuple(band.sedpy_name for band in BANDS)


def test_calzetti_is_one_in_v_and_falls_with_wavelength():
    wavelength = np.geomspace(1200, 60000, 500)
    curve = calzetti_curve(wavelength)
    assert calzetti_curve(np.array([5500.0]))[0] == pytest.approx(1, abs=0.01)
    assert (np.diff(curve) <= 0).all()
    assert curve[-1] == 0


def test_templates_are_not_negative_and_dark_below_the_lyman_limit():
    templates = rest_templates()
    assert templates.shape == (N_STELLAR + 1, rest_wavelength().size)
    assert (templates >= 0).all()
    assert (templates[:, rest_wavelength() < 911] == 0).all()


def test_dusty_templates_are_those_without_dust_dimmed():
    templates = rest_templates()[:N_STELLAR].reshape(len(A_V), 5, -1)
    in_v = np.abs(rest_wavelength() - 5500).argmin()
    ratio = templates[:, :, in_v] / templates[0, :, in_v]
    assert -2.5 * np.log10(ratio[:, 0]) == pytest.approx(A_V, abs=0.005)


def test_intergalactic_gas_absorbs_nothing_redwards_of_lyman_alpha():
    z = np.array([0.05, 0.5, 1.5])
    assert (igm_transmission(1216.0 * (1 + z) + 1, z) == 1).all()
    assert igm_transmission(1500.0, 0.05) == 1


def test_intergalactic_gas_absorbs_more_at_higher_redshift():
    z = np.linspace(0.1, 2, 20)
    forest = igm_transmission(1100.0 * (1 + z), z)
    assert (np.diff(forest) < 0).all()
    # effective optical depth of Lyman alpha alone, Madau 1995, eq. 12
    assert forest[-1] == pytest.approx(np.exp(-0.0036 * (3300 / 1215.67) ** 3.46))


def test_gas_absorbs_only_what_reaches_it_from_behind():
    # at z = 0.1 no gas has yet shifted 1100 A (observed) light into Lyman alpha
    assert igm_transmission(1180.0, 0.1) == 1


@pytest.mark.parametrize("z", [0.0, 0.1234, 0.87])
@pytest.mark.parametrize("name", ["galex_NUV", "panstarrs_g", "panstarrs_y", "wise_w2"])
def test_fluxes_are_those_of_sedpy(name, z):
    template = 3
    wavelength = rest_wavelength() * (1 + z)
    flux = rest_templates()[template] * igm_transmission(wavelength, z)
    # sedpy wants erg / (s cm2 A) and gives AB maggies
    magnitude = Filter(name).ab_mag(wavelength, flux * 1e-17)
    ours = TemplateGrid.of(FILTERS).at(np.array([z]))[0, template, 0]
    ours = ours[FILTERS.index(name)]
    assert 31.4 - 2.5 * np.log10(ours) == pytest.approx(magnitude, abs=0.004)


def test_interpolation_between_nodes_errs_by_little():
    grid = TemplateGrid.of(FILTERS)
    # at every second node only, and the nodes between
    coarse = (grid.values[:-2:2] + grid.values[2::2]) / 2
    flux, between = coarse[:, :, 0], grid.values[1:-1:2, :, 0]
    bright = between > 1e-3 * between.max(axis=0)
    error = 2.5 * np.abs(np.log10(flux[bright] / between[bright]))
    # between nodes half as far apart the error is a quarter
    assert np.percentile(error, 99.9) / 4 < 0.005


def test_mixtures_are_sums():
    z = np.array([0.3, 1.1])
    coefficients = np.random.default_rng(1).random((2, 1, N_STELLAR + 1))
    grid = TemplateGrid.of(FILTERS)
    expected = np.einsum("nmj,njkb->nmkb", coefficients, grid.at(z))
    assert grid.fluxes(coefficients, z) == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_extinction_of_a_flat_spectrum_is_the_published_one():
    flat = (rest_wavelength() ** -2.0)[None] * 5500**2
    flux, reddened, moment = fluxes_at_rest(flat, FILTERS)[0]
    expected = list(extinction_coefficients(BANDS, scale="sfd").values())
    assert reddened / flux == pytest.approx(expected, rel=0.01)
    pivot = [band.pivot.value for band in BANDS]
    assert np.exp(moment / flux) == pytest.approx(pivot, rel=0.02)


def test_the_last_redshift_is_within_the_table():
    assert np.isfinite(TemplateGrid.of(FILTERS).at(np.array([Z_MAX]))).all()


def test_a_filter_beyond_the_templates_is_refused():
    with pytest.raises(ValueError, match="'wise_w3' reaches to .* micron"):
        TemplateGrid.of(("wise_w3",))
