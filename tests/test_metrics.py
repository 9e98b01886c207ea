"""Metrics against their definitions, numerical integration, scipy and qp."""

import warnings

import astropy.cosmology.units as cu
import astropy.units as u
import numpy as np
import pytest
from astropy.table import Column, MaskedColumn, QTable
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from mantis_astro import Flag, RedshiftPDF, evaluate, metrics

EDGES = np.array([0, 0.002, 0.006, 0.1, 0.35, 0.4, 0.8, 1.6])  # unequal on purpose


@st.composite
def densities_and_truths(draw):
    """A p(z) with some empty bins, and a truth inside or outside of its bins."""
    weights = draw(
        hnp.arrays(float, 7, elements=st.floats(0.01, 1) | st.just(0.0)).filter(np.any)
    )
    return RedshiftPDF(EDGES, weights), draw(st.floats(0, 2))


def numerically(function, breaks):
    """Integrate from 0 to 3, exactly for pieces of second degree between breaks."""
    points = np.unique(np.concatenate([EDGES, breaks, [0, 3]]))
    nodes, weights = np.polynomial.legendre.leggauss(3)
    middle, half = (points[1:] + points[:-1]) / 2, np.diff(points) / 2
    z = middle[:, None] + half[:, None] * nodes
    return np.sum(function(z.ravel()).reshape(z.shape) * weights * half[:, None])


def gaussians(z, sigma=0.05, width=0.05, seed=0):
    """P(z) of stated width around centres that scatter by sigma about z."""
    edges = np.linspace(0, 2, 401)
    centres = z + np.random.default_rng(seed).normal(0, sigma, len(z))
    below = stats.norm.cdf(edges, centres[:, None], width)
    return RedshiftPDF(edges, np.diff(below, axis=1))


@pytest.fixture(scope="module")
def z_spec():
    return np.random.default_rng(1).uniform(0.5, 1.5, 4000)


@pytest.fixture(scope="module")
def pdf(z_spec):
    return gaussians(z_spec)


# Point estimates ------------------------------------------------------------------

POINT_METRICS = [
    metrics.bias_mean,
    metrics.bias_median,
    metrics.sigma_nmad,
    metrics.sigma_iqr,
    metrics.sigma_std,
    metrics.rail_outlier_fraction,
]


def test_delta_z_is_the_error_over_one_plus_the_truth():
    np.testing.assert_allclose(metrics.delta_z([0.6, 1.0], [0.5, 3.0]), [1 / 15, -0.5])


def test_a_constant_offset_in_delta_z_is_all_bias_and_no_scatter():
    z_spec = np.linspace(0, 1, 50)
    z_phot = z_spec + 0.01 * (1 + z_spec)
    assert metrics.bias_mean(z_phot, z_spec) == pytest.approx(0.01)
    assert metrics.bias_median(z_phot, z_spec) == pytest.approx(0.01)
    for sigma in (metrics.sigma_nmad, metrics.sigma_iqr, metrics.sigma_std):
        assert sigma(z_phot, z_spec) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    "sigma", [metrics.sigma_nmad, metrics.sigma_iqr, metrics.sigma_std]
)
def test_every_scatter_is_the_standard_deviation_of_a_gaussian(sigma):
    quantiles = (np.arange(100_000) + 0.5) / 100_000
    z_phot = stats.norm.ppf(quantiles, 0, 0.03)
    assert sigma(z_phot, np.zeros(100_000)) == pytest.approx(0.03, rel=1e-3)


def test_nmad_is_that_of_scipy(z_spec):
    z_phot = z_spec + np.random.default_rng(2).standard_t(2, len(z_spec)) * 0.02
    nmad = stats.median_abs_deviation(metrics.delta_z(z_phot, z_spec)) * 1.4826
    assert metrics.sigma_nmad(z_phot, z_spec) == pytest.approx(nmad)


def test_a_galaxy_at_the_threshold_is_an_outlier():
    z_phot = np.array([0.0, 0.125, 0.25, -0.125])
    assert metrics.outlier_fraction(z_phot, np.zeros(4), threshold=0.125) == 0.75


