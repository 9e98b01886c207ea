"""The common grid: against native cutouts through align_batch, and galsim."""

from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
import torch
from astropy.coordinates import SkyCoord

from mantis_astro.alignment import align_batch
from mantis_astro.bands import BANDS
from mantis_astro.simulation.instruments.noise import njy_per_unit
from mantis_astro.simulation.instruments.registry import get_instrument
from mantis_astro.simulation.rendering.grid import render_grid
from mantis_astro.simulation.rendering.native import render_cutouts, render_native
from mantis_astro.simulation.rendering.observation import (
    add_noise_grid,
    bad_pixels_grid,
    observe_grid,
)
from mantis_astro.simulation.sources import Sources
from mantis_astro.simulation.uniforms import keys_of
from tests.simulation.rendered import (
    PROFILES,
    all_observed,
    galsim_image,
    many_sources,
    one_source,
)

PS1 = slice(2, 7)


def coords_of(n, seed=5):
    rng = np.random.default_rng(seed)
    return SkyCoord(rng.uniform(0, 360, n), rng.uniform(-25, 75, n), unit="deg")


def aligned_expectation(sources, coords, conditions, shape=(32, 32), scale=1.0):
    """Native images without noise, brought to the grid by align_batch; nJy."""
    native = render_native(sources, coords, conditions=conditions)
    cutouts = render_cutouts(sources, coords, conditions=conditions)
    for i, galaxy in enumerate(cutouts):
        for survey in galaxy.surveys:
            own = [b for b in BANDS if b.survey == survey.name]
            for band, image in zip(own, native[survey.name][i], strict=True):
                galaxy[band].data = image.numpy()
                galaxy[band].mask = None
    tensor, _ = align_batch(cutouts, scale * u.arcsec, shape, bands=BANDS)
    return tensor.numpy()


def test_images_are_native_ones_aligned():
    n = 12
    sources, coords, conditions = many_sources(n, 3), coords_of(n), all_observed(n)
    truth = aligned_expectation(sources, coords, conditions)
    images = render_grid(sources, n, conditions=conditions).numpy()
    peak = truth.max((2, 3))
    residual = abs(images - truth).max((2, 3)) / peak
    is_ps1 = np.array([band.survey == "ps1" for band in BANDS])
    assert residual[:, ~is_ps1].max() < 3e-3
    # where the small pixels of a skycell lie is averaged over
    assert np.median(residual[:, is_ps1]) < 8e-3
    assert residual[:, is_ps1].max() < 2e-2
    y, x = np.indices((32, 32)) - 15.5
    aperture = np.hypot(x, y) < 3
    inside, expected = images[..., aperture].sum(-1), truth[..., aperture].sum(-1)
    np.testing.assert_allclose(inside, expected, rtol=0.01)


@pytest.mark.parametrize("profile", PROFILES)
def test_images_are_those_of_galsim(profile):
    pytest.importorskip("galsim")
    conditions = all_observed(1)
    image = render_grid(one_source(profile), 1, conditions=conditions)[0, 3].numpy()
    fwhm = conditions.psf_fwhm[0, 3]
    boxes = [0.25, 0.25, 1.0]  # a pixel, its overlap with another, and that one
    truth = galsim_image(profile, BANDS[3], fwhm, (32, 32), 1.0, boxes)
    assert abs(image - truth).max() < 3e-3 * truth.max()


def test_fluxes_and_bands_are_linear():
    sources = many_sources(3, 2)
    conditions = all_observed(3)
    double = replace(sources, flux=2 * sources.flux)
    images = render_grid(sources, 3, conditions=conditions)
    np.testing.assert_allclose(
        render_grid(double, 3, conditions=conditions), 2 * images, rtol=1e-6
    )
    one_band = replace(sources, flux=sources.flux * (np.arange(9) == 4))
    only = render_grid(one_band, 3, conditions=conditions)
    assert np.flatnonzero(only.abs().sum((0, 2, 3))).tolist() == [4]


def test_a_shift_by_a_pixel_shifts_the_image():
    conditions = all_observed(1)
    here = one_source("bulge")
    there = replace(here, east=here.east - 3, north=here.north + 2)
    a, b = (render_grid(s, 1, conditions=conditions)[0, PS1] for s in (here, there))
    inner = (slice(None), slice(6, 26), slice(6, 26))
    moved = a.roll((2, 3), (1, 2))
    assert (moved - b)[inner].abs().max() < 1e-4 * a.max()


