"""`render_cutouts`: cutouts of sources as each survey would serve them."""

from dataclasses import replace
from functools import lru_cache

import astropy.units as u
import numpy as np
import torch
from astropy.nddata import CCDData

from mantis_astro.bands import get_survey
from mantis_astro.cutouts import MultibandCutout
from mantis_astro.simulation.instruments.noise import Depth
from mantis_astro.simulation.instruments.registry import (
    get_instrument,
    noise_generators,
)
from mantis_astro.simulation.rendering.harmonics import Lattice
from mantis_astro.simulation.rendering.image_plan import (
    ImagePlan,
    check_sources,
    columns_of_surveys,
    near,
    render_plans,
)
from mantis_astro.simulation.rendering.transfer import transfer_limit

__all__ = ["render_cutouts", "render_native"]

# Images repeat later than the field is wide, by this many arcsec and widths of the PSF.
_PADDING = 16.0, 4
_NOTHING = 7e-4  # of the transfer function is left out
_CHUNK = 16  # targets at a time


@lru_cache(maxsize=16)
def _plans(bands):
    """Wave numbers and plan of each survey."""
    plans = []
    for name, columns in columns_of_surveys(bands).items():
        survey, instrument = get_survey(name), get_instrument(name)
        scale = survey.pixel_scale.to_value(u.arcsec)
        widths = [band.psf_fwhm.to_value(u.arcsec) for band in survey.bands]
        sharpest, broadest = min(widths), max(widths)
        period = max(survey.shape) * scale + _PADDING[0] + _PADDING[1] * broadest
        limit = transfer_limit(sharpest, instrument.moffat_beta, _NOTHING)
        n = int(np.ceil(limit * period))
        plan = ImagePlan(instrument, columns, survey.shape, scale, n, (scale,), None)
        plans.append((Lattice(period, n), plan))
    return plans


def render_native(sources, coords, *, conditions):
    """
    Render sources in the pixels of each survey, without noise.

    Parameters
    ----------
    sources : Sources
        With fluxes in the bands of the conditions, in their order.
    coords : `~astropy.coordinates.SkyCoord`
        The targets, shape (n,).
    conditions : Conditions
        PSF of each band and target.

    Returns
    -------
    dict of str to `torch.Tensor`
        For each survey the flux in nJy per pixel, shape (n, n_band, ny, nx).

    Raises
    ------
    ValueError
        If sources, targets and conditions do not fit together.
    """
    check_sources(sources, len(coords), conditions)
    return {
        plan.instrument.survey: _expected(
            sources, conditions, lattice, plan, plan.instrument.place(coords)
        )
        for lattice, plan in _plans(conditions.bands)
    }


def _expected(sources, conditions, lattice, plan, placement):
    """Render one survey: (n, n_band, ny, nx)."""
    seen = placement.see(sources, plan.pixel_scale)
    seen = near(seen, plan.pixels, plan.pixel_scale)
    n_band = plan.columns.stop - plan.columns.start
    images = torch.zeros(len(placement), n_band, *plan.pixels)
    for targets, _, image in render_plans(seen, conditions, lattice, [plan]):
        images[targets] = image
    return images


def render_cutouts(sources, coords, *, conditions):
    """
    Observe sources: cutouts as each survey would serve them.

    Parameters
    ----------
    sources : Sources
        With fluxes in the bands of the conditions, in their order.
    coords : `~astropy.coordinates.SkyCoord`
        The targets, shape (n,).
    conditions : Conditions
        How they were observed; the noise follows from their keys.

    Returns
    -------
    list of MultibandCutout
        One for each target: GALEX in counts/s, 32 x 32 pixels of 1.5 arcsec;
        Pan-STARRS1 in adu summed over ``meta["exposure_time"]``, 170 x 170 pixels of
        0.25 arcsec on the tangent plane of a skycell, bad pixels masked and NaN; unWISE
        in Vega nanomaggies, 32 x 32 pixels of 2.75 arcsec. The sky is subtracted. A
        band that was not observed is absent.

    Raises
    ------
    ValueError
        If sources, targets and conditions do not fit together, or bands of a survey
        are apart.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.coordinates import SkyCoord
    >>> from mantis_astro.simulation.instruments.conditions import draw_conditions
    >>> from mantis_astro.simulation.rendering.native import render_cutouts
    >>> from mantis_astro.simulation.sources import Sources
    >>> from mantis_astro.simulation.uniforms import keys_of
    >>> one, flux = np.ones(1), np.full((1, 9), 1e5)
    >>> disc = Sources(np.array([0]), 0 * one, 0 * one, flux, one, one, one, 0 * one)
    >>> conditions = draw_conditions(keys_of(2, [0]))
    >>> coords = SkyCoord([10], [20], unit="deg")
    >>> (galaxy,) = render_cutouts(disc, coords, conditions=conditions)
    >>> galaxy.surveys[0].title, galaxy["ps1.g"].shape  # GALEX was not here
    ('Pan-STARRS1', (170, 170))
    """
    n_target = len(coords)
    check_sources(sources, n_target, conditions)
    cutouts = []
    for start in range(0, n_target, _CHUNK):
        rows = slice(start, min(start + _CHUNK, n_target))
        some = sources[slice(*np.searchsorted(sources.target, (start, rows.stop)))]
        some = replace(some, target=some.target - start)
        cutouts += _observe(some, coords[rows], conditions[rows])
    return cutouts


def _observe(sources, coords, conditions):
    """Render, add noise, and convert to served images."""
    generators = noise_generators(conditions.keys)
    depth = Depth.of(conditions)
    found = [{} for _ in range(len(coords))]
    for lattice, plan in _plans(conditions.bands):
        instrument, own = plan.instrument, (slice(None), plan.columns)
        placement = instrument.place(coords)
        images = _expected(sources, conditions, lattice, plan, placement)
        bands = conditions.bands[plan.columns]
        noisy = instrument.add_noise(images, depth[own], generators(instrument), bands)
        noisy /= depth.unit[own][..., None, None]
        bad = instrument.bad_pixels(
            images,
            conditions.damage[own],
            limit=instrument.saturation,
            pixel_scale=plan.pixel_scale,
        )
        survey = get_survey(instrument.survey)
        for i, cutouts in enumerate(found):
            wcs = instrument.wcs(placement, i)
            for j, band in enumerate(bands):
                if not conditions.observed[i, plan.columns.start + j]:
                    continue
                pixels, mask = noisy[i, j].numpy(), None
                if bad is not None:
                    mask = bad[i, j].numpy()
                    pixels = np.where(mask, np.float32(np.nan), pixels)
                    mask = mask.copy() if mask.any() else None
                seconds = conditions.exposure_time[i, plan.columns.start + j]
                meta = _meta(band, seconds if survey.summed_over_exposure else None)
                cutouts[band] = CCDData(
                    pixels, unit=survey.unit, wcs=wcs, mask=mask, meta=meta
                )
    return [
        MultibandCutout(coord, one) for coord, one in zip(coords, found, strict=True)
    ]


def _meta(band, seconds):
    meta = {"magsys": get_survey(band.survey).magsys}
    if seconds is not None:
        meta["exposure_time"] = float(seconds)
    meta["zero_point_ab"] = band.zero_point_ab(seconds)
    return meta
