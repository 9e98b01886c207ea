"""`render_grid`: sources straight onto a network's common grid, thousands a second."""

from functools import lru_cache

import astropy.units as u
import numpy as np
import torch

from mantis_astro.alignment.methods import choose_method
from mantis_astro.bands import get_survey
from mantis_astro.simulation.instruments.registry import get_instrument
from mantis_astro.simulation.rendering.harmonics import Lattice
from mantis_astro.simulation.rendering.image_plan import (
    ImagePlan,
    check_sources,
    columns_of_surveys,
    near,
    render_plans,
)
from mantis_astro.simulation.rendering.transfer import transfer_limit

__all__ = ["plan_grid", "render_grid"]

_PADDING = 16.0  # arcsec by which images repeat later than the field is wide
_NOTHING = 3e-3  # of the transfer function is left out
_FINEST = 5 / 6  # waves for a pixel: finer ones, up to 1, are averaged away by it


@lru_cache(maxsize=16)
def plan_grid(bands, shape, pixel_scale):
    """
    Plan the images of each survey on a grid, as `align_batch` would resample them.

    Parameters
    ----------
    bands : tuple of Band
        Those of a survey next to each other.
    shape : tuple of int
        Shape (ny, nx) of the grid.
    pixel_scale : float
        In arcsec.

    Returns
    -------
    lattice : Lattice
        Wave numbers of all.
    plans : tuple of ImagePlan
        Each survey once.

    Raises
    ------
    ValueError
        If bands of a survey are apart.
    """
    period = max(shape) * pixel_scale + _PADDING
    plans = [
        _plan_survey(name, columns, bands[columns.start], shape, pixel_scale, period)
        for name, columns in columns_of_surveys(bands).items()
    ]
    return Lattice(period, max(plan.n for plan in plans)), tuple(plans)


def _plan_survey(name, columns, band, shape, scale, period):
    survey, instrument = get_survey(name), get_instrument(name)
    native = survey.pixel_scale.to_value(u.arcsec)
    method = choose_method(None, band, scale, native)
    sharpest = min(b.psf_fwhm.to_value(u.arcsec) for b in survey.bands)
    k_max = transfer_limit(sharpest, instrument.moffat_beta, _NOTHING)
    if not instrument.centred:  # pixels are turned, and at any phase
        sides = (native, native, scale) if method == "exact" else (native,) * 3
        k_max = min(k_max, _FINEST / max(sides))
        n = int(np.ceil(k_max * period))
        return ImagePlan(instrument, columns, shape, scale, n, sides, None)
    n = int(np.ceil(k_max * period))
    weigh = _interpolation if method == "interp" else _overlap
    pixels = tuple(
        min(2 * int(np.ceil(side * scale / native / 2)) + 2, whole)
        for side, whole in zip(shape, survey.shape, strict=True)
    )
    to_grid = tuple(
        torch.from_numpy(weigh(side, scale / native, n_pixel).astype(np.float32))
        for side, n_pixel in zip(shape, pixels, strict=True)
    )
    return ImagePlan(instrument, columns, pixels, native, n, (native,), to_grid)


def _interpolation(n_out, step, n_in):
    """Linear interpolation onto pixels of ``step`` input pixels, keeping the flux."""
    at = (np.arange(n_out) - (n_out - 1) / 2) * step + (n_in - 1) / 2
    weights = np.maximum(
        1 - abs(np.clip(at, 0, n_in - 1)[:, None] - np.arange(n_in)), 0
    )
    return weights * ((at >= -0.5) & (at <= n_in - 0.5))[:, None] * step


def _overlap(n_out, step, n_in):
    """Overlap with pixels of ``step`` input pixels, which keeps the flux."""
    low = (np.arange(n_out)[:, None] - n_out / 2) * step + n_in / 2
    left = np.arange(n_in)
    return np.clip(np.minimum(low + step, left + 1) - np.maximum(low, left), 0, None)


def render_grid(sources, n_target, *, conditions, shape=(32, 32), pixel_scale=1.0):
    """
    Render sources as their images come out of `align_batch`, without noise.

    North is up and east to the left; the target is at the middle of the grid.

    Parameters
    ----------
    sources : Sources
        With fluxes in the bands of the conditions, in their order.
    n_target : int
        Number of targets.
    conditions : Conditions
        PSF of each band and target; the other conditions do not matter here, nor
        which bands are missing.
    shape : tuple of int, optional
        Shape (ny, nx) of the grid.
    pixel_scale : float, optional
        In arcsec.

    Returns
    -------
    `torch.Tensor`
        Flux in nJy per pixel, shape (n_target, n_band, ny, nx), float32.

    Raises
    ------
    ValueError
        If sources, targets and conditions do not fit together.

    Notes
    -----
    A source is a sum of plane waves with known amplitudes
    (``mantis_astro.simulation.rendering.sersic``); bands differ by their fluxes and by
    transfer functions, so that the costly part is done once for all bands. Surveys
    whose cutouts are centred on the target (GALEX, unWISE) are rendered in their own
    pixels and interpolated as `align_batch` does it: what is seen between pixels
    depends on where they lie. Pixels of Pan-STARRS1 are small, and anywhere: their
    effect is the mean. What is seen of one target does not depend on the others.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.simulation.instruments.conditions import draw_conditions
    >>> from mantis_astro.simulation.rendering.grid import render_grid
    >>> from mantis_astro.simulation.sources import Sources
    >>> from mantis_astro.simulation.uniforms import keys_of
    >>> one, flux = np.ones(1), np.full((1, 9), 1000.0)
    >>> disc = Sources(np.array([0]), 0 * one, 0 * one, flux, one, one, one, 0 * one)
    >>> images = render_grid(disc, 1, conditions=draw_conditions(keys_of(1, [0])))
    >>> images.shape
    torch.Size([1, 9, 32, 32])
    >>> images[0, 4].sum().round()  # ps1.i
    tensor(1000.)
    """
    shape, bands = tuple(shape), conditions.bands
    check_sources(sources, n_target, conditions)
    lattice, plans = plan_grid(bands, shape, float(pixel_scale))
    sources = near(sources, shape, pixel_scale)
    images = torch.empty(n_target, len(bands), *shape)
    images[np.bincount(sources.target, minlength=n_target) == 0] = 0
    for targets, plan, image in render_plans(sources, conditions, lattice, plans):
        images[targets, plan.columns] = image
    return images
