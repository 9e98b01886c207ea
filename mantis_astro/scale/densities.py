"""A nested column of p(z): few quantiles of each, or all its bins."""

import numpy as np
from scipy.special import ndtr

from mantis_astro._optional import require
from mantis_astro.pdf import RedshiftPDF
from mantis_astro.scale.frames import list_array

__all__ = ["KINDS", "LEVELS", "frame_to_pdf", "frame_to_qp", "nested_densities"]

#: Probability below each of 21 quantiles: those of a Gaussian in steps of 0.3 sigma.
#: The cumulative p(z) made of them again is off by 0.004 (median of the largest
#: difference of each galaxy), and by 0.02 with as many even steps of probability.
LEVELS = ndtr(np.linspace(-3, 3, 21))

#: How p(z) may be kept.
KINDS = ("quantiles", "bins", "none")


def nested_densities(probability, bin_edges, kind):
    """
    Create the column of p(z).

    Parameters
    ----------
    probability : ndarray, shape (n, n_bins)
        Probability of each bin; NaN where nothing is known.
    bin_edges : ndarray, shape (n_bins + 1,)
        The bins.
    kind : {"quantiles", "bins"}
        Redshifts ``z`` of 21 quantiles, ``level``; or the ``probability`` of each bin
        from ``z_low`` to ``z_high``.

    Returns
    -------
    `pyarrow.StructArray`
        A structure of lists for each row, as nested-pandas and HATS have them, in
        single precision. Null where nothing is known.
    """
    pa = require("pyarrow", extra="scale")
    known = np.isfinite(probability).all(axis=1)
    if kind == "bins":
        columns = {
            "z_low": np.broadcast_to(bin_edges[:-1], probability.shape),
            "z_high": np.broadcast_to(bin_edges[1:], probability.shape),
            "probability": probability,
        }
    else:
        pdf = RedshiftPDF.from_batch(
            bin_edges, np.where(known[:, None], probability, 0)
        )
        z = pdf.to_quantiles(LEVELS).value
        columns = {"level": np.broadcast_to(LEVELS, z.shape), "z": z}
    lists = [list_array(values.astype(np.float32)) for values in columns.values()]
    return pa.StructArray.from_arrays(lists, list(columns), mask=pa.array(~known))


def frame_to_pdf(frame, bin_edges=None, *, prefix=""):
    """
    Read p(z) from rows that were predicted.

    Parameters
    ----------
    frame : NestedFrame, DataFrame or `pyarrow.Table`
        Rows with the columns ``pz`` and ``flags``.
    bin_edges : array_like, optional
        Redshift bins, shape (n_bins + 1,), such as ``photoz.card.bin_edges``. Needed
        for quantiles; rows that keep all bins have their own.
    prefix : str, optional
        Of the columns.

    Returns
    -------
    RedshiftPDF
        Shape (n,), with flags; uniform in density where nothing is known.

    Raises
    ------
    KeyError
        If there is no such column.
    ValueError
        If bins are needed and not given.

    Examples
    --------
    >>> from mantis_astro.scale import frame_to_pdf
    >>> rows = predicted.cone_search(10, 20, 60).compute()  # doctest: +SKIP
    >>> pdf = frame_to_pdf(rows, photoz.card.bin_edges)  # doctest: +SKIP
    """
    lists, flags = _columns(frame, prefix)
    known = np.asarray(lists.is_valid())
    has_bins = "probability" in lists.type.names
    if bin_edges is None and not (has_bins and known.any()):
        msg = (
            "'bin_edges' must be given for quantiles, and where no row has a p(z), as "
            "photoz.card.bin_edges"
        )
        raise ValueError(msg)
    if has_bins:
        if bin_edges is None:
            low, high = (_stacked(lists, name)[:1] for name in ("z_low", "z_high"))
            bin_edges = np.append(low, high[:, -1:])
        weights = np.zeros((len(known), len(bin_edges) - 1), np.float32)
        if known.any():
            weights[known] = _stacked(lists, "probability")
        return RedshiftPDF.from_batch(bin_edges, weights, flags=flags)
    levels = _levels(lists)
    z = np.tile(np.linspace(bin_edges[0], bin_edges[-1], len(levels)), (len(known), 1))
    if known.any():
        z[known] = np.clip(_stacked(lists, "z"), bin_edges[0], bin_edges[-1])
    pdf = RedshiftPDF.from_quantiles(bin_edges, levels, z, flags=flags)
    probability = np.where(known[:, None], pdf.probability, 0)
    return RedshiftPDF.from_batch(bin_edges, probability, flags=pdf.flags)


def frame_to_qp(frame, *, prefix=""):
    """
    Make a qp ensemble of rows that were predicted.

    Parameters
    ----------
    frame : NestedFrame, DataFrame or `pyarrow.Table`
        Rows with the columns ``pz`` and ``flags``.
    prefix : str, optional
        Of the columns.

    Returns
    -------
    `qp.Ensemble`
        Of quantiles, or of histograms for rows that keep all bins; one distribution
        for each row of which something is known. Its ancillary data have ``flags``,
        and ``row``, the number of the row in the frame.

    Raises
    ------
    ImportError
        If qp is not installed.
    KeyError
        If there is no such column.
    ValueError
        If nothing is known of any row.
    """
    qp = require("qp", extra="qp")
    lists, flags = _columns(frame, prefix)
    known = np.flatnonzero(np.asarray(lists.is_valid()))
    if not len(known):
        msg = "no row has a p(z): a qp ensemble needs at least one"
        raise ValueError(msg)
    if "probability" in lists.type.names:
        ensemble = frame_to_pdf(frame, prefix=prefix)[known].to_qp()
    else:
        data = {"quants": _levels(lists), "locs": _stacked(lists, "z").astype(float)}
        ensemble = qp.Ensemble(qp.quant, data=data)
    ensemble.set_ancil({"flags": flags[known], "row": known})
    return ensemble


def _columns(frame, prefix):
    """Structures of p(z), and flags."""
    pa = require("pyarrow", extra="scale")
    for name in (f"{prefix}pz", f"{prefix}flags"):
        if name not in getattr(frame, "column_names", frame):
            msg = f"no column '{name}': predict with the same 'prefix', and 'densities'"
            raise KeyError(msg)
    lists, flags = frame[f"{prefix}pz"], frame[f"{prefix}flags"]
    if not isinstance(lists, pa.ChunkedArray):
        lists = lists.array.struct_array  # of nested-pandas
    return lists.combine_chunks(), np.asarray(flags).astype(int)


def _stacked(lists, name):
    """Values of the rows that are known, of which there are some, (n_known, n)."""
    values = lists.filter(lists.is_valid()).field(name)
    return np.asarray(values.flatten()).reshape(len(values), -1)


def _levels(lists):
    """Levels of the quantiles, in double precision."""
    if lists.null_count == len(lists):
        return LEVELS
    found = _stacked(lists, "level")
    return LEVELS if np.allclose(found, LEVELS, atol=1e-6) else found[0].astype(float)
