"""Reading and writing tables of galaxies in the formats astronomers exchange."""

import gzip
import logging
import sys
import warnings
from contextlib import nullcontext
from pathlib import Path

from astropy.io import ascii as text_formats
from astropy.io.fits.verify import VerifyWarning
from astropy.table import QTable

from mantis_astro._optional import require
from mantis_astro.atomic import atomic_file, check_folder
from mantis_astro.tables.arrow import to_arrow
from mantis_astro.tables.csv_text import find_csv_layout, with_numbers
from mantis_astro.tables.foreign import read_hdf5, read_parquet
from mantis_astro.tables.formats import (
    FLAT_FORMATS,
    fitted,
    is_text,
    multidimensional,
    restored,
    with_text,
)

__all__ = [
    "check_writable",
    "format_of",
    "head_beside",
    "layout_of",
    "open_text",
    "read_content",
    "read_head",
    "read_table",
    "write_content",
    "write_head",
    "write_table",
]

log = logging.getLogger(__name__)

_FORMATS = {
    ".ecsv": "ascii.ecsv",
    ".fits": "fits",
    ".fit": "fits",
    ".parquet": "parquet",
    ".hdf5": "hdf5",
    ".h5": "hdf5",
    ".asdf": "asdf",
    ".csv": "ascii.csv",
    ".vot": "votable",
    ".votable": "votable",
    ".xml": "votable",
}
_MISSING_WORDS = "", "null", "NULL"  # as Gaia's archive writes CSV
_NEEDS = {"parquet": ("pyarrow", "parquet"), "hdf5": ("h5py", "qp")}


def read_table(path):
    """
    Read a table of galaxies.

    Parameters
    ----------
    path : str or path-like
        A file whose name ends in ``.ecsv``, ``.fits``, ``.parquet``, ``.hdf5``,
        ``.h5``, ``.asdf``, ``.csv``, ``.vot`` or ``.xml`` (also ``.gz`` for ECSV, FITS
        and CSV); other names are read as text with a guessed layout. ``"-"`` reads ECSV
        or CSV from standard input. Lines of CSV that start with ``#`` are skipped
        before the names of the columns, such as the ``#Table1`` of SkyServer, unless
        the last has the names. CSV may be separated by semicolons, tabs or bars.

    Returns
    -------
    `~astropy.table.QTable`
        The table, with units. NaN in FITS and VOTable, null in Parquet and empty text
        in ECSV and CSV are masked, and NA, N/A, None, null and the like where all else
        in a column of CSV is numbers. A file that `write_table` wrote beside CSV or
        VOTable gives types, units and meta back.

    Raises
    ------
    OSError
        If there is no such file.
    ValueError
        If the file, or standard input, is not such a table.

    Examples
    --------
    >>> from astropy.table import QTable
    >>> from mantis_astro.tables.files import read_table, write_table
    >>> path = getfixture("tmp_path") / "galaxies.ecsv"
    >>> write_table(QTable({"ra": [1.0], "dec": [2.0]}), path)
    >>> read_table(path).colnames
    ['ra', 'dec']
    """
    if str(path) == "-":
        lines = sys.stdin.read().splitlines()
        if not lines:  # astropy's reader falls over it
            msg = "cannot read standard input as ascii: there is nothing in it"
            raise ValueError(msg)
        return read_content(lines, "ascii", "standard input")
    layout = layout_of(path)
    head = read_head(path) if layout in FLAT_FORMATS else None
    if head is None:
        return read_content(Path(path), layout, path)
    texts = [name for name in head.colnames if is_text(head[name])]
    table = read_content(Path(path), layout, path, texts=texts, has_head=True)
    return restored(table, head)


def layout_of(path):
    """
    Return the format of a file by its name.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    str
        Name of the format.

    Raises
    ------
    ImportError
        If it needs a package that is not installed.
    OSError
        If there is no such file.
    """
    path = Path(path)
    if not path.is_file():
        msg = f"no file {path}"
        raise FileNotFoundError(msg)
    return format_of(path)


