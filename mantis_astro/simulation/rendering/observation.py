"""Observation of sources on the common grid: noise, gaps, and missing images."""

import torch

from mantis_astro.simulation.instruments.conditions import draw_conditions
from mantis_astro.simulation.instruments.noise import Depth
from mantis_astro.simulation.instruments.registry import noise_generators
from mantis_astro.simulation.rendering.grid import plan_grid, render_grid

__all__ = ["add_noise_grid", "bad_pixels_grid", "observe_grid"]

_BLOCK = 32  # targets at a time


def observe_grid(
    sources, n_target, *, keys, shape=(32, 32), pixel_scale=1.0, conditions=None
):
    """
    Observe sources: images on the common grid of a network.

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
    >>> from mantis_astro.simulation.sources import Sources
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
    Add the noise of surveys to images on the common grid.

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
    Where cutouts are centred on the target (GALEX, unWISE), images are taken back to
    the survey's own pixels (interpolation onto finer pixels can be undone), where
    photons are counted or Gaussian noise is added, and the noise is resampled as the
    images were; so it has the variances and correlations that `align_batch` leaves.
    Pan-STARRS1: noise with the variance and the correlation of neighbours that exact
    overlap leaves on average over where pixels lie. Noise of photons from the source
    is included for all.
    """
    bands, shape = conditions.bands, tuple(images.shape[-2:])
    _, plans = plan_grid(bands, shape, float(pixel_scale))
    models = [
        plan.instrument.grid_noise(bands[plan.columns], plan, shape, pixel_scale)
        for plan in plans
    ]
    depth = Depth.of(conditions)
    noisy = torch.empty_like(images)
    for start in range(0, len(images), _BLOCK):
        rows = slice(start, start + _BLOCK)
        generators = noise_generators(conditions.keys[rows], draw)
        for plan, model in zip(plans, models, strict=True):
            own = rows, plan.columns
            noisy[own] = model(images[own], depth[own], generators(plan.instrument))
    return noisy


def bad_pixels_grid(images, conditions, *, pixel_scale=1.0):
    """
    Return the pixels without data on the common grid.

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
        Missing images, and (in Pan-STARRS1) saturated cores and gaps between chips;
        same shape, bool.
    """
    bad = torch.from_numpy(~conditions.observed)[:, :, None, None].expand_as(images)
    bad = bad.clone()
    _, plans = plan_grid(conditions.bands, tuple(images.shape[-2:]), float(pixel_scale))
    for plan in plans:
        instrument, own = plan.instrument, (slice(None), plan.columns)
        damaged = instrument.bad_pixels(
            images[own],
            conditions.damage[own],
            limit=instrument.saturated_brightness * pixel_scale**2,
            pixel_scale=pixel_scale,
        )
        if damaged is not None:
            bad[own] |= damaged
    return bad
