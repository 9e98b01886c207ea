"""`render_grid`: sources straight onto a network's common grid, thousands a second."""

from dataclasses import dataclass
from functools import lru_cache

import astropy.units as u
import numpy as np
import torch

from mantis_astro.alignment.methods import choose_method
from mantis_astro.bands import get_survey
from mantis_astro.simulation.harmonics import Lattice, SourceWaves, sum_waves
from mantis_astro.simulation.transfer import (
    MOFFAT_BETA,
    moffat_transfer,
    pixel_transfer,
    transfer_limit,
)

__all__ = ["SurveyOnGrid", "plan_grid", "render_grid"]

_PADDING = 16.0  # arcsec by which images repeat later than the field is wide
_REACH = 7.0  # arcsec beyond the field from where sources are seen
_NOTHING = 3e-3  # of the transfer function is left out
_FINEST = 5 / 6  # waves for a pixel: finer ones, up to 1, are averaged away by it
_BLOCK = 64  # sources at a time, which fit into a processor's cache


@dataclass(frozen=True)
class SurveyOnGrid:
    """
    How the images of a survey come onto the common grid.

    Attributes
    ----------
    name : str
        Of the survey.
    columns : slice
        Its bands.
    pixels : tuple of (int, int)
        Shape of what is rendered: pixels of the survey around the target or, where
        these are small and turned (Pan-STARRS1), of the common grid.
    pixel_scale : float
        Side of those in arcsec.
    n : int
        How many wave numbers its PSF lets through.
    transfer : `~numpy.ndarray`
        Of the pixels, shape (n, n).
    to_grid : tuple of `torch.Tensor` or None
        Matrices along y and x that resample what is rendered onto the grid, shapes
        (ny, pixels[0]) and (nx, pixels[1]).
    """

    name: str
    columns: slice
    pixels: tuple
    pixel_scale: float
    n: int
    transfer: np.ndarray
    to_grid: tuple | None


@lru_cache(maxsize=16)
def plan_grid(bands, shape, pixel_scale):
    """
    Settle how each survey comes onto a grid, as `align_batch` would bring it there.

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
    surveys : tuple of SurveyOnGrid
        Each survey once.

    Raises
    ------
    ValueError
        If bands of a survey are apart.
    """
    period = max(shape) * pixel_scale + _PADDING
    surveys = []
    for name in dict.fromkeys(band.survey for band in bands):
        where = [j for j, band in enumerate(bands) if band.survey == name]
        if where[-1] - where[0] != len(where) - 1:
            msg = f"'bands' of a survey must be next to each other, got {bands}"
            raise ValueError(msg)
        columns = slice(where[0], where[-1] + 1)
        surveys.append(
            _plan_survey(name, columns, bands[where[0]], shape, pixel_scale, period)
        )
    return Lattice(period, max(survey.n for survey in surveys)), tuple(surveys)


def _plan_survey(name, columns, band, shape, scale, period):
    survey = get_survey(name)
    native = survey.pixel_scale.to_value(u.arcsec)
    method = choose_method(None, band, scale, native)
    sharpest = min(b.psf_fwhm.to_value(u.arcsec) for b in survey.bands)
    k_max = transfer_limit(sharpest, MOFFAT_BETA[name], _NOTHING)
    if survey.summed_over_exposure:  # pixels of skycells: turned, at any phase
        sides = (native, native, scale) if method == "exact" else (native,) * 3
        k_max = min(k_max, _FINEST / max(sides))
        n = int(np.ceil(k_max * period))
        transfer = pixel_transfer(np.arange(n) / period, *sides)
        return SurveyOnGrid(name, columns, shape, scale, n, transfer, None)
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
    transfer = pixel_transfer(np.arange(n) / period, native)
    return SurveyOnGrid(name, columns, pixels, native, n, transfer, to_grid)


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
    (`~mantis_astro.simulation.sersic`); bands differ by their fluxes and by transfer
    functions, so that the costly part is done once for all bands. GALEX and unWISE,
    whose cutouts are centred on the target, are rendered in their own pixels and
    interpolated as `align_batch` does it: what is seen between pixels depends on where
    they lie. Pixels of Pan-STARRS1 are small, and anywhere: their effect is the mean.
    What is seen of one target does not depend on the others.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.simulation.conditions import draw_conditions
    >>> from mantis_astro.simulation.render_grid import render_grid
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
    lattice, surveys = plan_grid(bands, shape, float(pixel_scale))
    sources = near(sources, shape, pixel_scale, _REACH)
    images = torch.empty(n_target, len(bands), *shape)
    images[np.bincount(sources.target, minlength=n_target) == 0] = 0
    transfers = {s.name: transfers_of(s, lattice, conditions) for s in surveys}
    for targets, flux, waves in in_blocks(sources, n_target, lattice):
        for survey in surveys:
            table, which = transfers[survey.name]
            which = which[targets]
            transfer = table.index_select(0, which.flatten())
            n = survey.n
            own = waves[..., :n, :n].flatten(2)  # (n_target, count, 4 n n)
            amplitudes = flux[:, survey.columns] @ own
            amplitudes = amplitudes.view(*which.shape, 2, 2, n, n)
            amplitudes = amplitudes * transfer.view(*which.shape, 1, 1, n, n)
            image = sum_waves(amplitudes, lattice, survey.pixels, survey.pixel_scale)
            if survey.to_grid is not None:
                Y, X = survey.to_grid
                image = Y @ image @ X.T
            images[targets, survey.columns] = image
    return images