def test_the_rail_threshold_is_at_least_006_and_else_three_sigma():
    narrow = np.r_[np.zeros(98), 0.06, 0.061]  # the first reaches it, and no more
    assert metrics.rail_outlier_fraction(narrow, np.zeros(100)) == 0.01
    wide = np.r_[np.linspace(-0.1, 0.1, 99), 0.3]  # 3 sigma_iqr is 0.22
    assert metrics.rail_outlier_fraction(wide, np.zeros(100)) == 0.01


@pytest.mark.parametrize("metric", POINT_METRICS)
@pytest.mark.parametrize(
    "with_a_gap",
    [
        np.array([0.1, np.nan, 0.3]),
        np.ma.masked_equal([0.1, -1, 0.3], -1),
        MaskedColumn([0.1, -1, 0.3], mask=[False, True, False]),
        QTable({"z": MaskedColumn([0.1, 0, 0.3], mask=[0, 1, 0], unit=u.one)})["z"],
    ],
    ids=["nan", "masked array", "masked column", "masked quantity"],
)
def test_what_is_missing_is_left_out(metric, with_a_gap):
    expected = metric([0.1, 0.32], [0.1, 0.3])
    assert metric([0.1, 0.2, 0.32], with_a_gap) == pytest.approx(expected)


def test_redshifts_may_carry_their_units():
    z = np.array([0.1, 0.2])
    for unit in (u.one, cu.redshift):
        assert metrics.bias_mean(z * unit, z) == 0
    with pytest.raises(u.UnitConversionError, match="km / s"):
        metrics.bias_mean(z * u.km / u.s, z)


@pytest.mark.parametrize("metric", POINT_METRICS)
def test_no_galaxy_gives_nan_without_a_warning(metric):
    assert np.isnan(metric([], []))
    assert np.isnan(metric([np.nan], [0.1]))


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"one shape, got \(2,\) and \(3,\)"):
        metrics.delta_z([0, 1], [0, 1, 2])


@pytest.mark.parametrize("threshold", [0, -1, np.nan])
def test_a_threshold_must_be_positive(threshold):
    with pytest.raises(ValueError, match="'threshold' must be positive, got"):
        metrics.outlier_fraction([0.1], [0.1], threshold=threshold)


# Whole densities ------------------------------------------------------------------


@given(densities_and_truths())
def test_crps_is_the_integral_that_defines_it(example):
    pdf, z_spec = example

    def integrand(z):
        return (pdf.cdf(z).value - (z >= z_spec)) ** 2

    expected = numerically(integrand, [z_spec])
    assert metrics.crps(pdf, z_spec) == pytest.approx(expected, abs=1e-12)


@given(densities_and_truths())
def test_cde_loss_is_the_integral_that_defines_it(example):
    pdf, z_spec = example
    squared = numerically(lambda z: pdf.pdf(z).value ** 2, [z_spec])
    expected = squared - 2 * pdf.pdf(z_spec).value
    assert metrics.cde_loss(pdf, z_spec) == pytest.approx(expected, rel=1e-9)


@given(densities_and_truths())
def test_pit_is_the_integral_of_the_density_up_to_the_truth(example):
    pdf, z_spec = example
    expected = numerically(lambda z: pdf.pdf(z).value * (z < z_spec), [z_spec])
    assert metrics.pit(pdf, z_spec) == pytest.approx(expected, abs=1e-12)


def test_log_score_is_the_log_of_the_density():
    pdf = RedshiftPDF(EDGES, np.ones(7))
    assert metrics.log_score(pdf, 0.38) == pytest.approx(np.log(1 / 7 / 0.05))


def test_a_truth_that_is_excluded_scores_minus_infinity():
    pdf = RedshiftPDF(EDGES, [1, 0, 0, 0, 0, 0, 0])
    assert metrics.log_score(pdf, 0.5) == -np.inf


def test_a_truth_on_an_edge_belongs_to_the_bin_above_and_the_last_to_the_last():
    pdf = RedshiftPDF([0, 0.5, 1, 3], np.tile([0.1, 0.3, 0.6], (4, 1)))
    density = np.array([0.2, 0.6, 0.3, 0.3])  # of each bin; the upper edge is inside
    scores = metrics.object_scores(pdf, pdf.bin_edges)
    np.testing.assert_allclose(scores["log_score"], np.log(density))
    squared = 0.1**2 / 0.5 + 0.3**2 / 0.5 + 0.6**2 / 2
    np.testing.assert_allclose(scores["cde_loss"], squared - 2 * density)