def format_of(name):
    """
    Name the format that a file's name stands for.

    Parameters
    ----------
    name : path-like
        The name; nothing is looked for under it.

    Returns
    -------
    str
        Name of the format; text of a guessed layout for an ending that is not known.

    Raises
    ------
    ImportError
        If it needs a package that is not installed.
    """
    suffixes = name.suffixes[:-1] if name.suffix == ".gz" else name.suffixes
    layout = _FORMATS.get(suffixes[-1].lower() if suffixes else "", "ascii")
    if layout in _NEEDS:
        package, extra = _NEEDS[layout]
        require(package, extra=extra)
    return layout


def read_head(path):
    """
    Read the types, units and meta beside a flat file.

    Parameters
    ----------
    path : str or path-like
        The flat file.

    Returns
    -------
    `~astropy.table.QTable` or None
        A table without rows; None if there is no such file.
    """
    head = head_beside(Path(path))
    return read_content(head, "ascii.ecsv", head) if head.is_file() else None


def read_content(content, layout, name, *, texts=(), has_head=False):
    """
    Read a table of a known format.

    Parameters
    ----------
    content : path-like, list of str, HDU or file
        What astropy reads.
    layout : str
        Name of the format.
    name : str or path-like
        What to call it in messages.
    texts : sequence of str, optional
        Columns of CSV that are text, whatever they look like.
    has_head : bool, optional
        Whether we wrote it: other software has words for what is missing.

    Returns
    -------
    `~astropy.table.QTable`
        The table.

    Raises
    ------
    ValueError
        If it is not such a table.
    """
    options = {}
    if layout == "fits":
        options["astropy_native"] = True  # or times would be two numbers each
    elif layout in ("ascii.csv", "ascii") and isinstance(content, Path):
        options["encoding"] = "utf-8-sig"  # with or without a byte-order mark
    if layout == "ascii.csv" and not has_head:
        content, options["delimiter"] = _without_comments(content, name)
        options["fill_values"] = [(word, "0") for word in _MISSING_WORDS]
    if layout == "ascii.csv" and texts:  # 007 is a name
        as_text = [text_formats.convert_numpy(str)]
        options["converters"] = dict.fromkeys(texts, as_text)
    readers = {"parquet": read_parquet, "hdf5": read_hdf5, "asdf": _read_asdf}
    try:
        if layout in readers:
            table = readers[layout](content)
        else:
            table = QTable.read(content, format=layout, **options)
    except (KeyError, OSError, TypeError, ValueError, IndexError) as error:
        msg = f"cannot read {name} as {layout}: {error}"
        raise ValueError(msg) from error
    if layout in ("ascii.csv", "ascii") and not has_head:
        table = with_numbers(table, texts=texts)
    return with_text(table)


def _without_comments(content, name):
    """CSV from the names of the columns on, and the separator."""
    is_file = isinstance(content, Path)
    try:
        with open_text(content) if is_file else nullcontext(content) as lines:
            layout = find_csv_layout(lines)
        if not layout.n_comment and not layout.is_marked:
            return content, layout.separator
        with open_text(content) if is_file else nullcontext(content) as lines:
            filled = [line.rstrip("\r\n") for line in lines if line.strip()]
    except UnicodeDecodeError as error:
        msg = f"{name} is not text in UTF-8: {error}"
        raise ValueError(msg) from None
    filled = filled[layout.n_comment :]
    return [layout.names(filled[0]), *filled[1:]], layout.separator


