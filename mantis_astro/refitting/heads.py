"""The last layer, solved: logistic regression pulled toward it, or a ridge step."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import ndtr
from torch import nn

from mantis_astro import binned
from mantis_astro.kernels import logistic_regression, ridge_solutions
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
    scores : dict
        Mean log score of cross-validation for each choice.
    """

    coef: np.ndarray
    alpha: float
    scores: dict


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
    layer = network.last_layer
    rows = torch.cat([layer.weight.detach().T, layer.bias.detach()[None]])
    return rows.to("cpu", torch.float64).numpy()


def with_last_layer(network, coef):
    """
    Give a network another last layer; all else is shared.

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
    solve = _logistic_path if method == "logistic" else _ridge_path
    away = [folds != fold for fold in np.unique(folds)]
    paths = [
        solve(features[rest], targets[rest], head, alphas, weights[rest])
        for rest in away
    ]
    stay = _log_scores(bin_edges, features @ head, z) @ weights / weights.sum()
    scores, best = {}, (np.inf, 0.0)
    scores[best] = float(stay)
    for steps in zip(*paths, strict=True):
        choice = steps[0][0]
        total = 0.0
        for (_, change), rest in zip(steps, away, strict=True):
            logits = features[~rest] @ (head + change)
            total += _log_scores(bin_edges, logits, z[~rest]) @ weights[~rest]
        scores[choice] = float(total / weights.sum())
        if scores[choice] > scores[best]:
            best = choice
        elif method == "logistic" and np.isfinite(best[0]):
            break  # past the best penalty; smaller ones take longer and longer
    if np.isinf(best[0]):
        return HeadFit(head, np.inf, scores)
    for choice, change in solve(features, targets, head, alphas, weights):
        if choice == best:
            return HeadFit(head + change, best[0], scores)
    raise AssertionError(best)


def _logistic_path(features, targets, head, alphas, weights):
    """Yield each penalty and the change it allows, the largest first."""
    size = _mean_square(features, weights)
    start = head
    for alpha in alphas:
        fit = logistic_regression(
            features,
            targets,
            alpha=alpha * size,
            sample_weight=weights,
            toward=head,
            start=start,
            tolerance=1e-4,
            max_iterations=100,
        )
        start = fit.coef
        yield (alpha, 0.0), fit.coef - head


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
