"""Differences of two samples in each feature."""

import numpy as np
from astropy.table import Table

__all__ = ["rank_features"]

_DESCRIPTIONS = {
    "feature": "Feature, the most different one first",
    "ks": "Kolmogorov-Smirnov distance, the largest difference of the two cdf",
    "p_value": "Of ks, times the number of features (Bonferroni), at most 1",
    "cohen_d": "(mean of target - mean of reference) / pooled standard deviation",
    "median_reference": "Median of the reference",
    "median_target": "Median of the target",
    "missing_reference": "Share of missing values in the reference",
    "missing_target": "Share of missing values in the target",
}


def rank_features(reference, target, names):
    """
    Compare each feature by itself.

    Parameters
    ----------
    reference, target : `~numpy.ndarray`
        Shapes (n, d) and (m, d), NaN where missing.
    names : sequence of str
        What the features are called.

    Returns
    -------
    `~astropy.table.Table`
        A row for each feature, sorted by the larger of ``ks`` and the difference of
        the shares of missing values. Constant features have ``cohen_d`` 0, or infinite
        if they are another constant.
    """
    from scipy.stats import ks_2samp

    rows = []
    for name, *columns in zip(names, reference.T, target.T, strict=True):
        missing = [np.isnan(column).mean() for column in columns]
        x, y = (column[~np.isnan(column)] for column in columns)
        ks, p_value, cohen_d = np.nan, np.nan, np.nan
        if x.size and y.size:
            ks, p_value = ks_2samp(x, y, method="asymp")
            p_value = min(p_value * len(names), 1.0)
            cohen_d = _cohen_d(x, y)
        rows.append((name, ks, p_value, cohen_d, _median(x), _median(y), *missing))
    table = Table(rows=rows, names=list(_DESCRIPTIONS))
    for column, text in _DESCRIPTIONS.items():
        table[column].info.description = text
    gap = np.abs(table["missing_target"] - table["missing_reference"])
    strength = np.fmax(table["ks"], gap)
    return table[np.argsort(-np.asarray(strength), kind="stable")]


def _median(x):
    return float(np.median(x)) if x.size else np.nan


def _cohen_d(x, y):
    difference = float(y.mean() - x.mean())
    n, m = len(x), len(y)
    pooled = np.sqrt((n * x.var() + m * y.var()) / max(n + m - 2, 1))
    if pooled > 1e-12 * abs(difference):
        return difference / pooled
    return float(np.copysign(np.inf, difference)) if difference else 0.0
