"""Noise of a survey after resampling onto a common grid."""

from functools import lru_cache

import astropy.units as u
import numpy as np
import torch

from mantis_astro.alignment.methods import choose_method
from mantis_astro.bands import get_survey
from mantis_astro.simulation.instruments.noise import draw_normal, toeplitz

__all__ = ["ResampledNoise", "StackNoise"]


class ResampledNoise:
    """
    Noise in a survey's own pixels, resampled as its images were.

    Images are taken back to those pixels first: interpolation onto finer pixels can be
    undone.

    Parameters
    ----------
    instrument : Instrument
        Adds the noise.
    bands : sequence of Band
        Its bands.
    to_grid : tuple of `torch.Tensor`
        Matrices along y and x that resample its pixels onto the grid.
    """

    def __init__(self, instrument, bands, to_grid):
        self.instrument, self.bands, self.to_grid = instrument, bands, to_grid
        self.back = tuple(torch.linalg.pinv(m.double()).float() for m in to_grid)

    def __call__(self, images, depth, generators):
        """
        Add the noise.

        Parameters
        ----------
        images : `torch.Tensor`
            Without noise, nJy per pixel of the grid, shape (n, n_band, ny, nx).
        depth : Depth
            Of these targets and bands.
        generators : sequence of `torch.Generator`
            One for each target.

        Returns
        -------
        `torch.Tensor`
            Same shape.
        """
        (Y, X), (back_y, back_x) = self.to_grid, self.back
        flux = back_y @ images @ back_x.T
        noisy = self.instrument.add_noise(flux, depth, generators, self.bands)
        return images + Y @ (noisy - flux) @ X.T


class StackNoise:
    """
    Noise of many small pixels, summed over those of the grid, wherever they lie.

    It has the variance, and the correlation of neighbours, that exact overlap leaves on
    average.

    Parameters
    ----------
    instrument : Instrument
        Has the variance of its own pixels, and how they share noise.
    bands : sequence of Band
        Its bands.
    shape : tuple of int
        Shape (ny, nx) of the grid.
    pixel_scale : float
        In arcsec.
    """

    def __init__(self, instrument, bands, shape, pixel_scale):
        native = get_survey(instrument.survey).pixel_scale.to_value(u.arcsec)
        step = pixel_scale / native
        method = choose_method(None, bands[0], pixel_scale, native)
        taps = _stack_taps(step, method, instrument.taps)
        self.instrument, self.bands = instrument, bands
        self.spread = tuple(toeplitz(taps, side) for side in shape)
        self.n_pixel = step**2

    def __call__(self, images, depth, generators):
        """
        Add the noise.

        Parameters
        ----------
        images, depth, generators
            As for ``ResampledNoise``.

        Returns
        -------
        `torch.Tensor`
            Same shape.
        """
        Y, X = self.spread
        white = draw_normal(generators, images.shape[1], Y.shape[1], X.shape[1])
        variance = self.instrument.variance(images, depth, self.bands, self.n_pixel)
        return torch.addcmul(images, Y @ white @ X.T, variance.sqrt())


@lru_cache
def _stack_taps(step, method, own_taps):
    """
    Kernel, along an axis, of noise resampled onto pixels of ``step`` own pixels.

    Its squares sum to the variance over that of ``step`` independent pixels, and its
    autocorrelation is the mean over where pixels lie.
    """
    fine = 32  # places in a pixel
    n_wave = 64
    box = np.ones(fine) / fine
    if method == "exact":
        weights = np.convolve(np.ones(round(step * fine)), box)
    else:
        weights = np.convolve(box, box) * fine * step
    # the weight of an own pixel by how far it lies from the output pixel's middle
    weights = np.pad(weights, 8 * fine)
    own = np.correlate(own_taps, own_taps, "full")
    lags = np.arange(-(n_wave // 2), n_wave // 2)
    covariance = np.array(
        [_shared(weights, lag * step * fine, own, fine) for lag in lags]
    )
    spectrum = np.fft.fft(np.fft.ifftshift(covariance)).real.clip(min=0)
    taps = np.fft.fftshift(np.fft.ifft(np.sqrt(spectrum)).real)
    reach = 1 + int(np.flatnonzero(abs(taps) > 1e-2 * taps.max()).max() - n_wave // 2)
    reach = max(reach - 1, 1)
    taps = taps[n_wave // 2 - reach : n_wave // 2 + reach + 1]
    return taps * np.sqrt(covariance[n_wave // 2] / np.sum(taps**2) / step)


def _shared(weights, shift, own, fine):
    """Mean covariance of two output pixels so far apart, in fine steps."""
    total = 0.0
    for offset, correlation in enumerate(own, -(len(own) // 2)):
        by = round(shift) + offset * fine
        if abs(by) < len(weights):
            a = weights[max(by, 0) : len(weights) + min(by, 0)]
            b = weights[max(-by, 0) : len(weights) + min(-by, 0)]
            total += correlation * np.sum(a * b) / fine
    return total
