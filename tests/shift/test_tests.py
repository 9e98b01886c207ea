"""Two-sample statistics: by hand, against slow references, and under the null."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import energy_distance as scipy_energy_distance

from mantis_astro.shift import energy_distance, mmd
from mantis_astro.shift.domain_classifier import KernelRidge, domain_auc
from mantis_astro.shift.permutations import deal_folds, relabel
from mantis_astro.shift.two_sample import two_sample_tests
from mantis_astro.shift.weights import DensityRatio, calibrate_answers

RNG = np.random.default_rng(5)
X, Y = RNG.normal(size=(40, 3)), RNG.normal(0.5, 1, size=(30, 3))
BOTH, IS_TARGET = np.vstack([X, Y]), np.arange(70) >= 40


def tell_apart(model, is_target, seed=0):
    rng = np.random.default_rng(seed)
    folds = deal_folds(is_target, model.groups, rng)
    return domain_auc(model, relabel(is_target, folds, rng, 500), folds)[0]


def test_energy_distance_is_twice_the_square_of_scipys():
    x, y = X[:, :1], Y[:, :1]
    expected = scipy_energy_distance(x[:, 0], y[:, 0]) ** 2
    assert energy_distance(x, y) == pytest.approx(expected)


def test_energy_distance_is_symmetric_and_zero_for_equal_samples():
    assert energy_distance(X, Y) == pytest.approx(energy_distance(Y, X))
    assert energy_distance(X, X) == pytest.approx(0, abs=1e-12)


def test_mmd_is_the_sum_over_pairs():
    def kernel(a, b):
        return np.exp(-np.sum((a[:, None] - b) ** 2, -1) / 2 / 1.3**2)

    n, m = len(X), len(Y)
    expected = (
        (kernel(X, X).sum() - n) / (n * (n - 1))
        + (kernel(Y, Y).sum() - m) / (m * (m - 1))
        - 2 * kernel(X, Y).mean()
    )
    assert mmd(X, Y, bandwidth=1.3) == pytest.approx(expected)


def test_both_tests_agree_with_the_functions_and_see_the_shift():
    rng = np.random.default_rng(0)
    tests = two_sample_tests(BOTH, relabel(IS_TARGET, [np.arange(70)], rng, 500))
    assert tests["mmd"].statistic == pytest.approx(mmd(X, Y))
    assert tests["energy_distance"].statistic == pytest.approx(energy_distance(X, Y))
    assert all(test.p_value < 0.01 for test in tests.values())
    assert all(len(test.null) == 500 for test in tests.values())


def test_left_out_answers_are_those_of_a_fit_without_the_fold():
    labels = np.column_stack([IS_TARGET, RNG.permutation(IS_TARGET)]).astype(float)
    model = KernelRidge(BOTH)
    folds = np.array_split(RNG.permutation(70), 5)
    answers = model.left_out_answers(labels, folds)
    y = labels - labels.mean(0)
    K = model.kernel(BOTH)
    for fold in folds:
        rest = np.setdiff1d(np.arange(70), fold)
        alpha = np.linalg.solve(K[np.ix_(rest, rest)] + np.eye(len(rest)), y[rest])
        np.testing.assert_allclose(answers[fold], K[np.ix_(fold, rest)] @ alpha)


def test_a_fit_predicts_its_own_labels():
    model = KernelRidge(BOTH)
    answers = model.answers(IS_TARGET.astype(float), BOTH)
    assert answers[IS_TARGET].mean() > answers[~IS_TARGET].mean() + 0.3


def test_what_is_clearly_apart_has_an_auc_of_one():
    far = BOTH + 9 * IS_TARGET[:, None]
    test = tell_apart(KernelRidge(far), IS_TARGET)
    assert test.statistic == 1
    assert test.p_value == pytest.approx(1 / 501)
    assert np.median(test.null) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("noise", [0, 1e-7])
def test_twins_stay_in_one_fold_and_cannot_be_told_apart(noise):
    twice = np.vstack([X, X + noise * RNG.normal(size=X.shape)])
    model = KernelRidge(twice)
    assert (model.groups[:40] == model.groups[40:]).all()
    assert len(np.unique(model.groups)) == 40
    test = tell_apart(model, np.arange(80) >= 40)
    assert test.statistic == pytest.approx(0.5, abs=0 if noise == 0 else 0.05)
    assert test.p_value > 0.1


def test_a_classifier_that_is_wrong_weighs_nothing():
    """Answers that fall where targets are: no slope, not weights upside down."""
    is_target = np.arange(200) % 2 == 1
    answers = np.random.default_rng(0).normal(np.where(is_target, -1.0, 1.0), 1)
    _, slope = calibrate_answers(answers, is_target)
    assert slope == 0
    assert calibrate_answers(-answers, is_target)[1] > 0


def test_ratios_of_densities_do_not_depend_on_the_sizes_of_the_samples():
    """Clipped at 4 and 1/4: that is about even odds, however few the targets are."""
    rng = np.random.default_rng(1)
    n_reference, n_target = 4000, 100
    is_target = np.arange(n_reference + n_target) >= n_reference
    answers = rng.normal(np.where(is_target, 0.6, 0.4), 0.1)
    model = SimpleNamespace(answers=lambda labels, scores: scores)
    ratio = DensityRatio(lambda values: values, model, answers, is_target, clip=4.0)
    unlike, even, alike = ratio(np.array([0.2, 0.5, 0.8]))
    assert even / unlike == pytest.approx(4, rel=0.3)
    assert alike / even == pytest.approx(4, rel=0.3)
