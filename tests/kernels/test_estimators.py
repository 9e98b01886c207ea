import sys

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from mantis_astro.kernels import ConjugateKernel
from mantis_astro.kernels.estimators import KernelClassifier, KernelRegressor

from .networks import multilayer, samples


@parametrize_with_checks([KernelRegressor(), KernelClassifier()])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def test_regressor_is_ridge_on_the_features_of_a_kernel():
    kernel, x = ConjugateKernel(multilayer(), "4"), samples(30, 3).numpy()
    y = np.sin(x[:, 0])
    ours = KernelRegressor(kernel, alpha=0.1).fit(x, y)
    theirs = Ridge(alpha=0.1, fit_intercept=False).fit(kernel.features(x), y)
    np.testing.assert_allclose(ours.predict(x), theirs.predict(kernel.features(x)))
    _, std = ours.predict(x, return_std=True)
    np.testing.assert_allclose(std**2, ours.solution_.variance(kernel.features(x)))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_classifier_is_logistic_regression_on_the_features_of_a_kernel(n_classes):
    kernel, x = ConjugateKernel(multilayer(), "4"), samples(60, 3).numpy()
    y = np.array(["a", "b", "c"])[np.arange(60) % n_classes]
    ours = KernelClassifier(kernel, alpha=0.5, tolerance=1e-10).fit(x, y)
    theirs = LogisticRegression(
        C=2.0, fit_intercept=False, tol=1e-12, max_iter=5000
    ).fit(kernel.features(x).numpy(), y)
    np.testing.assert_allclose(
        ours.predict_proba(x),
        theirs.predict_proba(kernel.features(x).numpy()),
        atol=1e-6,
    )


def test_they_work_in_cross_validation():
    x = samples(60, 3).numpy()
    scores = cross_val_score(KernelRegressor(), x, x @ [1.0, -2.0, 0.5])
    assert scores.min() > 0.999


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    monkeypatch.delitem(sys.modules, "mantis_astro.kernels.estimators")
    with pytest.raises(ImportError, match=r"mantis-astro\[kernels\]"):
        __import__("mantis_astro.kernels.estimators")
