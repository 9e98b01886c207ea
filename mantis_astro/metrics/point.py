"""
Metrics of point estimates, all made from ``delta_z``.

Galaxies whose redshift is NaN, masked, or -1 and less (-99) on either side are left
out; a metric of no
galaxies is NaN.
"""

import numpy as np

from mantis_astro.binned import true_redshift

__all__ = [
    "bias_mean",
    "bias_median",
    "delta_z",
    "outlier_fraction",
    "rail_outlier_fraction",
    "sigma_iqr",
    "sigma_nmad",
    "sigma_std",
]


def delta_z(z_phot, z_spec):
    """
    Scaled error of each redshift, ``(z_phot - z_spec) / (1 + z_spec)``.

    Parameters
    ----------
    z_phot, z_spec : array_like or `~astropy.units.Quantity`
        Redshifts, of one shape; masked or NaN where there is none.

    Returns
    -------
    ndarray
        Same shape, NaN where either is missing.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> from mantis_astro.metrics import delta_z
    >>> delta_z([0.21, 0.30], [0.20, 0.25])
    array([0.00833333, 0.04      ])
    """
    z_phot, z_spec = true_redshift(z_phot), true_redshift(z_spec)
    if z_phot.shape != z_spec.shape:
        msg = (
            "'z_phot' and 'z_spec' must have one shape, "
            f"got {z_phot.shape} and {z_spec.shape}"
        )
        raise ValueError(msg)
    return (z_phot - z_spec) / (1 + z_spec)


def bias_mean(z_phot, z_spec):
    """
    Mean of `delta_z`.

    Parameters
    ----------
    z_phot, z_spec : array_like or `~astropy.units.Quantity`
        Redshifts, of one shape.

    Returns
    -------
    float
        The bias as Pasquet et al. 2019 (A&A 621, A26) define it.

    Examples
    --------
    >>> from mantis_astro.metrics import bias_mean
    >>> round(bias_mean([0.21, 0.30], [0.20, 0.25]), 4)
    0.0242
    """
    return point_statistics(valid(delta_z(z_phot, z_spec)))["bias_mean"]


def bias_median(z_phot, z_spec):
    """
    Median of `delta_z`.

    Parameters
    ----------
    z_phot, z_spec : array_like or `~astropy.units.Quantity`
        Redshifts, of one shape.

    Returns
    -------
    float
        The bias as RAIL defines it.

    Examples
    --------
    >>> from mantis_astro.metrics import bias_median
    >>> round(bias_median([0.21, 0.30, 0.9], [0.20, 0.25, 0.1]), 4)
    0.04
    """
    return point_statistics(valid(delta_z(z_phot, z_spec)))["bias_median"]


def sigma_nmad(z_phot, z_spec):
    """
    Scatter, ``1.4826 median |delta_z - median delta_z|``.

    Parameters
    ----------
    z_phot, z_spec : array_like or `~astropy.units.Quantity`
        Redshifts, of one shape.

    Returns
    -------
    float
        The standard deviation, if `delta_z` were Gaussian; half of the galaxies may
        be anywhere without much changing it.

    References
    ----------
    Hoaglin, Mosteller & Tukey 1983; Brammer et al. 2008 (ApJ 686, 1503) subtract the
    median as it is done here.

    Examples
    --------
    >>> from mantis_astro.metrics import sigma_nmad
    >>> round(sigma_nmad([0.21, 0.30, 0.9], [0.20, 0.25, 0.1]), 4)
    0.0469
    """
    return point_statistics(valid(delta_z(z_phot, z_spec)))["sigma_nmad"]


def sigma_iqr(z_phot, z_spec):
    """
    Scatter, the interquartile range of `delta_z` over 1.349.

    Parameters
    ----------
    z_phot, z_spec : array_like or `~astropy.units.Quantity`
        Redshifts, of one shape.

    Returns
    -------
    float
        The standard deviation, if `delta_z` were Gaussian; RAIL's definition.

    Examples
    --------
    >>> from mantis_astro.metrics import sigma_iqr
    >>> round(sigma_iqr([0.0, 1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 0.0, 0.0]), 4)
    1.4826
    """
    return point_statistics(valid(delta_z(z_phot, z_spec)))["sigma_iqr"]


