"""
Weights of redshift bins from samples, quantiles, Gaussians and grids, and to grids.

The weights of a row need not sum to 1: what lies outside the bins is left out. A row
from which no density can be made holds NaN.
"""

import numpy as np

from mantis_astro import binned

__all__ = [
    "density_on_grid",
    "edges_around",
    "weights_from_gaussians",
    "weights_from_grid",
    "weights_from_quantiles",
    "weights_from_samples",
]


def weights_from_samples(bin_edges, samples):
    """
    Count samples in bins.

    Parameters
    ----------
    bin_edges : ndarray
        Shape ``(n_bins + 1,)``.
    samples : array_like
        Redshifts, shape ``(..., n_samples)``.

    Returns
    -------
    ndarray
        Shape ``(..., n_bins)``; NaN where a sample is NaN.

    Raises
    ------
    ValueError
        If there is no axis of samples.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.pdf_io import weights_from_samples
    >>> weights_from_samples(np.array([0.0, 1.0, 2.0]), [0.5, 0.6, 1.5, 7])
    array([2., 1.])
    """
    samples = binned.as_redshift(samples)
    if samples.ndim == 0:
        msg = "'samples' must have an axis of samples, got one number"
        raise ValueError(msg)
    n_bins = len(bin_edges) - 1
    rows = samples.reshape(int(np.prod(samples.shape[:-1])), samples.shape[-1])
    bins = np.searchsorted(bin_edges, rows, side="right") - 1
    bins[rows == bin_edges[-1]] = n_bins - 1
    row, _ = np.nonzero((bins >= 0) & (bins < n_bins))
    bins = bins[(bins >= 0) & (bins < n_bins)]
    counts = np.bincount(row * n_bins + bins, minlength=len(rows) * n_bins)
    counts = counts.reshape(len(rows), n_bins).astype(float)
    counts[np.isnan(rows).any(axis=-1)] = np.nan
    return counts.reshape(*samples.shape[:-1], n_bins)


def weights_from_gaussians(bin_edges, mean, std):
    """
    Probability of bins under Gaussians.

    Parameters
    ----------
    bin_edges : ndarray
        Shape ``(n_bins + 1,)``.
    mean, std : array_like
        Of each Gaussian, broadcast against each other.

    Returns
    -------
    ndarray
        Shape ``(..., n_bins)``; NaN where a mean or standard deviation is not finite
        or the latter is not positive. Far tails are right to rounding.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.pdf_io import weights_from_gaussians
    >>> weights_from_gaussians(np.array([0.0, 1.0, 9.0]), 1.0, 0.1)
    array([0.5, 0.5])
    """
    from scipy.special import ndtr

    mean, std = np.broadcast_arrays(binned.as_redshift(mean), binned.as_redshift(std))
    good = np.isfinite(mean) & np.isfinite(std) & (std > 0)
    std = np.where(good, std, np.nan)
    x = (bin_edges - mean[..., None]) / std[..., None]
    # Above the mean count from the other side, where the numbers are small.
    sign = np.where(x[..., 1:] + x[..., :-1] > 0, -1, 1)
    return sign * (ndtr(sign * x[..., 1:]) - ndtr(sign * x[..., :-1]))


def weights_from_quantiles(bin_edges, quantiles, z):
    """
    Probability of bins under a cumulative distribution that is linear between nodes.

    Below the lowest and above the highest node the density of the neighbouring
    interval goes on until no probability is left, but not beyond the bins.

    Parameters
    ----------
    bin_edges : ndarray
        Shape ``(n_bins + 1,)``.
    quantiles : array_like
        Probabilities, increasing, from 0 to 1, shape ``(n_q,)`` with at least two.
    z : array_like
        Redshifts of the quantiles, shape ``(..., n_q)``.

    Returns
    -------
    ndarray
        Shape ``(..., n_bins)``; NaN where redshifts decrease or are not finite.

    Raises
    ------
    ValueError
        If the quantiles are not as said, or the shapes do not match.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.pdf_io import weights_from_quantiles
    >>> weights_from_quantiles(np.array([0.0, 1.0, 2.0]), [0.25, 0.75], [0.5, 1.5])
    array([0.5, 0.5])
    """
    q, z = binned.as_redshift(quantiles), binned.as_redshift(z)
    if q.ndim != 1 or q.size < 2 or np.any(np.diff(q) <= 0) or q[0] < 0 or q[-1] > 1:
        msg = (
            "'quantiles' must be at least two increasing numbers from 0 to 1, "
            f"got {quantiles}"
        )
        raise ValueError(msg)
    if z.ndim == 0 or z.shape[-1] != q.size:
        msg = (
            "last axis of 'z' must match the quantiles: expected "
            f"{q.size}, got shape {z.shape}"
        )
        raise ValueError(msg)
    rows = z.reshape(int(np.prod(z.shape[:-1])), q.size)
    good = np.isfinite(rows).all(axis=-1) & (np.diff(rows) >= 0).all(axis=-1)
    rows = np.where(good[:, None], rows, 0)
    low = rows[:, 0] - q[0] * (rows[:, 1] - rows[:, 0]) / (q[1] - q[0])
    high = rows[:, -1] + (1 - q[-1]) * (rows[:, -1] - rows[:, -2]) / (q[-1] - q[-2])
    low = np.maximum(low, np.minimum(rows[:, 0], bin_edges[0]))
    high = np.minimum(high, np.maximum(rows[:, -1], bin_edges[-1]))
    nodes = np.column_stack([low, rows, high])
    q = np.concatenate([[0], q, [1]])
    below = _interpolate(
        nodes, q, np.broadcast_to(bin_edges, (len(rows), len(bin_edges)))
    )
    weights = np.where(good[:, None], np.diff(below, axis=-1), np.nan)
    return weights.reshape(*z.shape[:-1], len(bin_edges) - 1)


