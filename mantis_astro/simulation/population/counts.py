"""Number counts of galaxies, and the selections of surveys."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from astropy.cosmology import FlatLambdaCDM

from mantis_astro.bands import get_band
from mantis_astro.simulation.population.donors import Donors
from mantis_astro.simulation.population.templates import N_STELLAR, TemplateGrid

__all__ = ["COSMOLOGY", "DEFAULT_MIX", "FIELD", "Subsample", "SubsampleTable"]

#: Cosmology of distances, sizes and luminosities.
COSMOLOGY = FlatLambdaCDM(70, 0.3)

_LN_STEP = 0.004  # ln(1 + z)
_MAG_STEP = 0.05
_SQUARE_DEGREE = (np.pi / 180) ** 2


@dataclass(frozen=True)
class Subsample:
    """
    Galaxies in the selection of one survey.

    Attributes
    ----------
    name : str
        Its name.
    share : float
        Its part of the whole; only ratios matter.
    band : str
        Band in which the magnitudes of the selection are, without Galactic dust.
    bright, faint : float
        Limits in that band, AB magnitudes.
    z_range : tuple of float
        Lowest and highest redshift.
    kinds : tuple of str
        ``"blue"``, ``"red"`` or both: either side of the cut in colour of Loveday et
        al. (2012).
    redshifts : tuple of (float, float, float)
        Weight, mean and standard deviation of normal distributions in redshift, where
        a survey picks by colour to get redshifts that it wants. Empty where redshifts
        follow from the limits and the luminosity function.
    luminosity_power : float
        Galaxies are picked by a chance that goes as this power of their luminosity.

    Examples
    --------
    >>> from mantis_astro.simulation.population.counts import Subsample
    >>> Subsample("deep", 1.0, "ps1.i", faint=21.0).kinds
    ('blue', 'red')
    """

    name: str
    share: float
    band: str
    bright: float = 13.0
    faint: float = 20.0
    z_range: tuple = (0.01, 1.5)
    kinds: tuple = ("blue", "red")
    redshifts: tuple = ()
    luminosity_power: float = 0.0


#: A mix like a spectroscopic training set: the main sample of SDSS (Strauss et al.
#: 2002), the bright galaxies of DESI (Hahn et al. 2023), luminous red galaxies and
#: emission-line galaxies with redshifts as BOSS, eBOSS and DESI have them (Dawson et
#: al. 2013 and 2016, Raichoor et al. 2017 and 2023), and a deep flux-limited sample.
DEFAULT_MIX = (
    Subsample("main", 0.25, "ps1.r", faint=17.77, z_range=(0.01, 0.5)),
    Subsample("bgs", 0.25, "ps1.r", faint=20.175, bright=15.0, z_range=(0.01, 0.8)),
    Subsample(
        "lrg",
        0.25,
        "ps1.i",
        bright=16.0,
        faint=20.3,
        z_range=(0.1, 1.0),
        kinds=("red",),
        redshifts=((0.3, 0.36, 0.1), (0.5, 0.55, 0.12), (0.2, 0.75, 0.12)),
    ),
    Subsample(
        "elg",
        0.10,
        "ps1.g",
        bright=20.0,
        faint=22.8,
        z_range=(0.4, 1.5),
        kinds=("blue",),
        redshifts=((0.65, 0.86, 0.14), (0.35, 1.1, 0.22)),
    ),
    Subsample("faint", 0.15, "ps1.i", bright=16.0, faint=22.3),
)

#: All galaxies of the sky to a limit, for those that happen to be near a target.
FIELD = (Subsample("field", 1.0, "ps1.i", bright=14.0, faint=22.5),)

# Schechter functions in SDSS r at z = 0.1, H0 = 70: phi* (per Mpc3), M*, alpha of
# Loveday et al. 2012, table 5. Evolution as Faber et al. 2007 (ApJ 665, 265) found it
# from z = 1 to now: M* fades by 1.2 to 1.3 mag per unit redshift, the density of blue
# galaxies stays, that of red ones rises fourfold.
_SCHECHTER = {
    "blue": (1.30e-3, -21.22, -1.49),
    "red": (3.81e-3, -21.11, -0.57),
}
_FADING = 1.2  # mag per unit redshift
_DENSITY = {"blue": 0.0, "red": -0.6}  # dex per unit redshift


def schechter(M, z, kind):
    """
    Evaluate a luminosity function.

    Parameters
    ----------
    M : array_like
        Absolute AB magnitude in SDSS r at z = 0.1.
    z : array_like
        Redshift.
    kind : {"blue", "red"}
        Kind of galaxy.

    Returns
    -------
    `~numpy.ndarray`
        Galaxies per comoving cubic megaparsec and magnitude.
    """
    phi, M_star, alpha = _SCHECHTER[kind]
    # beyond z = 1 nothing is known well enough to be extrapolated
    z = np.minimum(z, 1.0) - 0.1
    M_star = M_star - _FADING * z
    x = 10 ** (-0.4 * (M - M_star))
    density = phi * 10 ** (_DENSITY[kind] * z)
    return 0.4 * np.log(10) * density * x ** (alpha + 1) * np.exp(-x)


class SubsampleTable:
    """
    Counts of a subsample per cell of redshift, magnitude and kind.

    Parameters
    ----------
    subsample : Subsample
        The subsample.
    donors : Donors
        Donors, for typical colours.

    Attributes
    ----------
    density : float
        Galaxies per square degree within the limits, as the luminosity functions
        have them.
    """

    def __init__(self, subsample, donors):
        self.subsample = subsample
        low, high = np.log1p(subsample.z_range)
        n_z = max(1, round((high - low) / _LN_STEP))
        self._ln = np.linspace(low, high, n_z + 1)
        n_m = max(1, round((subsample.faint - subsample.bright) / _MAG_STEP))
        self._mag = np.linspace(subsample.bright, subsample.faint, n_m + 1)
        z = np.expm1((self._ln[1:] + self._ln[:-1]) / 2)
        mag = (self._mag[1:] + self._mag[:-1]) / 2
        modulus = COSMOLOGY.distmod(z).value
        volume = np.diff(COSMOLOGY.comoving_volume(np.expm1(self._ln)).value)
        volume *= _SQUARE_DEGREE / (4 * np.pi)
        counts = np.zeros((2, n_z, n_m))
        self._zero = np.zeros((2, n_z))  # m - M
        for kind, name in enumerate(("blue", "red")):
            self._zero[kind] = modulus + _typical_k(subsample.band, z, donors, kind)
            M = mag - self._zero[kind][:, None]
            if name in subsample.kinds:
                phi = schechter(M, z[:, None], name) * (M > -25.5) * (M < -13)
                phi *= 10 ** (-0.4 * subsample.luminosity_power * (M + 21))
                counts[kind] = phi * volume[:, None] * np.diff(self._mag)
        self.density = float(counts.sum())
        if subsample.redshifts:
            wanted = sum(
                w / s * np.exp(-0.5 * ((z - mean) / s) ** 2) * (1 + z)
                for w, mean, s in subsample.redshifts
            )
            counts *= (wanted / np.maximum(counts.sum(axis=(0, 2)), 1e-30))[:, None]
        self._cumulative = np.cumsum(counts.ravel() / counts.sum())
        self._shape = counts.shape
        self._below = np.append(0, counts.sum(axis=(0, 2)).cumsum() / counts.sum())

    @classmethod
    @lru_cache(maxsize=32)
    def of(cls, subsample, which):
        """
        Table of a subsample, cached.

        Parameters
        ----------
        subsample : Subsample
            The subsample.
        which : str
            Which donors, see ``Donors``.

        Returns
        -------
        SubsampleTable
            The table.
        """
        return cls(subsample, Donors.of(which))

    def below(self, z):
        """
        Compute the share of galaxies below a redshift.

        Parameters
        ----------
        z : array_like
            Redshifts.

        Returns
        -------
        `~numpy.ndarray`
            From 0 to 1, the shape of ``z``: the cumulative distribution that `draw`
            draws from.
        """
        return np.interp(np.log1p(z), self._ln, self._below)

    def draw(self, u):
        """
        Draw redshift, brightness and kind.

        Parameters
        ----------
        u : `~numpy.ndarray`
            Uniform numbers, shape (n, 3).

        Returns
        -------
        z, mag, M_r : `~numpy.ndarray`
            Redshift, magnitude in the band of the selection, absolute magnitude.
        red : `~numpy.ndarray` of bool
            Kind.
        """
        cell = np.searchsorted(self._cumulative, u[:, 0] * (1 - 1e-12))
        kind, i, j = np.unravel_index(
            np.minimum(cell, self._cumulative.size - 1), self._shape
        )
        ln = self._ln[i] + u[:, 1] * (self._ln[i + 1] - self._ln[i])
        mag = self._mag[j] + u[:, 2] * (self._mag[j + 1] - self._mag[j])
        return np.expm1(ln), mag, mag - self._zero[kind, i], kind == 1


def _typical_k(band, z, donors, kind):
    """Median K correction from a band to SDSS r at z = 0.1 of donors near in z."""
    rows = np.flatnonzero(donors.red == bool(kind))
    rows = rows[:: max(1, len(rows) // 300)]
    nodes = np.arange(0, 2.01, 0.05)
    name = get_band(band).sedpy_name
    grid = TemplateGrid.of((name,)).at(nodes)[:, :N_STELLAR, 0, 0].astype(float)
    seen = -2.5 * np.log10(np.maximum(donors.share[rows] @ grid.T, 1e-30)) + 31.4
    rest = donors.mag_r[rows]
    k = seen - rest[:, None] + 2.5 * np.log10(1 + nodes) - 5 * np.log10(1.1)
    x = (np.log1p(np.minimum(nodes, 1.0)) - np.log1p(donors.z[rows])[:, None]) / 0.1
    weight = np.exp(-0.5 * x**2) + 1e-6
    return np.interp(z, nodes, (k * weight).sum(axis=0) / weight.sum(axis=0))
