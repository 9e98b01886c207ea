"""Permutation tests: values of statistics without a shift, many at once."""

from typing import NamedTuple

import numpy as np

__all__ = [
    "DomainTest",
    "combined_p_value",
    "deal_folds",
    "permutation_p_value",
    "relabel",
    "score_labellings",
]

_FOLDS = 5
_TAIL = 0.05  # share of the labellings whose p-values come from a fit


class DomainTest(NamedTuple):
    """
    Statistic that compares two samples, and its values without a shift.

    Attributes
    ----------
    statistic : float
        Its value.
    p_value : float
        Share of relabelled samples with a value as high, one-sided; the smallest
        possible is 1 / (n_permutation + 1).
    null : `~numpy.ndarray`
        Its values under relabelling, shape (n_permutation,).
    """

    statistic: float
    p_value: float
    null: np.ndarray


def score_labellings(values):
    """
    Create a test from a statistic of all labellings.

    Parameters
    ----------
    values : `~numpy.ndarray`
        Shape (1 + n_permutation,); that of the true labels first.

    Returns
    -------
    DomainTest
        The test.
    """
    p_value = permutation_p_value(values[0], values[1:])
    return DomainTest(float(values[0]), p_value, values[1:])


def permutation_p_value(statistic, null):
    """
    Share of permutations that reach a statistic, itself counted.

    Parameters
    ----------
    statistic : float
        What was observed; the higher, the more unlike the null.
    null : array_like
        Values under permutation.

    Returns
    -------
    float
        ``(1 + number as high) / (1 + number)``: never 0, and its false alarm rate is
        at most the level (Phipson & Smyth 2010, SAGMB 9, 39).

    Examples
    --------
    >>> from mantis_astro.shift import permutation_p_value
    >>> permutation_p_value(0.7, [0.5, 0.6, 0.8])
    0.5
    """
    null = np.asarray(null)
    # ties that differ by rounding count as ties
    reached = np.count_nonzero(null >= statistic - 1e-12 * max(abs(statistic), 1))
    return float((1 + reached) / (1 + len(null)))


def combined_p_value(tests):
    """
    One p-value of several tests that share their relabellings.

    Each labelling, the true one as any other, gets the smallest of its p-values in the
    tests; the result is the share of labellings whose smallest is as small. Whatever
    the tests have in common is allowed for: one more test that sees what others see
    costs nothing, unlike where p-values are multiplied by the number of tests.

    Parameters
    ----------
    tests : sequence of DomainTest
        Their ``null`` must belong to the same relabellings, in the same order.

    Returns
    -------
    float
        At least 1 / (n_permutation + 1). Its false alarm rate is the level, or the
        next multiple of that below.

    Notes
    -----
    p-values by counting are too coarse for this: of 500 relabellings one is the first
    in each test. In the uppermost 5 % p-values are those of an exponential tail
    instead, fitted to the excesses there. The fit need not be right:
    all labellings are treated alike, so that the result stays exact.

    References
    ----------
    Westfall & Young 1993, Resampling-Based Multiple Testing, chapter 2; Pesarin &
    Salmaso 2010, Permutation Tests for Complex Data, chapter 4 (Tippett's combination);
    Knijnenburg et al. 2009, Bioinformatics 25, i161 (tail).

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.shift.permutations import combined_p_value, score_labellings
    >>> values = np.random.default_rng(0).normal(size=(2, 100))
    >>> values[1, 0] = 5  # what the second test says of the true labels
    >>> combined_p_value([score_labellings(row) for row in values])
    0.01
    """
    surprises = np.stack([_surprise(np.append(t.statistic, t.null)) for t in tests])
    surprise = surprises.max(0) + 1e-6 * surprises.mean(0)  # which breaks ties
    return permutation_p_value(surprise[0], surprise[1:])


def _surprise(values):
    """Minus log p of each value among all: by counting, in the tail by a fit."""
    ordered = np.sort(values)
    n = len(values)
    # ties that differ by rounding count as ties
    slack = 1e-12 * np.maximum(np.abs(values), 1)
    reached = n - np.searchsorted(ordered, values - slack, side="left")
    surprise = -np.log(reached / n)
    edge = ordered[int((1 - _TAIL) * n)]
    beyond = values > edge + 1e-12 * max(abs(edge), 1)
    if beyond.any():
        excess = values[beyond] - edge
        surprise[beyond] = excess / excess.mean() - np.log(beyond.mean())
    return surprise


def deal_folds(is_target, groups, rng):
    """
    Deal objects into five folds, as equal shares of both samples as can be.

    Parameters
    ----------
    is_target : `~numpy.ndarray` of bool
        Shape (n,).
    groups : `~numpy.ndarray` of int
        Shape (n,): objects with equal numbers go to one fold.
    rng : `~numpy.random.Generator`
        Draws the folds.

    Returns
    -------
    list of `~numpy.ndarray` of int
        Rows of each fold.
    """
    _, first, member = np.unique(groups, return_index=True, return_inverse=True)
    order = rng.permutation(len(first))
    order = order[np.argsort(is_target[first][order], kind="stable")]
    fold = np.empty(len(first), int)
    fold[order] = np.arange(len(first)) % _FOLDS
    return [np.flatnonzero(fold[member.ravel()] == i) for i in range(_FOLDS)]


def relabel(is_target, folds, rng, n_permutation):
    """
    Permute labels within folds, so that each keeps as many of both.

    Parameters
    ----------
    is_target : `~numpy.ndarray` of bool
        Shape (n,).
    folds : list of `~numpy.ndarray` of int
        Rows of each fold.
    rng : `~numpy.random.Generator`
        Draws the permutations.
    n_permutation : int
        Number of permutations.

    Returns
    -------
    `~numpy.ndarray`
        0 or 1, shape (n, 1 + n_permutation); the true labels first.
    """
    labels = np.empty((len(is_target), 1 + n_permutation))
    labels[:, 0] = is_target
    for fold in folds:
        repeated = np.tile(labels[fold, :1], n_permutation)
        labels[fold, 1:] = rng.permuted(repeated, axis=0)
    return labels
