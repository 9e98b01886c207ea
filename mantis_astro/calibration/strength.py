"""Strength of the pull of a local map to the common one, by held-out galaxies."""

import numpy as np

from mantis_astro import binned
from mantis_astro.calibration.conditional import (
    EDGES,
    fit_coefficients,
    log_likelihood,
    masses,
)
from mantis_astro.metrics import sigma_nmad

__all__ = ["choose_strength", "penalty"]


def penalty(design, strength):
    """
    Penalty of each column.

    Parameters
    ----------
    design : `~numpy.ndarray`
        Shape (n, n_column), a constant first.
    strength : float
        Of all others; the constant is all but free.

    Returns
    -------
    `~numpy.ndarray`
        Shape (n_column,).
    """
    return np.r_[1.0, np.full(design.shape[1] - 1, strength)]


def choose_strength(truths, cells, design, *, strengths, n_folds, tolerance, rng):
    """
    Find the strength that best predicts PIT values of held-out galaxies.

    Parameters
    ----------
    truths : Truths
        The galaxies.
    cells : `~numpy.ndarray`
        Cell of the PIT value of each, shape (n,).
    design : `~numpy.ndarray`
        Shape (n, n_column).
    strengths : sequence of float
        To choose from.
    n_folds : int
        Number of parts, of which one at a time is left out.
    tolerance : float
        Largest growth of sigma_nmad of the median, as a share.
    rng : int or `~numpy.random.Generator`
        Draws the parts.

    Returns
    -------
    strength : float or None
        None if a map common to all does as well, or none keeps to the tolerance.
    reason : str
        Why there is none.
    choices : list of dict
        What was found for each strength.
    """
    fold = np.random.default_rng(rng).permutation(np.arange(len(cells)) % n_folds)
    left_out = [fold == k for k in range(n_folds)]
    weight = truths.weight
    common, _, _ = _predict(cells, design[:, :1], weight, 1.0, left_out, None)
    before = _scatter(truths, np.full(len(cells), 0.5))
    choices, start = [], None
    for strength in sorted(strengths, reverse=True):
        score, half, start = _predict(cells, design, weight, strength, left_out, start)
        gain = score - common
        mean = np.average(gain, weights=weight)
        variance = np.average((gain - mean) ** 2, weights=weight)
        choice = {
            "strength": strength,
            "gain": float(mean),
            "gain_err": float(np.sqrt(variance / weight.sum())),
            "sigma_nmad_ratio": float(_scatter(truths, half) / before),
        }
        choices.append(choice)
    better = [c for c in choices if c["gain"] > c["gain_err"]]
    if not better:
        return None, "galaxies left out gain nothing from more", choices
    allowed = [c for c in better if c["sigma_nmad_ratio"] <= 1 + tolerance]
    if not allowed:
        growth = min(c["sigma_nmad_ratio"] for c in better) - 1
        return None, f"sigma_nmad of galaxies left out would grow {growth:.1%}", choices
    return max(allowed, key=lambda c: c["gain"])["strength"], "", choices


def _predict(cells, design, weight, strength, left_out, start):
    """
    Fit without each part, and predict that part.

    Returns the log density of each PIT value, the old cumulative probability that the
    new median has, and the fits, to start the next ones from.
    """
    score, half = np.empty((2, len(cells)))
    fits = []
    for k, out in enumerate(left_out):
        fit = fit_coefficients(
            cells[~out],
            design[~out],
            weight[~out],
            penalty(design, strength),
            start=None if start is None else start[k],
        )
        score[out] = log_likelihood(cells[out], design[out], fit)
        half[out] = _middle(design[out], fit)
        fits.append(fit)
    return score, half, fits


def _middle(design, coefficients):
    mass = masses(design, coefficients)
    return binned.ppf(EDGES, mass, np.full((len(mass), 1), 0.5))[:, 0]


def _scatter(truths, u):
    """sigma_nmad of the points that have the probability ``u`` below them."""
    z = binned.map_rows(
        lambda rows, u: binned.ppf(truths.bin_edges, rows, u[:, None])[:, 0],
        truths.probability,
        u,
    )
    return sigma_nmad(z, truths.z_spec)
