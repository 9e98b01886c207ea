"""The recipe: freeze a network, solve its last layer, keep that if it is better."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from mantis_astro.kernels.arrays import as_array
from mantis_astro.kernels.conjugate import ConjugateKernel
from mantis_astro.kernels.linear import ridge_solutions
from mantis_astro.kernels.logistic import LogisticTask, log_loss
from mantis_astro.kernels.logistic_path import logistic_path
from mantis_astro.kernels.splitting import assign_folds, hold_out

__all__ = ["LastLayer", "LastLayerReport", "read_layer"]

#: The loss of the samples held out must fall by as many of its errors.
N_SIGMA = 2.0

# Shares of the mean squared length of a feature vector; infinity: as the layer is.
_LOGISTIC = (np.inf, *np.geomspace(10, 1e-7, 17))
_RIDGE = (np.inf, *np.geomspace(10, 1e-12, 27))


@dataclass(frozen=True, eq=False)
class LastLayerReport:
    """
    Solution for a last layer, and whether it is better.

    Attributes
    ----------
    accepted : bool
        Whether the loss of the samples held out falls by more than two of its errors.
    message : str
        Why, in a sentence.
    method : str
        ``"logistic"`` or ``"ridge"``.
    alpha : float
        Penalty that cross-validation chose, as a share of the mean squared length of a
        feature vector; infinite for the layer as it is.
    n_fit, n_validation : int
        Samples that the layer was fitted to, and those that decided.
    before, after : float
        Mean loss of the samples held out: log loss in nats, or mean squared error.
    change, change_err : float
        Change of it, and the standard error of the paired differences.
    coef : `~numpy.ndarray`
        Solution, weights with the bias as the last row, shape (n_feature + 1, n_out).
    """

    accepted: bool
    message: str
    method: str
    alpha: float
    n_fit: int
    n_validation: int
    before: float
    after: float
    change: float
    change_err: float
    coef: np.ndarray

    def __str__(self):
        return (
            f"last layer {'accepted' if self.accepted else 'not accepted'}: "
            f"{self.message}\n"
            f"  {self.method}, alpha {self.alpha:.3g}; fitted to {self.n_fit:,} "
            f"samples, decided by {self.n_validation:,} others\n"
            f"  loss {self.before:.4g} -> {self.after:.4g}   "
            f"change {self.change:+.3g} +- {self.change_err:.2g}"
        )


class LastLayer:
    """
    The last layer of a network, solved for instead of trained.

    Parameters
    ----------
    module : `torch.nn.Module`
        The network, trained all or part of the way, in evaluation mode.
    layer : str
        Name of its last linear layer; what it computes is the network's output.
    method : str, optional
        ``"logistic"``: classification, log loss of the softmax. ``"ridge"``:
        regression, mean squared error.
    dtype, batch, pool
        As for `ConjugateKernel`.

    Raises
    ------
    TypeError
        If ``module`` is no module.
    ValueError
        If there is no such layer, or ``method`` is another word.

    Notes
    -----
    Qadeer et al. 2023 (arXiv:2310.18612): train part-way, freeze, solve the last layer
    exactly. An exact solution with a poor penalty can be worse than the layer it
    replaces, so that the penalty is chosen by cross-validation, is a penalty of the
    *change* of the layer, and samples that took no part decide.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from mantis_astro.kernels import LastLayer
    >>> _ = torch.manual_seed(0)
    >>> network = nn.Sequential(nn.Linear(2, 50), nn.Tanh(), nn.Linear(50, 2)).eval()
    >>> x = torch.randn(400, 2)
    >>> y = (x[:, 0] > x[:, 1] ** 2).long()
    >>> last = LastLayer(network, "2")
    >>> report = last.fit((x, y), rng=0)
    >>> report.accepted, last.write()
    (True, True)
    >>> bool((network(x).argmax(1) == y).float().mean() > 0.9)
    True
    """

    def __init__(
        self, module, layer, *, method="logistic", dtype=None, batch=256, pool=None
    ):
        if method not in ("logistic", "ridge"):
            msg = f"'method' must be 'logistic' or 'ridge', got {method!r}"
            raise ValueError(msg)
        self.kernel = ConjugateKernel(
            module, layer, dtype=dtype, batch=batch, pool=pool
        )
        self.method = method
        self.report = None

    def fit(
        self,
        data,
        *,
        alphas=None,
        groups=None,
        validation_fraction=0.3,
        n_folds=5,
        rng,
    ):
        """
        Solve for the layer, and judge it by samples that are held out.

        Parameters
        ----------
        data : tuple or iterable
            Samples and targets ``(x, y)``; or batches, such as a
            `torch.utils.data.DataLoader` yields: ``(x, ..., y)``, or mappings with
            ``labels``. Targets are classes as integers, (n,), or their probabilities,
            (n, n_out); for ridge regression numbers, (n,) or (n, n_out).
        alphas : sequence of float, optional
            Penalties to choose from, as a share of the mean squared length of a
            feature vector; infinity for the layer as it is.
        groups : array_like, optional
            Samples of one group are never separated, shape (n,): texts of one author,
            pictures of one patient.
        validation_fraction : float, optional
            Share of the samples that is held out.
        n_folds : int, optional
            Folds of the cross-validation among the others.
        rng : int or `~numpy.random.Generator`
            Seed of the splits.

        Returns
        -------
        LastLayerReport
            The solution and the verdict; also kept as ``report``, for `write`. The
            network is not changed yet.

        Raises
        ------
        ValueError
            If targets do not fit the layer, or there are too few samples or groups to
            hold some out.
        """
        features, targets = self._read(data)
        groups = _groups(groups, len(features))
        rng = np.random.default_rng(rng)
        held_out = hold_out(groups, validation_fraction, rng)
        fitted = ~held_out
        folds = assign_folds(groups[fitted], n_folds, rng)
        if held_out.sum() < 2 or len(np.unique(folds)) < 2:
            msg = (
                f"{len(np.unique(groups))} samples or groups are too few to hold some "
                "out and cross-validate among the others"
            )
            raise ValueError(msg)
        layer = read_layer(self.kernel.linear)
        solve = _solve_logistic if self.method == "logistic" else _solve_ridge
        coef, alpha = solve(features[fitted], targets[fitted], layer, alphas, folds)
        loss = log_loss if self.method == "logistic" else _squared_error
        before, after = (
            loss(features[held_out] @ weights, targets[held_out])
            for weights in (layer, coef)
        )
        change = after - before
        error = float(change.std(ddof=1) / np.sqrt(len(change)))
        accepted = bool(change.mean() < -N_SIGMA * error)
        what = "log loss" if self.method == "logistic" else "mean squared error"
        message = f"the {what} of the samples held out changes by {change.mean():+.3g}"
        if np.isinf(alpha):
            message = "cross-validation found no layer better than the one there is"
        elif not accepted:
            message += f", which is not lower by {N_SIGMA:g} errors"
        self.report = LastLayerReport(
            accepted=accepted,
            message=message,
            method=self.method,
            alpha=alpha,
            n_fit=int(fitted.sum()),
            n_validation=int(held_out.sum()),
            before=float(before.mean()),
            after=float(after.mean()),
            change=float(change.mean()),
            change_err=error,
            coef=coef,
        )
        return self.report

    @torch.no_grad()
    def write(self):
        """
        Write the solution into the layer of the network, if it was accepted.

        Returns
        -------
        bool
            Whether it was.

        Raises
        ------
        ValueError
            If nothing was fitted yet.
        """
        if self.report is None:
            msg = "nothing was fitted yet: call fit first"
            raise ValueError(msg)
        if self.report.accepted:
            linear = self.kernel.linear
            values = torch.as_tensor(self.report.coef).to(linear.weight)
            linear.weight.copy_(values[: linear.in_features].T)
            if linear.bias is not None:
                linear.bias.copy_(values[-1])
        return self.report.accepted

    def _read(self, data):
        """Features with a 1 behind, if the layer has a bias, and targets in columns."""
        batches = [data] if isinstance(data, tuple) else data
        features, targets = [], []
        for batch in batches:
            x, y = _sample_and_target(batch)
            features.append(as_array(self.kernel.features(x), "x").astype(np.float64))
            targets.append(as_array(y, "targets"))
            if len(features[-1]) != len(targets[-1]):
                msg = (
                    f"'targets' must have one row for each of {len(features[-1])} "
                    f"samples, got {len(targets[-1])}"
                )
                raise ValueError(msg)
        if not features:
            msg = "'data' must hold at least one batch, got none"
            raise ValueError(msg)
        features, targets = np.concatenate(features), np.concatenate(targets)
        linear = self.kernel.linear
        if linear.bias is None:
            features = features[:, :-1]
        n_out = linear.out_features
        if self.method == "logistic":
            toward = np.zeros((features.shape[1], n_out))
            task = LogisticTask.of(
                features, targets, n_classes=n_out, sample_weight=None, toward=toward
            )
            return task.features, task.share
        targets = targets.reshape(len(targets), -1).astype(np.float64)
        if targets.shape[1] != n_out:
            msg = f"'targets' must have {n_out} columns, got {targets.shape[1]}"
            raise ValueError(msg)
        return features, targets


def read_layer(linear):
    """
    Read the weights of a linear layer.

    Parameters
    ----------
    linear : `torch.nn.Linear`
        The layer.

    Returns
    -------
    `~numpy.ndarray`
        Weights, and the bias if it has one as the last row, shape (n_feature + 1,
        n_out), float64.
    """
    rows = [linear.weight.detach().T]
    if linear.bias is not None:
        rows.append(linear.bias.detach()[None])
    return torch.cat(rows).to("cpu", torch.float64).numpy()


def _sample_and_target(batch):
    if isinstance(batch, Mapping):
        if "labels" not in batch:
            msg = f"a batch must hold 'labels', got {', '.join(map(str, batch))}"
            raise ValueError(msg)
        return {k: v for k, v in batch.items() if k != "labels"}, batch["labels"]
    *x, y = batch
    return x[0] if len(x) == 1 else tuple(x), y


def _groups(groups, n):
    if groups is None:
        return np.arange(n)
    groups = np.unique(as_array(groups, "groups"), return_inverse=True)[1].ravel()
    if len(groups) != n:
        msg = f"'groups' must have one entry for each of {n} samples, got {len(groups)}"
        raise ValueError(msg)
    return groups


def _solve_logistic(features, targets, layer, alphas, folds):
    shares = _falling(_LOGISTIC if alphas is None else alphas)
    path = logistic_path(
        features,
        targets,
        alphas=shares * _mean_square(features),
        toward=layer,
        folds=folds,
    )
    return path.best.coef, float(shares[np.nanargmin(path.losses)])


def _solve_ridge(features, targets, layer, alphas, folds):
    """Ridge regression of the residuals of the layer."""
    shares = _falling(_RIDGE if alphas is None else alphas)
    rest = targets - features @ layer
    finite = shares[np.isfinite(shares)] * _mean_square(features)
    losses = np.zeros(len(shares))
    for fold in np.unique(folds):
        rows = folds == fold
        solutions = ridge_solutions(features[~rows], rest[~rows], alphas=finite)
        changes = [0.0 * layer] * (len(shares) - len(finite))
        changes += [solution.coef for solution in solutions]
        losses += [np.sum((rest[rows] - features[rows] @ c) ** 2) for c in changes]
    best = int(np.argmin(losses))
    if np.isinf(shares[best]):
        return layer, np.inf
    alpha = shares[best] * _mean_square(features)
    (solution,) = ridge_solutions(features, rest, alphas=[alpha])
    return layer + solution.coef, float(shares[best])


def _falling(alphas):
    return np.sort(np.asarray(alphas, np.float64))[::-1]


def _mean_square(features):
    return float(np.mean(np.sum(features**2, axis=1))) or 1.0


def _squared_error(predicted, targets):
    return np.mean((predicted - targets) ** 2, axis=1)
