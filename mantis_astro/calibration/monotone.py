"""A smooth monotone map of probabilities from interval-censored values."""

import numpy as np
from scipy.interpolate import PchipInterpolator

__all__ = ["fit_masses", "make_nodes", "map_through"]

_ITERATIONS = 500
_PER_CELL = 40  # galaxies that the least populated cell in the middle should hold
_MOST_CELLS = 20
_IN_TAIL = 10  # galaxies beyond the outermost node, if p(z) were calibrated


def make_nodes(n):
    """
    Choose where a map of [0, 1] is free, after the number of galaxies.

    Parameters
    ----------
    n : float
        Effective number of galaxies.

    Returns
    -------
    `~numpy.ndarray`
        Increasing, from 0 to 1, symmetric: even steps, and towards both ends halved
        as long as ten galaxies are expected beyond.

    Examples
    --------
    >>> from mantis_astro.calibration.monotone import make_nodes
    >>> make_nodes(200)
    array([0.  , 0.05, 0.1 , 0.2 , 0.4 , 0.6 , 0.8 , 0.9 , 0.95, 1.  ])
    """
    n_cells = int(np.clip(n / _PER_CELL, 2, _MOST_CELLS))
    inner = np.arange(1, n_cells // 2 + 1) / n_cells
    tail = inner[0] / 2 ** np.arange(1, 60)
    lower = np.sort([*tail[tail * n >= _IN_TAIL], *inner])
    return np.unique(np.r_[0, lower, 1 - lower, 1])


def fit_masses(intervals, weight, nodes, *, shrinkage):
    """
    Maximum-likelihood probability of each cell, from values known to an interval.

    Parameters
    ----------
    intervals : `~numpy.ndarray`
        Probability below and above each interval, shape (n, 2).
    weight : `~numpy.ndarray`
        Weights whose sum is the effective number, shape (n,).
    nodes : `~numpy.ndarray`
        Edges of the cells, shape (n_cells + 1,).
    shrinkage : float
        Galaxies that are added, spread evenly: pulls towards the identity.

    Returns
    -------
    `~numpy.ndarray`
        Shape (n_cells,), sum 1, all positive.

    Notes
    -----
    The self-consistent (EM) solution of Turnbull 1976, J. R. Stat. Soc. B 38, 290,
    with a Dirichlet prior. A p(z) that is constant within bins knows only the bin of
    the truth; the likelihood of the new p(z) is that of the bin too.
    """
    width = np.diff(nodes)
    low, high = intervals[:, 0], np.maximum(1 - intervals[:, 1], intervals[:, 0])
    inside = np.minimum(high[:, None], nodes[1:]) - np.maximum(low[:, None], nodes[:-1])
    share = np.maximum(inside, 0) / width  # (n, n_cells): of each cell, in the interval
    point = high - low < 1e-9  # no more than a point: all its weight in one cell
    cells = np.clip(np.searchsorted(nodes, low, side="right") - 1, 0, len(width) - 1)
    share[point] = 0
    share[point, cells[point]] = 1
    prior = shrinkage * width
    mass = width.copy()
    for _ in range(_ITERATIONS):
        expected = mass * (share.T @ (weight / (share @ mass))) + prior
        new = expected / expected.sum()
        change = np.abs(new - mass).max()
        mass = new
        if change < 1e-6:
            break
    return mass


def map_through(nodes, values):
    """
    Join the values at nodes by a smooth monotone map.

    Parameters
    ----------
    nodes, values : `~numpy.ndarray`
        Both from 0 to 1, increasing, shape (n_nodes,).

    Returns
    -------
    callable
        ``cdf(u, *, upper)``: the map; with ``upper``, of probabilities from the upper
        end, ``1 - map(1 - u)``.
    """
    maps = {
        False: PchipInterpolator(nodes, values),
        True: PchipInterpolator(1 - nodes[::-1], (1 - values)[::-1]),
    }

    def cdf(u, *, upper):
        return maps[upper](u)

    return cdf