def test_crps_of_a_point_is_its_distance():
    pdf = RedshiftPDF([0, 0.5, 0.5 + 1e-9, 1], [0, 1, 0])
    assert metrics.crps(pdf, 0.2) == pytest.approx(0.3)


@pytest.mark.parametrize("score", [metrics.crps, metrics.cde_loss])
def test_scores_are_best_for_the_right_width(score, z_spec):
    right = score(gaussians(z_spec, width=0.05), z_spec)
    assert right < score(gaussians(z_spec, width=0.025), z_spec)
    assert right < score(gaussians(z_spec, width=0.1), z_spec)


def test_the_score_of_many_is_the_mean_of_each(pdf, z_spec):
    scores = metrics.object_scores(pdf[:20], z_spec[:20])
    for name in ("crps", "cde_loss", "log_score"):
        each = [getattr(metrics, name)(pdf[i], z_spec[i]) for i in range(20)]
        np.testing.assert_allclose(scores[name].value, each)
        assert getattr(metrics, name)(pdf[:20], z_spec[:20]) == pytest.approx(
            np.mean(each)
        )


def test_coverage_counts_the_intervals_that_hold_the_truth(pdf, z_spec):
    low, high = pdf.interval(0.9)
    expected = np.mean((low <= z_spec) & (z_spec <= high))
    assert metrics.coverage(pdf, z_spec, level=0.9) == pytest.approx(expected)


@pytest.mark.parametrize("level", [0, 1, 68])
def test_a_level_is_between_0_and_1(pdf, z_spec, level):
    with pytest.raises(ValueError, match=f"between 0 and 1, got {level}"):
        metrics.coverage(pdf, z_spec, level=level)


def test_scores_leave_out_what_has_no_truth(pdf, z_spec):
    gap = np.where(np.arange(20) % 3, z_spec[:20], np.nan)
    there = ~np.isnan(gap)
    for score in (metrics.crps, metrics.cde_loss, metrics.log_score):
        assert score(pdf[:20], gap) == pytest.approx(score(pdf[:20][there], gap[there]))
    assert np.array_equal(np.isnan(metrics.pit(pdf[:20], gap)), ~there)


def test_scores_keep_any_shape(pdf, z_spec):
    square = metrics.pit(pdf[:6].reshape(2, 3), z_spec[:6].reshape(2, 3))
    np.testing.assert_array_equal(square.ravel(), metrics.pit(pdf[:6], z_spec[:6]))


def test_a_truth_for_each_density_is_needed(pdf):
    with pytest.raises(ValueError, match=r"expected shape \(5,\), got \(3,\)"):
        metrics.crps(pdf[:5], [0.1, 0.2, 0.3])


# Uniformity of PITs ---------------------------------------------------------------

PITS = np.random.default_rng(3).beta(1.3, 0.9, 500)


def test_ks_and_cvm_are_those_of_scipy():
    assert metrics.pit_ks(PITS) == pytest.approx(
        stats.kstest(PITS, "uniform").statistic
    )
    cvm = stats.cramervonmises(PITS, "uniform").statistic
    assert metrics.pit_cvm(PITS) == pytest.approx(cvm)


def test_ad_is_that_of_scipy_for_a_fully_specified_distribution():
    expected = stats.goodness_of_fit(
        stats.uniform,
        PITS,
        known_params={"loc": 0, "scale": 1},
        statistic="ad",
        n_mc_samples=1,
    ).statistic
    assert metrics.pit_ad(PITS) == pytest.approx(expected)


@pytest.mark.parametrize("bins", [10, 20])
def test_kld_is_the_relative_entropy_of_the_histogram(bins):
    counts = np.histogram(PITS, bins, (0, 1))[0]
    expected = stats.entropy(counts, np.ones(bins))
    assert metrics.pit_kld(PITS, bins=bins) == pytest.approx(expected)


