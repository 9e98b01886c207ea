"""The Legacy Survey viewer, which serves GALEX and unWISE beside its own images."""

import astropy.units as u

from mantis_astro.services.base import CutoutServiceClass, parse_one_position
from mantis_astro.services.configuration import conf
from mantis_astro.services.request import (
    HttpRequest,
    ImageRequest,
    build_url,
    degrees_text,
    longest_answer,
)

__all__ = ["GALEX", "LegacySurvey", "LegacySurveyClass", "UnWISE"]


class LegacySurveyClass(CutoutServiceClass):
    """
    Cutouts of one layer of the Legacy Survey viewer.

    One request brings all bands of a position as a cube. Images are north up, with the
    position in the middle, interpolated (Lanczos) onto the pixels asked for:
    ``zero_point_ab`` in their meta belongs to those pixels.

    Parameters
    ----------
    survey : Survey or str, optional
        A survey whose ``service`` is ``"legacy_survey"``.

    Examples
    --------
    >>> from astropy.coordinates import SkyCoord
    >>> from mantis_astro.services import GALEX
    >>> coord = SkyCoord(121.6, 1.04, unit="deg")
    >>> GALEX.get_image_list(coord)[0].partition("size")[-1]
    '=32&pixscale=1.5&layer=galex'
    """

    #: The viewer serves no more pixels than these, without saying so.
    MAX_PIXELS = 3000

    def __init__(self, survey="legacysurvey"):
        super().__init__(survey)

    def get_image_list(self, coordinates, *, bands=None, size=None, pixel_scale=None):
        """
        List the addresses of the images of one position; nothing is sent.

        Parameters
        ----------
        coordinates : str or `~astropy.coordinates.SkyCoord`
            Position.
        bands : sequence of Band or str, optional
            Bands; one address serves them all.
        size, pixel_scale : `~astropy.units.Quantity`, optional
            Side of the images and of a pixel.

        Returns
        -------
        list of str
            One address.
        """
        coord = parse_one_position(coordinates)
        request = self.image_request(
            coord.ra.deg,
            coord.dec.deg,
            self.settle_bands(bands),
            self.settle_shape(size, pixel_scale),
            pixel_scale,
        )
        return [request.http.url]

    def image_request(self, ra, dec, bands, shape, pixel_scale=None):
        """
        Make the request for the images of one position.

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
        ImageRequest
            What to send, and what the answer must show.
        """
        scale = self.survey.pixel_scale if pixel_scale is None else pixel_scale
        arcsec = float(scale.to_value(u.arcsec))
        payload = self._args_to_payload(ra, dec, bands, shape[0], arcsec)
        http = HttpRequest(
            build_url(conf.legacy_survey, **payload),
            max_bytes=longest_answer(shape, len(self.survey.bands)),
        )
        return ImageRequest(http, tuple(bands), ra, dec, tuple(shape), arcsec)

    def image_requests(self, ra, dec, bands, shape, pixel_scale=None):
        """
        Make the request for all images of one position.

        Parameters
        ----------
        ra, dec, bands, shape, pixel_scale
            As for `image_request`.

        Returns
        -------
        list of ImageRequest
            One: a cube has all bands.
        """
        return [self.image_request(ra, dec, bands, shape, pixel_scale)]

    def _payload(self, coord, bands, size, pixel_scale):
        scale = self.survey.pixel_scale if pixel_scale is None else pixel_scale
        shape = self.settle_shape(size, pixel_scale)
        return self._args_to_payload(
            coord.ra.deg,
            coord.dec.deg,
            bands,
            shape[0],
            float(scale.to_value("arcsec")),
        )

    def _args_to_payload(self, ra, dec, bands, size, pixel_scale):
        payload = {
            "ra": degrees_text(ra),
            "dec": degrees_text(dec),
            "size": size,
            "pixscale": pixel_scale,
            "layer": self.survey.layer,
        }
        if not self.survey.band_codes:
            # Layers whose letters are codes (GALEX, unWISE) always bring all planes.
            payload["bands"] = "".join(band.name for band in bands)
        return payload


LegacySurvey = LegacySurveyClass()
GALEX = LegacySurveyClass("galex")
UnWISE = LegacySurveyClass("unwise")
