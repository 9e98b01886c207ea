"""Gaussian approximation of a binned density, and its error."""

from typing import NamedTuple

import numpy as np

from mantis_astro import binned

__all__ = ["GaussianApproximation", "approximate"]


class GaussianApproximation(NamedTuple):
    """
    A Gaussian in place of a density.

    Attributes
    ----------
    mean, std : float
        Mean and standard deviation in redshift.
    misfit : float
        Share of probability in the wrong bins, from 0 to 1 (the total variation
        distance); above about 0.1 a Gaussian misrepresents the density.
    """

    mean: float
    std: float
    misfit: float


def approximate(bin_edges, probability):
    """
    Match a Gaussian by its first two moments.

    Parameters
    ----------
    bin_edges : ndarray
        Shape ``(n_bins + 1,)``.
    probability : ndarray
        Shape ``(n_bins,)``.

    Returns
    -------
    GaussianApproximation
        Mean, standard deviation, and the misfit of the Gaussian cut at the ends of
        the bins.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.priors.gaussian import approximate
    >>> approximate(np.array([0.0, 1.0]), np.array([1.0])).misfit  # a single bin
    0.0
    """
    from scipy.special import ndtr

    mean = float(binned.mean(bin_edges, probability[None])[0])
    std = float(binned.std(bin_edges, probability[None])[0])
    gaussian = np.diff(ndtr((bin_edges - mean) / std))
    misfit = float(abs(probability - gaussian / gaussian.sum()).sum() / 2)
    return GaussianApproximation(mean, std, misfit)
