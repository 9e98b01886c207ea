"""Fluxes and magnitudes: nJy, AB, asinh, Vega."""

import astropy.units as u
import numpy as np

from mantis_astro.bands import get_band
from mantis_astro.fluxes.zero_points import (
    AB_ZERO_POINT_NJY,
    ab_from_njy,
    njy_from_ab,
    to_njy,
)
from mantis_astro.units import mask_like, unit_of, without_unit

__all__ = [
    "POGSON",
    "asinh_mag_to_flux",
    "default_softening",
    "flux_to_asinh_mag",
    "flux_to_mag_ab",
    "has_depth",
    "is_sentinel_magnitude",
    "mag_ab_to_flux",
    "magnitude_error",
]

#: Magnitudes in a natural logarithm of flux.
POGSON = 2.5 / np.log(10)

# 5-sigma depths for point sources, AB: GALEX all-sky survey (Morrissey et al. 2007),
# PS1 3 pi stacks (Chambers et al. 2016), WISE and Legacy Surveys (Dey et al. 2019).
_DEPTHS = {
    "galex.NUV": 20.8,
    "galex.FUV": 19.9,
    "ps1.g": 23.3,
    "ps1.r": 23.2,
    "ps1.i": 23.1,
    "ps1.z": 22.3,
    "ps1.y": 21.4,
    "unwise.W1": 20.0,
    "unwise.W2": 19.3,
    "allwise.W1": 19.8,
    "allwise.W2": 19.0,
    "legacysurvey.g": 24.0,
    "legacysurvey.r": 23.4,
    "legacysurvey.z": 22.5,
}


def flux_to_mag_ab(flux):
    """
    Convert fluxes to AB magnitudes.

    Parameters
    ----------
    flux : `~astropy.units.Quantity`, column or array_like
        Flux density, in nJy if plain numbers; see `~mantis_astro.fluxes.to_njy`.

    Returns
    -------
    `~astropy.units.Quantity`
        AB magnitudes; NaN where the flux is not positive (see `flux_to_asinh_mag`).
        Masked if the fluxes are masked values, as the results of all functions here.

    Examples
    --------
    >>> from mantis_astro.photometry import flux_to_mag_ab
    >>> flux_to_mag_ab(3631.0)
    <Quantity 22.5 mag>
    """
    numbers = to_njy(flux)
    positive = np.where(numbers > 0, numbers, np.nan)
    return mask_like(flux, ab_from_njy(positive) * u.mag)


def mag_ab_to_flux(mag):
    """
    Convert AB magnitudes to fluxes.

    Parameters
    ----------
    mag : `~astropy.units.Quantity`, column or array_like
        AB magnitudes; with the unit mag, mag(AB), or none. What marks a missing one
        (99, -99, 999, ...) has no flux.

    Returns
    -------
    `~astropy.units.Quantity`
        Flux density in nJy; NaN where there is no magnitude.

    Examples
    --------
    >>> from mantis_astro.photometry import mag_ab_to_flux
    >>> mag_ab_to_flux(22.5)
    <Quantity 3631. nJy>
    """
    return mask_like(mag, njy_from_ab(_magnitudes(mag)) * u.nJy)


def flux_to_asinh_mag(flux, softening):
    r"""
    Turn fluxes into asinh magnitudes, which negative fluxes have too.

    Parameters
    ----------
    flux : `~astropy.units.Quantity`, column or array_like
        Flux density, in nJy if plain numbers; see `~mantis_astro.fluxes.to_njy`.
    softening : `~astropy.units.Quantity` or float
        Flux below which the scale turns linear, in nJy if a plain number; about the
        1-sigma noise of a point source, see `default_softening`.

    Returns
    -------
    `~astropy.units.Quantity`
        Magnitudes on the AB scale; equal to AB magnitudes for bright sources.

    Notes
    -----
    With the softening :math:`s = b f_0` in units of flux and :math:`f_0` = 3631 Jy,

    .. math:: m = -\frac{2.5}{\ln 10} \left[
        \operatorname{asinh} \frac{f}{2 s} + \ln \frac{s}{f_0} \right]

    (Lupton, Gunn & Szalay 1999, AJ 118, 1406, equation 3).

    Examples
    --------
    >>> from mantis_astro.photometry import flux_to_asinh_mag
    >>> flux_to_asinh_mag([3631e3, 0], softening=3631.0).round(3)
    <Quantity [15. , 22.5] mag>
    """
    softening = to_njy(softening)
    scale = np.log(softening / AB_ZERO_POINT_NJY)
    mag = -POGSON * (np.arcsinh(to_njy(flux) / (2 * softening)) + scale) * u.mag
    return mask_like(flux, mag)


