"""`measure_photometry`: from cutouts to a table of fluxes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Literal

import astropy.units as u
import numpy as np

from mantis_astro.astrometry import judge_all
from mantis_astro.astrometry.local_map import offset_positions
from mantis_astro.bands import get_band, get_bands, get_survey, list_bands
from mantis_astro.cutouts import MultibandCutout
from mantis_astro.flags import Flag
from mantis_astro.fluxes import FluxState
from mantis_astro.photometry.apertures import (
    Annulus,
    Circular,
    Kron,
    SkyEllipse,
    get_aperture,
)
from mantis_astro.photometry.correction import held_fraction
from mantis_astro.photometry.detection import detect_target, replace_neighbours
from mantis_astro.photometry.images import Image, NotMeasurableError, prepare_image
from mantis_astro.photometry.psf import GaussianPSF
from mantis_astro.photometry.saturation import is_saturated
from mantis_astro.photometry.sky import estimate_sky
from mantis_astro.photometry.sums import Request, measure_sums
from mantis_astro.photometry.table import Measurements, make_table

if TYPE_CHECKING:
    from astropy.table import QTable

    from mantis_astro.bands import BandLike
    from mantis_astro.extinction import EbvLike

__all__ = ["measure_photometry"]

log = logging.getLogger(__name__)

_CHUNK = 256  # targets in memory at once, where they come from an iterator
_DEBLEND = (None, "flag", "mask")
_WHOLE = 0.99  # of an aperture, to count as covered


def measure_photometry(
    cutouts: MultibandCutout | Iterable[MultibandCutout],
    *,
    aperture: Literal["kron"] | Kron | Circular | u.Quantity = "kron",
    background: Literal["annulus"] | Annulus | None = "annulus",
    deblend: Literal["flag", "mask"] | None = "flag",
    psf: Mapping | None = None,
    ebv: EbvLike = None,
    law: str = "F99",
    softening: Mapping | None = None,
    bands: Iterable[BandLike] | None = None,
) -> QTable:
    """
    Measure the flux of targets in all their bands.

    Every band is measured in the same aperture on the sky, whatever its pixels, at
    the position of the target: a flux is forced, not searched for, and is kept (with
    its error, and the flag NON_DETECTION) where it is not significant.

    Parameters
    ----------
    cutouts : MultibandCutout or iterable of MultibandCutout
        The targets. An iterable is consumed in pieces, so that a survey need not fit
        into memory.
    aperture : {"kron"}, Kron, Circular or `~astropy.units.Quantity`, optional
        The ellipse of Kron on a detection image, or a circle of that radius on the
        sky. Circles are much faster and, with a fixed radius, mean the same for all.
    background : {"annulus", None} or Annulus, optional
        Where sky level and noise come from. None takes the noise from the default
        annulus and subtracts nothing.
    deblend : {"flag", "mask", None}, optional
        Whether other sources in the aperture are flagged (BLEND), also replaced by
        what lies opposite of the target's centre, or not looked for. With None and a
        circle there is no detection step, and targets are measured in batches.
    psf : mapping of Band or str to PSF or `~astropy.units.Quantity`, optional
        PSFs (`GaussianPSF`, `MoffatPSF`, `ImagePSF`), or FWHM of Gaussians, of bands
        for which ``band.psf_fwhm`` is not good enough.
    ebv : float, array_like or mapping of one map's name to that, optional
        E(B-V) of the Milky Way, for each target, to correct fluxes and magnitudes for
        extinction; see `~mantis_astro.dust.resolve_ebv`. The mapping
        ``{"planck": ...}`` says that it is a true colour excess; all else is on the
        scale of SFD. By default nothing is corrected.
    law : str, optional
        Extinction law, see `~mantis_astro.dust.extinction_coefficients`.
    softening : mapping of Band or str to `~astropy.units.Quantity`, optional
        Softening of asinh magnitudes of bands for which `default_softening` is not
        wanted, or is None (such a band has no asinh magnitudes otherwise).
    bands : iterable of Band or str, optional
        Bands to have columns for; by default those that any target has.

    Returns
    -------
    `~astropy.table.QTable`
        One row for each target, in order. ``coord``; ``semimajor``, ``semiminor``,
        ``position_angle`` and ``aperture_coord`` of the aperture; for each band
        (``ps1.g`` becomes ``ps1_g``) ``flux_*`` and ``flux_err_*`` in nJy, ``mag_ab_*``
        and ``mag_ab_err_*``, ``asinh_mag_*`` and ``asinh_mag_err_*``, for surveys in
        that system ``mag_vega_*``, ``coverage_*`` (part of the aperture that has good
        pixels) and ``flags_*``; ``ebv`` if given; ``flags``. What was not observed is
        masked. ``meta`` holds all choices, and under ``"problems"`` why bands could
        not be measured, with how often.

    Raises
    ------
    TypeError
        If an item is not a MultibandCutout, or ``background`` is of another type.
    ValueError
        If an option is not one of those above.
    KeyError
        `~mantis_astro.exceptions.MissingBandError` for an unknown band.

    Notes
    -----
    The sum is that of `photutils` with ``method="exact"``; bad pixels are left out,
    never filled in, so a flux with ``coverage`` below 1 is that of the part observed.
    The error is that of the pixels' variances where the cutout has them. Otherwise it
    is the scatter of the sky, with a factor for correlated noise from the scatter of
    sums over blocks of sky, and photon noise of the source where the unit is counts,
    or counts per second with an exposure time. Where an image has no sky outside the
    aperture, nothing is subtracted and without variances the error is masked.

    Flags: BAD_COORDINATES; BAD_WCS (`~mantis_astro.alignment.find_wcs_problem`: absent
    or broken, or the target is off the image: masked; the pixels are more than 20 % off
    the size they should have: measured); NO_DATA and
    MISSING_* where a band was not measured; PARTIAL_COVERAGE below 99 % coverage or
    without sky; BAD_PIXELS; SATURATED; OFF_CENTRE; BLEND; NON_DETECTION below three
    sigma (in ``flags``: in all bands); HIGH_EBV and EBV_ASSUMED (not corrected).

    Examples
    --------
    A flat sky with 1,000 nJy in its middle pixel:

    >>> import astropy.units as u
    >>> import numpy as np
    >>> from astropy.coordinates import SkyCoord
    >>> from astropy.nddata import CCDData
    >>> from astropy.wcs import WCS
    >>> from mantis_astro import MultibandCutout
    >>> from mantis_astro.photometry import Circular, measure_photometry
    >>> wcs = WCS(naxis=2)
    >>> wcs.wcs.ctype, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], [150.0, 2.0]
    >>> wcs.wcs.crpix, wcs.wcs.cdelt = [41.0, 41.0], [-0.25 / 3600, 0.25 / 3600]
    >>> pixels = np.random.default_rng(0).normal(5.0, 0.01, (81, 81))
    >>> pixels[40, 40] += 1000
    >>> image = CCDData(pixels, unit="adu", wcs=wcs, meta={"zero_point_ab": 31.4})
    >>> cutouts = MultibandCutout(SkyCoord(150, 2, unit="deg"), {"ps1.r": image})
    >>> circle = Circular(3 * u.arcsec, correction=None)
    >>> table = measure_photometry(cutouts, aperture=circle, deblend=None)
    >>> table["flux_ps1_r"].round(-1)
    <MaskedQuantity [1000.] nJy>
    """
    options = _Options.of(aperture, background, deblend, psf)
    if isinstance(cutouts, MultibandCutout):
        cutouts = [cutouts]
    wanted = None if bands is None else get_bands(bands)
    for band in wanted or ():
        get_survey(band.survey)  # which a filter alone has not
    parts = []
    iterator = iter(cutouts)
    while chunk := list(islice(iterator, _CHUNK)):
        parts.append(_measure_chunk(chunk, wanted, options))
    return make_table(
        Measurements.join(parts),
        bands=wanted,
        ebv=ebv,
        law=law,
        softening=softening,
        meta=options.describe(),
    )


@dataclass(frozen=True)
class _Options:
    aperture: Circular | Kron
    background: Annulus
    deblend: str | None
    psfs: dict  # completed as bands come, and so is the next
    fractions: dict = field(default_factory=dict)

    @classmethod
    def of(cls, aperture, background, deblend, psf):
        if deblend not in _DEBLEND:
            msg = f"'deblend' must be one of {_DEBLEND}, got {deblend!r}"
            raise ValueError(msg)
        if background is None or background == "annulus":
            background = Annulus(subtract=background is not None)
        if not isinstance(background, Annulus):
            msg = f"'background' must be 'annulus', None or Annulus, got {background!r}"
            raise TypeError(msg)
        psfs = {get_band(band): _get_psf(given) for band, given in (psf or {}).items()}
        return cls(get_aperture(aperture), background, deblend, psfs)

    @property
    def detects(self):
        return isinstance(self.aperture, Kron) or self.deblend is not None

    @cached_property
    def circle(self):
        if isinstance(self.aperture, Circular):
            return SkyEllipse.circle(self.aperture.radius.to_value(u.arcsec))
        return SkyEllipse.circle(self.aperture.minimum_radius.to_value(u.arcsec))

    def psf_of(self, band):
        if band not in self.psfs:
            self.psfs[band] = GaussianPSF(band.psf_fwhm)
        return self.psfs[band]

    def fraction(self, image, ellipse, on_image, size):
        """Part of the source's light that the aperture holds, to divide by."""
        if self.aperture.correction is None:
            return 1.0
        if isinstance(self.aperture, Kron):
            size = size if self.aperture.correction == "profile" else None
            return held_fraction(image, ellipse, on_image, size)
        x, y, radius, _, _ = on_image  # of targets that lie alike on their pixels
        key = image.band, round(x % 1, 2), round(y % 1, 2), round(radius, 4)
        if key not in self.fractions:
            self.fractions[key] = held_fraction(image, ellipse, on_image, None)
        return self.fractions[key]

    def describe(self):
        return {
            "aperture": repr(self.aperture),
            **FluxState(aperture=self.aperture.describe()).to_meta(),
            "background": repr(self.background),
            "deblend": self.deblend or "none",
        }


