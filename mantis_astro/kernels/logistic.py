"""Multinomial logistic regression in a feature space, from and toward given weights."""

import logging
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.optimize
import scipy.sparse.linalg
from scipy.special import logsumexp

from mantis_astro.kernels.arrays import as_array, as_matrix, as_weights, check_alpha

__all__ = [
    "LogisticSolution",
    "LogisticTask",
    "log_loss",
    "logistic_regression",
    "minimize",
    "span",
]

log = logging.getLogger(__name__)

_NEWTON_SIZE = 1500  # unknowns up to which the Hessian is formed and solved


@dataclass(frozen=True, eq=False)
class LogisticSolution:
    """
    Weights that a logistic regression found.

    Attributes
    ----------
    coef : `~numpy.ndarray`
        Weights, shape (n_feature, n_class); logits are ``features @ coef``.
    alpha : float
        Penalty.
    loss : float
        What was minimised, at the solution.
    gradient : float
        Largest entry of its gradient there.
    converged : bool
        Whether that is below the tolerance.
    """

    coef: np.ndarray
    alpha: float
    loss: float
    gradient: float
    converged: bool

    def logits(self, features):
        """
        Compute logits.

        Parameters
        ----------
        features : array_like or `torch.Tensor`
            Shape (n, n_feature).

        Returns
        -------
        `~numpy.ndarray`
            Shape (n, n_class).
        """
        features = as_matrix(features, "features")
        if features.shape[1] != len(self.coef):
            msg = (
                f"'features' must have the {len(self.coef)} columns of the fit, got "
                f"{features.shape[1]}"
            )
            raise ValueError(msg)
        return features @ self.coef

    def predict_probability(self, features):
        """
        Compute the probability of each class.

        Parameters
        ----------
        features : array_like or `torch.Tensor`
            Shape (n, n_feature).

        Returns
        -------
        `~numpy.ndarray`
            Shape (n, n_class); rows sum to 1.
        """
        return _softmax(self.logits(features))


def logistic_regression(
    features,
    targets,
    *,
    alpha,
    n_classes=None,
    sample_weight=None,
    toward=None,
    start=None,
    tolerance=1e-8,
    max_iterations=1000,
):
    """
    Minimise ``-sum_i w_i sum_c t_ic ln p_ic + alpha/2 |B - B0|^2``, p the softmax.

    Parameters
    ----------
    features : array_like or `torch.Tensor`
        Shape (n, n_feature), more or fewer rows than columns. There is no intercept:
        a feature that is always 1 is one, and is penalised as the others are.
    targets : array_like or `torch.Tensor`
        Classes from 0 as integers, shape (n,); or the probability of each class, shape
        (n, n_class).
    alpha : float
        Penalty, positive. scikit-learn's ``C`` is ``1 / alpha``; its two-class case
        has one column of weights, and then ``C = 2 / alpha``.
    n_classes : int, optional
        Number of classes; by default as ``targets`` or ``toward`` say.
    sample_weight : array_like, optional
        Weights of the rows, shape (n,).
    toward : array_like, optional
        ``B0``, shape (n_feature, n_class): the weights that the penalty pulls to,
        those of a trained head; zero by default. Few samples then change little.
    start : array_like, optional
        Weights to begin from, such as the solution of another ``alpha``; ``toward``
        by default.
    tolerance : float, optional
        Largest entry of the gradient at the solution, as a share of the sum of the
        weights.
    max_iterations : int, optional
        Iterations at most.

    Returns
    -------
    LogisticSolution
        With ``coef``, ``logits`` and ``predict_probability``.

    Raises
    ------
    ValueError
        If something is not finite, shapes do not match, ``alpha`` is not positive,
        or all samples are of one class.

    Notes
    -----
    With more features than samples the problem is rotated into the span of the samples
    first, which changes nothing (the representer theorem). Newton steps; above 1500
    unknowns after L-BFGS, and their linear systems by conjugate gradients.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.kernels import logistic_regression
    >>> features = np.array([[-2.0, 1], [-1, 1], [1, 1], [2, 1]])
    >>> fit = logistic_regression(features, [0, 0, 1, 1], alpha=0.1)
    >>> fit.predict_probability([[0.0, 1.0]])
    array([[0.5, 0.5]])
    """
    alpha = check_alpha(alpha, zero=False)
    task = LogisticTask.of(
        features,
        targets,
        n_classes=n_classes,
        sample_weight=sample_weight,
        toward=toward,
    )
    shape = task.toward.shape
    start = task.toward if start is None else _of_shape(start, shape, "start")
    change, *facts = minimize(
        task.features,
        task.share,
        task.weights,
        offset=task.features @ task.toward,
        alpha=alpha,
        start=start - task.toward,
        tolerance=tolerance,
        max_iterations=max_iterations,
    )
    return LogisticSolution(task.toward + change, alpha, *facts)


