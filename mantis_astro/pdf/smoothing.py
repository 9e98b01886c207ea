"""Exact smoothing of binned densities by a Gaussian in ln(1 + z)."""

from functools import lru_cache

import numpy as np
from scipy.sparse import csr_matrix
from scipy.special import ndtr

from mantis_astro import binned

__all__ = ["SMOOTH_KEY", "smooth_rows"]

#: Key of ``RedshiftPDF.meta`` that says how wide p(z) were smoothed; it fits FITS.
SMOOTH_KEY = "PZSMOOTH"

_REACH = 5.0  # standard deviations, beyond which nothing is carried


def smooth_rows(bin_edges, rows, width):
    """
    Smooth densities by a Gaussian in ln(1 + z).

    The probability of each bin, spread evenly over ln(1 + z) within it, is carried to
    its neighbours; what would cross an end of the range is reflected there. So the sum
    of each row is kept, and a density that is even in ln(1 + z) stays what it is.

    Parameters
    ----------
    bin_edges : `~numpy.ndarray`
        Shape (n_bins + 1,).
    rows : `~numpy.ndarray`
        Probabilities, shape (n, n_bins).
    width : float
        Standard deviation of the Gaussian, positive.

    Returns
    -------
    `~numpy.ndarray`
        Same shape, float64. Each row is worked out alone, bit for bit.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.pdf.smoothing import smooth_rows
    >>> edges = np.expm1(np.linspace(0, 0.05, 6))
    >>> smooth_rows(edges, np.array([[0.0, 0, 1, 0, 0]]), 0.01).round(2)
    array([[0.07, 0.24, 0.37, 0.24, 0.07]])
    """
    matrix = _matrix(np.asarray(bin_edges, float).tobytes(), float(width))
    return binned.map_rows(lambda block: (matrix @ block.T).T, rows)


@lru_cache(maxsize=32)
def _matrix(edges, width):
    """Share of each bin (column) that comes to each bin (row); few are not 0."""
    x = np.log1p(np.frombuffer(edges))
    low, high = x[:-1, None], x[1:, None]

    def carried_below(at):
        """Share of each bin that comes below some places, shape (n_bins, n_place)."""
        return (
            width
            / (high - low)
            * (_integral((at - low) / width) - _integral((at - high) / width))
        )

    share = np.diff(carried_below(x), axis=1)
    for end in (x[0], x[-1]):  # mirrored bins, whose edges come in reverse order
        share -= np.diff(carried_below(2 * end - x), axis=1)
    gap = np.maximum(x[:-1] - high, low - x[1:])  # between the two bins
    share[(gap > _REACH * width) | (share < 0)] = 0
    share /= share.sum(axis=1, keepdims=True)
    return csr_matrix(share.T)


def _integral(t):
    """Integral of the cumulative normal distribution."""
    return t * ndtr(t) + np.exp(-(t**2) / 2) / np.sqrt(2 * np.pi)