def test_pit_and_its_tests_agree_with_qp(pdf, z_spec):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        qp = pytest.importorskip("qp")
        from qp.metrics.pit import PIT

        ensemble = qp.Ensemble(
            qp.hist, data={"bins": pdf.bin_edges, "pdfs": pdf.density[:100]}
        )
        theirs = PIT(ensemble, z_spec[:100])
    ours = metrics.pit(pdf[:100], z_spec[:100])
    np.testing.assert_allclose(ours, theirs.pit_samps, atol=1e-6)
    ks, cvm = theirs.evaluate_PIT_KS(), theirs.evaluate_PIT_CvM()
    assert metrics.pit_ks(ours) == pytest.approx(ks.statistic, abs=1e-6)
    assert metrics.pit_cvm(ours) == pytest.approx(cvm.statistic, abs=1e-4)


PIT_TESTS = [metrics.pit_ks, metrics.pit_cvm, metrics.pit_ad, metrics.pit_kld]


@pytest.mark.parametrize("test", PIT_TESTS)
def test_distances_from_uniform_do_not_depend_on_order_or_side(test):
    assert test(PITS[::-1]) == pytest.approx(test(PITS))
    assert test(1 - PITS) == pytest.approx(test(PITS))


@pytest.mark.parametrize("test", PIT_TESTS)
def test_wrong_widths_are_further_from_uniform_than_the_right_one(test, z_spec):
    right = test(metrics.pit(gaussians(z_spec, width=0.05), z_spec))
    assert right < test(metrics.pit(gaussians(z_spec, width=0.04), z_spec))
    assert right < test(metrics.pit(gaussians(z_spec, width=0.06), z_spec))


@pytest.mark.parametrize("test", PIT_TESTS)
def test_no_pit_is_nan_and_gaps_are_left_out(test):
    assert np.isnan(test([np.nan]))
    assert test(np.r_[PITS, np.nan]) == test(PITS)


def test_ad_stays_finite_for_truths_outside_the_bins():
    assert np.isfinite(metrics.pit_ad(np.r_[0.0, PITS, 1.0]))


@pytest.mark.parametrize("test", PIT_TESTS)
def test_pits_are_between_0_and_1(test):
    with pytest.raises(ValueError, match=r"'pit' must lie between 0 and 1, got 1\.5"):
        test([0.5, 1.5])
    with pytest.raises(ValueError, match=r"'pit' must lie between 0 and 1, got -0\.1"):
        test([0.5, -0.1])


def test_kld_needs_a_bin():
    with pytest.raises(ValueError, match="'bins' must be positive, got 0"):
        metrics.pit_kld(PITS, bins=0)


# The table ------------------------------------------------------------------------


def test_the_table_holds_what_the_functions_give(pdf, z_spec):
    row = evaluate(pdf, z_spec, n_bootstrap=0)[0]
    z_phot = pdf.median()
    for metric in POINT_METRICS:
        assert row[metric.__name__] == metric(z_phot, z_spec)
    for percent in ("05", "15"):
        share = metrics.outlier_fraction(
            z_phot, z_spec, threshold=float(f"0.{percent}")
        )
        assert row[f"outlier_fraction_0{percent}"] == share
    for score in (metrics.crps, metrics.cde_loss, metrics.log_score):
        assert row[score.__name__] == pytest.approx(score(pdf, z_spec))
    for test in PIT_TESTS:
        assert row[test.__name__] == test(metrics.pit(pdf, z_spec))
    assert row["coverage_68"] == metrics.coverage(pdf, z_spec, level=0.68)
    assert row["n"] == len(z_spec)


def test_calibrated_densities_cover_what_they_say(pdf, z_spec):
    row = evaluate(pdf, z_spec)[0]
    assert abs(row["coverage_68"] - 0.68) < 3 * row["coverage_68_err"]
    assert abs(row["coverage_95"] - 0.95) < 3 * row["coverage_95_err"]
    assert row["pit_ks"] < 1.63 / np.sqrt(len(z_spec))  # 1 % by chance


@pytest.mark.parametrize(
    ("point", "method"),
    [("mean", "mean"), ("median", "median"), ("mode", "mode"), ("risk", "z_risk")],
)
def test_the_point_estimate_is_the_one_asked_for(pdf, z_spec, point, method):
    table = evaluate(pdf[:50], z_spec[:50], point=point, n_bootstrap=0)
    assert table["point"][0] == point
    z_phot = getattr(pdf[:50], method)()
    assert table["bias_mean"][0] == metrics.bias_mean(z_phot, z_spec[:50])


