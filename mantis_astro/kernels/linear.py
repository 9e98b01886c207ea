"""
Ridge regression in a feature space, by the singular values of the features.

The Gram matrix has the squares of those singular values, so that half of the digits are
lost before a solver sees it: with features of a trained network, its pseudo-inverse
gives errors of 5e-5 where the features give 1e-8. It is never formed here.
"""

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from mantis_astro.kernels.arrays import as_matrix, as_weights, check_alpha

__all__ = [
    "KernelRegression",
    "RidgePath",
    "RidgeSolution",
    "kernel_regression",
    "ridge_path",
    "ridge_regression",
    "ridge_solutions",
]


@dataclass(frozen=True, eq=False)
class RidgeSolution:
    """
    Weights that a ridge regression found.

    Attributes
    ----------
    coef : `~numpy.ndarray`
        Weights, shape (n_feature, n_target), or (n_feature,) for targets of one
        dimension.
    alpha : float
        Ridge parameter.
    rank : int
        Number of singular values above rounding.
    right, singular_values : `~numpy.ndarray`
        Singular vectors, shape (rank, n_feature), and values of the (weighted)
        features.
    """

    coef: np.ndarray
    alpha: float
    rank: int
    right: np.ndarray
    singular_values: np.ndarray

    def predict(self, features):
        """
        Predict targets.

        Parameters
        ----------
        features : array_like or `torch.Tensor`
            Shape (n, n_feature).

        Returns
        -------
        `~numpy.ndarray`
            Shape (n, n_target) or (n,), as the targets were.
        """
        return self._checked(features) @ self.coef

    def variance(self, features, *, noise_variance=None):
        """
        Predictive variance of the function, as of a Gaussian process.

        Parameters
        ----------
        features : array_like or `torch.Tensor`
            Shape (n, n_feature).
        noise_variance : float, optional
            Variance of the noise of the targets; by default ``alpha``, for which the
            prior of the function is the kernel itself. Another scales the prior with
            it.

        Returns
        -------
        `~numpy.ndarray`
            ``k(x, x) - k(x, X) (K + alpha)^-1 k(X, x)``, shape (n,), without the noise.

        Notes
        -----
        Rasmussen & Williams 2006, equation 2.26. In feature space, directions the
        sample has measured with singular value s keep ``alpha / (s^2 + alpha)`` of
        their variance, the others all of it.
        """
        features = self._checked(features)
        scores = features @ self.right.T  # (n, rank)
        spread = self.singular_values**2 + self.alpha
        kept = np.ones_like(spread)  # of zero features without a ridge, all
        np.divide(self.alpha, spread, out=kept, where=spread > 0)
        outside = features - scores @ self.right
        variance = scores**2 @ kept + np.einsum("ij,ij->i", outside, outside)
        if noise_variance is None:
            return variance
        return variance * (noise_variance / check_alpha(self.alpha, zero=False))

    def _checked(self, features):
        features = as_matrix(features, "features")
        if features.shape[1] != len(self.coef):
            msg = (
                f"'features' must have the {len(self.coef)} columns of the fit, got "
                f"{features.shape[1]}"
            )
            raise ValueError(msg)
        return features


@dataclass(frozen=True, eq=False)
class RidgePath:
    """
    Errors of many ridge parameters, and the best of them.

    Attributes
    ----------
    alphas : `~numpy.ndarray`
        The parameters, shape (n_alpha,).
    errors : `~numpy.ndarray`
        Mean squared error of each, by the criterion of the path.
    criterion : str
        ``"loo"``, ``"gcv"`` or ``"validation"``.
    best : RidgeSolution
        Solution of the parameter of least error.
    """

    alphas: np.ndarray
    errors: np.ndarray
    criterion: str
    best: RidgeSolution


def ridge_regression(features, targets, *, alpha, sample_weight=None):
    """
    Minimise ``sum_i w_i |y_i - B phi_i|^2 + alpha |B|^2``.

    Parameters
    ----------
    features : array_like or `torch.Tensor`
        Shape (n, n_feature), more or fewer rows than columns. There is no intercept:
        a feature that is always 1 is one, and is penalised as the others are.
    targets : array_like or `torch.Tensor`
        Shape (n,) or (n, n_target).
    alpha : float
        Ridge parameter. With 0, of all least-squares solutions that of the least norm.
    sample_weight : array_like, optional
        Weights of the rows, shape (n,).

    Returns
    -------
    RidgeSolution
        With ``coef``, ``predict`` and ``variance``.

    Raises
    ------
    ValueError
        If something is not finite, shapes do not match or ``alpha`` is negative.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.kernels import ridge_regression
    >>> features = np.array([[1.0, 1.0], [2.0, 1.0], [3.0, 1.0]])
    >>> ridge_regression(features, [3.0, 5.0, 7.0], alpha=0).coef  # 2 x + 1
    array([2., 1.])
    """
    alpha = check_alpha(alpha, zero=True)
    return _Decomposition(features, targets, sample_weight).solve(alpha)


