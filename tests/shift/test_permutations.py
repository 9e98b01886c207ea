"""Relabelling and combined p-values: by hand, and exact by counting."""

import numpy as np
import pytest

from mantis_astro.shift import permutation_p_value
from mantis_astro.shift.permutations import (
    combined_p_value,
    deal_folds,
    relabel,
    score_labellings,
)

RNG = np.random.default_rng(3)


def test_p_values_count_the_observation_itself():
    assert permutation_p_value(1.0, np.zeros(99)) == 0.01
    assert permutation_p_value(0.0, np.zeros(99)) == 1
    assert permutation_p_value(0.5, [0.1, 0.5, 0.9]) == 0.75


def combine(values):
    return combined_p_value([score_labellings(row) for row in values])


def test_one_test_alone_keeps_its_p_value():
    for values in RNG.normal(size=(20, 1, 100)):
        assert combine(values) == score_labellings(values[0]).p_value


def test_the_same_test_twice_changes_nothing():
    values = RNG.normal(size=(2, 300))
    assert combine(values) == combine(np.vstack([values, values]))


def test_a_test_that_says_nothing_costs_nothing():
    values = RNG.normal(size=(1, 300))
    assert combine(values) == combine(np.vstack([values, np.full(300, 7.0)]))


def test_units_do_not_matter():
    values = RNG.gamma(2, size=(3, 400))
    changed = values * np.array([[1e-6], [1], [1e9]]) + np.array([[5], [0], [-3]])
    assert combine(values) == combine(changed)


def test_every_labelling_taken_for_the_true_one_gives_all_p_values_once():
    # all labellings are treated alike: their p-values are 1/n, 2/n, ..., n/n
    n = 60
    values = RNG.exponential(size=(4, n))
    p = [combine(np.roll(values, -i, axis=1)) for i in range(n)]
    np.testing.assert_allclose(np.sort(p), np.arange(1, n + 1) / n)


def test_ties_are_never_counted_for_a_shift():
    n = 60
    values = RNG.integers(0, 3, size=(3, n)).astype(float)
    p = np.array([combine(np.roll(values, -i, axis=1)) for i in range(n)])
    for level in (0.05, 0.1, 0.3):
        assert np.mean(p <= level) <= level


def test_what_only_one_of_many_tests_sees_is_found():
    values = RNG.normal(size=(8, 501))
    values[5, 0] = 6
    assert combine(values) == 1 / 501


@pytest.mark.parametrize("together", [False, True])
def test_folds_and_relabelling_keep_the_numbers_of_both(together):
    is_target = np.arange(100) >= 60
    groups = np.arange(100) % 60 if together else np.arange(100)  # a target's twin
    folds = deal_folds(is_target, groups, RNG)
    assert np.sort(np.concatenate(folds)).tolist() == list(range(100))
    for fold in folds:
        outside = np.setdiff1d(np.arange(100), fold)
        assert not np.intersect1d(groups[fold], groups[outside]).size
    labels = relabel(is_target, folds, RNG, 50)
    assert labels.shape == (100, 51)
    assert (labels[:, 0] == is_target).all()
    for fold in folds:
        assert (labels[fold].sum(0) == is_target[fold].sum()).all()
        if not together:
            assert is_target[fold].sum() == 8
    assert (labels.sum(1) > 0).all()