def _get_psf(given):
    if isinstance(given, u.Quantity):
        return GaussianPSF(given)
    if hasattr(given, "gaussians"):
        return given
    msg = f"a PSF must be a FWHM or a GaussianPSF, MoffatPSF or ImagePSF, got {given!r}"
    raise ValueError(msg)


@dataclass(frozen=True)
class _Row:
    """One image of one target, and where to measure it."""

    index: int
    image: Image
    request: Request
    fraction: float  # of the source's light that the aperture holds


def _measure_chunk(chunk, wanted, options):
    for cutouts in chunk:
        if not isinstance(cutouts, MultibandCutout):
            msg = f"'cutouts' must be MultibandCutout objects, got {type(cutouts)}"
            raise TypeError(msg)
    bands = [band for band in list_bands() if wanted is None or band in wanted]
    verdicts = judge_all(chunk, bands)
    measured = Measurements(len(chunk))
    measured.coords[:] = offset_positions(verdicts.axes, np.zeros((len(chunk), 2)))
    located = np.isfinite(measured.coords).all(1)
    measured.flags[~located] |= Flag.BAD_COORDINATES
    centres = np.full((len(chunk), 2), np.nan)  # of apertures, as offsets
    rows = []
    for index in np.flatnonzero(located).tolist():
        images = _prepare(index, chunk[index], bands, verdicts, options, measured)
        if images:
            ellipse, of_target = _lay_out(index, images, options, measured)
            measured.ellipses[index] = ellipse.axes
            centres[index] = ellipse.centre
            rows += of_target
    measured.centres[:] = offset_positions(verdicts.axes, centres)
    sums = measure_sums([row.request for row in rows])
    _add_fluxes(measured, rows, sums, subtract=options.background.subtract)
    return measured


