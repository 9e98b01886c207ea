"""One band of one target, prepared for measurement, or the reason it cannot be."""

from dataclasses import dataclass, field
from functools import lru_cache
from math import hypot

import astropy.units as u
import numpy as np
from astropy.nddata import VarianceUncertainty

from mantis_astro.astrometry import LocalMap
from mantis_astro.bands import Band, get_survey
from mantis_astro.cutouts.uncertainty import uncertainty_values
from mantis_astro.flags import Flag
from mantis_astro.fluxes import is_linear_in_flux, njy_factor
from mantis_astro.photometry.psf import GaussianPSF

__all__ = ["Image", "NotMeasurableError", "prepare_image"]


class NotMeasurableError(ValueError):
    """
    A band cannot be measured.

    Parameters
    ----------
    message : str
        Why.
    flag : Flag
        The flag that says so.
    """

    def __init__(self, message, flag):
        super().__init__(message)
        self.flag = flag


@dataclass(frozen=True)
class Image:
    """
    One band of one target.

    Attributes
    ----------
    band : Band
        The band.
    data : ndarray
        Pixels, shape (ny, nx).
    bad : ndarray of bool or None
        Pixels to leave out; None if all are good.
    variance : ndarray or None
        Variance of each pixel.
    local : LocalMap
        Where the sky falls on it.
    psf : GaussianPSF
        Its PSF, of any kind.
    njy : float
        Flux density of one pixel unit in nJy.
    gain : float
        Photons in one pixel unit; infinite if not known.
    smear : float
        Variance, along an axis in arcsec**2, that pixels add to the PSF when they are
        resampled and summed.
    saturation : float
        Pixel value from which on pixels are saturated; infinite if not known.
    flags : Flag
        What can be said without measuring.
    """

    band: Band
    data: np.ndarray = field(repr=False)
    bad: np.ndarray | None = field(repr=False)
    variance: np.ndarray | None = field(repr=False)
    local: LocalMap
    psf: GaussianPSF
    njy: float
    gain: float
    smear: float
    saturation: float
    flags: Flag


def prepare_image(band, cutout, psf, verdicts, k):
    """
    Prepare a cutout for measurements.

    Parameters
    ----------
    band : Band
        Its band.
    cutout : `~astropy.nddata.CCDData`
        The cutout. The flux of a pixel unit must be known, see
        `~mantis_astro.fluxes.njy_factor`; ``exposure_time`` (s) for photon noise where
        the unit is a rate of counts, ``gain`` (photons per unit) for other units and
        ``saturation`` (pixel value) are read if there.
    psf : GaussianPSF
        PSF of the band, of any kind.
    verdicts : Verdicts
        Verdicts on WCSs, and maps of them.
    k : int
        Which of them is that of this image.

    Returns
    -------
    Image
        Ready to be measured.

    Raises
    ------
    NotMeasurableError
        If it cannot be.
    """
    njy = _nanojansky_per_unit(cutout, band)
    if not verdicts.is_shown[k]:
        raise NotMeasurableError(verdicts.problems[k], Flag.BAD_WCS)
    local = verdicts.local_maps[k]
    variance = _variance(cutout)
    bad = None
    if not (variance is None and _is_all_good(cutout)):
        bad = _bad_pixels(cutout, variance)
        _check_observed(cutout.data, bad)
    return Image(
        band=band,
        data=cutout.data,
        bad=bad,
        variance=variance,
        local=local,
        psf=psf,
        njy=njy,
        gain=_gain(cutout),
        smear=_smear(cutout, band, local),
        saturation=float(cutout.meta.get("saturation", np.inf)),
        flags=_flags(cutout, local, bad, is_right=verdicts.problems[k] is None),
    )


def _nanojansky_per_unit(cutout, band):
    njy = njy_factor(cutout, band)
    if njy is None and not is_linear_in_flux(cutout.unit):
        msg = f"the unit {cutout.unit} is not one of flux"
        raise NotMeasurableError(msg, Flag.NO_DATA)
    if njy is None:
        msg = (
            "meta['zero_point_ab'], the AB magnitude of one pixel unit, is "
            f"{cutout.meta.get('zero_point_ab', 'missing')}: set it, e.g. with "
            "Band.zero_point_ab(exposure_time)"
        )
        raise NotMeasurableError(msg, Flag.NO_DATA)
    return njy


def _variance(cutout):
    if cutout.uncertainty is None:
        return None
    with np.errstate(divide="ignore"):  # an inverse variance of 0 is a bad pixel
        own = type(cutout.uncertainty)(uncertainty_values(cutout))
        variance = own.represent_as(VarianceUncertainty).array
    return np.asarray(variance, dtype=float)


def _is_all_good(cutout):
    """Test by one sum that all pixels are finite and some are not zero."""
    if cutout.mask is not None:
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        total = cutout.data.sum()
    return bool(np.isfinite(total) and total != 0)


def _bad_pixels(cutout, variance):
    bad = ~np.isfinite(cutout.data)
    if cutout.mask is not None:
        bad |= cutout.mask
    if variance is not None:
        bad |= ~(np.isfinite(variance) & (variance >= 0))
    return bad if bad.any() else None


def _check_observed(data, bad):
    if bad is not None and bad.all():
        msg = "all pixels are bad"
        raise NotMeasurableError(msg, Flag.NO_DATA)
    if not np.any(data if bad is None else data[~bad]):
        msg = "all pixels are zero: the survey did not look there"
        raise NotMeasurableError(msg, Flag.NO_DATA)


def _gain(cutout):
    key = _gain_key(cutout.unit)
    return 1.0 if key is None else float(cutout.meta.get(key, np.inf))


@lru_cache(maxsize=128)  # comparing units of different kinds takes 0.1 ms
def _gain_key(unit):
    """Key of meta with the photons in one unit; None if the unit is one photon."""
    if unit in (u.ct, u.electron):
        return None
    return "exposure_time" if unit in (u.ct / u.s, u.electron / u.s) else "gain"


def _smear(cutout, band, local):
    """Count boxes, each of variance scale**2 / 12; a line between two pixels is two."""
    smear = local.pixel_scale**2 / 12  # exact overlap takes pixels to be flat
    for record in cutout.meta.get("alignment", [])[:1]:  # from the survey's pixels
        boxes = 1 if record.get("method") == "exact" else 2
        smear += boxes * _survey_pixel_scale(band) ** 2 / 12
    return smear


def _flags(cutout, local, bad, *, is_right):
    flags = Flag(0) if is_right else Flag.BAD_WCS
    if bad is not None and bad.mean() > Flag.BAD_PIXELS.threshold:
        flags |= Flag.BAD_PIXELS
    (x, y), (ny, nx) = local.origin.tolist(), cutout.shape
    if hypot(x - (nx - 1) / 2, y - (ny - 1) / 2) > Flag.OFF_CENTRE.threshold:
        flags |= Flag.OFF_CENTRE
    return flags


@lru_cache(maxsize=128)
def _survey_pixel_scale(band):
    return get_survey(band.survey).pixel_scale.to_value(u.arcsec)
