"""`Neighbours`: vectors of a reference, and the nearest ones of any object."""

from typing import NamedTuple

import numpy as np

from mantis_astro.binned import multiply_rows
from mantis_astro.shift.scores import ledoit_wolf, nearest

__all__ = ["Neighbourhood", "Neighbours"]

_N_NEAR = 5  # whose distance counts
_N_LABELLED = 10  # whose redshifts are compared
_N_FOLD = 5
_WHITENING = 1 / 3
_LEAST_DISTANCE = 1e-3  # of the median: vectors may be equal once they are rounded


class Neighbourhood(NamedTuple):
    """
    Distances and redshifts of the neighbours of objects.

    Attributes
    ----------
    distance : `~numpy.ndarray`
        How far they are, for the density where they are; shape (n,).
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

    A network's features say much the same many times over, and it is in what little
    else they say that strange objects show. So each principal component is divided by
    the third root of its standard deviation: between the plain metric, in which like
    redshifts are near, and that of Mahalanobis.

    Parameters
    ----------
    vectors : `~numpy.ndarray`
        On the scale of the reference, shape (n_vector, d), finite.
    z : `~numpy.ndarray` or None
        Their redshifts, shape (n_vector,).
    """

    def __init__(self, vectors, z=None):
        self.vectors, self.z = vectors.astype(float), z
        variance, axes = np.linalg.eigh(ledoit_wolf(self.vectors)[0])
        variance = np.maximum(variance, 1e-12 * max(variance[-1], 1e-30))
        self._axes = axes / variance ** (_WHITENING / 2)
        self._members = self.vectors @ self._axes
        squared, _ = nearest(self._members, self._members, _N_NEAR, leave_out=True)
        own = np.sqrt(squared.mean(1))
        self._own = np.maximum(own, max(_LEAST_DISTANCE * np.median(own), 1e-12))

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
        squared, rows = nearest(
            multiply_rows(scaled, self._axes), self._members, _N_LABELLED
        )
        # Half way to a local outlier factor (Breunig et al. 2000, SIGMOD, p. 93): an
        # object in a sparse region is not as far out as one beside a dense one.
        own = self._own[rows[:, :_N_NEAR]].mean(1)
        distance = np.sqrt(squared[:, :_N_NEAR].mean(1) / own)
        if self.z is None:
            return Neighbourhood(distance)
        ln = np.log1p(self.z[rows].astype(float))
        return Neighbourhood(distance, ln.mean(1), ln.std(1))

    def left_out(self):
        """
        Look up the neighbours of the vectors among others, a fifth at a time.

        Returns
        -------
        Neighbourhood
            As of objects; metric and densities are those of the others, too.
        """
        fold = np.arange(len(self.vectors)) % _N_FOLD
        found = []
        for i in range(_N_FOLD):
            here = fold == i
            z = None if self.z is None else self.z[~here]
            found.append(Neighbours(self.vectors[~here], z)(self.vectors[here]))
        back = np.argsort(np.argsort(fold, kind="stable"), kind="stable")
        return Neighbourhood(
            *(
                None if parts[0] is None else np.concatenate(parts)[back]
                for parts in zip(*found, strict=True)
            )
        )