def test_a_target_does_not_depend_on_the_others():
    n = 50
    sources = many_sources(n, 4)
    rng = np.random.default_rng(0)
    sources = sources[rng.random(len(sources)) < 0.7]  # as many as there are
    keys = keys_of(3, np.arange(n))
    images, observed = observe_grid(sources, n, keys=keys)
    for i in (0, 17, 49):
        own = sources[sources.target == i]
        alone = replace(own, target=own.target * 0)
        again, observed_again = observe_grid(alone, 1, keys=keys[i : i + 1])
        peak = images[i].abs().amax((1, 2), keepdim=True) + 1e-6
        assert ((again[0] - images[i]).abs() / peak).max() < 1e-4
        assert np.array_equal(observed[i], observed_again[0])


def test_a_target_without_sources_is_dark():
    sources = one_source(target=1)
    images = render_grid(sources, 3, conditions=all_observed(3))
    assert images[[0, 2]].abs().max() == 0
    assert images[1].sum() > 0


def test_missing_and_bad_pixels_are_zero():
    n = 300
    keys = keys_of(4, np.arange(n))
    images, observed = observe_grid(many_sources(n, 1), n, keys=keys)
    assert np.array_equal((images == 0).all(-1).all(-1).numpy(), ~observed)
    assert 0.2 < (~observed[:, 0]).mean() < 0.4
    assert (observed[:, 1] <= observed[:, 0]).all()  # FUV with NUV
    assert not observed.all(0).all()
    assert torch.isfinite(images).all()
    gaps = (images[:, PS1] == 0).any(-1).any(-1).numpy() & observed[:, PS1]
    assert 0.002 < gaps.mean() < 0.02


def test_a_bright_core_is_saturated():
    conditions = all_observed(1)
    star = render_grid(one_source("point", flux=1e8), 1, conditions=conditions)
    bad = bad_pixels_grid(star, conditions)
    assert bad[0, PS1, 15:17, 15:17].all()
    assert not bad[0, 0].any()


# Noise


@pytest.fixture(scope="module")
def blank():
    """Noise of the same sky, on the grid and through native cutouts; nJy."""
    n = 48
    conditions = all_observed(n)
    # one depth, so that the scatter over targets is that of the noise
    for name in ("sky", "noise", "exposure_time"):
        one = np.broadcast_to(getattr(conditions, name)[:1], (n, 9)).copy()
        conditions = replace(conditions, **{name: one})
    coords = coords_of(n)
    dark = one_source(flux=0.0)
    cutouts = render_cutouts(dark, coords, conditions=conditions)
    native, _ = align_batch(cutouts, 1 * u.arcsec, (32, 32), bands=BANDS)
    unit = njy_per_unit(BANDS, conditions.exposure_time)
    native *= torch.from_numpy(unit).float()[..., None, None]
    on_grid = torch.cat(
        [
            add_noise_grid(torch.zeros(n, 9, 32, 32), conditions, draw=draw)
            for draw in range(4)
        ]
    )
    return native.double().numpy(), on_grid.double().numpy(), cutouts, conditions


def statistics(images):
    """Variance, and correlation with the next pixel, of each band."""
    variance = np.mean(images**2, axis=(0, 2, 3))
    along_x = np.mean(images[..., 1:] * images[..., :-1], axis=(0, 2, 3))
    along_y = np.mean(images[..., 1:, :] * images[..., :-1, :], axis=(0, 2, 3))
    return variance, (along_x + along_y) / 2 / variance


def test_noise_is_that_of_native_images_aligned(blank):
    native, on_grid, *_ = blank
    (variance, correlation), (ours, our_correlation) = map(
        statistics, (native, on_grid)
    )
    is_fuv = np.array([band.name == "FUV" for band in BANDS])
    np.testing.assert_allclose(ours[~is_fuv], variance[~is_fuv], rtol=0.05)
    np.testing.assert_allclose(ours[is_fuv], variance[is_fuv], rtol=0.1)  # few photons
    np.testing.assert_allclose(our_correlation, correlation, atol=0.05)