def test_a_score_of_ones_own_is_averaged_with_an_error(pdf, z_spec):
    own = {"own_crps": lambda p, z: metrics.object_scores(p, z)["crps"]}
    gap = z_spec.copy()
    gap[3] = np.nan  # left out of every metric alike
    table = evaluate(pdf, gap, scores=own, n_bootstrap=50, by=gap, bins=2)
    np.testing.assert_array_equal(table["own_crps"], table["crps"])
    np.testing.assert_array_equal(table["own_crps_err"], table["crps_err"])
    assert "own_crps" in metrics.summarize(table)


@pytest.mark.parametrize("name", ["crps", "sigma_nmad", "pit"])
def test_a_score_of_ones_own_needs_a_name_of_its_own(pdf, z_spec, name):
    with pytest.raises(ValueError, match=f"names of their own; {name} is taken"):
        evaluate(pdf, z_spec, scores={name: lambda p, z: z})


def test_a_score_has_one_number_a_galaxy(pdf, z_spec):
    with pytest.raises(ValueError, match=r"'mean' must return one number for each"):
        evaluate(pdf, z_spec, scores={"mean": lambda p, z: 1.0})


def test_another_point_estimate_is_refused(pdf, z_spec):
    with pytest.raises(ValueError, match="one of mean, median, mode, risk, got 'best'"):
        evaluate(pdf, z_spec, point="best")


def test_the_bootstrap_error_of_a_mean_is_its_standard_error(pdf, z_spec):
    table = evaluate(pdf, z_spec, n_bootstrap=400)
    delta = metrics.delta_z(pdf.median(), z_spec)
    expected = np.std(delta) / np.sqrt(len(delta))
    assert table["bias_mean_err"][0] == pytest.approx(expected, rel=0.15)


def test_the_error_of_a_drawn_part_is_scaled_to_the_whole(pdf, z_spec, monkeypatch):
    whole = evaluate(pdf, z_spec, n_bootstrap=400)["sigma_nmad_err"][0]
    monkeypatch.setattr("mantis_astro.metrics.evaluation._RESAMPLE", 1000)
    part = evaluate(pdf, z_spec, n_bootstrap=400)["sigma_nmad_err"][0]
    assert part == pytest.approx(whole, rel=0.2)


def test_the_same_seed_gives_the_same_errors(pdf, z_spec):
    first = evaluate(pdf[:100], z_spec[:100], rng=5)
    again = evaluate(pdf[:100], z_spec[:100], rng=np.random.default_rng(5))
    other = evaluate(pdf[:100], z_spec[:100], rng=6)
    assert first["bias_mean_err"][0] == again["bias_mean_err"][0]
    assert first["bias_mean_err"][0] != other["bias_mean_err"][0]


def test_without_bootstrap_there_are_no_error_columns(pdf, z_spec):
    table = evaluate(pdf[:9], z_spec[:9], n_bootstrap=0)
    assert not [name for name in table.colnames if name.endswith("_err")]


def test_every_column_says_what_it_is(pdf, z_spec):
    table = evaluate(pdf[:9], z_spec[:9], by=z_spec[:9], bins=2)
    for name in set(table.colnames) - {"by_low", "by_high"}:
        assert table[name].info.description


def test_flagged_galaxies_are_left_out_and_counted(pdf, z_spec):
    flags = np.zeros(100, int)
    flags[:7] = Flag.NO_DATA
    flags[7:10] = Flag.BROAD
    flagged = pdf[:100].add_flags(flags)
    row = evaluate(flagged, z_spec[:100], n_bootstrap=0)[0]
    assert (row["n"], row["n_flagged"]) == (93, 7)
    expected = metrics.crps(pdf[7:100], z_spec[7:100])
    assert row["crps"] == pytest.approx(expected)
    strict = evaluate(flagged, z_spec[:100], exclude=Flag.NO_DATA | Flag.BROAD)
    assert (strict["n"][0], strict["n_flagged"][0]) == (90, 10)
    assert evaluate(flagged, z_spec[:100], exclude=Flag(0))["n"][0] == 100


