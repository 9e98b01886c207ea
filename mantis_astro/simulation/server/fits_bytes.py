"""FITS files as bytes, many times faster than through a Header: servers are busy."""

__all__ = ["fits_bytes"]

_BLOCK = 2880


def fits_bytes(array, cards=(), *, extensions=()):
    """
    Write a FITS file into memory.

    Parameters
    ----------
    array : `~numpy.ndarray`
        Image or cube of the primary HDU.
    cards : iterable of (str, object)
        Keywords and values besides the structural ones; keywords that are longer than
        eight characters, or have a dot, become HIERARCH cards.
    extensions : iterable of (str, `~numpy.ndarray`)
        Names and images of further HDUs, which get the same cards.

    Returns
    -------
    bytes
        The file.

    Examples
    --------
    >>> import io
    >>> import numpy as np
    >>> from astropy.io import fits
    >>> from mantis_astro.simulation.server.fits_bytes import fits_bytes
    >>> content = fits_bytes(np.ones((2, 3)), [("EXPTIME", 43.0)])
    >>> fits.getheader(io.BytesIO(content))["EXPTIME"]
    43.0
    """
    cards = list(cards)
    first = [("SIMPLE", True), *_structure(array), ("EXTEND", bool(extensions))]
    parts = [_header([*first, *cards]), _pixels(array)]
    for name, image in extensions:
        structure = [("XTENSION", "IMAGE"), *_structure(image)]
        structure += [("PCOUNT", 0), ("GCOUNT", 1), ("EXTNAME", name)]
        parts += [_header([*structure, *cards]), _pixels(image)]
    return b"".join(parts)


def _structure(array):
    bits = 8 * array.dtype.itemsize
    axes = enumerate(array.shape[::-1], 1)
    return [
        ("BITPIX", -bits if array.dtype.kind == "f" else bits),
        ("NAXIS", array.ndim),
        *((f"NAXIS{axis}", length) for axis, length in axes),
    ]


def _header(cards):
    text = "".join(_card(*card) for card in cards) + f"{'END':<80}"
    return text.encode("ascii").ljust(-(-len(text) // _BLOCK) * _BLOCK)


def _card(name, value):
    """One card of 80 characters, in the standard's fixed format."""
    if isinstance(value, bool):
        text = f"{'FT'[value]:>20}"
    elif isinstance(value, str):
        text = f"'{value:<8}'"
    else:
        text = f"{repr(value).upper():>20}"
    if len(name) > 8 or "." in name:
        return f"HIERARCH {name} = {text.strip()}"[:80].ljust(80)
    return f"{name:<8}= {text}"[:80].ljust(80)


def _pixels(array):
    pixels = array.astype(array.dtype.newbyteorder(">")).tobytes()
    return pixels + bytes(-len(pixels) % _BLOCK)
