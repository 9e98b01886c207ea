"""Two-sample tests of means, of variances and of the tails."""

import numpy as np
from scipy.linalg import eigh
from scipy.spatial.distance import pdist, squareform

from mantis_astro.shift.permutations import score_labellings

__all__ = ["moment_tests", "outlier_test"]

_N_PAIRED = 10  # principal components whose products are compared
_N_COMPONENT = 64
_RIDGE = 1.0  # of the mean variance of the features
_CONSTANT = 1e-12
_N_NEAR = 5
_TAILS = 0.01, 0.02, 0.05, 0.1  # shares of both samples that may be outliers


def moment_tests(scores, labels):
    """
    Compare means and variances: of single features, and of principal components.

    Parameters
    ----------
    scores : `~numpy.ndarray`
        Both samples, shape (n, d).
    labels : `~numpy.ndarray`
        0 or 1, shape (n, n_labelling), as many 1 in each; the true labels first.

    Returns
    -------
    dict of str to DomainTest
        ``"single_feature"``: the largest difference between the samples of a feature's
        mean or mean square, in standard errors. ``"hotelling"``: Hotelling's T^2 of
        the means, with a ridge that keeps directions of little scatter from adding
        noise. ``"covariance"``: sum of squared differences, in standard errors, of the
        mean products of any two of the leading principal components.
        ``"mahalanobis"``: difference of the mean rank of the Mahalanobis distance from
        the middle of both, in standard errors.

    Notes
    -----
    The largest of many differences is compared with the largest under the same
    permutations (Westfall & Young 1993): a shift of one feature among a hundred is not
    outvoted, as it is in a sum. Standard errors are those under permutation, the same
    for all labellings. Measured in ``benchmarks/shift_power.py``.

    References
    ----------
    Westfall & Young 1993, Resampling-Based Multiple Testing, chapter 2; Hotelling 1931,
    Annals of Mathematical Statistics 2, 360.
    """
    components, variance = _components(scores)
    k = min(_N_PAIRED, components.shape[1])
    i, j = np.triu_indices(k)
    products = components[:, i] * components[:, j]
    distance = _ranks(np.sum(components[:, :k] ** 2, 1))[:, None]
    shrinkage = variance / (variance + _RIDGE * np.mean(scores.var(0)))
    values = {
        "single_feature": _largest(np.hstack([scores, scores**2]), labels),
        "hotelling": shrinkage @ _differences(components, labels) ** 2,
        "covariance": np.sum(_differences(products, labels) ** 2, 0),
        "mahalanobis": _largest(distance, labels),
    }
    return {name: score_labellings(v) for name, v in values.items()}


def outlier_test(scores, labels):
    """
    Compare how many of the objects that lie far from all others are of each sample.

    Parameters
    ----------
    scores : `~numpy.ndarray`
        Both samples on a scale that leaves outliers where they are, shape (n, d), 0
        where missing.
    labels : `~numpy.ndarray`
        0 or 1, shape (n, n_labelling), as many 1 in each; the true labels first.

    Returns
    -------
    DomainTest
        The largest difference of the samples' shares among the 1, 2, 5 and 10 % of
        all objects that lie farthest from their neighbours, or farthest out in any
        feature, in standard errors. The other tests see ranks, in which 8 % of wild
        outliers are a slightly longer tail.
    """
    distances = squareform(pdist(scores))
    k = min(_N_NEAR + 1, len(scores))  # the first is the object itself
    near = np.partition(distances, k - 1, axis=1)[:, :k].sum(1)
    columns = [
        far > np.quantile(far, 1 - tail)
        for far in (near, np.abs(scores).max(1))
        for tail in _TAILS
    ]
    return score_labellings(_largest(np.column_stack(columns).astype(float), labels))


def _differences(columns, labels):
    """Differences of means in standard errors; shape (n_column, n_labelling)."""
    columns = columns - columns.mean(0)
    power = np.sum(columns**2, 0)
    varies = power > _CONSTANT * len(columns)
    y = labels - labels.mean(0)
    variance = y[:, 0] @ y[:, 0] / (len(y) - 1)
    return columns[:, varies].T @ y / np.sqrt(power[varies, None] * variance)


def _largest(columns, labels):
    return np.abs(_differences(columns, labels)).max(0, initial=0.0)


def _components(scores):
    """Leading principal components, of unit variance, and their variances."""
    n, d = scores.shape
    centred = scores - scores.mean(0)
    wide = d > n
    square = (centred @ centred.T if wide else centred.T @ centred) / n
    last = len(square) - 1
    variance, vectors = eigh(
        square, subset_by_index=(max(last + 1 - _N_COMPONENT, 0), last)
    )
    there = variance > _CONSTANT * max(variance[-1], 1)
    variance, vectors = variance[there][::-1], vectors[:, there][:, ::-1]
    if wide:
        return vectors * np.sqrt(n), variance
    return centred @ vectors / np.sqrt(variance), variance


def _ranks(values):
    from scipy.stats import rankdata  # half a second, and every PhotoZ imports this

    return rankdata(np.round(values, 9))  # twins are ties
