"""`CutoutServiceClass`: the description of a server, in astroquery's manner."""

import warnings

import astropy.units as u
import numpy as np
from astropy.coordinates.name_resolve import NameResolveError
from astroquery.exceptions import InvalidQueryError, NoResultsWarning
from astroquery.query import BaseQuery
from astroquery.utils import parse_coordinates

from mantis_astro.bands import get_bands, get_survey
from mantis_astro.services.configuration import conf
from mantis_astro.services.fetchers import Fetcher
from mantis_astro.services.inquiry import fetch_position
from mantis_astro.services.validation import check_status, read_images

__all__ = ["CutoutServiceClass"]


class CutoutServiceClass(BaseQuery):
    """
    Requests to the server of a survey, and the interpretation of answers.

    `SurveyCutouts` drives the description for tables, `get_images` for one position;
    both repeat what fails, keep to deadlines and stop at answers that are too long.

    Parameters
    ----------
    survey : Survey or str
        The survey that is asked for.
    """

    #: Largest side of an image in pixels.
    MAX_PIXELS = 5000
    #: Sends the requests in the right order; the default sends all at once.
    fetcher = Fetcher

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
        """Remove the answers that were kept."""
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
        Convert a size on the sky to a shape in pixels.

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

    def find_images(self, coord, bands, *, size=None, pixel_scale=None, cache=True):
        """
        Fetch the images of one position; empty without a warning if none.

        Parameters
        ----------
        coord : `~astropy.coordinates.SkyCoord`
            Position, a scalar.
        bands : tuple of Band
            Bands of this survey.
        size, pixel_scale, cache
            As for `get_images`.

        Returns
        -------
        dict of Band to `~astropy.nddata.CCDData` or None
            None where the survey has no image.
        """
        return fetch_position(
            coord,
            [((self,), bands)],
            size=size,
            pixel_scale=pixel_scale,
            cache=cache,
        )

    def image_requests(self, ra, dec, bands, shape, pixel_scale=None):
        """
        Return the requests for the images of one position.

        A subclass whose server is asked in one step writes this, and no more.

        Parameters
        ----------
        ra, dec : float
            ICRS degrees.
        bands : tuple of Band
            Bands of this survey.
        shape : tuple of int
            Shape ``(n, n)`` in pixels.
        pixel_scale : `~astropy.units.Quantity`, optional
            Side of a pixel; by default the survey's own.

        Returns
        -------
        list of ImageRequest
            What to send, and what the answers must show; each brings some bands.
        """
        raise NotImplementedError

    def accept(self, answer, request):
        """
        Judge an answer, and read its images.

        Parameters
        ----------
        answer : Answer
            Status, headers and body.
        request : ImageRequest
            What was asked for.

        Returns
        -------
        dict of Band to `~astropy.nddata.CCDData` or None
            An image for each band of the request; None where the survey has no data.

        Raises
        ------
        BadAnswerError
            If it is not what was asked for.
        """
        check_status(answer.status, answer.content)
        return read_images(answer.content, request)

    def _payload(self, coord, bands, size, pixel_scale):
        """Return what would be sent for one position: by default the addresses."""
        shape = self.settle_shape(size, pixel_scale)
        ra, dec = coord.ra.deg, coord.dec.deg
        requests = self.image_requests(ra, dec, bands, shape, pixel_scale)
        return [request.http.url for request in requests]


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
        If there are several, or nobody knows the name.
    """
    try:
        coord = parse_coordinates(coordinates).icrs
    except (NameResolveError, TypeError, u.UnitsError) as error:
        msg = f"'coordinates' must be a position or a name, got {coordinates!r}"
        raise InvalidQueryError(msg) from error
    if not (np.isfinite(coord.ra.deg) & np.isfinite(coord.dec.deg)).all():
        msg = "'coordinates' must be finite"
        raise InvalidQueryError(msg)
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
