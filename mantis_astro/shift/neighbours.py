"""`Neighbours`: vectors of a reference, and what those near an object say of it."""

from typing import NamedTuple

import numpy as np

from mantis_astro.shift.scores import nearest

__all__ = ["Neighbourhood", "Neighbours"]

_N_NEAR = 5  # whose distance counts
_N_LABELLED = 10  # whose redshifts are compared
_LEAST_DISTANCE = 1e-3  # of the median: vectors may be equal once they are rounded


class Neighbourhood(NamedTuple):
    """
    What the neighbours of some objects say.

    Attributes
    ----------
    distance : `~numpy.ndarray`
        Root mean square distance to the nearest few, over the square root of their own
        distance to others, shape (n,).
    mean, scatter : `~numpy.ndarray` or None
        Mean and standard deviation of ln(1 + z) of the neighbours, shape (n,); None if
        their redshifts are not known.
    """

    distance: np.ndarray
    mean: np.ndarray | None = None
    scatter: np.ndarray | None = None


class Neighbours:
    """
    Vectors to look up neighbours among.

    Parameters
    ----------
    vectors : `~numpy.ndarray`
        Shape (n_vector, d), finite.
    z : `~numpy.ndarray` or None
        Their redshifts, shape (n_vector,).
    own_distance : `~numpy.ndarray`, optional
        What the attribute was before; else it is computed.

    Attributes
    ----------
    own_distance : `~numpy.ndarray`
        Root mean square distance of each to its nearest few, shape (n_vector,).
    """

    def __init__(self, vectors, z=None, own_distance=None):
        self.vectors = vectors.astype(float)
        self.z = z
        if own_distance is None:
            squared, _ = nearest(vectors, vectors, _N_NEAR, leave_out=True)
            own_distance = np.sqrt(squared.mean(1))
            least = max(_LEAST_DISTANCE * np.median(own_distance), 1e-12)
            own_distance = np.maximum(own_distance, least)
        self.own_distance = own_distance

    def __call__(self, scaled):
        """
        Look up the neighbours of objects.

        Parameters
        ----------
        scaled : `~numpy.ndarray`
            Shape (n, d), finite.

        Returns
        -------
        Neighbourhood
            Distance of the 5 nearest, redshifts of the 10 nearest vectors.
        """
        return self._of(*nearest(scaled, self.vectors, _N_LABELLED))

    def left_out(self):
        """
        Look up the neighbours of the vectors, each without itself.

        Returns
        -------
        Neighbourhood
            As of objects.
        """
        return self._of(
            *nearest(self.vectors, self.vectors, _N_LABELLED, leave_out=True)
        )

    def _of(self, squared, rows):
        # Half way to a local outlier factor (Breunig et al. 2000, SIGMOD, p. 93): an
        # object in a sparse region is not as far out as one beside a dense one.
        own = self.own_distance[rows[:, :_N_NEAR]].astype(float).mean(1)
        distance = np.sqrt(squared[:, :_N_NEAR].mean(1) / own)
        if self.z is None:
            return Neighbourhood(distance)
        ln = np.log1p(self.z[rows].astype(float))
        return Neighbourhood(distance, ln.mean(1), ln.std(1))
