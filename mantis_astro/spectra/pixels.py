"""Conversion of spectra to increasing wavelengths, flux densities and errors."""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.nddata import InverseVariance, StdDevUncertainty, VarianceUncertainty

from mantis_astro.spectra.medium import to_vacuum

__all__ = ["FLUX_UNIT", "Pixels", "get_pixels", "noise_of"]

#: Unit of flux density on the inside; as SDSS and DESI have it.
FLUX_UNIT = u.Unit("1e-17 erg / (s cm2 AA)")

# what power of the standard deviation each kind of uncertainty is
_POWER = {StdDevUncertainty: 1, VarianceUncertainty: 2, InverseVariance: -2}


@dataclass(frozen=True)
class Pixels:
    """
    A spectrum as plain numbers.

    Attributes
    ----------
    wavelength : ndarray
        Angstrom in vacuum, positive, increasing, shape ``(n,)``.
    flux, std : ndarray
        Flux density and its standard deviation in `FLUX_UNIT`, shape ``(n,)``; ``std``
        is NaN throughout where the spectrum has no uncertainty.
    good : ndarray of bool
        Pixels that are not masked, whose flux is finite and whose error, if there are
        errors, is finite and positive.
    """

    wavelength: np.ndarray
    flux: np.ndarray
    std: np.ndarray
    good: np.ndarray

    @property
    def has_errors(self):
        """Whether the spectrum came with uncertainties."""
        return bool(np.isfinite(self.std).any())


def get_pixels(spectrum, *, medium=None):
    """
    Convert a spectrum with any units and direction of axis to plain numbers.

    Parameters
    ----------
    spectrum : `~specutils.Spectrum`
        One spectrum: a flux density per wavelength or frequency along an axis of
        wavelength, frequency or energy.
    medium : {"air", "vacuum"}, optional
        What its wavelengths are in; by default what its header says, and vacuum if it
        says nothing.

    Returns
    -------
    Pixels
        Copies; the spectrum is not changed. Pixels without a positive wavelength are
        left out.

    Raises
    ------
    TypeError
        If it is not a spectrum, or has another kind of uncertainty than a standard
        deviation, a variance or an inverse variance.
    ValueError
        If it holds several spectra, or no good pixel, or ``medium`` is neither.
    `~astropy.units.UnitsError`
        If the axis or the flux is something else.

    Examples
    --------
    >>> import astropy.units as u
    >>> from specutils import Spectrum
    >>> from mantis_astro.spectra.pixels import get_pixels
    >>> spectrum = Spectrum(flux=[2, 1] * u.Jy, spectral_axis=[6000, 4000] * u.AA)
    >>> get_pixels(spectrum).wavelength
    array([4000., 6000.])
    """
    if not (hasattr(spectrum, "spectral_axis") and hasattr(spectrum, "flux")):
        msg = f"'spectrum' must be a specutils.Spectrum, got {type(spectrum)}"
        raise TypeError(msg)
    if spectrum.flux.ndim != 1:
        msg = (
            "'spectrum' must be one spectrum, got an array of them of shape "
            f"{spectrum.flux.shape}: give them one by one"
        )
        raise ValueError(msg)
    wavelength = to_vacuum(_wavelength(spectrum.spectral_axis), spectrum, medium)
    factor = _to_f_lambda(spectrum.flux.unit, wavelength)
    flux = spectrum.flux.value * factor
    std = _std(spectrum) * factor
    good = np.isfinite(flux)
    if spectrum.uncertainty is not None:
        good &= np.isfinite(std) & (std > 0)
    if spectrum.mask is not None:
        good &= ~np.asarray(spectrum.mask, dtype=bool)
    placed = np.isfinite(wavelength) & (wavelength > 0)
    good &= placed
    if not good.any():
        msg = (
            f"'spectrum' has no good pixel among {good.size}: all are masked, not "
            "finite, or without a positive error"
        )
        raise ValueError(msg)
    order = np.argsort(wavelength)
    order = order[placed[order]]
    return Pixels(wavelength[order], flux[order], std[order], good[order])


def noise_of(pixels):
    """
    Return the standard deviation of each pixel, estimated if missing.

    Parameters
    ----------
    pixels : Pixels
        The spectrum.

    Returns
    -------
    ndarray
        As its errors say, or one value from the scatter of its good pixels (Stoehr et
        al. 2008, DER_SNR), or 1 for a spectrum without noise; shape ``(n,)``.
    """
    if pixels.has_errors:
        return pixels.std
    flux = pixels.flux[pixels.good]
    second = 2 * flux[2:-2] - flux[:-4] - flux[4:]
    noise = 1.482602 / np.sqrt(6) * np.median(np.abs(second)) if second.size else 0
    return np.full(pixels.flux.size, noise or 1.0)


def _wavelength(axis):
    axis = u.Quantity(axis)
    try:
        wavelength = axis.to_value(u.AA, u.spectral())
    except u.UnitConversionError:
        msg = (
            "the axis of 'spectrum' must be a wavelength, frequency or energy, such as "
            f"Angstrom, got {axis.unit.to_string() or 'no unit'!r}"
        )
        raise u.UnitsError(msg) from None
    return np.array(wavelength, dtype=float)


def _to_f_lambda(unit, wavelength):
    """Factors from a linear unit of flux density to FLUX_UNIT, shape (n,)."""
    try:
        return unit.to(
            FLUX_UNIT,
            np.ones_like(wavelength),
            u.spectral_density(wavelength * u.AA),
        )
    except u.UnitConversionError:
        msg = (
            "the flux of 'spectrum' must be a flux density, such as erg / (s cm2 AA) "
            f"or Jy, got {unit.to_string() or 'no unit'!r}: calibrate it, or attach "
            "the unit that it has"
        )
        raise u.UnitsError(msg) from None


def _std(spectrum):
    """Return errors in the unit of the flux; not finite where undefined."""
    uncertainty = spectrum.uncertainty
    if uncertainty is None:
        return np.full(spectrum.flux.shape, np.nan)
    try:
        power = next(p for kind, p in _POWER.items() if isinstance(uncertainty, kind))
    except StopIteration:
        msg = (
            "the uncertainty of 'spectrum' must be StdDevUncertainty, "
            f"VarianceUncertainty or InverseVariance, got {type(uncertainty).__name__}"
        )
        raise TypeError(msg) from None
    unit = spectrum.flux.unit**power
    values = np.asarray(uncertainty.array, dtype=float)
    values = values * (uncertainty.unit or unit).to(unit)
    with np.errstate(all="ignore"):  # zeros and negatives are found by their result
        return values ** (1 / power)
