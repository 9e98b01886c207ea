"""Density-ratio weights: a reference sample made to look like a target sample."""

import numpy as np
from scipy.special import expit

__all__ = ["DensityRatio", "calibrate_answers", "effective_sample_size"]

_BLOCK = 4096  # objects whose kernel is held at once


def effective_sample_size(weights):
    """
    Size of an unweighted sample of the same statistical power.

    Parameters
    ----------
    weights : array_like
        Not negative.

    Returns
    -------
    float
        ``(sum w)^2 / sum w^2`` (Kish 1965), between 1 and their number.

    Examples
    --------
    >>> from mantis_astro.shift import effective_sample_size
    >>> effective_sample_size([1, 1, 1, 1]), effective_sample_size([1, 1, 0, 0])
    (4.0, 2.0)
    """
    w = np.asarray(weights, float)
    return float(w.sum() ** 2 / np.sum(w**2)) if w.any() else 0.0


def calibrate_answers(answers, is_target, *, n_iteration=50):
    """
    Fit ``p(target) = 1 / (1 + exp(-(a + b answer)))``.

    Parameters
    ----------
    answers : `~numpy.ndarray`
        What a classifier says to rows that it was not fitted to, shape (n,).
    is_target : `~numpy.ndarray` of bool
        Shape (n,).
    n_iteration : int, optional
        Newton steps at most.

    Returns
    -------
    intercept, slope : float
        Of the log odds. A slight ridge keeps the slope finite where the samples do
        not overlap; a negative slope is made zero.

    References
    ----------
    Platt 1999, in Advances in Large Margin Classifiers, p. 61.
    """
    spread = max(answers.std(), 1e-12)
    X = np.column_stack([np.ones_like(answers), answers / spread])
    y = is_target.astype(float)
    ridge = np.diag([0.0, 1.0])
    beta = np.array([np.log(y.mean() / (1 - y.mean())), 0.0])
    for _ in range(n_iteration):
        p = expit(X @ beta)
        gradient = X.T @ (p - y) + ridge @ beta
        hessian = (X.T * (p * (1 - p))) @ X + ridge + 1e-9 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        beta = beta - step
        if np.abs(step).max() < 1e-9:
            break
    slope = max(beta[1], 0.0) / spread
    return float(beta[0]), float(slope)


class DensityRatio:
    """
    Density of a target sample over that of a reference, at any object.

    Parameters
    ----------
    to_scores : NormalScores
        Scale of the features.
    model : KernelRidge
        Of both samples.
    answers : `~numpy.ndarray`
        Its cross-validated answers, shape (n,).
    is_target : `~numpy.ndarray` of bool
        Shape (n,).
    clip : float
        Largest ratio, and inverse of the smallest.
    """

    def __init__(self, to_scores, model, answers, is_target, clip):
        self._to_scores, self._model, self._clip = to_scores, model, clip
        self._labels = is_target.astype(float)
        self._intercept, self._slope = calibrate_answers(answers, is_target)
        # as if there had been as many of both
        self._intercept -= np.log(is_target.sum() / (~is_target).sum())

    def __call__(self, values, *, rows=(), answers=()):
        """
        Weigh objects so that together they look like the target sample.

        Parameters
        ----------
        values : `~numpy.ndarray`
            Features, shape (n, d).
        rows : `~numpy.ndarray` of int, optional
            Objects that the model was fitted to.
        answers : `~numpy.ndarray`, optional
            Its cross-validated answers to them.

        Returns
        -------
        `~numpy.ndarray`
            Ratio of densities, clipped, with mean 1; shape (n,).
        """
        found = np.empty(len(values))
        for start in range(0, len(values), _BLOCK):
            part = slice(start, start + _BLOCK)
            scores = self._to_scores(values[part])
            found[part] = self._model.answers(self._labels, scores)
        found[np.asarray(rows, int)] = answers
        limit = np.log(self._clip)
        ratio = np.clip(self._intercept + self._slope * found, -limit, limit)
        ratio = np.exp(ratio)
        return ratio / ratio.mean()
