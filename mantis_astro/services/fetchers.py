"""Requests for the images of many objects, and their order."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from mantis_astro.services.request import HttpRequest, ImageRequest
from mantis_astro.services.scheduler import Job
from mantis_astro.services.validation import check_image

__all__ = ["Fetcher", "Foresight", "make_fetcher"]

# How often a server must say that it has nothing, before it is believed; and one of a
# survey of all the sky
_TIMES, _TIMES_ALL_SKY = 2, 4
_HEADER_BYTES = 5760  # of an image as cutout servers write it, typically


@dataclass(frozen=True)
class Foresight:
    """
    Expected requests and bytes of positions at one source.

    Attributes
    ----------
    n_requests : int
        Requests, at least.
    n_bytes : float
        Bytes that come back, about.
    left : `~numpy.ndarray` of bool
        Positions that are left to the next source from the start, shape (n,).
    """

    n_requests: int
    n_bytes: float
    left: np.ndarray


class Fetcher:
    """
    Submits the requests of one service and settles the bands of objects.

    This one sends the service's ``image_requests`` of each position, all at once, and
    asks again where nothing at all is said to be there. A service whose server is
    asked in several steps has a class of its own.

    Parameters
    ----------
    service : CutoutServiceClass
        Describes the server: requests, and what answers mean.
    engine : Scheduler or KeptAnswers
        Takes jobs on.
    settle : callable
        ``settle(target, band, outcome, file)``: the outcome is an image, None where
        the survey has none, or an exception; the file is the one it came from, or None.
    size, pixel_scale : `~astropy.units.Quantity`, optional
        Side of the images and of a pixel; by default the survey's.
    rest : callable, optional
        Called each time an answer has been dealt with.
    """

    def __init__(self, service, engine, settle, *, size, pixel_scale, rest=None):
        self.service = service
        self.shape = service.settle_shape(size, pixel_scale)
        self.pixel_scale = pixel_scale
        self._engine = engine
        self._settle = settle
        self._rest = rest or (lambda: None)
        self._waiting = {}  # what is under way -> who waits for it

    def expect(self, target, band):
        """
        Describe the expected image.

        Parameters
        ----------
        target : object
            Has ``ra`` and ``dec`` in degrees.
        band : Band
            The band.

        Returns
        -------
        ImageRequest
            Without an address.
        """
        scale = self.pixel_scale or self.service.survey.pixel_scale
        arcsec = float(scale.to_value("arcsec"))
        return ImageRequest(
            HttpRequest(""), (band,), target.ra, target.dec, self.shape, arcsec
        )

    def count_requests(self, n_positions, bands, positions_per_list):  # noqa: ARG002
        """
        Count the requests that some positions take at least.

        Parameters
        ----------
        n_positions : int
            Positions, all different.
        bands : tuple of Band
            Bands wanted.
        positions_per_list : int
            Positions in one list, where a server lists files.

        Returns
        -------
        int
            Number of requests.
        """
        return n_positions * len(self._requests(0.0, 0.0, bands))

    def foresee(self, ra, dec, bands, positions_per_list):  # noqa: ARG002
        """
        Estimate requests and bytes of positions.

        Parameters
        ----------
        ra, dec : `~numpy.ndarray` of float
            ICRS degrees, all different, shape (n,).
        bands : tuple of Band
            Bands wanted.
        positions_per_list : int
            Positions in one list, where a server lists files.

        Returns
        -------
        Foresight
            Nothing is left to others.
        """
        n_requests = self.count_requests(len(ra), bands, positions_per_list)
        image = _HEADER_BYTES + 4 * math.prod(self.shape)
        return Foresight(
            n_requests, len(ra) * len(bands) * image, np.zeros(len(ra), bool)
        )

    def prepare(self, ra, dec):  # noqa: ARG002
        """
        Process all positions of a table before the first request.

        Parameters
        ----------
        ra, dec : `~numpy.ndarray` of float
            ICRS degrees, shape (n,); NaN for none.

        Returns
        -------
        `~numpy.ndarray` of int
            Numbers by which objects are best put in order, shape (n,).
        """
        return np.zeros(len(ra), int)

    def image_url(self, ra, dec, bands, file):  # noqa: ARG002
        """
        Return the address of the images of a position.

        Parameters
        ----------
        ra, dec : float
            ICRS degrees.
        bands : tuple of Band
            Bands wanted.
        file : object
            The file that an image came from, or None.

        Returns
        -------
        str
            The address of the first band.
        """
        return self._requests(ra, dec, bands)[0].http.url

    def fetch(self, targets, bands):
        """
        Submit the requests for bands of objects.

        Parameters
        ----------
        targets : list
            Objects, with ``ra`` and ``dec`` in degrees.
        bands : tuple of Band
            Bands wanted.
        """
        times = _TIMES_ALL_SKY if self.service.survey.covers_all_sky else _TIMES
        for target in targets:
            for request in self._requests(target.ra, target.dec, bands):
                self._ask(target, request, times)

    def submit(self, request, done):
        """
        Submit a request for images, unless the same one is under way already.

        Parameters
        ----------
        request : ImageRequest
            What is sent.
        done : callable
            Told the images by band, or the exception.
        """
        key = request.http.url, request.bands
        if key in self._waiting:
            self._waiting[key].append(done)
            return
        self._waiting[key] = [done]
        self._engine.submit(
            Job(
                request.http,
                partial(self._accept, request),
                partial(self._share, key),
                is_whole=lambda images: None not in images.values(),
            )
        )

    def _requests(self, ra, dec, bands):
        return self.service.image_requests(ra, dec, bands, self.shape, self.pixel_scale)

    def _accept(self, request, answer):
        if isinstance(answer.content, Mapping):  # a transport that has images ready
            return {
                band: image if image is None else check_image(image, band, request)
                for band, image in answer.content.items()
            }
        return self.service.accept(answer, request)

    def _share(self, key, outcome):
        for done in self._waiting.pop(key):
            done(outcome)
        self._rest()

    def _ask(self, target, request, times):
        self.submit(request, partial(self._got, target, request, times - 1))

    def _got(self, target, request, times_left, outcome):
        failed = isinstance(outcome, Exception)
        if not failed and times_left and not any(map(_is_there, outcome.values())):
            self._ask(target, request, times_left)
            return
        for band in request.bands:
            self._settle(target, band, outcome if failed else outcome[band], None)


def _is_there(image):
    return image is not None


class _InOrder:
    """The sources of one survey; failed images are requested from the next one."""

    def __init__(self, services, engine, settle, *, size, pixel_scale):
        self._settle = settle
        self._failed = []  # (number of the source, target, band), to be asked for again
        self._sources = [
            service.fetcher(
                service,
                engine(service),
                partial(self._settle_or_note, number),
                size=size,
                pixel_scale=pixel_scale,
                rest=self._go_on,
            )
            for number, service in enumerate(services)
        ]
        preferred = self._sources[0]
        self.expect, self.prepare = preferred.expect, preferred.prepare
        self.fetch = preferred.fetch

    def foresee(self, ra, dec, bands, positions_per_list):
        """Address, requests and bytes of each source if nothing fails."""
        plans = []
        for source in self._sources:
            if not len(ra):
                break
            seen = source.foresee(ra, dec, bands, positions_per_list)
            if seen.n_requests:
                url = source.image_url(*_first(ra, dec, ~seen.left), bands, None)
                plans.append((url, seen.n_requests, seen.n_bytes))
            ra, dec = ra[seen.left], dec[seen.left]
        if not plans:
            plans = [(self._sources[0].image_url(0.0, 0.0, bands, None), 0, 0.0)]
        return plans

    def image_url(self, ra, dec, bands, file, source=0):
        return self._sources[source].image_url(ra, dec, bands, file)

    def _settle_or_note(self, number, target, band, outcome, file):
        if isinstance(outcome, Exception) and number + 1 < len(self._sources):
            self._failed.append((number + 1, target, band))
        else:
            self._settle(target, band, outcome, file, number)

    def _go_on(self):
        """Request failed images from the next source, grouped by their bands."""
        failed, self._failed = self._failed, []
        bands = {}
        for number, target, band in failed:
            _, wanted = bands.setdefault((number, id(target)), (target, []))
            wanted.append(band)
        groups = {}
        for (number, _), (target, wanted) in bands.items():
            groups.setdefault((number, tuple(wanted)), []).append(target)
        for (number, wanted), targets in groups.items():
            self._sources[number].fetch(targets, wanted)


def _first(ra, dec, chosen):
    i = int(np.argmax(chosen))
    return float(ra[i]), float(dec[i])


def make_fetcher(services, engine, settle, *, size=None, pixel_scale=None):
    """
    Create the fetcher of the images of one survey.

    Parameters
    ----------
    services : sequence of CutoutServiceClass
        Services of the survey, in order of preference: what one fails to give is
        asked of the next.
    engine : callable
        For a service, what takes its jobs on.
    settle : callable
        ``settle(target, band, outcome, file, source)``: as for a `Fetcher`, and the
        number of the service that gave the outcome.
    size, pixel_scale : `~astropy.units.Quantity`, optional
        Side of the images and of a pixel.

    Returns
    -------
    object
        Has ``fetch``, ``prepare``, ``expect``, ``foresee`` and ``image_url``.

    Raises
    ------
    InvalidQueryError
        If a service cannot serve that size.
    """
    return _InOrder(services, engine, settle, size=size, pixel_scale=pixel_scale)
