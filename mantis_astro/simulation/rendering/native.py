"""`render_cutouts`: what each survey would serve of sources, in its own pixels."""

from dataclasses import dataclass, replace
from functools import lru_cache

import astropy.units as u
import numpy as np
import torch
from astropy.nddata import CCDData
from astropy.wcs import WCS

from mantis_astro.bands import get_survey
from mantis_astro.cutouts import MultibandCutout
from mantis_astro.simulation.instruments.noise import (
    CONFUSION,
    GAPS,
    PS1_SATURATION,
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
from mantis_astro.simulation.instruments.skycells import find_skycells
from mantis_astro.simulation.rendering.harmonics import Lattice
from mantis_astro.simulation.rendering.sources import Sources
from mantis_astro.simulation.rendering.surveys import (
    RenderedSurvey,
    check_sources,
    near,
    render,
)
from mantis_astro.simulation.rendering.transfer import (
    MOFFAT_BETA,
    transfer_limit,
)

__all__ = ["Fields", "render_cutouts", "render_native"]

# Images repeat later than the field is wide, by this many arcsec and widths of the PSF.
_PADDING = 16.0, 4
_NOTHING = 7e-4  # of the transfer function is left out
_CHUNK = 16  # targets at a time


@dataclass(frozen=True)
class Fields:
    """
    Where the cutouts of many targets lie on the sky.

    Those of GALEX and unWISE are north up, with the target in the middle. Those of
    Pan-STARRS1 are cut out of skycells, the nearest pixel in the middle.

    Attributes
    ----------
    coords : `~astropy.coordinates.SkyCoord`
        The targets, shape (n,).
    tangent : `~numpy.ndarray`
        Tangent points of the skycells, degrees, shape (n, 2).
    reference : `~numpy.ndarray`
        Pixels of the tangent points, counted from 1, shape (n, 2).
    offset : `~numpy.ndarray`
        Of the target from the middle of the cutout, pixels, shape (n, 2).
    turn : `~numpy.ndarray`
        Position angle of the image's y axis, radians from north through east, shape
        (n,).
    """

    coords: object
    tangent: np.ndarray
    reference: np.ndarray
    offset: np.ndarray
    turn: np.ndarray

    @classmethod
    def of(cls, coords):
        """
        Find the skycells of targets.

        Parameters
        ----------
        coords : `~astropy.coordinates.SkyCoord`
            The targets, shape (n,).

        Returns
        -------
        Fields
            Their fields. Where skycells overlap, on the first; south of them all, on
            one around the target.
        """
        icrs = coords.icrs
        ra, dec = icrs.ra.deg, icrs.dec.deg
        ny, nx = get_survey("ps1").shape
        middle = np.array([nx - 1, ny - 1]) / 2
        rows = []
        for position in zip(ra.tolist(), dec.tolist(), strict=True):
            tangent, pixel, turn = _on_skycell(*position)
            offset = pixel - np.round(pixel - middle) - middle
            rows.append((*tangent, *(offset + middle - pixel + 1), *offset, turn))
        table = np.array(rows, dtype=float).reshape(-1, 7)
        return cls(coords, table[:, :2], table[:, 2:4], table[:, 4:6], table[:, 6])

    def __getitem__(self, rows):
        """Return the fields of the chosen targets."""
        return type(self)(
            self.coords[rows],
            self.tangent[rows],
            self.reference[rows],
            self.offset[rows],
            self.turn[rows],
        )

    def on_skycells(self, sources):
        """
        See sources from the images of Pan-STARRS1.

        Parameters
        ----------
        sources : Sources
            Around these targets.

        Returns
        -------
        Sources
            With offsets from the middle of the cutout along its axes, and position
            angles from its y axis.
        """
        turn = self.turn[sources.target]
        sin, cos = np.sin(turn), np.cos(turn)
        shift = self.offset[sources.target] * get_survey("ps1").pixel_scale.value
        return Sources(
            sources.target,
            sources.east * cos - sources.north * sin - shift[:, 0],
            sources.north * cos + sources.east * sin + shift[:, 1],
            sources.flux,
            sources.radius,
            sources.sersic,
            sources.axis_ratio,
            sources.position_angle - turn,
        )


def _on_skycell(ra, dec):
    """Tangent point (degrees), pixel from there, and the turn of the y axis."""
    cells = find_skycells(ra, dec)
    if not cells:
        return (ra, dec), np.zeros(2), 0.0
    x, y = cells[0].pixel(ra, dec)
    step = 1e-3 if dec < 89 else -1e-3
    x_north, y_north = cells[0].pixel(ra, dec + step)
    # north lies at this angle from y towards the left, where east is
    turn = -np.arctan2((x - x_north) * step, (y_north - y) * step)
    return cells[0].crval, np.array([x, y]), float(turn)


@lru_cache(maxsize=16)
def _plan(bands, name):
    """Wave numbers, and what is rendered, of one survey."""
    survey = get_survey(name)
    where = [j for j, band in enumerate(bands) if band.survey == name]
    scale = survey.pixel_scale.to_value(u.arcsec)
    widths = [band.psf_fwhm.to_value(u.arcsec) for band in survey.bands]
    sharpest, broadest = min(widths), max(widths)
    period = max(survey.shape) * scale + _PADDING[0] + _PADDING[1] * broadest
    n = int(np.ceil(transfer_limit(sharpest, MOFFAT_BETA[name], _NOTHING) * period))
    columns = slice(where[0], where[-1] + 1)
    plan = RenderedSurvey(name, columns, survey.shape, scale, n, (scale,), None)
    return Lattice(period, n), plan


def render_native(sources, n_target, *, conditions, fields):
    """
    Render sources in the pixels of each survey, without noise.

    Parameters
    ----------
    sources : Sources
        With fluxes in the bands of the conditions, in their order.
    n_target : int
        Number of targets.
    conditions : Conditions
        PSF of each band and target.
    fields : Fields
        Where the cutouts lie.

    Returns
    -------
    dict of str to `torch.Tensor`
        For each survey the flux in nJy per pixel, shape (n_target, n_band, ny, nx).

    Raises
    ------
    ValueError
        If sources, targets and conditions do not fit together.
    """
    check_sources(sources, n_target, conditions)
    images = {}
    for name in dict.fromkeys(band.survey for band in conditions.bands):
        lattice, plan = _plan(conditions.bands, name)
        seen = fields.on_skycells(sources) if name == "ps1" else sources
        seen = near(seen, plan.pixels, plan.pixel_scale)
        n_band = plan.columns.stop - plan.columns.start
        images[name] = torch.zeros(n_target, n_band, *plan.pixels)
        for targets, _, image in render(seen, conditions, lattice, [plan]):
            images[name][targets] = image
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
        If sources, targets and conditions do not fit together.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.coordinates import SkyCoord
    >>> from mantis_astro.simulation.instruments.conditions import draw_conditions
    >>> from mantis_astro.simulation.rendering.native import render_cutouts
    >>> from mantis_astro.simulation.rendering.sources import Sources
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
    fields = Fields.of(coords)
    cutouts = []
    for start in range(0, n_target, _CHUNK):
        rows = slice(start, min(start + _CHUNK, n_target))
        some = sources[slice(*np.searchsorted(sources.target, (start, rows.stop)))]
        some = replace(some, target=some.target - start)
        parts = conditions[rows], fields[rows]
        expected = render_native(
            some, len(parts[0]), conditions=parts[0], fields=parts[1]
        )
        cutouts += _observe(expected, *parts)
    return cutouts


def _observe(expected, conditions, fields):
    """Add noise, and make what is served of it."""
    n = len(conditions)
    generators = [generator_of(key) for key in conditions.keys]
    unit = njy_per_unit(conditions.bands, conditions.exposure_time)
    found = [{} for _ in range(n)]
    for name, images in expected.items():
        _, plan = _plan(conditions.bands, name)
        own = (slice(None), plan.columns)
        facts = (
            torch.from_numpy(x[own].astype(np.float32))
            for x in (
                unit,
                conditions.sky,
                conditions.exposure_time,
                conditions.noise,
            )
        )
        bands = conditions.bands[plan.columns]
        noisy = _NOISE[name](images, *facts, generators, bands=bands)
        noisy /= torch.from_numpy(unit[own].astype(np.float32))[..., None, None]
        for i in range(n):
            wcs = _wcs(name, fields, i)
            for j, band in enumerate(bands, plan.columns.start):
                if not conditions.observed[i, j]:
                    continue
                pixels = noisy[i, j - plan.columns.start].numpy()
                mask = None
                if name == "ps1":
                    flux = images[i, j - plan.columns.start]
                    mask = _bad_pixels(flux, conditions.damage[i, j])
                    pixels = np.where(mask, np.float32(np.nan), pixels)
                    mask = mask if mask.any() else None
                seconds = conditions.exposure_time[i, j]
                meta = _meta(band, seconds if name == "ps1" else None)
                survey_unit = get_survey(name).unit
                found[i][band] = CCDData(
                    pixels, unit=survey_unit, wcs=wcs, mask=mask, meta=meta
                )
    return [MultibandCutout(fields.coords[i], found[i]) for i in range(n)]


def _meta(band, seconds):
    meta = {"magsys": get_survey(band.survey).magsys}
    if seconds is not None:
        meta["exposure_time"] = float(seconds)
    meta["zero_point_ab"] = band.zero_point_ab(seconds)
    return meta


def _bad_pixels(flux, damage):
    """Saturated cores, and gaps between chips."""
    bad = (flux > PS1_SATURATION).numpy()
    chance, where = damage
    if chance < GAPS:
        bad |= gap(flux.shape, 0.25, chance / GAPS, where).numpy()
    return bad


def _galex(images, unit, sky, time, noise, generators, *, bands):  # noqa: ARG001
    return add_galex_noise(images, unit, sky, time, generators)


def _ps1(images, unit, sky, time, noise, generators, *, bands):  # noqa: ARG001
    variance = ps1_variance(images, noise, unit)
    ny, nx = images.shape[-2:]
    share, own, _ = PS1_TAPS.tolist()
    noisy = torch.empty_like(images)
    white = torch.empty(images.shape[1], ny + 2, nx + 2)
    for i, generator in enumerate(generators):
        white.normal_(generator=generator)
        rows = own * white[:, 1:-1] + share * (white[:, :-2] + white[:, 2:])
        spread = own * rows[..., 1:-1] + share * (rows[..., :-2] + rows[..., 2:])
        torch.addcmul(images[i], spread, variance[i].sqrt(), out=noisy[i])
    return noisy


def _unwise(images, unit, sky, time, noise, generators, *, bands):  # noqa: ARG001
    n, n_band, ny, nx = images.shape
    taps = unwise_taps()
    Y, X = toeplitz(taps, ny), toeplitz(taps, nx)
    white = torch.empty(n, n_band, ny, nx)
    faint = torch.empty(n, 1, Y.shape[1], X.shape[1])
    for i, generator in enumerate(generators):
        white[i].normal_(generator=generator)
        faint[i].normal_(generator=generator)
    confusion = torch.tensor([CONFUSION[band.name] for band in bands])
    sigma = unwise_variance(images, noise, unit, bands).sqrt()
    return images + white * sigma + (Y @ faint @ X.T) * confusion[:, None, None]


_NOISE = {"galex": _galex, "ps1": _ps1, "unwise": _unwise}


def _wcs(name, fields, i):
    """Make the WCS of a survey's cutout, as its server writes it."""
    survey = get_survey(name)
    scale = survey.pixel_scale.to_value(u.deg)
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.radesys = "ICRS"
    if name == "ps1":
        wcs.wcs.crval, wcs.wcs.crpix = fields.tangent[i], fields.reference[i]
        wcs.wcs.cdelt, wcs.wcs.pc = [scale, scale], [[-1.0, 0.0], [0.0, 1.0]]
    else:
        icrs = fields.coords[i].icrs
        wcs.wcs.crval = [icrs.ra.deg, icrs.dec.deg]
        wcs.wcs.crpix = [(side + 1) / 2 for side in survey.shape[::-1]]
        wcs.wcs.cdelt = [-scale, scale]
    wcs.wcs.set()
    wcs.array_shape = survey.shape
    return wcs
