"""Columns of a table by their names in any case, and their numbers."""

import re
from dataclasses import dataclass

import numpy as np

from mantis_astro.exceptions import InputSpecError
from mantis_astro.tables.csv_text import NO_NUMBER
from mantis_astro.units import without_unit

__all__ = [
    "Cell",
    "find_cell",
    "find_name",
    "get_cell",
    "looks_like_redshifts",
    "numbers",
]

_NOTHING = NO_NUMBER | {"nan", "inf", "-inf"}


@dataclass(frozen=True)
class Cell:
    """
    A column, or one place in a column that has several numbers for each object.

    Attributes
    ----------
    name : str
        Name of the column.
    index : int or None
        The place.
    """

    name: str
    index: int | None = None

    def __str__(self):
        return self.name if self.index is None else f"{self.name}[{self.index}]"

    def of(self, table):
        """
        Read the cell from a table.

        Parameters
        ----------
        table : `~astropy.table.Table`
            The table.

        Returns
        -------
        column
            Shape (n,).
        """
        column = table[self.name]
        return column if self.index is None else column[:, self.index]


def find_name(table, names):
    """
    Find the first of some columns that a table has.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.
    names : iterable of str
        Their names, in any case; what is written alike comes first.

    Returns
    -------
    str or None
        As the table writes it.
    """
    there = {name.lower(): name for name in reversed(table.colnames)}
    for name in names:
        if name in table.colnames:
            return name
        if name.lower() in there:
            return there[name.lower()]
    return None


def get_cell(table, name):
    """
    Return the column, or the place in one, that a user names.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.
    name : str
        Name of a column, in any case; with a place in brackets, ``"FLUX_APER[1]"``, if
        it has several numbers for each object.

    Returns
    -------
    Cell
        As the table writes it.

    Raises
    ------
    KeyError
        If there is no such column.
    ValueError
        `~mantis_astro.exceptions.InputSpecError` if it is not one number for each
        object.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from mantis_astro.catalogs.columns import get_cell
    >>> str(get_cell(Table({"FLUX_APER": [[1.0, 2.0]]}), "flux_aper[1]"))
    'FLUX_APER[1]'
    """
    found, place = find_name(table, [name]), None
    if found is None and (match := re.fullmatch(r"(.+)\[(\d+)\]", name)):
        found, place = find_name(table, [match[1]]), int(match[2])
    if found is None:
        msg = f"no column '{name}'; there are {', '.join(table.colnames)}"
        raise KeyError(msg)
    shape = getattr(table[found], "shape", (0,))[1:]
    if place is None and not shape:
        return Cell(found)
    if place is None or len(shape) != 1 or place >= shape[0]:
        msg = f"column '{found}' has numbers of shape {shape} for each object"
        if len(shape) == 1:
            msg += f": name one of them, '{found}[0]' to '{found}[{shape[0] - 1}]'"
        raise InputSpecError(msg)
    return Cell(found, place)


def find_cell(table, pattern, letter, index):
    """
    Find the column that a name pattern denotes in one band.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.
    pattern : str
        Names with ``{band}``, or of columns that have all bands; several separated by
        ``|``.
    letter : str
        The band, as the columns have it.
    index : int
        Place of the band among those of the catalogue.

    Returns
    -------
    Cell or None
        The first that is there.
    """
    for part in filter(None, pattern.split("|")):
        name = find_name(table, [part.replace("{band}", letter)])
        if name is None:
            continue
        shape = getattr(table[name], "shape", ())
        if "{band}" in part and len(shape) == 1:
            return Cell(name)
        if "{band}" not in part and len(shape) == 2 and shape[1] > index:
            return Cell(name, index)
    return None


def numbers(column, name):
    """
    Convert a column to plain numbers, in its own unit.

    Parameters
    ----------
    column : column or `~astropy.units.Quantity`
        Of numbers, or of text that holds numbers.
    name : str
        What to call it in messages.

    Returns
    -------
    `~numpy.ndarray`
        Floats; NaN where masked, or where a text says that there is nothing.

    Raises
    ------
    ValueError
        If a text is no number.
    """
    kind = getattr(getattr(column, "dtype", None), "kind", "")
    if kind not in "OSU":
        return without_unit(column, getattr(column, "unit", None))
    mask = np.ma.getmaskarray(np.ma.asarray(column))
    texts = [
        item.decode() if isinstance(item, bytes) else str(item)
        for item in np.ma.getdata(np.ma.asarray(column)).tolist()
    ]
    try:
        values = [
            np.nan if hidden or text.strip().lower() in _NOTHING else float(text)
            for text, hidden in zip(texts, mask, strict=True)
        ]
    except ValueError as error:
        msg = f"column '{name}' must be numbers: {error}"
        raise ValueError(msg) from None
    return np.array(values)


def looks_like_redshifts(column, name):
    """
    Return whether numbers are redshifts rather than magnitudes.

    Parameters
    ----------
    column : column
        The values.
    name : str
        Name of the column.

    Returns
    -------
    bool
        True if most of what was measured is between 0 and 8.
    """
    try:
        values = numbers(column, name)
    except ValueError:
        return False
    values = values[values > -1]
    return bool(values.size) and -0.01 < np.median(values) < 8
