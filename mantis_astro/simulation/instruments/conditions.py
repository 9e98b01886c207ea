"""Observing conditions: seeing, exposure, background, and missing images."""

from dataclasses import dataclass, fields

import astropy.units as u
import numpy as np
from scipy.special import ndtri

from mantis_astro.bands import BANDS, get_bands
from mantis_astro.simulation.instruments.registry import get_instrument
from mantis_astro.simulation.uniforms import salt_of, uniforms

__all__ = ["Conditions", "draw_conditions"]

_PSF_STEP = 1.01  # widths are whole steps of one per cent: few transfer functions
_SALT = np.uint64(0x5EE1_0C0D)  # sets the numbers drawn here apart from all others
_N = 8  # numbers for each survey, and for each band


@dataclass(frozen=True)
class Conditions:
    """
    Observing conditions of the bands of many targets.

    Attributes
    ----------
    bands : tuple of Band
        The bands, in the order of the second axis of all arrays.
    keys : `~numpy.ndarray`
        The key of each target, which random draws follow from, shape (n,), uint64.
    observed : `~numpy.ndarray`
        Whether there is an image, shape (n, n_band), bool.
    psf_fwhm : `~numpy.ndarray`
        Full width at half maximum of the PSF in arcsec, shape (n, n_band).
    exposure_time : `~numpy.ndarray`
        Seconds; 1 where the survey does not tell (unWISE). Shape (n, n_band).
    sky : `~numpy.ndarray`
        Background rate per pixel, where photons are counted (GALEX, counts/s); 0
        elsewhere. Shape (n, n_band).
    noise : `~numpy.ndarray`
        Standard deviation of a pixel without a source in nJy, for surveys with
        Gaussian noise; 0 for GALEX. Shape (n, n_band).
    damage : `~numpy.ndarray`
        Two numbers from 0 to 1 for a band: whether and how its image is damaged
        (gaps between chips). Shape (n, n_band, 2).
    """

    bands: tuple
    keys: np.ndarray
    observed: np.ndarray
    psf_fwhm: np.ndarray
    exposure_time: np.ndarray
    sky: np.ndarray
    noise: np.ndarray
    damage: np.ndarray

    def __len__(self):
        return len(self.keys)

    def __getitem__(self, rows):
        """Return the conditions of the chosen targets."""
        arrays = (getattr(self, field.name)[rows] for field in fields(self)[1:])
        return type(self)(self.bands, *arrays)


def draw_conditions(keys, *, bands=BANDS, missing=None):
    """
    Draw the observing conditions of many targets.

    Parameters
    ----------
    keys : `~numpy.ndarray` of uint64
        Keys of the targets, shape (n,), as ``simulation.uniforms.keys_of``
        makes them: conditions follow from the key, whatever other targets there are.
    bands : sequence of Band or str, optional
        Bands of surveys that have an instrument: GALEX, Pan-STARRS1, unWISE, and those
        of `register_instrument`.
    missing : mapping of str to float, optional
        Fractions of missing images, where they are not the instrument's: for the name
        of a survey (``"galex"``) that of targets without any image of it, or, for
        Pan-STARRS1, of each band; for a band (``"galex.FUV"``) that of the others
        without this one.

    Returns
    -------
    Conditions
        What there is.

    Raises
    ------
    ValueError
        If a survey has no instrument, or ``missing`` names something that is not drawn.

    Notes
    -----
    Widths of the PSF are those of the bands with a scatter of 10 % (Pan-STARRS1), 5 %
    (GALEX) and 2 % (unWISE). GALEX exposures are those of the all-sky survey (about
    150 s), or for 12 % of the sky ten times longer. Exposures of Pan-STARRS1 scatter
    by a quarter, and the noise goes with their root. The noise of unWISE falls from
    the ecliptic to its poles with the root of the coverage, which is taken to be as
    1 / cos(latitude), up to eightfold. GALEX is missing for 30 % of targets, and FUV
    for 8 % of the others; the others for 2 %.

    Examples
    --------
    >>> from mantis_astro.simulation.instruments.conditions import draw_conditions
    >>> from mantis_astro.simulation.uniforms import keys_of
    >>> conditions = draw_conditions(keys_of(1, range(1000)))
    >>> conditions.psf_fwhm.mean(axis=0).round(1)
    array([5.3, 4.2, 1.3, 1.2, 1.1, 1.1, 1. , 6.1, 6.4])
    >>> conditions.observed[:, 0].mean().round(1)
    np.float64(0.7)
    """
    bands = get_bands(bands)
    fractions = _fractions(bands, missing or {})
    size = len(keys), len(bands)
    psf, time, sky, noise = np.zeros((4, *size))
    observed, damage = np.ones(size, bool), np.zeros((*size, 2))
    numbers = _numbers(keys)
    for j, band in enumerate(bands):
        instrument = get_instrument(band.survey)
        of_survey, of_band = numbers(band.survey), numbers(str(band))
        normal = ndtri(of_band[:, :4])
        width = np.exp(instrument.psf_scatter * normal[:, 0])
        psf[:, j] = band.psf_fwhm.to_value(u.arcsec) * _PSF_STEP ** np.rint(
            np.log(width) / np.log(_PSF_STEP)
        )
        chances = instrument.chances(of_survey, of_band)
        for name, chance in zip((band.survey, str(band)), chances, strict=True):
            observed[:, j] &= chance >= fractions.get(name, 0.0)
        exposure = instrument.expose(band, of_survey, normal)
        time[:, j], sky[:, j], noise[:, j] = exposure
        damage[:, j] = of_band[:, 6:]
    return Conditions(bands, keys, observed, psf, time, sky, noise, damage)


def _fractions(bands, given):
    """Fractions of missing images, by survey and by band."""
    surveys = dict.fromkeys(band.survey for band in bands)
    fractions = {}
    for survey in surveys:
        fractions |= get_instrument(survey).missing
    if strangers := given.keys() - surveys.keys() - set(map(str, bands)):
        msg = (
            f"'missing' must name surveys or bands that are drawn, got "
            f"{sorted(strangers)}; there are {[*surveys, *map(str, bands)]}"
        )
        raise ValueError(msg)
    return fractions | dict(given)


def _numbers(keys):
    """
    Create the function for the uniform numbers of a survey or a band, (n, 8).

    Numbers of a band do not depend on which other bands are asked for. The nine bands
    have places in one row of each target, the first of which their surveys share; all
    others have a row of their own.
    """
    starts = dict.fromkeys((band.survey for band in BANDS), 0)
    starts |= {str(band): _N * i for i, band in enumerate(BANDS, start=1)}
    row = uniforms(keys ^ _SALT, _N * (1 + len(BANDS)))

    def numbers(name):
        if name not in starts:
            return uniforms(keys ^ _SALT, _N, salt=salt_of(name))
        return row[:, starts[name] : starts[name] + _N]

    return numbers
