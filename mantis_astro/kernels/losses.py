"""Relative test losses of kernels and networks, and bounds on them."""

from dataclasses import dataclass

import numpy as np

from mantis_astro.kernels.arrays import as_matrix
from mantis_astro.kernels.linear import ridge_regression

__all__ = [
    "LossBounds",
    "log_loss_bound",
    "relative_loss_bounds",
    "relative_test_loss",
    "root_mean_square",
]


@dataclass(frozen=True)
class LossBounds:
    """
    Test loss of a kernel relative to a reference, with its bounds.

    Attributes
    ----------
    ratio : float
        Measured: loss of the kernel over loss of the reference.
    lower, upper : float
        Bounds on it, ``1 -+ (prolonged + outside) / loss(reference)``, not below 0.
    prolonged : float
        What the kernel makes of the reference's training residual, on the test points
        (root mean square).
    outside : float
        Part of the reference that the kernel cannot represent, on the test points.
    amplification : float
        How much the kernel can at most enlarge any training residual, root mean square
        over root mean square: ``prolonged`` is at most this times the reference's
        training loss.
    """

    ratio: float
    lower: float
    upper: float
    prolonged: float
    outside: float
    amplification: float


def root_mean_square(values):
    """
    Root of the mean square, the loss of a regression.

    Parameters
    ----------
    values : array_like or `torch.Tensor`
        Errors, shape (n,) or (n, n_target).

    Returns
    -------
    float
        Over all of them.
    """
    return float(np.sqrt(np.mean(as_matrix(values, "values") ** 2)))


def relative_test_loss(predicted, reference, truth):
    """
    Loss of one prediction over that of another.

    Parameters
    ----------
    predicted, reference, truth : array_like or `torch.Tensor`
        On the test points, each of shape (n,) or (n, n_target).

    Returns
    -------
    float
        ``rms(predicted - truth) / rms(reference - truth)``: below 1, the first is
        better.

    Examples
    --------
    >>> from mantis_astro.kernels import relative_test_loss
    >>> relative_test_loss([1.0, 2.0], [2.0, 3.0], [1.5, 2.5])
    1.0
    """
    truth = as_matrix(truth, "truth")
    first = root_mean_square(as_matrix(predicted, "predicted") - truth)
    return first / root_mean_square(as_matrix(reference, "reference") - truth)


def relative_loss_bounds(features, test_features, *, truth, reference):
    """
    Bound a kernel's test loss by that of a reference that need not be a kernel.

    Parameters
    ----------
    features, test_features : array_like or `torch.Tensor`
        Features of the kernel at the n training and m test points, n_feature each.
    truth, reference : tuple of array_like
        The function, and what the reference predicts, each at the training and the
        test points: two arrays of shapes (n,) and (m,), or with a second axis.

    Returns
    -------
    LossBounds
        Ratio of the losses and its bounds.

    Notes
    -----
    Let ``I g`` be the kernel's (least-norm) regression of the training values of g. As
    it is linear, for a function f and any reference g

        ``f - I f = (f - g) + (g - I g) - I (f - g)``,

    and so the kernel's loss lies within ``rms(I (f - g)) + rms(g - I g)`` of that of
    the reference. The first is the training residual of the reference, prolonged to
    the test points; the second is what of the reference lies outside the kernel's
    span. A network lies in the span of its conjugate kernel, where the second is zero:
    the loss of the kernel over that of the network is then bounded by the prolonged
    training residual alone. With g the conjugate kernel's regression and the tangent
    kernel's ``I``, the same sentence compares the two kernels. How large ``I`` can be
    is a matter of the decay of the kernel's eigenvalues, see `eigenvalue_decay`.

    These are the quantities that Qadeer et al. 2023 (arXiv:2310.18612) measure along
    training; the bounds here are derived from the identity above.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.kernels import relative_loss_bounds
    >>> x, x_test = np.linspace(-1, 1, 9), np.linspace(-1, 1, 50)
    >>> features, test_features = (np.vander(x, 4), np.vander(x_test, 4))
    >>> bounds = relative_loss_bounds(  # of a cubic, against a straight line
    ...     features, test_features,
    ...     truth=(np.exp(x), np.exp(x_test)),
    ...     reference=(1 + x, 1 + x_test),
    ... )
    >>> bounds.lower <= bounds.ratio <= bounds.upper
    True
    """
    features = as_matrix(features, "features")
    test_features = as_matrix(test_features, "test_features")
    f, f_test = (as_matrix(part, "truth") for part in truth)
    g, g_test = (as_matrix(part, "reference") for part in reference)
    columns = np.concatenate([f, f - g, g], axis=1)
    solution = ridge_regression(features, columns, alpha=0)
    fitted, prolonged, projected = np.split(solution.predict(test_features), 3, axis=1)
    loss = root_mean_square(f_test - g_test)
    prolonged = root_mean_square(prolonged)
    outside = root_mean_square(g_test - projected)
    slack = (prolonged + outside) / loss
    return LossBounds(
        ratio=root_mean_square(f_test - fitted) / loss,
        lower=max(0.0, 1 - slack),
        upper=1 + slack,
        prolonged=prolonged,
        outside=outside,
        amplification=_amplification(solution, test_features, len(features)),
    )


def log_loss_bound(margin, reference):
    """
    Bound the difference of two binary log losses by their margins.

    Parameters
    ----------
    margin, reference : array_like or `torch.Tensor`
        Log odds that two classifiers give the test points, shape (n,).

    Returns
    -------
    float
        ``mean |margin - reference|``: as the log loss changes by at most 1 for each
        unit of log odds, their mean log losses, in nats, differ by at most this.

    Examples
    --------
    >>> from mantis_astro.kernels import log_loss_bound
    >>> log_loss_bound([1.0, -2.0], [1.5, -2.0])
    0.25
    """
    difference = as_matrix(margin, "margin") - as_matrix(reference, "reference")
    return float(np.mean(np.abs(difference)))


def _amplification(solution, test_features, n):
    prolongation = (test_features @ solution.right.T) / solution.singular_values
    largest = np.linalg.norm(prolongation, 2)
    return float(largest * np.sqrt(n / len(test_features)))
