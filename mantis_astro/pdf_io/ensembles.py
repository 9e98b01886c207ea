"""To and from ensembles of the package qp."""

import numpy as np

from mantis_astro import binned
from mantis_astro._optional import require
from mantis_astro.pdf_io.converters import weights_from_quantiles

__all__ = ["from_ensemble", "to_ensemble"]

QUANTILES = np.linspace(0, 1, 101)


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
        If the kind is unknown.
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
        q = np.broadcast_to(QUANTILES, (len(probability), len(QUANTILES)))
        z = binned.map_rows(
            lambda rows, q: binned.ppf(bin_edges, rows, q), probability, q
        )
        data = {"quants": QUANTILES, "locs": z}
    else:
        msg = f"'kind' must be 'hist', 'interp' or 'quant', got {kind!r}"
        raise ValueError(msg)
    return qp.Ensemble(getattr(qp, kind), data=data, ancil=ancil)


def from_ensemble(ensemble, bin_edges=None):
    """
    Take weights of redshift bins from a qp ensemble.

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
