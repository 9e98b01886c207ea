"""Arrays at the door of the solvers: real, not masked, of the right shape, finite."""

import numpy as np

__all__ = [
    "as_array",
    "as_matrix",
    "as_weights",
    "check_alpha",
    "check_finite",
    "refuse_masked",
]


def as_array(values, name):
    """
    Convert real numbers of any type to an array.

    Parameters
    ----------
    values : array_like or `torch.Tensor`
        Numbers, none of them masked. Tensors of any precision are read as float64.
    name : str
        What to call it in messages.

    Returns
    -------
    `~numpy.ndarray`
        The same numbers.

    Raises
    ------
    ValueError
        If a value is masked, or the numbers are complex.
    """
    refuse_masked(values, name)
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        if values.is_floating_point():  # numpy has no bfloat16
            values = values.double()
        values = values.resolve_conj().numpy()
    array = np.asarray(values)
    if np.iscomplexobj(array):
        msg = (
            f"'{name}' must be real numbers, got {array.dtype}: give real and "
            "imaginary parts as columns of their own"
        )
        raise ValueError(msg)
    return array


def refuse_masked(values, name):
    """
    Raise an error if any element of an array is masked.

    Parameters
    ----------
    values : object
        Anything; only arrays with a mask are looked at.
    name : str
        What to call it in the message.

    Raises
    ------
    ValueError
        Naming how many rows, and the first.
    """
    mask = getattr(values, "mask", None)  # of numpy, and of astropy's Masked
    if not isinstance(mask, np.ndarray | np.bool_) or not np.any(mask):
        return
    mask = np.broadcast_to(mask, np.shape(values))
    bad = np.atleast_1d(mask).any(axis=tuple(range(1, mask.ndim)))
    first = int(np.flatnonzero(bad)[0])
    msg = (
        f"'{name}' must not be masked: {np.count_nonzero(bad)} of {len(bad)} rows have "
        f"masked values, the first is row {first}; leave them out first"
    )
    raise ValueError(msg)


def as_matrix(values, name):
    """
    Convert numbers of any type to a float64 matrix.

    Parameters
    ----------
    values : array_like or `torch.Tensor`
        Shape (n, d), or (n,) for one column.
    name : str
        What to call it in messages.

    Returns
    -------
    `~numpy.ndarray`
        Shape (n, d), finite.

    Raises
    ------
    ValueError
        If it is not of two dimensions, empty, complex, masked, or not finite.
    """
    matrix = np.asarray(as_array(values, name), np.float64)
    if matrix.ndim == 1:
        matrix = matrix[:, None]
    if matrix.ndim != 2 or 0 in matrix.shape:
        msg = f"'{name}' must be a matrix with rows and columns, got {matrix.shape}"
        raise ValueError(msg)
    check_finite(matrix, name)
    return matrix


def check_finite(matrix, name):
    """
    Raise an error that names rows with values that are not finite.

    Parameters
    ----------
    matrix : `~numpy.ndarray`
        Shape (n, d).
    name : str
        What to call it in the message.

    Raises
    ------
    ValueError
        Naming how many rows, and the first.
    """
    # a sum is finite if all are, and needs no second array of that size
    if np.isfinite(matrix.sum()):
        return
    bad = ~np.isfinite(matrix).all(axis=1)
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        msg = (
            f"'{name}' must be finite: {np.count_nonzero(bad)} of {len(bad)} rows have "
            f"NaN or infinity, the first is row {first}; leave them out first"
        )
        raise ValueError(msg)


def as_weights(sample_weight, n):
    """
    Convert weights of samples to an array.

    Parameters
    ----------
    sample_weight : array_like or None
        Shape (n,); 1 each if None.
    n : int
        Number of samples.

    Returns
    -------
    `~numpy.ndarray`
        Shape (n,), float64.

    Raises
    ------
    ValueError
        If there are not n weights, one is negative, masked or not finite, or all are
        zero.
    """
    if sample_weight is None:
        return np.ones(n)
    weights = np.asarray(as_array(sample_weight, "sample_weight"), np.float64)
    if weights.shape != (n,):
        msg = (
            "'sample_weight' must have one number for each sample: expected shape "
            f"{(n,)}, got {weights.shape}"
        )
        raise ValueError(msg)
    if not (np.isfinite(weights).all() and weights.min() >= 0 and weights.max() > 0):
        msg = (
            "'sample_weight' must be finite, not negative and not all zero, got "
            f"{weights.min()} to {weights.max()}"
        )
        raise ValueError(msg)
    return weights


def check_alpha(alpha, *, zero):
    """
    Check a ridge parameter.

    Parameters
    ----------
    alpha : float
        The parameter.
    zero : bool
        Whether it may be zero.

    Returns
    -------
    float
        The same.

    Raises
    ------
    ValueError
        If it is negative, not finite, or zero where that is not allowed.
    """
    alpha = float(alpha)
    if not np.isfinite(alpha) or alpha < 0 or (alpha == 0 and not zero):
        rule = "a number from 0" if zero else "a positive number"
        msg = f"'alpha' must be {rule}, got {alpha}"
        raise ValueError(msg)
    return alpha
