"""Feature matrices: arrays and tables in, finite columns on one scale out."""

import re
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from astropy.table import Table
from scipy.special import ndtr, ndtri

from mantis_astro.exceptions import InputSpecError

__all__ = [
    "Features",
    "NormalScores",
    "RobustScores",
    "as_features",
    "check_same",
    "drop_duplicates",
]

_NOT_MEASURED = re.compile(
    r"_?(ra|de|dec|alpha|delta|glon|glat|l|b|z|zspec|zphot|zpec|redshift|odds|ood_score)"
    r"|z_.*|.*[ _]?id|_?(ra|de|dec)(j2000|_icrs|_deg|mean)?",
    re.IGNORECASE,
)
_KNOTS = np.arange(-2, 2.5, 0.5)  # standard deviations of a normal distribution
_TICK = 1e-5  # of the range of 99 %: values closer than that count as equal


class Features(NamedTuple):
    """
    Feature matrix and the names of its columns.

    Attributes
    ----------
    values : `~numpy.ndarray`
        Shape (n, d), float64; NaN where a value is missing.
    names : tuple of str
        One for each column.
    """

    values: np.ndarray
    names: tuple


def as_features(data, argument="features"):
    """
    Read an array or a table as a feature matrix.

    Parameters
    ----------
    data : array_like, `~astropy.table.Table` or Features
        Shape (n, d), or a table of numbers: a row for each object. A column of vectors
        gives as many features. Masked and infinite values count as missing.
    argument : str, optional
        What to call it in messages.

    Returns
    -------
    Features
        Float64, whatever the precision of the input.

    Raises
    ------
    TypeError
        If a column holds no real numbers.
    ValueError
        If it is not a matrix, or has no rows or columns.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from mantis_astro.shift import as_features
    >>> colours = Table({"g-r": [0.4, 0.9], "r-i": [0.2, float("inf")]})
    >>> as_features(colours)
    Features(values=array([[0.4, 0.2],
           [0.9, nan]]), names=('g-r', 'r-i'))
    """
    if isinstance(data, Features):
        return data
    if isinstance(data, Table):
        return _from_table(data, argument)
    values = _plain(data, argument)
    if values.ndim != 2:
        msg = (
            f"'{argument}' must have shape (n_object, n_feature), got {values.shape}; "
            "a single feature is features[:, None]"
        )
        raise ValueError(msg)
    return _checked(Features(values, _unnamed(values.shape[1])), argument)


def find_shared_columns(reference, target):
    """
    Find the columns of measured numbers that two tables have in common.

    Parameters
    ----------
    reference, target : `~astropy.table.Table`
        The tables.

    Returns
    -------
    list of str
        Columns of real numbers in both, in the order of the reference: no integers
        (identifiers, classes, flags), no positions, no redshifts and what is derived
        from them (``z``, ``z_...``).

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from mantis_astro.shift import find_shared_columns
    >>> table = Table({"id": [1], "ra": [0.1], "g": [21.0], "r": [20.5]})
    >>> find_shared_columns(table, table["id", "ra", "r", "g"])
    ['g', 'r']
    """
    names = [
        name
        for name in reference.colnames
        if name in target.colnames
        and not _NOT_MEASURED.fullmatch(name)
        and all(_is_real(table[name]) for table in (reference, target))
    ]
    if not names:
        msg = (
            "the tables have no column of measured numbers in common; one has "
            f"{', '.join(reference.colnames)}, the other {', '.join(target.colnames)}"
        )
        raise ValueError(msg)
    return names


def _is_real(column):
    dtype = getattr(column, "dtype", None)
    return dtype is not None and dtype.kind == "f" and column.ndim == 1


def check_same(names, expected):
    """
    Refuse features that are not those of the reference.

    Parameters
    ----------
    names, expected : tuple of str
        Names of the features, and of the reference's. Those of an array are not known
        and go with any, as long as there are as many.

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` if they differ.
    """
    unnamed = _unnamed(len(expected))
    if len(names) != len(expected) or not (
        names == expected or unnamed in {names, expected}
    ):
        msg = (
            f"these are not the features of the reference: it has {_listed(expected)}, "
            f"got {_listed(names)}. Features of one model say nothing about another"
        )
        raise InputSpecError(msg)


def drop_duplicates(values):
    """
    Find the first of each set of rows that agree to six digits of each scatter.

    Parameters
    ----------
    values : `~numpy.ndarray`
        Shape (n, d); NaN equals NaN.

    Returns
    -------
    `~numpy.ndarray` of int
        Indices to keep, in order.
    """
    scale = np.nanstd(np.where(np.isnan(values).all(0), 0, values), axis=0)
    scale[scale == 0] = 1
    rounded = np.round(values / scale, 6) + 0.0  # minus zero is zero
    rounded[np.isnan(rounded)] = np.inf  # which as_features has left nowhere
    rows = np.ascontiguousarray(rounded).view(np.dtype((np.void, 8 * values.shape[1])))
    _, first = np.unique(rows.ravel(), return_index=True)
    return np.sort(first)