def open_text(path):
    """
    Open a file of text, with or without compression and a byte-order mark.

    Parameters
    ----------
    path : `~pathlib.Path`
        The file; compressed if its name ends in ``.gz``.

    Returns
    -------
    file
        Its text, lines ending as they are.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    return opened(path, "rt", encoding="utf-8-sig", newline="")


def write_table(table, path, *, overwrite=False):
    """
    Write a table; the file appears whole or not at all.

    ECSV, FITS, Parquet, HDF5 and ASDF keep everything. CSV and VOTable hold neither
    columns of more than one dimension (``pz``) nor meta: the former are left out, the
    latter, with types and units, goes to an ECSV file without rows beside it,
    ``NAME.meta.ecsv``, and a message says so. FITS holds no nested meta: it becomes
    JSON text. Where an empty text and a missing one cannot be told apart when the file
    is read (all but Parquet, HDF5 and ASDF), a message says so, too.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table; not changed.
    path : str or path-like
        Where to; the ending chooses the format, see `read_table`. ``"-"`` writes ECSV
        to standard output.
    overwrite : bool, optional
        Whether an existing file may be replaced.

    Raises
    ------
    OSError
        If the file exists and ``overwrite`` is False, or the folder cannot be written.
    ValueError
        If the ending is not one that can be written, or the format cannot hold the
        table: text other than ASCII in FITS.
    """
    if str(path) == "-":
        table.write(sys.stdout, format="ascii.ecsv")
        return
    path = Path(path)
    layout = check_writable(path, overwrite=overwrite)
    write_head(table, path, layout)
    _write(fitted(table, layout), path, layout)


def write_head(table, path, layout):
    """
    Write types, units and meta beside a flat file; nothing for other formats.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table, or some of its rows.
    path : `~pathlib.Path`
        The flat file.
    layout : str
        Name of its format.
    """
    if layout not in FLAT_FORMATS:
        return
    header = head_beside(path)
    _write(table[:0], header, "ascii.ecsv")
    log.warning("%s has no place for the meta, which is in %s", path, header)
    if left_out := multidimensional(table):
        log.warning(
            "%s has no place for %s either: ECSV, FITS and Parquet keep everything",
            path,
            ", ".join(left_out),
        )


def check_writable(path, *, overwrite=False):
    """
    Check that a table could be written, before hours are spent on computing it.

    Parameters
    ----------
    path : str or path-like
        Where the table shall go.
    overwrite : bool, optional
        Whether an existing file may be replaced.

    Returns
    -------
    str
        Name of the format.

    Raises
    ------
    OSError
        If the file exists and ``overwrite`` is False, or the folder cannot be written.
    ValueError
        If the ending is not one that can be written.
    """
    path = Path(path)
    layout = _FORMATS.get(path.suffix.lower())
    if layout is None:
        msg = f"{path}: the ending must be one of {', '.join(_FORMATS)}"
        raise ValueError(msg)
    if layout in _NEEDS:
        package, extra = _NEEDS[layout]
        require(package, extra=extra)
    if path.exists() and not overwrite:
        msg = f"{path} exists; pass overwrite=True to replace it"
        raise FileExistsError(msg)
    check_folder(path)
    return layout


def _write(table, path, layout):
    options = {"overwrite": True}
    if layout == "ascii.ecsv" and len(table) == 0:
        # astropy writes such columns without rows and then cannot read them
        table = table.copy()
        table.remove_columns(multidimensional(table))
    elif layout == "hdf5":
        options |= {"path": "table", "serialize_meta": True}
    with atomic_file(path) as temporary:
        write_content(table, temporary, layout, options)


def write_content(table, place, layout, options=None):
    """
    Write a table that fits a format.

    Parameters
    ----------
    table : `~astropy.table.QTable`
        The table.
    place : path-like or file
        Where to.
    layout : str
        Name of the format.
    options : dict, optional
        Further arguments of astropy's writer.
    """
    with warnings.catch_warnings():
        # meta keys of more than eight characters become HIERARCH cards: wanted
        warnings.simplefilter("ignore", VerifyWarning)
        if layout == "asdf":
            _write_asdf(table, place)
            return
        if layout == "parquet":
            require("pyarrow.parquet", extra="parquet").write_table(
                to_arrow(table), place
            )
            return
        table.write(place, format=layout, **(options or {}))


def _read_asdf(path):
    from mantis_astro.tables.asdf_files import read_asdf  # slow to import

    return read_asdf(path)


def _write_asdf(table, path):
    from mantis_astro.tables.asdf_files import write_asdf

    write_asdf(table, path)


def head_beside(path):
    """
    Path of the types, units and meta of a flat file.

    Parameters
    ----------
    path : `~pathlib.Path`
        The flat file.

    Returns
    -------
    `~pathlib.Path`
        A file of ECSV beside it.
    """
    return path.with_name(f"{path.name}.meta.ecsv")
