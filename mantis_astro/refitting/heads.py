"""The last layer, solved: logistic regression pulled toward it, or a ridge step."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import ndtr
from torch import nn

from mantis_astro import binned
from mantis_astro.kernels import logistic_path, ridge_solutions
from mantis_astro.kernels.last_layer import read_layer
from mantis_astro.models.heads import with_modules

__all__ = ["HeadFit", "fit_head", "last_layer", "soft_targets", "with_last_layer"]

# Penalties, as a share of the mean squared length of a feature vector, and the lengths
# of ridge steps, as a share of the number of bins: the logits of a bin of probability
# 1/n_bins move n_bins times as fast as it.
_PENALTIES = (10.0, 1.0, 0.1, 0.01, 0.001)
_STEPS = (0.01, 0.03, 0.1, 0.3, 1.0)


@dataclass(frozen=True, eq=False)
class HeadFit:
    """
    A last layer and how it was chosen.

    Attributes
    ----------
    coef : `~numpy.ndarray`
        Weights with the bias as the last row, shape (n_feature + 1, n_bins).
    alpha : float
        Penalty that cross-validation chose; infinite if it chose the layer as it was.
    """

    coef: np.ndarray
    alpha: float


def last_layer(network):
    """
    Read the last layer of a network.

    Parameters
    ----------
    network : `torch.nn.Module`
        One of ours.

    Returns
    -------
    `~numpy.ndarray`
        Weights with the bias as the last row, shape (n_feature + 1, n_bins), float64.
    """
    return read_layer(network.last_layer)


def with_last_layer(network, coef):
    """
    Copy a network with another last layer, and share everything else.

    Parameters
    ----------
    network : `torch.nn.Module`
        One of ours; not changed.
    coef : `~numpy.ndarray`
        Weights with the bias as the last row, shape (n_feature + 1, n_bins).

    Returns
    -------
    `torch.nn.Module`
        In evaluation mode.
    """
    old = network.last_layer
    with torch.device("meta"):
        layer = nn.Linear(old.in_features, old.out_features)
    values = torch.as_tensor(coef).to(old.weight)
    layer.weight = nn.Parameter(values[:-1].T.contiguous())
    layer.bias = nn.Parameter(values[-1].clone())
    return with_modules(network, {network.last_layer_name: layer}).eval()


def soft_targets(bin_edges, z, smoothing):
    """
    Spread each redshift over the bins near it.

    Parameters
    ----------
    bin_edges : `~numpy.ndarray`
        Shape (n_bins + 1,).
    z : `~numpy.ndarray`
        Redshifts within the bins, shape (n,).
    smoothing : float
        Width of the Gaussian, in units of 1 + z; 0 for the one bin alone.

    Returns
    -------
    `~numpy.ndarray`
        Probability of each bin, shape (n, n_bins).

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.refitting.heads import soft_targets
    >>> edges = np.array([0.0, 0.1, 0.2, 0.3])
    >>> soft_targets(edges, np.array([0.15]), 0.0)
    array([[0., 1., 0.]])
    >>> soft_targets(edges, np.array([0.15]), 0.05).round(3)
    array([[0.189, 0.621, 0.189]])
    """
    if smoothing == 0:
        n_bins = len(bin_edges) - 1
        bins = np.searchsorted(bin_edges, z, side="right") - 1
        return np.eye(n_bins)[np.clip(bins, 0, n_bins - 1)]
    width = smoothing * (1 + z[:, None])
    probability = np.diff(ndtr((bin_edges - z[:, None]) / width), axis=1)
    return probability / probability.sum(axis=1, keepdims=True)


def fit_head(
    features, z, head, *, bin_edges, folds, method, alphas, smoothing, weights
):
    """
    Fit the last layer, its penalty by cross-validation.

    Parameters
    ----------
    features : `~numpy.ndarray`
        Features and a 1, shape (n, n_feature + 1).
    z : `~numpy.ndarray`
        Redshifts, shape (n,).
    head : `~numpy.ndarray`
        The layer as it is, shape (n_feature + 1, n_bins): where the fit begins, and
        what the penalty pulls to.
    bin_edges : `~numpy.ndarray`
        Shape (n_bins + 1,).
    folds : `~numpy.ndarray`
        Number of each object's fold, shape (n,).
    method : str
        ``"logistic"`` or ``"ridge"``.
    alphas : sequence of float or None
        Penalties to try, falling, as a share of the mean squared length of a feature
        vector.
    smoothing : float
        See `soft_targets`.
    weights : `~numpy.ndarray`
        Weights of the objects, shape (n,).

    Returns
    -------
    HeadFit
        The layer. Where no choice beats the layer as it is, that.
    """
    targets = soft_targets(bin_edges, z, smoothing)
    alphas = sorted(_PENALTIES if alphas is None else alphas, reverse=True)
    fit = _fit_logistic if method == "logistic" else _fit_ridge

    def loss(logits, rows):
        return -_log_scores(bin_edges, logits, z[rows])

    return fit(features, targets, head, alphas, weights, folds, loss)


def _fit_logistic(features, targets, head, alphas, weights, folds, loss):
    """Logistic regression toward the layer, from the layer as it is on."""
    size = _mean_square(features, weights)
    shares = np.array([np.inf, *alphas])
    path = logistic_path(
        features,
        targets,
        alphas=shares * size,
        sample_weight=weights,
        toward=head,
        folds=folds,
        loss=loss,
        patience=1,  # smaller penalties take longer and longer
        tolerance=1e-4,
        max_iterations=100,
    )
    return HeadFit(path.best.coef, float(shares[np.nanargmin(path.losses)]))


def _fit_ridge(features, targets, head, alphas, weights, folds, loss):
    """One step along a ridge regression, of the length that helps most."""
    judged = [np.flatnonzero(folds == fold) for fold in np.unique(folds)]
    paths = [
        _ridge_path(
            *(np.delete(part, rows, axis=0) for part in (features, targets)),
            head,
            alphas,
            np.delete(weights, rows),
        )
        for rows in judged
    ]
    every = np.arange(len(features))
    least, best = loss(features @ head, every) @ weights, None
    for steps in zip(*paths, strict=True):
        total = sum(
            loss(features[rows] @ (head + change), rows) @ weights[rows]
            for (_, change), rows in zip(steps, judged, strict=True)
        )
        if total < least:
            least, best = total, steps[0][0]
    if best is None:
        return HeadFit(head, np.inf)
    changes = dict(_ridge_path(features, targets, head, alphas, weights))
    return HeadFit(head + changes[best], best[0])


def _ridge_path(features, targets, head, alphas, weights):
    """Yield each penalty and length of step, and the change they make."""
    size = _mean_square(features, weights)
    logits = features @ head
    logits -= logits.max(axis=1, keepdims=True)
    probability = np.exp(logits)
    probability /= probability.sum(axis=1, keepdims=True)
    solutions = ridge_solutions(
        features,
        targets - probability,
        alphas=[alpha * size for alpha in alphas],
        sample_weight=weights,
    )
    for alpha, solution in zip(alphas, solutions, strict=True):
        for step in _STEPS:
            yield (alpha, step), step * targets.shape[1] * solution.coef


def _mean_square(features, weights):
    return float(np.average(np.sum(features**2, axis=1), weights=weights))


def _log_scores(bin_edges, logits, z):
    probability, _ = binned.softmax(bin_edges, logits)
    density = binned.pdf(bin_edges, probability, z[:, None])[:, 0]
    return np.log(np.maximum(density, 1e-300))
