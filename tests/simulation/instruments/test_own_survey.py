"""A survey that is not the package's: simulated from its registration alone."""

from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
import torch
from astropy.coordinates import SkyCoord

from mantis_astro import SimulatedSky, bands
from mantis_astro.alignment import align_batch
from mantis_astro.bands import BANDS, Band, Survey, get_bands, register_survey
from mantis_astro.exceptions import MissingBandError
from mantis_astro.services import conf
from mantis_astro.simulation import (
    GalaxyPopulation,
    Instrument,
    LocalSky,
    draw_conditions,
    draw_scenes,
    register_instrument,
    render_cutouts,
)
from mantis_astro.simulation.instruments import registry
from mantis_astro.simulation.rendering.grid import render_grid
from mantis_astro.simulation.rendering.native import render_native
from mantis_astro.simulation.rendering.observation import (
    add_noise_grid,
    bad_pixels_grid,
    observe_grid,
)
from mantis_astro.simulation.uniforms import keys_of
from tests.simulation.rendered import one_source

TITLE = "A made-up survey of the near infrared"
KEYS = keys_of(8, np.arange(2000))
PS1 = get_bands(["ps1.g", "ps1.r"])


def survey(name="toy", **changes):
    rows = (("H", "twomass_H", 16_600.0, 1.2), ("K", "twomass_Ks", 21_500.0, 1.1))
    made = [
        Band(name, band, sedpy_name, pivot * u.AA, fwhm * u.arcsec, 22.5)
        for band, sedpy_name, pivot, fwhm in rows
    ]
    facts = {
        "name": name,
        "title": TITLE,
        "bands": tuple(made),
        "pixel_scale": 0.4 * u.arcsec,
        "shape": (100, 100),
        "unit": u.nmgy,
        "magsys": "AB",
        "service": "legacy_survey",
        "layer": name,
        "reference": "made up",
    }
    return Survey(**facts | changes)


def instrument(name="toy", **changes):
    facts = {
        "survey": name,
        "noise": {"H": 900.0, "K": 1500.0},
        "gain": {"H": 20.0, "K": 20.0},
        "missing": {name: 0.1, f"{name}.K": 0.2},
    }
    return Instrument(**facts | changes)


@pytest.fixture
def registries(monkeypatch):
    """Registries that forget after the test."""
    for module, name in (
        (bands, "_surveys"),
        (bands, "_bands"),
        (registry, "_instruments"),
    ):
        monkeypatch.setattr(module, name, dict(getattr(module, name)))


@pytest.fixture
def toy(registries):
    """Bands of the survey, once it is registered."""
    made = register_survey(survey())
    register_instrument(instrument())
    return made.bands


@pytest.fixture
def stacked(registries):
    """Bands of a survey with small pixels that are turned and share noise."""
    made = register_survey(survey("stacked"))
    shared = 0.2
    taps = np.array([shared, 1, shared]) / np.sqrt(1 + 2 * shared**2)
    register_instrument(
        instrument(
            "stacked",
            taps=tuple(taps.tolist()),
            centred=False,
            saturation=1e6,
            saturated_brightness=4e6,
            gaps=0.5,
        )
    )
    return made.bands


def seen(conditions):
    return replace(
        conditions,
        observed=np.ones_like(conditions.observed),
        damage=np.ones_like(conditions.damage),
    )


def test_conditions_are_those_of_the_registration(toy):
    conditions = draw_conditions(KEYS, bands=toy)
    missing = 1 - conditions.observed.mean(0)
    np.testing.assert_allclose(missing, [0.1, 1 - 0.9 * 0.8], atol=0.03)
    assert (conditions.observed[:, 1] <= conditions.observed[:, 0]).all()
    np.testing.assert_allclose(np.median(conditions.noise, 0), [900, 1500], rtol=0.02)
    np.testing.assert_allclose(np.median(conditions.psf_fwhm, 0), [1.2, 1.1], rtol=0.02)


def test_other_bands_are_observed_as_without_it(toy):
    alone, beside = (draw_conditions(KEYS, bands=b) for b in (BANDS, (*BANDS, *toy)))
    own = draw_conditions(KEYS, bands=toy)
    for name in ("observed", "psf_fwhm", "exposure_time", "sky", "noise", "damage"):
        values = getattr(beside, name)
        np.testing.assert_array_equal(values[:, :9], getattr(alone, name))
        np.testing.assert_array_equal(values[:, 9:], getattr(own, name))
    chance = np.corrcoef(beside.damage[:, :, 0].T)[9:, :9]
    assert abs(chance).max() < 0.1  # numbers of its own