@dataclass(frozen=True, eq=False)
class LogisticTask:
    """
    Checked arguments of a logistic regression.

    Attributes
    ----------
    features : `~numpy.ndarray`
        Shape (n, n_feature).
    share : `~numpy.ndarray`
        Probability of each class, shape (n, n_class).
    weights : `~numpy.ndarray`
        Weights of the rows, shape (n,).
    toward : `~numpy.ndarray`
        Weights that the penalty pulls to, shape (n_feature, n_class).
    """

    features: np.ndarray
    share: np.ndarray
    weights: np.ndarray
    toward: np.ndarray

    @classmethod
    def of(cls, features, targets, *, n_classes, sample_weight, toward):
        """
        Check the arguments of `logistic_regression`.

        Parameters
        ----------
        features, targets, n_classes, sample_weight, toward
            As for `logistic_regression`.

        Returns
        -------
        LogisticTask
            The same, as arrays that fit each other.
        """
        features = as_matrix(features, "features")
        n, d = features.shape
        toward = None if toward is None else as_matrix(toward, "toward")
        if n_classes is None and toward is not None:
            n_classes = toward.shape[1]
        share = _as_probability(targets, n, n_classes)
        shape = (d, share.shape[1])
        toward = (
            np.zeros(shape) if toward is None else _of_shape(toward, shape, "toward")
        )
        return cls(features, share, as_weights(sample_weight, n), toward)


def log_loss(logits, share):
    """
    Log loss of each row.

    Parameters
    ----------
    logits : `~numpy.ndarray`
        Shape (n, n_class).
    share : `~numpy.ndarray`
        Probability of each class, shape (n, n_class).

    Returns
    -------
    `~numpy.ndarray`
        In nats, shape (n,).
    """
    return logsumexp(logits, axis=1) - np.sum(share * logits, axis=1)


def span(features):
    """
    Rotate features to the span of their rows, if they outnumber the rows.

    Parameters
    ----------
    features : `~numpy.ndarray`
        Shape (n, n_feature).

    Returns
    -------
    rotation : `~numpy.ndarray` or None
        Orthonormal columns, shape (n_feature, n), in whose span the weights at any
        minimum lie; None if there are no more features than rows.
    reduced : `~numpy.ndarray`
        ``features @ rotation``, shape (n, n); or the features themselves.
    """
    if features.shape[1] <= len(features):
        return None, features
    rotation, upper = scipy.linalg.qr(features.T, mode="economic")
    return rotation, upper.T


def minimize(
    features, share, weights, *, offset, alpha, start, tolerance, max_iterations
):
    """
    Find the change of the weights at the minimum.

    Parameters
    ----------
    features : `~numpy.ndarray`
        Shape (n, n_feature).
    share : `~numpy.ndarray`
        Probability of each class, shape (n, n_class).
    weights : `~numpy.ndarray`
        Weights of the rows, shape (n,).
    offset : `~numpy.ndarray`
        Logits without the change, shape (n, n_class).
    alpha : float
        Penalty of the change.
    start : `~numpy.ndarray`
        Change to begin from, shape (n_feature, n_class).
    tolerance, max_iterations
        As for `logistic_regression`.

    Returns
    -------
    change : `~numpy.ndarray`
        Shape (n_feature, n_class).
    loss, gradient : float
        Value there, and the largest entry of its gradient.
    converged : bool
        Whether that is below the tolerance.
    """
    rotation, reduced = span(features)
    problem = _Problem(reduced, share * weights[:, None], weights, offset, alpha)
    change = start if rotation is None else rotation.T @ start
    limit = tolerance * weights.sum()
    if change.size > _NEWTON_SIZE:
        change, used = _lbfgs(problem, change, limit, max_iterations)
        max_iterations -= used
    change = _newton(problem, change, limit, max_iterations)
    loss, gradient = problem.loss_and_gradient(change)
    largest = float(abs(gradient).max())
    converged = bool(largest <= limit)
    if not converged:
        log.info("logistic regression stopped at a gradient of %.2g", largest)
    change = change if rotation is None else rotation @ change
    return change, loss, largest, converged


class _Problem:
    """The loss as a function of the change of the weights, (n_feature, n_class)."""

    def __init__(self, features, target, weights, offset, alpha):
        self.features, self.target, self.weights = features, target, weights
        self.offset, self.alpha = offset, alpha

    def probability(self, change):
        return _softmax(self.offset + self.features @ change)

    def loss_and_gradient(self, change):
        logits = self.features @ change
        logits += self.offset
        logits -= logits.max(axis=1, keepdims=True)
        loss = -np.vdot(self.target, logits)
        np.exp(logits, out=logits)  # one exponential, in place: most of the time
        total = logits.sum(axis=1)
        loss += self.weights @ np.log(total)
        logits *= (self.weights / total)[:, None]
        residual = np.subtract(logits, self.target, out=logits)
        gradient = self.features.T @ residual + self.alpha * change
        return float(loss + self.alpha / 2 * np.sum(change**2)), gradient

    def curvature(self, direction, p):
        """Product of the Hessian with a direction, where probabilities are p."""
        along = self.features @ direction
        along = p * (along - np.sum(p * along, axis=1, keepdims=True))
        product = self.features.T @ (along * self.weights[:, None])
        return product + self.alpha * direction

    def hessian(self, change):
        """Second derivatives, (n_feature * n_class,) twice, class running fastest."""
        p = self.probability(change)
        d, c = change.shape
        weighted = p * self.weights[:, None]
        blocks = np.zeros((d, c, d, c))
        for k in range(c):
            for m in range(k + 1):
                curvature = weighted[:, k] * ((k == m) - p[:, m])
                block = (self.features * curvature[:, None]).T @ self.features
                blocks[:, k, :, m] = blocks[:, m, :, k] = block
        hessian = blocks.reshape(d * c, d * c)
        hessian[np.diag_indices(d * c)] += self.alpha
        return hessian


