import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from mantis_astro.bands import get_bands
from mantis_astro.simulation import GalaxyPopulation, draw_scenes
from mantis_astro.simulation.population.counts import FIELD, SubsampleTable
from mantis_astro.simulation.population.quasars import draw_quasars
from mantis_astro.simulation.population.stars import draw_stars, star_density
from mantis_astro.simulation.sources import Sources
from mantis_astro.simulation.uniforms import keys_of, uniforms


@pytest.fixture(scope="module")
def population():
    return GalaxyPopulation(seed=11)


@pytest.fixture(scope="module")
def sample(population):
    return population.draw(3000)


@pytest.fixture(scope="module")
def scenes(population, sample):
    return draw_scenes(population, sample)


def distance(sources):
    return np.hypot(sources.east, sources.north)


def test_each_target_comes_first_at_its_own_place(scenes, sample):
    first = np.unique(scenes.target, return_index=True)[1]
    assert len(first) == len(sample)
    assert (distance(scenes)[first] == 0).all()
    assert (np.diff(scenes.target) >= 0).all()
    # target rows are not mixed with others
    near = distance(scenes) == 0
    assert (near[1:] <= near[:-1])[np.diff(scenes.target) == 0].all()


def test_the_target_has_its_flux(population, sample):
    alone = draw_scenes(population, sample, neighbours=False)
    total = np.zeros_like(sample.flux)
    np.add.at(total, alone.target, alone.flux)
    # parts with less than 0.3 % of the brightest band get no row
    brightest = sample.flux.max(axis=1, keepdims=True)
    assert (np.abs(total - sample.flux) <= 0.006 * brightest).all()
    assert (alone.radius[alone.radius > 0] >= 0.05).all()


def test_a_scene_does_not_depend_on_other_targets(population, sample, scenes):
    one = draw_scenes(population, sample[123:124])
    rows = scenes[scenes.target == 123]
    for name in ("east", "north", "flux", "radius", "sersic"):
        assert np.array_equal(getattr(one, name), getattr(rows, name)), name


@pytest.mark.parametrize("radius", [10, 24, 28, 50])
def test_a_smaller_radius_leaves_out_what_is_outside(
    population, sample, scenes, radius
):
    inside = scenes[distance(scenes) <= radius]
    some = draw_scenes(population, sample, radius=radius * u.arcsec)
    assert np.array_equal(some.target, inside.target)
    assert np.array_equal(some.flux, inside.flux)


def test_there_are_as_many_galaxies_as_on_the_sky(scenes, sample):
    ring = (distance(scenes) > 5) & (distance(scenes) < 24) & (scenes.radius > 0)
    area = np.pi * (24**2 - 5**2) / 3600**2
    expected = SubsampleTable.of(FIELD[0], "all").density * area * len(sample)
    # and a few per cent that cluster
    assert ring.sum() / expected == pytest.approx(1.08, abs=0.06)


def test_galaxies_cluster_around_targets(scenes):
    galaxies = scenes[(scenes.radius > 0) & (distance(scenes) > 0)]
    r = distance(galaxies)
    inner = (r < 3).sum() / 3**2
    outer = ((r > 15) & (r < 24)).sum() / (24**2 - 15**2)
    # 1 + 2 / 1.2 (0.75 / 3)^0.8 against about 1.08
    assert 1.2 < inner / outer < 2.0


def test_stars_are_points_more_of_them_near_the_plane(population):
    high = SkyCoord(
        l=np.linspace(0, 359, 400), b=np.full(400, 80), unit="deg", frame="galactic"
    )
    low = SkyCoord(
        l=np.linspace(0, 359, 400), b=np.full(400, 20), unit="deg", frame="galactic"
    )
    counts = []
    for coords in (high, low):
        sources = draw_scenes(population, population.draw_at(coords))
        counts.append(((sources.radius == 0) & (distance(sources) > 0)).sum())
    assert counts[1] / counts[0] == pytest.approx(
        float(star_density(20) / star_density(80)), rel=0.25
    )


def test_neighbours_stand_behind_the_dust_of_the_target(population):
    from dataclasses import replace

    sample = population.draw(300)
    dusty = replace(sample, ebv=sample.ebv + 0.5)
    clear, dim = (draw_scenes(population, each) for each in (sample, dusty))
    neighbours = distance(clear) > 0
    g = 2
    a_g = -2.5 * np.log10(dim.flux[neighbours, g] / clear.flux[neighbours, g]) / 0.5
    assert a_g == pytest.approx(3.2, abs=0.25)


def test_all_bands_can_be_asked_for():
    population = GalaxyPopulation(1, bands=["legacysurvey.g"])
    sources = draw_scenes(population, population.draw(20))
    assert sources.flux.shape == (len(sources), 1)
    assert isinstance(sources, Sources)


def test_no_targets_have_no_sources(population):
    assert len(draw_scenes(population, population.draw(0))) == 0


def test_a_radius_needs_its_unit(population, sample):
    with pytest.raises(u.UnitsError):
        draw_scenes(population, sample, radius=24)


def test_star_counts_and_colours():
    bands = get_bands(["ps1.g", "ps1.r", "ps1.i", "ps1.z"])
    flux, extinction = draw_stars(uniforms(keys_of(1, np.arange(5000)), 3), bands)
    mag = 31.4 - 2.5 * np.log10(flux)
    assert mag[:, 2].min() >= 13
    assert mag[:, 2].max() <= 21
    # 0.2 dex a magnitude
    assert (mag[:, 2] > 20).mean() == pytest.approx(1 - 10**-0.2, abs=0.04)
    # the locus of stars in PS1 (Tonry et al. 2012): turn-off to red dwarfs
    assert np.percentile(mag[:, 0] - mag[:, 1], [5, 95]) == pytest.approx(
        [0.4, 1.3], abs=0.25
    )
    assert (np.diff(extinction, axis=1) < 0).all()


def test_quasars_are_blue_in_the_optical_and_red_in_wise():
    bands = get_bands(["ps1.g", "ps1.i", "unwise.W1", "unwise.W2"])
    mag, flux, _ = draw_quasars(uniforms(keys_of(1, np.arange(500)), 2), bands)
    assert mag.max() <= 21
    g, i, w1, w2 = 31.4 - 2.5 * np.log10(flux.T)
    assert i == pytest.approx(mag, abs=1e-3)
    assert np.median(g - i) < 0.6
    # Vega W1 - W2 > 0.5, most of them (Stern et al. 2012 cut at 0.8)
    assert np.median(w1 - 2.699 - (w2 - 3.339)) > 0.5
