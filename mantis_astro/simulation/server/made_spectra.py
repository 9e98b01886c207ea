"""Made-up galaxies: redshift, kind and brightness, and the fluxes that follow."""

import astropy.units as u
import numpy as np

from mantis_astro.bands import get_band

__all__ = ["Z_MAX", "draw_made_galaxies", "made_fluxes"]

#: Redshift up to which galaxies are made.
Z_MAX = 1.0


def draw_made_galaxies(n, rng):
    """
    Draw redshift, kind and brightness.

    Parameters
    ----------
    n : int
        How many galaxies.
    rng : `numpy.random.Generator`
        Source of randomness.

    Returns
    -------
    z : `~numpy.ndarray`
        Redshift, uniform from 0 to `Z_MAX`, shape (n,).
    kind : `~numpy.ndarray`
        From 0, star-forming, to 1, passive, shape (n,).
    mag_i : `~numpy.ndarray`
        PS1 i magnitude, AB, from 15 to 21.5, fainter at higher redshift, shape (n,).
    """
    z = rng.uniform(0, Z_MAX, n)
    kind = rng.beta(0.7, 0.7, n)
    mag_i = np.clip(15.5 + 7 * z**0.45 + rng.normal(0, 1.2, n), 15, 21.5)
    return z, kind, mag_i


def made_fluxes(z, kind, mag_i, bands):
    """
    Fluxes of made-up galaxies: four slopes and a 4000 A break, no dust, no lines.

    Nobody should take them for real galaxies. They are for tests and benchmarks that
    need colours which tell the redshift, and no time: the break moves through the
    bands.

    Parameters
    ----------
    z, kind, mag_i : array_like
        As `draw_made_galaxies` returns them, shape (n,).
    bands : sequence of Band or str
        The bands.

    Returns
    -------
    `~numpy.ndarray`
        Flux in nJy, shape (n, n_band).

    Examples
    --------
    >>> from mantis_astro.simulation.server.made_spectra import made_fluxes
    >>> made_fluxes([0.1], [0.5], [23.9], ["ps1.i"])  # AB 23.9 is 1 microjansky
    array([[1000.]])
    """
    z, kind, mag_i = (np.asarray(x, float)[:, None] for x in (z, kind, mag_i))
    log_flux = _log_flux(z, kind, bands) - _log_flux(z, kind, ["ps1.i"])
    return 10 ** (log_flux - 0.4 * (mag_i - 31.4))


def _log_flux(z, kind, bands):
    """Log of flux per unit frequency, up to a constant for each galaxy."""
    pivot = np.array([get_band(band).pivot.to_value(u.um) for band in bands])
    x = np.log10(pivot / (1 + z) / 0.4)  # log rest wavelength over the break
    ultraviolet = np.minimum(x, 0) * (0.3 + 3.0 * kind) - 0.15 - 0.45 * kind
    red = (0.5 + 1.0 * kind) * np.clip(x, 0, 0.6)
    infrared = -1.6 * np.clip(x - 0.6, 0, None)
    above = 1 / (1 + np.exp(-x / 0.01))
    beyond_lyman_limit = x < np.log10(0.0912 / 0.4)
    return ultraviolet * (1 - above) + (red + infrared) * above - 3 * beyond_lyman_limit
