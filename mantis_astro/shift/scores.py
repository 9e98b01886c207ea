"""Distances of an object from a sample: Mahalanobis and nearest neighbours."""

import numpy as np
from scipy.linalg import solve_triangular

__all__ = ["ledoit_wolf", "mahalanobis_distance", "neighbour_distance"]

_BLOCK = 2**22  # distances held at once: 32 MB
_MORE = 12  # candidates beside the nearest


def ledoit_wolf(values):
    """
    Estimate a covariance matrix, shrunk towards a multiple of the identity.

    Positive definite whatever the number of objects, unless all are equal.

    Parameters
    ----------
    values : array_like
        Shape (n, d), finite.

    Returns
    -------
    covariance : `~numpy.ndarray`
        ``(1 - shrinkage) S + shrinkage (tr S / d) I``, shape (d, d), where S is the
        sample covariance with divisor n.
    shrinkage : float
        Between 0 and 1; the share that minimises the expected squared error.

    References
    ----------
    Ledoit & Wolf 2004, Journal of Multivariate Analysis 88, 365, section 3.3.

    Examples
    --------
    >>> from mantis_astro.shift import ledoit_wolf
    >>> covariance, shrinkage = ledoit_wolf([[0.0, 0.0, 1.0], [2.0, 0.0, 1.0]])
    >>> shrinkage
    0.0
    """
    x = np.asarray(values, float)
    x = x - x.mean(0)
    n, d = x.shape
    S = x.T @ x / n
    m = np.trace(S) / d
    d2 = np.sum((S - m * np.eye(d)) ** 2)
    b2 = (np.sum(np.sum(x**2, 1) ** 2) / n - np.sum(S**2)) / n  # mean |x x' - S|^2 / n
    shrinkage = float(np.clip(b2 / d2, 0, 1)) if d2 > 0 else 1.0
    return (1 - shrinkage) * S + shrinkage * m * np.eye(d), shrinkage


def mahalanobis_distance(values, mean, covariance):
    """
    Distance from the mean in units of the scatter in that direction.

    Parameters
    ----------
    values : array_like
        Shape (n, d).
    mean : array_like
        Shape (d,).
    covariance : array_like
        Shape (d, d), positive definite.

    Returns
    -------
    `~numpy.ndarray`
        ``sqrt((x - mean)' covariance^-1 (x - mean) / d)``, shape (n,): about 1 for
        objects drawn from that distribution.

    Examples
    --------
    >>> from mantis_astro.shift import mahalanobis_distance
    >>> mahalanobis_distance([[3.0, 0.0]], [0, 0], [[9, 0], [0, 1]])
    array([0.70710678])
    """
    x = np.asarray(values, float) - mean
    root = np.linalg.cholesky(np.asarray(covariance, float))
    return np.sqrt(np.mean(solve_triangular(root, x.T, lower=True) ** 2, 0))


def neighbour_distance(values, sample, *, n_neighbour=10, leave_out=False):
    """
    Mean distance to the nearest members of a sample.

    Parameters
    ----------
    values : array_like
        Shape (n, d).
    sample : array_like
        Shape (m, d).
    n_neighbour : int, optional
        How many nearest members.
    leave_out : bool, optional
        For the sample itself: leave out the nearest member, which is the object.

    Returns
    -------
    `~numpy.ndarray`
        Root mean square distance to ``n_neighbour`` members, shape (n,).

    Examples
    --------
    >>> from mantis_astro.shift import neighbour_distance
    >>> neighbour_distance([[0.0], [5.0]], [[0.0], [1.0], [2.0]], n_neighbour=2)
    array([0.70710678, 3.53553391])
    """
    squared, _ = nearest(values, sample, n_neighbour, leave_out=leave_out)
    return np.sqrt(squared.mean(1))


def nearest(values, sample, n_neighbour, *, leave_out=False):
    """
    Find the nearest members of a sample.

    Parameters
    ----------
    values : array_like
        Shape (n, d).
    sample : array_like
        Shape (m, d).
    n_neighbour : int
        How many nearest members; all, if there are fewer.
    leave_out : bool, optional
        For the sample itself: leave out the nearest member, which is the object.

    Returns
    -------
    squared : `~numpy.ndarray`
        Squared distances, the smallest first, shape (n, n_neighbour).
    rows : `~numpy.ndarray` of int
        Which members these are, shape (n, n_neighbour).
    """
    values, sample = np.asarray(values, float), np.asarray(sample, float)
    skip = int(leave_out)
    k = min(n_neighbour, len(sample) - skip)
    n_candidate = min(k + skip + _MORE, len(sample))
    squared = np.empty((len(values), k))
    rows = np.empty((len(values), k), int)
    lengths = np.sum(sample**2, 1)
    n_block = max(_BLOCK // len(sample), 1)
    for start in range(0, len(values), n_block):
        part = slice(start, start + n_block)
        # A matrix product finds candidates, five times faster than differences do;
        # these then order them, free of its cancellation.
        rough = lengths - 2 * values[part] @ sample.T
        near = np.argpartition(rough, n_candidate - 1)[:, :n_candidate]
        near.sort(axis=1)
        found = np.empty(near.shape)
        for column, members in enumerate(near.T):
            found[:, column] = np.sum((values[part] - sample[members]) ** 2, 1)
        order = np.argsort(found, axis=1, kind="stable")[:, skip : k + skip]
        squared[part] = np.take_along_axis(found, order, 1)
        rows[part] = np.take_along_axis(near, order, 1)
    return squared, rows