def test_a_sentinel_is_no_truth(pdf, z_spec):
    truth = np.where(np.arange(len(z_spec)) < 30, -99.0, z_spec)
    masked = np.ma.masked_less(truth, 0)
    given, expected = (evaluate(pdf, z, n_bootstrap=0)[0] for z in (truth, masked))
    assert given["n_no_z_spec"] == 30
    for name in ("n", "bias_mean", "crps", "cde_loss", "log_score", "pit_ks"):
        assert given[name] == expected[name]
    scores = (f(pdf, truth) for f in (metrics.crps, metrics.cde_loss))
    np.testing.assert_allclose(list(scores), [expected["crps"], expected["cde_loss"]])
    assert metrics.sigma_nmad([0.1, -99, 0.3], [0.1, 0.2, -99]) == 0


def test_every_galaxy_is_counted_once(pdf, z_spec):
    """Flagged and without a truth, it counts as flagged."""
    flags, truth = np.zeros(len(pdf), int), np.array(z_spec)
    flags[:50] = Flag.NO_DATA
    truth[20:90] = np.nan
    flagged = RedshiftPDF(pdf.bin_edges, pdf.probability, flags=flags)
    (row,) = evaluate(flagged, truth, n_bootstrap=0)
    counts = row["n"], row["n_no_z_spec"], row["n_flagged"]
    assert counts == (len(pdf) - 90, 40, 50)


def test_galaxies_without_a_truth_are_left_out_and_counted(pdf, z_spec):
    gap = np.ma.masked_less(z_spec[:100], 0.7)
    row = evaluate(pdf[:100], gap, n_bootstrap=0)[0]
    assert row["n_no_z_spec"] == np.sum(z_spec[:100] < 0.7)
    assert row["n"] + row["n_no_z_spec"] == 100


def test_bins_partition_the_sample(pdf, z_spec):
    table = evaluate(pdf, z_spec, by=z_spec, bins=4, n_bootstrap=0)
    assert len(table) == 5
    assert table["n"][1:].tolist() == [1000] * 4
    np.testing.assert_allclose(
        np.average(table["crps"][1:], weights=table["n"][1:]), table["crps"][0]
    )
    np.testing.assert_array_equal(table["by_low"][2:], table["by_high"][1:-1])


def test_a_bin_holds_its_lower_edge_and_the_last_its_upper(pdf):
    z_spec = np.array([0.5, 0.6, 0.7])
    table = evaluate(pdf[:3], z_spec, by=z_spec, bins=[0.5, 0.6, 0.7], n_bootstrap=0)
    assert table["n"].tolist() == [3, 1, 2]


def test_edges_keep_the_unit_and_the_name_of_a_column(pdf, z_spec):
    magnitude = Column(np.linspace(18, 20, 100), name="mag_r", unit="mag")
    for by in (magnitude, QTable({"mag_r": magnitude})["mag_r"]):
        table = evaluate(
            pdf[:100], z_spec[:100], by=by, bins=[18, 19, 20], n_bootstrap=0
        )
        assert table["mag_r_low"][1] == 18 * u.mag
        assert table["sample"][1] == "18 <= mag_r < 19"
    in_bins = evaluate(pdf[:100], z_spec[:100], by=by, bins=[18, 20] * u.mag)
    assert in_bins["n"][1] == 100


def test_words_and_booleans_make_a_row_for_each_value(pdf, z_spec):
    survey = Column(["sdss", "desi", "sdss"], name="survey")
    table = evaluate(pdf[:3], z_spec[:3], by=survey, n_bootstrap=0)
    assert table["sample"].tolist() == ["all", "survey = desi", "survey = sdss"]
    assert table["n"].tolist() == [3, 1, 2]
    bright = np.array([True, False, True])
    assert evaluate(pdf[:3], z_spec[:3], by=bright)["n"].tolist() == [3, 1, 2]


def test_a_galaxy_without_the_column_is_in_no_bin(pdf, z_spec):
    for by in ([1.0, np.nan, 2.0], np.ma.masked_equal([1, 0, 2], 0)):
        assert evaluate(pdf[:3], z_spec[:3], by=by, bins=1)["n"].tolist() == [3, 2]
    survey = MaskedColumn(["sdss", "", "desi"], mask=[False, True, False])
    assert evaluate(pdf[:3], z_spec[:3], by=survey)["n"].tolist() == [3, 1, 1]


def test_a_column_of_one_value_is_one_bin(pdf, z_spec):
    assert evaluate(pdf[:3], z_spec[:3], by=np.ones(3))["n"].tolist() == [3, 3]


