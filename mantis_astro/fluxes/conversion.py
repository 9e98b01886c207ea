"""Conversion of magnitudes of any system, and of maggies, to fluxes."""

import astropy.units as u
import numpy as np
from astropy.utils.masked import Masked

from mantis_astro.bands import get_band
from mantis_astro.fluxes.magnitudes import (
    POGSON,
    asinh_mag_to_flux,
    is_sentinel_magnitude,
    mag_ab_to_flux,
)
from mantis_astro.fluxes.zero_points import to_njy
from mantis_astro.units import unit_of, without_unit

__all__ = ["to_flux"]


def to_flux(values, errors=None, *, band=None, system="AB", softening=None):
    """
    Convert magnitudes, maggies or fluxes of a catalogue to columns of fluxes.

    Parameters
    ----------
    values : `~astropy.units.Quantity`, column or array_like
        Magnitudes, if plain numbers or in mag; maggies or nanomaggies (nmgy), flux
        densities, and AB magnitudes (mag(AB)) by their unit. What marks a missing
        magnitude (99, -99, 999, ...) has no flux.
    errors : `~astropy.units.Quantity`, column or array_like, optional
        Their errors, in the same unit; those of magnitudes in mag.
    band : Band or str, optional
        The band; needed for Vega.
    system : {"AB", "Vega"}, optional
        System of magnitudes and maggies.
    softening : `~astropy.units.Quantity` or float, optional
        Softening (nJy if a plain number) of magnitudes that are asinh magnitudes.

    Returns
    -------
    flux : `~astropy.units.Quantity`
        In nJy, masked where there is none.
    flux_err : `~astropy.units.Quantity`
        In nJy, masked where not known; only if there are ``errors``.

    Raises
    ------
    ValueError
        If the system is another one, or Vega without a band;
        `~astropy.units.UnitConversionError` if they are no fluxes or magnitudes.

    Examples
    --------
    >>> import astropy.units as u
    >>> from mantis_astro.photometry import to_flux
    >>> flux, flux_err = to_flux([20.0, 99.0], [0.1, 99.0])
    >>> flux.round()
    <MaskedQuantity [36310.,    ———] nJy>
    >>> to_flux([1.0] * u.nmgy, band="unwise.W1", system="Vega").round(1)
    <MaskedQuantity [302.3] nJy>
    """
    if system not in ("AB", "Vega"):
        msg = f"'system' must be 'AB' or 'Vega', got {system!r}"
        raise ValueError(msg)
    if system == "Vega" and band is None:
        msg = "Vega magnitudes differ band by band: give 'band'"
        raise ValueError(msg)
    is_vega = system == "Vega"
    factor = 10 ** (-0.4 * get_band(band).vega_to_ab) if is_vega else 1.0
    unit = unit_of(values)
    if unit in (None, u.mag, u.ABmag):
        if softening is None:
            flux = _plain(mag_ab_to_flux(values))
            slope = flux
        else:
            softening = to_njy(softening) / factor
            flux = _plain(asinh_mag_to_flux(values, softening))
            slope = np.hypot(flux, 2 * softening)
        flux_err = None if errors is None else _magnitudes(errors) * slope / POGSON
    else:
        flux = to_njy(values)
        flux_err = None if errors is None else to_njy(errors)
        if not (isinstance(unit, u.UnitBase) and unit.is_equivalent(u.mgy)):
            factor = 1.0
    if errors is None:
        return _masked(factor * flux)
    flux_err = np.where(np.isfinite(flux) & (flux_err > 0), flux_err, np.nan)
    return _masked(factor * flux), _masked(factor * flux_err)


def _plain(quantity):
    return getattr(quantity, "unmasked", quantity).value


def _magnitudes(errors):
    """Errors in mag; NaN where something else than an error is written."""
    unit = unit_of(errors)
    numbers = without_unit(errors, u.mag if unit != u.ABmag else unit)
    return np.where((numbers > 0) & ~is_sentinel_magnitude(numbers), numbers, np.nan)


def _masked(njy):
    return Masked(njy * u.nJy, mask=~np.isfinite(njy))
