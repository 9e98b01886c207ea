"""Pan-STARRS1 cutouts: a list of stack images first, then an image for each band."""

from functools import partial

import numpy as np
from astropy.table import Table
from astroquery.exceptions import InvalidQueryError
from astroquery.utils import parse_coordinates

from mantis_astro.services.base import CutoutServiceClass, parse_one_position
from mantis_astro.services.configuration import conf
from mantis_astro.services.fetchers import Fetcher
from mantis_astro.services.inquiry import Inquiry, raise_failure
from mantis_astro.services.request import (
    HttpRequest,
    ImageRequest,
    build_url,
    degrees_text,
    longest_answer,
)
from mantis_astro.services.scheduler import Job
from mantis_astro.services.stack_list import read_stack_list
from mantis_astro.services.validation import bad_fraction, check_status, is_covered

__all__ = ["PanSTARRS", "PanSTARRSClass"]

_LISTS = 3  # lists that must lack a band before it counts as absent
_LIST_BYTES, _LIST_BYTES_OF_BAND = 100_000, 4000  # rows have 250, skycells overlap


class _Lists:
    """
    Asks for the list of files until every band is listed, or was absent three times.

    A list with rows left out would otherwise write off what is there. One more list
    asks for all doubtful positions together, so this costs next to nothing.
    """

    def __init__(self, service, engine):
        self._service = service
        self._engine = engine

    def ask(self, ra, dec, bands, found, *, rest=lambda: None):
        """Call ``found(index, files or exception)`` once for each position."""
        everything = list(zip(range(len(ra)), ra, dec, [{}] * len(ra), strict=True))
        self._ask(everything, bands, found, rest, _LISTS)

    def _ask(self, positions, bands, found, rest, times):
        _, ra, dec, _ = zip(*positions, strict=True)
        job = Job(
            self._service.list_request(ra, dec, bands),
            lambda answer: self._read(answer, ra, dec, bands),
            partial(self._got, positions, bands, found, rest, times - 1),
            is_whole=lambda files: all(len(listed) == len(bands) for listed in files),
        )
        self._engine.submit(job)

    def _read(self, answer, ra, dec, bands):
        check_status(answer.status, answer.content)
        return self._service.parse_list(answer.content, ra, dec, bands)

    def _got(self, positions, bands, found, rest, times_left, outcome):
        doubtful = []
        if isinstance(outcome, Exception):
            for index, *_ in positions:
                found(index, outcome)
        else:
            for (index, ra, dec, before), now in zip(positions, outcome, strict=True):
                files = before | now
                if len(files) < len(bands) and times_left > 0:
                    doubtful.append((index, ra, dec, files))
                else:
                    found(index, files)
        rest()
        if doubtful:
            self._ask(doubtful, bands, found, rest, times_left)


class _PanSTARRSFetcher(Fetcher):
    """A list of files for many positions first, then a request for each band."""

    def count_requests(self, n_positions, bands, positions_per_list):
        """Count the requests that some positions take at least."""
        return -(-n_positions // positions_per_list) + n_positions * len(bands)

    def image_url(self, ra, dec, bands, file):
        """Return the address of an image, or of the list if no file is known."""
        if file is None:
            return self.service.list_request([ra], [dec], bands).url
        return self._request(ra, dec, bands[0], file).http.url

    def fetch(self, targets, bands):
        """Submit the requests for bands of objects."""
        groups = {}
        for target in targets:
            position = degrees_text(target.ra), degrees_text(target.dec)
            groups.setdefault(position, []).append(target)
        groups = list(groups.values())
        if not groups:
            return
        wants = []

        def found(index, files):
            group = groups[index]
            for band in bands:
                if isinstance(files, Exception):
                    self._settle_all(group, band, files, None)
                elif band in files:
                    wants.append(_Want(group, band, files[band]))
                else:
                    self._settle_all(group, band, None, None)

        def ask_for_images():
            """Skycell by skycell, as the cache of the server likes it."""
            order = {band: i for i, band in enumerate(bands)}
            ready = sorted(wants, key=lambda w: (w.files[0][:2], order[w.band]))
            wants.clear()
            for want in ready:
                self._ask_image(want)
            self._rest()

        _Lists(self.service, self._engine).ask(
            [group[0].ra for group in groups],
            [group[0].dec for group in groups],
            bands,
            found,
            rest=ask_for_images,
        )

    def _request(self, ra, dec, band, file):
        return self.service.image_request(ra, dec, (band,), self.shape, file.filename)

    def _ask_image(self, want):
        target = want.group[0]
        request = self._request(target.ra, target.dec, want.band, want.files[0])
        self.submit(request, partial(self._got_image, want))

    def _got_image(self, want, outcome):
        """Keep the image that covers most; try the next skycell if that is little."""
        file = want.files.pop(0)
        if isinstance(outcome, Exception):
            want.error = outcome
        else:
            image = outcome[want.band]
            if image is None and not want.is_doubted:  # a blank may be an accident once
                want.is_doubted = True
                want.files.insert(0, file)
                self._ask_image(want)
                return
            if bad_fraction(image) < bad_fraction(want.best):
                want.best, want.file = image, file
        if want.files and not is_covered(want.best):
            want.is_doubted = False
            self._ask_image(want)
            return
        result = want.best
        if want.error is not None and not is_covered(want.best):
            result = want.error  # the skycell that failed may be the better one
        self._settle_all(want.group, want.band, result, want.file or file)

    def _settle_all(self, group, band, outcome, file):
        for target in group:
            self._settle(target, band, outcome, file)


class _Want:
    """One band of one position, and the files that may show it."""

    __slots__ = ("band", "best", "error", "file", "files", "group", "is_doubted")

    def __init__(self, group, band, files):
        self.group = group
        self.band = band
        self.files = list(files)
        self.best = self.error = self.file = None
        self.is_doubted = False


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
    fetcher = _PanSTARRSFetcher

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
        files = self._find_files(*unique, bands, cache=cache)
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
            max_bytes=_LIST_BYTES + len(ra) * len(bands) * _LIST_BYTES_OF_BAND,
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
        return read_stack_list(content, ra, dec, bands, kind=self.survey.layer)

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
        http = HttpRequest(url, max_bytes=longest_answer(shape))
        return ImageRequest(http, tuple(bands), ra, dec, shape, scale)

    def settle_shape(self, size, pixel_scale=None):
        """
        Convert a size on the sky to a shape in pixels.

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

    def _find_files(self, ra, dec, bands, *, cache):
        """Files of each band, a dict for each position."""
        files = [{} for _ in ra]
        problems = []

        def note(index, found):
            if isinstance(found, Exception):
                problems.append(found)
            else:
                files[index] = found

        with Inquiry(cache=cache, timeout=self.TIMEOUT) as inquiry:
            _Lists(self, inquiry.engine(self)).ask(ra, dec, bands, note)
        for problem in problems:
            raise_failure(problem)
        return files

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


PanSTARRS = PanSTARRSClass()
