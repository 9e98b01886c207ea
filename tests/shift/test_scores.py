"""Distances from a sample: against scikit-learn, scipy, and by hand."""

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis

from mantis_astro.shift import ledoit_wolf, mahalanobis_distance, neighbour_distance

RNG = np.random.default_rng(3)
X = RNG.normal(size=(60, 5)) @ RNG.normal(size=(5, 5))


@pytest.mark.parametrize("shape", [(60, 5), (8, 30), (500, 3)])
def test_shrinkage_is_that_of_scikit_learn(shape):
    sklearn = pytest.importorskip("sklearn.covariance")
    x = np.random.default_rng(1).normal(size=shape) * np.arange(1, shape[1] + 1)
    covariance, shrinkage = ledoit_wolf(x)
    expected, expected_shrinkage = sklearn.ledoit_wolf(x)
    assert shrinkage == pytest.approx(expected_shrinkage, rel=1e-9)
    np.testing.assert_allclose(covariance, expected, rtol=1e-9)


def test_fewer_objects_than_features_still_give_a_positive_definite_matrix():
    covariance, shrinkage = ledoit_wolf(np.random.default_rng(0).normal(size=(10, 50)))
    assert 0 < shrinkage <= 1
    assert np.linalg.eigvalsh(covariance).min() > 0


def test_equal_objects_shrink_all_the_way():
    covariance, shrinkage = ledoit_wolf(np.ones((5, 3)))
    assert shrinkage == 1
    assert not covariance.any()


def test_mahalanobis_is_that_of_scipy_over_the_root_of_the_dimension():
    covariance, mean = np.cov(X.T), X.mean(0)
    inverse = np.linalg.inv(covariance)
    expected = [mahalanobis(x, mean, inverse) / np.sqrt(5) for x in X]
    np.testing.assert_allclose(mahalanobis_distance(X, mean, covariance), expected)


def test_mahalanobis_does_not_depend_on_the_axes():
    A = RNG.normal(size=(5, 5))
    before = mahalanobis_distance(X, X.mean(0), np.cov(X.T))
    Y = X @ A
    np.testing.assert_allclose(
        mahalanobis_distance(Y, Y.mean(0), np.cov(Y.T)), before, rtol=1e-6
    )


@pytest.mark.parametrize("leave_out", [False, True])
def test_neighbours_are_the_nearest(leave_out):
    distances = np.linalg.norm(X[:, None] - X, axis=-1)
    nearest = np.sort(distances, 1)[:, leave_out : 4 + leave_out]
    expected = np.sqrt((nearest**2).mean(1))
    found = neighbour_distance(X, X, n_neighbour=4, leave_out=leave_out)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_more_neighbours_than_members_are_all_members():
    assert neighbour_distance([[0.0]], [[3.0], [4.0]], n_neighbour=9) == [
        pytest.approx(np.sqrt(12.5))
    ]
