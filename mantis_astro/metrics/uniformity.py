"""
Distances of probability integral transforms from a uniform distribution.

If p(z) is calibrated, the values of ``cdf(z_spec)`` are uniform between 0 and 1. Four
distances from that, each with its convention; values that are NaN are left out.
"""

import numpy as np

__all__ = ["pit_ad", "pit_cvm", "pit_kld", "pit_ks"]

_EPS = np.finfo(float).eps


def pit_ks(pit):
    """
    Kolmogorov-Smirnov distance of PIT values from uniform.

    Parameters
    ----------
    pit : array_like
        PIT values, from 0 to 1.

    Returns
    -------
    float
        Largest distance between their cumulative distribution and the diagonal, 0 to
        1. Below about ``1.36 / sqrt(n)`` it is what chance gives to perfect p(z) (at
        95 %).

    Examples
    --------
    >>> from mantis_astro.metrics import pit_ks
    >>> pit_ks([0.125, 0.375, 0.625, 0.875])
    0.125
    """
    values = _sorted(pit)
    n = len(values)
    if n == 0:
        return np.nan
    rank = np.arange(n)
    return float(max(np.max((rank + 1) / n - values), np.max(values - rank / n)))


def pit_cvm(pit):
    """
    Cramér-von Mises statistic of PIT values against uniform.

    Parameters
    ----------
    pit : array_like
        PIT values, from 0 to 1.

    Returns
    -------
    float
        ``W^2 = 1/(12n) + sum_i (u_i - (2i - 1)/(2n))^2``, the convention of
        `scipy.stats.cramervonmises`; 0.46 is exceeded by chance in 5 % of calibrated
        samples of any size, and it grows in proportion to n if they are not.

    Examples
    --------
    >>> from mantis_astro.metrics import pit_cvm
    >>> round(pit_cvm([0.125, 0.375, 0.625, 0.875]), 6)
    0.020833
    """
    values = _sorted(pit)
    n = len(values)
    if n == 0:
        return np.nan
    expected = (np.arange(n) + 0.5) / n
    return float(1 / (12 * n) + np.sum((values - expected) ** 2))


def pit_ad(pit):
    """
    Anderson-Darling statistic of PIT values against uniform.

    Parameters
    ----------
    pit : array_like
        PIT values, from 0 to 1.

    Returns
    -------
    float
        ``A^2 = -n - sum_i (2i - 1)/n [ln u_i + ln(1 - u_{n+1-i})]``; 2.49 is exceeded
        by chance in 5 % of calibrated samples of any size.

    Notes
    -----
    This is the one-sample statistic for a fully specified distribution (Anderson &
    Darling 1952; Stephens 1974, case 0). RAIL and qp instead print the standardised
    two-sample statistic against an even grid (`scipy.stats.anderson_ksamp`), another
    number. A PIT of exactly 0 or 1 (a redshift outside the bins) would make it
    infinite; it counts as the smallest distance that float64 knows, 2.2e-16.

    Examples
    --------
    >>> from mantis_astro.metrics import pit_ad
    >>> round(pit_ad([0.5]), 4)  # 2 ln 2 - 1
    0.3863
    """
    values = np.clip(_sorted(pit), _EPS, 1 - _EPS)
    n = len(values)
    if n == 0:
        return np.nan
    weight = (2 * np.arange(n) + 1) / n
    return float(-n - np.sum(weight * (np.log(values) + np.log1p(-values[::-1]))))


def pit_kld(pit, *, bins=20):
    """
    Kullback-Leibler divergence of the histogram of PIT values from a flat one.

    Parameters
    ----------
    pit : array_like
        PIT values, from 0 to 1.
    bins : int, optional
        Number of equal bins.

    Returns
    -------
    float
        ``sum_k q_k ln(bins q_k)`` in nats, with the share ``q_k`` of each bin. Even
        for perfect p(z) it is about ``(bins - 1) / (2n)``.

    Raises
    ------
    ValueError
        If ``bins`` is not positive.

    Examples
    --------
    >>> from mantis_astro.metrics import pit_kld
    >>> round(pit_kld([0.1, 0.2, 0.3, 0.4], bins=2), 4)  # one bin of two: ln 2
    0.6931
    """
    if not bins > 0:
        msg = f"'bins' must be positive, got {bins}"
        raise ValueError(msg)
    values = _sorted(pit)
    if len(values) == 0:
        return np.nan
    share = np.histogram(values, bins=bins, range=(0, 1))[0] / len(values)
    share = share[share > 0]
    return float(np.sum(share * np.log(bins * share)))


def _sorted(pit):
    """PIT values in order, without NaN."""
    values = np.sort(np.ravel(np.asarray(pit, dtype=float)))
    values = values[~np.isnan(values)]
    if len(values) and not 0 <= values[0] <= values[-1] <= 1:
        wrong = values[0] if values[0] < 0 else values[-1]
        msg = f"'pit' must lie between 0 and 1, got {wrong}"
        raise ValueError(msg)
    return values
