"""Positions of objects by name, which Sesame finds in SIMBAD, NED and VizieR."""

from __future__ import annotations

import re
from http.client import HTTPException

from astropy.coordinates import SkyCoord
from astropy.coordinates.name_resolve import NameResolveError
from astropy.table import Table

from mantis_astro.exceptions import FetchError
from mantis_astro.tables.coordinates import find_coordinates

__all__ = ["find_object"]

# What is written with these alone is a position, not a name.
_POSITION = re.compile(r"[\d\s.,:+\-hmsd°'\"′″]+")


def find_object(target: str | SkyCoord) -> SkyCoord:
    """
    Find the position of one object.

    Parameters
    ----------
    target : str or `~astropy.coordinates.SkyCoord`
        A name, such as ``"M 101"``, which Sesame of CDS is asked for, through
        `astropy.coordinates.SkyCoord.from_name`; a position as text, right ascension
        and declination in degrees or sexagesimal, such as ``"210.802 +54.349"``; or a
        position in any frame.

    Returns
    -------
    `~astropy.coordinates.SkyCoord`
        ICRS, a scalar.

    Raises
    ------
    OSError
        `~mantis_astro.exceptions.FetchError` if Sesame cannot be reached.
    TypeError
        If ``target`` is neither a text nor a position.
    ValueError
        If there is no object of that name, or it is not one position on the sphere.

    Examples
    --------
    >>> from mantis_astro.services import find_object
    >>> find_object("14h03m12.6s +54d20m57s").to_string(precision=2)
    '210.80 54.35'
    >>> find_object("M 101")  # doctest: +REMOTE_DATA
    <SkyCoord (ICRS): (ra, dec) in deg
        (210.802..., 54.348...)>
    """
    if isinstance(target, str):
        return _find_text(target)
    if not isinstance(target, SkyCoord):
        msg = f"'target' must be a name or a SkyCoord, got {type(target).__name__}"
        raise TypeError(msg)
    if not target.isscalar:
        msg = (
            f"'target' must be one position, got shape {target.shape}: put several "
            "into a table, and use add_redshifts"
        )
        raise ValueError(msg)
    coords, good = find_coordinates(Table({"coord": target.reshape(1)}))
    if not good[0]:
        msg = f"'target' must be a position on the sphere, got {target}"
        raise ValueError(msg)
    return coords[0]


def _find_text(text):
    if not _POSITION.fullmatch(text):
        return _ask_sesame(text)
    parts = text.split(",") if "," in text else text.split()
    half = len(parts) // 2
    ra, dec = " ".join(parts[:half]), " ".join(parts[half:])
    if ra and len(parts) % 2 == 0:
        coords, good = find_coordinates(Table({"ra": [ra], "dec": [dec]}))
        if good[0]:
            return coords[0]
    msg = (
        f"{text!r} is no position: write right ascension and declination, such as "
        "'210.802 +54.349' or '14:03:12.6 +54:20:57'"
    )
    raise ValueError(msg)


def _ask_sesame(name):
    if not name.strip():
        msg = "the name of the object is empty"
        raise ValueError(msg)
    try:
        return SkyCoord.from_name(name).icrs
    except NameResolveError as error:
        if str(error).startswith("Unable to find"):  # it has answered
            msg = f"neither SIMBAD, NED nor VizieR has an object called {name!r}"
            raise ValueError(msg) from error
        reason = " ".join(str(error).split())
    except (OSError, HTTPException) as error:
        reason = error
    msg = (
        f"the position of {name!r} could not be asked of Sesame ({reason}); without a "
        "network give the position instead, such as SkyCoord(210.802, 54.349, "
        "unit='deg')"
    )
    raise FetchError(msg)
