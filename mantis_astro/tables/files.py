"""Reading and writing tables of galaxies in the formats astronomers exchange."""

import json
import logging
import sys
import warnings
from pathlib import Path

from astropy.coordinates import SkyCoord
from astropy.io.fits.verify import VerifyWarning
from astropy.table import QTable

from mantis_astro._optional import require
from mantis_astro.atomic import atomic_file, check_folder

__all__ = ["check_writable", "read_table", "write_table"]

log = logging.getLogger(__name__)

_FORMATS = {
    ".ecsv": "ascii.ecsv",
    ".fits": "fits",
    ".fit": "fits",
    ".parquet": "parquet",
    ".csv": "ascii.csv",
    ".vot": "votable",
    ".votable": "votable",
    ".xml": "votable",
}
# Formats that hold neither two-dimensional columns nor meta.
_FLAT_FORMATS = ("ascii.csv", "votable")


def read_table(path):
    """
    Read a table of galaxies.

    Parameters
    ----------
    path : str or path-like
        A file whose name ends in ``.ecsv``, ``.fits``, ``.parquet``, ``.csv``,
        ``.vot`` or ``.xml`` (also ``.gz`` for ECSV, FITS and CSV); other names are read
        as text with a guessed layout. ``"-"`` reads ECSV or CSV from standard input.

    Returns
    -------
    `~astropy.table.QTable`
        The table, with units.

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
        return _read(lines, "ascii", "standard input")
    path = Path(path)
    if not path.is_file():
        msg = f"no file {path}"
        raise FileNotFoundError(msg)
    suffixes = path.suffixes[:-1] if path.suffix == ".gz" else path.suffixes
    layout = _FORMATS.get(suffixes[-1].lower() if suffixes else "", "ascii")
    if layout == "parquet":
        require("pyarrow", extra="parquet")
    return _read(path, layout, path)


def _read(content, layout, name):
    try:
        return QTable.read(content, format=layout)
    except (KeyError, OSError, TypeError, ValueError, IndexError) as error:
        msg = f"cannot read {name} as {layout}: {error}"
        raise ValueError(msg) from error


def write_table(table, path, *, overwrite=False):
    """
    Write a table; the file appears whole or not at all.

    ECSV, FITS and Parquet keep everything. CSV and VOTable hold neither columns of
    more than one dimension (``pz``) nor meta: the former are left out, the latter goes
    to an ECSV file without rows beside it, ``NAME.meta.ecsv``, and a message says so.
    FITS holds no nested meta: it becomes JSON text.

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
        If the ending is not one that can be written.
    """
    if str(path) == "-":
        table.write(sys.stdout, format="ascii.ecsv")
        return
    path = Path(path)
    layout = check_writable(path, overwrite=overwrite)
    if layout in _FLAT_FORMATS:
        header = path.with_name(f"{path.name}.meta.ecsv")
        _write(table[:0], header, "ascii.ecsv")
        dropped = _multidimensional(table)
        log.warning(
            "%s leaves out %s and the meta, which are in %s; ECSV, FITS and Parquet "
            "keep everything",
            path,
            ", ".join(dropped) or "no column",
            header,
        )
        table = _flatten(table, dropped)
    elif layout == "fits":
        table = table.copy(copy_data=False)
        table.meta = {
            key: json.dumps(value) if isinstance(value, dict) else value
            for key, value in table.meta.items()
        }
    _write(table, path, layout)


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
    if layout == "parquet":
        require("pyarrow", extra="parquet")
    if path.exists() and not overwrite:
        msg = f"{path} exists; overwriting must be asked for"
        raise FileExistsError(msg)
    check_folder(path)
    return layout


def _multidimensional(table):
    return [name for name in table.colnames if len(table[name].shape) > 1]


def _write(table, path, layout):
    if layout == "ascii.ecsv" and len(table) == 0:
        # astropy writes such columns without rows and then cannot read them
        table = table.copy()
        table.remove_columns(_multidimensional(table))
    with atomic_file(path) as temporary, warnings.catch_warnings():
        # meta keys of more than eight characters become HIERARCH cards: wanted
        warnings.simplefilter("ignore", VerifyWarning)
        table.write(temporary, format=layout, overwrite=True)


def _flatten(table, dropped):
    """Leave out columns, and write sky coordinates as two columns of degrees."""
    flat = QTable(table, copy=False)
    flat.meta = {}
    flat.remove_columns(dropped)
    for name in flat.colnames:
        if flat[name].info.format:  # astropy would write numbers as they are printed
            flat.replace_column(name, flat[name].copy())
            flat[name].info.format = None
    for name in flat.colnames:
        if isinstance(flat[name], SkyCoord):
            coords, i = flat[name].icrs, flat.colnames.index(name)
            flat.remove_column(name)
            names = [
                n if n not in flat.colnames else f"{name}_{n}" for n in ("ra", "dec")
            ]
            flat.add_columns(
                [coords.ra.to("deg"), coords.dec.to("deg")], [i, i], names=names
            )
    return flat