def _newton(problem, change, tolerance, max_iterations):
    """Newton steps, halved until the loss falls enough."""
    loss, gradient = problem.loss_and_gradient(change)
    for _ in range(min(max_iterations, 50)):  # they converge quadratically
        if abs(gradient).max() <= tolerance:
            break
        step = _newton_step(problem, change, gradient)
        slope, length = np.sum(gradient * step), 1.0
        while True:
            trial = change - length * step
            trial_loss, trial_gradient = problem.loss_and_gradient(trial)
            enough = trial_loss <= loss - 1e-4 * length * slope
            # near the minimum the loss is level to rounding; the gradient still falls
            if enough or abs(trial_gradient).max() < abs(gradient).max():
                break
            length /= 2
            if length < 1e-12:
                return change
        change, loss, gradient = trial, trial_loss, trial_gradient
    return change


def _newton_step(problem, change, gradient):
    """Solve the Hessian for the gradient."""
    if change.size <= _NEWTON_SIZE:
        factor = scipy.linalg.cho_factor(problem.hessian(change), check_finite=False)
        return scipy.linalg.cho_solve(factor, gradient.ravel()).reshape(change.shape)
    size, p = change.size, problem.probability(change)
    operator = scipy.sparse.linalg.LinearOperator(
        (size, size),
        matvec=lambda v: problem.curvature(v.reshape(change.shape), p).ravel(),
        dtype=np.float64,
    )
    step, _ = scipy.sparse.linalg.cg(operator, gradient.ravel(), rtol=1e-3, maxiter=100)
    return step.reshape(change.shape)


def _lbfgs(problem, change, tolerance, max_iterations):
    """Minimum that L-BFGS finds, and the number of iterations."""
    shape = change.shape

    def objective(flat):
        loss, gradient = problem.loss_and_gradient(flat.reshape(shape))
        return loss, gradient.ravel()

    answer = scipy.optimize.minimize(
        objective,
        change.ravel(),
        jac=True,
        method="L-BFGS-B",
        options={
            "gtol": tolerance,
            "ftol": 1e-15,
            "maxiter": max_iterations,
            "maxfun": 2 * max_iterations,
            "maxcor": 20,
        },
    )
    return answer.x.reshape(shape), answer.nit


def _as_probability(targets, n, n_classes):
    """Targets as the probability of each class, shape (n, n_class)."""
    targets = as_array(targets, "targets")
    if len(targets) != n:
        msg = f"'targets' must have one row for each of {n}, got {len(targets)}"
        raise ValueError(msg)
    if targets.ndim == 2:
        return _soft(as_matrix(targets, "targets"), n_classes)
    if targets.dtype.kind not in "iub":
        msg = f"'targets' must be classes from 0 as integers, got {targets.dtype}"
        raise ValueError(msg)
    count = int(targets.max()) + 1 if n_classes is None else n_classes
    if targets.min() < 0 or targets.max() >= count:
        msg = (
            f"'targets' must be classes from 0 to {count - 1}, got "
            f"{targets.min()} to {targets.max()}"
        )
        raise ValueError(msg)
    if len(np.unique(targets)) < 2:
        msg = f"'targets' must be of at least two classes, got only {targets[0]}"
        raise ValueError(msg)
    return np.eye(count)[targets.astype(int)]


def _soft(share, n_classes):
    if n_classes is not None and share.shape[1] != n_classes:
        msg = f"'targets' must have {n_classes} columns, got {share.shape[1]}"
        raise ValueError(msg)
    if share.min() < 0 or abs(share.sum(axis=1) - 1).max() > 1e-6:
        msg = (
            "rows of 'targets' must be probabilities that sum to 1, got sums from "
            f"{share.sum(axis=1).min():g} to {share.sum(axis=1).max():g}"
        )
        raise ValueError(msg)
    if np.count_nonzero(share.sum(axis=0)) < 2:
        msg = "'targets' must be of at least two classes, got only one"
        raise ValueError(msg)
    return share


def _of_shape(matrix, shape, name):
    matrix = as_matrix(matrix, name)
    if matrix.shape != shape:
        msg = (
            f"'{name}' must have one row for each feature and one column for each "
            f"class: expected shape {shape}, got {matrix.shape}"
        )
        raise ValueError(msg)
    return matrix


def _softmax(logits):
    return np.exp(logits - logsumexp(logits, axis=1, keepdims=True))
