"""`CutoutServiceClass`: what all cutout services share, in astroquery's manner."""

import hashlib
import time
import warnings

import astropy.units as u
import requests
from astroquery import cache_conf
from astroquery.exceptions import (
    InvalidQueryError,
    NoResultsWarning,
    RemoteServiceError,
    TimeoutError,
)
from astroquery.query import BaseQuery
from astroquery.utils import parse_coordinates

from mantis_astro.atomic import atomic_file
from mantis_astro.bands import get_bands, get_survey
from mantis_astro.politeness import user_agent
from mantis_astro.services.configuration import conf
from mantis_astro.services.validation import check_status, read_images

__all__ = ["CutoutServiceClass"]


class CutoutServiceClass(BaseQuery):
    """
    A server of cutouts: payload, request and parse, each a method of its own.

    Parameters
    ----------
    survey : Survey or str
        The survey that is asked for.
    """

    def __init__(self, survey):
        super().__init__()
        self.survey = get_survey(survey)
        self._timeout = None

    @property
    def TIMEOUT(self):  # noqa: N802  astroquery's name
        """Seconds to wait for an answer: ``conf.timeout``, unless set here."""
        return conf.timeout if self._timeout is None else self._timeout

    @TIMEOUT.setter
    def TIMEOUT(self, seconds):  # noqa: N802
        self._timeout = seconds

    def clear_cache(self):
        """Remove the images that were kept."""
        for path in self.cache_location.glob("*.answer"):
            path.unlink(missing_ok=True)

    def settle_bands(self, bands):
        """
        Normalise the bands of a call.

        Parameters
        ----------
        bands : sequence of Band or str, or None
            Bands, in full (``"ps1.g"``) or by their names within the survey (``"g"``,
            or ``"gri"`` where names are single letters); None for all.

        Returns
        -------
        tuple of Band
            In the order given.

        Raises
        ------
        InvalidQueryError
            If one is no band of this survey.
        """
        if bands is None:
            return self.survey.bands
        by_name = {band.name.lower(): band for band in self.survey.bands}
        if isinstance(bands, str) and bands.lower() in by_name:
            bands = [bands]
        settled = []
        for band in bands:
            name = str(band).lower().removeprefix(f"{self.survey}.")
            if name not in by_name:
                msg = (
                    f"'bands': {self.survey.title} has no band {str(band)!r}; there "
                    f"are {', '.join(band.name for band in self.survey.bands)}"
                )
                raise InvalidQueryError(msg)
            settled.append(by_name[name])
        return tuple(settled)

    def settle_shape(self, size, pixel_scale=None):
        """
        Turn a size on the sky into a shape in pixels.

        Parameters
        ----------
        size : `~astropy.units.Quantity` or None
            Side of the image; None for the survey's usual shape.
        pixel_scale : `~astropy.units.Quantity`, optional
            Side of a pixel; by default the survey's own.

        Returns
        -------
        tuple of int
            Shape ``(ny, nx)``.

        Raises
        ------
        InvalidQueryError
            If it is no angle, or the server would clip it without notice.
        """
        scale = self.survey.pixel_scale if pixel_scale is None else pixel_scale
        if size is None:
            return self.survey.shape
        try:
            n = round((u.Quantity(size) / scale).to_value(u.one))
        except u.UnitConversionError:
            msg = f"'size' must be an angle such as 40 * u.arcsec, got {size!r}"
            raise InvalidQueryError(msg) from None
        if not 1 <= n <= self.MAX_PIXELS:
            msg = (
                f"'size' must be 1 to {self.MAX_PIXELS} pixels of {scale:g}, "
                f"got {size} = {n} pixels"
            )
            raise InvalidQueryError(msg)
        return n, n

    def get_images(
        self,
        coordinates,
        *,
        bands=None,
        size=None,
        pixel_scale=None,
        get_query_payload=False,
        cache=True,
    ):
        """
        Get the images of one position.

        Parameters
        ----------
        coordinates : str or `~astropy.coordinates.SkyCoord`
            Position, or the name of an object, which is looked up.
        bands : sequence of Band or str, optional
            Bands; by default all of the survey.
        size : `~astropy.units.Quantity`, optional
            Side of the images as an angle; by default the shape that the published
            network reads.
        pixel_scale : `~astropy.units.Quantity`, optional
            Side of a pixel, where the server can choose it.
        get_query_payload : bool, optional
            Return what would be sent instead of sending it.
        cache : bool, optional
            Whether an image fetched before may be returned, and this one kept.

        Returns
        -------
        list of `~astropy.nddata.CCDData`
            One for each band that the survey has here, in the order of ``bands``;
            ``meta["band"]`` tells which.

        Raises
        ------
        InvalidQueryError
            If the call is wrong, or the server does not know what is asked for.
        TimeoutError
            If the server does not answer in time.
        RemoteServiceError
            If the server refuses, or its answer is not what was asked for.

        Warns
        -----
        NoResultsWarning
            If the survey has no image of a band here.
        """
        bands = self.settle_bands(bands)
        coord = parse_one_position(coordinates)
        if get_query_payload:
            return self._payload(coord, bands, size, pixel_scale)
        images = self.find_images(
            coord, bands, size=size, pixel_scale=pixel_scale, cache=cache
        )
        absent = [str(band) for band in bands if images.get(band) is None]
        if absent:
            where = coord.to_string("decimal")
            msg = f"{self.survey.title} has no {', '.join(absent)} image at {where}"
            warnings.warn(msg, NoResultsWarning, stacklevel=2)
        return [images[band] for band in bands if images.get(band) is not None]

    def fetch(self, http, parse, *, cache=True):
        """
        Send a request and parse its answer; keep the answer only if it parses.

        Parameters
        ----------
        http : HttpRequest
            What is sent.
        parse : callable
            Takes the body, returns what it means or raises.
        cache : bool, optional
            Whether an answer kept before will do, and this one is kept.

        Returns
        -------
        object
            What ``parse`` returns.
        """
        cache = cache and conf.cache and cache_conf.cache_active
        path = self.cache_location / f"{_digest(http)}.answer" if cache else None
        content = _read_kept(path)
        if content is not None:
            return parse(content)
        content = self._send(http)
        parsed = parse(content)
        if path is not None:
            with atomic_file(path) as temporary:  # a torn one would answer for ever
                temporary.write_bytes(content)
        return parsed

    def _send(self, http):
        """Return the body of an answer."""
        try:
            self._session.headers["User-Agent"] = user_agent(conf.contact)
            response = self._session.request(
                http.method,
                http.url,
                data=http.data,
                files=http.files,
                timeout=(conf.connect_timeout, self.TIMEOUT),
                stream=True,  # or else astroquery's hook decodes images as text
            )
            with response:
                content = response.content
        except requests.Timeout as error:
            msg = f"{http.host} did not answer within {self.TIMEOUT} s: {http.url}"
            raise TimeoutError(msg) from error
        except requests.RequestException as error:
            msg = f"{http.host} cannot be reached or broke off: {error}"
            raise RemoteServiceError(msg) from error
        check_status(response.status_code, content)
        return content

    def _parse_result(self, content, request):
        return read_images(content, request)


