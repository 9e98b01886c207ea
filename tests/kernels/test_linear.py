import numpy as np
import pytest
import torch
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import DotProduct
from sklearn.linear_model import Ridge

from mantis_astro.kernels import (
    ConjugateKernel,
    Linear,
    StreamingRidge,
    kernel_regression,
    ridge_path,
    ridge_regression,
    ridge_solutions,
)

from .networks import multilayer, samples


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.mark.parametrize("shape", [(40, 5), (5, 40)])
@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_scikit_learns_ridge(rng, shape, weighted):
    features, targets = rng.normal(size=shape), rng.normal(size=(shape[0], 3))
    weights = rng.uniform(0.1, 2, shape[0]) if weighted else None
    ours = ridge_regression(features, targets, alpha=0.7, sample_weight=weights)
    theirs = Ridge(alpha=0.7, fit_intercept=False, solver="svd").fit(
        features, targets, sample_weight=weights
    )
    np.testing.assert_allclose(ours.coef, theirs.coef_.T, atol=1e-12)


@pytest.mark.parametrize("shape", [(40, 5), (5, 40)])
def test_many_parameters_are_solved_as_one_each(rng, shape):
    """From one decomposition, in the order given; each is scikit-learn's ridge."""
    features, targets = rng.normal(size=shape), rng.normal(size=(shape[0], 3))
    weights = rng.uniform(0.1, 2, shape[0])
    alphas = [2.0, 0.01, 0.7]
    found = ridge_solutions(features, targets, alphas=alphas, sample_weight=weights)
    for alpha, solution in zip(alphas, found, strict=True):
        theirs = Ridge(alpha=alpha, fit_intercept=False, solver="svd").fit(
            features, targets, sample_weight=weights
        )
        np.testing.assert_allclose(solution.coef, theirs.coef_.T, atol=1e-12)
        assert solution.alpha == alpha
    with pytest.raises(ValueError, match="'alpha' must be"):
        next(ridge_solutions(features, targets, alphas=[1.0, -1.0]))


def test_without_ridge_it_is_the_least_norm_solution(rng):
    features, targets = rng.normal(size=(6, 20)), rng.normal(size=6)
    solution = ridge_regression(features, targets, alpha=0)
    np.testing.assert_allclose(solution.predict(features), targets, atol=1e-12)
    expected = np.linalg.lstsq(features, targets, rcond=None)[0]
    np.testing.assert_allclose(solution.coef, expected, atol=1e-12)


def test_features_solve_what_the_gram_matrix_cannot():
    """Singular values from 1 to 1e-10: their squares are beyond float64."""
    rng = np.random.default_rng(1)
    left, right = (np.linalg.qr(rng.normal(size=(30, 30)))[0] for _ in range(2))
    features = left * np.geomspace(1, 1e-10, 30) @ right
    coef = right.T @ np.ones(30)
    error = features @ (
        ridge_regression(features, features @ coef, alpha=0).coef - coef
    )
    gram = features @ features.T
    by_gram = features.T @ (np.linalg.pinv(gram) @ (features @ coef))
    assert np.abs(error).max() < 1e-13
    assert np.abs(features @ (by_gram - coef)).max() > 1e-10


@pytest.mark.parametrize(
    "features",
    [
        np.ones((10, 3)),  # constant features
        np.zeros((10, 3)),
        np.repeat([[1.0, 2.0, 3.0]], 10, axis=0),  # one row ten times
    ],
)
def test_degenerate_features_give_finite_answers(features):
    targets = np.arange(10.0)
    for alpha in (0, 1e-9, 1.0):
        solution = ridge_regression(features, targets, alpha=alpha)
        assert np.isfinite(solution.coef).all()
        assert np.isfinite(solution.variance(features)).all()
    if features.any():
        fitted = ridge_regression(features, targets, alpha=0).predict(features)
        np.testing.assert_allclose(fitted, 4.5)
    assert np.isfinite(ridge_path(features, targets).best.coef).all()


def test_a_row_given_twice_is_a_row_of_weight_two(rng):
    features, targets = rng.normal(size=(8, 3)), rng.normal(size=8)
    twice = ridge_regression(
        np.concatenate([features, features[:1]]),
        np.append(targets, targets[0]),
        alpha=0.3,
    )
    weighted = ridge_regression(
        features, targets, alpha=0.3, sample_weight=[2, 1, 1, 1, 1, 1, 1, 1]
    )
    np.testing.assert_allclose(twice.coef, weighted.coef, atol=1e-12)


