"""
Arithmetic of densities that are constant within bins, on plain arrays.

`mantis_astro.pdf` dresses these functions in units and shapes; here a set of densities
is an array ``probability`` of shape ``(n_row, n_bins)``, the probability of each bin,
and ``bin_edges`` of shape ``(n_bins + 1,)``. Probability per bin and density are
different things: the density is the probability over the width of the bin.

Each row is worked out alone, in float64, a block of rows at a time: a block fits the
processor's cache, which makes a cumulative sum ten times faster than over one large
array and needs no second array of that size.
"""

import astropy.units as u
import numpy as np

__all__ = [
    "as_redshift",
    "bin_averages",
    "cdf",
    "count_below",
    "cumulative",
    "map_rows",
    "mean",
    "mode",
    "multiply_rows",
    "normalize",
    "overlap",
    "pdf",
    "ppf",
    "softmax",
    "std",
    "true_redshift",
    "validate_bin_edges",
]

BLOCK = 1 << 17  # elements: 1 MB of float64
_ROWS_AT_ONCE = 48  # a multiple of the rows that BLAS takes at once, on any processor
_FARTHEST = 30.0  # redshift that no spectrum of a galaxy has


def as_redshift(z):
    """
    Convert redshifts, or any dimensionless quantity, to plain numbers.

    Parameters
    ----------
    z : float, array_like, `~astropy.units.Quantity`, masked array or column
        The unit is none, dimensionless or `astropy.cosmology.units.redshift`.

    Returns
    -------
    ndarray of float
        Same shape; what was masked is NaN.

    Raises
    ------
    ValueError
        If they are text; `~astropy.units.UnitConversionError` if the unit is another
        one.

    Examples
    --------
    >>> import astropy.units as u
    >>> from mantis_astro.binned import as_redshift
    >>> as_redshift([10, 20] * u.percent)
    array([0.1, 0.2])
    """
    try:
        if hasattr(z, "filled"):
            z = z.astype(float).filled(np.nan)
        unit = getattr(z, "unit", None)
        if str(unit) == "redshift":  # not convertible to dimensionless by itself
            z = z.value
        elif unit is not None:
            z = u.Quantity(z).to_value(u.one)
        return np.asarray(z, dtype=float)
    except u.UnitsError as error:
        msg = f"redshifts must be plain numbers: {error}"
        raise u.UnitConversionError(msg) from None
    except ValueError as error:
        msg = f"redshifts must be plain numbers, such as table['z_spec']: {error}"
        raise ValueError(msg) from None


def true_redshift(z):
    """
    Convert measured redshifts of any type to plain numbers, NaN if missing.

    Parameters
    ----------
    z : float, array_like, `~astropy.units.Quantity`, masked array or column
        Redshifts. What is masked, NaN, -1 and less, as the -99 and -9999 of catalogues
        are, or 30 and more, as their 99, was not measured: no light is blueshifted by
        that much, no spectrum shows a galaxy that far.

    Returns
    -------
    ndarray of float
        Same shape.

    Raises
    ------
    `~astropy.units.UnitConversionError`
        If the unit is not that of a redshift.

    Examples
    --------
    >>> from mantis_astro.binned import true_redshift
    >>> true_redshift([0.5, -0.001, -99, 99])
    array([ 0.5  , -0.001,    nan,    nan])
    """
    z = as_redshift(z)
    return np.where((z > -1) & (z < _FARTHEST), z, np.nan)


def validate_bin_edges(bin_edges, *, name="bin_edges"):
    """
    Check bin edges: one-dimensional, finite, increasing, not below 0.

    Parameters
    ----------
    bin_edges : array_like or `~astropy.units.Quantity`
        Edges in redshift, shape ``(n_bins + 1,)``.
    name : str, optional
        What a message shall call them.

    Returns
    -------
    ndarray of float
        A copy that cannot be written to.

    Raises
    ------
    ValueError
        If one of the rules does not hold.

    Examples
    --------
    >>> from mantis_astro.binned import validate_bin_edges
    >>> validate_bin_edges([0, 0.002, 0.006])
    array([0.   , 0.002, 0.006])
    """
    edges = as_redshift(bin_edges).copy()
    if edges.ndim != 1 or edges.size < 2:
        msg = (
            f"'{name}' must be one-dimensional with at least two edges, "
            f"got shape {edges.shape}"
        )
        raise ValueError(msg)
    if not np.all(np.isfinite(edges)):
        where = int(np.flatnonzero(~np.isfinite(edges))[0])
        msg = f"'{name}' must be finite, got {edges[where]} at index {where}"
        raise ValueError(msg)
    if not np.all(np.diff(edges) > 0):
        where = int(np.flatnonzero(np.diff(edges) <= 0)[0])
        msg = (
            f"'{name}' must increase, got {edges[where]} then {edges[where + 1]} "
            f"at index {where}"
        )
        raise ValueError(msg)
    if edges[0] < 0:
        msg = f"'{name}' must not start below redshift 0, got {edges[0]}"
        raise ValueError(msg)
    edges.flags.writeable = False
    return edges


