"""`TablePieces`: the rows of a table that is larger than memory, some at a time."""

import io
import tempfile
from itertools import islice
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.table import MaskedColumn, QTable, Table
from astropy.utils.masked import Masked

from mantis_astro._optional import require
from mantis_astro.tables.csv_text import find_csv_layout
from mantis_astro.tables.files import (
    layout_of,
    open_text,
    read_content,
    read_head,
    read_table,
)
from mantis_astro.tables.foreign import table_of_arrow
from mantis_astro.tables.formats import is_text, restored

__all__ = ["FITS_BLOCK", "TablePieces"]

#: Files of FITS are a multiple of so many bytes.
FITS_BLOCK = 2880

_MOST_PIECES, _FEWEST_ROWS, _MOST_ROWS = 64, 64, 32_768


class TablePieces:
    """
    The rows of a table, some at a time.

    Once all pieces were read, columns have the same types in each piece: of a file it
    is not known before how long its texts are, whether something is missing, and, of
    text, what the columns are.

    Parameters
    ----------
    table : str, path-like or `~astropy.table.Table`
        A table, or a file as `~mantis_astro.tables.read_table` reads it. FITS, Parquet
        and CSV are read in pieces, other files as a whole.
    size : int, optional
        Rows of a piece; by default a 64th of the table, but at least 64 and at most
        32,768.

    Attributes
    ----------
    n_row : int
        Rows of the table.
    size : int
        Rows of a piece.

    Raises
    ------
    OSError
        If there is no such file.
    ValueError
        If the file is not such a table.

    Examples
    --------
    >>> from astropy.table import QTable
    >>> from mantis_astro.tables.pieces import TablePieces
    >>> [len(piece) for piece in TablePieces(QTable({"id": range(5)}), size=2)]
    [2, 2, 1]
    """

    def __init__(self, table, size=None):
        self._source = _open(table)
        self.n_row = self._source.n_row
        share = -(-self.n_row // _MOST_PIECES)
        self.size = size or int(np.clip(share, _FEWEST_ROWS, _MOST_ROWS))
        self._types = _ColumnTypes()
        self._known = False

    def __iter__(self):
        """Yield pieces, in order; of a table without rows one, without rows."""
        for piece in self._source.pieces(self.size, self._types.texts):
            if not self._known:
                self._types.add(piece)
            yield self._types.unify(piece) if self._known else piece
        self._known = True


def _open(table):
    if isinstance(table, Table):
        return _InMemory(QTable(table, copy=False))
    layout = layout_of(table)
    if layout == "fits" and (file := _FitsFile(table)).has_plain_rows:
        return file
    kinds = {"parquet": _ParquetFile, "ascii.csv": _CsvFile}
    return kinds[layout](table) if layout in kinds else _InMemory(read_table(table))


class _InMemory:
    def __init__(self, table):
        self._table, self.n_row = table, len(table)

    def pieces(self, size, texts):  # noqa: ARG002  types are known
        for start in range(0, max(self.n_row, 1), size):
            yield self._table[start : start + size]


class _FitsFile:
    def __init__(self, path):
        self._path = path
        with fits.open(path) as hdus:
            for hdu in hdus:
                if isinstance(hdu, fits.BinTableHDU | fits.TableHDU):
                    break
            else:
                msg = f"cannot read {path} as fits: it has no table"
                raise ValueError(msg)
            self._header, self._place = hdu.header, hdu.fileinfo()["datLoc"]
        self.n_row = self._header["NAXIS2"]

    @property
    def has_plain_rows(self):
        """Whether all of a row is at one place, not compressed."""
        return Path(self._path).suffix != ".gz" and not self._header.get("PCOUNT")

    def pieces(self, size, texts):  # noqa: ARG002  types are known
        n_byte = self._header["NAXIS1"]
        with Path(self._path).open("rb") as stream:
            for start in range(0, max(self.n_row, 1), size):
                stream.seek(self._place + start * n_byte)
                rows = stream.read(min(size, self.n_row - start) * n_byte)
                yield read_content(self._as_file(rows, n_byte), "fits", self._path)

    def _as_file(self, rows, n_byte):
        """Make a file of some rows, so that they are read as those of any other."""
        header = self._header.copy()
        header["NAXIS2"] = len(rows) // n_byte
        heads = [fits.PrimaryHDU().header, header]
        content = b"".join(head.tostring().encode("ascii") for head in heads) + rows
        return io.BytesIO(content + b"\0" * (-len(content) % FITS_BLOCK))


class _ParquetFile:
    def __init__(self, path):
        parquet = require("pyarrow.parquet", extra="parquet")
        self._path = path
        with parquet.ParquetFile(path) as file:
            self.n_row = file.metadata.num_rows
            self._is_ours = b"table_meta_yaml" in (file.schema_arrow.metadata or {})

    def pieces(self, size, texts):  # noqa: ARG002  types are known
        pa = require("pyarrow", extra="parquet")
        parquet = require("pyarrow.parquet", extra="parquet")
        with parquet.ParquetFile(self._path) as file:
            if not self.n_row:
                yield self._read(file.schema_arrow.empty_table(), parquet)
            for batch in file.iter_batches(size):
                part = pa.Table.from_batches([batch])
                yield self._read(
                    part.replace_schema_metadata(file.schema_arrow.metadata), parquet
                )

    def _read(self, part, parquet):
        if not self._is_ours:
            return table_of_arrow(part)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "piece.parquet"  # astropy reads units of files alone
            parquet.write_table(part, path)
            return QTable.read(path, format="parquet")


class _CsvFile:
    def __init__(self, path):
        self._path, self._head = Path(path), read_head(path)
        try:
            with open_text(self._path) as lines:
                self._layout = find_csv_layout(lines)
            with open_text(self._path) as lines:
                self.n_row = sum(1 for _ in self._records(lines)) - 1
        except UnicodeDecodeError as error:
            msg = f"{path} is not text in UTF-8: {error}"
            raise ValueError(msg) from None
        if self.n_row < 0:
            msg = f"cannot read {path} as ascii.csv: there is nothing in it"
            raise ValueError(msg)

    def pieces(self, size, texts):
        with open_text(self._path) as lines:
            records = self._records(lines)
            head = self._layout.names(next(records))
            for _ in range(0, max(self.n_row, 1), size):
                yield self._read([head, *islice(records, size)], texts)

    def _read(self, lines, texts):
        if self._head is None:
            return read_content(lines, "ascii.csv", self._path, texts=texts)
        texts = [name for name in self._head.colnames if is_text(self._head[name])]
        table = read_content(lines, "ascii.csv", self._path, texts=texts, has_head=True)
        return restored(table, self._head)

    def _records(self, lines):
        return islice(_records(lines), self._layout.n_comment, None)


def _records(lines):
    """Yield the records of a file of CSV; a text in quotes may have several lines."""
    record = ""
    for line in lines:
        record += line
        if record.count('"') % 2 == 0:
            if record.strip():
                yield record.rstrip("\r\n")
            record = ""
    if record.strip():
        yield record


class _ColumnTypes:
    """Types of columns that the pieces of one table have in common."""

    def __init__(self):
        self._dtypes, self._masked, self._limits = {}, set(), {}

    @property
    def texts(self):
        """Names of columns that are text in one piece at least."""
        return [name for name, dtype in self._dtypes.items() if dtype.kind == "U"]

    def add(self, table):
        for name in table.colnames:
            column = table[name]
            kind = getattr(getattr(column, "dtype", None), "kind", "")
            if not kind or kind not in "biufU":
                continue  # positions and times: what they are is in the file
            known = self._dtypes.get(name)
            if known is None or not np.all(_mask(column)):  # else the type is a guess
                dtype = column.dtype
                self._dtypes[name] = (
                    dtype if known is None else np.promote_types(known, dtype)
                )
            if _has_mask(column):
                self._masked.add(name)
            if kind in "iu":
                values = np.ma.array(column, mask=_mask(column)).compressed()
                limits = self._limits.get(name, ())
                self._limits[name] = _limits([*limits, *_limits(values)])

    def unify(self, table):
        for name, dtype in self._dtypes.items():
            column = table[name]
            if column.dtype != dtype:
                column = column.astype(dtype)
            if name in self._masked and not _has_mask(column):
                is_quantity = isinstance(column, u.Quantity)
                column = Masked(column) if is_quantity else MaskedColumn(column)
            if name in self._masked and isinstance(column, MaskedColumn):
                column.fill_value = self._stand_in(name, dtype, column.fill_value)
            if column is not table[name]:
                column.info.description = table[name].info.description
                table.replace_column(name, column)
        return table

    def _stand_in(self, name, dtype, value):
        """Choose the number that marks missing values: one that no piece has."""
        limits = self._limits.get(name)
        if dtype.kind not in "iu" or not limits or not limits[0] <= value <= limits[-1]:
            return value
        largest, least = np.iinfo(dtype).max, np.iinfo(dtype).min
        if limits[-1] < largest:
            return largest
        if limits[0] > least:
            return least
        msg = (
            f"column '{name}' has the largest and least numbers of its type, and nulls"
        )
        raise ValueError(msg)


def _limits(values):
    return (min(values), max(values)) if len(values) else ()


def _has_mask(column):
    return isinstance(column, MaskedColumn | Masked)


def _mask(column):
    return np.asarray(column.mask) if _has_mask(column) else np.zeros(len(column), bool)
