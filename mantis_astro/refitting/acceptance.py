"""Acceptance of a fit by a paired bootstrap, and the report of it."""

from dataclasses import dataclass, field

import numpy as np
from astropy.table import QTable

from mantis_astro.binned import as_redshift
from mantis_astro.metrics import object_scores
from mantis_astro.metrics.density import share_within
from mantis_astro.metrics.point import point_statistics
from mantis_astro.refitting.reach import Reach
from mantis_astro.shift import effective_sample_size

__all__ = ["RefitReport", "compare"]

#: The log score must rise by as many of its bootstrap errors.
N_SIGMA = 2.0

#: None of the others may rise by as many.
MOST_WORSE = 1.0

_HIGHER_IS_BETTER = "log_score"
_SHOWN_ONLY = ("coverage_68", "cde_loss")  # told, and not decided by
_METRICS = {
    "log_score": "mean ln p(z_spec); higher is better",
    "crps": "continuous ranked probability score",
    "sigma_nmad": "scatter of delta_z",
    "outlier_fraction_005": "share with |delta_z| >= 0.05",
    "outlier_fraction_015": "share with |delta_z| >= 0.15",
    "miss_68": "|coverage_68 - 0.68|",
    "coverage_68": "share in the 68 % interval",
    "cde_loss": "conditional density estimation loss",
}


@dataclass(frozen=True, eq=False)
class RefitReport:
    """
    Effect of a refit, and whether it was accepted.

    Attributes
    ----------
    accepted : bool
        Whether the new model is returned; if not, the original is.
    message : str
        Why, in a sentence.
    method : str
        ``"logistic"`` or ``"ridge"``.
    alpha : float
        Penalty that cross-validation chose, as a share of the mean squared length of a
        feature vector; infinite if it chose to change nothing, NaN if nothing was
        fitted.
    n_fit, n_validation : int
        Galaxies that the layer was fitted to, and those that decided.
    dropped : dict of str to int
        How many of the galaxies given were left out, for which reason.
    scores : dict of str to tuple
        For each metric: before, after, change and its bootstrap error, on the
        validation galaxies, each the mean over the bootstrap samples.
    seconds : float
        How long the fit took, features not counted.
    reach : Reach or None
        How far the labelled galaxies reach the targets, if these were given: weights,
        what they are worth, and the share of targets beyond.
    calibration : str
        How the new model is recalibrated, in words.
    """

    accepted: bool
    message: str
    method: str
    alpha: float = np.nan
    n_fit: int = 0
    n_validation: int = 0
    dropped: dict = field(default_factory=dict)
    scores: dict = field(default_factory=dict)
    seconds: float = 0.0
    reach: Reach | None = None
    calibration: str = ""

    def to_table(self):
        """
        List the metrics before and after.

        Returns
        -------
        `~astropy.table.QTable`
            A row for each metric; ``meta`` holds the rest of the report.
        """
        rows = [
            (name, *self.scores[name], text)
            for name, text in _METRICS.items()
            if name in self.scores
        ]
        names = ("metric", "before", "after", "change", "change_err", "what")
        table = QTable(rows=rows or None, names=names, dtype=["U20", *"ffff", "U40"])
        for name in names[1:5]:
            table[name].info.format = ".4g"
        table.meta = {
            "accepted": self.accepted,
            "message": self.message,
            "method": self.method,
            "alpha": self.alpha,
            "n_fit": self.n_fit,
            "n_validation": self.n_validation,
            "dropped": dict(self.dropped),
            "calibration": self.calibration,
        }
        return table

    def __str__(self):
        lines = [f"refit {'accepted' if self.accepted else 'not accepted'}: "]
        lines[0] += self.message
        if self.n_fit:
            lines.append(
                f"  {self.method}, alpha {self.alpha:.3g}; fitted to {self.n_fit:,} "
                f"galaxies, decided by {self.n_validation:,} others"
            )
        if self.calibration:
            lines.append(f"  new p(z): {self.calibration}")
        if self.reach is not None:
            lines.append(f"  for the targets: {self.reach}")
        lines += [f"  left out: {n:,} {reason}" for reason, n in self.dropped.items()]
        for name, (before, after, change, error) in self.scores.items():
            lines.append(
                f"  {name:<21}{before:9.4f} -> {after:9.4f}   change {change:+.4f} "
                f"+- {error:.4f}"
            )
        return "\n".join(lines)


def compare(before, after, z, *, weights, n_bootstrap, rng):
    """
    Compare two sets of p(z) for the same galaxies, by a paired bootstrap.

    Parameters
    ----------
    before, after : RedshiftPDF
        The densities, shape (n,).
    z : `~numpy.ndarray`
        True redshifts, shape (n,).
    weights : `~numpy.ndarray`
        Weights of the galaxies, shape (n,): how often each is drawn.
    n_bootstrap : int
        Number of samples.
    rng : `numpy.random.Generator`
        Source of randomness.

    Returns
    -------
    scores : dict of str to tuple
        Before, after, change and its error of each metric.
    verdict : str
        Empty if the second is better beyond the error; else what is not.

    Notes
    -----
    A sample has as many galaxies as the weights are worth, ``(sum w)^2 / sum w^2``.
    """
    first, second = (_columns(pdf, z) for pdf in (before, after))
    size = max(2, round(effective_sample_size(weights)))
    draws = np.empty((n_bootstrap, 2, len(_METRICS)))
    for i in range(n_bootstrap):
        index = rng.choice(len(z), size=size, p=weights / weights.sum())
        draws[i] = _statistics(first, index), _statistics(second, index)
    change = draws[:, 1] - draws[:, 0]
    scores = {
        name: tuple(
            float(value)
            for value in (
                *draws[:, :, k].mean(axis=0),
                change[:, k].mean(),
                change[:, k].std(),
            )
        )
        for k, name in enumerate(_METRICS)
    }
    return scores, _verdict(scores)


def _columns(pdf, z):
    scores = object_scores(pdf, z)
    names = ("log_score", "crps", "delta_z", "cde_loss", "pit")
    return {name: as_redshift(scores[name]) for name in names}


def _statistics(columns, index):
    values = dict(point_statistics(columns["delta_z"][index]))
    values["coverage_68"] = share_within(columns["pit"][index], 0.68)
    values["miss_68"] = abs(values["coverage_68"] - 0.68)
    return [
        values[name] if name in values else columns[name][index].mean()
        for name in _METRICS
    ]


def _verdict(scores):
    *_, gain, error = scores[_HIGHER_IS_BETTER]
    if not gain > N_SIGMA * error:
        return (
            f"the log score of the validation galaxies changes by {gain:+.3f} +- "
            f"{error:.3f}, which is not better by {N_SIGMA:g} errors"
        )
    worse = [
        f"{name} {change:+.4f}"
        for name, (_, _, change, error) in scores.items()
        if name not in (_HIGHER_IS_BETTER, *_SHOWN_ONLY) and change > MOST_WORSE * error
    ]
    if worse:
        return f"the log score improves, but it is worse in {', '.join(worse)}"
    return ""
