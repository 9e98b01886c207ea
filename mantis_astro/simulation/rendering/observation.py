"""What surveys see of sources, on the common grid: noise, gaps, and missing images."""

from functools import lru_cache

import astropy.units as u
import numpy as np
import torch

from mantis_astro.alignment.methods import choose_method
from mantis_astro.bands import get_survey
from mantis_astro.simulation.instruments.conditions import draw_conditions
from mantis_astro.simulation.instruments.noise import (
    CONFUSION,
    GAPS,
    PS1_TAPS,
    add_galex_noise,
    gap,
    generator_of,
    njy_per_unit,
    ps1_variance,
    toeplitz,
    unwise_taps,
    unwise_variance,
)
from mantis_astro.simulation.rendering.grid import plan_grid, render_grid

__all__ = ["add_noise_grid", "bad_pixels_grid", "observe_grid"]

_BLOCK = 32  # targets at a time
# Brightness, in nJy per arcsec^2 averaged over a pixel of the grid, that comes with a
# saturated core.
_SATURATED = 4e6


def observe_grid(
    sources, n_target, *, keys, shape=(32, 32), pixel_scale=1.0, conditions=None
):
    """
    Observe sources: images on the common grid as a network is given them.

    Parameters
    ----------
    sources : Sources
        With fluxes in the bands of the conditions, in their order.
    n_target : int
        Number of targets.
    keys : `~numpy.ndarray` of uint64
        Keys of the targets, shape (n_target,), which conditions and noise follow from.
    shape : tuple of int, optional
        Shape (ny, nx) of the grid.
    pixel_scale : float, optional
        In arcsec.
    conditions : Conditions, optional
        By default drawn for all nine bands, see
        `~mantis_astro.simulation.instruments.conditions.draw_conditions`.

    Returns
    -------
    images : `torch.Tensor`
        Flux in nJy per pixel with noise, shape (n_target, n_band, ny, nx), float32; 0
        where an image is missing or its pixels are bad, as
        `~mantis_astro.models.InputSpec` hands them to a network.
    observed : `~numpy.ndarray`
        Whether there is an image, shape (n_target, n_band), bool.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.simulation.rendering.observation import observe_grid
    >>> from mantis_astro.simulation.rendering.sources import Sources
    >>> from mantis_astro.simulation.uniforms import keys_of
    >>> one, flux = np.ones(1), np.full((1, 9), 1e5)
    >>> disc = Sources(np.array([0]), 0 * one, 0 * one, flux, one, one, one, 0 * one)
    >>> images, observed = observe_grid(disc, 1, keys=keys_of(1, [0]))
    >>> images.shape, observed.shape
    (torch.Size([1, 9, 32, 32]), (1, 9))
    """
    if conditions is None:
        conditions = draw_conditions(keys)
    grid = {"shape": tuple(shape), "pixel_scale": pixel_scale}
    images = render_grid(sources, n_target, conditions=conditions, **grid)
    bad = bad_pixels_grid(images, conditions, pixel_scale=pixel_scale)
    images = add_noise_grid(images, conditions, pixel_scale=pixel_scale)
    images[bad] = 0
    return images, conditions.observed.copy()


def add_noise_grid(images, conditions, *, pixel_scale=1.0, draw=0):
    """
    Add to images on the common grid the noise that they would come with.

    Parameters
    ----------
    images : `torch.Tensor`
        Without noise, nJy per pixel, shape (n, n_band, ny, nx).
    conditions : Conditions
        Of these targets and bands.
    pixel_scale : float, optional
        In arcsec.
    draw : int, optional
        Another number, another noise.

    Returns
    -------
    `torch.Tensor`
        With noise, same shape.

    Notes
    -----
    GALEX and unWISE: images are taken back to the survey's own pixels (interpolation
    onto finer pixels can be undone), where photons are counted or Gaussian noise is
    added, and the noise is resampled as the images were; so it has the variances and
    correlations that `align_batch` leaves. Pan-STARRS1: noise with the variance and
    the correlation of neighbours that exact overlap leaves on average over where
    pixels lie. Noise of photons from the source is included for all.
    """
    bands, shape = conditions.bands, tuple(images.shape[-2:])
    _, surveys = plan_grid(bands, shape, float(pixel_scale))
    models = [_MODELS[s.name](s, bands, shape, pixel_scale) for s in surveys]
    unit = njy_per_unit(bands, conditions.exposure_time)
    facts = [
        torch.from_numpy(x.astype(np.float32))
        for x in (unit, conditions.sky, conditions.exposure_time, conditions.noise)
    ]
    noisy = torch.empty_like(images)
    for start in range(0, len(images), _BLOCK):
        rows = slice(start, start + _BLOCK)
        generators = [generator_of(key, draw) for key in conditions.keys[rows]]
        for survey, model in zip(surveys, models, strict=True):
            own = rows, survey.columns
            noisy[own] = model(images[own], *(x[own] for x in facts), generators)
    return noisy


