"""The common map: known distributions of PIT, coarse bins, tails."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mantis_astro import RedshiftPDF, metrics
from mantis_astro.calibration import PITRecalibration
from mantis_astro.calibration.monotone import fit_masses, make_nodes, map_through

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


def test_masses_of_points_are_a_histogram_with_the_prior_added():
    nodes = np.array([0, 0.25, 1])
    points = np.array([0.1, 0.2, 0.5])
    mass = fit_masses(
        np.stack([points, 1 - points], axis=1), np.ones(3), nodes, shrinkage=4.0
    )
    np.testing.assert_allclose(mass, [(2 + 1) / 7, (1 + 3) / 7])


def test_an_interval_over_all_says_nothing():
    nodes = np.linspace(0, 1, 5)
    everything = np.zeros((10, 2))
    mass = fit_masses(everything, np.ones(10), nodes, shrinkage=1.0)
    np.testing.assert_allclose(mass, 0.25)


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=12))
@settings(max_examples=50)
def test_the_map_from_above_is_the_map_from_below_turned(weights):
    values = np.r_[0, np.cumsum(weights) / np.sum(weights)]
    values[-1] = 1
    cdf = map_through(np.linspace(0, 1, len(values)), values)
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
