"""How catalogues see the sky: depth, zero points, dust and apertures."""

from dataclasses import replace

import numpy as np
import pytest

from mantis_astro.extinction import extinction_coefficients
from mantis_astro.models import PhotometrySpec
from mantis_astro.models.band_sets import APERTURES
from mantis_astro.simulation.photometry.observing import (
    Fields,
    FilterFacts,
    SurveyConditions,
    observe,
)
from mantis_astro.simulation.photometry.sources import SourceFluxes
from mantis_astro.simulation.photometry.surveys import SURVEYS

NAMES = tuple(dict.fromkeys(SURVEYS["sdss"].filters + SURVEYS["wise"].filters))
FACTS = FilterFacts(NAMES)
N = 400  # objects in a group

#: Nothing that a catalogue does not tell, but dust and apertures.
PERFECT = SurveyConditions(
    depth=(23.0, 23.0),
    depth_survey=0.0,
    depth_band=0.0,
    zero_point=0.0,
    poor_band=0.0,
    poor_value=0.0,
    offset=0.0,
    offset_uv_mir=0.0,
    scatter=0.0,
    scatter_uv_mir=0.0,
    template=0.0,
    gas=0.0,
    value=0.0,
    floor=(1e-9, 1e-9),
    misjudged=0.0,
    drop_band=0.0,
    drop_value=0.0,
    few=0.0,
    drop_undetected=0.0,
    drop_error=0.0,
)


def look(conditions, *, flux=1e6, n_group=12, seed=0, surveys=("sdss", "wise")):
    """Stars, which lose no light, in some groups; fluxes of all filters are equal."""
    n = n_group * N
    rng = np.random.default_rng(seed)
    sources = SourceFluxes(
        NAMES,
        np.full((n, len(NAMES)), flux, np.float32),
        np.zeros(n),
        np.full(n, 3),
        np.full(n, 18.0),
    )
    fields = Fields.of([surveys] * n_group, FACTS, rng, conditions)
    return observe(sources, fields, FACTS, rng, conditions), fields


def by_group(values):
    return values.reshape(-1, N, values.shape[1])


def test_depth_is_the_flux_of_five_sigma():
    catalog, _ = look(PERFECT, flux=0.0)
    limit = 23 - np.where(np.arange(7) >= 5, SURVEYS["wise"].shallower, 0)
    noise = by_group(catalog.flux).std(axis=(0, 1))
    expected = 10 ** (-0.4 * (limit - 31.4)) / 5
    x = np.log(FACTS.pivot / 6200)
    expected *= 10 ** (0.4 * np.where(np.abs(x) < 0.7, 2.5 * x**2, 0))
    assert noise == pytest.approx(expected, rel=0.06)
    told = by_group(catalog.flux_err)
    assert np.median(told, axis=(0, 1)) == pytest.approx(expected, rel=0.05)


def test_fluxes_scatter_by_their_errors_and_may_be_negative():
    catalog, _ = look(PERFECT, flux=0.0)
    pull = by_group(catalog.flux / catalog.flux_err)
    assert pull.std() == pytest.approx(1, abs=0.03)
    assert (pull < 0).mean() == pytest.approx(0.5, abs=0.03)


def residuals(conditions, **options):
    """Magnitudes against the truth of groups with all bands, without dust."""
    catalog, _ = look(replace(conditions, depth=(35.0, 35.0)), **options)
    known = np.isfinite(by_group(catalog.ebv[:, None])[:, 0, 0])
    dust = catalog.ebv[:, None] * FACTS.extinction[catalog.filters]
    mag = -2.5 * np.log10(catalog.flux / 1e6)
    return by_group(mag - dust)[known]


def test_zero_points_are_those_of_a_band_in_a_catalogue():
    found = residuals(replace(PERFECT, zero_point=0.3, told_dust=1.0), n_group=40)
    centre = np.median(found, axis=1)  # (n_group, n_band)
    assert centre.std() == pytest.approx(0.3, rel=0.2)
    assert np.abs(found - centre[:, None]).mean() < 0.05  # the map's errors are left
    assert np.corrcoef(centre.T)[0, 1] == pytest.approx(0, abs=0.5)


