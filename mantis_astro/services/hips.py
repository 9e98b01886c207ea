"""HiPS: images of any survey in any WCS, from the CDS's hips2fits."""

import json
import warnings
from datetime import UTC, datetime
from functools import partial
from urllib.parse import urlencode

import astropy.units as u
import numpy as np
from astropy.nddata import CCDData
from astroquery.exceptions import InvalidQueryError

from mantis_astro.bands import get_bands, get_survey
from mantis_astro.services.base import CutoutServiceClass, parse_one_position
from mantis_astro.services.configuration import conf
from mantis_astro.services.inquiry import Inquiry, raise_failure
from mantis_astro.services.request import (
    HttpRequest,
    ImageRequest,
    longest_answer,
    north_up,
)
from mantis_astro.services.scheduler import Job
from mantis_astro.services.validation import BadAnswerError, check_status, open_fits

__all__ = ["HiPS", "HiPSClass"]


class HiPSClass(CutoutServiceClass):
    """
    Images from the all-sky maps (HiPS) of the CDS.

    They come on whatever pixel grid one asks for, and are good to look at and to
    compare. They have been resampled twice, without conserving flux, and not every map
    is in its survey's unit: the images carry the unit that the map's header states (or
    none) and **no zero point**, so that nothing takes them for photometry. No survey
    asks here by itself.

    Parameters
    ----------
    survey : Survey or str, optional
        The survey whose images a download asks for here; ``get_images`` takes bands of
        any.

    Examples
    --------
    >>> from astropy.coordinates import SkyCoord
    >>> from mantis_astro.services import HiPS
    >>> coord = SkyCoord(121.6, 1.04, unit="deg")
    >>> payload = HiPS.get_images(coord, bands=["galex.NUV"], get_query_payload=True)
    >>> payload[0]["hips"]
    'CDS/P/GALEXGR6_7/NUV'
    """

    #: hips2fits serves no more pixels than these on a side.
    MAX_PIXELS = 5000

    def __init__(self, survey="ps1"):
        super().__init__(survey)

    def get_images(
        self,
        coordinates=None,
        *,
        bands,
        size=None,
        wcs=None,
        get_query_payload=False,
        cache=True,
    ):
        """
        Get the images of one position, or on one pixel grid.

        Parameters
        ----------
        coordinates : str or `~astropy.coordinates.SkyCoord`, optional
            Position; images are north up, in each survey's own pixel scale.
        bands : sequence of Band or str
            Bands, of any survey that has a HiPS.
        size : `~astropy.units.Quantity`, optional
            Side of the images as an angle.
        wcs : `~astropy.wcs.WCS`, optional
            Pixel grid, with its ``array_shape``, instead of a position.
        get_query_payload : bool, optional
            Return what would be sent instead of sending it.
        cache : bool, optional
            Whether images fetched before may be returned, and these kept.

        Returns
        -------
        list of `~astropy.nddata.CCDData`
            One for each band, in their order.

        Raises
        ------
        InvalidQueryError
            If both or neither of a position and a grid are given, or a survey has no
            HiPS.
        TimeoutError
            If the server does not answer in time.
        RemoteServiceError
            If the server refuses or its answer has another shape.
        """
        if (coordinates is None) == (wcs is None):
            msg = "give either 'coordinates' or 'wcs'"
            raise InvalidQueryError(msg)
        if wcs is not None and wcs.array_shape is None:
            msg = "'wcs' must know its array_shape: set wcs.array_shape = (ny, nx)"
            raise InvalidQueryError(msg)
        bands = get_bands(bands)
        grids = [wcs or self._grid(coordinates, band, size) for band in bands]
        payloads = [
            self._args_to_payload(band, grid)
            for band, grid in zip(bands, grids, strict=True)
        ]
        if get_query_payload:
            return payloads
        images = [None] * len(bands)
        with Inquiry(cache=cache, timeout=self.TIMEOUT) as inquiry:
            for i, (band, payload) in enumerate(zip(bands, payloads, strict=True)):
                job = Job(
                    _to_http(payload),
                    partial(self._read, payload=payload, band=band),
                    partial(images.__setitem__, i),
                )
                inquiry.engine(self).submit(job)
        for image in images:
            raise_failure(image)
        return images

    def image_requests(self, ra, dec, bands, shape, pixel_scale=None):
        """
        Make the requests for the images of one position.

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
            One for each band.
        """
        scale = self.survey.pixel_scale if pixel_scale is None else pixel_scale
        grid = north_up(ra, dec, shape, scale.to_value(u.deg))
        arcsec = float(scale.to_value(u.arcsec))
        return [
            ImageRequest(
                _to_http(self._args_to_payload(band, grid)),
                (band,),
                ra,
                dec,
                tuple(shape),
                arcsec,
            )
            for band in bands
        ]

    def accept(self, answer, request):
        """
        Judge an answer, and read its image.

        Parameters
        ----------
        answer : Answer
            Status, headers and body.
        request : ImageRequest
            What was asked for.

        Returns
        -------
        dict of Band to `~astropy.nddata.CCDData`
            One image.

        Raises
        ------
        BadAnswerError
            If it is not what was asked for.
        """
        (band,) = request.bands
        scale = request.pixel_scale * u.arcsec
        grid = north_up(request.ra, request.dec, request.shape, scale.to_value(u.deg))
        payload = self._args_to_payload(band, grid)
        return {band: self._read(answer, payload=payload, band=band)}

    def _grid(self, coordinates, band, size):
        coord = parse_one_position(coordinates)
        survey = get_survey(band.survey)
        n = survey.shape[0]
        if size is not None:
            n = self.settle_shape(size, survey.pixel_scale)[0]
        step = survey.pixel_scale.to_value(u.deg)
        return north_up(coord.ra.deg, coord.dec.deg, (n, n), step)

    def _args_to_payload(self, band, wcs):
        survey = get_survey(band.survey)
        if survey.hips is None:
            msg = f"{survey.title} has no HiPS that is known here"
            raise InvalidQueryError(msg)
        return {"hips": survey.hips.format(band=band.name), "wcs": wcs}

    def _read(self, answer, *, payload, band):
        """Image of an answer, on the grid that was asked for."""
        if answer.status >= 400:
            raise _refusal(answer)
        data, header = open_fits(answer.content)
        wcs = payload["wcs"]
        if data.shape != wcs.array_shape:
            msg = f"{band}: asked for shape {wcs.array_shape}, got {data.shape}"
            raise BadAnswerError(msg)
        data = data.astype(np.float32)
        bad = ~np.isfinite(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", u.UnitsWarning)
            unit = u.Unit(header.get("BUNIT", ""), parse_strict="silent")
        http = _to_http(payload)
        return CCDData(
            data,
            unit=unit,
            wcs=wcs,
            mask=bad if bad.any() else None,
            meta={
                "band": str(band),
                "magsys": get_survey(band.survey).magsys,
                "url": http.url,
                "server": http.host,
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
            },
        )


def _to_http(payload):
    """Write the grid as hips2fits reads it: the cards of a header, in JSON."""
    wcs = payload["wcs"]
    ny, nx = wcs.array_shape
    cards = dict(wcs.to_header().items()) | {"NAXIS1": nx, "NAXIS2": ny}
    query = {"hips": payload["hips"], "wcs": json.dumps(cards), "format": "fits"}
    return HttpRequest(
        f"{conf.hips}?{urlencode(query)}", max_bytes=longest_answer((ny, nx))
    )


def _refusal(answer):
    """Describe an error of the server, which is JSON with a title and a description."""
    try:
        check_status(answer.status, b"")
    except BadAnswerError as error:
        refusal = error
    try:
        told = json.loads(answer.content)
        words = ": ".join(told[key] for key in ("title", "description") if key in told)
    except (ValueError, TypeError):
        return refusal
    return BadAnswerError(f"{refusal}: {words}", lasting=refusal.lasting)


HiPS = HiPSClass()
