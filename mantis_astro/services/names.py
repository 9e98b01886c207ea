"""Positions of objects by name, which Sesame finds in SIMBAD, NED and VizieR."""

from __future__ import annotations

import re
import urllib.parse
import urllib.request
from http.client import HTTPException

from astropy.coordinates import SkyCoord
from astropy.coordinates.name_resolve import sesame_url
from astropy.table import Table
from astropy.utils import data

from mantis_astro.exceptions import FetchError
from mantis_astro.tables.coordinates import find_coordinates

__all__ = ["find_object"]

# What is written with these alone is a position, not a name.
_POSITION = re.compile(r"[\d\s.,:+\-hmsd°'\"′″]+")
_NUMBER = r"([+-]?\d+(?:\.\d*)?)"
_GALACTIC = (
    re.compile(rf"gal(?:actic)?[\s:]+{_NUMBER}[\s,]+{_NUMBER}", re.IGNORECASE),
    re.compile(rf"l\s*=\s*{_NUMBER}[\s,]+b\s*=\s*{_NUMBER}", re.IGNORECASE),
    re.compile(r"G(\d+\.\d*)([+-]\d+\.\d*)"),
)
_OF_ANSWER = re.compile(r"%J\s*([0-9.]+)\s*([+-]?[0-9.]+)")
_LONGEST_ANSWER = 100_000  # bytes


def find_object(target: str | SkyCoord) -> SkyCoord:
    """
    Find the position of one object.

    Parameters
    ----------
    target : str or `~astropy.coordinates.SkyCoord`
        A name, such as ``"M 101"``, which Sesame of CDS is asked for, as
        `astropy.coordinates.SkyCoord.from_name` does; a position as text, right
        ascension and declination in degrees or sexagesimal, such as ``"210.802
        +54.349"``, or galactic, such as ``"galactic 102.04 59.77"``, ``"l=102.04
        b=59.77"`` or ``"G102.04+59.77"``; or a position in any frame.

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
    text = text.strip().replace("−", "-")
    for pattern in _GALACTIC:
        if match := pattern.fullmatch(text):
            return _find_galactic(text, *match.groups())
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


def _find_galactic(text, lon, lat):
    coords, good = find_coordinates(Table({"l": [float(lon)], "b": [float(lat)]}))
    if not good[0]:
        msg = f"{text!r} is no position: latitudes are from -90 to 90 degrees"
        raise ValueError(msg)
    return coords[0]


def _ask_sesame(name):
    """Ask in memory: astropy would leave the answer in a temporary file."""
    if not name:
        msg = "the name of the object is empty"
        raise ValueError(msg)
    reasons = []
    for server in sesame_url.get():
        url = f"{server.rstrip('/')}/SNV?{urllib.parse.quote(name)}"
        try:
            with urllib.request.urlopen(  # noqa: S310  astropy's own addresses
                url, timeout=data.conf.remote_timeout
            ) as reply:
                answer = reply.read(_LONGEST_ANSWER).decode("utf-8", "replace")
        except (OSError, HTTPException) as error:
            reasons.append(str(getattr(error, "reason", error)))
            continue
        if match := _OF_ANSWER.search(answer):
            return SkyCoord(*map(float, match.groups()), unit="deg")
        msg = f"neither SIMBAD, NED nor VizieR has an object called {name!r}"
        raise ValueError(msg)
    msg = (
        f"Sesame, which knows the positions of names, cannot be asked for {name!r} "
        f"({'; '.join(dict.fromkeys(reasons))}): give the position instead, such as "
        "'210.802 +54.349'"
    )
    raise FetchError(msg)
