"""Stars of the Galaxy: their density, magnitudes and colours."""

from functools import lru_cache

import numpy as np
from scipy.special import ndtri

from mantis_astro.bands import get_band
from mantis_astro.simulation.population.templates import fluxes_at_rest, rest_wavelength

__all__ = ["FAINTEST_STAR", "draw_stars", "star_density"]

#: Limits in PS1 i, AB magnitudes.
BRIGHTEST_STAR, FAINTEST_STAR = 13.0, 21.0
_AT_POLE = 2600.0  # per square degree, to the faint limit
_SLOPE = 0.2  # log of counts per magnitude
_LATITUDE_POWER = 1.3
_LEAST_SIN_B = np.sin(np.radians(10))

# Nearby red dwarfs, dwarfs of the disc, turn-off stars: share, temperature, scatter, K
_KINDS = ((0.35, 3500.0, 300.0), (0.20, 4700.0, 400.0), (0.45, 5900.0, 500.0))
_TEMPERATURES = np.geomspace(2600, 8500, 60)


def star_density(latitude, faint=FAINTEST_STAR):
    """
    Return the density of stars.

    Parameters
    ----------
    latitude : array_like
        Galactic latitude, degrees.
    faint : float, optional
        Limit in PS1 i.

    Returns
    -------
    `~numpy.ndarray`
        Stars per square degree.

    Notes
    -----
    Roughly the counts of Bahcall & Soneira (1980, ApJS 44, 73, table 6), without the
    dependence on longitude: within a factor of two above 20 degrees.

    Examples
    --------
    >>> from mantis_astro.simulation.population.stars import star_density
    >>> float(star_density(90.0))
    2600.0
    """
    sin_b = np.maximum(np.abs(np.sin(np.radians(latitude))), _LEAST_SIN_B)
    return _AT_POLE * sin_b**-_LATITUDE_POWER * 10 ** (_SLOPE * (faint - FAINTEST_STAR))


def draw_stars(u01, bands, faint=FAINTEST_STAR):
    """
    Draw stars.

    Parameters
    ----------
    u01 : `~numpy.ndarray`
        Uniform numbers, shape (n, 3).
    bands : tuple of Band
        The bands.
    faint : float, optional
        Limit in PS1 i.

    Returns
    -------
    flux : `~numpy.ndarray`
        Without dust, nJy, shape (n, n_band).
    extinction : `~numpy.ndarray`
        Magnitudes per E(B-V), shape (n, n_band).
    """
    span = 10 ** (_SLOPE * (BRIGHTEST_STAR - faint))
    mag = faint + np.log10(span + (1 - span) * u01[:, 0]) / _SLOPE
    shares = np.cumsum([share for share, _, _ in _KINDS])
    kind = np.minimum(np.searchsorted(shares, u01[:, 1]), len(_KINDS) - 1)
    mean, scatter = np.array([row[1:] for row in _KINDS]).T
    temperature = mean[kind] + scatter[kind] * ndtri(u01[:, 2])
    row = np.abs(np.log(temperature[:, None] / _TEMPERATURES)).argmin(axis=1)
    shape, extinction = _colours(tuple(bands))
    return shape[row] * 10 ** (-0.4 * (mag - 31.4))[:, None], extinction[row]


@lru_cache(maxsize=8)
def _colours(bands):
    """Fluxes over that in PS1 i, and extinction, at each temperature."""
    wavelength = rest_wavelength()
    spectra = np.stack([_spectrum(wavelength, T) for T in _TEMPERATURES])
    # in any scale that float likes
    spectra /= spectra[:, np.abs(wavelength - 7500) < 100].mean(axis=1, keepdims=True)
    names = [band.sedpy_name for band in (*bands, get_band("ps1.i"))]
    flux, reddened, _ = fluxes_at_rest(spectra, names).transpose(1, 0, 2)
    extinction = reddened / np.maximum(flux, 1e-300)
    return (flux / flux[:, -1:])[:, :-1], extinction[:, :-1]


def _spectrum(wavelength, temperature):
    """Evaluate a black body, less what metals absorb in the blue and ultraviolet."""
    x = 1.438777e8 / (wavelength * temperature)  # h c / (lambda k T), Angstrom
    with np.errstate(over="ignore"):
        planck = wavelength**-5.0 / np.expm1(np.minimum(x, 700))
    blanketing = 0.5 * np.clip((4500 - wavelength) / 500, 0, 1)
    blanketing += 4.0 * np.clip((3800 - wavelength) / 2300, 0, 1.2)
    return planck * 10 ** (-0.4 * blanketing)
