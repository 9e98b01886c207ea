"""Pan-STARRS1 cutouts: a list of stack images first, then an image for each band."""

from typing import NamedTuple

import numpy as np
from astropy.table import Table
from astroquery.exceptions import InvalidQueryError
from astroquery.utils import parse_coordinates

from mantis_astro.services.base import CutoutServiceClass, parse_one_position
from mantis_astro.services.configuration import conf
from mantis_astro.services.footprint import Footprints
from mantis_astro.services.request import (
    HttpRequest,
    ImageRequest,
    build_url,
    degrees_text,
)
from mantis_astro.services.validation import BadAnswerError

__all__ = ["PanSTARRS", "PanSTARRSClass", "StackFile", "bad_fraction", "is_covered"]

_COLUMNS = ("projcell", "subcell", "ra", "dec", "filter", "type", "filename")
_SAME_POSITION = 1.0 / 3600  # degrees: the list echoes positions, perhaps rounded
_WELL_COVERED = 0.01  # share of bad pixels beyond which another skycell is tried


class StackFile(NamedTuple):
    """
    A stack image on the server; sorts as the server's file cache likes it.

    Attributes
    ----------
    projcell, subcell : int
        Projection cell and skycell.
    filename : str
        Path on the server.
    """

    projcell: int
    subcell: int
    filename: str


def bad_fraction(image):
    """
    Share of the pixels of an image that are masked.

    Parameters
    ----------
    image : `~astropy.nddata.CCDData` or None
        The image.

    Returns
    -------
    float
        From 0 to 1; 1 for None.
    """
    if image is None:
        return 1.0
    return 0.0 if image.mask is None else float(np.mean(image.mask))


def is_covered(image):
    """
    Tell whether an image covers its field so well that no other skycell is needed.

    Parameters
    ----------
    image : `~astropy.nddata.CCDData` or None
        The image.

    Returns
    -------
    bool
        Whether at most one per cent of the pixels are bad.
    """
    return bad_fraction(image) <= _WELL_COVERED


