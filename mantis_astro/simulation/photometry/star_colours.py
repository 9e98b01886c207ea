"""Colours of stars in catalogues: smooth spectra through the stellar locus."""

from functools import lru_cache

import numpy as np

from mantis_astro.simulation.population.templates import fluxes_at_rest, rest_wavelength

__all__ = ["STAR_KNOTS", "star_fluxes"]

# Pivots, Angstrom, at which the colours below are: GALEX, SDSS, 2MASS, WISE
_PIVOT = (
    *(1535.0, 2301.0, 3557.0, 4702.0, 6176.0, 7490.0, 8946.0),
    *(12358.0, 16458.0, 21603.0, 33682.0, 46179.0),
)
# Dwarfs from A0 to T2. Rounded to what is known of main-sequence colours (A to M: near
# those of Covey et al. 2007, AJ 134, 2398; L and T: Kirkpatrick 2005, ARA&A 43, 195;
# ultraviolet: Bianchi et al. 2011, MNRAS 411, 2770), good to about a tenth of a
# magnitude, and much worse in the ultraviolet. Columns: share of stars in a deep field;
# then FUV-NUV, NUV-u, u-g, g-r, r-i, i-z in AB; z-J with J in Vega, J-H, H-Ks, Ks-W1,
# W1-W2 in Vega.
_DWARFS = np.array(
    [
        (0.003, 0.3, 0.6, 1.04, -0.25, -0.18, -0.15, 0.45, 0.00, 0.02, 0.00, 0.00),
        (0.010, 1.8, 1.6, 1.14, 0.05, -0.03, -0.06, 0.66, 0.15, 0.04, 0.02, 0.00),
        (0.070, 4.0, 2.6, 1.10, 0.26, 0.05, -0.01, 0.80, 0.25, 0.05, 0.03, -0.02),
        (0.120, 5.5, 3.3, 1.30, 0.38, 0.13, 0.03, 0.89, 0.30, 0.06, 0.04, -0.03),
        (0.100, 6.0, 3.8, 1.49, 0.49, 0.16, 0.06, 0.94, 0.36, 0.07, 0.04, -0.04),
        (0.080, 6.5, 4.8, 1.77, 0.60, 0.21, 0.09, 1.00, 0.43, 0.09, 0.05, -0.05),
        (0.070, 6.5, 5.5, 2.18, 0.84, 0.30, 0.16, 1.09, 0.54, 0.11, 0.06, -0.05),
        (0.070, 5.5, 6.0, 2.50, 1.10, 0.42, 0.23, 1.19, 0.62, 0.14, 0.07, -0.04),
        (0.080, 4.5, 6.3, 2.57, 1.28, 0.57, 0.32, 1.27, 0.66, 0.16, 0.09, 0.00),
        (0.090, 3.5, 6.3, 2.57, 1.38, 0.75, 0.41, 1.34, 0.66, 0.18, 0.11, 0.06),
        (0.110, 3.0, 6.0, 2.55, 1.44, 1.05, 0.57, 1.43, 0.64, 0.21, 0.14, 0.13),
        (0.110, 2.5, 5.5, 2.60, 1.50, 1.40, 0.77, 1.57, 0.60, 0.25, 0.18, 0.18),
        (0.055, 2.0, 5.0, 2.70, 1.60, 1.95, 1.07, 1.85, 0.60, 0.32, 0.22, 0.20),
        (0.015, 2.0, 5.0, 2.70, 1.85, 2.55, 1.50, 2.25, 0.66, 0.40, 0.30, 0.22),
        (0.006, 2.0, 5.0, 2.70, 2.40, 2.45, 1.80, 2.60, 0.78, 0.48, 0.40, 0.26),
        (0.004, 2.0, 5.0, 2.70, 2.50, 2.30, 1.90, 2.80, 0.95, 0.60, 0.70, 0.34),
        (0.002, 2.0, 5.0, 2.70, 2.50, 2.80, 2.90, 2.90, 0.60, 0.15, 0.75, 0.65),
    ]
)
_VEGA_TO_AB = np.array([0.91, 1.39, 1.85, 2.699, 3.339])  # J H Ks W1 W2
_HOT = 0.005  # share of white dwarfs and other hot stars, black bodies
_N_HOT, _HOTTEST, _COOLEST = 12, 40000.0, 9000.0
_FINER = 5  # spectra between two rows of the table

#: Number of spectra along the sequence, the hot ones last.
STAR_KNOTS = (len(_DWARFS) - 1) * _FINER + 1 + _N_HOT


def star_fluxes(u01, filters, reference):
    """
    Draw the spectra of stars, as a magnitude-limited field has them.

    Parameters
    ----------
    u01 : `~numpy.ndarray`
        Uniform numbers, shape (n,).
    filters : tuple of str
        Names of sedpy's transmission curves.
    reference : str
        The filter in which each has a flux of 1.

    Returns
    -------
    `~numpy.ndarray`
        Flux per frequency, shape (n, n_filter).

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.simulation.photometry.star_colours import star_fluxes
    >>> filters = ("sdss_g0", "sdss_r0", "sdss_i0")
    >>> g, r, i = star_fluxes(np.array([0.5]), filters, "sdss_i0")[0]
    >>> bool(g < r < i == 1)
    True
    """
    table, cumulative = _table(tuple(filters), reference)
    return table[np.minimum(np.searchsorted(cumulative, u01), len(table) - 1)]


@lru_cache(maxsize=4)
def _table(filters, reference):
    magnitudes = _magnitudes()  # (n_knot, n_pivot)
    wavelength = rest_wavelength()
    x, knots = np.log(wavelength), np.log(_PIVOT)
    smooth = np.stack([np.interp(x, knots, row) for row in magnitudes])
    per_frequency = np.concatenate([10 ** (-0.4 * smooth), _hot(wavelength)])
    spectra = per_frequency / wavelength**2  # in any scale
    spectra /= spectra.max(axis=1, keepdims=True)
    flux = fluxes_at_rest(spectra, (*filters, reference))[:, 0]
    share = np.interp(
        np.arange(len(magnitudes)) / _FINER, np.arange(len(_DWARFS)), _DWARFS[:, 0]
    )
    share = np.concatenate([share / share.sum() * (1 - _HOT), np.full(_N_HOT, _HOT)])
    share[-_N_HOT:] /= _N_HOT
    return (flux / flux[:, -1:])[:, :-1], np.cumsum(share)


def _magnitudes():
    """AB magnitudes at the pivots, against i, shape (n_knot, n_pivot)."""
    rows = np.linspace(0, len(_DWARFS) - 1, (len(_DWARFS) - 1) * _FINER + 1)
    colours = np.stack(
        [np.interp(rows, np.arange(len(_DWARFS)), c) for c in _DWARFS[:, 1:].T], 1
    )
    to_ab = np.concatenate([np.zeros(7), _VEGA_TO_AB])
    below = np.concatenate([np.zeros((len(rows), 1)), np.cumsum(colours, axis=1)], 1)
    return -below + to_ab


def _hot(wavelength):
    """Black bodies, flux per frequency."""
    temperature = np.geomspace(_COOLEST, _HOTTEST, _N_HOT)[:, None]
    x = np.minimum(1.438777e8 / (wavelength * temperature), 600)
    return wavelength**-3.0 / np.expm1(x)
