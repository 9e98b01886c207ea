"""Untrusted tables in memory, from and to the bytes of a file."""

import io
import zlib
from pathlib import PurePath
from xml.parsers import expat

from mantis_astro._optional import require
from mantis_astro.tables.files import format_of, read_content, write_content
from mantis_astro.tables.formats import fitted

__all__ = ["read_bytes", "write_bytes"]

_GZIP = 31  # window bits of zlib by which it reads what gzip wrote
_TEXTS = "ascii", "ascii.csv", "ascii.ecsv"


def read_bytes(content, name, *, max_bytes):
    r"""
    Read a table from the bytes of a file; nothing else is opened for it.

    What a file can do besides holding a table is refused: VOTable that points to other
    files or declares entities, HDF5 whose data are elsewhere, and what grows beyond a
    size when it is unpacked.

    Parameters
    ----------
    content : bytes
        The file.
    name : str
        Its name, whose ending chooses the format as for
        `~mantis_astro.tables.read_table`; nothing is looked for under it.
    max_bytes : int
        Size that the content must not exceed when it is unpacked.

    Returns
    -------
    `~astropy.table.QTable`
        The table.

    Raises
    ------
    ValueError
        If it is not such a table, is too large, or does more than hold one.
    ImportError
        If the format needs a package that is not installed.

    Examples
    --------
    >>> from mantis_astro.tables.memory import read_bytes
    >>> table = read_bytes(b"ra,dec\n10.5,-3.25\n", "galaxies.csv", max_bytes=1000)
    >>> table["ra"]
    <Column name='ra' dtype='float64' length=1>
    10.5
    """
    name = PurePath(name)
    if name.suffix.lower() == ".gz":
        content, name = _unzipped(content, max_bytes), name.with_suffix("")
    if len(content) > max_bytes:
        msg = f"{name} has more than {max_bytes:,} bytes"
        raise ValueError(msg)
    layout = format_of(name)
    try:
        return read_content(_checked(content, layout, name, max_bytes), layout, name)
    except (ValueError, ImportError):
        raise
    except Exception as error:  # readers may stumble over bytes in any way
        msg = f"cannot read {name} as {layout}: {error}"
        raise ValueError(msg) from error


def write_bytes(table, layout):
    """
    Write a table into the bytes of a file.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table; not changed.
    layout : {"ascii.ecsv", "fits"}
        Name of the format.

    Returns
    -------
    bytes
        The file.

    Raises
    ------
    ValueError
        If the format cannot hold the table: text other than ASCII in FITS.
    """
    buffer = io.StringIO() if layout in _TEXTS else io.BytesIO()
    write_content(fitted(table, layout, tell=False), buffer, layout)
    content = buffer.getvalue()
    return content.encode() if isinstance(content, str) else content


def _checked(content, layout, name, max_bytes):
    """Return what astropy reads, if it does nothing but hold a table."""
    if layout in _TEXTS:
        return _lines(content, name)
    if layout == "votable":
        _check_votable(content, name)
    elif layout == "hdf5":
        _check_hdf5(content, name, max_bytes)
    elif layout == "parquet":
        _check_parquet(content, name, max_bytes)
    elif layout == "asdf":
        msg = f"{name}: ASDF, which may point to other files, is not read here"
        raise ValueError(msg)
    return io.BytesIO(content)


def _unzipped(content, max_bytes):
    unpacker = zlib.decompressobj(_GZIP)
    try:
        unpacked = unpacker.decompress(content, max_bytes + 1)
    except zlib.error as error:
        msg = f"this is no file of gzip: {error}"
        raise ValueError(msg) from error
    return unpacked


def _lines(content, name):
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        msg = f"{name} is not text in UTF-8: {error}"
        raise ValueError(msg) from error
    if len(lines) < 2:  # of one line astropy might think that it is a file's name
        msg = f"{name} has no row: a line with names of columns, and lines below it"
        raise ValueError(msg)
    return lines


def _check_votable(content, name):
    """Refuse entities, and data that are elsewhere: astropy would fetch them."""

    def refuse(what):
        msg = f"{name} {what}, which is not followed here: save it as one plain file"
        raise ValueError(msg)

    def start(tag, attributes):
        local = tag.rpartition(":")[2].upper()
        if local == "STREAM" and any(key.lower() == "href" for key in attributes):
            refuse("keeps its data in another place (STREAM href)")

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EntityDeclHandler = lambda *_: refuse("declares entities")
    try:
        parser.Parse(content, True)  # noqa: FBT003  its last argument
    except expat.ExpatError as error:
        msg = f"{name} is no VOTable: {error}"
        raise ValueError(msg) from error


def _check_hdf5(content, name, max_bytes):
    h5py = require("h5py", extra="qp")
    sizes = []

    def visit(_, item):
        if isinstance(item, h5py.Dataset):
            if item.external or item.is_virtual:
                msg = f"{name} keeps its data in other files"
                raise ValueError(msg)
            sizes.append(item.nbytes)

    try:
        with h5py.File(io.BytesIO(content)) as file:
            file.visititems(visit)
    except OSError as error:
        msg = f"{name} is no HDF5: {error}"
        raise ValueError(msg) from error
    _check_size(sum(sizes), name, max_bytes)


def _check_parquet(content, name, max_bytes):
    parquet = require("pyarrow.parquet", extra="parquet")
    try:
        facts = parquet.read_metadata(io.BytesIO(content))
    except (OSError, ValueError) as error:
        msg = f"{name} is no Parquet: {error}"
        raise ValueError(msg) from error
    groups = map(facts.row_group, range(facts.num_row_groups))
    _check_size(sum(group.total_byte_size for group in groups), name, max_bytes)


def _check_size(size, name, max_bytes):
    if size > max_bytes:
        msg = f"{name} unpacks to {size:,} bytes, more than {max_bytes:,}"
        raise ValueError(msg)
