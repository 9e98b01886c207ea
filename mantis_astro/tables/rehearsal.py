"""Whether a format can hold a table: asked before hours are spent on its columns."""

import tempfile
import warnings
from pathlib import Path

import numpy as np
from astropy.table import QTable

__all__ = ["check_holds"]


def check_holds(table, layout):
    """
    Raise now what writing a table in a format would raise later.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table, or the part of it that is there already; not changed.
    layout : str
        Name of the format, as `~mantis_astro.tables.check_writable` returns it. FITS
        and Parquet refuse tables; the other formats take whatever is text or a number.

    Raises
    ------
    ValueError
        If the format cannot hold the table; the message names a column.

    Examples
    --------
    >>> from astropy.table import QTable
    >>> from mantis_astro.tables.rehearsal import check_holds
    >>> check_holds(QTable({"name": ["NGC 1"]}), "fits")
    """
    if layout == "fits":
        _check_ascii(table)
    if layout in ("fits", "parquet"):
        few = QTable(table[:2], copy=True)
        few.meta = {}
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # told when it is written
            try:
                few.write(Path(folder) / "rehearsal", format=layout)
            except Exception as error:  # of astropy, pyarrow or NumPy
                msg = f"{layout} cannot hold this table: {error}"
                raise ValueError(msg) from error


def _check_ascii(table):
    for name in table.colnames:
        if not name.isascii():
            msg = f"FITS holds ASCII alone: the name of column '{name}' is not"
            raise ValueError(msg)
        column = table[name]
        if getattr(getattr(column, "dtype", None), "kind", "") != "U":
            continue
        values = np.ma.filled(np.ma.asarray(column), "").ravel()
        letters = np.ascontiguousarray(values).view(np.uint32).reshape(len(values), -1)
        rows = np.flatnonzero((letters > 127).any(axis=1))
        if len(rows):
            msg = (
                f"FITS holds ASCII alone: column '{name}' has {str(values[rows[0]])!r} "
                f"({len(rows)} such rows); write ECSV or Parquet, or other words"
            )
            raise ValueError(msg)
