"""The penalty of a logistic regression, chosen by the loss of rows left out."""

from dataclasses import dataclass

import numpy as np

from mantis_astro.kernels.arrays import as_array, as_matrix, check_alpha
from mantis_astro.kernels.logistic import (
    LogisticSolution,
    LogisticTask,
    log_loss,
    logistic_regression,
    minimize,
    span,
)

__all__ = ["LogisticPath", "kernel_logistic_regression", "logistic_path"]

# Share of the mean squared length of a feature vector: half decades.
_PENALTIES = np.geomspace(10, 1e-7, 17)


@dataclass(frozen=True, eq=False)
class LogisticPath:
    """
    Losses of many penalties, and the best of them.

    Attributes
    ----------
    alphas : `~numpy.ndarray`
        The penalties, falling, shape (n_alpha,).
    losses : `~numpy.ndarray`
        Mean loss of each on the rows left out; NaN for those that were not tried.
    criterion : str
        ``"folds"`` or ``"validation"``.
    best : LogisticSolution
        Solution for all rows, of the penalty of least loss.
    """

    alphas: np.ndarray
    losses: np.ndarray
    criterion: str
    best: LogisticSolution


def logistic_path(
    features,
    targets,
    *,
    n_classes=None,
    sample_weight=None,
    toward=None,
    alphas=None,
    folds=5,
    validation=None,
    loss=None,
    patience=4,
    tolerance=1e-6,
    max_iterations=1000,
):
    """
    Choose the penalty of a logistic regression by the loss of rows that are left out.

    Parameters
    ----------
    features, targets, n_classes, sample_weight, toward
        As for `logistic_regression`.
    alphas : array_like, optional
        Penalties to try, positive; infinity stands for ``toward`` as it is. By default
        17 from 10 to 1e-7 of the mean squared length of a feature vector.
    folds : int or array_like, optional
        Into how many parts the rows are dealt, all classes into each; or the number of
        each row's part, shape (n,), for rows that must not be separated.
    validation : tuple of array_like, optional
        Features and targets of another sample, whose loss is used instead.
    loss : callable, optional
        Called as ``loss(logits, rows)`` with what is predicted for the rows of these
        numbers, of the validation sample if there is one; returns their losses, shape
        (n_row,). By default the log loss.
    patience : int, optional
        After as many penalties in turn that are no better than the best, smaller ones
        are not tried: they take longer and longer.
    tolerance, max_iterations
        As for `logistic_regression`.

    Returns
    -------
    LogisticPath
        Losses of all, and the best solution.

    Raises
    ------
    ValueError
        If something is not finite, shapes do not match, a penalty is not positive, or
        there is one fold only.

    Notes
    -----
    Kernels of different sizes and spectra have best penalties that differ by orders of
    magnitude: they can be compared only where each has its own.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.kernels import logistic_path
    >>> rng = np.random.default_rng(1)
    >>> features = rng.normal(size=(100, 30))
    >>> classes = (features[:, 0] + rng.normal(size=100) > 0).astype(int)
    >>> path = logistic_path(features, classes)
    >>> 1 < path.best.alpha < 100
    True
    """
    task = LogisticTask.of(
        features,
        targets,
        n_classes=n_classes,
        sample_weight=sample_weight,
        toward=toward,
    )
    lengths = np.sum(task.features**2, axis=1)
    size = np.average(lengths, weights=task.weights) or 1.0
    alphas = _PENALTIES * size if alphas is None else as_array(alphas, "alphas")
    alphas = np.sort([_checked(alpha) for alpha in np.atleast_1d(alphas)])[::-1]
    descents = _descents(task, folds, validation, tolerance, max_iterations)
    loss = loss or (lambda logits, rows: log_loss(logits, descents.share[rows]))
    losses = np.full(len(alphas), np.nan)
    for k, alpha in enumerate(alphas):
        losses[k] = descents.loss(alpha, loss)
        best = int(np.nanargmin(losses))
        if np.isfinite(alphas[best]) and k - best >= patience:
            break
    whole = _Descent(task, slice(None), tolerance, max_iterations)
    for alpha in alphas[: best + 1]:
        change, *facts = whole.step(alpha)
    solution = LogisticSolution(task.toward + change, float(alphas[best]), *facts)
    return LogisticPath(alphas, losses, descents.criterion, solution)


