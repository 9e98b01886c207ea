"""Decay of a kernel's eigenvalues, a measure of its regularity."""

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from mantis_astro.kernels.arrays import as_matrix

__all__ = ["EigenvalueDecay", "eigenvalue_decay"]


@dataclass(frozen=True, eq=False)
class EigenvalueDecay:
    """
    Eigenvalues of a kernel on a sample, and how they fall.

    Attributes
    ----------
    eigenvalues : `~numpy.ndarray`
        Of ``K / n``, from the largest, those above rounding.
    exponent : float
        s of the best ``eigenvalue_k ~ k^-s``: about ``2 r + d`` for functions of d
        variables with r derivatives.
    rate : float
        c of the best ``eigenvalue_k ~ exp(-c k)``, as analytic kernels have it.
    exponential : bool
        Whether the second describes them better.
    effective_dimension : float
        ``(sum eigenvalue)^2 / sum eigenvalue^2``: how many directions matter.
    """

    eigenvalues: np.ndarray
    exponent: float
    rate: float
    exponential: bool
    effective_dimension: float


def eigenvalue_decay(features, *, skip=1):
    """
    Fit the decay of the eigenvalues of a kernel.

    Parameters
    ----------
    features : array_like or `torch.Tensor`
        Features of a sample, shape (n, n_feature); the eigenvalues are the squares of
        their singular values over n, so that they are known to 32 digits where those
        of the Gram matrix are known to 16.
    skip : int, optional
        Largest eigenvalues that are left out of the fits: the mean of the sample and
        the like.

    Returns
    -------
    EigenvalueDecay
        Eigenvalues, exponent and rate.

    Raises
    ------
    ValueError
        If there are fewer than three eigenvalues above rounding to fit.

    Notes
    -----
    The regularity of the kernel is what Qadeer et al. 2023 (arXiv:2310.18612) name as
    what decides between conjugate and tangent kernel.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.kernels import eigenvalue_decay
    >>> decay = eigenvalue_decay(np.diag(np.arange(1.0, 51.0) ** -1.5))
    >>> decay.exponent, decay.exponential
    (3.0, False)
    """
    features = as_matrix(features, "features")
    values = scipy.linalg.svdvals(features, check_finite=False)
    floor = max(features.shape) * np.finfo(float).eps * values[0]
    eigenvalues = values[values > floor] ** 2 / len(features)
    fitted = eigenvalues[skip:]
    if len(fitted) < 3:
        msg = (
            f"a fit needs three eigenvalues above rounding after the first {skip}, "
            f"there are {len(fitted)}"
        )
        raise ValueError(msg)
    k = np.arange(1 + skip, 1 + len(eigenvalues))
    logs = np.log(fitted)
    exponent, power_misfit = _slope(np.log(k), logs)
    rate, exponential_misfit = _slope(k, logs)
    return EigenvalueDecay(
        eigenvalues=eigenvalues,
        exponent=-exponent,
        rate=-rate,
        exponential=bool(exponential_misfit < power_misfit),
        effective_dimension=float(eigenvalues.sum() ** 2 / np.sum(eigenvalues**2)),
    )


def _slope(x, y):
    """Least-squares slope, and the sum of squared residuals."""
    x, y = x - x.mean(), y - y.mean()
    slope = float(x @ y / (x @ x))
    return slope, float(np.sum((y - slope * x) ** 2))
