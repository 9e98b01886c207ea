"""Reach of labels: coverage of the targets by galaxies with redshifts."""

from typing import NamedTuple

import numpy as np

from mantis_astro.shift import ShiftReport, effective_sample_size

__all__ = ["Reach", "measure_reach"]

#: Share of the targets without labels near them, above which a fit is refused, and
#: from which it is warned of.
MOST_BEYOND, WARN_BEYOND = 0.2, 0.05

_FEWEST = 50  # galaxies that weighted labels must be worth
_PERMUTATIONS = 99
_MOST = 500  # galaxies of either side that are compared; all are weighted


class Reach(NamedTuple):
    """
    Coverage of targets by labelled galaxies.

    Attributes
    ----------
    weights : `~numpy.ndarray`
        Ratio of densities, targets over labelled galaxies, with mean 1; shape (n,). All
        1 where no shift was found.
    beyond : float
        Share of the targets that are farther from all labelled galaxies than 99 % of
        those are from each other, in the features of the network.
    n_effective : float
        Number of unweighted galaxies that the weighted ones are worth.
    severity : str
        Of the shift, see `~mantis_astro.shift.severity`.
    """

    weights: np.ndarray
    beyond: float
    n_effective: float
    severity: str

    @property
    def problem(self):
        """Why a fit could not be judged for the targets; empty if it can be."""
        if self.beyond > MOST_BEYOND:
            return (
                f"{100 * self.beyond:.0f} % of the targets have no labelled galaxies "
                f"like them (at most {100 * MOST_BEYOND:.0f} %): what a new layer does "
                "to them cannot be judged. Label some of them, or give as targets only "
                "galaxies like those with redshifts"
            )
        if self.n_effective < _FEWEST:
            return (
                "weighted to look like the targets, the labelled galaxies are worth "
                f"{self.n_effective:.0f}: at least {_FEWEST}"
            )
        return ""

    def __str__(self):
        what = "no" if self.severity == "none" else f"a {self.severity}"
        return (
            f"{what} shift between labelled galaxies and targets; weighted to "
            f"look like these they are worth {self.n_effective:.0f}; "
            f"{100 * self.beyond:.1f} % of the targets have none like them"
        )


def measure_reach(features, targets, *, rng=0):
    """
    Compare labelled galaxies with targets.

    Parameters
    ----------
    features : `~numpy.ndarray`
        Of the labelled galaxies, shape (n, n_feature), finite.
    targets : `~numpy.ndarray`
        Of the targets, shape (m, n_feature); rows that are not finite are left out.
    rng : int or `~numpy.random.Generator`, optional
        Draws subsamples, folds and permutations.

    Returns
    -------
    Reach
        Weights, and what they are worth.

    Raises
    ------
    ValueError
        If there are fewer than ten different labelled galaxies or five targets.
    """
    targets = targets[np.isfinite(targets).all(1)]
    report = ShiftReport.compare(
        features, targets, rng=rng, n_permutation=_PERMUTATIONS, max_objects=_MOST
    )
    weights = report.weights if report.is_shifted else np.ones(len(features))
    n_effective = effective_sample_size(weights)
    return Reach(weights, report.share_ood, n_effective, report.severity)
