"""Conversion between tables and the data frames in which workers hold rows."""

import logging

import astropy.units as u
import numpy as np
from astropy.table import MaskedColumn, Table

from mantis_astro._optional import require
from mantis_astro.fluxes import find_bands, flux_columns
from mantis_astro.tables.foreign import table_of_arrow

__all__ = [
    "arrow_column",
    "check_names",
    "frame_to_table",
    "is_plain_type",
    "list_array",
    "with_columns",
    "with_units",
]

log = logging.getLogger(__name__)


def frame_to_table(frame, *, units=None, meta=None):
    """
    Make a table of a data frame.

    Parameters
    ----------
    frame : DataFrame or NestedFrame
        The rows. Columns of lists and nested columns are left out.
    units : mapping of str to unit, optional
        Units of columns, which a frame cannot hold. Columns of fluxes, such as
        ``flux_ps1_g`` and ``flux_err_ps1_g``, are in nJy if nothing else is said.
    meta : mapping, optional
        Entries of the meta, which a frame cannot hold either.

    Returns
    -------
    `~astropy.table.Table`
        What is null in the frame is masked; NaN stays NaN, in columns of pyarrow.

    Raises
    ------
    KeyError
        If a column that ``units`` names is not there.
    """
    pa = require("pyarrow", extra="scale")
    names = [name for name in frame.columns if _is_plain(frame[name])]
    plain = require("pandas", extra="scale").DataFrame(frame[names])
    content = pa.Table.from_pandas(plain, preserve_index=False)
    return with_units(table_of_arrow(content), units=units, meta=meta)


def with_units(table, *, units=None, meta=None):
    """
    Add the units that pandas and Parquet do not keep to a table.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Columns without units.
    units, meta : mapping, optional
        As for `frame_to_table`.

    Returns
    -------
    `~astropy.table.Table`
        A plain table with units. Columns of fluxes are in nJy if nothing else is said.

    Raises
    ------
    KeyError
        If a column that ``units`` names is not there.
    """
    table = Table(table, meta=meta)
    units = dict(units or {})
    absent = [name for name in units if name not in table.colnames]
    if absent:
        there = ", ".join(table.colnames)
        msg = f"'units' has {', '.join(absent)}, and the columns are {there}"
        raise KeyError(msg)
    for band in find_bands(table):
        for name in set(flux_columns(band)) & set(table.colnames):
            units.setdefault(name, u.nJy)
    for name, unit in units.items():
        table[name].unit = unit
    return table


def _is_plain(series):
    """Whether a column holds one number, text or date for each row."""
    arrow = getattr(series.dtype, "pyarrow_dtype", None)
    if arrow is not None:
        return is_plain_type(arrow)
    if series.dtype == object:
        infer = require("pandas", extra="scale").api.types.infer_dtype
        return infer(series, skipna=True) == "string"
    return series.dtype.kind in "biufM" or str(series.dtype).startswith("str")


def is_plain_type(kind):
    """
    Return whether a type is numeric, text or date.

    Parameters
    ----------
    kind : `pyarrow.DataType`
        The type.

    Returns
    -------
    bool
        False of lists and structures, such as nested columns, and of raw bytes.
    """
    types = require("pyarrow", extra="scale").types
    checks = (
        *(types.is_integer, types.is_floating, types.is_boolean, types.is_null),
        *(types.is_string, types.is_large_string, types.is_timestamp, types.is_date),
        types.is_dictionary,
    )
    return any(check(kind) for check in checks)


def arrow_column(column):
    """
    Make an array of pyarrow of a column.

    Parameters
    ----------
    column : `~astropy.table.Column` or `~astropy.table.MaskedColumn`
        As `PhotoZ.add_redshifts` adds it.

    Returns
    -------
    `pyarrow.Array`
        Of a type that depends on nothing but the type of the column: lists if it has
        two dimensions. What is masked is null.
    """
    pa = require("pyarrow", extra="scale")
    values = np.ma.getdata(column)
    if values.ndim > 1:
        return list_array(values)
    mask = column.mask if isinstance(column, MaskedColumn) else None
    return pa.array(np.asarray(values), mask=mask)


def list_array(values):
    """
    Make an array of lists of equal length.

    Parameters
    ----------
    values : ndarray, shape (n_row, n)
        The values.

    Returns
    -------
    `pyarrow.ListArray`
        One list for each row.
    """
    pa = require("pyarrow", extra="scale")
    n_row, n = values.shape
    offsets = np.arange(n_row + 1, dtype=np.int64) * n
    return pa.ListArray.from_arrays(
        pa.array(offsets, pa.int32()), pa.array(np.ascontiguousarray(values).ravel())
    )


def with_columns(frame, new):
    """
    Add columns to a data frame.

    Parameters
    ----------
    frame : DataFrame or NestedFrame
        Not changed.
    new : dict of str to `pyarrow.Array`
        Columns; structures of lists become nested columns.

    Returns
    -------
    DataFrame or NestedFrame
        With the index of the frame.

    Raises
    ------
    ValueError
        If the frame has a column of that name.
    """
    check_names(frame.columns, new)
    return frame.assign(**{name: _series(array) for name, array in new.items()})


def check_names(there, new):
    """
    Refuse new columns that have the name of others.

    Parameters
    ----------
    there, new : iterable of str
        Names.

    Raises
    ------
    ValueError
        If there is one.
    """
    taken = [name for name in new if name in there]
    if taken:
        msg = f"the catalogue has {', '.join(taken)} already: choose another 'prefix'"
        raise ValueError(msg)


def _series(array):
    pa = require("pyarrow", extra="scale")
    pd = require("pandas", extra="scale")
    if pa.types.is_struct(array.type):
        module = require("nested_pandas.series.ext_array", extra="scale")
        return module.NestedExtensionArray(array)
    return pd.array(array, dtype=pd.ArrowDtype(array.type))
