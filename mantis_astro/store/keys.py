"""Names of objects in a store."""

import re

import numpy as np
from astropy.coordinates import angular_separation

__all__ = [
    "SAME_OBJECT",
    "check_keys",
    "column_keys",
    "describe_clash",
    "distance_in_steps",
    "find_cell",
    "is_same_object",
    "name_position",
    "neighbour_cells",
    "normalise_key",
    "position_key",
    "read_position",
    "separation",
]

#: A name stands for one object within this many arcsec.
SAME_OBJECT = 1.0

_PER_DEGREE = 360_000  # steps of 0.01 arcsec
_CIRCLE = 360 * _PER_DEGREE
_POSITION_KEY = re.compile(r"(\d{1,3}\.\d{7})([+-]\d{1,2}\.\d{7})")


def find_cell(ra, dec):
    """
    Round a position to steps of 0.01 arcsec.

    Parameters
    ----------
    ra, dec : float
        ICRS position, degrees.

    Returns
    -------
    tuple of int
        Right ascension (0 to 129599999) and declination in steps of 0.01 arcsec.

    Raises
    ------
    ValueError
        If the position is not finite.
    """
    if not (np.isfinite(ra) and np.isfinite(dec)):
        msg = f"'coord' must be finite, got ra={ra}, dec={dec}"
        raise ValueError(msg)
    return round(ra * _PER_DEGREE) % _CIRCLE, round(dec * _PER_DEGREE)


def neighbour_cells(ra, dec):
    """
    Return the steps that the same position may be rounded to elsewhere.

    Parameters
    ----------
    ra, dec : float
        ICRS position, degrees.

    Returns
    -------
    tuple of list of int
        Three right ascensions and three declinations, in steps of 0.01 arcsec.
    """
    ra, dec = find_cell(ra, dec)
    return [(ra + i) % _CIRCLE for i in (-1, 0, 1)], [dec + i for i in (-1, 0, 1)]


def position_key(coord):
    """
    Name an object by its position, rounded to 0.01 arcsec.

    Parameters
    ----------
    coord : `~astropy.coordinates.SkyCoord`
        Position, a scalar.

    Returns
    -------
    str
        ICRS right ascension and declination in degrees.

    Raises
    ------
    ValueError
        If the position is not finite.

    Examples
    --------
    >>> from astropy.coordinates import SkyCoord
    >>> from mantis_astro.store import position_key
    >>> position_key(SkyCoord(150.1, -2.2, unit="deg"))
    '150.1000000-2.2000000'
    """
    return name_position(coord.icrs.ra.deg, coord.icrs.dec.deg)


def name_position(ra, dec):
    """
    Make a name of a position, see `position_key`.

    Parameters
    ----------
    ra, dec : float
        ICRS position, degrees.

    Returns
    -------
    str
        The name.

    Raises
    ------
    ValueError
        If the position is not finite.
    """
    ra, dec = find_cell(ra, dec)
    return f"{ra / _PER_DEGREE:.7f}{dec / _PER_DEGREE:+.7f}"


def distance_in_steps(one, other):
    """
    Distance of two positions close to each other, of use for an order only.

    Parameters
    ----------
    one, other : tuple of float
        ICRS right ascension and declination in degrees.

    Returns
    -------
    float
        In degrees of either coordinate.
    """
    return float(np.hypot((one[0] - other[0] + 180) % 360 - 180, one[1] - other[1]))


def read_position(key):
    """
    Read the position that is an object's name.

    Parameters
    ----------
    key : str
        A key.

    Returns
    -------
    tuple of float or None
        ICRS right ascension and declination in degrees; None if somebody gave the
        object a name.

    Examples
    --------
    >>> from mantis_astro.store.keys import read_position
    >>> read_position("150.1000000-2.2000000"), read_position("NGC 1")
    ((150.1, -2.2), None)
    """
    found = _POSITION_KEY.fullmatch(key)
    return None if found is None else tuple(map(float, found.groups()))


def separation(one, other):
    """
    Angle between two positions.

    Parameters
    ----------
    one, other : tuple of float
        ICRS right ascension and declination in degrees.

    Returns
    -------
    float
        In arcsec.
    """
    return float(np.degrees(angular_separation(*np.radians([*one, *other])))) * 3600