def test_variance_is_that_of_a_gaussian_process(rng):
    x, y = rng.normal(size=(12, 3)), rng.normal(size=12)
    x_new = rng.normal(size=(5, 3))
    process = GaussianProcessRegressor(
        DotProduct(1.0, "fixed"), alpha=0.4, optimizer=None
    ).fit(x, y)
    mean, std = process.predict(x_new, return_std=True)
    fit = kernel_regression(Linear(), x, y, alpha=0.4)
    np.testing.assert_allclose(fit.predict(x_new), mean)
    np.testing.assert_allclose(fit.variance(x_new), std**2)
    np.testing.assert_allclose(fit.variance(x_new, noise_variance=0.8), 2 * std**2)


def test_variance_with_fewer_samples_than_features(rng):
    features, other = rng.normal(size=(3, 10)), rng.normal(size=(4, 10))
    variance = ridge_regression(features, np.ones(3), alpha=0.2).variance(other)
    gram = features @ features.T + 0.2 * np.eye(3)
    cross = other @ features.T
    expected = np.sum(other**2, 1) - np.sum(cross.T * np.linalg.solve(gram, cross.T), 0)
    np.testing.assert_allclose(variance, expected)


@pytest.mark.parametrize("weighted", [False, True])
def test_left_out_errors_are_those_of_leaving_out(rng, weighted):
    features, targets = rng.normal(size=(12, 4)), rng.normal(size=(12, 2))
    weights = rng.uniform(0.2, 2, 12) if weighted else np.ones(12)
    path = ridge_path(features, targets, alphas=[0.1, 3.0], sample_weight=weights)
    for alpha, error in zip(path.alphas, path.errors, strict=True):
        residuals = []
        for i in range(12):
            rest = np.arange(12) != i
            fit = ridge_regression(
                features[rest], targets[rest], alpha=alpha, sample_weight=weights[rest]
            )
            residuals.append((targets[i] - fit.predict(features[i : i + 1])[0]) ** 2)
        expected = np.average(np.mean(residuals, axis=1), weights=weights)
        assert error == pytest.approx(expected)
    assert path.best.alpha == path.alphas[np.argmin(path.errors)]


def test_generalised_cross_validation(rng):
    features, targets = rng.normal(size=(12, 4)), rng.normal(size=12)
    path = ridge_path(features, targets, alphas=[0.5], criterion="gcv")
    hat = features @ np.linalg.solve(
        features.T @ features + 0.5 * np.eye(4), features.T
    )
    residual = targets - hat @ targets
    expected = np.mean(residual**2) / (1 - np.trace(hat) / 12) ** 2
    assert path.errors[0] == pytest.approx(expected)


def test_validation_chooses(rng):
    coef = rng.normal(size=20)
    features, other = rng.normal(size=(25, 20)), rng.normal(size=(500, 20))
    targets = features @ coef + rng.normal(0, 3, 25)
    path = ridge_path(features, targets, validation=(other, other @ coef))
    assert path.criterion == "validation"
    errors = [
        np.mean(
            (ridge_regression(features, targets, alpha=a).predict(other) - other @ coef)
            ** 2
        )
        for a in path.alphas
    ]
    np.testing.assert_allclose(path.errors, errors)
    assert path.best.alpha == path.alphas[np.argmin(errors)]


def test_kernel_regression_reproduces_a_network():
    network, x = multilayer((1, 40, 30, 1)), samples(60, 1)
    kernel = ConjugateKernel(network, "4")
    with torch.no_grad():
        y = network(x)[:, 0]
        new = samples(30, 1, seed=3)
        expected = network(new)[:, 0].numpy()
    fit = kernel_regression(kernel, x, y)
    assert np.abs(fit.predict(new) - expected).max() < 1e-8
    assert kernel_regression(kernel, x, y, alpha="loo").solution.alpha > 0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_features_that_are_not_finite_are_refused(bad):
    features = np.ones((5, 2))
    features[3, 1] = bad
    with pytest.raises(ValueError, match="1 of 5 rows have NaN or infinity.*row 3"):
        ridge_regression(features, np.ones(5), alpha=1)
    with pytest.raises(ValueError, match="'targets' must be finite"):
        ridge_regression(np.ones((5, 2)), features, alpha=1)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"alpha": -1}, "'alpha' must be a number from 0, got -1"),
        ({"alpha": np.nan}, "'alpha' must be"),
        ({"alpha": 1, "sample_weight": [1, 2]}, r"expected shape \(5,\), got \(2,\)"),
        ({"alpha": 1, "sample_weight": [-1, 1, 1, 1, 1]}, "not negative"),
        ({"alpha": 1, "sample_weight": np.zeros(5)}, "not all zero"),
    ],
)
def test_wrong_arguments_are_named(options, match):
    with pytest.raises(ValueError, match=match):
        ridge_regression(np.ones((5, 2)), np.ones(5), **options)


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match="one row for each of 5, got 4"):
        ridge_regression(np.ones((5, 2)), np.ones(4), alpha=1)
    with pytest.raises(ValueError, match="the 2 columns of the fit, got 3"):
        ridge_regression(np.ones((5, 2)), np.ones(5), alpha=1).predict(np.ones((1, 3)))
    with pytest.raises(ValueError, match="'criterion' must be 'loo' or 'gcv'"):
        ridge_path(np.ones((5, 2)), np.ones(5), criterion="aic")
    with pytest.raises(ValueError, match="'alpha' must be a positive number"):
        ridge_path(np.ones((5, 2)), np.ones(5), alphas=[0.0])
    with pytest.raises(ValueError, match="must be a matrix"):
        ridge_regression(np.ones((0, 2)), np.ones(0), alpha=1)


