"""Kinds of change behind a shift: mean, scatter, outliers, a clump, missing values."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh
from scipy.spatial.distance import pdist, squareform
from scipy.special import ndtri
from scipy.stats import fisher_exact

from mantis_astro.shift.features import RobustScores
from mantis_astro.shift.scores import ledoit_wolf, nearest, neighbour_distance

__all__ = ["Change", "find_changes"]

_LEVEL = 0.01  # of each step, for all features together
_MOST = 500  # objects of either side: the cost grows with the square
_STEPS = 3
_FEWEST = 5  # objects that make a group of their own
_PART = 0.35  # of the targets: a larger group is no part of them, but a change of all
_WORTH = 0.3  # of the energy distance, that a step takes away at least
_RICHER = 0.85  # share of targets among the neighbours of an object within a clump
_NEAR = 5, 15  # neighbours that count for distance, and for the share of targets
_COMPACT = 0.7  # scatter of a clump, of that of the reference
_ONE_SIGMA = 0.16, 0.84


class Change(NamedTuple):
    """
    One kind of difference between targets and a reference.

    Attributes
    ----------
    kind : str
        ``"mean"``, ``"scatter"``, ``"outliers"``, ``"clump"`` or ``"missing"``.
    share : float
        Share of the targets concerned. Of outliers and a clump: of those that are, in
        excess of the reference. Of missing values: where the first feature is missing,
        in excess of the reference. Of a mean: beyond the side of the reference's
        central 68 % (16 % of the reference are). Of a scatter: outside its central 68 %
        (32 % are).
    features : tuple of str
        Where it shows, the most different first; empty where it shows in no single
        feature.
    sizes : tuple of float
        For each of these. Mean: difference in half widths of the reference's central
        68 %. Scatter: ratio of these half widths; the median ratio of principal
        components, if there are no features. Outliers, clump: where the middle of the
        group lies, in half widths. Missing: difference of the shares.
    """

    kind: str
    share: float
    features: tuple
    sizes: tuple


@dataclass
class _Step:
    """A candidate change, and the targets without it."""

    kind: str
    values: np.ndarray  # (m, d), moved and scaled back
    weights: np.ndarray  # (m,), lower for a group
    sizes: np.ndarray  # (d,)
    share: float = np.nan
    rows: np.ndarray | None = None  # of a group, without those found before


def find_changes(reference, target, names, *, rng=0):
    """
    Name the kinds of change that explain a shift.

    Missing values are compared first. Then each kind of change is undone in turn:
    targets are moved back, their scatter is made that of the reference, or a group
    that lies apart from the reference, or is far richer in targets, is weighted down.
    What takes away most of the energy distance between the samples is named; and
    another kind, where a difference beyond chance is left.

    Parameters
    ----------
    reference, target : `~numpy.ndarray`
        Shapes (n, d) and (m, d), NaN where missing.
    names : sequence of str
        What the features are called.
    rng : int or `~numpy.random.Generator`, optional
        Draws 500 of larger samples, and permutations.

    Returns
    -------
    list of Change
        The most important first; empty where no simple change explains it. Ask only
        where a test has found a shift.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.shift.changes import find_changes
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(400, 2)), rng.normal(size=(400, 2))
    >>> y[:40] = 9 * rng.normal(size=(40, 2))
    >>> (change,) = find_changes(x, y, ["g", "r"])
    >>> change.kind, round(change.share, 1)
    ('outliers', 0.1)
    """
    rng = np.random.default_rng(rng)
    changes = _missing(reference, target, names)
    x, y = (_drawn(_completed(side), rng) for side in (reference, target))
    if min(len(x), len(y)) < 2 * _FEWEST:
        return changes
    scores = RobustScores(x)
    u, v = scores(x), scores(y)
    found = _explain(u, v, rng)
    return changes + [_described(step, u, v, names) for step in found]


def _missing(x, y, names):
    """Features missing more often, or less, than chance allows."""
    n, m = len(x), len(y)
    absent = [np.isnan(side).sum(0) for side in (x, y)]
    gaps = absent[1] / m - absent[0] / n
    found = []
    for j in np.argsort(-np.abs(gaps), kind="stable"):
        counts = [[absent[0][j], n - absent[0][j]], [absent[1][j], m - absent[1][j]]]
        if gaps[j] == 0 or fisher_exact(counts).pvalue > _LEVEL / len(names):
            break
        found.append(j)
    if not found:
        return []
    features, sizes = (tuple(v[j] for j in found) for v in (names, gaps.tolist()))
    return [Change("missing", abs(sizes[0]), features, sizes)]


def _completed(values):
    """Rows without missing values; where these are few, medians for the missing."""
    absent = np.isnan(values)
    complete = ~absent.any(1)
    if 2 * complete.sum() >= len(values):
        return values[complete]
    known = ~absent.all(0)
    middle = np.zeros(values.shape[1])
    middle[known] = np.nanmedian(values[:, known], 0)
    return np.where(absent, middle, values)


def _drawn(values, rng):
    if len(values) <= _MOST:
        return values
    return values[np.sort(rng.choice(len(values), _MOST, replace=False))]


def _explain(u, v, rng):
    """Undo one change after another, each the one that takes away most."""
    weights, found, raw = np.ones(len(v)), [], v
    before = _energy(u, v, weights)
    for _ in range(_STEPS):
        tried = list(_steps(u, v, weights, raw))
        left = [_energy(u, step.values, step.weights) for step in tried]
        if not tried or min(left) > (1 - _WORTH) * before:
            break
        best = int(np.argmin(left))
        step, before = tried[best], left[best]
        found.append(step)
        v, weights = step.values, step.weights
        if before <= _chance(u, v[weights > 0.5], rng):
            break
    return found


def _steps(u, v, weights, raw):
    """Yield the changes that are there beyond chance, means in what was measured."""
    rest = weights > 0.5
    kept = v[rest]
    nothing = np.zeros(u.shape[1])
    for axes in (np.eye(u.shape[1]), _axes(u)):
        p, q, all_of = u @ axes, kept @ axes, v @ axes
        back = np.linalg.pinv(axes)
        moved = np.where(_moved(p, raw[rest] @ axes), _moved(p, q), 0)
        if moved.any():
            yield _Step("mean", v - moved @ back, weights, moved @ back)
        ratio = _ratio(p, q)
        if (ratio != 1).any():
            # About the reference's middle: about their own its error would be left.
            change = (all_of - _middle(p)) * (1 / ratio - 1)
            yield _Step("scatter", v + change @ back, weights, ratio)
    for group, expected in _groups(u, kept):
        share = group.mean()
        excess = (share - expected) / (1 - expected)
        error = np.sqrt(max(expected, 1 / len(u)) * (1 / len(u) + 1 / len(kept)))
        if share - expected <= 3 * error or not group.sum() >= _FEWEST:
            continue
        if excess > _PART:
            continue
        lower = weights.copy()
        everyone = np.flatnonzero(rest)[group]
        lower[everyone] = expected * (1 - share) / (1 - expected) / share
        yield _Step("group", v, lower, nothing, excess, everyone)


def _axes(u):
    """Principal components of the reference, of unit variance; columns."""
    variance, axes = eigh(ledoit_wolf(u)[0])
    return axes / np.sqrt(np.maximum(variance, 1e-12 * variance[-1]))


def _half_width(values):
    low, high = np.quantile(values, _ONE_SIGMA, axis=0)
    return (high - low) / 2


def _middle(values):
    """Mean of what is within two half widths of the median, the rest pulled there."""
    median, width = np.median(values, 0), _half_width(values)
    width = np.where(width > 0, width, 1)
    return median + width * np.clip((values - median) / width, -2, 2).mean(0)


def _moved(p, q):
    """Difference of the middles where it is beyond chance, else 0."""
    change = _middle(q) - _middle(p)
    error = np.sqrt(_half_width(p) ** 2 / len(p) + _half_width(q) ** 2 / len(q))
    return np.where(np.abs(change) > _limit(p) * error, change, 0)


def _ratio(p, q):
    """Ratio of the half widths where it is beyond chance, else 1."""
    one, two = _half_width(p), _half_width(q)
    there = (one > 0) & (two > 0)
    log_ratio = np.log(np.where(there, two, 1) / np.where(there, one, 1))
    error = np.sqrt(1 / len(p) + 1 / len(q))  # 0.97 of it for normal distributions
    return np.exp(np.where(np.abs(log_ratio) > _limit(p) * error, log_ratio, 0))


def _limit(values):
    """Return the standard errors that chance exceeds in a feature once in 100 times."""
    return -ndtri(_LEVEL / 2 / values.shape[1])


def _groups(u, v):
    """Yield targets that may be a group, and the share of the reference that is."""
    distance = [
        neighbour_distance(u, u, n_neighbour=_NEAR[0], leave_out=True),
        neighbour_distance(v, u, n_neighbour=_NEAR[0]),
    ]
    for own, theirs in (distance, [np.abs(side).max(1) for side in (u, v)]):
        limit = np.quantile(own, 0.99)
        yield theirs > limit, np.mean(own > limit)
    both, n = np.vstack([u, v]), len(u)
    _, rows = nearest(both, both, _NEAR[1], leave_out=True)
    of_target = (rows >= n) / len(v)
    share = of_target.sum(1) / (of_target + (rows < n) / n).sum(1)
    yield share[n:] >= _RICHER, np.mean(share[:n] >= _RICHER)


def _energy(u, v, weights):
    """Energy distance, unbiased, of weighted targets."""
    w = weights / weights.sum()
    between, within_u, within_v = _distances(u, v)
    within = w @ within_v @ w / (1 - w @ w)
    n = len(u)
    return 2 * between.mean(0) @ w - within_u.sum() / (n * (n - 1)) - within


def _distances(u, v):
    matrix = squareform(pdist(np.vstack([u, v])))
    n = len(u)
    return matrix[:n, n:], matrix[:n, :n], matrix[n:, n:]


def _chance(u, v, rng, n_permutation=99):
    """Energy distance that samples of one distribution exceed in 5 %."""
    matrix = squareform(pdist(np.vstack([u, v])))
    n, m = len(u), len(v)
    is_target = np.tile((np.arange(n + m) >= n).astype(float)[:, None], n_permutation)
    y = rng.permuted(is_target, axis=0)
    toward = matrix @ y
    within_v = (y * toward).sum(0)
    between = toward.sum(0) - within_v
    within_u = matrix.sum() - 2 * between - within_v
    drawn = 2 * between / (n * m) - within_u / (n * (n - 1)) - within_v / (m * (m - 1))
    return np.quantile(drawn, 0.95)


def _described(step, u, v, names):
    if step.kind == "group":
        return _group_described(step, u, v, names)
    v = v[step.weights > 0.5]
    if step.kind == "mean":
        sizes = np.where(step.sizes != 0, _middle(v) - _middle(u), 0)
        order = _largest(np.abs(sizes))
        j = order[0]
        side = np.sign(sizes[j])
        edge = np.quantile(side * u[:, j], _ONE_SIGMA[1])
        share = np.mean(side * v[:, j] > edge)
    else:
        sizes = _ratio(u, v)
        order = _largest(np.abs(np.log(sizes)))
        if not order.size:
            share = np.nan
            return Change("scatter", share, (), (float(np.median(step.sizes)),))
        low, high = np.quantile(u[:, order[0]], _ONE_SIGMA)
        share = np.mean((v[:, order[0]] < low) | (v[:, order[0]] > high))
    return Change(
        step.kind,
        float(share),
        tuple(names[j] for j in order),
        tuple(sizes[order].tolist()),
    )


def _group_described(step, u, v, names):
    group = v[step.rows]
    place = np.median(group, 0)
    apart = np.median(np.abs(group), 0)
    order = _largest(apart, least=1.0)[:3]
    if not order.size:
        order = np.array([int(np.argmax(apart))])
    j = order[0]
    own = np.median(np.linalg.norm(group - place, axis=1))
    usual = np.median(np.linalg.norm(u - np.median(u, 0), axis=1))
    together = abs(place[j]) > 2 and _half_width(group[:, [j]])[0] < 1
    compact = own < _COMPACT * usual or together
    return Change(
        "clump" if compact else "outliers",
        float(step.share),
        tuple(names[k] for k in order),
        tuple((place if compact else apart)[order].tolist()),
    )


def _largest(sizes, least=0.0):
    """Features in which a change is there, the largest first."""
    order = np.argsort(-sizes, kind="stable")
    return order[(sizes > max(least, 0.25 * sizes.max(initial=0)))[order]]