class PanSTARRSClass(CutoutServiceClass):
    r"""
    Cutouts of the Pan-STARRS1 stack images.

    Parameters
    ----------
    survey : Survey or str, optional
        A survey on that server.

    Examples
    --------
    >>> from astropy.coordinates import SkyCoord
    >>> from mantis_astro.services import PanSTARRS
    >>> coord = SkyCoord(7.0939, -10.65098, unit="deg")
    >>> PanSTARRS.get_images(coord, bands="gi", get_query_payload=True)
    {'filters': 'gi', 'type': 'stack', 'positions': '7.0939000 -10.6509800\n'}
    """

    #: Side of a skycell: no cutout can be larger.
    MAX_PIXELS = 6000

    def __init__(self, survey="ps1"):
        super().__init__(survey)

    def get_file_list(
        self, coordinates, *, bands=None, get_query_payload=False, cache=True
    ):
        """
        List the stack images that cover many positions, with one request.

        Parameters
        ----------
        coordinates : str or `~astropy.coordinates.SkyCoord`
            Positions, shape (n,) or scalar.
        bands : sequence of Band or str, optional
            Bands; by default all five.
        get_query_payload : bool, optional
            Return what would be sent instead of sending it.
        cache : bool, optional
            Whether a list fetched before may be returned.

        Returns
        -------
        `~astropy.table.Table`
            Columns ``position`` (index into ``coordinates``), ``band``, ``projcell``,
            ``subcell`` and ``filename``; several rows for a position where skycells
            overlap, none where there is no image.
        """
        bands = self.settle_bands(bands)
        coord = parse_coordinates(coordinates).icrs.reshape(-1)
        ra, dec = coord.ra.deg, coord.dec.deg
        if get_query_payload:
            return self._list_payload(ra, dec, bands)
        unique, position = np.unique(np.stack([ra, dec]), axis=1, return_inverse=True)
        http = self.list_request(*unique, bands)
        files = self.fetch(
            http, lambda content: self.parse_list(content, *unique, bands), cache=cache
        )
        rows = [
            (i, str(band), *file)
            for i, group in enumerate(position.reshape(-1))
            for band in bands
            for file in files[group].get(band, ())
        ]
        names = ("position", "band", "projcell", "subcell", "filename")
        dtype = (int, str, int, int, str)
        return Table(rows=rows or None, names=names, dtype=dtype)

    def get_image_list(
        self, coordinates, *, bands=None, size=None, pixel_scale=None, cache=True
    ):
        """
        List the addresses of the images of one position.

        Parameters
        ----------
        coordinates : str or `~astropy.coordinates.SkyCoord`
            Position.
        bands : sequence of Band or str, optional
            Bands.
        size : `~astropy.units.Quantity`, optional
            Side of the images.
        pixel_scale : None
            Pan-STARRS1 serves its own pixels only.
        cache : bool, optional
            Whether a list fetched before may be used.

        Returns
        -------
        list of str
            An address for each band and skycell.
        """
        coord = parse_one_position(coordinates)
        shape = self.settle_shape(size, pixel_scale)
        files = self.get_file_list(coord, bands=bands, cache=cache)
        return [
            self.image_request(
                coord.ra.deg, coord.dec.deg, self.settle_bands([band]), shape, filename
            ).http.url
            for band, filename in files["band", "filename"].iterrows()
        ]

    def list_request(self, ra, dec, bands):
        """
        Make the request for the list of images at many positions.

        Parameters
        ----------
        ra, dec : array_like of float
            ICRS degrees, shape (n,).
        bands : tuple of Band
            Bands.

        Returns
        -------
        HttpRequest
            A form with the positions as a file.
        """
        payload = self._list_payload(ra, dec, bands)
        positions = payload.pop("positions")
        return HttpRequest(
            conf.panstarrs_filenames,
            method="POST",
            data=payload,
            files={"file": ("positions.txt", positions.encode())},
        )

    def parse_list(self, content, ra, dec, bands):
        """
        Read the list of images.

        Parameters
        ----------
        content : bytes
            Whitespace-separated table; rows may come in any order, and twice.
        ra, dec : array_like of float
            The positions asked for, all different, shape (n,).
        bands : tuple of Band
            The bands asked for.

        Returns
        -------
        list of dict of Band to list of StackFile
            For each position the files of each band, sorted; a band without image is
            absent.

        Raises
        ------
        BadAnswerError
            If it is no such table, is cut short, or is about other positions.
        """
        by_name = {band.name: band for band in bands}
        find = _PositionFinder(ra, dec)
        files = [{} for _ in find.ra]
        for row in _rows(content):
            band = by_name.get(row["filter"])
            if band is None or row["type"] != self.survey.layer:
                continue
            file = StackFile(int(row["projcell"]), int(row["subcell"]), row["filename"])
            for i in find(row["ra"], row["dec"]):
                files[i].setdefault(band, set()).add(file)
        return [
            {band: sorted(found) for band, found in of_position.items()}
            for of_position in files
        ]

    def image_request(self, ra, dec, bands, shape, filename):
        """
        Make the request for one image.

        Parameters
        ----------
        ra, dec : float
            ICRS degrees.
        bands : tuple of Band
            The band, alone.
        shape : tuple of int
            Shape ``(n, n)`` in pixels.
        filename : str
            Stack image, from the list.

        Returns
        -------
        ImageRequest
            What to send, and what the answer must show.
        """
        url = build_url(
            conf.panstarrs_fitscut,
            ra=degrees_text(ra),
            dec=degrees_text(dec),
            size=shape[0],
            format="fits",
            red=filename,
        )
        scale = float(self.survey.pixel_scale.to_value("arcsec"))
        return ImageRequest(HttpRequest(url), tuple(bands), ra, dec, shape, scale)

    def find_images(self, coord, bands, *, size=None, pixel_scale=None, cache=True):
        """
        Fetch the images of one position, without a word where there are none.

        Parameters
        ----------
        coord : `~astropy.coordinates.SkyCoord`
            Position, a scalar.
        bands : tuple of Band
            Bands.
        size, pixel_scale, cache
            As for `get_images`.

        Returns
        -------
        dict of Band to `~astropy.nddata.CCDData` or None
            None where there is no image. Where skycells overlap, the image of the
            first that covers the field, or else of the one that covers most.
        """
        ra, dec = coord.icrs.ra.deg, coord.icrs.dec.deg
        shape = self.settle_shape(size, pixel_scale)
        images = dict.fromkeys(bands)
        if not Footprints().contain(self.survey, ra, dec):
            return images
        http = self.list_request([ra], [dec], bands)
        (files,) = self.fetch(
            http,
            lambda content: self.parse_list(content, [ra], [dec], bands),
            cache=cache,
        )
        for band, stacks in files.items():
            for stack in stacks:
                request = self.image_request(ra, dec, (band,), shape, stack.filename)
                image = self._fetch_image(request, cache=cache)
                images[band] = min(images[band], image, key=bad_fraction)
                if is_covered(image):
                    break
        return images

    def _fetch_image(self, request, *, cache):
        images = self.fetch(
            request.http,
            lambda content: self._parse_result(content, request),
            cache=cache,
        )
        return images[request.bands[0]]

    def settle_shape(self, size, pixel_scale=None):
        """
        Turn a size on the sky into a shape in pixels.

        Parameters
        ----------
        size : `~astropy.units.Quantity` or None
            Side of the image; None for the survey's usual shape.
        pixel_scale : `~astropy.units.Quantity`, optional
            Must be the survey's own.

        Returns
        -------
        tuple of int
            Shape ``(ny, nx)``.

        Raises
        ------
        InvalidQueryError
            If it is no angle, too large, or other pixels are asked for.
        """
        if pixel_scale is not None and pixel_scale != self.survey.pixel_scale:
            msg = (
                f"'pixel_scale': {self.survey.title} serves its own pixels of "
                f"{self.survey.pixel_scale:g} only, got {pixel_scale}"
            )
            raise InvalidQueryError(msg)
        return super().settle_shape(size)

    def _payload(self, coord, bands, size, pixel_scale):
        self.settle_shape(size, pixel_scale)
        return self._list_payload([coord.ra.deg], [coord.dec.deg], bands)

    def _list_payload(self, ra, dec, bands):
        return {
            "filters": "".join(band.name for band in bands),
            "type": self.survey.layer,
            "positions": "".join(
                f"{degrees_text(x)} {degrees_text(y)}\n"
                for x, y in zip(ra, dec, strict=True)
            ),
        }


