"""The list of Pan-STARRS1's stack images: a table in plain text, and its traps."""

from typing import NamedTuple

import numpy as np

from mantis_astro.services.validation import BadAnswerError

__all__ = ["StackFile", "read_stack_list"]

_COLUMNS = ("projcell", "subcell", "ra", "dec", "filter", "type", "filename")
_SAME_POSITION = 1.0 / 3600  # degrees: the list echoes positions, perhaps rounded


class StackFile(NamedTuple):
    """
    A stack image on the server; sorts as the server's file cache likes it.

    Attributes
    ----------
    projcell, subcell : int
        Projection cell and skycell.
    filename : str
        Path on the server.
    """

    projcell: int
    subcell: int
    filename: str


def read_stack_list(content, ra, dec, bands, *, kind):
    """
    Read the list of images.

    Parameters
    ----------
    content : bytes
        Whitespace-separated table; rows may come in any order, and twice.
    ra, dec : array_like of float
        The positions asked for, all different, shape (n,), ICRS degrees.
    bands : tuple of Band
        The bands asked for.
    kind : str
        Rows of another ``type`` are passed over.

    Returns
    -------
    list of dict of Band to list of StackFile
        For each position the files of each band, sorted; a band without image is
        absent.

    Raises
    ------
    BadAnswerError
        If it is no such table, is cut short, or is about other positions.
    """
    by_name = {band.name: band for band in bands}
    find = _PositionFinder(ra, dec)
    files = [{} for _ in find.ra]
    for row in _rows(content):
        band = by_name.get(row["filter"])
        if band is None or row["type"] != kind:
            continue
        file = StackFile(int(row["projcell"]), int(row["subcell"]), row["filename"])
        for i in find(row["ra"], row["dec"]):
            files[i].setdefault(band, set()).add(file)
    return [
        {band: sorted(found) for band, found in of_position.items()}
        for of_position in files
    ]


class _PositionFinder:
    """Indices of the positions that a row of the list is about."""

    def __init__(self, ra, dec):
        self.ra, self.dec = np.asarray(ra, float), np.asarray(dec, float)
        self._cos = np.cos(np.radians(self.dec))
        self._known = {}

    def __call__(self, ra, dec):
        if (ra, dec) not in self._known:
            self._known[ra, dec] = self._near(float(ra), float(dec))
        return self._known[ra, dec]

    def _near(self, ra, dec):
        """Find them all: a rounded position may be that of several close ones."""
        east = ((self.ra - ra + 180) % 360 - 180) * self._cos
        distance = np.hypot(east, self.dec - dec)
        near = np.flatnonzero(distance <= _SAME_POSITION)
        if not near.size:
            msg = f"the list of images is about {ra} {dec}, which was not asked for"
            raise BadAnswerError(msg)
        return near.tolist()


def _rows(content):
    """Yield the rows of the list as dicts."""
    text = content.decode("ascii", "replace")
    lines = text.splitlines()
    names = lines[0].split() if lines else []
    missing = [name for name in _COLUMNS if name not in names]
    if missing:
        msg = (
            f"the answer is no list of images (no {', '.join(missing)}): {text[:60]!r}"
        )
        raise BadAnswerError(msg)
    for line in lines[1:]:
        fields = line.split()
        if len(fields) != len(names) or not text.endswith("\n"):
            msg = f"the list of images is cut short or broken at {line[:60]!r}"
            raise BadAnswerError(msg)
        yield dict(zip(names, fields, strict=True))
