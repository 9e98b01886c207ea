"""
Sky level and noise from the sectors of an annulus.

Medians and clipped pixels fail on GALEX, where most pixels are exactly zero and a
single photon is an outlier; a plain mean fails where a neighbour lies in the annulus.
So pixels are averaged, without clipping, within each sector, and it is the sectors,
whose means are nearly Gaussian, that are compared and clipped.
"""

from dataclasses import dataclass

import numpy as np

__all__ = ["Sky", "estimate_sky"]

_CLIP = 4.0  # sigma, of sectors; 3 biases a sky of 4 photons a sector by 1.5 %


@dataclass(frozen=True)
class Sky:
    """
    Sky of each image, in its pixel units; all arrays of shape (n,).

    Attributes
    ----------
    level : ndarray
        Mean; NaN where there are no sky pixels.
    variance : ndarray
        Variance of a pixel.
    correlation : ndarray
        Variance of sums over a sector, as a multiple of what independent pixels would
        give; at least 1. Resampled images (PS1 stacks, aligned cutouts) exceed it.
    area : ndarray
        Number of pixels that the level comes from.
    """

    level: np.ndarray
    variance: np.ndarray
    correlation: np.ndarray
    area: np.ndarray


def estimate_sky(flux, square, area):
    """
    Estimate level and noise of the sky from sums over sectors.

    Parameters
    ----------
    flux, square, area : ndarray
        Sum, sum of squares and number of good pixels, shape (n, n_sector).

    Returns
    -------
    Sky
        With shape (n,).

    Notes
    -----
    A sector counts if at least a third of the pixels of the fullest sector are good
    in it and its mean is within four sigma of the median of the sectors, sigma being
    1.4826 times their median absolute deviation, or the noise that the scatter within
    the sectors implies, whichever is larger.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.photometry.sky import estimate_sky
    >>> pixels = np.random.default_rng(0).poisson(0.05, (1, 16, 200))
    >>> sums = pixels.sum(-1), (pixels**2).sum(-1), np.full((1, 16), 200)
    >>> bool(np.median(pixels) == 0), estimate_sky(*sums).level.round(2)
    (True, array([0.05]))
    """
    usable = (area > 1) & (area >= area.max(axis=1, keepdims=True) / 3)
    n = np.where(usable, area, np.nan)
    means = flux / n
    variances = np.maximum(square / n - means**2, 0) * n / (n - 1)
    with np.errstate(invalid="ignore"):
        kept = usable & _agree(means, _median(variances / n))
    total = np.sum(area, axis=1, where=kept)
    with np.errstate(invalid="ignore", divide="ignore"):
        level = np.sum(flux, axis=1, where=kept) / total
        variance = np.sum(variances * area, axis=1, where=kept) / total
        correlation = _excess_scatter(means, variance, n, kept)
    return Sky(level, variance, correlation, total)


def _agree(means, variance_of_mean):
    centre = _median(means)[:, None]
    spread = 1.4826 * _median(np.abs(means - centre))
    sigma = np.maximum(spread, np.sqrt(variance_of_mean))[:, None]
    return np.abs(means - centre) <= _CLIP * sigma


def _excess_scatter(means, variance, n, kept):
    m = np.count_nonzero(kept, axis=1)
    centre = np.sum(means, axis=1, where=kept) / m
    squares = n * (means - centre[:, None]) ** 2
    observed = np.sum(squares, axis=1, where=kept) / (m - 1)
    excess = observed / variance
    return np.where(np.isfinite(excess), np.maximum(excess, 1), 1)


def _median(values):
    """Median over sectors without the NaNs; NaN where there is nothing else."""
    ordered = np.sort(values, axis=1)  # NaNs last
    n = np.count_nonzero(~np.isnan(values), axis=1)
    rows = np.arange(len(values))
    low, high = np.maximum(n - 1, 0) // 2, np.minimum(n // 2, values.shape[1] - 1)
    return (ordered[rows, low] + ordered[rows, high]) / 2