def is_same_object(one, other):
    """
    Return whether two positions may be of one object.

    Parameters
    ----------
    one, other : tuple of float
        ICRS right ascension and declination in degrees.

    Returns
    -------
    bool
        True within 1 arcsec.
    """
    return separation(one, other) <= SAME_OBJECT


def describe_clash(key, known, position):
    """
    Describe a name that denotes another object.

    Parameters
    ----------
    key : str
        The name.
    known, position : tuple of float
        Where the object of that name is, and where another one is asked for: ICRS
        right ascension and declination in degrees.

    Returns
    -------
    str
        A sentence.
    """
    return (
        f"key {key!r} is the object at {known[0]:.6f} {known[1]:+.6f}, "
        f"{separation(known, position):.1f} arcsec from 'coord' {position[0]:.6f} "
        f"{position[1]:+.6f}; give each object a key of its own"
    )


def column_keys(column):
    """
    Take the names of objects from a column of a table.

    Parameters
    ----------
    column : `~astropy.table.Column`
        The column, shape (n,).

    Returns
    -------
    list of str
        The names.

    Raises
    ------
    ValueError
        If one is masked or empty.

    Examples
    --------
    >>> from astropy.table import MaskedColumn
    >>> from mantis_astro.store import column_keys
    >>> column_keys([17, 18])
    ['17', '18']
    >>> column_keys(MaskedColumn(["NGC 1", "NGC 2"], name="id", mask=[False, True]))
    Traceback (most recent call last):
    ...
    ValueError: row 1 has no name in column 'id': give each object a key of its own
    """
    mask = np.broadcast_to(getattr(column, "mask", False), len(column))
    keys = [
        "" if bad else (key.decode() if isinstance(key, bytes) else str(key)).strip()
        for key, bad in zip(column, mask, strict=True)
    ]
    if not all(keys):
        name = getattr(getattr(column, "info", None), "name", None)
        where = "" if name is None else f" in column '{name}'"
        row = keys.index("")
        msg = f"row {row} has no name{where}: give each object a key of its own"
        raise ValueError(msg)
    return keys


def check_keys(keys, coords):
    """
    Refuse names that cannot be kept apart.

    Parameters
    ----------
    keys : sequence of str or int
        Names of the objects, shape (n,).
    coords : `~astropy.coordinates.SkyCoord`
        Their positions, shape (n,).

    Returns
    -------
    list of str
        The names as a store keeps them.

    Raises
    ------
    TypeError
        If one is neither text nor an integer, as a masked one is.
    ValueError
        If there are not as many as positions, one is empty, or one stands for objects
        more than 1 arcsec apart.
    """
    if len(keys) != len(coords):
        msg = f"'keys' must name each of {len(coords)} objects, got {len(keys)}"
        raise ValueError(msg)
    names = list(map(normalise_key, keys))
    positions = list(zip(coords.icrs.ra.deg, coords.icrs.dec.deg, strict=True))
    first = {}
    for row, name in enumerate(names):
        other = first.setdefault(name, row)
        apart = separation(positions[other], positions[row]) if other != row else 0.0
        if apart > SAME_OBJECT:
            msg = (
                f"key {name!r} names rows {other} and {row}, which are {apart:.1f} "
                "arcsec apart: give each object a key of its own"
            )
            raise ValueError(msg)
    return names


def normalise_key(key):
    """
    Convert a user's identifier to the text that the store keeps.

    Parameters
    ----------
    key : str, bytes or int
        Identifier, e.g. an element of a table's id column.

    Returns
    -------
    str
        The same, as text without surrounding blanks.

    Raises
    ------
    TypeError
        If it is of another type, a masked element included.
    ValueError
        If it is empty.
    """
    if isinstance(key, bytes):
        key = key.decode()
    if not isinstance(key, str | int | np.integer) or isinstance(key, bool):
        msg = f"'key' must be text or an integer, got {key!r} ({type(key).__name__})"
        raise TypeError(msg)
    key = str(key).strip()
    if not key:
        msg = "'key' must not be empty"
        raise ValueError(msg)
    return key
