"""How the distribution of PIT values depends on properties, on plain arrays."""

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
_ROWS = 4096


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
    Probability that the PIT value of each galaxy lies in each cell.

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
    Make the map of cumulative probabilities of each galaxy.

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
    shape = (design.shape[1], _TERMS.shape[1])
    ridge = np.repeat(penalty, shape[1])
    coefficients = np.zeros(shape) if start is None else start

    def loss(b):
        total = np.sum(ridge * b.ravel() ** 2) / 2
        for part in _blocks(len(cells)):
            score = log_likelihood(cells[part], design[part], b)
            total -= np.sum(weight[part] * score)
        return total

    now = loss(coefficients)
    for _ in range(_STEPS):
        gradient, curvature = _derivatives(cells, design, weight, coefficients)
        gradient = gradient.ravel() - ridge * coefficients.ravel()
        step = np.linalg.solve(curvature + np.diag(ridge), gradient).reshape(shape)
        length = 1.0
        while (new := loss(coefficients + length * step)) > now and length > 1e-4:
            length /= 2
        if new > now:
            break
        gain, now = now - new, new
        coefficients = coefficients + length * step
        if gain < 1e-4:
            break
    return coefficients


def _derivatives(cells, design, weight, coefficients):
    """Gradient (n_column, n_term) and minus the Hessian of the log likelihood."""
    n_column, n_term = coefficients.shape
    products = (_TERMS[:, :, None] * _TERMS[:, None, :]).reshape(len(_TERMS), -1)
    gradient = np.zeros((n_column, n_term))
    curvature = np.zeros((n_column * n_column, n_term * n_term))
    for part in _blocks(len(cells)):
        psi, w = design[part], weight[part]
        mass = np.exp(_log_masses(psi, coefficients))
        mean = mass @ _TERMS
        covariance = mass @ products - (mean[:, :, None] * mean[:, None, :]).reshape(
            len(mean), -1
        )
        gradient += (psi * w[:, None]).T @ (_TERMS[cells[part]] - mean)
        pairs = (psi[:, :, None] * psi[:, None, :]).reshape(len(psi), -1)
        curvature += (pairs * w[:, None]).T @ covariance
    curvature = curvature.reshape(n_column, n_column, n_term, n_term)
    size = n_column * n_term
    return gradient, curvature.transpose(0, 2, 1, 3).reshape(size, size)


def _blocks(n):
    return [slice(i, i + _ROWS) for i in range(0, n, _ROWS)]