def kernel_logistic_regression(
    kernel,
    x,
    targets,
    *,
    alpha,
    n_classes=None,
    sample_weight=None,
    toward=None,
    tolerance=1e-8,
    max_iterations=1000,
    start=None,
):
    """
    Logistic regression in the feature space of a kernel.

    Parameters
    ----------
    kernel : Kernel
        The kernel.
    x : tensor, array, or tuple or mapping of such
        What it reads; first axes n.
    targets : array_like or `torch.Tensor`
        As for `logistic_regression`.
    alpha : float or str
        Penalty of the squared norm of the function in the kernel's space; ``"cv"`` for
        the best of a path, see `logistic_path`.
    n_classes, sample_weight, toward, tolerance, max_iterations
        As for `logistic_regression`.
    start : array_like, optional
        As for `logistic_regression`; a path begins at ``toward`` always.

    Returns
    -------
    LogisticSolution
        Give ``kernel.features(x)`` to its methods.

    Raises
    ------
    ValueError
        As `logistic_regression`.
    """
    features = kernel.features(x)
    options = {
        "n_classes": n_classes,
        "sample_weight": sample_weight,
        "toward": toward,
        "tolerance": tolerance,
        "max_iterations": max_iterations,
    }
    if alpha == "cv":
        return logistic_path(features, targets, **options).best
    return logistic_regression(features, targets, alpha=alpha, start=start, **options)


class _Descent:
    """Solutions for some rows, each penalty beginning where the last one ended."""

    def __init__(self, task, rows, tolerance, max_iterations):
        self.features, self.share = task.features[rows], task.share[rows]
        self.weights, self.toward = task.weights[rows], task.toward
        self.rotation, self.reduced = span(self.features)
        self.offset = self.features @ self.toward
        n_classes = self.share.shape[1]
        self.change = np.zeros((self.reduced.shape[1], n_classes))
        self.limits = {"tolerance": tolerance, "max_iterations": max_iterations}

    def step(self, alpha):
        """Change of the weights, loss, gradient and whether it converged."""
        if np.isinf(alpha):
            shape, facts = self.toward.shape, (np.nan, 0.0, True)
            return np.zeros(shape), *facts
        self.change, *facts = minimize(
            self.reduced,
            self.share,
            self.weights,
            offset=self.offset,
            alpha=alpha,
            start=self.change,
            **self.limits,
        )
        change = self.change
        return change if self.rotation is None else self.rotation @ change, *facts


@dataclass(frozen=True, eq=False)
class _Descents:
    """Descents, with the left-out rows of each."""

    descents: list
    judged: list
    features: np.ndarray
    share: np.ndarray
    weights: np.ndarray
    toward: np.ndarray
    criterion: str

    def loss(self, alpha, loss):
        """Mean loss of a penalty over all rows left out."""
        total = weight = 0.0
        for descent, rows in zip(self.descents, self.judged, strict=True):
            change, *_ = descent.step(alpha)
            losses = loss(self.features[rows] @ (self.toward + change), rows)
            total += self.weights[rows] @ losses
            weight += self.weights[rows].sum()
        return total / weight


def _descents(task, folds, validation, *limits):
    if validation is not None:
        features = as_matrix(validation[0], "validation features")
        other = LogisticTask.of(
            features,
            validation[1],
            n_classes=task.share.shape[1],
            sample_weight=None,
            toward=task.toward,
        )
        rows = [np.arange(len(features))]
        descents = [_Descent(task, slice(None), *limits)]
        kept = other.features, other.share, other.weights, task.toward
        return _Descents(descents, rows, *kept, "validation")
    number = _numbered(folds, task.share)
    parts = np.unique(number)
    if len(parts) < 2:
        msg = f"'folds' must be at least two parts, got {len(parts)}"
        raise ValueError(msg)
    descents = [_Descent(task, number != part, *limits) for part in parts]
    rows = [np.flatnonzero(number == part) for part in parts]
    kept = task.features, task.share, task.weights, task.toward
    return _Descents(descents, rows, *kept, "folds")


def _numbered(folds, share):
    """Deal the rows of every class to all folds; the number of each row's."""
    if np.ndim(folds):
        number = as_array(folds, "folds")
        if number.shape != (len(share),):
            msg = (
                "'folds' must have one number for each row: expected shape "
                f"{(len(share),)}, got {number.shape}"
            )
            raise ValueError(msg)
        return number
    number = np.empty(len(share), int)
    by_class = np.argsort(np.argmax(share, axis=1), kind="stable")
    number[by_class] = np.arange(len(share)) % folds
    return number


def _checked(alpha):
    return alpha if alpha == np.inf else check_alpha(alpha, zero=False)
