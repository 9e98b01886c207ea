"""Check that a format can hold a table, before hours are spent on its columns."""

import tempfile
import warnings
from pathlib import Path

from astropy.table import QTable

from mantis_astro.tables.formats import check_ascii

__all__ = ["check_holds"]


def check_holds(table, layout):
    """
    Check that a table can be written in a format.

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
        check_ascii(table)
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
