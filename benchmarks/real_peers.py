"""What others would use on a table of magnitudes: a random forest, and neighbours."""

import numpy as np
from scipy.ndimage import gaussian_filter1d
from sklearn.ensemble import RandomForestRegressor
from sklearn.neighbors import NearestNeighbors

from mantis_astro import RedshiftPDF


def colour_features(magnitudes):
    """Magnitudes and neighbouring colours; a missing one at its band's usual colour."""
    reference = np.nanmean(magnitudes, axis=1, keepdims=True)
    usual = np.nanmedian(magnitudes - reference, axis=0)
    filled = np.where(np.isnan(magnitudes), reference + usual, magnitudes)
    return np.concatenate([filled, -np.diff(filled, axis=1)], axis=1)


def forest_pdf(train, z_train, test, edges, *, seed=0, n_trees=200):
    """
    p(z) of a random forest; its mean is the usual point estimate, that of the trees.

    It is the distribution of the training redshifts in an object's leaves (quantile
    regression forest, Meinshausen 2006), smoothed by a bin.
    """
    forest = RandomForestRegressor(n_trees, n_jobs=1, random_state=seed).fit(
        train, z_train
    )
    bins = np.clip(np.searchsorted(edges, z_train, "right") - 1, 0, len(edges) - 2)
    probability = np.zeros((len(test), len(edges) - 1))
    for tree in forest.estimators_:
        leaf, leaf_test = (
            tree.apply(train.astype(np.float32)),
            tree.apply(test.astype(np.float32)),
        )
        counts = np.zeros((tree.tree_.node_count, len(edges) - 1), np.float32)
        np.add.at(counts, (leaf, bins), 1)
        share = counts[leaf_test]
        probability += share / share.sum(1, keepdims=True)
    return RedshiftPDF(edges, _smooth(probability, 1))


def neighbours_pdf(train, z_train, test, edges, *, k=20):
    """p(z) of the k nearest in scaled magnitudes and colours, smoothed by two bins."""
    centre, scale = np.median(train, axis=0), np.std(train, axis=0)
    tree = NearestNeighbors(n_neighbors=min(k, len(train))).fit(
        (train - centre) / scale
    )
    distance, index = tree.kneighbors((test - centre) / scale)
    weight = 1 / np.maximum(distance, 1e-6)
    bins = np.clip(np.searchsorted(edges, z_train, "right") - 1, 0, len(edges) - 2)
    probability = np.zeros((len(test), len(edges) - 1))
    np.add.at(probability, (np.arange(len(test))[:, None], bins[index]), weight)
    return RedshiftPDF(edges, _smooth(probability, 2))


def _smooth(probability, width):
    smooth = gaussian_filter1d(probability, width, axis=1, mode="nearest")
    return smooth / smooth.sum(1, keepdims=True)
