"""`PieceWriter`: a table that is larger than memory, written some rows at a time."""

import contextlib
import io
import warnings
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.io.fits.verify import VerifyWarning
from astropy.table import MaskedColumn, vstack
from astropy.utils.masked import Masked

from mantis_astro._optional import require
from mantis_astro.atomic import atomic_file
from mantis_astro.tables.arrow import to_arrow
from mantis_astro.tables.files import check_writable, write_head, write_table
from mantis_astro.tables.formats import fitted
from mantis_astro.tables.pieces import FITS_BLOCK

__all__ = ["PieceWriter"]


class PieceWriter(contextlib.AbstractContextManager):
    """
    Write a table in pieces; the file appears whole or not at all.

    Parameters
    ----------
    path : str or path-like
        Where to, as for `~mantis_astro.tables.write_table`. FITS, Parquet and CSV are
        written piece by piece, other formats in the end.
    n_row : int
        Rows of all pieces.
    overwrite : bool, optional
        Whether an existing file may be replaced.

    Raises
    ------
    OSError
        If the file exists and ``overwrite`` is False, or the folder cannot be written.
    ValueError
        If the ending is not one that can be written.

    Examples
    --------
    >>> from astropy.table import QTable
    >>> from mantis_astro.tables import read_table
    >>> from mantis_astro.tables.appending import PieceWriter
    >>> path = getfixture("tmp_path") / "galaxies.fits"
    >>> with PieceWriter(path, n_row=3) as writer:
    ...     writer.write(QTable({"id": [1, 2]}))
    ...     writer.write(QTable({"id": [3]}))
    >>> read_table(path)["id"].tolist()
    [1, 2, 3]
    """

    def __init__(self, path, n_row, *, overwrite=False):
        self._path = Path(path)
        self._layout = check_writable(path, overwrite=overwrite)
        appenders = {"fits": _Fits, "parquet": _Parquet, "ascii.csv": _Csv}
        self._appender, self._n_row = appenders.get(self._layout), n_row
        self._kept, self._open, self._stack = [], None, contextlib.ExitStack()

    def __exit__(self, kind, error, traceback):
        if kind is None and self._kept:
            write_table(vstack(self._kept), self._path, overwrite=True)
        return self._stack.__exit__(kind, error, traceback)

    def write(self, table):
        """
        Append rows.

        Parameters
        ----------
        table : `~astropy.table.QTable`
            Some rows; columns have the same types in each piece.

        Raises
        ------
        ValueError
            If the format cannot hold them, or types differ from those before.
        """
        if self._appender is None:
            self._kept.append(table)
            return
        is_first = self._open is None
        if is_first:
            write_head(table, self._path, self._layout)
            temporary = self._stack.enter_context(atomic_file(self._path))
            self._open = self._stack.enter_context(
                contextlib.closing(self._appender(temporary, self._n_row))
            )
        self._open.append(fitted(table, self._layout, tell=is_first))


class _Csv:
    def __init__(self, path, n_row):  # noqa: ARG002  the file does not say it
        self._stream = path.open("w", encoding="utf-8", newline="")
        self._is_first = True

    def append(self, table):
        text = io.StringIO()
        table.write(text, format="ascii.csv")
        head, _, rows = text.getvalue().partition("\n")
        self._stream.write(f"{head}\n{rows}" if self._is_first else rows)
        self._is_first = False

    def close(self):
        self._stream.close()


class _Parquet:
    def __init__(self, path, n_row):  # noqa: ARG002  the file counts itself
        self._path, self._writer = path, None

    def append(self, table):
        parquet = require("pyarrow.parquet", extra="parquet")
        content = to_arrow(_with_masked_row(table))[1 if len(table) else 0 :]
        if self._writer is None:
            self._writer = parquet.ParquetWriter(self._path, content.schema)
        self._writer.write_table(content)

    def close(self):
        if self._writer is not None:
            self._writer.close()


def _with_masked_row(table):
    """Put a masked row first: masks are written where something is masked only."""
    if not len(table):
        return table
    table = table[np.r_[0, : len(table)]]
    for column in table.itercols():
        if isinstance(column, MaskedColumn | Masked):
            column[0] = np.ma.masked
    return table


class _Fits:
    def __init__(self, path, n_row):
        self._stream, self._n_row = path.open("wb"), n_row
        self._form = None

    def append(self, table):
        buffer = io.BytesIO()
        with warnings.catch_warnings():  # long keys of meta become HIERARCH cards
            warnings.simplefilter("ignore", VerifyWarning)
            table.write(buffer, format="fits")
        content = buffer.getvalue()
        with fits.open(io.BytesIO(content)) as hdus:
            first, header = hdus[0].header, hdus[1].header
            start = hdus[1].fileinfo()["datLoc"]
        form = [card for card in header.items() if card[0] != "NAXIS2"]
        size = header["NAXIS1"] * header["NAXIS2"]
        if self._form is None:
            header["NAXIS2"] = self._n_row
            for head in (first, header):
                self._stream.write(head.tostring().encode("ascii"))
            self._form = form
        elif form != self._form:
            differs = sorted({key for key, _ in {*form} ^ {*self._form}})
            msg = f"pieces of a FITS table differ in {', '.join(differs)}"
            raise ValueError(msg)
        self._stream.write(content[start : start + size])

    def close(self):
        self._stream.write(b"\0" * (-self._stream.tell() % FITS_BLOCK))
        self._stream.close()
