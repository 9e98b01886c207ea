import numpy as np
import pytest
from scipy.optimize import check_grad
from sklearn.linear_model import LogisticRegression

from mantis_astro.kernels import (
    ConjugateKernel,
    kernel_logistic_regression,
    logistic_regression,
)
from mantis_astro.kernels import logistic as logistic_module

from .networks import multilayer, samples


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def scikit_learn(features, labels, alpha, **options):
    return LogisticRegression(
        C=1 / alpha, fit_intercept=False, tol=1e-12, max_iter=10_000
    ).fit(features, labels, **options)


@pytest.mark.parametrize("n", [60, 12])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("size", [0, 10_000])  # by L-BFGS, by Newton
def test_it_is_scikit_learns(rng, n, weighted, size, monkeypatch):
    monkeypatch.setattr(logistic_module, "_NEWTON_SIZE", size)
    features, labels = rng.normal(size=(n, 20)), np.arange(n) % 3
    weights = rng.uniform(0.2, 2, n) if weighted else None
    ours = logistic_regression(
        features, labels, alpha=0.5, sample_weight=weights, tolerance=1e-10
    )
    theirs = scikit_learn(features, labels, 0.5, sample_weight=weights)
    assert ours.converged
    np.testing.assert_allclose(ours.coef.T, theirs.coef_, atol=2e-6)
    np.testing.assert_allclose(
        ours.predict_probability(features), theirs.predict_proba(features), atol=1e-6
    )


def test_on_a_kernels_features_it_is_scikit_learns():
    network, x = multilayer((2, 15, 12, 1)), samples(80, 2)
    labels = (x[:, 0] * x[:, 1] > 0).long()
    kernel = ConjugateKernel(network, "4")
    ours = kernel_logistic_regression(kernel, x, labels, alpha=0.2)
    features = kernel.features(x).numpy()
    theirs = scikit_learn(features, labels.numpy(), 0.1)  # one column of weights
    np.testing.assert_allclose(
        ours.predict_probability(features), theirs.predict_proba(features), atol=1e-6
    )


def test_gradient_and_hessian(rng):
    features, target = rng.normal(size=(9, 4)), rng.dirichlet(np.ones(3), 9)
    weights = rng.uniform(0.5, 2, 9)
    problem = logistic_module._Problem(
        features, target * weights[:, None], weights, rng.normal(size=(9, 3)), 0.3
    )
    at = rng.normal(size=(4, 3))
    error = check_grad(
        lambda b: problem.loss_and_gradient(b.reshape(4, 3))[0],
        lambda b: problem.loss_and_gradient(b.reshape(4, 3))[1].ravel(),
        at.ravel(),
    )
    assert error < 1e-5
    step = 1e-6 * rng.normal(size=(4, 3))
    change = (
        problem.loss_and_gradient(at + step)[1]
        - problem.loss_and_gradient(at - step)[1]
    ) / 2
    predicted = problem.hessian(at) @ step.ravel()
    np.testing.assert_allclose(predicted, change.ravel(), rtol=1e-5)
    product = problem.curvature(step, problem.probability(at))
    np.testing.assert_allclose(product.ravel(), predicted, rtol=1e-12)


def test_a_large_penalty_keeps_the_given_weights(rng):
    features, labels = rng.normal(size=(30, 5)), np.arange(30) % 4
    given = rng.normal(size=(5, 4))
    fit = logistic_regression(features, labels, alpha=1e9, toward=given)
    np.testing.assert_allclose(fit.coef, given, atol=1e-6)


def test_more_features_than_samples_keep_the_given_weights_elsewhere(rng):
    features, labels = rng.normal(size=(6, 20)), np.arange(6) % 2
    given = rng.normal(size=(20, 2))
    fit = logistic_regression(features, labels, alpha=0.1, toward=given)
    outside = np.linalg.svd(features)[2][6:]  # directions that no sample has
    np.testing.assert_allclose(outside @ fit.coef, outside @ given, atol=1e-10)


def test_the_start_does_not_matter(rng):
    features, labels = rng.normal(size=(30, 5)), np.arange(30) % 3
    cold = logistic_regression(features, labels, alpha=0.1)
    start = rng.normal(size=(5, 3))
    warm = logistic_regression(features, labels, alpha=0.1, start=start)
    np.testing.assert_allclose(warm.coef, cold.coef, atol=1e-6)


def test_soft_targets(rng):
    """With one constant feature and no pull, it is the mean of the targets."""
    share = rng.dirichlet([2, 3, 4], 40)
    fit = logistic_regression(np.ones((40, 1)), share, alpha=1e-9)
    np.testing.assert_allclose(
        fit.predict_probability([[1.0]])[0], share.mean(axis=0), atol=1e-6
    )


def test_separable_classes_and_duplicated_rows_have_a_solution():
    features = np.repeat([[-1.0, 1.0], [1.0, 1.0]], 5, axis=0)
    fit = logistic_regression(features, np.repeat([0, 1], 5), alpha=1e-6)
    assert fit.converged
    assert fit.predict_probability(features)[0, 0] > 0.999


def test_classes_without_a_sample_keep_little(rng):
    fit = logistic_regression(
        np.ones((20, 1)), np.arange(20) % 2, alpha=1e-3, n_classes=4
    )
    assert fit.coef.shape == (1, 4)
    assert fit.predict_probability([[1.0]])[0, 2:].max() < 0.01


@pytest.mark.parametrize(
    ("targets", "options", "match"),
    [
        (np.zeros(6, int), {}, "at least two classes, got only 0"),
        (np.tile([1.0, 0.0], (6, 1)), {}, "at least two classes"),
        (np.arange(6) - 1, {}, "classes from 0 to 4, got -1 to 4"),
        (np.arange(6), {"n_classes": 3}, "classes from 0 to 2, got 0 to 5"),
        (np.arange(6.0), {}, "as integers, got float64"),
        (np.ones((6, 2)), {}, "probabilities that sum to 1, got sums from 2 to 2"),
        (np.full((6, 2), 0.5), {"n_classes": 3}, "must have 3 columns, got 2"),
        (np.arange(5), {}, "one row for each of 6, got 5"),
        (
            np.arange(6) % 2,
            {"toward": np.ones((2, 2))},
            r"shape \(3, 2\), got \(2, 2\)",
        ),
        (np.arange(6) % 2, {"start": np.ones((3, 3))}, r"'start' must .*got \(3, 3\)"),
        (np.arange(6) % 2, {"alpha": 0.0}, "'alpha' must be a positive number"),
    ],
)
def test_wrong_arguments_are_named(targets, options, match):
    with pytest.raises(ValueError, match=match):
        logistic_regression(np.eye(6)[:, :3], targets, **({"alpha": 1.0} | options))


def test_what_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="2 of 3 rows have NaN"):
        logistic_regression([[1.0], [np.nan], [np.inf]], [0, 1, 0], alpha=1.0)


def test_another_number_of_features_is_refused():
    fit = logistic_regression(np.eye(4), [0, 1, 0, 1], alpha=1.0)
    with pytest.raises(ValueError, match="the 4 columns of the fit, got 3"):
        fit.logits(np.eye(3))


def test_too_few_iterations_are_told(rng, caplog):
    features, labels = rng.normal(size=(200, 400)), np.arange(200) % 10
    with caplog.at_level("INFO", logger="mantis_astro.kernels.logistic"):
        fit = logistic_regression(features, labels, alpha=1e-4, max_iterations=1)
    assert not fit.converged
    assert "stopped at a gradient of" in caplog.text