def test_cutouts_are_as_the_registration_says(toy):
    coords = SkyCoord([150.1], [2.2], unit="deg")
    source = one_source("disc", flux=1e8, n_band=2)
    conditions = seen(draw_conditions(KEYS[:1], bands=toy))
    (galaxy,) = render_cutouts(source, coords, conditions=conditions)
    cutout = galaxy["toy.H"]
    assert (cutout.shape, cutout.unit, cutout.mask) == ((100, 100), u.nmgy, None)
    assert cutout.meta == {"magsys": "AB", "zero_point_ab": 22.5}
    x, y = cutout.wcs.world_to_pixel(coords[0])
    np.testing.assert_allclose((x, y), 49.5, atol=1e-6)
    flux = cutout.data.sum() * 3631e9 * 10 ** (-0.4 * 22.5)
    assert flux == pytest.approx(1e8, rel=0.01)


def blank_cutouts(toy):
    """Cutouts of a blank sky of one depth, and their conditions."""
    n = 24
    conditions = seen(draw_conditions(KEYS[:n], bands=toy))
    conditions = replace(conditions, noise=np.full((n, 2), 900.0))
    coords = SkyCoord(np.arange(n), np.zeros(n), unit="deg")
    dark = one_source(flux=0.0, n_band=2)
    cutouts = render_cutouts(dark, coords, conditions=conditions)
    return cutouts, conditions


@pytest.mark.parametrize("kind", ["toy", "stacked"])
def test_noise_on_the_grid_is_that_of_cutouts_aligned(kind, request):
    made = request.getfixturevalue(kind)
    cutouts, conditions = blank_cutouts(made)
    unit = 3631e9 * 10 ** (-0.4 * 22.5)
    pixels = np.array([galaxy[made[0]].data for galaxy in cutouts]) * unit
    assert pixels.std() == pytest.approx(900, rel=0.01)
    aligned, _ = align_batch(cutouts, 1 * u.arcsec, (32, 32), bands=made)
    aligned = aligned.double().numpy() * unit
    dark = torch.zeros(len(cutouts), 2, 32, 32)
    ours = add_noise_grid(dark, conditions).double().numpy()
    for a, b in ((aligned, ours), (_pairs(aligned), _pairs(ours))):
        np.testing.assert_allclose(b.std((0, 2, 3)), a.std((0, 2, 3)), rtol=0.05)


def _pairs(images):
    """Sums of neighbours, whose scatter tells how they are correlated."""
    return images[..., 1:] + images[..., :-1]


def test_photons_of_a_source_add_noise(toy):
    conditions = seen(draw_conditions(KEYS[:1], bands=toy))
    flat = torch.full((1, 2, 32, 32), 3e6)
    noisy = torch.cat([add_noise_grid(flat, conditions, draw=k) for k in range(40)])
    dark = torch.cat([add_noise_grid(0 * flat, conditions, draw=k) for k in range(40)])
    inner = (slice(None), 0, slice(4, 28), slice(4, 28))
    more = noisy[inner].sum((1, 2)).var() - dark[inner].sum((1, 2)).var()
    unit = 3631e9 * 10 ** (-0.4 * 22.5)
    assert more == pytest.approx(3e6 * 24**2 * unit / 20.0, rel=0.7)


def test_images_on_the_grid_are_native_ones_aligned(toy):
    n = 4
    coords = SkyCoord(np.arange(n), np.zeros(n), unit="deg")
    sources = one_source("large disc", flux=1e5, n_band=2)
    conditions = seen(draw_conditions(KEYS[:n], bands=toy))
    native = render_native(sources, coords, conditions=conditions)["toy"]
    cutouts = render_cutouts(sources, coords, conditions=conditions)
    for galaxy, images in zip(cutouts, native, strict=True):
        for band, image in zip(toy, images, strict=True):
            galaxy[band].data = image.numpy()
    truth, _ = align_batch(cutouts, 1 * u.arcsec, (32, 32), bands=toy)
    images = render_grid(sources, n, conditions=conditions)
    assert (images[0] - truth[0]).abs().max() < 3e-3 * truth.max()