def _prepare(index, cutouts, bands, verdicts, options, measured):
    images = []
    for column, k in enumerate(verdicts.index[index].tolist()):
        if k < 0:
            continue
        band = bands[column]
        psf = options.psf_of(band)
        try:
            images.append(prepare_image(band, cutouts[band], psf, verdicts, k))
        except NotMeasurableError as error:
            log.warning("%s at %s: %s", band, cutouts.coord.to_string(), error)
            measured.add_problem(index, band, error.flag, str(error))
    return images


def _lay_out(index, images, options, measured):
    """Place the aperture of one target on all its images."""
    ellipse, size, labels = _detect(index, images, options, measured)
    rows, on_grid = [], {}
    for image, sources in zip(images, labels, strict=True):
        grid = id(image.local)  # images on a common grid share their map
        if grid not in on_grid:
            on_grid[grid] = ellipse.on_image(image.local)
        request = _request(image, ellipse, on_grid[grid], sources, options)
        fraction = options.fraction(image, ellipse, request.ellipse, size)
        rows.append(_Row(index, image, request, fraction))
    return ellipse, rows


def _detect(index, images, options, measured):
    """Aperture, size of the target, and for each image its sources (or None)."""
    aperture = options.aperture
    ellipse, size = options.circle, None
    if not options.detects:
        return ellipse, size, [None] * len(images)
    scale = aperture.scale if isinstance(aperture, Kron) else 1.0
    found = detect_target(images, scale=scale, separate=options.deblend is not None)
    if isinstance(aperture, Kron):
        ellipse, size = found.aperture(ellipse), found.size
    if options.deblend is not None and found.has_neighbour_in(ellipse):
        measured.flags[index] |= Flag.BLEND
    return ellipse, size, [found.sources_on(i.data.shape, i.local) for i in images]