def parse_one_position(coordinates):
    """
    Parse the position of a call.

    Parameters
    ----------
    coordinates : str or `~astropy.coordinates.SkyCoord`
        One position.

    Returns
    -------
    `~astropy.coordinates.SkyCoord`
        ICRS scalar.

    Raises
    ------
    InvalidQueryError
        If there are several.
    """
    coord = parse_coordinates(coordinates).icrs
    if coord.size != 1:
        msg = (
            f"'coordinates' must be one position, got {coord.size}; "
            "use SurveyCutouts for many"
        )
        raise InvalidQueryError(msg)
    return coord.reshape(())


def bands_by_survey(bands):
    """
    Group bands by their survey.

    Parameters
    ----------
    bands : sequence of Band or str
        Bands.

    Returns
    -------
    dict of Survey to tuple of Band
        Each band once, in the order given.
    """
    groups = {}
    for band in get_bands(bands):
        groups.setdefault(get_survey(band.survey), []).append(band)
    return {survey: tuple(group) for survey, group in groups.items()}


def _digest(http):
    parts = (http.method, http.url, http.data, http.files)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:40]


def _read_kept(path):
    if path is None:
        return None
    try:
        age = time.time() - path.stat().st_mtime
        limit = cache_conf.cache_timeout
        if limit is not None and age > limit:
            return None
        return path.read_bytes()
    except OSError:
        return None
