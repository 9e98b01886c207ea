"""The report: verdicts under the null and under shifts, weights, bad input."""

import numpy as np
import pytest
from astropy.table import Table
from matplotlib.figure import Figure
from scipy.stats import binom, norm

from mantis_astro.exceptions import InputSpecError
from mantis_astro.plotting import plot_shift
from mantis_astro.shift import (
    ReferenceStatistics,
    ShiftReport,
    effective_sample_size,
    rank_features,
    severity,
)
from mantis_astro.tables import read_table, write_table


def normal(n, d=4, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


@pytest.fixture(scope="module")
def shifted():
    """Targets one standard deviation off in the first of three features."""
    x, y = normal(500, 3), normal(400, 3, seed=1) + np.array([0.9, 0, 0])
    names = ["r", "g-r", "size"]
    return ShiftReport.compare(
        Table(x, names=names), Table(y, names=names), rng=0, max_objects=300
    )


def test_a_shift_is_found_graded_and_explained(shifted):
    assert shifted.is_shifted
    assert shifted.severity == "clear"
    assert shifted.drivers["feature"][0] == "r"
    d = shifted.drivers["cohen_d"][0]
    assert d == pytest.approx(0.9, abs=0.2)
    # two normal distributions d sigma apart: AUC = Phi(d / sqrt 2), and the largest
    # difference of their cdf is 2 Phi(d / 2) - 1
    assert shifted.domain.statistic == pytest.approx(norm.cdf(d / 2**0.5), abs=0.03)
    assert shifted.drivers["ks"][0] == pytest.approx(2 * norm.cdf(d / 2) - 1, abs=0.06)
    assert shifted.drivers["p_value"][2] > 0.1


def test_the_verdict_is_made_of_sentences(shifted):
    assert shifted.verdict.startswith(
        "Clear shift: the 400 targets are not drawn from the reference (AUC 0.7"
    )
    assert "alarm at 0.01" in shifted.verdict
    assert "Mean: r higher, 0." in shifted.verdict
    assert "the reference is worth" in shifted.verdict
    assert repr(shifted) == "<ShiftReport of 400 targets against 500: clear shift>"


def test_the_table_lists_what_was_measured(shifted):
    table = shifted.to_table()
    assert table["quantity"].tolist() == [
        "domain_auc",
        "mmd",
        "energy_distance",
        "single_feature",
        "hotelling",
        "covariance",
        "mahalanobis",
        "outliers",
        "share_ood",
        "effective_sample_size",
    ]
    assert table["value"][0] == shifted.domain.statistic
    assert table["without_shift"][0] == pytest.approx(0.5, abs=0.02)
    assert table["p_value"].mask.tolist() == [False] * 9 + [True]
    assert table.meta["p_value"] == shifted.p_value == 1 / 501
    assert table.meta["verdict"] == shifted.verdict
    assert table.meta["n_permutation"] == 500
    assert str(table["description"][8]) in str(shifted)


@pytest.mark.parametrize("ending", ["ecsv", "fits", "parquet", "hdf5", "csv", "vot"])
def test_every_format_holds_the_table(shifted, tmp_path, ending):
    """Nothing of the sample's own is in it: what is asked for first always works."""
    for package in {"parquet": ["pyarrow"], "hdf5": ["h5py"]}.get(ending, []):
        pytest.importorskip(package)
    table = shifted.to_table()
    write_table(table, tmp_path / f"report.{ending}")
    again = read_table(tmp_path / f"report.{ending}")
    assert again["quantity"].tolist() == table["quantity"].tolist()
    np.testing.assert_allclose(again["value"], table["value"])


def test_weights_make_the_reference_look_like_the_targets():
    x, y = normal(1000, 2), normal(500, 2, seed=1) + np.array([1, 0])
    report = ShiftReport.compare(x, y, rng=0, max_objects=300)
    truth = np.exp(x[:, 0])  # ratio of the two densities, but for its scale
    assert report.weights.shape == (1000,)
    assert report.weights.mean() == pytest.approx(1)
    assert np.corrcoef(report.weights, truth)[0, 1] > 0.8
    assert np.average(x[:, 0], weights=report.weights) == pytest.approx(1, abs=0.25)
    assert np.average(x[:, 1], weights=report.weights) == pytest.approx(0, abs=0.15)
    ess = effective_sample_size(report.weights)
    assert report.effective_sample_size == ess
    assert 300 < ess < 950
    mine = normal(500, 2, seed=7)
    assert np.average(mine[:, 0], weights=report.weigh(mine)) > 0.6
    with pytest.raises(InputSpecError, match="has 2 .*got 3"):
        report.weigh(normal(5, 3))


def test_weights_are_clipped():
    report = ShiftReport.compare(normal(200), normal(200, seed=1) + 4, rng=0, clip=5)
    assert report.weights.max() / report.weights.min() <= 25 * (1 + 1e-9)
    assert np.isfinite(report.weights).all()


def test_no_shift_no_weights():
    report = ShiftReport.compare(normal(400), normal(400, seed=1), rng=0)
    assert report.severity == "none"
    assert report.verdict.startswith(
        "No shift found: all tests together cannot tell the 400 targets"
    )
    assert report.effective_sample_size > 390
    assert report.share_ood < 0.04


def test_false_alarms_are_as_many_as_the_level():
    level, n_draw, p_values, p_domain = 0.1, 120, [], []
    for seed in range(n_draw):
        rng = np.random.default_rng(seed)
        x, y = rng.standard_t(4, size=(30, 5)), rng.standard_t(4, size=(24, 5))
        x[rng.random(30) < 0.2, 4] = y[rng.random(24) < 0.2, 4] = np.nan
        report = ShiftReport.compare(x, y, rng=rng, n_permutation=39, level=level)
        p_values.append(report.p_value)
        p_domain.append(report.domain.p_value)
    low, high = binom.interval(0.99, n_draw, level)
    assert low <= np.count_nonzero(np.array(p_values) <= level) <= high
    # uniform: neither too small nor conservative, (1 + 1 / 40) / 2 with ties upwards
    assert np.mean(p_values) == pytest.approx(0.51, abs=0.06)
    assert np.mean(p_domain) == pytest.approx(0.51, abs=0.06)


def found(change, *, n_draw=20, n=150, d=10):
    """Share of draws in which a change of the targets is found at 1 %."""
    hits = []
    for seed in range(n_draw):
        rng = np.random.default_rng([9, seed])
        x, y = rng.normal(size=(n, d)), change(rng.normal(size=(n, d)), rng)
        hits.append(ShiftReport.compare(x, y, rng=rng, n_permutation=199).is_shifted)
    return np.mean(hits)


def test_one_of_ten_features_shifted_by_six_tenths_of_its_scatter_is_found():
    assert found(lambda y, _: y + 0.6 * (np.arange(10) == 3)) > 0.8


def test_more_scatter_of_one_of_ten_features_is_found():
    assert found(lambda y, _: y * np.where(np.arange(10) == 3, 1.8, 1)) > 0.8


def test_a_band_missing_in_some_targets_is_found():
    def lacks_a_band(y, rng):
        y[rng.random(len(y)) < 0.15, 7] = np.nan
        return y

    assert found(lacks_a_band) > 0.8


@pytest.mark.parametrize(
    "change",
    [
        lambda y: y + 1,
        lambda y: 1.6 * y,
        lambda y: np.column_stack([y[:, 0], 0.9 * y[:, 0] + 0.4 * y[:, 1], y[:, 2:]]),
        lambda y: np.vstack([y[:200], y[200:] + 3]),
    ],
    ids=["fainter", "more scattered", "correlated", "a second population"],
)
def test_shifts_of_every_kind_are_found(change):
    report = ShiftReport.compare(normal(300), change(normal(250, seed=1)), rng=0)
    assert report.is_shifted


def test_a_shift_that_no_histogram_shows_is_put_in_words():
    y = normal(300, seed=1)
    y[:, 0] = 0.8 * y[:, 1] + 0.6 * y[:, 0]
    report = ShiftReport.compare(normal(300), y, rng=0)
    assert (
        "No simple change explains it; the shift shows in variances and correlations "
        "(p = 0.002)"
    ) in report.verdict


def test_the_larger_the_shift_the_higher_the_auc():
    auc = [
        ShiftReport.compare(
            normal(300), normal(300, seed=1) + np.array([shift, 0, 0, 0]), rng=0
        ).domain.statistic
        for shift in (0, 0.5, 1, 2)
    ]
    assert auc == sorted(auc)


def test_the_same_bytes_by_two_paths_are_no_shift():
    x = normal(300)
    for other in (x.copy(), x[::-1], x.astype(np.float32), x + 1e-12):
        report = ShiftReport.compare(x, other, rng=0)
        assert report.domain.statistic == pytest.approx(0.5, abs=0.02)
        assert report.severity == "none"


def test_against_stored_statistics_rounding_tells_nothing():
    x = np.maximum(normal(1500, 20), 0)  # many exact zeros, as features have
    reference = ReferenceStatistics.from_features(x[:1200], rng=0, n_vector=300)
    report = ShiftReport.compare(reference, x[1200:].astype(np.float32), rng=0)
    assert not report.is_shifted
    assert report.n_reference == 300
    assert report.reference is reference
    assert report.share_ood < 0.03


def test_the_seed_alone_decides():
    x, y = normal(80), normal(80, seed=1)
    first, second = (ShiftReport.compare(x, y, rng=3).to_table() for _ in range(2))
    assert (first["value"] == second["value"]).all()
    assert first.meta == second.meta


def test_where_values_are_missing_is_compared_too():
    x, y = normal(400), normal(400, seed=1)
    rng = np.random.default_rng(0)
    x[rng.random(400) < 0.1, 2] = np.nan
    y[rng.random(400) < 0.6, 2] = np.nan
    report = ShiftReport.compare(x, y, rng=0)
    assert report.is_shifted
    assert report.drivers["feature"][0] == "feature 2"
    assert report.drivers["missing_target"][0] == pytest.approx(0.6, abs=0.1)
    assert np.isfinite(report.ood_score).all()


def test_a_target_that_lacks_what_all_of_the_reference_has_is_not_scored():
    x, y = normal(60), normal(30, seed=1)
    y[4, 1] = np.nan
    report = ShiftReport.compare(x, y, rng=0)
    assert np.flatnonzero(np.isnan(report.ood_score)).tolist() == [4]
    assert np.isfinite(report.share_ood)


def test_duplicated_rows_raise_no_alarm():
    x, y = normal(60), normal(50, seed=1)
    report = ShiftReport.compare(np.vstack([x] * 4), np.vstack([y] * 5), rng=0)
    assert report.n_duplicate == 3 * 60 + 4 * 50
    assert not report.is_shifted
    assert report.domain.statistic == pytest.approx(0.5, abs=0.2)


def test_constant_features_are_harmless_until_they_differ():
    x, y = normal(200), normal(200, seed=1)
    x[:, 0] = y[:, 0] = 3
    assert not ShiftReport.compare(x, y, rng=0).is_shifted
    y[:, 0] = 4
    report = ShiftReport.compare(x, y, rng=0)
    assert report.severity == "strong"
    assert report.drivers["cohen_d"][0] == np.inf


def test_fewer_objects_than_features():
    x, y = normal(40, 200), normal(40, 200, seed=1)
    assert not ShiftReport.compare(x, y, rng=0).is_shifted
    assert ShiftReport.compare(x, y + 1, rng=0).severity == "strong"


def test_ten_objects_are_enough_for_a_large_shift_and_say_so():
    small = ShiftReport.compare(normal(10), normal(10, seed=1), rng=0)
    assert not small.is_shifted
    assert small.verdict.endswith("With so few objects only a large shift can be seen.")
    assert ShiftReport.compare(normal(10), normal(10, seed=1) + 9, rng=0).is_shifted


def test_half_precision_is_no_shift():
    x, y = normal(300), normal(300, seed=1)
    report = ShiftReport.compare(x.astype(np.float16), y.astype(np.float16), rng=0)
    assert not report.is_shifted


@pytest.mark.parametrize(
    ("x", "y", "options", "match"),
    [
        (normal(20), normal(4), {}, "'target' must have at least 5 objects, got 4"),
        (normal(9), normal(20), {}, "needs 10 objects with all features"),
        (normal(20), np.ones((20, 4)), {}, "'target' must have at least 5 different"),
        (normal(20), normal(20, 5), {}, "not the features of the reference: it has 4"),
        (normal(20), normal(20), {"n_permutation": 98}, "at least 99 for alarms at"),
    ],
)
def test_what_cannot_be_compared_is_refused(x, y, options, match):
    with pytest.raises(ValueError, match=match):
        ShiftReport.compare(x, y, rng=0, **options)


def test_severity_goes_by_the_stated_thresholds():
    grades = [severity(auc, 0.001) for auc in (0.5, 0.599, 0.6, 0.799, 0.8)]
    assert grades == ["slight", "slight", "clear", "clear", "strong"]
    assert severity(0.99, 0.011) == "none"
    assert severity(0.99, 0.04, level=0.05) == "strong"
    by_share = [severity(0.5, 0.001, share=share) for share in (0.03, 0.04, 0.25)]
    assert by_share == ["slight", "clear", "strong"]


def test_features_that_are_all_missing_rank_by_that():
    x, y = normal(50, 2), normal(50, 2, seed=1)
    y[:, 1] = np.nan
    table = rank_features(x, y, ["g", "r"])
    assert table["feature"].tolist() == ["r", "g"]
    assert np.isnan(table["ks"][0])
    assert table["missing_target"].tolist() == [1, 0]


class TestPlot:
    def test_the_panels_show_what_the_report_says(self, shifted):
        figure = plot_shift(shifted)
        left, middle, right = figure.axes
        assert left.lines[0].get_xdata()[0] == shifted.domain.statistic
        assert middle.lines[0].get_xdata()[0] == 1
        labels = [label.get_text() for label in right.get_yticklabels()]
        assert labels == shifted.drivers["feature"].tolist()
        assert figure.get_suptitle().startswith("Clear shift: the 400 targets")
        assert middle.patches

    def test_panels_are_below_each_other_in_a_column_of_a_journal(self, shifted):
        figure = plot_shift(shifted, figure=Figure((3.3, 7)))
        figure.draw_without_rendering()
        tops = [ax.bbox.y1 for ax in figure.axes]
        assert tops == sorted(tops, reverse=True)
        width = figure.bbox.width
        assert figure.get_tightbbox().width * figure.dpi <= width + 1
        assert all(ax.bbox.width > 0.4 * width for ax in figure.axes)

    def test_it_can_be_drawn_whatever_was_found(self, shifted, tmp_path):
        y = normal(20)
        y[:, 1] = 7
        report = ShiftReport.compare(normal(20), y, rng=0)
        plot_shift(report).savefig(tmp_path / "a.png")
        with pytest.raises(ValueError, match="'n_feature' must be at least 1, got 0"):
            plot_shift(report, n_feature=0)


def test_redshifts_of_the_reference_go_into_the_scores():
    rng = np.random.default_rng(3)
    x, y, z = (
        rng.normal(size=(300, 2)),
        rng.normal(size=(100, 2)),
        rng.uniform(0, 1, 300),
    )
    report = ShiftReport.compare(x, y, rng=0, z_spec=z)
    assert report.reference.vector_z is not None
    np.testing.assert_array_equal(report.ood_score, report.reference.ood_score(y))
    assert ShiftReport.compare(x, y, rng=0).reference.vector_z is None
    with pytest.raises(
        ValueError, match=r"'z_spec' must have shape \(300,\), got \(2,\)"
    ):
        ShiftReport.compare(x, y, rng=0, z_spec=z[:2])