def map_rows(function, probability, *others, block=BLOCK):
    """
    Apply a function to all rows, a block of rows at a time.

    Parameters
    ----------
    function : callable
        Takes rows as float64, shape ``(n, n_bins)``, then the same rows of each of
        ``others``; returns an array whose first axis is ``n``.
    probability : ndarray
        Shape ``(..., n_bins)``.
    *others : ndarray
        Arrays whose first axis runs over the rows, flattened.
    block : int, optional
        Elements of a block.

    Returns
    -------
    ndarray
        The answers, first axis ``n_row``.
    """
    rows = probability.reshape(-1, probability.shape[-1])
    if rows.size <= block:
        return function(rows.astype(np.float64, copy=False), *others)
    return np.concatenate(
        [
            function(
                rows[part].astype(np.float64, copy=False),
                *[other[part] for other in others],
            )
            for part in _blocks(rows.shape, block)
        ]
    )


def multiply_rows(rows, matrix):
    """
    Multiply each row by a matrix; the product does not depend on the other rows.

    A plain product does, in the last bit: how BLAS adds up depends on the number of
    rows.

    Parameters
    ----------
    rows : ndarray
        Shape (n, m), float64.
    matrix : ndarray
        Shape (m, k), float64.

    Returns
    -------
    ndarray
        Shape (n, k).

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.binned import multiply_rows
    >>> multiply_rows(np.array([[1.0, 2.0]]), np.eye(2))
    array([[1., 2.]])
    """
    n, m = rows.shape
    n_block = -(-n // _ROWS_AT_ONCE)
    padded = np.zeros((n_block * _ROWS_AT_ONCE, m))
    padded[:n] = rows
    product = padded.reshape(n_block, _ROWS_AT_ONCE, m) @ matrix
    return product.reshape(len(padded), matrix.shape[1])[:n]


def _blocks(shape, block=BLOCK):
    """Slices that cut rows into blocks; one empty block where there is no row."""
    step = max(1, block // shape[1])
    return [slice(i, i + step) for i in range(0, max(1, shape[0]), step)]


def _fill(weigh, bin_edges, values):
    """Normalised rows by blocks; rows that cannot be are uniform, and reported."""
    uniform = np.diff(bin_edges) / (bin_edges[-1] - bin_edges[0])
    values = np.asarray(values)
    small = values.dtype.kind == "f" and values.dtype.itemsize <= 4
    dtype = np.dtype(np.float32 if small else np.float64)
    probability = np.empty(values.shape, dtype)
    good = np.empty(values.shape[:-1], bool)
    rows, out = (array.reshape(-1, values.shape[-1]) for array in (values, probability))
    good_rows = good.reshape(-1)  # a view, as is 'out'
    for part in _blocks(rows.shape):
        with np.errstate(all="ignore"):  # bad rows are found by their sum
            weights, total = weigh(rows[part].astype(np.float64), np.finfo(dtype).eps)
            fine = np.isfinite(total) & (total > 0) & (weights.min(axis=-1) >= 0)
            np.divide(weights, total[:, None], out=out[part], casting="same_kind")
        out[part][~fine] = uniform
        good_rows[part] = fine
    return probability, good


def normalize(bin_edges, probability):
    """
    Divide each row by its sum.

    A row whose sum is 1 to rounding is left as it is, so that doing it twice changes
    nothing.

    Parameters
    ----------
    bin_edges : ndarray
        Shape ``(n_bins + 1,)``.
    probability : array_like
        Shape ``(..., n_bins)``.

    Returns
    -------
    probability : ndarray
        A new array: float32 where the input is float32 or float16, else float64. A row
        with a negative, NaN or infinite entry, or only zeros, is uniform in density.
    good : ndarray of bool
        Shape ``(...)``, False for those rows.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.binned import normalize
    >>> normalize(np.array([0.0, 1.0, 4.0]), [[1.0, 1.0], [np.nan, 1.0]])
    (array([[0.5 , 0.5 ], [0.25, 0.75]]), array([ True, False]))
    """

    def _weigh(block, eps):
        total = block.sum(axis=-1)
        return block, np.where(abs(total - 1) <= 32 * eps, 1.0, total)

    return _fill(_weigh, bin_edges, probability)


def softmax(bin_edges, logits):
    """
    Softmax of each row, safe for logits of any size.

    Parameters
    ----------
    bin_edges : ndarray
        Shape ``(n_bins + 1,)``.
    logits : array_like
        Shape ``(..., n_bins)``.

    Returns
    -------
    probability : ndarray
        A new array, of the precision of the logits. A row with a logit that is not
        finite is uniform in density.
    good : ndarray of bool
        Shape ``(...)``, False for those rows.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.binned import softmax
    >>> softmax(np.array([0.0, 1.0, 4.0]), [[1e4, 1e4]])
    (array([[0.5, 0.5]]), array([ True]))
    """

    def _weigh(block, _):
        weights = np.exp(block - block.max(axis=-1, keepdims=True))
        finite = np.isfinite(block).all(axis=-1)
        return weights, np.where(finite, weights.sum(axis=-1), np.nan)

    return _fill(_weigh, bin_edges, logits)


def cumulative(probability):
    """
    Cumulative probability at each edge.

    Parameters
    ----------
    probability : ndarray
        Shape ``(n_row, n_bins)``.

    Returns
    -------
    ndarray
        Shape ``(n_row, n_bins + 1)``: 0 at the first edge, 1 from the last bin that
        is not empty.
    """
    total = np.empty((len(probability), probability.shape[1] + 1))
    total[:, 0] = 0
    np.cumsum(probability, axis=1, out=total[:, 1:])
    total /= total[:, -1:]
    return total


def _locate(bin_edges, z):
    """Bin of each redshift; outside the range, the nearest."""
    last = len(bin_edges) - 2
    return np.clip(np.searchsorted(bin_edges, z, side="right") - 1, 0, last)


def pdf(bin_edges, probability, z):
    """
    Density at given redshifts.

    Parameters
    ----------
    bin_edges : ndarray
        Shape ``(n_bins + 1,)``.
    probability : ndarray
        Shape ``(n_row, n_bins)``.
    z : ndarray
        Shape ``(n_row, n_z)``.

    Returns
    -------
    ndarray
        Shape ``(n_row, n_z)``: 0 outside the bins, NaN where ``z`` is NaN. A bin owns
        its lower edge, the last its upper edge too.
    """
    bins = _locate(bin_edges, z)
    density = np.take_along_axis(probability, bins, axis=1) / np.diff(bin_edges)[bins]
    density[(z < bin_edges[0]) | (z > bin_edges[-1])] = 0
    density[np.isnan(z)] = np.nan
    return density


def cdf(bin_edges, probability, z):
    """
    Probability below given redshifts.

    Parameters
    ----------
    bin_edges : ndarray
        Shape ``(n_bins + 1,)``.
    probability : ndarray
        Shape ``(n_row, n_bins)``.
    z : ndarray
        Shape ``(n_row, n_z)``.

    Returns
    -------
    ndarray
        Shape ``(n_row, n_z)``, NaN where ``z`` is NaN.
    """
    bins = _locate(bin_edges, z)
    fraction = np.clip((z - bin_edges[bins]) / np.diff(bin_edges)[bins], 0, 1)
    total = cumulative(probability)
    below = np.take_along_axis(total, bins, axis=1)
    above = np.take_along_axis(total, bins + 1, axis=1)
    return below + fraction * (above - below)


def count_below(rows, values):
    """
    Count how many entries of each increasing row lie below given values.

    Parameters
    ----------
    rows : ndarray
        Shape ``(n_row, n)``, each row increasing or level.
    values : ndarray
        Shape ``(n_row, n_values)``.

    Returns
    -------
    ndarray of int
        Shape ``(n_row, n_values)``, from 0 to ``n``; by bisection.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.binned import count_below
    >>> count_below(np.array([[1, 2, 4], [5, 6, 7]]), np.array([[3], [5]]))
    array([[2],
           [0]])
    """
    length = rows.shape[1]
    # one flat 'take' a step is four times faster than take_along_axis
    entries, before = rows.ravel(), np.arange(len(rows))[:, None] * length - 1
    count = np.zeros(values.shape, dtype=np.intp)
    step = 1 << (length.bit_length() - 1)
    while step:
        probe = count + step
        below = entries.take(before + np.minimum(probe, length)) < values
        count += step * (below & (probe <= length))
        step >>= 1
    return count


def ppf(bin_edges, probability, q):
    """
    Inverse of the cumulative distribution.

    Parameters
    ----------
    bin_edges : ndarray
        Shape ``(n_bins + 1,)``.
    probability : ndarray
        Shape ``(n_row, n_bins)``.
    q : ndarray
        Shape ``(n_row, n_q)``, from 0 to 1.

    Returns
    -------
    ndarray
        Shape ``(n_row, n_q)``: the smallest redshift with that much probability below
        it; at ``q = 0`` the lower end of the first bin that is not empty.
    """
    total = cumulative(probability)
    bins = count_below(total, np.maximum(q, np.nextafter(0, 1))) - 1
    below = np.take_along_axis(total, bins, axis=1)
    above = np.take_along_axis(total, bins + 1, axis=1)
    z = bin_edges[bins] + (q - below) / (above - below) * np.diff(bin_edges)[bins]
    return np.minimum(z, bin_edges[bins + 1])


def mean(bin_edges, probability):
    """
    Mean of each row.

    Parameters
    ----------
    bin_edges : ndarray
        Shape ``(n_bins + 1,)``.
    probability : ndarray
        Shape ``(n_row, n_bins)``.

    Returns
    -------
    ndarray
        Shape ``(n_row,)``.
    """
    centres, _ = _bin_moments(bin_edges)
    return np.einsum("ij,j->i", probability, centres)


def std(bin_edges, probability):
    """
    Return the standard deviation of each row.

    Parameters
    ----------
    bin_edges : ndarray
        Shape ``(n_bins + 1,)``.
    probability : ndarray
        Shape ``(n_row, n_bins)``.

    Returns
    -------
    ndarray
        Shape ``(n_row,)``. A bin of width ``w`` adds its own ``w**2 / 12`` to the
        variance.
    """
    centres, within = _bin_moments(bin_edges)
    offset = centres - mean(bin_edges, probability)[:, None]  # so nothing cancels
    offset *= offset
    offset += within
    return np.sqrt(np.einsum("ij,ij->i", probability, offset))


def _bin_moments(bin_edges):
    """Centre and variance of each bin."""
    return (bin_edges[1:] + bin_edges[:-1]) / 2, np.diff(bin_edges) ** 2 / 12


def mode(bin_edges, probability):
    """
    Centre of the bin of highest density (not of highest probability).

    Parameters
    ----------
    bin_edges : ndarray
        Shape ``(n_bins + 1,)``.
    probability : ndarray
        Shape ``(n_row, n_bins)``.

    Returns
    -------
    ndarray
        Shape ``(n_row,)``; of equal bins the lowest.
    """
    centres, _ = _bin_moments(bin_edges)
    return centres[np.argmax(probability / np.diff(bin_edges), axis=1)]


def overlap(bin_edges, new_edges):
    """
    Overlap of the bins of one set with those of another.

    Parameters
    ----------
    bin_edges, new_edges : ndarray
        Shapes ``(n_bins + 1,)`` and ``(n_new + 1,)``.

    Returns
    -------
    ndarray
        Shape ``(n_bins, n_new)``: the share of each bin that lies in each new bin, so
        that ``probability @ overlap(...)`` is the probability of the new bins.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.binned import overlap
    >>> overlap(np.array([0.0, 1.0, 3.0]), np.array([0.0, 2.0, 3.0]))
    array([[1. , 0. ], [0.5, 0.5]])
    """
    low = np.maximum(bin_edges[:-1, None], new_edges[:-1])
    high = np.minimum(bin_edges[1:, None], new_edges[1:])
    return np.maximum(high - low, 0) / np.diff(bin_edges)[:, None]


def bin_averages(bin_edges, function):
    """
    Mean of a function over each bin.

    Parameters
    ----------
    bin_edges : ndarray
        Shape ``(n_bins + 1,)``.
    function : callable
        Takes redshifts of shape ``(n_bins, 5)``, returns the same shape.

    Returns
    -------
    ndarray
        Shape ``(n_bins,)``, by Gauss-Legendre quadrature at five points, exact for
        polynomials up to degree 9.
    """
    nodes, weights = np.polynomial.legendre.leggauss(5)
    centres, _ = _bin_moments(bin_edges)
    z = centres[:, None] + np.diff(bin_edges)[:, None] / 2 * nodes
    values = np.broadcast_to(as_redshift(function(z)), z.shape)
    return values @ (weights / 2)