def edges_around(z):
    """
    Make bins around the points of a grid: half-way between them, cut at redshift 0.

    The first and the last bin reach as far beyond their points as inside of them.

    Parameters
    ----------
    z : ndarray
        Redshifts, increasing, shape ``(n,)`` with at least two.

    Returns
    -------
    ndarray
        Edges, shape ``(n + 1,)``.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.pdf_io import edges_around
    >>> edges_around(np.array([0.0, 1.0, 2.0, 4.0]))
    array([0. , 0.5, 1.5, 3. , 5. ])
    """
    middle = (z[1:] + z[:-1]) / 2
    first, last = 2 * z[0] - middle[0], 2 * z[-1] - middle[-1]
    return np.concatenate([[max(first, 0.0)], middle, [last]])


def weights_from_grid(bin_edges, z, density):
    """
    Integrate densities given at points, linear between them and zero beyond, over bins.

    Parameters
    ----------
    bin_edges : ndarray
        Shape ``(n_bins + 1,)``.
    z : array_like
        Redshifts of the points, increasing, shape ``(n,)`` with at least two.
    density : array_like
        Density per unit redshift at each, in any scale, shape ``(..., n)``.

    Returns
    -------
    ndarray
        Shape ``(..., n_bins)``; NaN where a density is negative or not finite.

    Raises
    ------
    ValueError
        If the points are not as said, or the shapes do not match.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.pdf_io import weights_from_grid
    >>> weights_from_grid(np.array([0.0, 1.0, 2.0]), [0, 2], [0.0, 2.0])
    array([0.5, 1.5])
    """
    z, density = binned.as_redshift(z), binned.as_redshift(density)
    if z.ndim != 1 or z.size < 2 or not (np.diff(z) > 0).all() or np.isinf(z).any():
        msg = f"'z' must be at least two increasing redshifts, got {z}"
        raise ValueError(msg)
    if density.ndim == 0 or density.shape[-1] != z.size:
        msg = (
            "last axis of 'density' must match the points: expected "
            f"{z.size}, got shape {density.shape}"
        )
        raise ValueError(msg)
    good = (np.isfinite(density) & (density >= 0)).all(axis=-1, keepdims=True)
    density = np.where(good, density, 0)
    # Between nodes, all points and all edges, the density is linear: the trapezoidal
    # rule is exact.
    edges = np.clip(bin_edges, z[0], z[-1])
    nodes = np.union1d(z, edges)
    last = np.clip(np.searchsorted(z, nodes), 1, z.size - 1)
    fraction = (nodes - z[last - 1]) / (z[last] - z[last - 1])
    at_nodes = (1 - fraction) * density[..., last - 1] + fraction * density[..., last]
    mass = (at_nodes[..., 1:] + at_nodes[..., :-1]) / 2 * np.diff(nodes)
    below = np.concatenate([np.zeros_like(mass[..., :1]), mass.cumsum(axis=-1)], -1)
    weights = np.diff(below[..., np.searchsorted(nodes, edges)], axis=-1)
    return np.where(good, weights, np.nan)


def density_on_grid(bin_edges, probability, z):
    """
    Sample binned densities at points, for linear interpolation.

    Parameters
    ----------
    bin_edges : ndarray
        Shape ``(n_bins + 1,)``.
    probability : ndarray
        Probability of each bin, shape ``(..., n_bins)``.
    z : ndarray
        Redshifts of the points, increasing, shape ``(n,)`` with at least two.

    Returns
    -------
    ndarray
        Mean density half-way to the neighbours of each point, shape ``(..., n)``: the
        integral over the straight lines is the probability between first and last.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.pdf_io import density_on_grid
    >>> density = density_on_grid(np.array([0, 1, 4]), [0.25, 0.75], np.arange(4))
    >>> density
    array([0.25, 0.25, 0.25, 0.25])
    >>> np.trapezoid(density)
    np.float64(0.75)
    """
    edges = np.concatenate([z[:1], (z[1:] + z[:-1]) / 2, z[-1:]])
    return probability @ binned.overlap(bin_edges, edges) / np.diff(edges)


def _interpolate(nodes, q, z):
    """Evaluate a cumulative distribution given by the nodes of each row."""
    above = binned.count_below(nodes, z)
    last = np.minimum(above, len(q) - 1)
    first = np.maximum(last - 1, 0)
    z_first, z_last = (np.take_along_axis(nodes, i, axis=1) for i in (first, last))
    step = np.where(z_last > z_first, z_last - z_first, 1)
    fraction = np.clip((z - z_first) / step, 0, 1)
    inside = q[first] + fraction * (q[last] - q[first])
    return np.where(above == 0, 0, np.where(above == len(q), 1, inside))
