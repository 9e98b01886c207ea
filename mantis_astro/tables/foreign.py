"""Tables of other software that astropy does not read."""

import numpy as np
from astropy.table import MaskedColumn, QTable
from astropy.time import Time

from mantis_astro._optional import require

__all__ = ["read_hdf5", "read_parquet", "table_of_arrow"]


def read_parquet(path):
    """
    Read a Parquet file of any origin: astropy, pandas, LSDB, Rubin.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    `~astropy.table.QTable`
        What is null is masked; an index that pandas made is left out.

    Raises
    ------
    ValueError
        If a column holds what no column of a table can be.
    """
    parquet = require("pyarrow.parquet", extra="parquet")
    facts = parquet.read_schema(path).metadata or {}
    if b"table_meta_yaml" in facts:
        return QTable.read(path, format="parquet")
    return table_of_arrow(parquet.read_table(path))


def table_of_arrow(content):
    """
    Make a table of one in the memory of pyarrow.

    Parameters
    ----------
    content : `pyarrow.Table`
        The columns.

    Returns
    -------
    `~astropy.table.QTable`
        What is null is masked; an index that pandas made is left out.

    Raises
    ------
    ValueError
        If a column holds what no column of a table can be.
    """
    table = QTable()
    for name, values in zip(content.column_names, content.columns, strict=True):
        if not name.startswith("__index_level_"):
            table[name] = _column_of(name, values)
    return table


def _column_of(name, values):
    """Make a column of an arrow array."""
    types = require("pyarrow", extra="parquet").types
    kind = values.type
    if types.is_dictionary(kind):
        values = values.cast(kind.value_type)
        kind = values.type
    null = np.asarray(values.is_null())
    if types.is_string(kind) or types.is_large_string(kind):
        plain = np.array([text or "" for text in values.to_pylist()], dtype=str)
    elif types.is_boolean(kind):
        plain = np.array([bool(value) for value in values.to_pylist()], dtype=bool)
    elif types.is_integer(kind) or types.is_floating(kind):
        plain = np.asarray(values.fill_null(0), dtype=kind.to_pandas_dtype())
    elif types.is_decimal(kind):
        plain = np.asarray(values.cast("float64").fill_null(0))
    elif types.is_null(kind):
        plain = np.full(len(values), np.nan)
    elif types.is_timestamp(kind) or types.is_date(kind):
        plain = np.asarray(values.cast("timestamp[ns]"))
        times = Time(np.where(null, np.datetime64(0, "ns"), plain), format="datetime64")
        if null.any():
            times[null] = np.ma.masked
        return times
    else:
        plain = _rows_of(name, values.to_pylist(), kind)
    if not null.any():
        return plain
    shape = (-1, *[1] * (plain.ndim - 1))
    return MaskedColumn(plain, mask=np.broadcast_to(null.reshape(shape), plain.shape))


def _rows_of(name, rows, kind):
    """Stack lists of equal length, as of probabilities."""
    length = {len(row) for row in rows if row is not None}
    if len(length) == 1 and all(isinstance(r, list | None) for r in rows):
        nothing = [np.nan] * length.pop()
        plain = np.array([nothing if row is None else row for row in rows], float)
        if plain.ndim == 2:
            return plain
    msg = f"column '{name}' of type {kind} is neither numbers nor text, of one length"
    raise ValueError(msg)


def read_hdf5(path):
    """
    Read an HDF5 file of any origin: a table of astropy, or arrays in one group.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    `~astropy.table.QTable`
        The first table in the file; else the arrays of equal length in the first group
        that has any, as RAIL writes them.

    Raises
    ------
    ValueError
        If there is neither.
    """
    h5py = require("h5py", extra="qp")
    with h5py.File(path) as file:
        found = {}
        file.visititems(lambda name, item: found.setdefault(name, item) and None)
        sets = {n: item for n, item in found.items() if isinstance(item, h5py.Dataset)}
        tables = [name for name, item in sets.items() if item.dtype.names]
        if tables:
            return QTable.read(file, path=tables[0], format="hdf5")
        for folder in dict.fromkeys(name.rpartition("/")[0] for name in sets):
            columns = {
                name.rpartition("/")[2]: item[()]
                for name, item in sets.items()
                if name.rpartition("/")[0] == folder and item.ndim
            }
            if columns and len({len(values) for values in columns.values()}) == 1:
                return QTable({name: _plain(v) for name, v in columns.items()})
    msg = "it holds neither a table nor arrays of one length in one group"
    raise ValueError(msg)


def _plain(values):
    if values.dtype.kind != "O":
        return values
    return np.array(
        [v.decode() if isinstance(v, bytes) else v for v in values.tolist()]
    )