def asinh_mag_to_flux(mag, softening):
    """
    Convert asinh magnitudes to fluxes, the inverse of `flux_to_asinh_mag`.

    Parameters
    ----------
    mag : `~astropy.units.Quantity`, column or array_like
        Asinh magnitudes.
    softening : `~astropy.units.Quantity` or float
        Softening they were made with, in nJy if a plain number.

    Returns
    -------
    `~astropy.units.Quantity`
        Flux density in nJy.

    Examples
    --------
    >>> from mantis_astro.photometry import asinh_mag_to_flux
    >>> asinh_mag_to_flux(22.5, softening=3631.0).round(6)
    <Quantity 0. nJy>
    """
    softening = to_njy(softening)
    scale = np.log(softening / AB_ZERO_POINT_NJY)
    flux = 2 * softening * np.sinh(-_magnitudes(mag) / POGSON - scale) * u.nJy
    return mask_like(mag, flux)


def magnitude_error(flux, flux_err, softening=0.0):
    """
    Propagate an error of flux to first order into magnitudes.

    Parameters
    ----------
    flux, flux_err : `~astropy.units.Quantity`, column or array_like
        Flux density and its error, in nJy if plain numbers.
    softening : `~astropy.units.Quantity` or float, optional
        Softening of asinh magnitudes, in nJy if a plain number; 0 for AB magnitudes.

    Returns
    -------
    `~astropy.units.Quantity`
        Error in magnitudes; infinite for AB magnitudes of no flux.

    Examples
    --------
    >>> from mantis_astro.photometry import magnitude_error
    >>> magnitude_error(100.0, 10.0).round(4)
    <Quantity 0.1086 mag>
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.hypot(to_njy(flux), 2 * to_njy(softening))
        mag_err = POGSON * to_njy(flux_err) / size * u.mag
    return mask_like(flux if hasattr(flux, "mask") else flux_err, mag_err)


def default_softening(band):
    """
    Return the default softening of asinh magnitudes.

    Parameters
    ----------
    band : Band or str
        The band.

    Returns
    -------
    `~astropy.units.Quantity` or None
        1.042 times the noise of a point source at the survey's published depth (the
        optimum of Lupton, Gunn & Szalay 1999), in nJy; None for a survey whose depth
        is not known here.

    Examples
    --------
    >>> from mantis_astro.photometry import default_softening
    >>> default_softening("ps1.r").round()
    <Quantity 397. nJy>
    """
    depth = _DEPTHS.get(str(get_band(band)))
    return None if depth is None else 1.042 / 5 * mag_ab_to_flux(depth)


def has_depth(band):
    """
    Return whether the depth of a band's survey is known.

    Parameters
    ----------
    band : Band
        The band.

    Returns
    -------
    bool
        True for bands that have a `default_softening`.
    """
    return str(band) in _DEPTHS


def is_sentinel_magnitude(numbers):
    """
    Return which numbers stand for a missing magnitude or error.

    Parameters
    ----------
    numbers : `~numpy.ndarray`
        Magnitudes, or errors of them.

    Returns
    -------
    `~numpy.ndarray` of bool
        True for 99, -99, -99.9, 999, -9999 and the like: beyond 90, where nothing is.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.fluxes import is_sentinel_magnitude
    >>> is_sentinel_magnitude(np.array([21.3, -99.9, 99.0, np.nan]))
    array([False,  True,  True, False])
    """
    return np.abs(numbers) >= 90


def _magnitudes(mag):
    """AB or asinh magnitudes as plain numbers, NaN where they mark what is missing."""
    numbers = without_unit(mag, unit_of(mag) if unit_of(mag) == u.ABmag else u.mag)
    return np.where(is_sentinel_magnitude(numbers), np.nan, numbers)
