"""Maps that depend on galaxies: truth recovered, point accuracy kept, fallbacks."""

import warnings

import astropy.units as u
import numpy as np
import pytest
from astropy.table import MaskedColumn
from hypothesis import given, settings
from hypothesis import strategies as st

from mantis_astro import metrics
from mantis_astro.calibration import (
    LocalRecalibration,
    PITRecalibration,
    TemperatureScaling,
    density_features,
    report_calibration,
)
from mantis_astro.calibration.basis import AdditiveBasis
from mantis_astro.calibration.conditional import (
    EDGES,
    N_TERMS,
    conditional_map,
    fit_coefficients,
    log_likelihood,
)
from mantis_astro.exceptions import CalibrationWarning

from .toys import make_toy


@pytest.fixture(scope="module")
def fit():
    return make_toy(8000, seed=1, by_magnitude=0.5, floor=0)


@pytest.fixture(scope="module")
def test():
    return make_toy(10_000, seed=2, by_magnitude=0.5, floor=0)


@pytest.fixture(scope="module")
def local(fit):
    return LocalRecalibration().fit(fit.pdf, fit.z_spec, features=fit.magnitude)


@pytest.fixture(scope="module")
def after(local, test):
    return local.transform(test.pdf, features=test.magnitude)


def test_the_goals_are_met_on_galaxies_left_out(test, after):
    """10,000: PIT KS < 0.02, 68 % to 1.5 %, sigma_nmad not worse by 2 %."""
    table = report_calibration(test.pdf, after, test.z_spec, n_bootstrap=2)
    value = {row["metric"]: (row["before"], row["after"]) for row in table}
    assert value["pit_ks"][0] > 0.03
    assert value["pit_ks"][1] < 0.02
    assert abs(value["coverage_68"][1] - 0.68) < 0.015
    assert value["sigma_nmad"][1] < 1.02 * value["sigma_nmad"][0]


@pytest.mark.parametrize("low", [16, 17, 18, 19, 20, 21])
def test_each_magnitude_is_calibrated_not_only_all_together(test, after, low):
    here = (test.magnitude >= low) & (test.magnitude < low + 1)
    ks = metrics.pit_ks(metrics.pit(after[here], test.z_spec[here]))
    # 1.63 sqrt(1/1650 + 1/1300) = 0.06 is exceeded by chance in 1 %: both samples
    assert ks < 0.06


def test_nearly_all_of_what_the_truth_would_gain_is_gained(test, after):
    before, mended, best = (
        metrics.log_score(pdf, test.z_spec) for pdf in (test.pdf, after, test.truth)
    )
    assert mended - before > 0.95 * (best - before)


def test_a_common_map_gains_less(fit, test, after):
    common = PITRecalibration().fit(fit.pdf, fit.z_spec).transform(test.pdf)
    assert metrics.crps(after, test.z_spec) < 0.97 * metrics.crps(common, test.z_spec)


def test_p_of_z_themselves_tell_what_is_wrong_with_them(fit, test):
    """The widths depend on magnitude, so the default properties do as well."""
    after = (
        LocalRecalibration(strengths=(300, 30))
        .fit(fit.pdf, fit.z_spec)
        .transform(test.pdf)
    )
    assert metrics.pit_ks(metrics.pit(after, test.z_spec)) < 0.02
    best, mended = (metrics.crps(p, test.z_spec) for p in (test.truth, after))
    assert mended < 1.01 * best


def test_nothing_to_mend_is_said_and_the_common_map_used(fit):
    with pytest.warns(CalibrationWarning, match="galaxies left out gain nothing"):
        local = LocalRecalibration().fit(
            fit.truth[:3000], fit.z_spec[:3000], features=fit.magnitude[:3000]
        )
    assert not local.is_local_
    assert local.strength_ == np.inf
    after = local.transform(fit.truth[:9], features=fit.magnitude[:9])
    np.testing.assert_allclose(after.probability, fit.truth[:9].probability, atol=0.005)
    assert isinstance(local.common_, TemperatureScaling | None)