def sigma_std(z_phot, z_spec):
    """
    Scatter, the standard deviation of `delta_z`, nothing clipped.

    Parameters
    ----------
    z_phot, z_spec : array_like or `~astropy.units.Quantity`
        Redshifts, of one shape.

    Returns
    -------
    float
        Root of the mean squared deviation from the mean.

    Examples
    --------
    >>> from mantis_astro.metrics import sigma_std
    >>> sigma_std([0.1, 0.3], [0.0, 0.0])
    0.1
    """
    return point_statistics(valid(delta_z(z_phot, z_spec)))["sigma_std"]


def outlier_fraction(z_phot, z_spec, *, threshold):
    """
    Share of galaxies with ``|delta_z|`` of at least a threshold.

    Parameters
    ----------
    z_phot, z_spec : array_like or `~astropy.units.Quantity`
        Redshifts, of one shape.
    threshold : float
        0.05 (Pasquet et al. 2019, Engel et al. 2025) and 0.15 (Beck et al. 2021, Zhou
        et al. 2021) are in use, so it has no default.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    ValueError
        If the threshold is not positive.

    Examples
    --------
    >>> from mantis_astro.metrics import outlier_fraction
    >>> outlier_fraction([0.2, 0.5, 0.31, 0.4], [0.2, 0.3, 0.3, 0.4], threshold=0.05)
    0.25
    """
    if not threshold > 0:
        msg = f"'threshold' must be positive, got {threshold}"
        raise ValueError(msg)
    return mean(abs(valid(delta_z(z_phot, z_spec))) >= threshold)


def rail_outlier_fraction(z_phot, z_spec):
    """
    Share of galaxies with ``|delta_z|`` above 0.06 and above 3 `sigma_iqr`.

    Parameters
    ----------
    z_phot, z_spec : array_like or `~astropy.units.Quantity`
        Redshifts, of one shape.

    Returns
    -------
    float
        From 0 to 1; RAIL's outlier rate, with a threshold ``max(0.06, 3 sigma_iqr)``
        that moves with the sample.

    Examples
    --------
    >>> from mantis_astro.metrics import rail_outlier_fraction
    >>> rail_outlier_fraction([0.2, 0.5, 0.31, 0.4, 0.4], [0.2, 0.3, 0.3, 0.4, 0.4])
    0.2
    """
    return point_statistics(valid(delta_z(z_phot, z_spec)))["rail_outlier_fraction"]


def valid(values):
    """
    Exclude NaN.

    Parameters
    ----------
    values : ndarray
        Of any shape.

    Returns
    -------
    ndarray
        The others, infinite ones too, in one dimension.
    """
    return values[~np.isnan(values)]


def mean(values):
    """
    Mean; NaN for an empty array.

    Parameters
    ----------
    values : ndarray
        Shape (n,).

    Returns
    -------
    float
        NaN, without a warning, if there is no value.
    """
    return float(np.mean(values)) if len(values) else np.nan


def point_statistics(delta):
    """
    Compute all metrics of point estimates at once.

    Parameters
    ----------
    delta : ndarray
        ``delta_z`` of the galaxies that have both redshifts, shape (n,).

    Returns
    -------
    dict of str to float
        All NaN if there is no galaxy.
    """
    if not len(delta):
        return dict.fromkeys(point_statistics(np.zeros(1)), np.nan)
    low, median, high = np.percentile(delta, [25, 50, 75])
    iqr = (high - low) / 1.349
    size = abs(delta)
    return {
        "bias_mean": float(np.mean(delta)),
        "bias_median": float(median),
        "sigma_nmad": float(1.4826 * np.median(abs(delta - median))),
        "sigma_iqr": float(iqr),
        "sigma_std": float(np.std(delta)),
        "outlier_fraction_005": float(np.mean(size >= 0.05)),
        "outlier_fraction_015": float(np.mean(size >= 0.15)),
        "rail_outlier_fraction": float(np.mean(size > max(0.06, 3 * iqr))),
    }
