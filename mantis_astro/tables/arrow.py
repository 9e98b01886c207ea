"""Tables as Arrow has them, as astropy writes them to Parquet but without its loops."""

import tempfile
from pathlib import Path

import numpy as np
from astropy.table import Column, MaskedColumn
from astropy.utils.masked import Masked

from mantis_astro._optional import require

__all__ = ["to_arrow"]

_MASK = ".mask"  # of astropy's names of the masks of columns


def to_arrow(table):
    """
    Convert a table to the content of the Parquet file that astropy would write.

    Astropy makes an object of each row of a column of several dimensions, 0.2 ms for a
    p(z). Such columns are converted as a whole here, and all else by astropy.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.

    Returns
    -------
    `pyarrow.Table`
        With units, masks, shapes and meta as astropy reads them.
    """
    wide = [column.info.name for column in table.itercols() if _is_wide(column)]
    if not wide or not len(table):
        return _written_by_astropy(table)
    pa = require("pyarrow", extra="parquet")
    # masks are written where something is masked only: a row with one of each column
    schema = _written_by_astropy(table[_first_rows(table)]).schema
    narrow = table.copy(copy_data=False)
    narrow.remove_columns(wide)
    others = _written_by_astropy(narrow) if narrow.colnames else None
    arrays = []
    for entry in schema:
        name = entry.name.removesuffix(_MASK)
        if name not in wide:
            arrays.append(others[entry.name].cast(entry.type))
            continue
        is_mask = name != entry.name
        part = (np.ma.getmaskarray if is_mask else np.ma.getdata)(table[name])
        values = np.asarray(part, part.dtype.newbyteorder("=")).ravel()
        arrays.append(pa.FixedSizeListArray.from_arrays(values, type=entry.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def _is_wide(column):
    return (
        isinstance(column, Column) and column.ndim > 1 and column.dtype.kind in "biuf"
    )


def _first_rows(table):
    rows = {0}
    for column in table.itercols():
        if isinstance(column, MaskedColumn | Masked):
            masked = np.asarray(column.mask).reshape(len(table), -1).any(axis=1)
            rows.add(int(masked.argmax()))
    return sorted(rows)


def _written_by_astropy(table):
    parquet = require("pyarrow.parquet", extra="parquet")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"  # astropy writes to files alone
        table.write(path, format="parquet")
        return parquet.ParquetFile(path).read()
