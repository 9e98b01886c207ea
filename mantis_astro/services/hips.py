"""HiPS: images of any survey in any WCS, through `astroquery.hips2fits`."""

import warnings
from datetime import UTC, datetime
from urllib.parse import urlsplit

import astropy.units as u
import numpy as np
from astropy.nddata import CCDData
from astropy.wcs import WCS
from astroquery.exceptions import InvalidQueryError, RemoteServiceError

from mantis_astro._optional import require
from mantis_astro.bands import get_bands, get_survey
from mantis_astro.services.base import parse_one_position
from mantis_astro.services.configuration import conf

__all__ = ["HiPS", "HiPSClass"]


class HiPSClass:
    """
    Images from the all-sky maps (HiPS) of the CDS.

    They come on whatever pixel grid one asks for, and are good to look at and to
    compare. They have been resampled twice, without conserving flux, and not every map
    is in its survey's unit: the images carry the unit that the map's header states (or
    none) and **no zero point**, so that nothing takes them for photometry.

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

    def get_images(
        self,
        coordinates=None,
        *,
        bands,
        size=None,
        wcs=None,
        get_query_payload=False,
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

        Returns
        -------
        list of `~astropy.nddata.CCDData`
            One for each band, in their order.

        Raises
        ------
        InvalidQueryError
            If both or neither of a position and a grid are given, or a survey has no
            HiPS.
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
        return [
            self._parse_result(self._query(payload), band, grid)
            for payload, band, grid in zip(payloads, bands, grids, strict=True)
        ]

    def _grid(self, coordinates, band, size):
        survey = get_survey(band.survey)
        coord = parse_one_position(coordinates)
        scale = survey.pixel_scale
        n = survey.shape[0] if size is None else round(float(size / scale))
        if not 1 <= n <= self.MAX_PIXELS:
            msg = f"'size' must be 1 to {self.MAX_PIXELS} pixels of {scale:g}, got {n}"
            raise InvalidQueryError(msg)
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
        wcs.wcs.crval = [coord.ra.deg, coord.dec.deg]
        wcs.wcs.crpix = [(n + 1) / 2, (n + 1) / 2]
        wcs.wcs.cdelt = [-scale.to_value(u.deg), scale.to_value(u.deg)]
        wcs.array_shape = (n, n)
        return wcs

    def _args_to_payload(self, band, wcs):
        survey = get_survey(band.survey)
        if survey.hips is None:
            msg = f"{survey.title} has no HiPS that is known here"
            raise InvalidQueryError(msg)
        return {"hips": survey.hips.format(band=band.name), "wcs": wcs}

    def _query(self, payload):
        require("matplotlib.colors", extra="plot")  # which astroquery imports here
        from astroquery.hips2fits import hips2fitsClass

        service = hips2fitsClass()
        # its class attributes are frozen copies of its configuration
        service.server, service.timeout = conf.hips, conf.timeout
        try:
            return service.query_with_wcs(**payload, format="fits")
        except AttributeError as error:  # what astroquery raises for a refusal
            raise RemoteServiceError(str(error)) from error

    def _parse_result(self, hdus, band, wcs):
        data, header = hdus[0].data, hdus[0].header
        if data is None or data.shape != wcs.array_shape:
            got = None if data is None else data.shape
            msg = f"{band}: asked for shape {wcs.array_shape}, got {got}"
            raise RemoteServiceError(msg)
        data = data.astype(np.float32)
        bad = ~np.isfinite(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", u.UnitsWarning)
            unit = u.Unit(header.get("BUNIT", ""), parse_strict="silent")
        return CCDData(
            data,
            unit=unit,
            wcs=wcs,
            mask=bad if bad.any() else None,
            meta={
                "band": str(band),
                "magsys": get_survey(band.survey).magsys,
                "url": f"{conf.hips}?hips={self._args_to_payload(band, wcs)['hips']}",
                "server": urlsplit(conf.hips).netloc,
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
            },
        )


HiPS = HiPSClass()
