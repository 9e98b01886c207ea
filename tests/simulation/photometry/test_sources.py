"""What is in the sky: fluxes agree with sedpy's, breaks are where they must be."""

import numpy as np
import pytest
from sedpy.observate import getSED, load_filters

from mantis_astro.simulation.photometry.sources import (
    KINDS,
    LOW_REDSHIFT,
    draw_sources,
    wide_grid,
)
from mantis_astro.simulation.photometry.star_colours import star_fluxes
from mantis_astro.simulation.photometry.surveys import COMBINATIONS, FILTERS, SURVEYS
from mantis_astro.simulation.population.templates import (
    N_STELLAR,
    TemplateGrid,
    igm_transmission,
    rest_templates,
    rest_wavelength,
)

UGRIZ = tuple(f"sdss_{b}0" for b in "ugriz")
BANDS = (*UGRIZ, "wise_w1")


@pytest.fixture(scope="module")
def sources():
    return draw_sources(20000, seed=3, filters=BANDS)


def mag(sources, name):
    flux = sources.flux[:, sources.filters.index(name)]
    return 31.4 - 2.5 * np.log10(np.maximum(flux, 1e-6))


@pytest.mark.parametrize("z", [0.03, 0.7, 2.4, 4.2])
def test_the_table_to_high_redshift_has_the_magnitudes_of_sedpy(z):
    names = ("sdss_g0", "sdss_i0", "jwst_f277w", "wise_w1")
    grid = wide_grid(names)
    coefficients = np.eye(N_STELLAR + 4)[[1, 3, N_STELLAR]]  # young, old, a nucleus
    flux = grid.many_fluxes(coefficients, np.full(3, z))
    wavelength = rest_wavelength() * (1 + z)
    for template, seen in zip((1, 3), flux[:2], strict=True):
        spectrum = rest_templates()[template] * igm_transmission(wavelength, z)
        expected = getSED(wavelength, spectrum * 1e-17, load_filters(names))
        bright = expected < expected.min() + 8
        assert 31.4 - 2.5 * np.log10(seen[bright]) == pytest.approx(
            expected[bright], abs=0.015
        )


def test_many_fluxes_are_those_of_single_objects():
    rng = np.random.default_rng(0)
    grid = TemplateGrid.of(UGRIZ[1:3])
    coefficients, z = rng.random((50, N_STELLAR + 1)), 2 * rng.random(50)
    one_by_one = grid.fluxes(coefficients[:, None], z)[:, 0, 0]
    assert grid.many_fluxes(coefficients, z) == pytest.approx(one_by_one, rel=1e-5)


def test_sources_follow_from_the_seed_and_are_sorted(sources):
    again = draw_sources(20000, seed=3, filters=BANDS)
    assert (again.flux == sources.flux).all()
    assert (again.z == sources.z).all()
    assert (np.diff(sources.mag) >= 0).all()
    other = draw_sources(20000, seed=4, filters=BANDS)
    assert not np.isin(other.z[other.z > 0], sources.z).any()


def test_there_are_all_kinds_to_redshift_six(sources):
    share = np.bincount(sources.kind, minlength=len(KINDS)) / len(sources)
    assert share[KINDS.index("star")] == pytest.approx(0.03, abs=0.005)
    assert share[KINDS.index("quasar")] == pytest.approx(0.03, abs=0.005)
    assert 0.03 < share[KINDS.index("active galaxy")] < 0.1
    z = sources.z[sources.kind == KINDS.index("quasar")]
    assert z.min() > 0.1
    assert z.max() > 4.5
    assert (sources.z[sources.kind == KINDS.index("star")] == 0).all()
    assert 5 < sources.z.max() < 6


def test_below_the_limit_most_galaxies_are_those_of_the_population(sources):
    bright = (sources.kind == 0) & (mag(sources, "sdss_i0") < 22.5)
    assert (sources.z[bright] < 1.6).mean() > 0.99
    assert {s.name for s in LOW_REDSHIFT} >= {"limited", "main", "red", "blue"}
    # what redshifts of the nearby universe are of: one in a hundred of the sky to 23
    assert (sources.mag < 17).mean() > 0.04


def test_the_lyman_break_passes_through_the_bands(sources):
    u_g = mag(sources, "sdss_u0") - mag(sources, "sdss_g0")
    r_i = mag(sources, "sdss_r0") - mag(sources, "sdss_i0")
    galaxy = sources.kind == 0
    near = galaxy & (sources.z > 1.7) & (sources.z < 2.3)
    drops_u = galaxy & (sources.z > 3.2) & (sources.z < 3.8)
    drops_r = galaxy & (sources.z > 5) & (sources.z < 5.6)
    assert np.median(u_g[near]) < 0.8
    assert np.median(u_g[drops_u]) > 2
    assert np.median(r_i[drops_r]) > 1


def test_stars_are_on_the_locus():
    u01 = np.linspace(0.002, 0.99, 200)
    flux = star_fluxes(u01, UGRIZ, "sdss_i0")
    _, g, r, i, _ = (-2.5 * np.log10(flux)).T
    assert i == pytest.approx(0, abs=1e-9)
    # High et al. 2009 (AJ 138, 110): r-i = 0.2 to 0.25 where g-r = 0.6
    assert np.interp(0.6, (g - r)[g - r < 1.2], (r - i)[g - r < 1.2]) == pytest.approx(
        0.22, abs=0.06
    )
    # stars as red in r-i as dwarfs of type M3 have g-r between 1.3 and 1.65
    late = (r - i > 0.9) & (r - i < 1.4)
    assert ((g - r)[late] > 1.3).all()
    assert ((g - r)[late] < 1.65).all()


def test_surveys_are_known_and_within_what_is_simulated():
    assert {name for names, _ in COMBINATIONS for name in names} <= set(SURVEYS)
    for curve in load_filters(list(FILTERS)):
        assert curve.wavelength.min() > 1100
        assert curve.wavelength[curve.transmission > 0].max() < 6.2e4
