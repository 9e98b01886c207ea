"""`ImagePlan`: plan of the images of a survey, and their rendering."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from mantis_astro.simulation.instruments.instrument import Instrument
from mantis_astro.simulation.rendering.harmonics import SourceWaves, sum_waves
from mantis_astro.simulation.rendering.transfer import moffat_transfer, pixel_transfer

__all__ = ["ImagePlan", "check_sources", "columns_of_surveys", "near", "render_plans"]

_REACH = 7.0  # arcsec beyond the field from where sources are seen
_BLOCK = 800_000  # amplitudes at a time: few megabytes, few calls


@dataclass(frozen=True, eq=False)
class ImagePlan:
    """
    Plan of the rendering of a survey's images.

    Attributes
    ----------
    instrument : Instrument
        Of the survey.
    columns : slice
        Its bands.
    pixels : tuple of (int, int)
        Shape of what is rendered, around the target.
    pixel_scale : float
        Side of those in arcsec.
    n : int
        How many wave numbers its PSF lets through.
    boxes : tuple of float
        Sides, in arcsec, of the squares that light is averaged over, one after the
        other.
    to_grid : tuple of `torch.Tensor` or None
        Matrices along y and x that resample what is rendered onto the pixels wanted,
        shapes (ny, pixels[0]) and (nx, pixels[1]).
    """

    instrument: Instrument
    columns: slice
    pixels: tuple
    pixel_scale: float
    n: int
    boxes: tuple
    to_grid: tuple | None


def columns_of_surveys(bands):
    """
    Find the bands of each survey.

    Parameters
    ----------
    bands : sequence of Band
        Those of a survey next to each other.

    Returns
    -------
    dict of str to slice
        For each survey, where its bands are.

    Raises
    ------
    ValueError
        If bands of a survey are apart.
    """
    columns = {}
    for survey in dict.fromkeys(band.survey for band in bands):
        where = [j for j, band in enumerate(bands) if band.survey == survey]
        if where[-1] - where[0] != len(where) - 1:
            names = ", ".join(map(str, bands))
            msg = f"'bands' of a survey must be next to each other, got {names}"
            raise ValueError(msg)
        columns[survey] = slice(where[0], where[-1] + 1)
    return columns


def render_plans(sources, conditions, lattice, plans):
    """
    Render the sources of many targets, block by block.

    Parameters
    ----------
    sources : Sources
        The sources.
    conditions : Conditions
        With the widths of the PSF.
    lattice : Lattice
        Wave numbers.
    plans : sequence of ImagePlan
        What to render of each survey.

    Yields
    ------
    targets : `~numpy.ndarray`
        Which targets; those without a source are in no block.
    plan : ImagePlan
        Of which survey.
    images : `torch.Tensor`
        nJy per pixel, shape (len(targets), n_band of the survey, ny, nx).
    """
    transfers = [_transfers(plan, lattice, conditions) for plan in plans]
    for targets, flux, waves in _blocks(sources, len(conditions), lattice):
        for plan, (table, which) in zip(plans, transfers, strict=True):
            some, n = which[targets], plan.n
            own = waves[..., :n, :n].flatten(2)  # (n_target, count, 4 n n)
            amplitudes = flux[:, plan.columns] @ own
            amplitudes = amplitudes.view(*some.shape, 2, 2, n, n)
            transfer = table.index_select(0, some.flatten())
            amplitudes = amplitudes.mul_(transfer.view(*some.shape, 1, 1, n, n))
            image = sum_waves(amplitudes, lattice, plan.pixels, plan.pixel_scale)
            if plan.to_grid is not None:
                Y, X = plan.to_grid
                image = Y @ image @ X.T
            yield targets, plan, image


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


def near(sources, shape, pixel_scale):
    """
    Keep the sources that can be seen on a grid.

    Parameters
    ----------
    sources : Sources
        All sources.
    shape : tuple of int
        Shape (ny, nx).
    pixel_scale : float
        Side of a pixel in arcsec.

    Returns
    -------
    Sources
        Those inside, or up to 7 arcsec outside.
    """
    ny, nx = shape
    return sources[
        (abs(sources.north) < ny * pixel_scale / 2 + _REACH)
        & (abs(sources.east) < nx * pixel_scale / 2 + _REACH)
    ]


def _transfers(plan, lattice, conditions):
    """Compute the transfer function of each width: (n_width, n, n), and its rows."""
    widths, which = np.unique(conditions.psf_fwhm[:, plan.columns], return_inverse=True)
    table = np.array([_transfer(plan, lattice, width) for width in widths.tolist()])
    return torch.from_numpy(table), torch.from_numpy(which.reshape(len(conditions), -1))


@lru_cache(maxsize=2048)  # widths are drawn in steps of one per cent
def _transfer(plan, lattice, width):
    k = np.arange(plan.n) / lattice.period
    at, values = _moffat_table(plan.instrument.moffat_beta)
    psf = np.interp(np.hypot(k[:, None], k) * width, at, values)
    return (psf * pixel_transfer(k, *plan.boxes)).astype(np.float32)


@lru_cache
def _moffat_table(beta):
    """Transfer function of the width 1: it depends on k times the width."""
    k = np.linspace(0, 8, 8001)
    return k, moffat_transfer(k, 1.0, beta)


def _blocks(sources, n_target, lattice):
    """
    Compute the waves of the sources of some targets at a time.

    Yields targets that have the same number of sources, their fluxes (n_target, n_band,
    count) and the amplitudes for unit flux (n_target, count, 2, 2, n, n).
    """
    counts = np.bincount(sources.target, minlength=n_target)
    by_count = np.argsort(counts[sources.target], kind="stable")
    prepared = SourceWaves.of(sources[by_count], lattice)
    first, block = 0, max(_BLOCK // (4 * lattice.n**2), 1)
    for count in np.unique(counts[counts > 0]).tolist():
        group = np.flatnonzero(counts == count)
        n_part = min(-(-len(group) * count // block), len(group))
        for targets in np.array_split(group, n_part):
            n = len(targets)
            some = prepared[first : first + n * count]
            first += n * count
            waves = some.amplitudes(lattice).view(n, count, 2, 2, lattice.n, lattice.n)
            yield targets, some.flux.view(n, count, -1).mT, waves
