"""Names of objects in a store."""

import numpy as np

__all__ = ["find_cell", "normalise_key", "position_key"]

_PER_DEGREE = 360_000  # steps of 0.01 arcsec
_CIRCLE = 360 * _PER_DEGREE


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
    ra, dec = find_cell(coord.icrs.ra.deg, coord.icrs.dec.deg)
    return f"{ra / _PER_DEGREE:.7f}{dec / _PER_DEGREE:+.7f}"


def normalise_key(key):
    """
    Turn a user's identifier into the text that the store keeps.

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
