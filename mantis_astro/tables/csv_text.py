"""CSV as people write it: comments, separators, words for what is missing."""

import csv
import re
from typing import NamedTuple

import numpy as np
from astropy.table import MaskedColumn

__all__ = ["NO_NUMBER", "CsvLayout", "find_csv_layout", "with_numbers"]

#: Words, in lower case, that files have where there is no number.
NO_NUMBER = frozenset({"", "null", "none", "n/a", "na", "-", "--", "..."})

_SEPARATORS = ",;\t|"
_INTEGER = re.compile(r"[+-]?\d+")
_EXACT = 2**53  # the largest integers that are floats
_LARGEST = np.iinfo(np.int64).max


class CsvLayout(NamedTuple):
    """
    Where the names of the columns are, and what is between them.

    Attributes
    ----------
    n_comment : int
        Lines before the names that start with ``#``; blank lines do not count.
    separator : str
        Comma, semicolon, tab or bar.
    is_marked : bool
        Whether the line of names starts with ``#``, too.
    """

    n_comment: int
    separator: str
    is_marked: bool

    def names(self, line):
        """
        Return the line of names as others write it.

        Parameters
        ----------
        line : str
            The line.

        Returns
        -------
        str
            Without ``#``.
        """
        return line.lstrip("# ") if self.is_marked else line


def find_csv_layout(lines):
    """
    Find the names of the columns in CSV, and the separator.

    Parameters
    ----------
    lines : iterable of str
        The lines of the file; read up to the first that does not start with ``#``.

    Returns
    -------
    CsvLayout
        Comments are skipped; the last one has the names if it has as many as the line
        below, which has numbers.

    Examples
    --------
    >>> from mantis_astro.tables.csv_text import find_csv_layout
    >>> find_csv_layout(["#Table1", "objid,ra", "1,10.5"])
    CsvLayout(n_comment=1, separator=',', is_marked=False)
    >>> find_csv_layout(["# mine", "# objid; ra", "1;10.5"])
    CsvLayout(n_comment=1, separator=';', is_marked=True)
    """
    comments, names = [], ""
    for line in lines:
        if line.startswith("#"):
            comments.append(line)
        elif line.strip():
            names = line
            break
    separator = next((mark for mark in _SEPARATORS if mark in names), ",")
    is_marked = bool(comments) and _has_names(comments[-1], names, separator)
    return CsvLayout(len(comments) - is_marked, separator, is_marked)


def _has_names(comment, line, separator):
    names, values = (
        next(csv.reader([text], delimiter=separator), [])
        for text in (comment.lstrip("# "), line)
    )
    return (
        1 < len(names) == len(values)
        and not any(map(_is_number, names))
        and any(map(_is_number, values))
    )


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def with_numbers(table, *, texts=()):
    """
    Convert columns of text that hold nothing but numbers and words for none.

    Parameters
    ----------
    table : `~astropy.table.QTable`
        As a file of text was read; changed.
    texts : sequence of str, optional
        Columns that are text, whatever they look like.

    Returns
    -------
    `~astropy.table.QTable`
        The table; `NO_NUMBER` is masked in columns of numbers.

    Examples
    --------
    >>> from astropy.table import QTable
    >>> from mantis_astro.tables.csv_text import with_numbers
    >>> table = with_numbers(QTable({"g": ["20.5", "NA"], "name": ["NA", "b"]}))
    >>> table["g"].tolist(), table["name"].tolist()
    ([20.5, None], ['NA', 'b'])
    """
    for name in table.colnames:
        column = table[name]
        is_text = getattr(getattr(column, "dtype", None), "kind", "") == "U"
        if name in texts or not is_text or column.ndim != 1:
            continue
        mask = np.ma.getmaskarray(np.ma.asarray(column)).tolist()
        values = _numbers(np.ma.getdata(np.ma.asarray(column)).tolist(), mask)
        if values is not None:
            table.replace_column(name, MaskedColumn(values, name=name))
    return table


def _numbers(texts, mask):
    """Make a masked array of numbers; None if a text is none, or no number is exact."""
    absent, largest, are_integers = list(mask), 0, True
    for i, (text, is_masked) in enumerate(zip(texts, mask, strict=True)):
        if is_masked:
            continue
        bare = text.strip()
        if bare.lower() in NO_NUMBER:
            absent[i] = True
        elif _INTEGER.fullmatch(bare):
            largest = max(largest, abs(int(bare)))
        elif _is_number(bare):
            are_integers = False
        else:
            return None
    are_integers &= not all(absent)
    if absent == mask or largest > (_LARGEST if are_integers else _EXACT):
        return None
    kind = int if are_integers else float
    values = [kind(0 if gone else t) for t, gone in zip(texts, absent, strict=True)]
    return np.ma.array(values, mask=absent)
