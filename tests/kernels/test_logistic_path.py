import numpy as np
import pytest
from scipy.special import logsumexp

from mantis_astro.kernels import (
    ConjugateKernel,
    Linear,
    kernel_logistic_regression,
    logistic_path,
    logistic_regression,
)
from mantis_astro.kernels.estimators import KernelClassifier

from .networks import multilayer, samples

ALPHAS = (0.03, 30.0, 1.0)


def made(n=60, d=6, n_classes=3, seed=1):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, d))
    logits = features[:, :n_classes] + rng.gumbel(size=(n, n_classes))
    return features, logits.argmax(axis=1)


def log_loss(logits, classes):
    return logsumexp(logits, axis=1) - logits[np.arange(len(logits)), classes]


@pytest.mark.parametrize("d", [6, 80])  # fewer and more features than rows
def test_losses_are_those_of_refits_without_each_fold(d):
    features, classes = made(d=d)
    folds = np.arange(60) % 4
    weights = np.random.default_rng(2).uniform(0.5, 2, 60)
    path = logistic_path(
        features,
        classes,
        alphas=ALPHAS,
        folds=folds,
        sample_weight=weights,
        tolerance=1e-10,
    )
    np.testing.assert_array_equal(path.alphas, [30.0, 1.0, 0.03])
    for alpha, loss in zip(path.alphas, path.losses, strict=True):
        left_out = np.empty(60)
        for fold in range(4):
            rest, rows = folds != fold, folds == fold
            fit = logistic_regression(
                features[rest],
                classes[rest],
                alpha=alpha,
                sample_weight=weights[rest],
                tolerance=1e-10,
            )
            left_out[rows] = log_loss(fit.logits(features[rows]), classes[rows])
        assert loss == pytest.approx(np.average(left_out, weights=weights), rel=1e-6)
    best = path.alphas[np.argmin(path.losses)]
    expected = logistic_regression(
        features, classes, alpha=best, sample_weight=weights, tolerance=1e-10
    )
    assert path.best.alpha == best
    np.testing.assert_allclose(path.best.coef, expected.coef, atol=1e-6)


def test_another_sample_may_decide_and_another_loss():
    features, classes = made(n=100)
    path = logistic_path(
        features[:60],
        classes[:60],
        alphas=ALPHAS,
        validation=(features[60:], classes[60:]),
    )
    for alpha, loss in zip(path.alphas, path.losses, strict=True):
        fit = logistic_regression(features[:60], classes[:60], alpha=alpha)
        expected = log_loss(fit.logits(features[60:]), classes[60:]).mean()
        assert loss == pytest.approx(expected, rel=1e-4)
    assert path.criterion == "validation"
    wrong = logistic_path(
        features,
        classes,
        alphas=ALPHAS,
        folds=3,
        loss=lambda logits, rows: 1.0 * (logits.argmax(1) != classes[rows]),
    )
    assert set(np.round(wrong.losses * 100) / 100) == set(wrong.losses)


def test_infinity_stands_for_the_weights_that_were_there():
    features, _ = made()
    toward = np.random.default_rng(3).normal(size=(6, 3))
    share = np.exp(features @ toward)
    share /= share.sum(axis=1, keepdims=True)  # as they say: nothing to learn
    path = logistic_path(features, share, alphas=[np.inf, 1.0], toward=toward)
    assert np.isinf(path.best.alpha)
    np.testing.assert_array_equal(path.best.coef, toward)


def test_small_penalties_are_not_tried_in_vain():
    features, classes = made()
    alphas = 10.0 ** np.arange(2, -12, -1)
    path = logistic_path(features, classes, alphas=alphas, patience=2)
    best, tried = np.nanargmin(path.losses), np.isfinite(path.losses).sum()
    assert tried == best + 3
    assert best > 0


def test_every_class_is_in_every_fold():
    """Two of 12 are of class 1: with two folds, each fit sees one of them."""
    features = np.ones((12, 1))
    path = logistic_path(features, [0] * 10 + [1] * 2, alphas=[1e-6], folds=2)
    # the fit without a fold says 5/6 and 1/6, and so are the rows left out
    expected = -(5 * np.log(5 / 6) + np.log(1 / 6)) / 6
    assert path.losses[0] == pytest.approx(expected, abs=1e-4)


def test_nonsense_is_refused():
    features, classes = made()
    with pytest.raises(ValueError, match="'folds' must be at least two parts, got 1"):
        logistic_path(features, classes, folds=1)
    with pytest.raises(ValueError, match="'folds' must have one number for each row"):
        logistic_path(features, classes, folds=[0, 1])
    with pytest.raises(ValueError, match="'alpha' must be a positive number, got 0.0"):
        logistic_path(features, classes, alphas=[0.0])


def test_kernels_and_estimators_choose_theirs():
    kernel, x = ConjugateKernel(multilayer(), "4"), samples(40, 3)
    classes = (x[:, 0] + 0.3 * samples(40, seed=5) > 0).long()
    best = logistic_path(kernel.features(x), classes).best
    ours = kernel_logistic_regression(kernel, x, classes, alpha="cv", tolerance=1e-6)
    np.testing.assert_array_equal(ours.coef, best.coef)
    machine = KernelClassifier(kernel, alpha="cv", tolerance=1e-6)
    machine.fit(x.numpy(), classes.numpy())
    np.testing.assert_array_equal(machine.solution_.coef, best.coef)
    assert machine.alpha_ == best.alpha / 2  # scikit-learn's one column of weights


def test_a_scaled_kernel_is_the_same_machine():
    """With a penalty of its own, the size of a kernel does not matter."""
    features, classes = made()
    probability = [
        logistic_path(
            (scale * Linear()).features(features), classes, tolerance=1e-9
        ).best.predict_probability((scale * Linear()).features(features))
        for scale in (1.0, 1e4)
    ]
    np.testing.assert_allclose(*probability, atol=1e-5)