def test_some_zero_points_are_poor():
    poor = replace(PERFECT, poor_band=0.5, poor_zero_point=0.4, told_dust=1.0)
    found = residuals(poor, n_group=60)
    centre = np.median(found, axis=1)  # (n_group, n_band)
    wrong = np.abs(centre) > 0.05
    assert wrong.mean() == pytest.approx(0.5 * 0.9, abs=0.08)  # a tenth is below that
    assert centre[wrong].std() == pytest.approx(0.4, rel=0.2)
    assert np.abs(found - centre[:, None]).mean() < 0.05


def test_some_values_are_poor():
    poor = replace(PERFECT, poor_value=0.1, poor_scatter=2.0, told_dust=1.0)
    found = residuals(poor, n_group=60)
    assert (np.abs(found) > 0.4).mean() == pytest.approx(0.1 * 0.84, abs=0.01)
    assert np.median(np.abs(found)) < 0.05


def test_offsets_are_common_to_the_bands_of_a_survey():
    conditions = replace(PERFECT, offset=0.3, offset_uv_mir=1.0, told_dust=1.0)
    centre = np.median(residuals(conditions, n_group=40), axis=1)
    assert np.ptp(centre[:, :5], axis=1).max() < 0.1
    assert np.ptp(centre[:, 5:], axis=1).max() < 0.1
    assert centre[:, 0].std() == pytest.approx(0.3, rel=0.4)
    assert centre[:, 5].std() == pytest.approx(1.0, rel=0.4)


def test_scatter_is_an_objects_own_and_common_to_a_survey():
    found = residuals(replace(PERFECT, scatter=0.3, told_dust=1.0))
    assert found[..., :5].std() == pytest.approx(0.3, rel=0.1)
    assert (found[..., 1] - found[..., 2]).std() < 0.05
    assert found[..., 5:].std() < 0.05


def test_what_dust_takes_is_what_is_told():
    catalog, _ = look(replace(PERFECT, told_dust=1.0, depth=(35.0, 35.0)))
    assert np.isfinite(catalog.ebv).all()
    mag = -2.5 * np.log10(catalog.flux / 1e6)
    slope = [np.polyfit(catalog.ebv, column, 1)[0] for column in mag.T]
    assert slope == pytest.approx(FACTS.extinction, rel=0.1)
    coefficients = list(extinction_coefficients(NAMES).values())
    assert FACTS.extinction == pytest.approx(coefficients, rel=0.03)


def test_dust_is_corrected_or_not_known_where_it_is_not_told():
    catalog, _ = look(replace(PERFECT, told_dust=0.0), n_group=40)
    ebv = catalog.ebv.reshape(-1, N)
    unknown = np.isnan(ebv).all(axis=1)
    assert (ebv[~unknown] == 0).all()
    assert 0.2 < unknown.mean() < 0.8


def test_apertures_take_light_of_galaxies_only_and_are_told():
    n = 4000
    rng = np.random.default_rng(1)
    flux = np.full((n, len(NAMES)), 1e6, np.float32)
    kind = np.where(np.arange(n) % 2 == 0, 0, 3)
    sources = SourceFluxes(NAMES, flux, np.zeros(n), kind, np.full(n, 16.0))
    conditions = replace(PERFECT, depth=(35.0, 35.0), told_dust=1.0)
    fields = Fields.of([("sdss",)] * 40, FACTS, rng, conditions)
    catalog = observe(sources, fields, FACTS, rng, conditions)
    dust = catalog.ebv[:, None] * FACTS.extinction[catalog.filters]
    lost = -2.5 * np.log10(np.where(catalog.observed, catalog.flux, 1e6) / 1e6) - dust
    lost = np.median(np.where(catalog.observed, lost, 0), axis=1)
    circle = catalog.aperture == APERTURES.index(PhotometrySpec.aperture)
    total = catalog.aperture == APERTURES.index("total")
    assert np.median(lost[circle & (kind == 0)]) > 0.15
    assert np.median(lost[total & (kind == 0)]) < 0.1
    assert np.median(lost[circle & (kind == 3)]) == pytest.approx(0, abs=0.02)
    assert set(catalog.aperture) == {0, 1, 2}


def test_something_is_always_observed():
    conditions = replace(SurveyConditions(), drop_band=0.95, drop_value=0.9)
    catalog, _ = look(conditions, n_group=30)
    assert catalog.observed.any(axis=1).all()
    assert np.isfinite(catalog.flux).all()
    assert (catalog.flux[~catalog.observed] == 0).all()
