"""Distribution of PIT values as a function of properties, on plain arrays."""

import numpy as np
from scipy import special

from mantis_astro import binned

__all__ = [
    "EDGES",
    "N_TERMS",
    "conditional_map",
    "find_cells",
    "fit_coefficients",
    "log_likelihood",
    "masses",
]

_N_CELLS = 120
# Even steps in the quantile of a normal distribution: a p(z) that is Gaussian and
# n sigma off has its PIT values n sigma away, not at 1 - 1e-9.
_NORMAL = np.linspace(-5, 5, _N_CELLS - 1)
#: Edges of the cells of PIT, from 0 to 1; symmetric.
EDGES = np.r_[0, special.ndtr(_NORMAL), 1]
_LOG_WIDTH = np.log(
    np.r_[special.ndtr(_NORMAL[0]), np.diff(special.ndtr(_NORMAL)), special.ndtr(-5)]
)
_LOG_WIDTH = np.minimum(_LOG_WIDTH, _LOG_WIDTH[::-1])  # the upper half by symmetry
_STEPS = 30
_SHORTEST = 1e-4  # share of a step of Newton's that is tried
_ENOUGH = 1e-4  # gain of the log likelihood at which it stops
_ROWS = 512  # at a time: their masses stay in the processor's cache


def _terms():
    """
    Functions of PIT whose mixture is the logarithm of its density.

    With ``t`` the normal quantile, ``t`` and ``t^2`` are exact for Gaussian p(z) of
    wrong place and width; the tails have their own slopes, so that outliers do not
    pull at the core; Legendre polynomials shape the middle.
    """
    t = np.r_[-5.2, (_NORMAL[1:] + _NORMAL[:-1]) / 2, 5.2]
    x = 2 * special.ndtr(t) - 1
    terms = [
        t,
        t**2,
        np.maximum(t - 2, 0),
        np.maximum(-t - 2, 0),
        special.eval_legendre(3, x),
        special.eval_legendre(4, x),
    ]
    share = np.exp(_LOG_WIDTH)
    terms = np.stack(terms, axis=1)
    terms -= share @ terms
    return terms / np.sqrt(share @ terms**2)


_TERMS = _terms()  # (n_cells, n_term)
#: Number of functions of PIT: coefficients that each column of a design has.
N_TERMS = _TERMS.shape[1]


def find_cells(pit):
    """
    Find the cell of each PIT value.

    Parameters
    ----------
    pit : `~numpy.ndarray`
        From 0 to 1, shape (n,).

    Returns
    -------
    `~numpy.ndarray`
        Shape (n,), int.
    """
    return np.clip(np.searchsorted(EDGES, pit, side="right") - 1, 0, len(EDGES) - 2)


def masses(design, coefficients):
    """
    Probability of the PIT value of each galaxy in each cell.

    Parameters
    ----------
    design : `~numpy.ndarray`
        Properties of the galaxies, shape (n, n_column).
    coefficients : `~numpy.ndarray`
        Shape (n_column, n_term); zeros are the identity.

    Returns
    -------
    `~numpy.ndarray`
        Shape (n, n_cells): a density in bins `EDGES`.
    """
    return np.exp(_log_masses(design, coefficients))


def _log_masses(design, coefficients):
    logits = _product(_product(design, coefficients), _TERMS.T) + _LOG_WIDTH
    return special.log_softmax(logits, axis=1)


def _product(left, right):
    """Matrix product whose rows are the same to the bit, however many there are."""
    return sum(left[:, k, None] * row for k, row in enumerate(right))


def conditional_map(design, coefficients):
    """
    Map of cumulative probabilities for each galaxy.

    Parameters
    ----------
    design : `~numpy.ndarray`
        Shape (n, n_column).
    coefficients : `~numpy.ndarray`
        Shape (n_column, n_term).

    Returns
    -------
    callable
        ``cdf(u, *, upper)`` as `recalibrator.remap` takes it; ``u`` of shape
        (n, n_u).
    """
    mass = masses(design, coefficients)

    def cdf(u, *, upper):
        # the cells are symmetric: from the upper end they are what they are
        return binned.cdf(EDGES, mass[:, ::-1] if upper else mass, u)

    return cdf


