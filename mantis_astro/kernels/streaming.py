"""Ridge regression on more rows than fit in memory, a block at a time."""

import numpy as np
import scipy.linalg

from mantis_astro.kernels.arrays import as_matrix, as_weights, check_alpha

__all__ = ["StreamingRidge"]

# Digits that the normal equations must leave: the condition number may take 12 of 16.
_MAX_CONDITION = 1e12


class StreamingRidge:
    """
    Ridge regression on blocks of rows, in constant memory.

    Parameters
    ----------
    method : str, optional
        ``"normal"``: sums of ``Phi^T Phi`` and ``Phi^T Y`` in float64, fast; `solve`
        then needs a positive ``alpha`` and refuses a problem whose condition would
        cost more than twelve digits. ``"qr"``: the triangular factor of all rows so
        far, as exact as if they were there, at two to eight times the time; any
        ``alpha`` from 0.

    Raises
    ------
    ValueError
        If ``method`` is another word.

    Notes
    -----
    Blocked ("tall and skinny") QR: Demmel et al. 2012 (SIAM J. Sci. Comput. 34, A206).
    Normal equations square the condition number (Golub & Van Loan 2013, section 5.3).

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.kernels import StreamingRidge
    >>> rng = np.random.default_rng(1)
    >>> ridge = StreamingRidge()
    >>> for _ in range(10):
    ...     features = rng.normal(size=(100, 3))
    ...     ridge.update(features, features @ [1.0, 2.0, 3.0])
    >>> ridge.n_rows, ridge.solve(alpha=1e-6)
    (1000, array([1., 2., 3.]))
    """

    def __init__(self, *, method="normal"):
        if method not in ("normal", "qr"):
            msg = f"'method' must be 'normal' or 'qr', got {method!r}"
            raise ValueError(msg)
        self.method = method
        self.n_rows = 0
        self._n_features = self._one_dimensional = None
        self._gram = self._moment = None  # normal equations
        self._triangle = None  # of features and targets side by side
        self._eigen = None

    def update(self, features, targets, *, sample_weight=None):
        """
        Add rows.

        Parameters
        ----------
        features : array_like or `torch.Tensor`
            Shape (n, n_feature). Blocks of a few times n_feature rows are fastest.
        targets : array_like or `torch.Tensor`
            Shape (n,) or (n, n_target).
        sample_weight : array_like, optional
            Weights of the rows, shape (n,).

        Raises
        ------
        ValueError
            If something is not finite, or shapes are not those of the rows before.
            Nothing is added then.
        """
        one_dimensional = np.ndim(targets) == 1
        features = as_matrix(features, "features")
        targets = as_matrix(targets, "targets")
        weights = as_weights(sample_weight, len(features))
        self._check(features, targets, one_dimensional=one_dimensional)
        if sample_weight is not None:
            root = np.sqrt(weights)[:, None]
            features, targets = root * features, root * targets
        add = self._add_to_sums if self.method == "normal" else self._add_to_triangle
        add(features, targets)
        self.n_rows += len(features)
        self._eigen = None

    def solve(self, *, alpha):
        """
        Solve for the weights, given all rows so far.

        Parameters
        ----------
        alpha : float
            Ridge parameter; for normal equations positive.

        Returns
        -------
        `~numpy.ndarray`
            Shape (n_feature, n_target), or (n_feature,) for targets of one dimension.
            Another ``alpha`` costs one matrix product.

        Raises
        ------
        ValueError
            If there are no rows yet, ``alpha`` does not fit the method, or the normal
            equations are too ill-conditioned.
        """
        alpha = check_alpha(alpha, zero=self.method == "qr")
        if self.n_rows == 0:
            msg = "no rows were added yet: call update first"
            raise ValueError(msg)
        vectors, values, scores = self._decomposed()
        if self.method == "normal":
            _check_condition(values**2, alpha)
        gain = np.zeros_like(values)
        # without a ridge, directions below rounding are left out: the least norm
        good = values > (
            len(values) * np.finfo(float).eps * values[0] if not alpha else 0
        )
        gain[good] = values[good] / (values[good] ** 2 + alpha)
        coef = vectors @ (gain[:, None] * scores)
        return coef[:, 0] if self._one_dimensional else coef

    def _check(self, features, targets, *, one_dimensional):
        shape = features.shape[1], targets.shape[1]
        known = self._n_features
        if known is None:
            self._n_features, self._one_dimensional = shape, one_dimensional
        elif known != shape:
            msg = (
                f"rows so far had {known[0]} features and {known[1]} targets, these "
                f"have {shape[0]} and {shape[1]}"
            )
            raise ValueError(msg)
        if len(features) != len(targets):
            msg = f"'targets' must have {len(features)} rows, got {len(targets)}"
            raise ValueError(msg)

    def _add_to_sums(self, features, targets):
        d, q = self._n_features
        if self._gram is None:
            self._gram = np.zeros((d, d), order="F")
            self._moment = np.zeros((d, q))
        # half of the work of a product, added in place (the upper triangle)
        self._gram = scipy.linalg.blas.dsyrk(
            1.0, features.T, beta=1.0, c=self._gram, overwrite_c=True
        )
        self._moment += features.T @ targets

    def _add_to_triangle(self, features, targets):
        rows = np.concatenate([features, targets], axis=1)
        if self._triangle is not None:
            rows = np.concatenate([self._triangle, rows])
        (self._triangle,) = scipy.linalg.qr(
            rows, mode="r", overwrite_a=True, check_finite=False
        )
        self._triangle = self._triangle[: sum(self._n_features)].copy()

    def _decomposed(self):
        """Right singular vectors V, singular values (falling), and U^T Y."""
        if self._eigen is None:
            if self.method == "normal":
                values, vectors = scipy.linalg.eigh(self._gram, lower=False)
                vectors, values = vectors[:, ::-1], np.sqrt(np.maximum(values[::-1], 0))
                scores = vectors.T @ self._moment
                scores /= np.where(values > 0, values, 1)[:, None]
            else:
                d, _ = self._n_features
                upper, rest = self._triangle[:d, :d], self._triangle[:d, d:]
                left, values, right = scipy.linalg.svd(upper, full_matrices=False)
                vectors, scores = right.T, left.T @ rest
            self._eigen = vectors, values, scores
        return self._eigen


def _check_condition(squares, alpha):
    condition = (squares[0] + alpha) / (squares[-1] + alpha)
    if condition > _MAX_CONDITION:
        msg = (
            f"with alpha={alpha:g} the normal equations have a condition number of "
            f"{condition:.1g}, more than {_MAX_CONDITION:.0e}: take alpha of at "
            f"least {squares[0] / _MAX_CONDITION:.1g}, or method='qr'"
        )
        raise ValueError(msg)
