"""Tests of moments: against textbook statistics, and what each of them sees."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from mantis_astro.shift import moments
from mantis_astro.shift.moments import moment_tests
from mantis_astro.shift.permutations import relabel

N, D = 120, 5


def labels_of(n_target=N // 2, n=N, n_permutation=199, seed=0):
    rng = np.random.default_rng(seed)
    return relabel(np.arange(n) >= n - n_target, [np.arange(n)], rng, n_permutation)


def normal(d=D, n=N, seed=1):
    return np.random.default_rng(seed).normal(size=(n, d))


def test_differences_are_z_scores_of_permutations():
    # of a mean difference under all permutations: variance s^2 (1/n + 1/m)
    column, labels = normal(1), labels_of(40)
    difference = moments._differences(column, labels)[0]
    x, y = column[:80, 0], column[80:, 0]
    error = column.std(ddof=1) * np.sqrt(1 / 80 + 1 / 40)
    assert difference[0] == pytest.approx((y.mean() - x.mean()) / error)
    assert difference[1:].std() == pytest.approx(1, abs=0.15)


def test_ranks_compare_as_mann_whitney_does():
    scores, labels = normal(), labels_of()
    z = moments._largest(moments._ranks(scores[:, 0])[:, None], labels)[0]
    u = mannwhitneyu(scores[:60, 0], scores[60:, 0], use_continuity=False)
    expected = abs(u.statistic - 60 * 60 / 2) / np.sqrt(60 * 60 * 121 / 12)
    assert z == pytest.approx(expected)


def test_without_a_ridge_it_is_hotelling_of_the_pooled_sample(monkeypatch):
    monkeypatch.setattr(moments, "_RIDGE", 0)
    scores, labels = normal() @ normal(D, D, seed=7), labels_of(50)
    value = moment_tests(scores, labels)["hotelling"].statistic
    difference = scores[70:].mean(0) - scores[:70].mean(0)
    covariance = np.cov(scores.T) * (1 / 70 + 1 / 50)
    expected = difference @ np.linalg.solve(covariance, difference)
    assert value == pytest.approx(expected)


def test_components_are_those_of_more_features_than_objects():
    wide = normal(40, 30)
    components, variance = moments._components(wide)
    singular = np.linalg.svd(wide - wide.mean(0), compute_uv=False)[:29]
    np.testing.assert_allclose(variance, singular**2 / 30, rtol=1e-6)
    np.testing.assert_allclose(
        components.T @ components / 30, np.eye(29), rtol=0, atol=1e-8
    )


def shifted(y):
    return y + 1.0 * (np.arange(D) == 1)


def scattered(y):
    return y * np.where(np.arange(D) == 1, 2.0, 1.0)


def correlated(y):
    y[:, 0] = 0.8 * y[:, 1] + 0.6 * y[:, 0]
    return y


def noisy(y):
    return 1.5 * y


@pytest.mark.parametrize(
    ("change", "seen_by", "not_by"),
    [
        (shifted, {"single_feature", "hotelling"}, set()),
        (scattered, {"single_feature", "covariance"}, {"hotelling"}),
        (correlated, {"covariance"}, {"single_feature", "hotelling"}),
        (noisy, {"covariance", "mahalanobis"}, {"hotelling"}),
    ],
)
def test_each_sees_its_kind_of_shift(change, seen_by, not_by):
    n = 400
    scores = np.vstack([normal(n=n // 2), change(normal(n=n // 2, seed=2))])
    tests = moment_tests(scores, labels_of(n // 2, n))
    assert {name for name, test in tests.items() if test.p_value <= 0.01} >= seen_by
    assert all(tests[name].p_value > 0.01 for name in not_by)


def test_constant_features_say_nothing():
    tests = moment_tests(np.zeros((N, 2)), labels_of())
    assert all(test.p_value == 1 for test in tests.values())
    scores = normal()
    padded = np.hstack([scores, np.full((N, 1), 3.0)])
    for name, test in moment_tests(padded, labels_of()).items():
        if name != "hotelling":  # its ridge is a mean over features
            assert test.statistic == pytest.approx(
                moment_tests(scores, labels_of())[name].statistic
            )