def ridge_solutions(features, targets, *, alphas, sample_weight=None):
    """
    Solve for many ridge parameters from one decomposition.

    Parameters
    ----------
    features, targets : array_like or `torch.Tensor`
        As for `ridge_regression`.
    alphas : sequence of float
        Ridge parameters.
    sample_weight : array_like, optional
        Weights of the rows, shape (n,).

    Yields
    ------
    RidgeSolution
        One for each parameter, in their order.

    Raises
    ------
    ValueError
        As `ridge_regression`.
    """
    alphas = [check_alpha(alpha, zero=True) for alpha in alphas]
    decomposition = _Decomposition(features, targets, sample_weight)
    for alpha in alphas:
        yield decomposition.solve(alpha)


def ridge_path(
    features,
    targets,
    *,
    alphas=None,
    sample_weight=None,
    criterion="loo",
    validation=None,
):
    """
    Choose the ridge parameter, all of them from one decomposition.

    Parameters
    ----------
    features, targets
        As for `ridge_regression`.
    alphas : array_like, optional
        Parameters to try; by default 31 from 1e-12 to 1e3 of the mean squared singular
        value.
    sample_weight : array_like, optional
        Weights of the rows, shape (n,).
    criterion : str, optional
        ``"loo"``: the error of leaving each row out in turn, exact; ``"gcv"``:
        generalised cross-validation, its rotation-invariant form, for which a row of
        weight 2 is two rows.
    validation : tuple of array_like, optional
        Features and targets of another sample; its error is used instead.

    Returns
    -------
    RidgePath
        Errors of all, and the best solution.

    Raises
    ------
    ValueError
        If something is not finite, shapes do not match, a parameter is not positive or
        the criterion is another word.

    Notes
    -----
    Leaving out row i changes its residual to ``r_i / (1 - H_ii)`` with the hat matrix
    ``H = U s^2/(s^2 + alpha) U^T`` (Golub, Heath & Wahba 1979, Technometrics 21, 215,
    who put the mean of H_ii in its place for "gcv"). For rows that must not be
    separated, such as one galaxy observed twice, it is too hopeful: use ``validation``.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.kernels import ridge_path
    >>> rng = np.random.default_rng(1)
    >>> features = rng.normal(size=(40, 30))
    >>> targets = features[:, 0] + rng.normal(size=40)
    >>> path = ridge_path(features, targets)
    >>> 1 < path.best.alpha < 1000
    True
    """
    if criterion not in ("loo", "gcv"):
        msg = f"'criterion' must be 'loo' or 'gcv', got {criterion!r}"
        raise ValueError(msg)
    decomposition = _Decomposition(features, targets, sample_weight)
    if alphas is None:
        alphas = np.geomspace(1e-12, 1e3, 31) * decomposition.scale
    alphas = np.array([check_alpha(a, zero=False) for a in np.atleast_1d(alphas)])
    if validation is None:
        errors = [decomposition.left_out_error(a, criterion) for a in alphas]
    else:
        criterion = "validation"
        errors = decomposition.errors_on(*validation, alphas)
    best = decomposition.solve(alphas[int(np.argmin(errors))])
    return RidgePath(alphas, np.array(errors), criterion, best)


@dataclass(frozen=True, eq=False)
class KernelRegression:
    """
    Kernel and its fitted coefficients.

    Attributes
    ----------
    kernel : Kernel
        The kernel.
    solution : RidgeSolution
        Solution in its feature space.
    """

    kernel: object
    solution: RidgeSolution

    def predict(self, x):
        """
        Predict targets.

        Parameters
        ----------
        x : tensor, array, or tuple or mapping of such
            What the kernel reads; first axes n.

        Returns
        -------
        `~numpy.ndarray`
            Shape (n, n_target) or (n,), as the targets were.
        """
        return self.solution.predict(self.kernel.features(x))

    def variance(self, x, *, noise_variance=None):
        """
        Predictive variance, see `RidgeSolution.variance`.

        Parameters
        ----------
        x : tensor, array, or tuple or mapping of such
            What the kernel reads; first axes n.
        noise_variance : float, optional
            Variance of the noise of the targets; by default ``alpha``.

        Returns
        -------
        `~numpy.ndarray`
            Shape (n,).
        """
        features = self.kernel.features(x)
        return self.solution.variance(features, noise_variance=noise_variance)