def test_sums_over_the_sky_scatter_as_native_ones(blank):
    native, on_grid, *_ = blank
    sums = [
        x.reshape(len(x), 9, 4, 8, 4, 8).sum((3, 5)).std((0, 2, 3))
        for x in (native, on_grid)
    ]
    np.testing.assert_allclose(sums[1], sums[0], rtol=0.1)


def test_the_sky_is_subtracted(blank):
    _, on_grid, *_ = blank
    mean = on_grid.mean((0, 2, 3))
    error = on_grid.mean((2, 3)).std(0) / np.sqrt(len(on_grid))
    assert (abs(mean) < 4 * error).all()
    assert (on_grid.min((0, 2, 3)) < 0).all()


def test_galex_counts_photons(blank):
    *_, cutouts, conditions = blank
    for j, band in enumerate(BANDS[:2]):
        sky, time = conditions.sky[0, j], conditions.exposure_time[0, j]
        pixels = np.array([galaxy[band].data for galaxy in cutouts])
        counts = (pixels + sky) * time
        np.testing.assert_allclose(counts, np.rint(counts), atol=1e-3)
        empty = np.mean(np.rint(counts) == 0)
        assert empty == pytest.approx(np.exp(-sky * time), abs=0.02)
        if band.name == "FUV":
            assert empty > 0.85


def test_neighbours_share_noise_in_stacks(blank):
    *_, cutouts, conditions = blank
    pixels = np.array([galaxy["ps1.r"].data for galaxy in cutouts[:8]], dtype=float)
    variance = np.mean(pixels**2)
    unit = njy_per_unit(BANDS, conditions.exposure_time)[0, 3]
    assert np.sqrt(variance) * unit == pytest.approx(conditions.noise[0, 3], rel=0.01)
    lag = [np.mean(pixels[..., k:] * pixels[..., :-k]) / variance for k in (1, 2, 3)]
    # as measured in the stacks of J0028 and FRB 190608: 0.20, -0.02 to 0.01
    np.testing.assert_allclose(lag, [0.205, 0.011, 0.0], atol=0.01)
    sums = pixels[:, :160, :160].reshape(8, 8, 20, 8, 20).sum((2, 4))
    summed = get_instrument("ps1").summed
    assert sums.var() / variance / 400 == pytest.approx(summed, rel=0.25)


def test_photons_of_a_source_add_noise():
    conditions = all_observed(1)
    flat = torch.full((1, 9, 32, 32), 3e4)
    noisy = torch.cat([add_noise_grid(flat, conditions, draw=k) for k in range(40)])
    dark = torch.cat([add_noise_grid(flat * 0, conditions, draw=k) for k in range(40)])
    # sums over the grid forget how pixels share noise
    inner = (slice(None), slice(None), slice(4, 28), slice(4, 28))
    more = noisy[inner].sum((2, 3)).var(0) - dark[inner].sum((2, 3)).var(0)
    unit = njy_per_unit(BANDS, conditions.exposure_time)[0]
    for j in (0, 1):  # exact photon counts: variance = flux * nJy of a count
        expected = 3e4 * 576 * unit[j] / conditions.exposure_time[0, j]
        assert more[j] == pytest.approx(expected, rel=0.7)
    assert (more > 0).sum() >= 7


def test_another_draw_is_another_noise_and_the_same_draw_the_same():
    conditions = all_observed(2)
    dark = torch.zeros(2, 9, 32, 32)
    a, b, c = (add_noise_grid(dark, conditions, draw=k) for k in (0, 0, 1))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert not torch.equal(a[0], a[1])


@pytest.mark.parametrize(("shape", "scale"), [((24, 40), 1.0), ((31, 31), 0.5)])
def test_other_grids(shape, scale):
    conditions = all_observed(2)
    sources, coords = many_sources(2, 2, reach=5), coords_of(2)
    truth = aligned_expectation(sources, coords, conditions, shape, scale)
    images = render_grid(
        sources, 2, conditions=conditions, shape=shape, pixel_scale=scale
    ).numpy()
    residual = abs(images - truth).max((2, 3)) / truth.max((2, 3))
    assert residual.max() < 0.02


def test_sources_know_their_bands():
    sources = Sources.concatenate([one_source(n_band=4)])
    with pytest.raises(ValueError, match="a flux for each of the 9 bands"):
        render_grid(sources, 1, conditions=all_observed(1))
