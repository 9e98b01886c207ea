"""To and from ensembles of the package qp."""

from functools import partial

import numpy as np

from mantis_astro import binned
from mantis_astro._optional import require
from mantis_astro.pdf_io.converters import weights_from_quantiles

__all__ = ["from_ensemble", "to_ensemble"]

_EMPTY = 1e-3  # of the highest density: a gap between peaks
_MOST_QUANTILES = 10_000
_MOST_WRONG = 0.02  # that qp's density may integrate to less or more than 1


def to_ensemble(bin_edges, probability, *, kind, ancil):
    """
    Make a qp ensemble.

    Parameters
    ----------
    bin_edges : ndarray
        Shape ``(n_bins + 1,)``.
    probability : ndarray
        Shape ``(n_row, n_bins)``.
    kind : {"hist", "interp", "quant"}
        Parameterization.
    ancil : dict of str to ndarray
        Values of each row to go along.

    Returns
    -------
    `qp.Ensemble`
        One distribution for each row.

    Raises
    ------
    ValueError
        If the kind is unknown, or the density that qp makes of quantiles would not
        integrate to 1 within 2 %.

    Notes
    -----
    Of quantiles qp makes a density by differences, and a cumulative distribution by
    parabolas, which overshoot where the density jumps: 101 even quantiles of a narrow
    Gaussian integrate to 1.12. So quantiles are close together in the tails of each
    peak, and on both sides of the emptiest place between two peaks: the cumulative
    distribution then falls by less than 1e-8 in a gap. Where a peak is as narrow as a
    bin it still falls, by up to 5e-4, at the edges of that bin.
    """
    qp = require("qp", extra="qp")
    density = probability / np.diff(bin_edges)
    if kind == "hist":
        data = {"bins": bin_edges, "pdfs": density}
    elif kind == "interp":
        # the density goes level from the outermost centres to the ends of the range
        centres = (bin_edges[1:] + bin_edges[:-1]) / 2
        nodes = np.concatenate([bin_edges[:1], centres, bin_edges[-1:]])
        data = {"xvals": nodes, "yvals": np.pad(density, [(0, 0), (1, 1)], "edge")}
    elif kind == "quant":
        data = _quantiles(bin_edges, probability)
    else:
        msg = f"'kind' must be 'hist', 'interp' or 'quant', got {kind!r}"
        raise ValueError(msg)
    return qp.Ensemble(getattr(qp, kind), data=data, ancil=ancil)


def from_ensemble(ensemble, bin_edges=None):
    """
    Compute probabilities of redshift bins from a qp ensemble.

    Parameters
    ----------
    ensemble : `qp.Ensemble`
        Of any parameterization.
    bin_edges : ndarray, optional
        Shape ``(n_bins + 1,)``; by default the bins of a histogram.

    Returns
    -------
    bin_edges : ndarray
        Shape ``(n_bins + 1,)``.
    weights : ndarray
        Shape ``(n_row, n_bins)``: differences of the cumulative distribution, which is
        linear between quantiles for an ensemble of quantiles.

    Raises
    ------
    ValueError
        If bin edges are needed and not given.
    """
    kind = ensemble.gen_class.name
    if bin_edges is not None and kind == "quant":
        # qp's own interpolation is quadratic, and decreases here and there
        quantiles = np.ravel(ensemble.metadata["quants"])
        z = np.reshape(ensemble.objdata["locs"], (ensemble.npdf, -1))
        return bin_edges, weights_from_quantiles(bin_edges, quantiles, z)
    if bin_edges is not None:
        below = np.reshape(ensemble.cdf(bin_edges), (ensemble.npdf, len(bin_edges)))
        return bin_edges, np.diff(np.maximum.accumulate(below, axis=-1), axis=-1)
    if kind != "hist":
        msg = (
            f"'bin_edges' must be given for an ensemble of kind '{kind}': "
            "only 'hist' has bins of its own"
        )
        raise ValueError(msg)
    bin_edges = np.ravel(ensemble.metadata["bins"])
    density = np.reshape(ensemble.objdata["pdfs"], (-1, len(bin_edges) - 1))
    return bin_edges, density * np.diff(bin_edges)


def _quantiles(bin_edges, probability):
    """Quantiles of all rows at the levels that qp's interpolation needs."""
    from scipy.special import ndtr

    peaks = np.array([0, *_gap_levels(bin_edges, probability), 1])
    within = ndtr(np.linspace(-7, 7, 281))  # even in sigma of a Gaussian
    if peaks.size * within.size > _MOST_QUANTILES:
        msg = (
            f"quantiles cannot hold these p(z): {peaks.size - 2} gaps between peaks "
            "need quantiles of their own; use kind='hist', which is exact, or convert "
            "fewer galaxies at once"
        )
        raise ValueError(msg)
    levels = peaks[:-1, None] + np.diff(peaks)[:, None] * within
    levels = np.unique(np.concatenate([peaks, levels.ravel()]))
    q = np.broadcast_to(levels, (len(probability), len(levels)))
    z = binned.map_rows(partial(binned.ppf, bin_edges), probability, q)
    wrong = np.flatnonzero(abs(_integral_in_qp(levels, z) - 1) > _MOST_WRONG)
    if wrong.size:
        msg = (
            f"quantiles cannot hold {wrong.size} of {len(z)} p(z), the first at index "
            f"{wrong[0]}: the density that qp makes of them does not integrate to 1; "
            "use kind='hist', which is exact"
        )
        raise ValueError(msg)
    return {"quants": levels, "locs": z}


def _gap_levels(bin_edges, probability):
    """Probability below the emptiest place of each gap between peaks, of all rows."""
    density = probability / np.diff(bin_edges)
    high = density >= _EMPTY * density.max(axis=1, keepdims=True)
    row, peak = np.nonzero(high)
    is_gap = (np.diff(row) == 0) & (np.diff(peak) > 1)
    below = binned.cumulative(probability)
    levels = []
    for i in np.flatnonzero(is_gap):
        gap = density[row[i], peak[i] + 1 : peak[i + 1]]
        (lowest,) = np.nonzero(gap == gap.min())
        levels.append(below[row[i], peak[i] + 1 + lowest[len(lowest) // 2]])
    return np.unique(levels)


def _integral_in_qp(levels, z):
    """Integral of qp's density, which is linear between the middles of quantiles."""
    step = np.diff(z)
    density = np.diff(levels) / np.where(step > 0, step, np.inf)
    return np.trapezoid(density, z[:, 1:] - step / 2)
