"""Two-sample tests on pairwise distances: maximum mean discrepancy, energy distance."""

import numpy as np
from scipy.spatial.distance import pdist, squareform

from mantis_astro.shift.domain_classifier import median_distance
from mantis_astro.shift.permutations import score_labellings

__all__ = ["energy_distance", "mmd", "two_sample_tests"]


def mmd(reference, target, *, bandwidth=None):
    """
    Squared maximum mean discrepancy in a Gaussian kernel, unbiased.

    Parameters
    ----------
    reference, target : array_like
        Shapes (n, d) and (m, d), finite.
    bandwidth : float, optional
        Of the kernel ``exp(-r^2 / 2 bandwidth^2)``; by default the median distance
        between two different objects of both samples together.

    Returns
    -------
    float
        About 0 without a shift (it may be negative), at most 2.

    References
    ----------
    Gretton et al. 2012, Journal of Machine Learning Research 13, 723, eq. 3.

    Examples
    --------
    >>> from mantis_astro.shift import mmd
    >>> round(mmd([[0.0], [0.1]], [[9.0], [9.1]], bandwidth=1.0), 3)
    1.99
    """
    distances, is_target = _together(reference, target)
    kernel = _gaussian(distances, bandwidth)
    return float(_mmd(*_sums(kernel, is_target[:, None]))[0])


def energy_distance(reference, target):
    """
    Energy distance, ``2 E|x - y| - E|x - x'| - E|y - y'|``.

    Parameters
    ----------
    reference, target : array_like
        Shapes (n, d) and (m, d), finite.

    Returns
    -------
    float
        Not negative; zero for equal samples.

    References
    ----------
    Szekely & Rizzo 2013, Journal of Statistical Planning and Inference 143, 1249.

    Examples
    --------
    >>> from mantis_astro.shift import energy_distance
    >>> energy_distance([[0.0], [1.0]], [[2.0], [3.0]])
    3.0
    """
    distances, is_target = _together(reference, target)
    return float(_energy(*_sums(distances, is_target[:, None]))[0])


def two_sample_tests(scores, labels):
    """
    Run both tests.

    Parameters
    ----------
    scores : `~numpy.ndarray`
        Both samples, shape (n, d).
    labels : `~numpy.ndarray`
        0 or 1, shape (n, n_labelling), as many 1 in each; the true labels first.

    Returns
    -------
    dict of str to DomainTest
        ``"mmd"`` and ``"energy_distance"``.
    """
    distances = squareform(pdist(scores))
    return {
        "mmd": score_labellings(_mmd(*_sums(_gaussian(distances, None), labels))),
        "energy_distance": score_labellings(_energy(*_sums(distances, labels))),
    }


def _together(reference, target):
    both = np.vstack([np.asarray(reference, float), np.asarray(target, float)])
    return squareform(pdist(both)), np.arange(len(both)) >= len(reference)


def _gaussian(distances, bandwidth):
    """Gaussian kernel without its diagonal."""
    if bandwidth is None:
        bandwidth = median_distance(distances)
    kernel = np.exp(-(distances**2) / (2 * bandwidth**2))
    np.fill_diagonal(kernel, 0)
    return kernel


def _sums(matrix, is_target):
    """Add up pairs within and between samples, for each labelling; and sizes."""
    y = is_target.astype(float)  # (n, n_labelling)
    toward_target = matrix @ y
    within_target = (y * toward_target).sum(0)
    between = toward_target.sum(0) - within_target
    within_reference = matrix.sum() - 2 * between - within_target
    m = y[:, 0].sum()
    return within_reference, within_target, between, len(y) - m, m


def _mmd(within_reference, within_target, between, n, m):
    mean = within_reference / (n * (n - 1)) + within_target / (m * (m - 1))
    return mean - 2 * between / (n * m)


def _energy(within_reference, within_target, between, n, m):
    return 2 * between / (n * m) - within_reference / n**2 - within_target / m**2
