"""
Redshift bins as a short text, which tables can keep.

A list of edges does not survive in a table: `astropy.table.vstack` appends one list to
the other, and FITS makes a header card of each edge. Two equal texts stay one.
"""

import re
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise

import numpy as np

__all__ = [
    "EDGES_KEY",
    "EDGES_MARK",
    "check_one_grid",
    "edges_from_text",
    "edges_to_text",
    "find_edges_text",
]

EDGES_KEY = "PZEDGES"  # of a table's meta; eight characters, for FITS
EDGES_MARK = "edges "  # before them in the description and the meta of a column
_NUMBER = r"\d[\d.]*(?:e[+-]?\d+)?"
_RUN = re.compile(rf"({_NUMBER})(?: to ({_NUMBER}) by ({_NUMBER}))?")
_EVEN = re.compile(rf"({_NUMBER}) to ({_NUMBER}) in (\d+) steps")


def edges_to_text(bin_edges):
    """
    Write redshift bins as a text.

    Parameters
    ----------
    bin_edges : ndarray
        Shape ``(n_bins + 1,)``.

    Returns
    -------
    str
        As short as it can be without a loss: runs of steps that are equal in decimal
        numbers, an even division, or else all edges.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.pdf_io.edges import edges_to_text
    >>> edges_to_text(np.array([0, 0.1, 0.3, 0.5, 0.7, 1]))
    '0, 0.1 to 0.7 by 0.2, 1'
    >>> edges_to_text(np.linspace(0, 1, 4))
    '0 to 1 in 3 steps'
    """
    return _text_of(np.asarray(bin_edges, float).tobytes())


@lru_cache(maxsize=16)  # a run uses the same bins again and again
def _text_of(content):
    bin_edges = np.frombuffer(content)
    n = len(bin_edges) - 1
    first, last = bin_edges[[0, -1]]
    text = ", ".join(_runs([Decimal(repr(float(edge))) for edge in bin_edges]))
    if np.array_equal(bin_edges, np.linspace(first, last, n + 1)):
        even = f"{_short(first)} to {_short(last)} in {n} steps"
        return min(text, even, key=len)
    return text


def edges_from_text(text):
    """
    Read the output of `edges_to_text`.

    Parameters
    ----------
    text : str
        The text.

    Returns
    -------
    ndarray
        Shape ``(n_bins + 1,)``, the same to the last bit.

    Raises
    ------
    ValueError
        If it is another text.

    Examples
    --------
    >>> from mantis_astro.pdf_io.edges import edges_from_text
    >>> edges_from_text("0, 0.1 to 0.7 by 0.2, 1")
    array([0. , 0.1, 0.3, 0.5, 0.7, 1. ])
    """
    text = " ".join(text.split())  # VOTables break lines
    even = _EVEN.fullmatch(text)
    if even:
        first, last, n = even.groups()
        return np.linspace(float(first), float(last), int(n) + 1)
    edges = []
    for part in text.split(", "):
        run = _RUN.fullmatch(part)
        if run is None:
            msg = f"these are no redshift bins: {text!r}"
            raise ValueError(msg)
        if run[2] is None:
            edges.append(float(run[1]))
            continue
        first, last, step = map(Decimal, run.groups())
        edges += [
            float(first + i * step) for i in range(int((last - first) / step) + 1)
        ]
    return np.array(edges)


def find_edges_text(description):
    """
    Find redshift bins in the description of a column of probabilities.

    Parameters
    ----------
    description : str or None
        The description.

    Returns
    -------
    str or None
        The text that `edges_to_text` wrote, if there is one.

    Examples
    --------
    >>> from mantis_astro.pdf_io.edges import find_edges_text
    >>> find_edges_text("Probability of each redshift bin; edges 0 to 1.6 by 0.004")
    '0 to 1.6 by 0.004'
    """
    _, mark, text = (description or "").rpartition(EDGES_MARK)
    return text if mark else None


def check_one_grid(name, meta):
    """
    Refuse a column of probabilities that was stacked from two grids.

    Parameters
    ----------
    name : str
        Of the column.
    meta : mapping
        Of the column. `astropy.table.vstack` keeps all keys: those of two grids are
        two.

    Raises
    ------
    ValueError
        If there is more than one grid.

    Examples
    --------
    >>> from mantis_astro.pdf_io.edges import check_one_grid
    >>> check_one_grid("pz", {"edges 0 to 1.6 by 0.004": True})
    """
    grids = [key.removeprefix(EDGES_MARK) for key in meta if _is_grid(key)]
    if len(grids) > 1:
        msg = (
            f"column '{name}' was stacked from densities on different bins "
            f"({'; '.join(grids)}): bring them to one grid before, with "
            "RedshiftPDF.rebin"
        )
        raise ValueError(msg)


def _is_grid(key):
    return isinstance(key, str) and key.startswith(EDGES_MARK)


def _runs(edges):
    """Find runs of equal steps, as texts; what is no run stands alone."""
    runs, i = [], 0
    steps = [after - before for before, after in pairwise(edges)]
    while i < len(edges):
        j = i
        while j < len(steps) and steps[j] == steps[i]:
            j += 1
        if j - i < 2:
            runs.append(_short(edges[i]))
            i += 1
        else:
            first, last, step = map(_short, (edges[i], edges[j], steps[i]))
            runs.append(f"{first} to {last} by {step}")
            i = j + 1
    return runs


def _short(number):
    """Return the shortest text that reads as the same number."""
    return repr(float(number)).removesuffix(".0")
