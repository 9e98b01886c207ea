"""Kinds of change: made shifts are named for what they are, and their shares."""

import numpy as np
import pytest
from astropy.table import Table
from scipy.special import ndtr

from mantis_astro.shift import Change, ShiftReport, find_changes
from mantis_astro.shift.features import RobustScores

NAMES = ["a", "b", "c", "d"]
N = 300


def normal(seed):
    return np.random.default_rng(seed).normal(size=(N, len(NAMES)))


def moved(y, rng):
    y[:, 0] += 0.7


def noisier(y, rng):
    y[:, 1:] += rng.normal(0, 3**0.5, y[:, 1:].shape)


def tighter(y, rng):
    y *= 0.5


def wild(y, rng):
    y[:24] *= 12


def clump(y, rng):
    y[:36] = rng.normal(1.3, 0.2, (36, len(NAMES)))


def group_in_one_feature(y, rng):
    y[:36, 2] = rng.normal(4, 0.3, 36)


def lacking(y, rng):
    y[:60, 3] = np.nan


# The shares are those of normal distributions: beyond one sigma on one side, of a mean,
# or on either side, of a scatter.
@pytest.mark.parametrize(
    ("change", "kind", "share", "features"),
    [
        (moved, "mean", 1 - ndtr(0.3), {"a"}),
        (noisier, "scatter", 2 * ndtr(-0.5), {"b", "c", "d"}),
        (tighter, "scatter", 2 * ndtr(-2), set(NAMES)),
        (wild, "outliers", 0.08, set(NAMES)),
        (clump, "clump", 0.12, set(NAMES)),
        (group_in_one_feature, "clump", 0.12, {"c"}),
        (lacking, "missing", 0.2, {"d"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_each_kind_is_named_with_the_share_concerned(change, kind, share, features):
    y = normal(1)
    change(y, np.random.default_rng(2))
    (found,) = find_changes(normal(0), y, NAMES)
    assert isinstance(found, Change)
    assert found.kind == kind
    error = 0.12 if kind in ("mean", "scatter") else 0.025  # three of 300 objects
    assert found.share == pytest.approx(share, abs=error)
    assert set(found.features) <= features
    assert len(found.features) == len(found.sizes) > 0


def test_sizes_are_those_that_were_made():
    y = normal(1)
    moved(y, None)
    (mean,) = find_changes(normal(0), y, NAMES)
    assert mean.sizes == pytest.approx([0.7], abs=0.2)
    y = normal(1)
    tighter(y, None)
    (scatter,) = find_changes(normal(0), y, NAMES)
    assert np.median(scatter.sizes) == pytest.approx(0.5, abs=0.06)


def test_two_changes_are_both_named():
    y = normal(1)
    moved(y, None)
    y[:24, 1:] *= 12
    kinds = {change.kind for change in find_changes(normal(0), y, NAMES)}
    assert kinds == {"mean", "outliers"}


def test_two_groups_are_each_described_by_their_own():
    rng = np.random.default_rng([5, 4])  # the clump is found first
    x, y = rng.normal(size=(2, N, len(NAMES)))
    wild(y, None)
    y[24:60] = rng.normal(1.3, 0.2, (36, len(NAMES)))
    changes = {change.kind: change for change in find_changes(x, y, NAMES)}
    assert changes.keys() == {"outliers", "clump"}
    assert max(changes["outliers"].sizes) > 5
    np.testing.assert_allclose(changes["clump"].sizes, 1.3, atol=0.3)
    assert changes["outliers"].share == pytest.approx(0.08, abs=0.03)


def test_noise_that_shows_in_no_single_feature_is_scatter():
    rng = np.random.default_rng(0)

    def colours(noise):
        one = rng.normal(size=(N, 1))
        return one + noise * rng.normal(size=(N, 3))

    (found,) = find_changes(colours(0.1), colours(0.2), NAMES[:3])
    assert found.kind == "scatter"
    assert found.features == ()
    assert 1.3 < found.sizes[0] < 2.5


def test_of_a_few_objects_no_kind_is_told():
    x = normal(0)
    assert find_changes(x[:8], x[:7] + 3, NAMES) == []


def test_scores_leave_outliers_where_they_are():
    flux = np.exp(np.random.default_rng(0).normal(size=(2000, 1)))
    scores = RobustScores(flux)
    np.testing.assert_allclose(
        scores(np.exp([[-1.0], [0.0], [1.0], [9.0]]))[:, 0],
        [-1, 0, 1, 9],
        atol=0.5,
    )
    assert np.isnan(scores(np.array([[np.nan]]))).all()
    constant = RobustScores(np.ones((5, 1)))
    np.testing.assert_array_equal(constant(np.array([[1.0], [3.0]]))[:, 0], [0, 2])
    empty = RobustScores(np.full((5, 1), np.nan))
    assert np.isnan(empty(np.full((2, 1), np.nan))).all()


def report(change, names=NAMES, **options):
    x, y = normal(0), normal(1)
    change(y, np.random.default_rng(2))
    x, y = (Table(side, names=names) for side in (x, y))
    return ShiftReport.compare(x, y, rng=0, n_permutation=99, **options)


class TestVerdict:
    def test_wild_outliers_and_clumps_are_no_slight_shift(self):
        outliers, group = report(wild), report(clump)
        assert outliers.domain.statistic < 0.6
        assert (outliers.severity, group.severity) == ("clear", "clear")
        assert "Outliers: 8" in outliers.verdict
        assert "about 25 of 300" in outliers.verdict
        assert "Clump: 12 % of the targets are a group" in group.verdict

    def test_noise_is_said_to_be_scatter_and_not_a_mean_of_zero(self):
        said = report(noisier).verdict
        assert "Scatter: more than in the reference, " in said
        assert "+0.0" not in said

    def test_better_data_may_be_expected_to_be_as_good(self):
        z = 1 / (1 + np.exp(-normal(0)[:, 0]))
        better = report(tighter, z_spec=z)
        assert better.severity == "clear"
        assert "Scatter: less than in the reference" in better.verdict
        assert "o not expect" not in better.verdict
        own, theirs = better.expected_error
        assert 0 < theirs < own
        assert report(tighter).expected_error is None

    def test_magnitudes_fluxes_and_errors_are_said_in_their_terms(self):
        def dimmer(y, rng):
            y[:, :2] += 1

        names = ["mag_r", "flux_err_ps1_r", "flux_ps1_g", "c"]
        x, y = normal(0), normal(1)
        dimmer(y, None)
        x[:, 1:3], y[:, 1:3] = np.exp(x[:, 1:3]), np.exp(y[:, 1:3])
        said = ShiftReport.compare(
            Table(x, names=names), Table(y, names=names), rng=0, n_permutation=99
        ).verdict
        assert "r fainter by 1." in said
        assert "errors of ps1_r larger, 2." in said

    def test_no_shift_is_not_said_of_all_tests_where_one_alone_is_below(self):
        quiet = report(lambda y, rng: None)
        assert "all tests together" in quiet.verdict
        low = next(iter(quiet.tests.values()))._replace(p_value=0.00998)
        vars(quiet)["covariance"] = low
        assert quiet.severity == "none"
        assert "variances and correlations (p = 0.01)" in quiet.verdict
        assert "one of so many often is" in quiet.verdict
