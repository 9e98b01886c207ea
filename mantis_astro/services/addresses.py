"""`Addresses`: the addresses of very many images, from a few that a service makes."""

from mantis_astro.services.request import degrees_text
from mantis_astro.services.stack_list import StackFile

__all__ = ["Addresses"]

# Two positions and files that no text of an address would hold by chance; with more
# digits than are sent, so that an address with all of them is told apart.
_PROBES = (
    (123.45678913, -12.34567892, StackFile(7001, 71, "/probe/7001/071.fits")),
    (234.56789124, 23.45678913, StackFile(8002, 82, "/probe/8002/082.fits")),
)


class Addresses:
    """
    Compact list of addresses that differ only in position and file.

    A service makes the address of two probes. If the second follows from the first by
    putting in its position and file as text, all others are made so, a hundred times
    faster; if not, the service makes each.

    Parameters
    ----------
    make_url : callable
        ``make_url(ra, dec, band, file, source)``: the address of an image, position in
        degrees.

    Examples
    --------
    >>> from mantis_astro.services.addresses import Addresses
    >>> from mantis_astro.services.request import degrees_text
    >>> def make_url(ra, dec, band, file, source):
    ...     return f"http://{source}/{band}?at={degrees_text(ra)},{degrees_text(dec)}"
    >>> Addresses(make_url)(1.5, -2.0, "g", None, 0)
    'http://0/g?at=1.5000000,-2.0000000'
    """

    def __init__(self, make_url):
        self._make_url = make_url
        self._patterns = {}

    def __call__(self, ra, dec, band, file, source):
        """Return the address of one image; arguments are those of ``make_url``."""
        key = band, source, file is None
        if key not in self._patterns:
            self._patterns[key] = self._find_pattern(*key)
        pattern = self._patterns[key]
        if pattern is None:
            return self._make_url(ra, dec, band, file, source)
        return _filled(pattern, ra, dec, file)

    def _find_pattern(self, band, source, without_file):
        """Pieces of the address of a probe, or None if others do not follow from it."""
        probes = [
            (ra, dec, None if without_file else file) for ra, dec, file in _PROBES
        ]
        first, second = (
            self._make_url(ra, dec, band, file, source) for ra, dec, file in probes
        )
        pattern = first
        for blank, text in zip(_BLANKS, _texts(*probes[0]), strict=False):
            pattern = pattern.replace(text, blank)
        return pattern if _filled(pattern, *probes[1]) == second else None


_BLANKS = ("\x00ra\x00", "\x00dec\x00", "\x00file\x00")


def _texts(ra, dec, file):
    texts = degrees_text(ra), degrees_text(dec)
    return texts if file is None else (*texts, file.filename)


def _filled(pattern, ra, dec, file):
    for blank, text in zip(_BLANKS, _texts(ra, dec, file), strict=False):
        pattern = pattern.replace(blank, text)
    return pattern