def test_saturation_and_gaps_follow_from_numbers(stacked):
    coords = SkyCoord([150.1], [2.2], unit="deg")
    conditions = seen(draw_conditions(KEYS[:1], bands=stacked))
    damage = np.array([[[1.0, 1.0], [0.1, 0.5]]])  # a gap in the second band
    conditions = replace(conditions, damage=damage)
    star = one_source("point", flux=1e8, n_band=2)
    (galaxy,) = render_cutouts(star, coords, conditions=conditions)
    mask = galaxy["stacked.H"].mask
    assert mask[49:51, 49:51].all()
    assert not mask.any(1).all()
    assert (
        galaxy["stacked.K"].mask.any(1).all() or galaxy["stacked.K"].mask.any(0).all()
    )
    images = render_grid(star, 1, conditions=conditions)
    bad = bad_pixels_grid(images, conditions)[0]
    assert bad[:, 15:17, 15:17].all()
    assert bad[1].sum() > bad[0].sum()


def test_noise_beside_other_surveys_is_that_alone(toy):
    keys = KEYS[:2]
    both, _ = observe_grid(
        one_source(flux=0.0, n_band=4),
        2,
        keys=keys,
        conditions=seen(draw_conditions(keys, bands=(*PS1, *toy))),
    )
    for part, own in ((slice(0, 2), PS1), (slice(2, 4), toy)):
        conditions = seen(draw_conditions(keys, bands=own))
        alone, _ = observe_grid(
            one_source(flux=0.0, n_band=2), 2, keys=keys, conditions=conditions
        )
        assert torch.equal(both[:, part], alone)
    assert not torch.equal(both[:, 0], both[:, 2])


def test_the_simulated_sky_has_its_images_beside_the_others(toy):
    plain, sky = SimulatedSky(seed=3), SimulatedSky(seed=3, more_bands=["toy.H"])
    table = sky.catalog(3)
    assert "flux_toy_H" in table.colnames
    np.testing.assert_array_equal(table["z_spec"], plain.catalog(3)["z_spec"])
    coords = SkyCoord(table["ra"], table["dec"])
    wanted = ["ps1.i", "toy.H", "toy.K"]
    observed = sky.observed(coords, wanted)
    assert not observed[:, 2].any()  # not one of this sky's
    before = plain.iter_cutouts(coords, ["ps1.i"])
    for (i, cutouts, statuses), (_, other, _) in zip(
        sky.iter_cutouts(coords, wanted), before, strict=True
    ):
        assert [s.state == "ok" for s in statuses.values()] == observed[i].tolist()
        peak = np.nanmax(other["ps1.i"].data)
        difference = abs(cutouts["ps1.i"].data - other["ps1.i"].data)
        assert np.nanmax(difference) < 0.01 * peak
    assert observed[:, 1].any()


def test_the_local_sky_serves_it_and_the_services_fetch_it(toy):
    from mantis_astro.services import SurveyCutouts

    sky = SimulatedSky(seed=3, more_bands=["toy.H"])
    table = sky.catalog(6)
    coords = SkyCoord(table["ra"], table["dec"])
    there = sky.observed(coords, ["toy.H"])[:, 0]
    with LocalSky(sky) as server, server.configure(conf):
        found = SurveyCutouts().iter_cutouts(coords, ["toy.H"])
        states = {i: statuses[toy[0]].state for i, _, statuses in found}
    assert [states[i] == "ok" for i in range(6)] == there.tolist()
    assert there.any()


def test_a_sky_without_an_instrument_is_refused(registries):
    with pytest.raises(ValueError, match="no instrument of survey 'allwise'"):
        SimulatedSky(more_bands=["allwise.W1"])


def test_what_cannot_be_registered_is_refused(toy):
    with pytest.raises(ValueError, match="of survey 'toy' is already registered"):
        register_instrument(instrument())
    with pytest.raises(MissingBandError, match="no survey 'nowhere'"):
        register_instrument(instrument("nowhere"))
    with pytest.raises(ValueError, match=r"need a zero point, \['allwise.W1'"):
        register_instrument(instrument("allwise"))


def test_populations_shine_in_its_bands(toy):
    population = GalaxyPopulation(seed=1, bands=toy)
    sources = draw_scenes(population, population.draw(3), neighbours=False)
    assert sources.flux.shape[1] == 2
    assert (sources.flux > 0).any()
