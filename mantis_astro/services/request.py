"""Requests, and the properties required of answers, as plain values."""

import math
from dataclasses import dataclass
from urllib.parse import urlencode

from astropy.wcs import WCS

__all__ = [
    "HttpRequest",
    "ImageRequest",
    "build_url",
    "degrees_text",
    "longest_answer",
    "north_up",
]

_FEW = 3  # answers stop at a few times the expected size
_HEADERS = 100_000  # bytes; those of real images have 10,000


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """
    One HTTP request.

    Attributes
    ----------
    url : str
        Whole address.
    method : str
        ``"GET"`` or ``"POST"``.
    data : dict or None
        Fields of a form.
    files : dict or None
        Files of a form, ``{field: (name, bytes)}``. Bytes, not open files: a request
        that is sent again must send them again.
    max_bytes : int or None
        Length beyond which a body cannot be an answer to this; None for no limit.
    headers : dict of str to str, or None
        Headers besides those that all requests have.
    """

    url: str
    method: str = "GET"
    data: dict | None = None
    files: dict | None = None
    max_bytes: int | None = None
    headers: dict | None = None

    @property
    def host(self):
        """Name and port of the server."""
        return self.url.partition("//")[2].partition("/")[0]


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """
    A request for the images of one survey at one position.

    Attributes
    ----------
    http : HttpRequest
        What is sent.
    bands : tuple of Band
        Bands that one answer brings.
    ra, dec : float
        Position, ICRS degrees.
    shape : tuple of int
        Shape ``(ny, nx)`` of the images.
    pixel_scale : float
        Side of a pixel in arcsec.
    """

    http: HttpRequest
    bands: tuple
    ra: float
    dec: float
    shape: tuple
    pixel_scale: float


def build_url(server, **parameters):
    """
    Make an address from a server and parameters.

    Parameters
    ----------
    server : str
        Address without parameters.
    **parameters
        Name and value of each; all are sent.

    Returns
    -------
    str
        Whole address. Slashes stay readable, as PS1's file names have many.

    Examples
    --------
    >>> from mantis_astro.services.request import build_url
    >>> build_url("http://x/cut", ra=1.5, red="/a/b.fits")
    'http://x/cut?ra=1.5&red=/a/b.fits'
    """
    return f"{server}?{urlencode(parameters, safe='/')}"


def degrees_text(value):
    """
    Write an angle for a server.

    Parameters
    ----------
    value : float
        Angle in degrees.

    Returns
    -------
    str
        With seven decimals, 0.4 mas: the same position always gives the same address.

    Examples
    --------
    >>> from mantis_astro.services.request import degrees_text
    >>> degrees_text(-0.1)
    '-0.1000000'
    """
    return f"{value:.7f}"


def longest_answer(shape, n_planes=1):
    """
    Upper limit of the size of a requested image.

    Parameters
    ----------
    shape : tuple of int
        Shape ``(ny, nx)`` in pixels.
    n_planes : int, optional
        Images in one answer.

    Returns
    -------
    int
        Bytes: a few times those of the pixels, in double precision, and headers.

    Examples
    --------
    >>> from mantis_astro.services.request import longest_answer
    >>> longest_answer((32, 32), 2)
    149152
    """
    return _HEADERS + _FEW * 8 * n_planes * math.prod(shape)


def north_up(ra, dec, shape, pixel_scale):
    """
    Create the grid of an image with north up around a position.

    Parameters
    ----------
    ra, dec : float
        ICRS degrees.
    shape : tuple of int
        Shape ``(ny, nx)`` in pixels.
    pixel_scale : float
        Side of a pixel in degrees.

    Returns
    -------
    `~astropy.wcs.WCS`
        A tangent plane, with its ``array_shape``.
    """
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [ra, dec]
    wcs.wcs.crpix = [(shape[1] + 1) / 2, (shape[0] + 1) / 2]
    wcs.wcs.cdelt = [-pixel_scale, pixel_scale]
    wcs.array_shape = tuple(shape)
    return wcs
