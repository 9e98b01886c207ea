"""Cosmic rays and hot pixels: features sharper than the instrument can make them."""

import numpy as np

from mantis_astro.spectra.pixels import noise_of

__all__ = ["find_spikes"]

_CONTINUUM = 51  # pixels of the running median
_LEAST = 4.5  # standard deviations above it, to be looked at
_STEEP = 1.0  # of its height within the profile's width: sharper than its middle
_MISFIT = 0.2  # root of the summed squares of residuals over the height
_CHANCE = 6.0, 3.0  # gain in chi-square by noise: of a spike, and of each pixel of it
_BASE = 20  # per cent of the pixels around, where lines stand in wide absorption
_OPPOSITE = 0.5  # of its height: emission in absorption, whose edge may be sharp
_SIGMA = 2.3548  # FWHM of a Gaussian in standard deviations


def find_spikes(pixels, resolution):
    """
    Find features, up or down, that are narrower than the instrument's profile.

    Around each steep and significant extreme, the best sum of profiles, none of them
    negative, at places half a pixel apart is fitted, once with the extreme and once
    without. Real lines, of any width and blended in any way, are such sums; what fits
    much better without is a spike.

    Parameters
    ----------
    pixels : Pixels
        The spectrum.
    resolution : float
        FWHM of the instrument's profile in pixels; 0 finds nothing.

    Returns
    -------
    ndarray of bool
        Pixels that belong to a spike, shape ``(n,)``.
    """
    spikes = np.zeros(pixels.good.size, dtype=bool)
    good = np.flatnonzero(pixels.good)
    if not resolution or good.size < _CONTINUUM:
        return spikes
    excess = np.zeros(pixels.good.size)
    excess[good] = _significance(pixels.flux[good], noise_of(pixels)[good])
    reach = int(np.ceil(3 * max(resolution, 2)))
    for peak in _steep_extremes(excess, resolution):
        window = np.arange(peak - reach, peak + reach + 1)
        window = window[(window >= 0) & (window < excess.size)]
        window = window[pixels.good[window]]
        height = excess[peak]
        shape = excess[window] / height
        if shape.min() < -_OPPOSITE:
            continue
        shape = np.maximum(shape - min(np.percentile(shape, _BASE), 0), 0)
        own = _run(excess / height, peak, 0.5)[window]
        profiles = _profiles(window - peak, resolution / _SIGMA)
        gain = _misfit(profiles, shape) - _misfit(profiles[~own], shape[~own])
        chance = (_CHANCE[0] + _CHANCE[1] * own.sum()) / height**2
        if gain > max(_MISFIT**2, chance):
            spikes |= _run(excess / height, peak, _MISFIT)
    return spikes


def _significance(flux, std):
    """Excess over the continuum in standard deviations, as large as they must be."""
    from scipy.ndimage import median_filter

    excess = (flux - median_filter(flux, _CONTINUUM, mode="nearest")) / std
    return excess / max(1.0, 1.4826 * np.median(np.abs(excess)))


def _steep_extremes(excess, resolution):
    size = np.abs(excess)
    beside = np.pad(excess, 1)
    left, right = beside[:-2], beside[2:]
    is_peak = (size >= np.abs(left)) & (size >= np.abs(right)) & (size > _LEAST)
    step = np.maximum(np.abs(excess - left), np.abs(excess - right))
    # the flat top of a box is steep at its end only
    inner = np.maximum(np.pad(step, 1)[:-2], np.pad(step, 1)[2:])
    return np.flatnonzero(
        is_peak & (np.maximum(step, inner) > _STEEP * size / max(resolution, 2))
    )


def _profiles(x, sigma):
    """Make profiles half a pixel apart, averaged over pixels, (n, n_profile)."""
    from scipy.special import ndtr

    centres = np.arange(x[0], x[-1] + 0.25, 0.5)
    edges = (x[:, None] + [-0.5, 0.5])[..., None] - centres  # (n, 2, n_profile)
    return np.diff(ndtr(edges / sigma), axis=1)[:, 0]


def _misfit(profiles, shape):
    """Fit profiles to a shape; return the summed squares of what they leave."""
    from scipy.optimize import nnls

    return nnls(profiles, shape)[1] ** 2


def _run(shape, peak, least):
    """Find the connected pixels around a peak that are at least so high."""
    low = np.flatnonzero(shape < least)
    at = np.searchsorted(low, peak)
    start = low[at - 1] + 1 if at else 0
    stop = low[at] if at < low.size else shape.size
    pixels = np.arange(shape.size)
    return (pixels >= start) & (pixels < stop)
