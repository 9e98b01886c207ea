"""Objects of a store: one for each name, found by name and by position."""

import logging
from typing import NamedTuple

from mantis_astro.flags import Flag
from mantis_astro.store.blobs import distance_from_centre
from mantis_astro.store.keys import (
    describe_clash,
    distance_in_steps,
    find_cell,
    is_same_object,
    name_position,
    neighbour_cells,
    read_position,
    separation,
)

__all__ = ["Object", "find_at", "find_by_key", "put_back", "settle_object"]

log = logging.getLogger(__name__)

_COLUMNS = "SELECT id, key, ra, dec FROM objects"


class Object(NamedTuple):
    """
    A row of the table of objects.

    Attributes
    ----------
    number : int
        Its row.
    key : str
        Its name.
    ra, dec : float
        ICRS position, degrees.
    """

    number: int
    key: str
    ra: float
    dec: float

    @property
    def position(self):
        """Right ascension and declination, a tuple."""
        return self.ra, self.dec

    @property
    def is_nameless(self):
        """Whether it goes by its position, a bool."""
        return read_position(self.key) is not None


def find_by_key(execute, key):
    """
    Find the object of a name.

    Parameters
    ----------
    execute : callable
        Of `Manifest.transaction`, or `Manifest.fetch`.
    key : str
        Its name, as the store keeps it.

    Returns
    -------
    Object or None
        None if there is none.
    """
    rows = list(execute(f"{_COLUMNS} WHERE key = ?", [key]))
    return Object(*rows[0]) if rows else None


def find_at(execute, position):
    """
    Find the objects at a position.

    Parameters
    ----------
    execute : callable
        Of `Manifest.transaction`, or `Manifest.fetch`.
    position : tuple of float
        ICRS right ascension and declination, degrees.

    Returns
    -------
    list of Object
        Those that agree to 0.01 arcsec in steps of that: the nearest first, of equally
        near ones the first added. Empty if the position is not finite.
    """
    try:
        ras, decs = neighbour_cells(*position)
    except ValueError:  # a position that is not finite is nowhere
        return []
    query = (
        f"{_COLUMNS} WHERE cell_dec IN (?, ?, ?) AND cell_ra IN (?, ?, ?) ORDER BY id"
    )
    found = [Object(*row) for row in execute(query, [*decs, *ras])]
    return sorted(found, key=lambda each: distance_in_steps(each.position, position))


def settle_object(execute, segments, key, position, *, renewed=(), create=True):
    """
    Find the object of a name and position; name, move or make it if need be.

    Parameters
    ----------
    execute : callable
        Of `Manifest.transaction`.
    segments : Segments
        Files of pixels.
    key : str or None
        Its name; None takes what is at the position, whatever its name.
    position : tuple of float
        ICRS right ascension and declination, degrees.
    renewed : collection of Band, optional
        Bands of which new images are about to come.
    create : bool, optional
        Whether to make an object where nothing is.

    Returns
    -------
    Object or None
        As it is now. What was added at the position without a name has got the name.
        An object that had the name at another position has moved, and images that were
        centred on it and no longer are have been forgotten. None if there is nothing.

    Raises
    ------
    ValueError
        If the name is that of an object more than 1 arcsec away.
    """
    here = find_at(execute, position)
    if key is None:
        if here or not create:
            return here[0] if here else None
        return _insert(execute, name_position(*position), position)
    found = find_by_key(execute, key)
    nameless = [each for each in here if each.is_nameless]
    if found is None and nameless:
        found = nameless.pop(0)._replace(key=key)
        execute("UPDATE objects SET key = ? WHERE id = ?", [key, found.number])
    if found is None:
        return _insert(execute, key, position) if here or create else None
    if not is_same_object(found.position, position):
        raise ValueError(describe_clash(key, found.position, position))
    if found.position != position:
        _move(execute, segments, found, position, renewed)
    for twin in nameless:
        if twin.number != found.number:
            _absorb(execute, found.number, twin.number)
    return Object(found.number, key, *position)


def put_back(execute, segments, records):
    """
    Enter records that the manifest lost, in the order of writing.

    Parameters
    ----------
    execute : callable
        Of `Manifest.transaction`.
    segments : Segments
        Files of pixels.
    records : iterable of LostRecord
        The records.
    """
    for record in records:
        position = record.ra, record.dec
        key = None if read_position(record.key) else record.key
        earlier = None if key is None else find_by_key(execute, key)
        if earlier is not None and not is_same_object(earlier.position, position):
            _delete(execute, earlier.number)  # removed, and given to another since
        number = settle_object(execute, segments, key, position).number
        execute(
            "INSERT OR REPLACE INTO cutouts VALUES (?, ?, 'ok', '', ?, ?, ?, ?)",
            [number, record.band, *record[:4]],
        )


def _insert(execute, key, position):
    number = execute(
        "INSERT INTO objects (key, ra, dec, cell_ra, cell_dec) VALUES (?, ?, ?, ?, ?)",
        [key, *position, *find_cell(*position)],
    ).lastrowid
    return Object(number, key, *position)


def _delete(execute, number):
    execute("DELETE FROM cutouts WHERE object = ?", [number])
    execute("DELETE FROM objects WHERE id = ?", [number])


def _absorb(execute, number, twin):
    """Give an object the images of another one at its position."""
    execute("UPDATE OR REPLACE cutouts SET object = ? WHERE object = ?", [number, twin])
    _delete(execute, twin)


def _move(execute, segments, found, position, renewed):
    """Move an object, and forget images that were centred on it and no longer are."""
    execute(
        "UPDATE objects SET ra = ?, dec = ?, cell_ra = ?, cell_dec = ? WHERE id = ?",
        [*position, *find_cell(*position), found.number],
    )
    rows = execute(
        "SELECT band, segment, start, length FROM cutouts "
        "WHERE object = ? AND state = 'ok'",
        [found.number],
    ).fetchall()
    renewed = {str(band) for band in renewed}
    limit = Flag.OFF_CENTRE.threshold
    for band, segment, start, length in rows:
        if band in renewed:
            continue
        (record,) = segments.read(segment, [(start, length)])
        before, after = (
            distance_from_centre(record, where) for where in (found.position, position)
        )
        if before <= limit < after:
            execute(
                "DELETE FROM cutouts WHERE object = ? AND band = ?",
                [found.number, band],
            )
            log.info(
                "%r has moved by %.2f arcsec: its %s, %.1f pixels off, is forgotten",
                found.key,
                separation(found.position, position),
                band,
                after,
            )
