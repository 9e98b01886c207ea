"""The AB zero point, and the flux of one unit of a column or of a pixel."""

from functools import lru_cache

import astropy.units as u
import numpy as np

from mantis_astro.bands import get_survey
from mantis_astro.units import unit_of, without_unit

__all__ = [
    "AB_ZERO_POINT_NJY",
    "SENTINELS",
    "ab_from_njy",
    "is_linear_in_flux",
    "native_factor",
    "njy_factor",
    "njy_from_ab",
    "to_njy",
]

#: Flux density of AB magnitude 0 (3631 Jy by definition), in nJy.
AB_ZERO_POINT_NJY = 3631e9

#: Numbers that catalogues write where nothing was measured.
SENTINELS = (-99.0, -999.0, -9999.0)


_COUNTED = {u.adu, u.ct, u.DN, u.electron, u.mgy, u.ph, u.pix, u.s}


def njy_from_ab(mag):
    """
    Convert AB magnitudes to fluxes, both as plain numbers.

    Parameters
    ----------
    mag : float or array_like
        AB magnitudes.

    Returns
    -------
    float or `~numpy.ndarray`
        Flux densities in nJy.

    Examples
    --------
    >>> from mantis_astro.fluxes import njy_from_ab
    >>> njy_from_ab(22.5)
    3631.0
    """
    return AB_ZERO_POINT_NJY * 10 ** (-0.4 * mag)


def ab_from_njy(flux):
    """
    Convert fluxes to AB magnitudes, both as plain numbers.

    Parameters
    ----------
    flux : float or array_like
        Positive flux densities in nJy.

    Returns
    -------
    float or `~numpy.ndarray`
        AB magnitudes.

    Examples
    --------
    >>> from mantis_astro.fluxes import ab_from_njy
    >>> float(ab_from_njy(3631.0))
    22.5
    """
    return -2.5 * np.log10(flux / AB_ZERO_POINT_NJY)


def to_njy(flux):
    """
    Convert fluxes of any kind to plain numbers in nJy.

    Parameters
    ----------
    flux : `~astropy.units.Quantity`, column or array_like
        Flux densities; AB maggies or nanomaggies; AB magnitudes with the unit mag(AB);
        or plain numbers in nJy.

    Returns
    -------
    `~numpy.ndarray`
        Same shape; NaN where masked.

    Raises
    ------
    ValueError
        `~astropy.units.UnitConversionError` if they are no fluxes.

    Examples
    --------
    >>> import astropy.units as u
    >>> from mantis_astro.fluxes import to_njy
    >>> to_njy([1, 2] * u.nmgy)
    array([3631., 7262.])
    >>> to_njy([22.5] * u.ABmag)
    array([3631.])
    """
    unit = unit_of(flux)
    worth = 1.0 if unit is None else _njy_of_column_unit(unit)
    if worth is None:
        return without_unit(flux, u.nJy)  # which says why not
    numbers = without_unit(flux, unit)
    return njy_from_ab(numbers) if np.isnan(worth) else worth * numbers


def njy_factor(cutout, band):
    """
    Flux of one pixel unit.

    Parameters
    ----------
    cutout : `~astropy.nddata.CCDData`
        An image.
    band : Band
        Its band.

    Returns
    -------
    float or None
        In nJy: from the unit if that is a flux density, else from
        ``meta["zero_point_ab"]``, else from the band if the unit is the survey's own.
        None if it cannot be known, and for units that are not linear in flux.
    """
    njy = _njy_of_unit(cutout.unit)
    if njy is not None or not is_linear_in_flux(cutout.unit):
        return njy
    zero_point = _number(cutout.meta.get("zero_point_ab"))
    if zero_point is None and _has_survey_unit(cutout, band):
        zero_point = _band_zero_point(cutout, band)
    return None if zero_point is None else njy_from_ab(zero_point)


@lru_cache(maxsize=128)
def is_linear_in_flux(unit):
    """
    Return whether pixels of a unit are fluxes, up to a zero point.

    Parameters
    ----------
    unit : `~astropy.units.UnitBase`
        The unit of an image.

    Returns
    -------
    bool
        True for counts (adu, ct, electron, photon) and rates of them, maggies, plain
        numbers, flux densities, these per solid angle, and names that astropy does not
        know; False for others, such as K or mag.

    Examples
    --------
    >>> import astropy.units as u
    >>> from mantis_astro.fluxes import is_linear_in_flux
    >>> is_linear_in_flux(u.adu / u.s), is_linear_in_flux(u.MJy / u.sr)
    (True, True)
    >>> is_linear_in_flux(u.K)
    False
    """
    if isinstance(unit, u.UnrecognizedUnit):
        return True
    if not isinstance(unit, u.UnitBase):  # magnitudes
        return False
    densities = u.nJy, u.Unit("erg / (s cm2 AA)")
    areas = u.one, u.pix, u.sr, u.beam
    if any(unit.is_equivalent(x / area) for x in densities for area in areas):
        return True
    return set(unit.decompose().bases) <= _COUNTED


def native_factor(cutout, band):
    """
    Value, in the survey's own unit, of one pixel unit.

    Parameters
    ----------
    cutout : `~astropy.nddata.CCDData`
        An image.
    band : Band
        Its band.

    Returns
    -------
    float or None
        1 for an image as the survey serves it; None if it cannot be known.
    """
    if _has_survey_unit(cutout, band):
        return 1.0
    njy, zero_point = njy_factor(cutout, band), _band_zero_point(cutout, band)
    if njy is None or zero_point is None:
        return None
    return njy / njy_from_ab(zero_point)


@lru_cache(maxsize=128)
def _njy_of_column_unit(unit):
    """NaN for AB magnitudes, which have no factor; None for what is no flux."""
    if unit == u.ABmag:
        return np.nan
    if not isinstance(unit, u.UnitBase):
        return None
    if unit.is_equivalent(u.mgy):
        return AB_ZERO_POINT_NJY * unit.to(u.mgy)
    return _njy_of_unit(unit)


@lru_cache(maxsize=128)  # comparing units of different kinds takes 0.1 ms
def _njy_of_unit(unit):
    return unit.to(u.nJy) if unit.is_equivalent(u.nJy) else None


def _has_survey_unit(cutout, band):
    unit = get_survey(band.survey).unit
    return cutout.unit is unit or cutout.unit == unit


def _band_zero_point(cutout, band):
    try:
        return _number(band.zero_point_ab(cutout.meta.get("exposure_time")))
    except (ValueError, TypeError):
        return None


def _number(value):
    """Value as a finite float, or None."""
    try:
        value = float(value)
    except (TypeError, ValueError):
        return None
    return value if np.isfinite(value) else None