class _PositionFinder:
    """Indices of the positions that a row of the list is about."""

    def __init__(self, ra, dec):
        self.ra, self.dec = np.asarray(ra, float), np.asarray(dec, float)
        self._cos = np.cos(np.radians(self.dec))
        self._known = {}

    def __call__(self, ra, dec):
        if (ra, dec) not in self._known:
            self._known[ra, dec] = self._near(float(ra), float(dec))
        return self._known[ra, dec]

    def _near(self, ra, dec):
        """Find them all: a rounded position may be that of several close ones."""
        east = ((self.ra - ra + 180) % 360 - 180) * self._cos
        distance = np.hypot(east, self.dec - dec)
        near = np.flatnonzero(distance <= _SAME_POSITION)
        if not near.size:
            msg = f"the list of images is about {ra} {dec}, which was not asked for"
            raise BadAnswerError(msg)
        return near.tolist()


def _rows(content):
    """Yield the rows of the list as dicts."""
    text = content.decode("ascii", "replace")
    lines = text.splitlines()
    names = lines[0].split() if lines else []
    missing = [name for name in _COLUMNS if name not in names]
    if missing:
        msg = (
            f"the answer is no list of images (no {', '.join(missing)}): {text[:60]!r}"
        )
        raise BadAnswerError(msg)
    for line in lines[1:]:
        fields = line.split()
        if len(fields) != len(names) or not text.endswith("\n"):
            msg = f"the list of images is cut short or broken at {line[:60]!r}"
            raise BadAnswerError(msg)
        yield dict(zip(names, fields, strict=True))


PanSTARRS = PanSTARRSClass()
