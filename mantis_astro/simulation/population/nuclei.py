"""The spectrum of an active nucleus: a power law, broad lines and hot dust."""

import numpy as np

__all__ = ["nucleus_parts", "nucleus_spectrum"]

_C = 299792.458  # km/s
# Broad lines of the composite of Vanden Berk et al. 2001, table 2: Angstrom, and
# equivalent width in the rest frame, Angstrom.
_LINES = (
    (1215.67, 92.9),
    (1399.8, 8.1),
    (1549.06, 23.8),
    (1908.73, 21.2),
    (2798.75, 32.3),
    (4341.7, 12.6),
    (4862.7, 46.2),
    (5008.2, 13.2),
    (6564.6, 194.5),
)
_FWHM = 4500.0  # km/s
_DUST_TEMPERATURE = 1250.0  # K


def nucleus_spectrum(wavelength):
    """
    Evaluate a type-1 nucleus.

    Parameters
    ----------
    wavelength : `~numpy.ndarray`
        Angstrom, rest frame.

    Returns
    -------
    `~numpy.ndarray`
        Flux density per wavelength, 1 at 5100 Angstrom without lines.

    Notes
    -----
    Continuum and equivalent widths are those of the composite of Vanden Berk et al.
    (2001, AJ 122, 549): flux density per frequency as frequency to the power -0.44.
    Their steeper slope redwards of 5000 Angstrom is the host's light. Dust near its
    sublimation (1,250 K) has as much power per octave at 3 micron as the nucleus has at
    5100 Angstrom (Richards et al. 2006, ApJS 166, 470, figure 11).

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.simulation.population.nuclei import nucleus_spectrum
    >>> nucleus_spectrum(np.array([5100.0, 10200.0])).round(2)
    array([1.  , 0.36])
    """
    continuum, lines, dust = nucleus_parts(wavelength)
    return continuum * (1 + lines) + dust


def nucleus_parts(wavelength):
    """
    Evaluate the parts of `nucleus_spectrum`.

    Parameters
    ----------
    wavelength : `~numpy.ndarray`
        Angstrom, rest frame.

    Returns
    -------
    continuum, lines, dust : `~numpy.ndarray`
        Power law, 1 at 5100 Angstrom; broad lines as a multiple of it; hot dust.
    """
    continuum = (wavelength / 5100.0) ** -1.56
    lines = np.zeros_like(wavelength)
    for centre, width in _LINES:
        sigma = centre * _FWHM / 2.3548 / _C
        lines += (
            width
            / (sigma * np.sqrt(2 * np.pi))
            * np.exp(-0.5 * ((wavelength - centre) / sigma) ** 2)
        )
    dust = _planck(wavelength) / _planck(np.array(3e4)) * 5100 / 3e4
    return continuum, lines, dust


def _planck(wavelength):
    """Planck's law per wavelength in any scale, at the temperature of hot dust."""
    x = 1.438777e8 / (wavelength * _DUST_TEMPERATURE)  # h c / (lambda k T), Angstrom
    return wavelength**-5.0 * np.exp(-x) / -np.expm1(-x)
