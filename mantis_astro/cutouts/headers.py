"""Cards of FITS headers in the wild: a value that cannot be read is missing."""

import logging
import math
import re

import astropy.units as u
from astropy.io.fits import VerifyError
from astropy.io.fits.card import Undefined

__all__ = ["read_number", "read_text"]

log = logging.getLogger(__name__)

_UNIT_IN_COMMENT = re.compile(r"\s*\[([^\]]+)\]")  # "[min] exposure", FITS 4.0, 4.3


def read_text(header, keyword):
    """
    Read a card as text.

    Parameters
    ----------
    header : `~astropy.io.fits.Header`
        The header.
    keyword : str
        Name of the card.

    Returns
    -------
    str
        Without surrounding blanks; empty if the card is absent, blank or broken.
    """
    value = _value(header, keyword)
    return "" if value is None else str(value).strip()


def read_number(header, keyword, unit=u.one, *, positive=False, name="the image"):
    """
    Read a card as a number.

    Parameters
    ----------
    header : `~astropy.io.fits.Header`
        The header.
    keyword : str
        Name of the card.
    unit : `~astropy.units.UnitBase`, optional
        Unit of the result, and of a number whose card names none; a unit counts that
        stands after the number or, in brackets, first in the comment.
    positive : bool, optional
        Whether only a number above zero means something.
    name : str, optional
        What to call the image in the message about a value that is no such number
        (``"N/A"``, a NaN).

    Returns
    -------
    float or None
        None if the card is absent, or its value is no such number.

    Examples
    --------
    >>> import astropy.units as u
    >>> from astropy.io import fits
    >>> from mantis_astro.cutouts.headers import read_number
    >>> header = fits.Header()
    >>> header["EXPTIME"] = ("10.5", "[min] exposure")
    >>> read_number(header, "EXPTIME", u.s)
    630.0
    """
    value = _value(header, keyword)
    if value is None:
        return None
    number = _number(value, header.comments[keyword], unit)
    if math.isfinite(number) and (number > 0 or not positive):
        return number
    log.warning("%s: %s = %r cannot be read: treated as missing", name, keyword, value)
    return None


def _value(header, keyword):
    try:
        value = header.get(keyword)
    except VerifyError:  # a card that breaks the standard
        return None
    return None if isinstance(value, Undefined) else value


def _number(value, comment, unit):
    """Return a number in the unit; NaN for anything else."""
    if isinstance(value, bool):
        return math.nan
    try:
        number = float(value)
    except (TypeError, ValueError):
        return _in_unit(value, unit)
    in_comment = _UNIT_IN_COMMENT.match(comment)
    if in_comment is None:
        return number
    converted = _in_unit(f"{number} {in_comment[1]}", unit)
    return number if math.isnan(converted) else converted


def _in_unit(value, unit):
    try:
        return float(u.Quantity(value).to_value(unit))
    except (TypeError, ValueError):  # UnitsError is a ValueError
        return math.nan