@pytest.mark.parametrize("method", ["normal", "qr"])
@pytest.mark.parametrize("weighted", [False, True])
def test_streaming_is_the_same_as_all_at_once(rng, method, weighted):
    features, targets = rng.normal(size=(95, 6)), rng.normal(size=(95, 2))
    weights = rng.uniform(0.1, 2, 95) if weighted else None
    ridge = StreamingRidge(method=method)
    for start in range(0, 95, 20):
        rows = slice(start, start + 20)
        part = None if weights is None else weights[rows]
        ridge.update(features[rows], targets[rows], sample_weight=part)
    whole = ridge_regression(features, targets, alpha=0.3, sample_weight=weights)
    np.testing.assert_allclose(ridge.solve(alpha=0.3), whole.coef, atol=1e-12)
    assert ridge.n_rows == 95


@pytest.mark.parametrize("method", ["normal", "qr"])
def test_streaming_fewer_rows_than_features(rng, method):
    features, targets = rng.normal(size=(4, 9)), rng.normal(size=4)
    ridge = StreamingRidge(method=method)
    ridge.update(features[:1], targets[:1])
    ridge.update(features[1:], targets[1:])
    whole = ridge_regression(features, targets, alpha=0.1)
    np.testing.assert_allclose(ridge.solve(alpha=0.1), whole.coef, atol=1e-12)


def test_streaming_qr_solves_without_ridge(rng):
    features = rng.normal(size=(50, 5)) * np.geomspace(1, 1e-9, 5)
    coef = np.arange(1.0, 6.0) / np.geomspace(1, 1e-9, 5)
    ridge = StreamingRidge(method="qr")
    for part in np.split(features, 5):
        ridge.update(part, part @ coef)
    np.testing.assert_allclose(ridge.solve(alpha=0), coef, rtol=1e-6)


def test_streaming_normal_equations_refuse_what_costs_digits(rng):
    features = rng.normal(size=(50, 5)) * np.geomspace(1, 1e-8, 5)
    ridge = StreamingRidge()
    ridge.update(features, np.ones(50))
    with pytest.raises(ValueError, match="'alpha' must be a positive number"):
        ridge.solve(alpha=0)
    with pytest.raises(ValueError, match=r"condition number of .* or method='qr'"):
        ridge.solve(alpha=1e-14)
    assert np.isfinite(ridge.solve(alpha=1e-8)).all()


def test_streaming_refuses_rows_that_do_not_fit(rng):
    ridge = StreamingRidge()
    with pytest.raises(ValueError, match="no rows were added yet"):
        ridge.solve(alpha=1)
    ridge.update(rng.normal(size=(5, 3)), np.ones(5))
    with pytest.raises(ValueError, match="3 features and 1 targets, these have 4"):
        ridge.update(np.ones((2, 4)), np.ones(2))
    with pytest.raises(ValueError, match="'features' must be finite"):
        ridge.update(np.full((2, 3), np.nan), np.ones(2))
    with pytest.raises(ValueError, match="'targets' must have 2 rows"):
        ridge.update(np.ones((2, 3)), np.ones(3))
    assert ridge.n_rows == 5
    with pytest.raises(ValueError, match="'method' must be 'normal' or 'qr'"):
        StreamingRidge(method="svd")


def test_a_row_of_weight_two_is_two_rows_to_generalised_cross_validation():
    rng = np.random.default_rng(3)
    features, targets = rng.normal(size=(12, 4)), rng.normal(size=12)
    weights = rng.integers(1, 4, 12)
    options = {"alphas": [0.1, 1.0, 10.0], "criterion": "gcv"}
    weighted = ridge_path(features, targets, sample_weight=weights, **options)
    twice = features.repeat(weights, axis=0), targets.repeat(weights)
    repeated = ridge_path(*twice, **options)
    np.testing.assert_allclose(weighted.errors, repeated.errors)
