"""Limits of each format of files, and conversion of tables to fit them."""

import json
import logging
from itertools import chain, count

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import MaskedColumn, QTable
from astropy.time import Time

__all__ = [
    "FLAT_FORMATS",
    "check_ascii",
    "fitted",
    "is_text",
    "multidimensional",
    "restored",
    "with_text",
]

log = logging.getLogger(__name__)

#: Formats that hold neither two-dimensional columns nor meta.
FLAT_FORMATS = ("ascii.csv", "votable")


def fitted(table, layout, *, tell=True):
    """
    Convert a table to what a format supports, and list what is lost.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table; not changed.
    layout : str
        Name of the format.
    tell : bool, optional
        Whether the log says what is lost of texts.

    Returns
    -------
    `~astropy.table.QTable`
        What `astropy.table.Table.write` can write, so that masks, integers, booleans
        and times come back.

    Raises
    ------
    ValueError
        If the format cannot hold the table.
    """
    fit = QTable(table, copy=False)
    if tell and layout in ("ascii.ecsv", "fits", *FLAT_FORMATS):
        _tell_of_empty_text(fit, layout)
    if layout == "fits":
        return _for_fits(fit)
    if tell and layout == "votable":
        _tell_of_masked_text(fit)
    return _flattened(fit) if layout in FLAT_FORMATS else fit


def check_ascii(table):
    """
    Raise an error for column names and texts that are not ASCII.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.

    Raises
    ------
    ValueError
        If there is such a name or text; the message quotes it.
    """
    for name in table.colnames:
        if not name.isascii():
            msg = f"FITS holds ASCII alone: the name of column '{name}' is not"
            raise ValueError(msg)
        if _kind(table[name]) != "U" or not len(table):
            continue
        text = np.ma.filled(np.ma.asarray(table[name]), "").ravel()
        letters = np.ascontiguousarray(text).view(np.uint32).reshape(len(text), -1)
        rows = np.flatnonzero((letters > 127).any(axis=1))
        if len(rows):
            msg = (
                f"FITS holds ASCII alone: column '{name}' has {str(text[rows[0]])!r} "
                f"({len(rows)} such rows); write ECSV, Parquet or HDF5, or other words"
            )
            raise ValueError(msg)


def multidimensional(table):
    """
    List columns of more than one dimension.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.

    Returns
    -------
    list of str
        Their names.
    """
    return [name for name in table.colnames if len(table[name].shape) > 1]


def is_text(column):
    """
    Return whether a column is text in a flat file.

    Parameters
    ----------
    column : `~astropy.table.Column` or mixin
        The column.

    Returns
    -------
    bool
        True of times, too.
    """
    return isinstance(column, Time) or _kind(column) in set("US")


def with_text(table):
    """
    Replace columns of bytes by text.

    Parameters
    ----------
    table : `~astropy.table.QTable`
        As FITS or HDF5 was read; changed.

    Returns
    -------
    `~astropy.table.QTable`
        The table.
    """
    names = [name for name in table.colnames if _kind(table[name]) == "S"]
    if names:  # astropy's own would fall over times beside them
        part = table[names]
        part.convert_bytestring_to_unicode()
        for name in names:
            table.replace_column(name, part[name])
    return table


def _kind(column):
    return getattr(getattr(column, "dtype", None), "kind", "")


def _text(column):
    """Return the text that is there, without what is masked."""
    return np.ma.asarray(column).compressed()


def _tell_of_empty_text(table, layout):
    empty = [
        name
        for name in table.colnames
        if _kind(table[name]) in set("US") and (_text(table[name]) == "").any()
    ]
    if empty and layout != "votable":
        log.warning(
            "%s cannot tell an empty text from a missing one: those of %s will be "
            "read as masked; HDF5 and Parquet keep both",
            layout.removeprefix("ascii.").upper(),
            ", ".join(empty),
        )


def _tell_of_masked_text(table):
    masked = [
        name
        for name in table.colnames
        if _kind(table[name]) in set("US") and np.ma.getmaskarray(table[name]).any()
    ]
    if masked:
        log.warning(
            "VOTable cannot tell a missing text from an empty one: those of %s will be "
            "read as empty; HDF5 and Parquet keep both",
            ", ".join(masked),
        )


def _for_fits(table):
    check_ascii(table)
    table.meta = {
        key: json.dumps(value) if isinstance(value, dict) else value
        for key, value in table.meta.items()
    }
    for name in table.colnames:
        column = table[name]
        if not isinstance(column, MaskedColumn) or not column.mask.any():
            continue
        if _kind(column) == "b":  # astropy writes no nulls of these
            _replace(table, name).info.serialize_method["fits"] = "data_mask"
        elif _kind(column) in set("iu") and (_text(column) == column.fill_value).any():
            _replace(table, name).fill_value = _absent(column)
    return table


def _replace(table, name):
    """Put a copy in the place of a column, to be changed."""
    table.replace_column(name, table[name].copy())
    return table[name]


def _absent(column):
    """Find an unused integer to mark missing values."""
    there, limits = set(_text(column).tolist()), np.iinfo(column.dtype)
    for candidate in chain([limits.max], count(limits.min)):
        if candidate not in there:
            break
    if candidate > limits.max:
        msg = f"column '{column.name}' has every number of its type: none means NULL"
        raise ValueError(msg)
    return candidate


def _flattened(table):
    """Leave out columns, and write coordinates and times as numbers and text."""
    table.meta = {}
    table.remove_columns(multidimensional(table))
    for name in table.colnames:
        column = table[name]
        if column.info.format:  # astropy would write numbers as they are printed
            _replace(table, name).info.format = None
        if isinstance(column, SkyCoord):
            coords, i = column.icrs, table.colnames.index(name)
            table.remove_column(name)
            names = [
                n if n not in table.colnames else f"{name}_{n}" for n in ("ra", "dec")
            ]
            table.add_columns(
                [coords.ra.to("deg"), coords.dec.to("deg")], [i, i], names=names
            )
        elif isinstance(column, Time):
            table.replace_column(name, _as_text(column))
    return table


def _as_text(times):
    mask = np.broadcast_to(times.mask, times.shape)
    text = np.asarray(getattr(times.isot, "unmasked", times.isot), dtype=str)
    return MaskedColumn(text, mask=mask, description=times.info.description)


def restored(table, head):
    """
    Restore types, units and meta of a flat table from a table without rows.

    Parameters
    ----------
    table : `~astropy.table.QTable`
        As it was read from a file that keeps no units; changed.
    head : `~astropy.table.QTable`
        As it was, without rows.

    Returns
    -------
    `~astropy.table.QTable`
        The table, with types, units, descriptions and meta.
    """
    for name in table.colnames:
        if name not in head.colnames:
            continue
        like, column = head[name], table[name]
        if isinstance(like, Time):
            text = np.ma.filled(np.ma.asarray(column), "")
            missing = text == ""
            times = Time(np.where(missing, "2000-01-01", text), scale=like.scale)
            if missing.any():
                times[missing] = np.ma.masked
            table[name] = times
        elif _kind(like) == "b" and _kind(column) == "U":
            mask = getattr(column, "mask", None)
            values = np.ma.getdata(column) == "True"
            table[name] = values if mask is None else MaskedColumn(values, mask=mask)
        elif getattr(like, "unit", None) is not None and column.unit is None:
            column.unit = like.unit
            table[name] = column
        for fact in ("description", "format", "meta"):
            value = getattr(like.info, fact, None)
            if value:
                setattr(table[name].info, fact, value)
    table.meta.update(head.meta)
    return table
