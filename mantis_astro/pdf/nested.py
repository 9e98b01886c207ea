"""
Tables with p(z) nested in their rows, as Rubin's data previews have them.

A column ``<algorithm>_ens_interp`` holds two lists in each row, redshifts ``xvals`` and
densities ``yvals``, beside columns such as ``<algorithm>_z_median``; Parquet and
nested-pandas have both.
"""

import numpy as np

from mantis_astro import pdf_io
from mantis_astro._optional import require
from mantis_astro.atomic import atomic_file
from mantis_astro.flags import Flag
from mantis_astro.pdf.redshift_pdf import RedshiftPDF

__all__ = ["from_nested", "read_nested", "to_nested", "write_nested"]

_ENDING = "_ens_interp"
_ESTIMATES = ("z_median", "z_mean", "z_mode")
_INTERVALS = ("z_err95_low", "z_err95_high", "z_err68_low", "z_err68_high")


def to_nested(pdf, *, algorithm="mantis", object_id=None, z=None):
    """
    Make a table of pyarrow with p(z) nested in its rows.

    Parameters
    ----------
    pdf : RedshiftPDF
        Shape (n,).
    algorithm : str, optional
        What the names of the columns begin with.
    object_id : array_like, optional
        Integers for a column ``objectId``, shape (n,).
    z : array_like, optional
        Redshifts at which densities are given; by default the centres of the bins,
        and both ends.

    Returns
    -------
    `pyarrow.Table`
        Columns ``objectId``, point estimates and intervals with the names of Rubin's
        data previews, and the densities; null where there are no data. What lies
        beyond ``z`` is left out.

    Raises
    ------
    ImportError
        If pyarrow is not installed.
    ValueError
        If ``z`` is not increasing, or there are not as many identifiers as p(z).

    Examples
    --------
    >>> from mantis_astro import RedshiftPDF
    >>> from mantis_astro.pdf.nested import to_nested
    >>> table = to_nested(RedshiftPDF([0, 1, 4], [[0.25, 0.75]]), object_id=[7])
    >>> table["mantis_ens_interp"].type
    StructType(struct<xvals: list<item: double>, yvals: list<item: double>>)
    """
    pa = require("pyarrow", extra="parquet")
    edges = pdf.bin_edges
    if z is None:
        z = np.concatenate([edges[:1], (edges[1:] + edges[:-1]) / 2, edges[-1:]])
    z = np.asarray(z, float)
    if z.ndim != 1 or z.size < 2 or not (np.diff(z) > 0).all():
        msg = f"'z' must be at least two increasing redshifts, got {z}"
        raise ValueError(msg)
    columns = {}
    if object_id is not None:
        columns["objectId"] = np.asarray(object_id, np.int64)
        if columns["objectId"].shape != pdf.shape:
            msg = (
                f"'object_id' must have shape {pdf.shape}, as 'pdf', got "
                f"{columns['objectId'].shape}"
            )
            raise ValueError(msg)
    estimates = pdf.to_table()
    for name in (*_ESTIMATES, *_INTERVALS):
        values = np.ma.asarray(estimates[name], float)
        columns[f"{algorithm}_{name}"] = pa.array(
            values.filled(np.nan), mask=np.ma.getmaskarray(values)
        )
    density = pdf_io.density_on_grid(edges, np.asarray(pdf.probability, float), z)
    total = np.trapezoid(density, z)[:, None]
    density /= np.where(total > 0, total, 1)
    ends = np.arange(len(pdf) + 1) * len(z)
    lists = [
        pa.LargeListArray.from_arrays(ends, values.ravel()).cast(pa.list_(pa.float64()))
        for values in (np.broadcast_to(z, density.shape), density)
    ]
    no_data = (np.asarray(pdf.flags) & int(Flag.NO_DATA)) != 0
    nested = pa.StructArray.from_arrays(
        lists, names=["xvals", "yvals"], mask=pa.array(no_data)
    )
    return pa.table({**columns, algorithm + _ENDING: nested})


