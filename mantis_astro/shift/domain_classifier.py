"""AUC of a classifier between two samples, with a permutation null."""

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist, pdist

from mantis_astro.shift.permutations import score_labellings

__all__ = ["KernelRidge", "domain_auc", "median_distance"]

_RIDGE = 1.0
_TWINS = 1e-5  # of the median distance: float32 and float64 of one object are twins


class KernelRidge:
    """
    Ridge regression of labels in a linear plus a Gaussian kernel.

    Least squares instead of logistic regression, because then the answers of all
    left-out folds, for all permutations of the labels, come from one factorisation.

    Parameters
    ----------
    scores : `~numpy.ndarray`
        Features on one scale, of both samples, shape (n, d).

    Attributes
    ----------
    groups : `~numpy.ndarray` of int
        Shape (n,): rows that are equal but for rounding have equal numbers.
    """

    def __init__(self, scores):
        distances = pdist(scores)
        self.groups = _group_twins(distances, len(scores))
        self.scores = scores
        self._variance = max(np.mean(np.sum(scores**2, 1)), 1e-30)
        self._bandwidth = median_distance(distances)
        self._factor = cho_factor(
            self.kernel(scores) + _RIDGE * np.eye(len(scores)), lower=True
        )

    def kernel(self, scores):
        """
        Compare rows with the sample.

        Parameters
        ----------
        scores : `~numpy.ndarray`
            Shape (m, d).

        Returns
        -------
        `~numpy.ndarray`
            Shape (m, n).
        """
        linear = scores @ self.scores.T / self._variance
        squared = cdist(scores, self.scores, "sqeuclidean")
        return 1 + linear + np.exp(-squared / (2 * self._bandwidth**2))

    def answers(self, labels, scores):
        """
        Fit labels and predict those of other rows.

        Parameters
        ----------
        labels : `~numpy.ndarray`
            Shape (n,), 0 or 1.
        scores : `~numpy.ndarray`
            Other rows, shape (m, d).

        Returns
        -------
        `~numpy.ndarray`
            Shape (m,); the higher, the more like those labelled 1.
        """
        weights = cho_solve(self._factor, labels - labels.mean())
        return self.kernel(scores) @ weights

    def left_out_answers(self, labels, folds):
        """
        Predict the labels of each fold from the others.

        Parameters
        ----------
        labels : `~numpy.ndarray`
            Shape (n, n_labelling), 0 or 1.
        folds : list of `~numpy.ndarray` of int
            Rows of each fold.

        Returns
        -------
        `~numpy.ndarray`
            Shape (n, n_labelling).
        """
        # Leaving a fold F out: y_F - f_F = (A_FF)^-1 (A y)_F with A = (K + ridge)^-1.
        y = labels - labels.mean(0)
        A = cho_solve(self._factor, np.eye(len(y)))
        residual = A @ y
        answers = np.empty_like(y)
        for fold in folds:
            block = cho_factor(A[np.ix_(fold, fold)], lower=True)
            answers[fold] = y[fold] - cho_solve(block, residual[fold])
        return answers


def _group_twins(distances, n):
    """Give one number to rows that are closer together than rounding makes them."""
    limit = _TWINS * median_distance(distances)
    i, j = np.triu_indices(n, 1)
    near = distances <= limit
    pairs = coo_array((np.ones(near.sum()), (i[near], j[near])), shape=(n, n))
    return connected_components(pairs, directed=False)[1]


def median_distance(distances):
    """
    Compute the kernel bandwidth by the median heuristic.

    Parameters
    ----------
    distances : `~numpy.ndarray`
        Distances between all pairs.

    Returns
    -------
    float
        Median of those that are not zero; 1 if all are.
    """
    distances = distances[distances > 0]
    return float(np.median(distances)) if len(distances) else 1.0


def domain_auc(model, labels, folds):
    """
    Area under the ROC curve of a classifier of two samples.

    Parameters
    ----------
    model : KernelRidge
        Of both samples together.
    labels : `~numpy.ndarray`
        0 or 1, shape (n, n_labelling), as many 1 of each fold in all; the true labels
        first.
    folds : list of `~numpy.ndarray` of int
        Rows of each fold. Twins belong in one, so that none is recognised by the
        other.

    Returns
    -------
    test : DomainTest
        0.5 if they cannot be told apart, 1 if always: cross-validated in the folds.
    answers : `~numpy.ndarray`
        What the classifier says to each row when its fold is left out, shape (n,).
    """
    answers = model.left_out_answers(labels, folds)
    return score_labellings(_fold_auc(answers, labels, folds)), answers[:, 0]


def _fold_auc(answers, labels, folds):
    """Mean over folds of the AUC, weighted by the number of pairs; shape (n_label,)."""
    from scipy.stats import rankdata  # half a second, and every PhotoZ imports this

    won, pairs = 0.0, 0
    for fold in folds:
        n_target = labels[fold].sum(0)  # the same for all labellings
        ranks = rankdata(np.round(answers[fold], 12), axis=0)  # twins are ties
        won += (ranks * labels[fold]).sum(0) - n_target * (n_target + 1) / 2
        pairs += n_target[0] * (len(fold) - n_target[0])
    return won / pairs
