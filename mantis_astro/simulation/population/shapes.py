"""Sizes and shapes of galaxies: a disc and a bulge, and their shares of the light."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from mantis_astro.simulation.population.counts import COSMOLOGY
from mantis_astro.simulation.population.templates import A_V, N_STELLAR

__all__ = ["Shapes", "draw_shapes", "split_light"]

# Where kcorrect's five templates stand from young (0) to old (1), by g-r at rest
_AGE = np.tile([1.0, 0.0, 0.4, 0.65, 0.25], len(A_V))
_LEAST_RADIUS, _LARGEST_RADIUS = 0.05, 20.0  # arcsec


@dataclass(frozen=True)
class Shapes:
    """
    Shapes of galaxies.

    Attributes
    ----------
    bulge_fraction : `~numpy.ndarray`
        Part of the stars' light that is the bulge's, shape (n,).
    gradient : `~numpy.ndarray`
        How much older the bulge is than the disc, from 0, shape (n,).
    radius, sersic, axis_ratio : `~numpy.ndarray`
        Of disc and bulge: half-light radius along the major axis in arcsec, Sersic
        index, minor over major axis. Shape (n, 2).
    position_angle : `~numpy.ndarray`
        Radians from north through east, shape (n,).
    """

    bulge_fraction: np.ndarray
    gradient: np.ndarray
    radius: np.ndarray
    sersic: np.ndarray
    axis_ratio: np.ndarray
    position_angle: np.ndarray


def draw_shapes(u01, z, log_mass, red):
    """
    Draw sizes and shapes.

    Parameters
    ----------
    u01 : `~numpy.ndarray`
        Uniform numbers, shape (n, 12).
    z, log_mass : `~numpy.ndarray`
        Redshift, log of the stellar mass in suns. Shape (n,).
    red : `~numpy.ndarray` of bool
        Kind, shape (n,).

    Returns
    -------
    Shapes
        The shapes.

    Notes
    -----
    Half-light radii against mass and redshift: van der Wel et al. (2014, ApJ 788, 28,
    table 1 and section 4: 8.9 kpc (1+z)^-0.75 (M/5e10)^0.22 for late types, 5.6 kpc
    (1+z)^-1.48 (M/5e10)^0.75 for early types, scatter 0.17 and 0.13 dex); the slope of
    early types flattens below 2e10 suns, where their sizes do (their section 3.3), and
    below z = 0.25, where their galaxies end, sizes stay.
    Discs are oblate spheroids of intrinsic thickness 0.15 to 0.3 seen from random
    directions. Bulges have Sersic indices from 2 to 4.5.
    """
    scatter = ndtri(u01[:, 0])
    growth = np.log10(1 + np.maximum(z, 0.25))
    relative = log_mass - np.log10(5e10)
    late = np.log10(8.9) - 0.75 * growth + 0.22 * relative + 0.17 * scatter
    early = np.log10(5.6) - 1.48 * growth + 0.13 * scatter
    early += 0.75 * np.maximum(relative, -0.4) + 0.1 * np.minimum(relative + 0.4, 0)
    kpc = 10 ** np.where(red, early, late)
    per_arcsec = _kpc_per_arcsec(z)
    # most discs have some bulge, most red galaxies some disc
    of_blue = 0.55 * np.maximum(u01[:, 1] - 0.25, 0) ** 1.5 / 0.75**1.5
    of_red = 0.25 + 0.75 * np.sqrt(u01[:, 1])
    fraction = np.where(red, of_red, of_blue)
    ratio = np.where(
        red[:, None], [1.35, 0.85], [1.12, 0.35]
    )  # so that the whole has the radius drawn, about
    ratio[:, 1] *= 10 ** (0.1 * ndtri(u01[:, 2]))
    radius = np.clip(
        (kpc / per_arcsec)[:, None] * ratio, _LEAST_RADIUS, _LARGEST_RADIUS
    )
    thickness = np.where(red, 0.3, 0.15) + 0.1 * u01[:, 3]
    cosine = u01[:, 4]
    disc = np.sqrt(thickness**2 + (1 - thickness**2) * cosine**2)
    # a bulge is rounder than its disc and seen from the same side
    thick = 0.55 + 0.35 * u01[:, 5]
    bulge = np.sqrt(thick**2 + (1 - thick**2) * cosine**2)
    index = 2 + 2.5 * u01[:, 6]
    return Shapes(
        bulge_fraction=fraction,
        gradient=0.8 * u01[:, 7],
        radius=radius,
        sersic=np.stack([np.ones_like(index), index], axis=1),
        axis_ratio=np.stack([disc, bulge], axis=1),
        position_angle=np.pi * u01[:, 8],
    )


def split_light(coefficients, bulge_fraction, gradient):
    """
    Divide a mixture among disc, bulge and nucleus; the bulge is older.

    Parameters
    ----------
    coefficients : `~numpy.ndarray`
        Of all templates, shape (n, n_template); the last is the nucleus.
    bulge_fraction, gradient : `~numpy.ndarray`
        As in `Shapes`, shape (n,).

    Returns
    -------
    `~numpy.ndarray`
        Shape (n, 3, n_template), not negative, with the mixture as its sum.
    """
    power = np.exp(gradient[:, None] * (1 - 2 * _AGE))  # below 1 where it is old
    share = bulge_fraction[:, None] ** power
    parts = np.zeros((len(coefficients), 3, coefficients.shape[1]))
    stars = coefficients[:, :N_STELLAR]
    parts[:, 1, :N_STELLAR] = stars * share
    parts[:, 0, :N_STELLAR] = stars - parts[:, 1, :N_STELLAR]
    parts[:, 2, N_STELLAR:] = coefficients[:, N_STELLAR:]
    return parts


def _kpc_per_arcsec(z):
    nodes = np.linspace(0.0, 2.0, 401)[1:]
    scale = COSMOLOGY.kpc_proper_per_arcmin(nodes).value / 60
    return np.interp(z, np.append(0, nodes), np.append(0, scale))