def from_nested(table, *, algorithm=None, bin_edges=None):
    """
    Read p(z) that are nested in the rows of a table.

    Parameters
    ----------
    table : `pyarrow.Table` or DataFrame
        With a column ``<algorithm>_ens_interp``; a NestedFrame is a DataFrame, too.
    algorithm : str, optional
        What the name of the column begins with; needed if there are several.
    bin_edges : array_like, optional
        As for `RedshiftPDF.from_grid`.

    Returns
    -------
    RedshiftPDF
        Shape (n,); rows that are null are uniform and flagged ``NO_DATA``.

    Raises
    ------
    ImportError
        If pyarrow is not installed.
    KeyError
        If there is no such column, or several and none is named.
    ValueError
        If rows have other redshifts than the first.

    Examples
    --------
    >>> from mantis_astro import RedshiftPDF
    >>> from mantis_astro.pdf.nested import from_nested, to_nested
    >>> pdf = RedshiftPDF([0, 1, 2], [[0.25, 0.75]])
    >>> from_nested(to_nested(pdf, z=[0, 0.5, 1.5, 2]), bin_edges=[0, 1, 2]).probability
    array([[0.3125, 0.6875]])
    """
    pa = require("pyarrow", extra="parquet")
    names = table.column_names if isinstance(table, pa.Table) else list(table.columns)
    name = _find(names, algorithm)
    if not isinstance(table, pa.Table):
        table = pa.Table.from_pandas(table[[name]], preserve_index=False)
    column = table[name].combine_chunks()
    there = np.asarray(column.is_valid())
    z, density = (_rows(column.field(key), there) for key in ("xvals", "yvals"))
    if not len(z):
        msg = f"column '{name}' has no p(z)"
        raise ValueError(msg)
    if (z != z[0]).any():
        row = np.flatnonzero(there)[np.flatnonzero((z != z[0]).any(axis=1))[0]]
        msg = f"the p(z) of column '{name}' must share their 'xvals'; row {row} differs"
        raise ValueError(msg)
    rows = np.zeros((len(there), density.shape[1]))
    rows[there] = density
    return RedshiftPDF.from_grid(z[0], rows, bin_edges=bin_edges, bad="flag")


def write_nested(
    path, pdf, *, algorithm="mantis", object_id=None, z=None, overwrite=False
):
    """
    Write p(z) into a Parquet file as Rubin's data previews have them.

    Parameters
    ----------
    path : str or path-like
        The file, which appears whole or not at all.
    pdf, algorithm, object_id, z
        As for `to_nested`.
    overwrite : bool, optional
        Whether a file that is there may be replaced.

    Raises
    ------
    OSError
        If there is a file and ``overwrite`` is False.
    """
    parquet = require("pyarrow.parquet", extra="parquet")
    table = to_nested(pdf, algorithm=algorithm, object_id=object_id, z=z)
    with atomic_file(path, overwrite=overwrite) as temporary:
        parquet.write_table(table, temporary)


def read_nested(path, *, algorithm=None, bin_edges=None):
    """
    Read p(z) of a Parquet file, such as Rubin's data previews have.

    Parameters
    ----------
    path : str or path-like
        The file.
    algorithm, bin_edges
        As for `from_nested`.

    Returns
    -------
    RedshiftPDF
        Shape (n,).

    Raises
    ------
    OSError
        If there is no such file.
    KeyError
        As for `from_nested`.
    """
    parquet = require("pyarrow.parquet", extra="parquet")
    name = _find(parquet.read_schema(path).names, algorithm)
    table = parquet.read_table(path, columns=[name])
    return from_nested(table, algorithm=algorithm, bin_edges=bin_edges)


def _find(names, algorithm):
    found = [name for name in names if name.endswith(_ENDING)]
    wanted = found if algorithm is None else [algorithm + _ENDING]
    if len(wanted) != 1 or wanted[0] not in found:
        there = ", ".join(name.removesuffix(_ENDING) for name in found) or "none"
        msg = f"'algorithm' must name one of those with nested p(z), {there}"
        raise KeyError(msg if algorithm is None else f"{msg}; got {algorithm!r}")
    return wanted[0]


def _rows(lists, there):
    """Make an array of the lists in rows that are there, all of the same length."""
    lists = lists.filter(_as_arrow(there))
    lengths = np.unique(np.asarray(lists.value_lengths()))
    if len(lengths) > 1:
        msg = f"nested p(z) must be as long in all rows, got {lengths.min()} and more"
        raise ValueError(msg)
    values = np.asarray(lists.flatten(), float)
    return values.reshape(len(lists), -1) if len(lists) else values.reshape(0, 0)


def _as_arrow(mask):
    return require("pyarrow", extra="parquet").array(mask)