def _draw_normal(generators, *shape):
    normal = torch.empty(len(generators), *shape)
    for row, generator in zip(normal, generators, strict=True):
        row.normal_(generator=generator)
    return normal


class _Galex:
    """Photons counted in pixels of 1.5 arcsec."""

    def __init__(self, survey, bands, shape, pixel_scale):  # noqa: ARG002
        self.to_grid = survey.to_grid
        self.back = tuple(torch.linalg.pinv(m.double()).float() for m in self.to_grid)

    def __call__(self, images, unit, sky, time, noise, generators):  # noqa: ARG002
        (Y, X), (back_y, back_x) = self.to_grid, self.back
        flux = back_y @ images @ back_x.T
        counted = add_galex_noise(flux, unit, sky, time, generators)
        return images + Y @ (counted - flux) @ X.T


class _Unwise:
    """Gaussian noise in pixels of 2.75 arcsec, and faint galaxies behind it."""

    def __init__(self, survey, bands, shape, pixel_scale):  # noqa: ARG002
        self.to_grid, self.pixels = survey.to_grid, survey.pixels
        self.back = tuple(torch.linalg.pinv(m.double()).float() for m in self.to_grid)
        self.bands = bands[survey.columns]
        self.confusion = torch.tensor([CONFUSION[b.name] for b in self.bands])
        taps = unwise_taps()
        self.blur = tuple(
            matrix @ toeplitz(taps, n)
            for matrix, n in zip(self.to_grid, self.pixels, strict=True)
        )
        self.margin = len(taps) - 1

    def __call__(self, images, unit, sky, time, noise, generators):  # noqa: ARG002
        (Y, X), (back_y, back_x) = self.to_grid, self.back
        (ny, nx), n_band = self.pixels, len(self.bands)
        wide = ny + self.margin, nx + self.margin
        size = n_band * ny * nx
        normal = _draw_normal(generators, size + wide[0] * wide[1])
        white = normal[:, :size].view(-1, n_band, ny, nx)
        flux = back_y @ images @ back_x.T
        white = white * unwise_variance(flux, noise, unit, self.bands).sqrt()
        faint = self.blur[0] @ normal[:, size:].view(-1, 1, *wide) @ self.blur[1].T
        faint = faint * self.confusion[:, None, None]
        return images + Y @ white @ X.T + faint


class _Ps1:
    """Noise of many small pixels, summed over those of the grid."""

    def __init__(self, survey, bands, shape, pixel_scale):
        native = get_survey("ps1").pixel_scale.to_value(u.arcsec)
        method = choose_method(None, bands[survey.columns][0], pixel_scale, native)
        taps = _stack_taps(pixel_scale / native, method)
        self.spread = tuple(toeplitz(taps, side) for side in shape)
        self.n_pixel = (pixel_scale / native) ** 2

    def __call__(self, images, unit, sky, time, noise, generators):  # noqa: ARG002
        Y, X = self.spread
        white = _draw_normal(generators, images.shape[1], Y.shape[1], X.shape[1])
        variance = ps1_variance(images, noise, unit, self.n_pixel)
        return torch.addcmul(images, Y @ white @ X.T, variance.sqrt())


_MODELS = {"galex": _Galex, "ps1": _Ps1, "unwise": _Unwise}


@lru_cache
def _stack_taps(step, method):
    """
    Kernel, along an axis, of noise resampled onto pixels of ``step`` skycell pixels.

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
    # the weight of a skycell pixel by how far it lies from the output pixel's middle
    weights = np.pad(weights, 8 * fine)
    own = np.correlate(PS1_TAPS, PS1_TAPS, "full")
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


def bad_pixels_grid(images, conditions, *, pixel_scale=1.0):
    """
    Tell where images on the common grid show nothing.

    Parameters
    ----------
    images : `torch.Tensor`
        Without noise, nJy per pixel, shape (n, n_band, ny, nx).
    conditions : Conditions
        Of these targets and bands.
    pixel_scale : float, optional
        In arcsec.

    Returns
    -------
    `torch.Tensor`
        Missing images, and in Pan-STARRS1 saturated cores and gaps between chips;
        same shape, bool.
    """
    bad = torch.from_numpy(~conditions.observed)[:, :, None, None].expand_as(images)
    bad = bad.clone()
    ps1 = [j for j, band in enumerate(conditions.bands) if band.survey == "ps1"]
    if not ps1:
        return bad
    columns = slice(ps1[0], ps1[-1] + 1)
    bad[:, columns] |= images[:, columns] > _SATURATED * pixel_scale**2
    chance, where = np.moveaxis(conditions.damage, -1, 0)
    is_ps1 = np.isin(np.arange(len(conditions.bands)), ps1)
    for i, j in np.argwhere((chance < GAPS) & is_ps1):
        bad[i, j] |= gap(
            images.shape[-2:], pixel_scale, chance[i, j] / GAPS, where[i, j]
        )
    return bad
