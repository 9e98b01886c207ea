"""Quasars: points with the spectrum of an active nucleus."""

import numpy as np

from mantis_astro.bands import get_band
from mantis_astro.simulation.population.templates import N_STELLAR, TemplateGrid

__all__ = ["QUASAR_DENSITY", "draw_quasars"]

#: Quasars per square degree to i = 21 and z = 2 (Richards et al. 2006, AJ 131, 2766,
#: and Palanque-Delabrouille et al. 2016, A&A 587, A41, roughly).
QUASAR_DENSITY = 60.0
_FAINTEST, _SLOPE = 21.0, 0.6  # PS1 i; log of counts per magnitude
_Z_RANGE = 0.3, 2.0


def draw_quasars(u01, bands):
    """
    Draw quasars.

    Parameters
    ----------
    u01 : `~numpy.ndarray`
        Uniform numbers, shape (n, 2).
    bands : tuple of Band
        The bands.

    Returns
    -------
    mag : `~numpy.ndarray`
        AB magnitude in PS1 i, shape (n,).
    flux : `~numpy.ndarray`
        Without Galactic dust, nJy, shape (n, n_band).
    extinction : `~numpy.ndarray`
        Magnitudes per E(B-V), shape (n, n_band).

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.bands import get_bands
    >>> from mantis_astro.simulation.population.quasars import draw_quasars
    >>> mag, flux, _ = draw_quasars(np.full((1, 2), 0.5), get_bands("ps1.i"))
    >>> bool(np.isclose(flux[0, 0], 10 ** (-0.4 * (mag[0] - 31.4))))
    True
    """
    low, high = _Z_RANGE
    z = low + (high - low) * u01[:, 0]
    mag = _FAINTEST + np.log10(u01[:, 1]) / _SLOPE
    coefficients = np.zeros((len(z), 1, N_STELLAR + 1))
    coefficients[:, 0, -1] = 1
    names = tuple(band.sedpy_name for band in (*bands, get_band("ps1.i")))
    values = TemplateGrid.of(names).fluxes(coefficients, z)[:, 0]
    flux, reddened = values[:, 0], values[:, 1]
    extinction = reddened / np.maximum(flux, 1e-30)
    scale = 10 ** (-0.4 * (mag - 31.4)) / flux[:, -1]
    return mag, flux[:, :-1] * scale[:, None], extinction[:, :-1]