def test_an_empty_bin_is_masked(pdf, z_spec):
    table = evaluate(pdf[:3], z_spec[:3], by=z_spec[:3], bins=[0, 2, 3])
    assert table["n"][2] == 0
    for name in ("bias_mean", "outlier_fraction_005", "pit_ks", "crps_err"):
        assert table[name].mask.tolist() == [False, False, True]


def test_an_empty_sample_is_an_empty_answer(pdf, z_spec):
    table = evaluate(pdf[:0], z_spec[:0])
    assert table["n"][0] == 0
    assert np.ma.is_masked(table["crps"][0])


def test_an_excluded_truth_is_not_hidden(pdf, z_spec):
    table = evaluate(pdf[:3], [2.5, *z_spec[1:3]])
    assert table["log_score"][0] == -np.inf
    assert np.ma.is_masked(table["log_score_err"][0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": [1.0, 2.0]}, r"'by' .*expected shape \(3,\), got \(2,\)"),
        ({"by": [1.0, 2.0, 3.0], "bins": [2, 1]}, "increasing edges"),
        ({"by": [1.0, 2.0, 3.0], "bins": [2]}, "increasing edges"),
        ({"by": [np.nan] * 3}, "'by' must have at least one finite value"),
    ],
)
def test_bins_that_cannot_be_are_refused(pdf, z_spec, options, message):
    with pytest.raises(ValueError, match=message):
        evaluate(pdf[:3], z_spec[:3], **options)


def test_a_table_needs_densities_in_a_row(pdf, z_spec):
    with pytest.raises(
        ValueError, match=r"one-dimensional over galaxies, got .*\(2, 3"
    ):
        evaluate(pdf[:6].reshape(2, 3), z_spec[:6].reshape(2, 3))


def test_the_table_survives_a_file(pdf, z_spec, tmp_path):
    table = evaluate(pdf[:50], z_spec[:50], by=z_spec[:50], bins=2, sample="test split")
    table.write(tmp_path / "scores.ecsv")
    again = QTable.read(tmp_path / "scores.ecsv")
    assert again.colnames == table.colnames
    assert again["sample"][0] == "test split"
    np.testing.assert_array_equal(again["crps"], table["crps"])


def test_the_summary_names_sample_counts_and_errors(pdf, z_spec):
    gap = np.where(np.arange(50) < 5, np.nan, z_spec[:50])
    table = evaluate(pdf[:50], gap)
    text = metrics.summarize(table)
    assert text.startswith("45 galaxies (all); point estimate: median of p(z)\n")
    assert "5 left out: no z_spec" in text
    assert "left out: flagged" not in text
    line = next(line for line in text.splitlines() if "sigma_nmad" in line)
    assert f"{table['sigma_nmad'][0]:.4g} +- {table['sigma_nmad_err'][0]:.2g}" in line


def test_the_summary_of_nothing_is_a_summary(pdf, z_spec):
    assert "none" in metrics.summarize(evaluate(pdf[:0], z_spec[:0]))


@settings(max_examples=20)
@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_the_answer_does_not_depend_on_the_order(n, seed):
    rng = np.random.default_rng(seed)
    pdf = RedshiftPDF(EDGES, rng.random((n, 7)) + 0.01)
    z_spec = rng.uniform(0, 1.6, n)
    order = rng.permutation(n)
    first = evaluate(pdf, z_spec, n_bootstrap=0)[0]
    second = evaluate(pdf[order], z_spec[order], n_bootstrap=0)[0]
    for name in ("sigma_nmad", "crps", "cde_loss", "pit_ad", "coverage_68"):
        assert first[name] == pytest.approx(second[name])


def test_redshifts_beyond_the_bins_are_told(caplog):
    pdf = RedshiftPDF([0.0, 0.5, 1.0], np.full((3, 2), 0.5))
    table = evaluate(pdf, [0.2, 0.4, 9.99], n_bootstrap=0)
    assert table["log_score"][0] == -np.inf
    assert "1 of 3 z_spec, from 0.2 to 9.99, are outside of the redshift" in caplog.text
    caplog.clear()
    evaluate(pdf, [0.2, 1.0, -99], n_bootstrap=0)
    assert not caplog.text