def log_likelihood(cells, design, coefficients):
    """
    Logarithm of the density of each PIT value; 0 for the identity.

    Parameters
    ----------
    cells : `~numpy.ndarray`
        Its cell, shape (n,).
    design : `~numpy.ndarray`
        Properties of the galaxies, shape (n, n_column).
    coefficients : `~numpy.ndarray`
        Shape (n_column, n_term).

    Returns
    -------
    `~numpy.ndarray`
        Shape (n,).
    """
    log_mass = _log_masses(design, coefficients)
    return log_mass[np.arange(len(cells)), cells] - _LOG_WIDTH[cells]


def fit_coefficients(cells, design, weight, penalty, *, start=None):
    """
    Maximum penalised likelihood, by Newton's method: the problem is convex.

    ``g(u | x) ~ exp(sum_jk B_jk psi_j(x) phi_k(u))``, Neyman's smooth alternative to
    uniformity with coefficients that depend on x.

    Parameters
    ----------
    cells : `~numpy.ndarray`
        Cell of each PIT value, shape (n,).
    design : `~numpy.ndarray`
        Values of psi, shape (n, n_column).
    weight : `~numpy.ndarray`
        Shape (n,).
    penalty : `~numpy.ndarray`
        Of the squared coefficients of each column, shape (n_column,).
    start : `~numpy.ndarray`, optional
        Coefficients to start from.

    Returns
    -------
    `~numpy.ndarray`
        Coefficients B, shape (n_column, n_term); zeros are the identity.
    """
    ridge = np.repeat(penalty, N_TERMS)
    if start is None:
        start = np.zeros((design.shape[1], N_TERMS))

    def expand(b):
        loss, slope, curvature = _expansion(cells, design, weight, b)
        loss += np.sum(ridge * b.ravel() ** 2) / 2
        return loss, slope + ridge * b.ravel(), curvature + np.diag(ridge)

    coefficients, (now, slope, curvature) = start, expand(start)
    for _ in range(_STEPS):
        step = -np.linalg.solve(curvature, slope).reshape(coefficients.shape)
        length = 1.0
        new = expand(coefficients + step)
        while new[0] > now and length > _SHORTEST:
            length /= 2
            new = expand(coefficients + length * step)
        if new[0] > now:
            break
        gain = now - new[0]
        coefficients, (now, slope, curvature) = coefficients + length * step, new
        if gain < _ENOUGH:
            break
    return coefficients


def _expansion(cells, design, weight, coefficients):
    """Minus the log likelihood, its gradient and its Hessian, in one pass."""
    n_column = design.shape[1]
    products = (_TERMS[:, :, None] * _TERMS[:, None, :]).reshape(len(_TERMS), -1)
    loss, gradient = 0.0, np.zeros((n_column, N_TERMS))
    curvature = np.zeros((n_column**2, N_TERMS**2))
    for start in range(0, len(cells), _ROWS):
        part = slice(start, start + _ROWS)
        psi, w, cell = design[part], weight[part], cells[part]
        logits = (psi @ coefficients) @ _TERMS.T + _LOG_WIDTH
        logits -= logits.max(axis=1, keepdims=True)
        at_truth = logits[np.arange(len(cell)), cell]
        mass = np.exp(logits, out=logits)
        total = mass.sum(axis=1, keepdims=True)
        mass /= total
        loss -= w @ (at_truth - np.log(total[:, 0]) - _LOG_WIDTH[cell])
        mean = mass @ _TERMS
        square = (mean[:, :, None] * mean[:, None, :]).reshape(len(mean), -1)
        gradient += (psi * w[:, None]).T @ (mean - _TERMS[cell])
        pairs = (psi[:, :, None] * psi[:, None, :]).reshape(len(psi), -1)
        curvature += (pairs * w[:, None]).T @ (mass @ products - square)
    size = n_column * N_TERMS
    curvature = curvature.reshape(n_column, n_column, N_TERMS, N_TERMS)
    return loss, gradient.ravel(), curvature.transpose(0, 2, 1, 3).reshape(size, size)
