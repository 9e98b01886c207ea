"""Sky level and noise from sectors."""

import numpy as np
import pytest

from mantis_astro.photometry.sky import _median, estimate_sky


def sums(pixels):
    """Pixels of shape (n, n_sector, n_pixel)."""
    return (
        pixels.sum(-1),
        (pixels**2).sum(-1),
        np.full(pixels.shape[:2], pixels.shape[2]),
    )


@pytest.mark.parametrize("rate", [0.06, 0.4, 5.0])
def test_rare_photons_are_counted_without_bias(rate):
    """GALEX: 94 % of the pixels are exactly 0, the median and MAD too."""
    pixels = np.random.default_rng(1).poisson(rate, (2000, 16, 60))
    sky = estimate_sky(*sums(pixels))
    error = np.sqrt(rate / (2000 * 16 * 60))
    assert sky.level.mean() == pytest.approx(rate, abs=4 * error + 0.002 * rate)
    assert sky.variance.mean() == pytest.approx(rate, rel=0.05)


def test_gaussian_noise_and_pedestal_come_back():
    pixels = np.random.default_rng(2).normal(500.0, 3.0, (1000, 16, 100))
    sky = estimate_sky(*sums(pixels))
    assert sky.level.mean() == pytest.approx(500, abs=0.01)
    assert np.median(sky.variance) == pytest.approx(9, rel=0.02)
    assert np.median(sky.correlation) == pytest.approx(1, abs=0.15)


def test_a_bright_neighbour_in_some_sectors_changes_nothing():
    pixels = np.random.default_rng(3).normal(0, 1, (1, 16, 100))
    with_star = pixels.copy()
    with_star[0, :3] += 1000
    clean, dirty = estimate_sky(*sums(pixels)), estimate_sky(*sums(with_star))
    assert dirty.area[0] == 1300
    assert dirty.level == pytest.approx(clean.level, abs=0.1)
    assert dirty.variance == pytest.approx(clean.variance, rel=0.1)


def test_correlated_noise_is_noticed():
    """Pairs of equal pixels: sums over a sector scatter twice as much."""
    pixels = np.random.default_rng(4).normal(0, 1, (1000, 16, 50)).repeat(2, axis=-1)
    sky = estimate_sky(*sums(pixels))
    assert np.median(sky.correlation) == pytest.approx(2, rel=0.15)


def test_no_pixels_no_level():
    zeros = np.zeros((2, 16))
    sky = estimate_sky(zeros, zeros, zeros)
    assert np.isnan(sky.level).all()
    assert (sky.area == 0).all()


def test_sectors_without_pixels_do_not_count():
    flux, square, area = sums(np.ones((1, 16, 10)))
    flux[0, 0] = square[0, 0] = area[0, 0] = 0
    assert estimate_sky(flux, square, area).level.tolist() == [1.0]


@pytest.mark.parametrize("n_sector", [5, 6])
def test_medians_over_sectors_are_those_of_numpy(n_sector):
    values = np.random.default_rng(5).normal(size=(20, n_sector))
    values[:15, 0] = np.nan
    values[:5, 1] = np.nan
    np.testing.assert_allclose(_median(values), np.nanmedian(values, axis=1))