def check_sources(sources, n_target, conditions):
    """
    Refuse sources that do not belong to the targets or bands.

    Parameters
    ----------
    sources : Sources
        The sources.
    n_target : int
        Number of targets.
    conditions : Conditions
        Their conditions.

    Raises
    ------
    ValueError
        If they do not fit together.
    """
    if len(conditions) != n_target:
        msg = (
            f"'conditions' must be those of 'n_target' = {n_target} targets, "
            f"got {len(conditions)}"
        )
        raise ValueError(msg)
    if sources.flux.shape != (len(sources), len(conditions.bands)):
        msg = (
            f"'sources' must have a flux for each of the {len(conditions.bands)} bands "
            f"of the conditions, got shape {sources.flux.shape}"
        )
        raise ValueError(msg)
    target = sources.target
    if len(target) and not (
        target[0] >= 0 and target[-1] < n_target and np.all(np.diff(target) >= 0)
    ):
        msg = f"'sources' must have targets in ascending order from 0 to {n_target - 1}"
        raise ValueError(msg)


def near(sources, shape, pixel_scale, reach):
    """
    Keep the sources that can be seen on a grid.

    Parameters
    ----------
    sources : Sources
        All sources.
    shape : tuple of int
        Shape (ny, nx).
    pixel_scale, reach : float
        Side of a pixel, and how far beyond the grid a source may lie, arcsec.

    Returns
    -------
    Sources
        Those inside.
    """
    ny, nx = shape
    return sources[
        (abs(sources.north) < ny * pixel_scale / 2 + reach)
        & (abs(sources.east) < nx * pixel_scale / 2 + reach)
    ]


def transfers_of(survey, lattice, conditions):
    """
    Compute the transfer functions of a survey, each once.

    Parameters
    ----------
    survey : SurveyOnGrid
        The survey.
    lattice : Lattice
        Wave numbers.
    conditions : Conditions
        With the widths of the PSF.

    Returns
    -------
    table : `torch.Tensor`
        Of PSF and pixels, shape (n_width, n, n), float32.
    which : `torch.Tensor`
        Row of the table for each target and band, shape (n_target, n_band).
    """
    widths, which = np.unique(
        conditions.psf_fwhm[:, survey.columns], return_inverse=True
    )
    k = np.arange(survey.n) / lattice.period
    radius = np.hypot(k[:, None], k)
    at, values = _moffat_table(MOFFAT_BETA[survey.name])
    table = np.array([np.interp(radius * width, at, values) for width in widths])
    table *= survey.transfer
    return torch.from_numpy(table.astype(np.float32)), torch.from_numpy(
        which.reshape(len(conditions), -1)
    )


@lru_cache
def _moffat_table(beta):
    """Transfer function of the width 1: it depends on k times the width."""
    k = np.linspace(0, 8, 8001)
    return k, moffat_transfer(k, 1.0, beta)


def in_blocks(sources, n_target, lattice):
    """
    Compute the waves of the sources of some targets at a time.

    Parameters
    ----------
    sources : Sources
        The sources.
    n_target : int
        Number of targets.
    lattice : Lattice
        Wave numbers.

    Yields
    ------
    targets : `~numpy.ndarray`
        Which targets, all with the same number of sources.
    flux : `torch.Tensor`
        Fluxes of these sources, shape (len(targets), n_band, count).
    waves : `torch.Tensor`
        Their amplitudes for unit flux, shape (len(targets), count, 2, 2, n, n).
    """
    counts = np.bincount(sources.target, minlength=n_target)
    by_count = np.argsort(counts[sources.target], kind="stable")
    prepared = SourceWaves.of(sources[by_count], lattice)
    first = 0
    for count in np.unique(counts[counts > 0]).tolist():
        group = np.flatnonzero(counts == count)
        for targets in np.array_split(group, -(-len(group) * count // _BLOCK)):
            n = len(targets)
            some = prepared[first : first + n * count]
            first += n * count
            waves = some.amplitudes(lattice).view(n, count, 2, 2, lattice.n, lattice.n)
            yield targets, some.flux.view(n, count, -1).mT, waves