def kernel_regression(kernel, x, targets, *, alpha=0.0, sample_weight=None):
    """
    Kernel (ridge) regression, ``f(x) = Y (K(X, X) + alpha)^-1 K(X, x)``.

    Parameters
    ----------
    kernel : Kernel
        The kernel.
    x : tensor, array, or tuple or mapping of such
        What it reads; first axes n.
    targets : array_like or `torch.Tensor`
        Shape (n,) or (n, n_target).
    alpha : float or str, optional
        Ridge parameter; 0 stands for the pseudo-inverse, ``"loo"`` and ``"gcv"`` for
        the best of a path, see `ridge_path`.
    sample_weight : array_like, optional
        Weights of the samples, shape (n,).

    Returns
    -------
    KernelRegression
        With ``predict`` and ``variance``.

    Raises
    ------
    ValueError
        As `ridge_regression`.

    Notes
    -----
    Qadeer et al. 2023 (arXiv:2310.18612), solved in feature space.

    Examples
    --------
    >>> import torch
    >>> from mantis_astro.kernels import Linear, kernel_regression
    >>> x = torch.tensor([[0.0], [1.0], [2.0]])
    >>> fit = kernel_regression(Linear() * Linear(), x, x[:, 0] ** 2)
    >>> fit.predict(torch.tensor([[3.0]]))
    array([9.])
    """
    features = kernel.features(x)
    if isinstance(alpha, str):
        solution = ridge_path(
            features, targets, sample_weight=sample_weight, criterion=alpha
        ).best
    else:
        solution = ridge_regression(
            features, targets, alpha=alpha, sample_weight=sample_weight
        )
    return KernelRegression(kernel, solution)


class _Decomposition:
    """Singular values of weighted features, and the targets as they see them."""

    def __init__(self, features, targets, sample_weight):
        features = as_matrix(features, "features")
        self.one_dimensional = np.ndim(targets) == 1
        targets = as_matrix(targets, "targets")
        n, d = features.shape
        if len(targets) != n:
            msg = f"'targets' must have one row for each of {n}, got {len(targets)}"
            raise ValueError(msg)
        self.weights = as_weights(sample_weight, n)
        root = np.sqrt(self.weights)[:, None]
        precision = np.finfo(np.float64).eps
        self.left, values, self.right = _svd(root * features)
        rank = max(1, int(np.sum(values > max(n, d) * precision * values[0])))
        self.left, self.right = self.left[:, :rank], self.right[:rank]
        self.values = values[:rank]
        self.targets = root * targets
        self.scores = self.left.T @ self.targets  # (rank, n_target)

    @property
    def scale(self):
        return np.mean(self.values**2) or 1.0

    def shrunk(self, alpha):
        """Scores over singular values; zero features give zero weights."""
        values = self.values
        with np.errstate(divide="ignore", invalid="ignore"):
            gain = np.where(values > 0, values / (values**2 + alpha), 0.0)
        return gain[:, None] * self.scores

    def solve(self, alpha):
        coef = self.right.T @ self.shrunk(alpha)
        return RidgeSolution(
            coef[:, 0] if self.one_dimensional else coef,
            float(alpha),
            len(self.values),
            self.right,
            self.values,
        )

    def left_out_error(self, alpha, criterion):
        kept = self.values**2 / (self.values**2 + alpha)
        fitted = self.left @ (kept[:, None] * self.scores)
        leverage = self.left**2 @ kept
        if criterion == "gcv":
            leverage = np.full_like(leverage, leverage.sum() / self.weights.sum())
        gap = np.maximum(1 - leverage, np.finfo(float).eps)[:, None]
        residual = (self.targets - fitted) / gap  # times the root of the weight
        return float(np.sum(residual**2) / self.weights.sum() / residual.shape[1])

    def errors_on(self, features, targets, alphas):
        features = as_matrix(features, "validation features")
        targets = as_matrix(targets, "validation targets")
        if features.shape[1] != self.right.shape[1] or len(targets) != len(features):
            msg = (
                f"'validation' must hold features of {self.right.shape[1]} columns and "
                f"as many targets, got {features.shape} and {targets.shape}"
            )
            raise ValueError(msg)
        scores = features @ self.right.T
        return [
            float(np.mean((targets - scores @ self.shrunk(a)) ** 2)) for a in alphas
        ]


def _svd(matrix):
    try:
        return scipy.linalg.svd(matrix, full_matrices=False, check_finite=False)
    except np.linalg.LinAlgError:  # divide and conquer can fail where QR does not
        return scipy.linalg.svd(
            matrix, full_matrices=False, check_finite=False, lapack_driver="gesvd"
        )
