"""A smooth monotone map of probabilities from interval-censored values."""

import numpy as np
from scipy import special
from scipy.interpolate import PchipInterpolator
from scipy.optimize import minimize

__all__ = ["fit_map", "make_nodes", "map_through", "to_quantiles"]

_ITERATIONS = 500
_PER_CELL = 40  # galaxies that the least populated cell in the middle should hold
_MOST_CELLS = 20
_IN_TAIL = 10  # galaxies beyond the outermost node
_APART = 0.02  # least distance of nodes, in widths of the Gaussian
_FARTHEST = 37.0  # normal quantile of 1e-300: nothing is beyond
_ELSEWHERE = 0.02, 6.0  # share, and width, of what counts as outliers of the Gaussian
_STRENGTHS = 4.0 ** np.arange(1, 14)  # of the pull to the Gaussian, in galaxies
_GRID = np.arange(-_FARTHEST, _FARTHEST + 0.01, 0.05)  # where the map is tabulated


def to_quantiles(intervals):
    """
    Convert probabilities below and above to quantiles of a normal distribution.

    Parameters
    ----------
    intervals : `~numpy.ndarray`
        Probability below and above each interval, shape (n, 2).

    Returns
    -------
    `~numpy.ndarray`
        Ends of each interval, shape (n, 2), from -37 to 37: both tails keep their
        digits.
    """
    below, above = intervals.T
    low = np.where(
        below < 0.5, special.ndtri(below), -special.ndtri(np.maximum(1 - below, above))
    )
    high = np.where(
        above < 0.5, -special.ndtri(above), special.ndtri(np.maximum(1 - above, below))
    )
    return np.clip(np.stack([low, high], axis=1), -_FARTHEST, _FARTHEST)


def fit_map(intervals, weight, *, shrinkage):
    """
    Find the map that makes PIT values uniform.

    Parameters
    ----------
    intervals : `~numpy.ndarray`
        Probability below and above the bin of each true redshift, shape (n, 2).
    weight : `~numpy.ndarray`
        Weights whose sum is the effective number, shape (n,).
    shrinkage : float
        Calibrated galaxies that are added: pulls towards the identity.

    Returns
    -------
    nodes, values : `~numpy.ndarray`
        Normal quantiles of the probabilities at the nodes, and of those they are sent
        to, increasing, shape (n_nodes,).

    Notes
    -----
    A Gaussian in normal quantiles comes first, which is exact for Gaussian p(z) of
    wrong place and width; its offset and the logarithm of its width are shrunk as far
    as chance could have made them (James & Stein 1961). What remains is the
    self-consistent solution of Turnbull 1976 (J. R. Stat. Soc. B 38, 290) in cells of
    that Gaussian: a p(z) that is constant within bins knows only the bin of the truth.
    It has a Dirichlet prior around the Gaussian, as strong as has the highest evidence.
    Both let the tails be where the galaxies are, not where they would be if p(z) were
    calibrated.
    """
    ends = to_quantiles(intervals)
    offset, scale = _fit_gaussian(ends, weight, shrinkage)
    ends = (ends - offset) / scale
    nodes = _place_nodes(ends, weight)
    share = _between(np.r_[-np.inf, nodes], np.r_[nodes, np.inf])
    overlap = _between(
        np.maximum(ends[:, :1], np.r_[-np.inf, nodes]),
        np.minimum(ends[:, 1:], np.r_[nodes, np.inf]),
    )
    point = ends[:, 1] - ends[:, 0] < 1e-9  # all its weight in one cell
    cells = np.searchsorted(nodes, ends[:, 0], side="right")
    overlap[point] = 0
    overlap[point, cells[point]] = share[cells[point]]
    strength = shrinkage + _strength(overlap, share, weight)
    mass = _self_consistent(overlap / share, share, weight, strength)
    below, above = np.cumsum(mass)[:-1], np.cumsum(mass[::-1])[-2::-1]
    values = np.where(below < 0.5, special.ndtri(below), -special.ndtri(above))
    return offset + scale * nodes, values