def test_what_would_cost_point_accuracy_is_not_taken(fit):
    fit = fit[:3000]
    demanding = LocalRecalibration(tolerance=-0.5)  # sigma_nmad must halve
    with pytest.warns(
        CalibrationWarning, match="sigma_nmad of galaxies left out would"
    ):
        demanding.fit(fit.pdf, fit.z_spec, features=fit.magnitude)
    assert not demanding.is_local_
    assert all(c["gain"] > c["gain_err"] for c in demanding.validation_)


def test_too_few_galaxies_for_bends_make_lines(fit):
    """One property: 5 columns of 6 terms want 600 galaxies, 2 columns want 240."""
    some = fit[:400]
    local = LocalRecalibration().fit(some.pdf, some.z_spec, features=some.magnitude)
    assert local.coefficients_.shape == (3, N_TERMS)  # and of those unknown


def test_too_few_galaxies_for_lines_make_one_map(fit):
    some = fit[:200]
    with pytest.warns(CalibrationWarning, match="wants 240 galaxies, there are 200"):
        local = LocalRecalibration().fit(some.pdf, some.z_spec, features=some.magnitude)
    assert not local.is_local_


def test_constant_properties_are_left_out(fit):
    some = fit[:2000]
    features = np.stack([np.ones(2000), some.magnitude], axis=1)
    with pytest.warns(CalibrationWarning, match=r"constant are left out: \[0\]"):
        local = LocalRecalibration().fit(some.pdf, some.z_spec, features=features)
    alone = LocalRecalibration().fit(some.pdf, some.z_spec, features=some.magnitude)
    np.testing.assert_array_equal(local.coefficients_, alone.coefficients_)
    assert local.transform(some.pdf[:3], features=features[:3]) == alone.transform(
        some.pdf[:3], features=some.magnitude[:3]
    )


@pytest.mark.parametrize(
    ("features", "reason"),
    [
        (np.ones(500), "no property varies"),
        (np.full(500, np.nan), "no galaxy of which all properties are known"),
    ],
)
def test_properties_that_say_nothing_make_one_map(fit, features, reason):
    with pytest.warns(CalibrationWarning, match=reason):
        local = LocalRecalibration().fit(
            fit.pdf[:500], fit.z_spec[:500], features=features
        )
    assert local.transform(fit.pdf[:500], features=features).shape == (500,)


def test_galaxies_of_unknown_magnitude_are_calibrated_together(local, test):
    after = local.transform(test.pdf, features=np.full(len(test.z_spec), np.nan))
    before_ks, after_ks = (
        metrics.pit_ks(metrics.pit(pdf, test.z_spec)) for pdf in (test.pdf, after)
    )
    assert before_ks > 0.03
    assert after_ks < 0.02


def test_beyond_the_fit_nothing_is_extrapolated(local, test):
    edge, beyond = (
        local.transform(test.pdf[:5], features=np.full(5, m)) for m in (22.0, 40.0)
    )
    assert edge == beyond


@pytest.mark.parametrize("wrap", [lambda m: m * u.mag, MaskedColumn, np.ma.asarray])
def test_magnitudes_may_be_quantities_columns_or_masked(local, test, wrap):
    plain = local.transform(test.pdf[:5], features=test.magnitude[:5])
    assert local.transform(test.pdf[:5], features=wrap(test.magnitude[:5])) == plain


def test_weights_bring_in_another_sample(fit):
    """Fitted on all with the weights of faint galaxies = fitted on faint galaxies."""
    fit = fit[:3000]
    weight = (fit.magnitude > 19.0).astype(float)
    weighted = LocalRecalibration().fit(
        fit.pdf, fit.z_spec, features=fit.magnitude, sample_weight=weight
    )
    faint = fit[fit.magnitude > 19.0]
    alone = LocalRecalibration().fit(faint.pdf, faint.z_spec, features=faint.magnitude)
    np.testing.assert_array_equal(weighted.coefficients_, alone.coefficients_)


