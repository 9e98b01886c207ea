"""The common map: known distributions of PIT, coarse bins, tails."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mantis_astro import RedshiftPDF, metrics
from mantis_astro.calibration import (
    PITRecalibration,
    TemperatureScaling,
    recalibrator_from_plain,
)
from mantis_astro.calibration.monotone import (
    fit_map,
    make_nodes,
    map_through,
    to_quantiles,
)

from .toys import make_toy


def uniform_pdf(n, n_bins=1000):
    """P(z) that are all the same: the PIT is the redshift."""
    return RedshiftPDF(
        np.linspace(0, 1, n_bins + 1), np.full((n, n_bins), 1.0 / n_bins)
    )


@pytest.mark.parametrize(("a", "b"), [(2.0, 1.0), (0.7, 1.3), (3.0, 3.0)])
def test_a_beta_distribution_of_pit_is_found(a, b):
    z_spec = np.random.default_rng(1).beta(a, b, 20_000)
    pdf = uniform_pdf(len(z_spec), 100)
    u = np.linspace(0, 1, 101)
    beta = PITRecalibration(method="beta").fit(pdf, z_spec)
    assert (beta.a_, beta.b_) == (
        pytest.approx(a, rel=0.04),
        pytest.approx(b, rel=0.04),
    )
    for fitted in (beta, PITRecalibration().fit(pdf, z_spec)):
        # the Kolmogorov-Smirnov noise of 20,000 is 1.36 / sqrt(20000) = 0.0096 at 95 %
        np.testing.assert_allclose(fitted.map(u), stats.beta.cdf(u, a, b), atol=0.012)


@pytest.mark.parametrize("method", ["monotone", "beta"])
def test_the_map_goes_from_0_to_1_and_never_down(method):
    z_spec = np.r_[np.full(30, 0.2), np.full(30, 0.21), np.linspace(0, 1, 30)]
    fitted = PITRecalibration(method=method, shrinkage=1).fit(uniform_pdf(90), z_spec)
    values = fitted.map(np.linspace(0, 1, 2001))
    assert values[0] == 0
    assert values[-1] == pytest.approx(1, abs=1e-12)
    assert np.all(np.diff(values) >= 0)


def test_a_floor_takes_outliers_from_the_map():
    toy, test = (make_toy(1000, seed=s, outliers=0.05, floor=1e-6) for s in (1, 2))
    plain, floored = (
        PITRecalibration(floor=floor).fit(toy.pdf, toy.z_spec)
        for floor in (False, True)
    )
    assert plain.floor_ == 0
    assert floored.floor_ == pytest.approx(0.05, abs=0.02)
    assert "uniform floor" in floored.note
    scores = [
        metrics.log_score(r.transform(test.pdf), test.z_spec) for r in (plain, floored)
    ]
    assert scores[1] > scores[0] + 0.03


@pytest.mark.parametrize("n", [24, 39.9999])
def test_a_map_of_few_galaxies_has_a_width(n):
    toy, test = make_toy(int(n), seed=3, width=0.3), make_toy(2000, seed=4, width=0.3)
    fitted = PITRecalibration().fit(toy.pdf, toy.z_spec)
    assert len(make_nodes(n)) == 5
    assert metrics.coverage(test.pdf, test.z_spec, level=0.68) < 0.3
    after = fitted.transform(test.pdf)
    assert metrics.coverage(after, test.z_spec, level=0.68) > 0.5


def test_the_new_pit_is_uniform_on_new_galaxies():
    fit = make_toy(5000, seed=1, width=0.6, bias=0.5)
    test = make_toy(5000, seed=2, width=0.6, bias=0.5)
    before = metrics.pit_ks(metrics.pit(test.pdf, test.z_spec))
    after = PITRecalibration().fit(fit.pdf, fit.z_spec).transform(test.pdf)
    assert before > 0.2
    # noise of 5,000 to fit and 5,000 to test: 1.36 sqrt(2 / 5000) = 0.027 at 95 %
    assert metrics.pit_ks(metrics.pit(after, test.z_spec)) < 0.027
    assert metrics.coverage(after, test.z_spec, level=0.68) == pytest.approx(
        0.68, abs=0.02
    )


def test_a_common_bias_goes_away():
    toy = make_toy(5000, seed=3, bias=0.8)
    after = PITRecalibration().fit(toy.pdf, toy.z_spec).transform(toy.pdf)
    bias = metrics.bias_median(after.median(), toy.z_spec)
    assert abs(bias) < 0.1 * metrics.bias_median(toy.pdf.median(), toy.z_spec)


def test_bins_as_wide_as_p_of_z_do_not_spoil_it():
    """The likelihood of bins, not of points: here p(z) are one to two bins wide."""
    fit, test = (make_toy(6000, seed=seed, width=0.6) for seed in (4, 5))
    edges = np.linspace(0, 1.6, 33)  # 0.05, where sigma is 0.03 to 0.08
    coarse = test.pdf.rebin(edges)
    after = PITRecalibration().fit(fit.pdf.rebin(edges), fit.z_spec).transform(coarse)
    ks = [metrics.pit_ks(metrics.pit(pdf, test.z_spec)) for pdf in (coarse, after)]
    assert ks[0] > 0.06
    assert ks[1] < 0.026  # noise of both samples at 95 %


def test_more_shrinkage_stays_nearer_to_the_identity():
    toy = make_toy(500, seed=6, width=0.5)
    u = np.linspace(0, 1, 50)
    distance = [
        np.abs(PITRecalibration(shrinkage=s).fit(toy.pdf, toy.z_spec).map(u) - u).max()
        for s in (1, 100, 10_000, 1e7)
    ]
    assert distance == sorted(distance, reverse=True)
    assert distance[-1] < 1e-3


def test_tails_keep_their_digits_at_both_ends():
    """A truth at 1e-30 of the upper end keeps a finite log score."""
    rows = np.full((60, 100), 1e-30)
    rows[:, 50] = 1
    pdf = RedshiftPDF(np.linspace(0, 1, 101), rows)
    z_spec = np.r_[np.full(58, 0.505), 0.005, 0.995]
    after = PITRecalibration().fit(pdf, z_spec).transform(pdf)
    assert np.isfinite(metrics.log_score(after, z_spec))


@pytest.mark.parametrize("n", [50, 200, 5000, 10**6])
def test_nodes_are_symmetric_and_leave_galaxies_in_each_tail(n):
    nodes = make_nodes(n)
    np.testing.assert_allclose(nodes, 1 - nodes[::-1], atol=1e-15)
    assert np.all(np.diff(nodes) > 0)
    assert nodes[1] * n >= 10


def intervals_of(t, width=0.0):
    """Intervals of PIT around quantiles, from both ends."""
    return np.stack([stats.norm.cdf(t - width), stats.norm.sf(t + width)], axis=1)


def test_quantiles_keep_the_digits_of_both_tails():
    t = np.array([-30.0, -8.0, 0.0, 8.0, 30.0])
    low, high = to_quantiles(intervals_of(t)).T
    np.testing.assert_allclose(low[:3], t[:3], atol=1e-6)
    np.testing.assert_allclose(high[2:], t[2:], atol=1e-6)
    # 1 - 6e-16 has one digit left
    np.testing.assert_allclose(low, t, atol=0.02)
    np.testing.assert_allclose(high, t, atol=0.02)


def test_p_of_z_of_wrong_place_and_width_have_a_straight_map():
    """Of quantiles (t - 0.5) / 2, into the tails and beyond all galaxies."""
    t = np.random.default_rng(1).normal(0.5, 2.0, 20_000)
    nodes, values = fit_map(intervals_of(t), np.ones(len(t)), shrinkage=3.0)
    assert nodes[0] < -5.5  # where galaxies are, not where they would be
    np.testing.assert_allclose(values, (nodes - 0.5) / 2, atol=0.1)
    cdf = map_through(nodes, values)
    u = stats.norm.cdf([-9.0, -3.0, 0.0, 3.0])
    mapped = stats.norm.ppf(cdf(u, upper=False))
    np.testing.assert_allclose(mapped, [-4.75, -1.75, -0.25, 1.25], atol=0.2)


def test_an_interval_over_all_says_nothing():
    nodes, values = fit_map(np.zeros((100, 2)), np.ones(100), shrinkage=3.0)
    np.testing.assert_allclose(values, nodes, atol=1e-3)


def test_what_is_no_gaussian_is_found_too():
    """Half of the truths far out on one side, half in the middle."""
    rng = np.random.default_rng(2)
    t = np.r_[rng.normal(0, 0.3, 5000), rng.normal(5, 0.3, 5000)]
    cdf = map_through(*fit_map(intervals_of(t), np.ones(len(t)), shrinkage=3.0))
    at = stats.norm.cdf([-1.0, 0.0, 2.5, 4.0])
    mapped = cdf(at, upper=False)
    np.testing.assert_allclose(mapped, [0, 0.25, 0.5, 0.5], atol=0.03)
    above = cdf(stats.norm.sf([5.0]), upper=True)
    np.testing.assert_allclose(above, 0.25, atol=0.02)


@pytest.mark.parametrize("n", [60, 300, 3000])
def test_p_of_z_too_narrow_by_two_are_repaired(n):
    """No worse than the better of a temperature and the plain distribution."""
    test = make_toy(4000, seed=99, width=0.5, floor=1e-6)
    scores = {"pit": [], "temperature": [], "plain": []}
    for seed in range(4):
        fit = make_toy(n, seed=seed, width=0.5, floor=1e-6)
        for name, recalibrator in (
            ("pit", PITRecalibration()),
            ("temperature", TemperatureScaling()),
        ):
            after = recalibrator.fit(fit.pdf, fit.z_spec).transform(test.pdf)
            scores[name].append(metrics.pit_ks(metrics.pit(after, test.z_spec)))
        seen = np.sort(metrics.pit(fit.pdf, fit.z_spec))
        mapped = np.searchsorted(seen, metrics.pit(test.pdf, test.z_spec)) / n
        scores["plain"].append(metrics.pit_ks(mapped))
    mean = {name: np.mean(values) for name, values in scores.items()}
    noise = 0.5 / np.sqrt(n)  # scatter of the distance between distributions of n
    assert mean["pit"] < min(mean["temperature"], mean["plain"]) + noise
    assert mean["pit"] < mean["plain"] + 0.005


def test_the_tails_hold_what_they_should():
    fit, test = (make_toy(3000, seed=s, width=0.5, floor=1e-6) for s in (7, 8))
    after = PITRecalibration().fit(fit.pdf, fit.z_spec).transform(test.pdf)
    for level in (0.68, 0.95, 0.99):
        error = np.sqrt(2 * level * (1 - level) / 3000)  # of fit and test
        coverage = metrics.coverage(after, test.z_spec, level=level)
        assert coverage == pytest.approx(level, abs=3 * error)
    tempered = TemperatureScaling().fit(fit.pdf, fit.z_spec).transform(test.pdf)
    gain = metrics.log_score(after, test.z_spec)
    assert gain > metrics.log_score(tempered, test.z_spec) - 0.02


def test_older_files_are_read():
    u = np.r_[0, np.geomspace(0.01, 0.9, 20), 1]
    plain = {"recalibrator": "pit", "method": "monotone", "shrinkage": 20.0}
    plain |= {"nodes_": u, "values_": u**2, "n_fit_": 5}
    again = recalibrator_from_plain(plain)
    np.testing.assert_allclose(again.map(u), u**2, atol=1e-4)


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=12))
@settings(max_examples=50)
def test_the_map_from_above_is_the_map_from_below_turned(weights):
    values = np.cumsum(weights)
    cdf = map_through(np.linspace(-2, 2, len(values)), values - values.mean())
    u = np.linspace(0, 1, 41)
    np.testing.assert_allclose(
        cdf(u, upper=True), 1 - cdf(1 - u, upper=False), atol=1e-12
    )
    assert np.all(np.diff(cdf(u, upper=False)) >= 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "spline"}, "'method' must be one of monotone, beta, got 'spline'"),
        ({"shrinkage": 0}, "'shrinkage' must be positive, got 0"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        PITRecalibration(**options)


@pytest.mark.parametrize("method", ["monotone", "beta"])
def test_rounding_makes_no_probability_negative(method):
    """One p(z) of a table with a bin of -1e-17 would be refused, and all with it."""
    rng = np.random.default_rng(0)
    fitted = PITRecalibration(method=method).fit(
        uniform_pdf(3000, 100), rng.beta(2, 1, 3000)
    )
    probability = np.exp(rng.normal(0, 15, (2000, 100)))
    pdf = fitted.transform(RedshiftPDF.from_batch(np.linspace(0, 1, 101), probability))
    assert (pdf.probability >= 0).all()
