"""Noise of each survey in its own pixels, and the numbers that it follows from."""

import numpy as np
import torch

from mantis_astro.fluxes import njy_from_ab

__all__ = [
    "CONFUSION",
    "GAIN",
    "GAPS",
    "PS1_SATURATION",
    "PS1_SUMMED",
    "PS1_TAPS",
    "add_galex_noise",
    "gap",
    "generator_of",
    "njy_per_unit",
    "ps1_variance",
    "toeplitz",
    "unwise_taps",
    "unwise_variance",
]

#: Photons for a pixel unit as served: adu of Pan-STARRS1, Vega nanomaggies of unWISE
#: (about 150 exposures of 3.2 electrons per DN, 6.3 or 15.8 nanomaggies per DN).
GAIN = {"g": 1.0, "r": 1.0, "i": 1.0, "z": 1.0, "y": 1.0, "W1": 76.0, "W2": 36.0}

#: Standard deviation, in nJy per pixel, of the light of galaxies too faint to see,
#: which is the same in both bands. With it pixels of tile 1866p257 scatter
#: as they do.
CONFUSION = {"W1": 450.0, "W2": 420.0}

# Warping onto skycells shares a pixel's noise with its neighbours: a correlation of
# 0.205 with the next and -0.02 to 0.01 with the one after, measured in three fields.
_SHARED = 0.105
PS1_TAPS = np.array([_SHARED, 1.0, _SHARED]) / np.sqrt(1 + 2 * _SHARED**2)
#: Variance of a sum over many pixels, over that of as many independent ones.
PS1_SUMMED = float(PS1_TAPS.sum() ** 4)

#: Flux, in nJy, at which a pixel of 0.25 arcsec saturates: 60,000 adu in an exposure
#: of 43 s (one adu/s is 25 mag).
PS1_SATURATION = 60_000 * 363.1 / 43.0

#: Part of the images of Pan-STARRS1 that a gap between chips crosses.
GAPS = 0.012

_SALT = 0x40153


def generator_of(key, draw=0):
    """
    Make the generator of the noise of one target.

    Parameters
    ----------
    key : int
        Its key, of which the low 32 bits count.
    draw : int, optional
        Another number, another noise.

    Returns
    -------
    `torch.Generator`
        On the CPU.
    """
    seed = (int(key) ^ _SALT) + 0x9E3779B97F4A7C15 * draw
    return torch.Generator().manual_seed(seed % 2**63)


def njy_per_unit(bands, exposure_time):
    """
    Flux of one pixel unit as each survey serves it.

    Parameters
    ----------
    bands : sequence of Band
        The bands.
    exposure_time : `~numpy.ndarray`
        Seconds, shape (n, n_band).

    Returns
    -------
    `~numpy.ndarray`
        In nJy, shape (n, n_band).
    """
    zero_point = np.array([band.zero_point + band.vega_to_ab for band in bands])
    summed = np.array([band.survey == "ps1" for band in bands])
    seconds = np.where(summed, exposure_time, 1.0)
    return njy_from_ab(zero_point) / seconds


def add_galex_noise(flux, unit, sky, exposure_time, generators):
    """
    Count photons, and subtract the sky.

    Parameters
    ----------
    flux : `torch.Tensor`
        Expected flux in nJy per pixel, shape (n, n_band, ny, nx).
    unit, sky, exposure_time : `torch.Tensor`
        nJy of a count/s, counts/s of the sky per pixel, and seconds, shape
        (n, n_band).
    generators : sequence of `torch.Generator`
        One for each target.

    Returns
    -------
    `torch.Tensor`
        Same shape, nJy.
    """
    unit, sky, time = (x[..., None, None] for x in (unit, sky, exposure_time))
    expected = ((flux / unit).clamp(min=0) + sky) * time
    counts = torch.empty_like(expected)
    for i, generator in enumerate(generators):
        counts[i] = torch.poisson(expected[i], generator=generator)
    return (counts / time - sky) * unit


def ps1_variance(flux, noise, unit, n_pixel=1.0):
    """
    Variance of Pan-STARRS1 pixels with a source.

    Parameters
    ----------
    flux : `torch.Tensor`
        Expected flux in nJy per pixel, shape (..., ny, nx).
    noise, unit : `torch.Tensor`
        Noise of a pixel of 0.25 arcsec without a source, and nJy of an adu, shape
        (...).
    n_pixel : float, optional
        How many pixels of 0.25 arcsec one pixel here is.

    Returns
    -------
    `torch.Tensor`
        In nJy^2, for independent pixels, shape (..., ny, nx).

    Notes
    -----
    Photons are counted before images are warped, which lowers the variance of a pixel
    and keeps that of large sums.
    """
    sky = n_pixel * noise[..., None, None] ** 2
    photons = unit[..., None, None] / GAIN["g"] / PS1_SUMMED
    return sky + flux.clamp(min=0) * photons


def unwise_variance(flux, noise, unit, bands):
    """
    Variance of unWISE pixels with a source, without confusion.

    Parameters
    ----------
    flux : `torch.Tensor`
        Expected flux in nJy per pixel, shape (..., n_band, ny, nx).
    noise, unit : `torch.Tensor`
        Noise without a source, and nJy of a Vega nanomaggy, shape (..., n_band).
    bands : sequence of Band
        The bands.

    Returns
    -------
    `torch.Tensor`
        In nJy^2, shape (..., n_band, ny, nx).
    """
    gain = torch.tensor([GAIN[band.name] for band in bands])
    photons = (unit / gain)[..., None, None]
    return noise[..., None, None] ** 2 + flux.clamp(min=0) * photons


def unwise_taps():
    """
    Make the kernel that turns white noise into confusion: correlated as the PSF.

    Returns
    -------
    `~numpy.ndarray`
        Weights along an axis, in pixels of 2.75 arcsec, shape (7,); their squares sum
        to 1.
    """
    sigma = 6.1 / 2.355 / 2.75
    taps = np.exp(-0.5 * (np.arange(-3, 4) / sigma) ** 2)
    return taps / np.sqrt(np.sum(taps**2))


def toeplitz(taps, n):
    """
    Make the matrix of a convolution along an axis.

    Parameters
    ----------
    taps : `~numpy.ndarray`
        Kernel, symmetric, of odd length.
    n : int
        Length of what comes out.

    Returns
    -------
    `torch.Tensor`
        Shape (n, n + len(taps) - 1), float32.
    """
    matrix = np.zeros((n, n + len(taps) - 1), np.float32)
    for i in range(n):
        matrix[i, i : i + len(taps)] = taps
    return torch.from_numpy(matrix)


def gap(shape, pixel_scale, which, where):
    """
    Draw a gap between chips across an image.

    Parameters
    ----------
    shape : tuple of int
        Shape (ny, nx).
    pixel_scale : float
        In arcsec.
    which, where : float
        From 0 to 1: its direction and width (1 to 8 arcsec), and its place.

    Returns
    -------
    `torch.Tensor`
        Shape (ny, nx), bool: True in the gap.
    """
    axis, width = int(which * 2), 1 + 7 * (which * 2 % 1)
    at = (torch.arange(shape[axis]) - (shape[axis] - 1) / 2) * pixel_scale
    inside = (at - (where - 0.5) * 42.5).abs() < width / 2
    return (inside[:, None] if axis == 0 else inside).expand(*shape)