def make_nodes(n):
    """
    Choose the quantiles of PIT at which a map is free, by number of galaxies.

    Parameters
    ----------
    n : float
        Effective number of galaxies.

    Returns
    -------
    `~numpy.ndarray`
        Increasing, from 0 to 1, symmetric: even steps, and towards both ends halved
        as long as ten galaxies are beyond.

    Examples
    --------
    >>> from mantis_astro.calibration.monotone import make_nodes
    >>> make_nodes(200)
    array([0.  , 0.05, 0.1 , 0.2 , 0.4 , 0.6 , 0.8 , 0.9 , 0.95, 1.  ])
    """
    n = max(n, _PER_CELL)  # three inner nodes at least: a place and a width
    n_cells = int(np.clip(n / _PER_CELL, 2, _MOST_CELLS))
    inner = np.arange(1, n_cells // 2 + 1) / n_cells
    tail = inner[0] / 2 ** np.arange(1, 60)
    lower = np.sort([*tail[tail * n >= _IN_TAIL], *inner])
    return np.unique(np.r_[0, lower, 1 - lower, 1])


def map_through(nodes, values):
    """
    Join the quantiles at nodes by a smooth monotone map.

    Parameters
    ----------
    nodes, values : `~numpy.ndarray`
        Normal quantiles, increasing, shape (n_nodes,). Beyond the outermost the
        quantile grows by as much as at the nodes on average.

    Returns
    -------
    callable
        ``cdf(u, *, upper)``: the map of probabilities; with ``upper``, of those from
        the upper end, ``1 - map(1 - u)``.
    """
    slope = 1.0 if len(nodes) < 2 else np.ptp(values) / np.ptp(nodes)
    steps = np.array([1.0, 2 * _FARTHEST])
    t = np.r_[nodes[0] - steps[::-1], nodes, nodes[-1] + steps]
    y = np.r_[values[0] - slope * steps[::-1], values, values[-1] + slope * steps]
    new = PchipInterpolator(t, y)(_GRID)
    tables = {
        False: (special.ndtr(_GRID), special.ndtr(new)),
        True: (special.ndtr(-_GRID[::-1]), special.ndtr(-new[::-1])),
    }
    tables = {
        upper: (np.r_[0, u, 1], np.r_[0, mapped, 1])
        for upper, (u, mapped) in tables.items()
    }

    def cdf(u, *, upper):
        return np.interp(u, *tables[upper])

    return cdf


def _between(low, high):
    """Probability of the normal distribution between; digits kept in both tails."""
    flip = low > 0
    first = np.where(flip, -high, low)
    second = np.where(flip, -low, high)
    return np.maximum(special.ndtr(second) - special.ndtr(first), 0)


def _fit_gaussian(ends, weight, shrinkage):
    """Offset and width of the Gaussian that the quantiles of the truths have."""
    far, width = _ELSEWHERE
    n = weight.sum()
    low, high = ends.T
    high = np.maximum(high, low + 1e-3)
    middle = (low + high) / 2
    outlying = far * _between(low / width, high / width)

    def loss(parameters):
        offset, log_scale = parameters
        scale = np.exp(log_scale)
        inside = _between((low - offset) / scale, (high - offset) / scale)
        penalty = shrinkage * (offset**2 / 2 + log_scale**2)
        return penalty - weight @ np.log((1 - far) * inside + outlying + 1e-300)

    start = np.median(middle)
    spread = np.subtract(*np.quantile(middle, [0.84, 0.16])) / 2
    start = [start, np.log(np.clip(spread, 0.05, 20))]
    best = minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-3})
    offset, log_scale = best.x
    scale = np.exp(log_scale)
    offset *= _kept(offset, scale / np.sqrt(n))
    log_scale *= _kept(log_scale, 1 / np.sqrt(2 * n))
    return offset, np.exp(log_scale)


def _kept(value, error):
    """Share of a value that is kept where its error could have made it."""
    return max(0.0, 1 - 2 * (error / value) ** 2) if value else 0.0


def _place_nodes(ends, weight):
    """Choose where the map is free, so that each cell has its galaxies."""
    middle = ends.mean(axis=1)
    order = np.argsort(middle)
    share = (np.cumsum(weight[order]) - weight[order] / 2) / weight.sum()
    nodes = np.interp(make_nodes(weight.sum())[1:-1], share, middle[order])
    apart = np.r_[True, np.diff(nodes) > _APART]  # many may have one place
    return nodes[apart]


def _strength(overlap, share, weight):
    """Strength of a Dirichlet prior around the Gaussian, by evidence."""
    member = overlap / overlap.sum(axis=1, keepdims=True)
    counts = weight @ member
    n = weight.sum()
    prior = _STRENGTHS[:, None] * share
    evidence = special.gammaln(_STRENGTHS) - special.gammaln(n + _STRENGTHS)
    evidence += (special.gammaln(counts + prior) - special.gammaln(prior)).sum(axis=1)
    return _STRENGTHS[np.argmax(evidence)]


def _self_consistent(inside, share, weight, strength):
    """Probability of each cell; ``inside`` is the share of each, in each interval."""
    mass = share.copy()
    for _ in range(_ITERATIONS):
        expected = mass * (inside.T @ (weight / (inside @ mass))) + strength * share
        new = expected / expected.sum()
        change = np.abs(new - mass).max()
        mass = new
        if change < 1e-6:
            break
    return mass
