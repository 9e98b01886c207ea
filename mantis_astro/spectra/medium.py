"""Wavelengths in air and in vacuum, and the medium that a spectrum states."""

import logging

import numpy as np

__all__ = ["check_medium", "to_vacuum"]

log = logging.getLogger(__name__)

_MEDIA = ("air", "vacuum")
_LOWEST = 2000.0  # Angstrom; below it, wavelengths are given in vacuum by all
_TRUE = {"t", "true", "1", "yes"}


def check_medium(medium):
    """
    Check the medium that the caller gave for wavelengths.

    Parameters
    ----------
    medium : str or None
        To be ``"air"``, ``"vacuum"``, or None.

    Raises
    ------
    ValueError
        If it is something else.
    """
    if medium not in (None, *_MEDIA):
        msg = f"'medium' must be one of {_MEDIA}, or None, got {medium!r}"
        raise ValueError(msg)


def to_vacuum(wavelength, spectrum, medium):
    """
    Convert wavelengths in air to vacuum.

    Parameters
    ----------
    wavelength : ndarray
        Angstrom, shape ``(n,)``.
    spectrum : `~specutils.Spectrum`
        Where they are from.
    medium : {"air", "vacuum"} or None
        What they are in. None: what the spectrum's header says (``CTYPE1`` of AWAV or
        WAVE, ``AIRORVAC``, ``VACUUM``), and vacuum if it says nothing.

    Returns
    -------
    ndarray
        Angstrom, in vacuum (Ciddor 1996, Appl. Opt. 35, 1566).

    Raises
    ------
    ValueError
        If ``medium`` is something else.
    """
    check_medium(medium)
    if medium is None:
        medium = _stated(spectrum)
        if medium == "air":
            log.info("the header says that wavelengths are in air: they are converted")
    if medium != "air":
        return wavelength
    return _from_air(wavelength)


def _from_air(wavelength):
    import astropy.units as u
    from specutils.utils.wcs_utils import air_to_vac

    out = wavelength.copy()
    long = wavelength >= _LOWEST
    if long.any():
        converted = air_to_vac(wavelength[long] * u.AA, method="Ciddor1996")
        out[long] = converted.to_value(u.AA)
    return out


def _stated(spectrum):
    """Medium that a spectrum names, or None."""
    for key, value in _statements(spectrum):
        text = str(value).strip().lower()
        if key.startswith("CTYPE") and text[:4] in ("awav", "wave"):
            return "air" if text.startswith("awav") else "vacuum"
        if key == "AIRORVAC" and text[:3] in ("air", "vac"):
            return "air" if text.startswith("air") else "vacuum"
        if key == "VACUUM":
            return "vacuum" if text in _TRUE else "air"
    return None


def _statements(spectrum):
    """Pairs of keyword and value, of the header and of the axis."""
    meta = getattr(spectrum, "meta", None) or {}
    for cards in (meta, meta.get("header")):
        if hasattr(cards, "items"):
            yield from ((str(key).upper(), value) for key, value in cards.items())
    wcs = getattr(getattr(spectrum, "wcs", None), "wcs", None)
    for value in np.atleast_1d(getattr(wcs, "ctype", [])):
        yield "CTYPE", value
