"""What each observation was like: seeing, exposure, background, and what is missing."""

from dataclasses import dataclass, fields

import astropy.units as u
import numpy as np

from mantis_astro.bands import BANDS, get_bands
from mantis_astro.simulation.uniforms import uniforms

__all__ = ["Conditions", "draw_conditions"]

#: Scatter (natural logarithm) of the PSF's width from image to image.
_PSF_SCATTER = {"galex": 0.05, "ps1": 0.10, "unwise": 0.02}
_PSF_STEP = 1.01  # widths are whole steps of one per cent: few transfer functions
# GALEX: all-sky survey and, for a part of the sky, medium-deep exposures (s).
_GALEX_DEEP, _GALEX_TIMES = 0.12, (150.0, 1500.0)
# Sky in counts/s per pixel of 1.5 arcsec; measured in the images of IC 494, where the
# zodiacal light is strong, and a little less here.
_GALEX_SKY = {"NUV": 2.9e-3, "FUV": 3.4e-4}
# PS1: median exposure, and that of one image, of which a stack has a whole number (s).
_PS1_TIMES = {
    "g": (780.0, 43.0),
    "r": (900.0, 40.0),
    "i": (1500.0, 30.0),
    "z": (780.0, 30.0),
    "y": (840.0, 30.0),
}
# Noise of a pixel of 0.25 arcsec, times the root of the exposure, in nJy s^0.5; from
# J0028 and, in r and i, FRB 190608, which agree to 2 %.
_PS1_NOISE = {"g": 820.0, "r": 1315.0, "i": 1580.0, "z": 2480.0, "y": 7100.0}
# unWISE: noise of a pixel on the ecliptic, in nJy; from the inverse variance of tile
# 1866p257 (ecliptic latitude 26 degrees).
_UNWISE_NOISE = {"W1": 466.0, "W2": 981.0}
_SALT = np.uint64(0x5EE1_0C0D)  # sets the numbers drawn here apart from all others


@dataclass(frozen=True)
class Conditions:
    """
    How the bands of many targets were observed.

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
        Background rate for GALEX, counts/s per pixel; 0 elsewhere. Shape (n, n_band).
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


def draw_conditions(
    keys,
    *,
    bands=BANDS,
    missing_galex=0.3,
    missing_fuv=0.08,
    missing_ps1=0.02,
    missing_unwise=0.02,
):
    """
    Draw how the surveys observed many targets.

    Parameters
    ----------
    keys : `~numpy.ndarray` of uint64
        Keys of the targets, shape (n,), as `~mantis_astro.simulation.uniforms.keys_of`
        makes them: conditions follow from the key, whatever other targets there are.
    bands : sequence of Band or str, optional
        Bands of GALEX, Pan-STARRS1 and unWISE.
    missing_galex : float, optional
        Fraction of targets without any image of GALEX.
    missing_fuv : float, optional
        Fraction, of those with GALEX, without FUV: its detector failed in 2009.
    missing_ps1 : float, optional
        Fraction of missing images, for each band of Pan-STARRS1.
    missing_unwise : float, optional
        Fraction of targets without any image of unWISE.

    Returns
    -------
    Conditions
        What there is.

    Raises
    ------
    ValueError
        If a band is of another survey.

    Notes
    -----
    Widths of the PSF are those of the bands with a scatter of 10 % (Pan-STARRS1), 5 %
    (GALEX) and 2 % (unWISE). GALEX exposures are those of the all-sky survey (about
    150 s), or for 12 % of the sky ten times longer. Exposures of Pan-STARRS1 scatter
    by a quarter, and the noise goes with their root. The noise of unWISE falls from
    the ecliptic to its poles with the root of the coverage, which is taken to be as
    1 / cos(latitude), up to eightfold.

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
    _check_surveys(bands)
    n, n_band = len(keys), len(bands)
    # Numbers of a band do not depend on which other bands are asked for.
    places = [BANDS.index(band) for band in bands]
    draws = uniforms(keys ^ _SALT, 8 + 8 * len(BANDS))
    ours = draws[:, 8:].reshape(n, len(BANDS), 8)[:, places]
    shared = draws[:, :8]
    arrays = {name: np.zeros((n, n_band)) for name in ("psf", "time", "sky", "noise")}
    observed = np.ones((n, n_band), bool)
    deep = shared[:, 2] < _GALEX_DEEP
    cos = np.maximum(np.sqrt(1 - shared[:, 3] ** 2), 1 / 8)  # of ecliptic latitude
    for j, band in enumerate(bands):
        u_, normal = ours[:, j], _normal(ours[:, j, :4])
        width = np.exp(_PSF_SCATTER[band.survey] * normal[:, 0])
        arrays["psf"][:, j] = band.psf_fwhm.to_value(u.arcsec) * _PSF_STEP ** np.rint(
            np.log(width) / np.log(_PSF_STEP)
        )
        if band.survey == "galex":
            missing = shared[:, 0] < missing_galex
            if band.name == "FUV":
                missing |= shared[:, 4] < missing_fuv
            # one exposure for both bands
            time = np.where(deep, *_GALEX_TIMES[::-1]) * np.exp(
                0.2 * _normal(shared[:, 5:7])[:, 0]
            )
            arrays["sky"][:, j] = _GALEX_SKY[band.name] * np.exp(0.25 * normal[:, 1])
        elif band.survey == "ps1":
            missing = u_[:, 4] < missing_ps1
            median, step = _PS1_TIMES[band.name]
            time = step * np.maximum(
                np.rint(median / step * np.exp(0.25 * normal[:, 1])), 3
            )
            sky = np.exp(0.1 * normal[:, 2])  # airglow, moon, extinction
            arrays["noise"][:, j] = _PS1_NOISE[band.name] * sky / np.sqrt(time)
        else:
            missing = shared[:, 1] < missing_unwise
            time = np.ones(n)
            arrays["noise"][:, j] = (
                _UNWISE_NOISE[band.name] * np.sqrt(cos) * np.exp(0.1 * normal[:, 1])
            )
        observed[:, j] = ~missing
        arrays["time"][:, j] = time
    return Conditions(
        bands,
        keys,
        observed,
        arrays["psf"],
        arrays["time"],
        arrays["sky"],
        arrays["noise"],
        ours[:, :, 6:],
    )


def _check_surveys(bands):
    unknown = [str(band) for band in bands if band not in BANDS]
    if unknown:
        msg = (
            "'bands' must be of GALEX, Pan-STARRS1 or unWISE, whose noise is known; "
            f"got {unknown}"
        )
        raise ValueError(msg)


def _normal(uniform):
    from scipy.special import ndtri

    return ndtri(uniform)
