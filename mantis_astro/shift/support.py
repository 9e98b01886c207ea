"""Out-of-distribution scores, from thresholds of distance and expected error."""

from typing import NamedTuple

import numpy as np

from mantis_astro.shift.expected_error import ExpectedError
from mantis_astro.shift.neighbours import Neighbours
from mantis_astro.shift.scores import ledoit_wolf, mahalanobis_distance

__all__ = ["DISTANCES", "OOD_QUANTILE", "Support", "measure_support"]

#: The share of the reference that lies below ``ood_score`` 1.
OOD_QUANTILE = 0.99

#: What the score of an object may be made from.
DISTANCES = ("neighbours", "mahalanobis")

# Where there are two limits they share what may be flagged. Errors tell better where
# redshifts fail, but know little where there are no neighbours.
_DISTANCE_QUANTILE = 0.997
_ERROR_QUANTILE = 1 - (_DISTANCE_QUANTILE - OOD_QUANTILE)
_ENOUGH = 500  # objects beside the vectors that set the thresholds


class Support(NamedTuple):
    """
    What scores an object.

    Attributes
    ----------
    distance : str
        One of ``DISTANCES``.
    threshold : float
        The distance that scores 1: of a `Neighbourhood`, or from the mean.
    error : ExpectedError or None
        The error to expect of a redshift, if those of the vectors are known.
    error_threshold : float
        The expected error that scores 1.
    """

    distance: str
    threshold: float
    error: ExpectedError | None = None
    error_threshold: float = 1.0

    def score(self, near):
        """
        Score objects by their neighbours.

        Parameters
        ----------
        near : Neighbourhood
            Of these objects.

        Returns
        -------
        `~numpy.ndarray`
            Shape (n,): 1 where a threshold is reached.
        """
        score = near.distance / self.threshold
        if self.error is None:
            return score
        return np.maximum(score, self.error(near) / self.error_threshold)


def measure_support(scaled, z, vectors, distance):
    """
    Set thresholds that about one in a hundred objects of the reference exceeds.

    Parameters
    ----------
    scaled : `~numpy.ndarray`
        Features of the reference on its scale, shuffled, no two alike, the vectors
        first; shape (n, d).
    z : `~numpy.ndarray` or None
        Their redshifts, shape (n,).
    vectors : `~numpy.ndarray`
        The first of them as they are kept, shape (n_vector, d).
    distance : str
        One of ``DISTANCES``.

    Returns
    -------
    support : Support
        What scores objects.
    scores : `~numpy.ndarray`
        Scores of objects of the reference that were not compared with themselves.
    """
    if distance == "mahalanobis":
        distances = _left_out_mahalanobis(scaled)
        threshold = _limit(distances, OOD_QUANTILE)
        return Support(distance, threshold), distances / threshold
    n_vector = len(vectors)
    neighbours = Neighbours(vectors, None if z is None else z[:n_vector])
    if len(scaled) - n_vector >= _ENOUGH:
        near, part = neighbours(scaled[n_vector:]), slice(n_vector, None)
    else:
        near, part = neighbours.left_out(), slice(n_vector)
    error = None if z is None else ExpectedError.fit(near, z[part])
    if error is None:
        support = Support(distance, _limit(near.distance, OOD_QUANTILE))
    else:
        support = Support(
            distance,
            threshold=_limit(near.distance, _DISTANCE_QUANTILE),
            error=error,
            error_threshold=_limit(error(near), _ERROR_QUANTILE),
        )
    return support, support.score(near)


def _limit(values, quantile):
    """Limit that one more object exceeds with at most 1 - quantile of probability."""
    # split conformal prediction; Vovk, Gammerman & Shafer 2005
    rank = min(int(np.ceil((len(values) + 1) * quantile)), len(values))
    return max(float(np.sort(values)[rank - 1]), 1e-12)


def _left_out_mahalanobis(scaled):
    """Distances of each fifth from the other four."""
    folds = np.arange(len(scaled)) % 5
    parts = []
    for i in range(5):
        others = scaled[folds != i]
        covariance, _ = ledoit_wolf(others)
        here = scaled[folds == i]
        parts.append(mahalanobis_distance(here, others.mean(0), covariance))
    return np.concatenate(parts)
