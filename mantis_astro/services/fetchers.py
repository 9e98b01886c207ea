"""How each protocol gets the images of many objects: which jobs, in which order."""

from collections.abc import Mapping
from functools import partial

from mantis_astro.services.panstarrs import bad_fraction, is_covered
from mantis_astro.services.request import HttpRequest, ImageRequest, degrees_text
from mantis_astro.services.scheduler import Job
from mantis_astro.services.validation import check_image, check_status, read_images

__all__ = ["OneStepFetcher", "TwoStepFetcher", "make_fetcher"]


class _Fetcher:
    """
    Submits the jobs of one survey and settles the bands of objects.

    Parameters
    ----------
    service : CutoutServiceClass
        Builds requests and parses lists.
    scheduler : Scheduler
        Sends jobs.
    settle : callable
        ``settle(object, band, outcome, file)``: the outcome is an image, None where
        the survey has none, or an exception; the file is the stack it came from.
    shape : tuple of int
        Shape of the images.
    pixel_scale : `~astropy.units.Quantity` or None
        Side of a pixel, where the server can choose it.
    """

    def __init__(self, service, scheduler, settle, *, shape, pixel_scale=None):
        self.service = service
        self.shape = shape
        self.pixel_scale = pixel_scale
        self._scheduler = scheduler
        self._settle = settle
        self._waiting = {}  # address of a request under way -> who waits for it

    def expect(self, target, band):
        """Describe the image that is asked for: a request without an address."""
        survey = self.service.survey
        scale = survey.pixel_scale if self.pixel_scale is None else self.pixel_scale
        return ImageRequest(
            HttpRequest(""),
            (band,),
            target.ra,
            target.dec,
            self.shape,
            float(scale.to_value("arcsec")),
        )

    def _submit(self, request, done):
        """Submit a request, unless the same one is under way already."""
        url = request.http.url
        if url in self._waiting:
            self._waiting[url].append(done)
            return
        self._waiting[url] = [done]
        accept = partial(_read, request)
        self._scheduler.submit(Job(request.http, accept, partial(self._share, url)))

    def _share(self, url, outcome):
        for done in self._waiting.pop(url):
            done(outcome)


class OneStepFetcher(_Fetcher):
    """One request for each position brings all bands (the Legacy Survey viewer)."""

    def count_requests(self, n_positions, bands, positions_per_list):  # noqa: ARG002
        """Count the requests that some positions take at least."""
        return n_positions

    def image_url(self, ra, dec, bands, file):  # noqa: ARG002
        """Return the address of the images of a position."""
        return self._request(ra, dec, bands).http.url

    def fetch(self, objects, bands):
        """Submit what brings the given bands of the given objects."""
        for target in objects:
            request = self._request(target.ra, target.dec, bands)
            self._submit(request, partial(self._got, target, bands))

    def _request(self, ra, dec, bands):
        return self.service.image_request(ra, dec, bands, self.shape, self.pixel_scale)

    def _got(self, target, bands, outcome):
        for band in bands:
            image = outcome if isinstance(outcome, Exception) else outcome[band]
            self._settle(target, band, image, None)


class TwoStepFetcher(_Fetcher):
    """
    A list of files for many positions, then a request for each band (Pan-STARRS1).

    Nothing is missing until the list has said so three times: a list with rows left
    out would otherwise write off what is there. One more list asks for all doubtful
    positions of a chunk, so this costs next to nothing.
    """

    _LISTS = 3

    def count_requests(self, n_positions, bands, positions_per_list):
        """Count the requests that some positions take at least."""
        return -(-n_positions // positions_per_list) + n_positions * len(bands)

    def image_url(self, ra, dec, bands, file):
        """Return the address of an image; of the list, if no file is known."""
        if file is None:
            return self.service.list_request([ra], [dec], bands).url
        return self._request(ra, dec, bands[0], file).http.url

    def fetch(self, objects, bands):
        """Submit what brings the given bands of the given objects."""
        groups = {}
        for target in objects:
            position = degrees_text(target.ra), degrees_text(target.dec)
            groups.setdefault(position, []).append(target)
        if groups:
            groups = list(groups.values())
            self._ask_list(groups, bands, [{}] * len(groups), self._LISTS)

    def _ask_list(self, groups, bands, known, times):
        ra = [group[0].ra for group in groups]
        dec = [group[0].dec for group in groups]
        job = Job(
            self.service.list_request(ra, dec, bands),
            lambda answer: self._read_list(answer, ra, dec, bands),
            partial(self._got_list, groups, bands, known, times - 1),
        )
        self._scheduler.submit(job)

    def _read_list(self, answer, ra, dec, bands):
        check_status(answer.status, answer.content)
        return self.service.parse_list(answer.content, ra, dec, bands)

    def _got_list(self, groups, bands, known, times_left, outcome):
        if isinstance(outcome, Exception):
            for group in groups:
                for band in bands:
                    self._settle_all(group, band, outcome, None)
            return
        wants, doubtful = [], []
        for group, before, now in zip(groups, known, outcome, strict=True):
            files = before | now
            if len(files) < len(bands) and times_left > 0:
                doubtful.append((group, files))
                continue
            for band in bands:
                if band in files:
                    wants.append(_Want(group, band, files[band]))
                else:
                    self._settle_all(group, band, None, None)
        order = {band: i for i, band in enumerate(bands)}
        for want in sorted(wants, key=lambda w: (w.files[0][:2], order[w.band])):
            self._ask_image(want)
        if doubtful:
            groups, known = zip(*doubtful, strict=True)
            self._ask_list(groups, bands, known, times_left)

    def _request(self, ra, dec, band, file):
        return self.service.image_request(ra, dec, (band,), self.shape, file.filename)

    def _ask_image(self, want):
        target = want.group[0]
        request = self._request(target.ra, target.dec, want.band, want.files[0])
        self._submit(request, partial(self._got_image, want))

    def _got_image(self, want, outcome):
        """Keep the image that covers most; try the next skycell if that is little."""
        file = want.files.pop(0)
        if isinstance(outcome, Exception):
            want.error = outcome
        else:
            image = outcome[want.band]
            if bad_fraction(image) < bad_fraction(want.best):
                want.best, want.file = image, file
        if want.files and not is_covered(want.best):
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

    __slots__ = ("band", "best", "error", "file", "files", "group")

    def __init__(self, group, band, files):
        self.group = group
        self.band = band
        self.files = list(files)
        self.best = self.error = self.file = None


_FETCHERS = {"legacy_survey": OneStepFetcher, "panstarrs": TwoStepFetcher}


def make_fetcher(service, scheduler, settle, *, shape, pixel_scale=None):
    """
    Make the fetcher for the protocol of a service.

    Parameters
    ----------
    service : CutoutServiceClass
        The service.
    scheduler : Scheduler
        Sends jobs; None for a fetcher that only counts and names.
    settle : callable
        Told how each band of each object ended.
    shape : tuple of int
        Shape of the images.
    pixel_scale : `~astropy.units.Quantity`, optional
        Side of a pixel.

    Returns
    -------
    OneStepFetcher or TwoStepFetcher
        Ready to fetch.
    """
    kind = _FETCHERS[service.survey.service]
    return kind(service, scheduler, settle, shape=shape, pixel_scale=pixel_scale)


def _read(request, answer):
    if isinstance(answer.content, Mapping):  # a transport that has images ready
        return {
            band: image if image is None else check_image(image, band, request)
            for band, image in answer.content.items()
        }
    check_status(answer.status, answer.content)
    return read_images(answer.content, request)
