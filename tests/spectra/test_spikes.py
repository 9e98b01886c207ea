"""What is sharper than the instrument can make it is found, and no line is."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtr

from mantis_astro.spectra.pixels import Pixels
from mantis_astro.spectra.spikes import find_spikes

N, AT = 400, 200


def pixels(excess, std=0.1, seed=0):
    """Pixels of a sloping continuum with noise, and something on top."""
    flux = np.linspace(1, 2, N) + excess
    flux += np.random.default_rng(seed).normal(0, std, N)
    wavelength = 4000 + 1.5 * np.arange(N)
    return Pixels(wavelength, flux, np.full(N, std), np.ones(N, dtype=bool))


def box(width, height=5.0):
    at = np.arange(N) - AT
    return height * ((at >= 0) & (at < width))


def line(fwhm, offset=0.0, height=5.0):
    """Make a Gaussian line, averaged over each pixel."""
    sigma = fwhm / 2.3548
    edges = (np.arange(N + 1) - 0.5 - AT - offset) / sigma
    return height * np.diff(ndtr(edges)) * sigma * np.sqrt(2 * np.pi)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("height", [-5.0, 3.0, 1000.0])
def test_a_box_is_a_spike_up_or_down(width, height):
    found = find_spikes(pixels(box(width, height)), 2.0)
    np.testing.assert_array_equal(found, box(width) > 0)


@pytest.mark.parametrize("offset", [0.0, 0.25, 0.5])
@pytest.mark.parametrize("fwhm", [2.0, 2.6, 4.0, 10.0, 40.0])
@pytest.mark.parametrize("height", [-5.0, 1.0, 1000.0])
def test_a_line_is_none_however_wide_and_wherever_in_its_pixel(fwhm, offset, height):
    assert not find_spikes(pixels(line(fwhm, offset, height)), 2.0).any()


def test_a_blend_of_lines_is_no_spike():
    blend = line(2.0) + line(2.0, 3.0) + line(2.0, 5.5, 2.0)
    assert not find_spikes(pixels(blend), 2.0).any()


def test_a_line_in_wide_absorption_is_no_spike():
    assert not find_spikes(pixels(line(2.5) - line(30.0, 2.0, 1.5)), 2.0).any()


def test_what_is_a_line_of_one_instrument_is_a_spike_of_another():
    narrow = pixels(line(1.2))
    assert find_spikes(narrow, 2.0).any()
    assert not find_spikes(narrow, 1.2).any()
    assert find_spikes(pixels(line(2.0)), 5.0).any()


def test_nothing_is_found_where_nothing_is_asked_for():
    assert not find_spikes(pixels(box(1)), 0).any()


def test_noise_has_no_spikes():
    for seed in range(20):
        assert not find_spikes(pixels(0, seed=seed), 2.0).any()


def test_errors_that_are_too_small_make_no_spikes():
    given = pixels(0)
    assert not find_spikes(replace(given, std=given.std / 5), 2.0).any()


def test_pixels_that_are_masked_already_are_not_looked_at():
    given = pixels(box(2, 1e6))
    masked = replace(given, good=box(2) == 0)
    assert not find_spikes(masked, 2.0).any()


def test_without_errors_the_scatter_tells():
    given = replace(pixels(box(2)), std=np.full(N, np.nan))
    np.testing.assert_array_equal(find_spikes(given, 2.0), box(2) > 0)
