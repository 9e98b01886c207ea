"""Splits that keep groups of samples whole."""

import numpy as np

__all__ = ["assign_folds", "hold_out"]


def hold_out(groups, fraction, rng):
    """
    Choose whole groups at random until they hold a share of the objects.

    Parameters
    ----------
    groups : `~numpy.ndarray`
        Number of each object's group, shape (n,).
    fraction : float
        Share of the objects.
    rng : `numpy.random.Generator`
        Source of randomness.

    Returns
    -------
    `~numpy.ndarray` of bool
        True for those held out; never all, and none only if there is one group.
    """
    counts = np.bincount(groups)
    order = rng.permutation(len(counts))
    before = np.cumsum(counts[order]) - counts[order]
    chosen = order[before + counts[order] / 2 <= fraction * len(groups)]
    if not len(chosen) and len(order) > 1:
        chosen = order[:1]
    return np.isin(groups, chosen)


def assign_folds(groups, n_folds, rng):
    """
    Spread whole groups over folds of about equal size.

    Parameters
    ----------
    groups : `~numpy.ndarray`
        Number of each object's group, shape (n,).
    n_folds : int
        How many folds.
    rng : `numpy.random.Generator`
        Source of randomness.

    Returns
    -------
    `~numpy.ndarray`
        Number of each object's fold, shape (n,).
    """
    numbers, index, counts = np.unique(groups, return_inverse=True, return_counts=True)
    fold, size = np.empty(len(numbers), int), np.zeros(n_folds)
    order = rng.permutation(len(numbers))
    for number in order[np.argsort(-counts[order], kind="stable")]:
        fold[number] = np.argmin(size)
        size[fold[number]] += counts[number]
    return fold[index]