def test_features_at_fit_and_transform_must_agree(fit, test, local):
    with pytest.raises(ValueError, match="fit was called with them, transform without"):
        local.transform(test.pdf)
    with pytest.raises(ValueError, match="must have the 1 properties that fit was"):
        local.transform(test.pdf[:3], features=np.ones((3, 2)))
    with pytest.raises(ValueError, match=r"'features' must have shape \(3,\) or"):
        local.transform(test.pdf[:3], features=np.ones(4))
    with pytest.raises(ValueError, match="'features' must be numbers"):
        LocalRecalibration().fit(fit.pdf[:60], fit.z_spec[:60], features=["a"] * 60)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_knots": -1}, "'n_knots' must be a whole number"),
        ({"n_knots": 1.5}, "'n_knots' must be a whole number"),
        ({"strengths": ()}, "'strengths' must be positive numbers, at least one"),
        ({"strengths": (0,)}, "'strengths' must be positive numbers"),
        ({"n_folds": 1}, "'n_folds' must be at least 2, got 1"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        LocalRecalibration(**options)


def test_default_properties_are_place_and_width(test):
    median, log_width = density_features(test.truth).T
    np.testing.assert_allclose(median, test.truth.median())
    # of a Gaussian, half the central 68 % is 0.9945 sigma (16 to 84 %)
    sigma = 0.02 + 0.01 * ((test.magnitude - 19) / 3 + 1)
    np.testing.assert_allclose(np.exp(log_width), 0.9945 * sigma, rtol=0.02)


# The exponential family ------------------------------------------------------------


def test_no_coefficients_are_the_identity():
    cdf = conditional_map(np.ones((3, 1)), np.zeros((1, N_TERMS)))
    u_values = np.tile(np.linspace(0, 1, 21), (3, 1))
    for upper in (False, True):
        np.testing.assert_allclose(cdf(u_values, upper=upper), u_values, atol=1e-12)


@given(st.lists(st.floats(-0.6, 0.6), min_size=N_TERMS, max_size=N_TERMS))
@settings(max_examples=40)
def test_the_map_is_monotone_and_the_same_from_both_ends(coefficients):
    cdf = conditional_map(np.ones((1, 1)), np.array([coefficients]))
    u_values = np.linspace(0, 1, 201)[None]
    below = cdf(u_values, upper=False)
    assert np.all(np.diff(below) >= 0)
    np.testing.assert_allclose(below[:, [0, -1]], [[0, 1]], atol=1e-12)
    np.testing.assert_allclose(cdf(1 - u_values, upper=True), 1 - below, atol=1e-9)


def test_newton_finds_where_the_gradient_vanishes():
    rng = np.random.default_rng(1)
    cells = rng.integers(20, 100, 300)
    design = np.c_[np.ones(300), rng.normal(size=300)]
    weight, penalty = rng.uniform(0.5, 2, 300), np.array([1.0, 5.0])
    best = fit_coefficients(cells, design, weight, penalty)

    def loss(b):
        likelihood = np.sum(weight * log_likelihood(cells, design, b))
        return np.sum(penalty[:, None] * b**2) / 2 - likelihood

    for step in 1e-4 * np.eye(best.size).reshape(-1, *best.shape):
        slope = (loss(best + step) - loss(best - step)) / 2e-4
        assert abs(slope) < 0.05  # the weights sum to 370


def test_cells_are_symmetric():
    np.testing.assert_allclose(EDGES, 1 - EDGES[::-1], atol=1e-16)


def test_the_basis_is_linear_between_bends_and_flat_beyond():
    x = np.random.default_rng(1).uniform(0, 1, (1000, 1))
    basis = AdditiveBasis.make(x, 1)
    design = basis.design(x)
    assert design.shape == (1000, 4)
    np.testing.assert_allclose(design[:, 1:3].mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(design[:, 1:3].std(0), 1)
    ends = basis.design(np.array([[0.0], [-9.0], [1.0], [9.0]]))
    np.testing.assert_array_equal(ends[0], ends[1])
    np.testing.assert_array_equal(ends[2], ends[3])
    unknown = basis.design(np.array([[np.nan]]))
    np.testing.assert_array_equal(unknown, [[0, 0, 0, 1]])


def test_no_warning_where_all_is_well(fit):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LocalRecalibration(n_knots=0).fit(fit.pdf[:2000], fit.z_spec[:2000])
