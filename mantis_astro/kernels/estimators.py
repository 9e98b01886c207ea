"""
Kernel regression and classification as scikit-learn estimators.

Thin: they check input as scikit-learn does and call the plain functions beside them.
This module needs scikit-learn (``pip install "mantis-astro[kernels]"``).
"""

import numpy as np

from mantis_astro._optional import require
from mantis_astro.kernels.arrays import refuse_masked
from mantis_astro.kernels.base import Linear
from mantis_astro.kernels.linear import ridge_path, ridge_regression
from mantis_astro.kernels.logistic import logistic_regression
from mantis_astro.kernels.logistic_path import logistic_path

base = require("sklearn.base", extra="kernels")
multiclass = require("sklearn.utils.multiclass", extra="kernels")
validation = require("sklearn.utils.validation", extra="kernels")

__all__ = ["KernelClassifier", "KernelRegressor"]


class KernelRegressor(base.MultiOutputMixin, base.RegressorMixin, base.BaseEstimator):
    """
    Kernel ridge regression with the ridge parameter chosen from the data.

    Parameters
    ----------
    kernel : Kernel, optional
        Such as a `ConjugateKernel`; by default ``x @ y + 1``.
    alpha : float or str, optional
        Ridge parameter, or ``"loo"`` or ``"gcv"`` to choose it, see `ridge_path`.

    Attributes
    ----------
    solution_ : RidgeSolution
        Solution in the feature space of the kernel.
    alpha_ : float
        The ridge parameter used.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.kernels.estimators import KernelRegressor
    >>> x = np.arange(6.0)[:, None]
    >>> KernelRegressor(alpha=0.0).fit(x, 2 * x[:, 0] + 1).predict([[10.0]])
    array([21.])
    """

    def __init__(self, kernel=None, alpha="gcv"):
        self.kernel = kernel
        self.alpha = alpha

    def fit(self, X, y, sample_weight=None):
        """
        Fit.

        Parameters
        ----------
        X : array_like
            Samples, shape (n, n_input).
        y : array_like
            Targets, shape (n,) or (n, n_target).
        sample_weight : array_like, optional
            Weights of the samples, shape (n,).

        Returns
        -------
        KernelRegressor
            Itself.
        """
        refuse_masked(X, "X")
        refuse_masked(y, "y")
        X, y = validation.validate_data(
            self, X, y, multi_output=True, y_numeric=True, dtype=np.float64
        )
        if sample_weight is not None:
            refuse_masked(sample_weight, "sample_weight")
            sample_weight = validation._check_sample_weight(sample_weight, X)
        features = _features(self.kernel, X)
        if isinstance(self.alpha, str):
            path = ridge_path(
                features, y, sample_weight=sample_weight, criterion=self.alpha
            )
            self.solution_ = path.best
        else:
            self.solution_ = ridge_regression(
                features, y, alpha=self.alpha, sample_weight=sample_weight
            )
        self.alpha_ = self.solution_.alpha
        return self

    def predict(self, X, return_std=False):  # noqa: FBT002  as in scikit-learn
        """
        Predict targets.

        Parameters
        ----------
        X : array_like
            Samples, shape (n, n_input).
        return_std : bool, optional
            Whether to return the standard deviation of the function too, with the
            noise of the targets taken to be ``alpha_``; see `RidgeSolution.variance`.

        Returns
        -------
        `~numpy.ndarray`
            Shape (n,) or (n, n_target); with ``return_std`` a second one of shape (n,).
        """
        X = _checked(self, X)
        features = _features(self.kernel, X)
        predicted = self.solution_.predict(features)
        if not return_std:
            return predicted
        return predicted, np.sqrt(self.solution_.variance(features))


class KernelClassifier(base.ClassifierMixin, base.BaseEstimator):
    """
    Kernel logistic regression, multinomial.

    Parameters
    ----------
    kernel : Kernel, optional
        Such as a `ConjugateKernel`; by default ``x @ y + 1``.
    alpha : float or str, optional
        Penalty, ``1 / C`` of scikit-learn's LogisticRegression on the same features, or
        ``"cv"`` for that of least loss in cross-validation, see `logistic_path`.
    tolerance : float, optional
        Largest entry of the gradient at the solution, as a share of the weights' sum.

    Attributes
    ----------
    classes_ : `~numpy.ndarray`
        The classes.
    solution_ : LogisticSolution
        Solution in the feature space of the kernel.
    alpha_ : float
        The penalty used.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.kernels.estimators import KernelClassifier
    >>> x = np.arange(6.0)[:, None]
    >>> KernelClassifier().fit(x, ["near"] * 3 + ["far"] * 3).predict([[0.0], [9.0]])
    array(['near', 'far'], dtype='<U4')
    """

    def __init__(self, kernel=None, alpha=1.0, tolerance=1e-8):
        self.kernel = kernel
        self.alpha = alpha
        self.tolerance = tolerance

    def fit(self, X, y, sample_weight=None):
        """
        Fit.

        Parameters
        ----------
        X : array_like
            Samples, shape (n, n_input).
        y : array_like
            Classes, shape (n,).
        sample_weight : array_like, optional
            Weights of the samples, shape (n,).

        Returns
        -------
        KernelClassifier
            Itself.
        """
        refuse_masked(X, "X")
        refuse_masked(y, "y")
        X, y = validation.validate_data(self, X, y, dtype=np.float64)
        multiclass.check_classification_targets(y)
        if sample_weight is not None:
            refuse_masked(sample_weight, "sample_weight")
            sample_weight = validation._check_sample_weight(sample_weight, X)
        self.classes_, index = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            msg = (
                "'y' must be of at least two classes, got one class: "
                f"{self.classes_[0]!r}"
            )
            raise ValueError(msg)
        features = _features(self.kernel, X)
        # two columns of weights share what scikit-learn's one column bears alone
        columns = 2 if len(self.classes_) == 2 else 1
        options = {"sample_weight": sample_weight, "tolerance": self.tolerance}
        if self.alpha == "cv":
            self.solution_ = logistic_path(features, index, **options).best
        else:
            self.solution_ = logistic_regression(
                features, index, alpha=columns * self.alpha, **options
            )
        self.alpha_ = self.solution_.alpha / columns
        return self

    def decision_function(self, X):
        """
        Compute logits; for two classes, the log odds of the second.

        Parameters
        ----------
        X : array_like
            Samples, shape (n, n_input).

        Returns
        -------
        `~numpy.ndarray`
            Shape (n, n_class), or (n,) for two classes.
        """
        X = _checked(self, X)
        logits = self.solution_.logits(_features(self.kernel, X))
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def predict_proba(self, X):
        """
        Compute the probability of each class.

        Parameters
        ----------
        X : array_like
            Samples, shape (n, n_input).

        Returns
        -------
        `~numpy.ndarray`
            Shape (n, n_class).
        """
        X = _checked(self, X)
        return self.solution_.predict_probability(_features(self.kernel, X))

    def predict(self, X):
        """
        Predict classes.

        Parameters
        ----------
        X : array_like
            Samples, shape (n, n_input).

        Returns
        -------
        `~numpy.ndarray`
            Shape (n,).
        """
        validation.check_is_fitted(self)
        return self.classes_[np.argmax(self.predict_proba(X), axis=1)]


def _checked(estimator, X):
    """Check samples for an estimator that was fitted before."""
    validation.check_is_fitted(estimator)
    refuse_masked(X, "X")
    return validation.validate_data(estimator, X, reset=False, dtype=np.float64)


def _features(kernel, X):
    return (Linear() if kernel is None else kernel).features(X)