class NormalScores:
    """
    Columns brought onto one scale: pooled ranks as quantiles of a normal distribution.

    Monotonic changes of a column (flux or magnitude, its unit) change nothing, and no
    outlier outweighs the rest. A missing value becomes 0, the median, and a column that
    is missing somewhere is followed by one more that says where.

    Parameters
    ----------
    values : `~numpy.ndarray`
        Pooled samples, shape (n, d), NaN where missing. Which row belongs to which
        sample is not used, so permutation tests on the scores stay exact.
    """

    def __init__(self, values):
        self.missing = np.flatnonzero(np.isnan(values).any(0))
        self._columns = [_quantiles(column) for column in values.T]

    def __call__(self, values):
        """
        Bring rows onto the scale.

        Parameters
        ----------
        values : `~numpy.ndarray`
            Shape (n, d).

        Returns
        -------
        `~numpy.ndarray`
            Shape (n, d + n_missing), finite.
        """
        columns = zip(values.T, self._columns, strict=True)
        scores = [np.interp(x, *knots) for x, knots in columns]
        scores = np.nan_to_num(np.column_stack(scores))
        absent = np.isnan(values[:, self.missing])
        return np.hstack([scores, np.where(absent, 1.0, -1.0)])


class RobustScores:
    """
    Columns made about normal by quantiles within two sigma, straight lines beyond.

    Unlike in `NormalScores`, an outlier stays as far out as it is. A column of positive
    values that is skewed, such as fluxes, is a logarithm first.

    Parameters
    ----------
    values : `~numpy.ndarray`
        Sample that decides, shape (n, d), NaN where missing.
    """

    def __init__(self, values):
        self._columns = [_straightened(column) for column in values.T]

    def __call__(self, values):
        """
        Bring rows onto the scale.

        Parameters
        ----------
        values : `~numpy.ndarray`
            Shape (n, d).

        Returns
        -------
        `~numpy.ndarray`
            Shape (n, d): about standard normal for the sample that decided; NaN where
            missing. Constant columns are 0 where they are that constant.
        """
        found = np.empty(values.shape)
        for j, (column, knots) in enumerate(zip(values.T, self._columns, strict=True)):
            found[:, j] = _from_knots(column, *knots)
        return found


def _straightened(column):
    """Whether to take logarithms, and values at the knots."""
    there = column[np.isfinite(column)]
    if not there.size:
        return None, np.zeros(len(_KNOTS))
    places = np.quantile(there, ndtr(_KNOTS))
    if there.min() <= 0:
        return None, places
    smallest = float(there.min())
    logs = np.log(places)
    return (smallest, logs) if _skew(logs) < _skew(places) else (None, places)


def _skew(places):
    low, middle, high = places[np.searchsorted(_KNOTS, [-1, 0, 1])]
    return abs(high + low - 2 * middle) / max(high - low, 1e-300)


def _from_knots(column, smallest, places):
    if smallest is not None:
        # Fluxes below all that decided may be negative: as far out as half of those.
        column = np.log(np.maximum(column, smallest / 2))
    distinct, at = np.unique(places, return_inverse=True)
    scores = np.bincount(at, _KNOTS) / np.bincount(at)  # of ties the mean
    if len(distinct) < 2:
        return np.where(np.isnan(column), np.nan, column - distinct[0])
    within = np.interp(column, distinct, scores)
    inner = np.searchsorted(_KNOTS, [-1, 1])
    sigma = max(np.diff(places[inner])[0] / 2, 1e-9 * (distinct[-1] - distinct[0]))
    below = np.minimum(column - distinct[0], 0) / sigma
    above = np.maximum(column - distinct[-1], 0) / sigma
    return within + below + above


def _quantiles(column):
    """Distinct values of a column, and the normal quantiles of their mean ranks."""
    there = np.sort(column[np.isfinite(column)])
    if not there.size or there[0] == there[-1]:
        return np.array([0.0, 1.0]), np.zeros(2)
    low, high = np.quantile(there, [0.005, 0.995])
    width = high - low if high > low else there.std()
    # Ranks would blow up rounding errors of values that are as good as equal.
    _, first, count = np.unique(
        np.round(there / (_TICK * width)), return_index=True, return_counts=True
    )
    middle = first + (count - 1) / 2
    return there[middle.astype(int)], ndtri((middle + 0.5) / len(there))


def _from_table(table, argument):
    parts, names = [], []
    for name in table.colnames:
        values = _plain(table[name], f"{argument}[{name!r}]")
        if values.ndim == 1:
            parts.append(values[:, None])
            names.append(name)
        elif values.ndim == 2:
            parts.append(values)
            names += [f"{name} {i}" for i in range(values.shape[1])]
        else:
            msg = f"column {name!r} of '{argument}' has {values.ndim} dimensions"
            raise ValueError(msg)
    values = np.hstack(parts) if parts else np.empty((len(table), 0))
    return _checked(Features(values, tuple(names)), argument)


def _plain(data, argument):
    """Real numbers as float64, NaN where masked or infinite."""
    mask = np.asarray(getattr(data, "mask", False), bool)
    data = getattr(data, "unmasked", data)
    values = np.asarray(np.ma.getdata(getattr(data, "value", data)))
    if values.dtype.kind not in "biuf":
        msg = f"'{argument}' must hold real numbers, got {values.dtype}"
        raise TypeError(msg)
    values = values.astype(np.float64)
    values[~np.isfinite(values) | mask] = np.nan
    return values


def _checked(features, argument):
    n, d = features.values.shape
    if n == 0 or d == 0:
        msg = f"'{argument}' has {n} objects and {d} features: nothing to compare"
        raise ValueError(msg)
    return features


@lru_cache(maxsize=64)
def _unnamed(n):
    """Names of the features of an array, which has none; the same object each time."""
    return tuple(f"feature {i}" for i in range(n))


def _listed(names):
    shown = ", ".join(names[:3])
    return f"{len(names)} ({shown}{', ...' if len(names) > 3 else ''})"
