"""Uniform density that p(z) are mixed with, for redshifts that may be anywhere."""

import numpy as np
from scipy.optimize import minimize_scalar

__all__ = [
    "fit_floor",
    "floor_membership",
    "floor_note",
    "uniform_density",
    "with_floor",
]

_LARGEST = 0.5


def uniform_density(truths):
    """
    Density of a redshift that may be anywhere in the bins.

    Parameters
    ----------
    truths : Truths
        Galaxies.

    Returns
    -------
    float
        Per unit redshift.
    """
    return 1 / (truths.bin_edges[-1] - truths.bin_edges[0])


def fit_floor(density, truths):
    """
    Find the share of a uniform density with the highest likelihood; it is concave.

    Parameters
    ----------
    density : `~numpy.ndarray`
        At each true redshift, shape (n,).
    truths : Truths
        Galaxies.

    Returns
    -------
    float
        At most a half.
    """
    uniform = uniform_density(truths)
    best = minimize_scalar(
        lambda x: -np.sum(truths.weight * np.log((1 - x) * density + x * uniform)),
        bounds=(1e-9, _LARGEST),
        method="bounded",
        options={"xatol": 1e-7},
    )
    return float(best.x)


def floor_membership(density, truths, share):
    """
    Probability of each galaxy to be of its p(z), not of the floor.

    Parameters
    ----------
    density : `~numpy.ndarray`
        At each true redshift, without the floor, shape (n,).
    truths : Truths
        Galaxies.
    share : float
        Of the uniform density.

    Returns
    -------
    `~numpy.ndarray`
        Shape (n,).
    """
    density = (1 - share) * density
    return density / (density + share * uniform_density(truths))


def with_floor(rows, widths, share):
    """
    Mix a uniform density into p(z).

    Parameters
    ----------
    rows : `~numpy.ndarray`
        Probabilities, shape (n, n_bins).
    widths : `~numpy.ndarray`
        Of the bins, shape (n_bins,).
    share : float
        Of the uniform density.

    Returns
    -------
    `~numpy.ndarray`
        Shape (n, n_bins).
    """
    return (1 - share) * rows + share * widths / widths.sum()


def floor_note(share):
    """
    Say how much of a uniform density there is.

    Parameters
    ----------
    share : float
        Of the uniform density.

    Returns
    -------
    str
        To be added to a sentence.
    """
    return f", uniform floor {share:.3g}"