def _request(image, ellipse, on_image, sources, options):
    inner, outer = options.background.radii(
        np.hypot(*ellipse.centre) + ellipse.axes[0], image.psf.fwhm_arcsec
    )
    data, bad = image.data, image.bad
    if sources is not None and options.deblend == "mask":
        data, bad = replace_neighbours(data, bad, sources.is_other, on_image[:2])
    scale = image.local.pixel_scale
    return Request(
        data=data,
        ellipse=on_image,
        annulus=(inner / scale, outer / scale),
        bad=bad,
        not_sky=None if sources is None else sources.is_any,
        variance=image.variance,
    )


def _add_fluxes(measured, rows, sums, *, subtract):
    """Convert sums to fluxes, errors and flags."""
    if not rows:
        return
    njy, gain, fraction, full_area = np.array(
        [
            (
                row.image.njy,
                row.image.gain,
                row.fraction,
                np.pi * row.request.ellipse[2] * row.request.ellipse[3],
            )
            for row in rows
        ]
    ).T
    sky = estimate_sky(sums.sky_flux, sums.sky_square, sums.sky_area)
    has_sky = sky.area > 0
    level = np.where(has_sky & subtract, sky.level, 0)
    net = sums.flux - level * sums.area  # pixel units
    scatter = sky.variance * sky.correlation
    photons = np.maximum(net, 1 / gain) / gain  # at least one photon; 0 if gain is inf
    variance = np.where(
        np.isnan(sums.variance), scatter * sums.area + photons, sums.variance
    )
    if subtract:
        variance += np.where(has_sky, sums.area**2 * scatter / sky.area, 0)
    coverage = np.minimum(sums.area / full_area, 1)  # rounding
    scale = njy / fraction
    flux, flux_err = net * scale, np.sqrt(variance) * scale
    flags = np.array([int(row.image.flags) for row in rows])
    flags[(coverage < _WHOLE) | ~has_sky] |= Flag.PARTIAL_COVERAGE
    flags[flux < Flag.NON_DETECTION.threshold * flux_err] |= Flag.NON_DETECTION
    flags[[is_saturated(row.image, row.request) for row in rows]] |= Flag.SATURATED
    measured.add(
        index=np.array([row.index for row in rows]),
        bands=[row.image.band for row in rows],
        flux=flux,
        flux_err=flux_err,
        coverage=coverage,
        flags=flags,
    )
