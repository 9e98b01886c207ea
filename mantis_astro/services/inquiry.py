"""Requests for one position, with the engine of downloads."""

from dataclasses import dataclass

from astroquery import cache_conf
from astroquery.exceptions import RemoteServiceError, TimeoutError

from mantis_astro.services.configuration import conf
from mantis_astro.services.fetchers import make_fetcher
from mantis_astro.services.footprint import Footprints
from mantis_astro.services.interruption import DeferredInterrupt
from mantis_astro.services.kept_answers import KeptAnswers
from mantis_astro.services.scheduler import make_scheduler

__all__ = ["Inquiry", "fetch_position"]


class Inquiry:
    """
    A short run of the engine that downloads tables: the end of the block waits.

    What is submitted within the block is sent, repeated and judged as in a download of
    many objects, with the same limits.

    Parameters
    ----------
    cache : bool
        Whether answers kept before will do, and these are kept.
    timeout : float
        Seconds between two bytes of an answer.
    """

    def __init__(self, *, cache, timeout):
        self._cache = cache and conf.cache and cache_conf.cache_active
        self._scheduler = make_scheduler(read_timeout=timeout)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        try:
            while error is None and self._scheduler.pending:
                with DeferredInterrupt():
                    self._scheduler.step()
        finally:
            with DeferredInterrupt():
                self._scheduler.close()

    def engine(self, service):
        """
        Return the scheduler of the jobs of a service.

        Parameters
        ----------
        service : CutoutServiceClass
            The service.

        Returns
        -------
        Scheduler or KeptAnswers
            Has ``submit``.
        """
        return KeptAnswers(self._scheduler, service) if self._cache else self._scheduler


@dataclass(frozen=True)
class _Position:
    ra: float
    dec: float


def fetch_position(coord, sources, *, size=None, pixel_scale=None, cache=True):
    """
    Fetch the images of one position.

    Parameters
    ----------
    coord : `~astropy.coordinates.SkyCoord`
        Position, a scalar.
    sources : list of (tuple of CutoutServiceClass, tuple of Band)
        For each survey its services, in order of preference, and the bands wanted.
    size, pixel_scale : `~astropy.units.Quantity`, optional
        Side of the images and of a pixel.
    cache : bool, optional
        Whether answers kept before will do, and these are kept.

    Returns
    -------
    dict of Band to `~astropy.nddata.CCDData` or None
        None where a survey has no image.

    Raises
    ------
    InvalidQueryError
        If a size is wrong.
    TimeoutError
        If a server does not answer in time.
    RemoteServiceError
        If a server refuses, or its answer is not what was asked for.
    """
    position = _Position(coord.icrs.ra.deg, coord.icrs.dec.deg)
    outcomes = {}

    def settle(_target, band, outcome, _file, _source):
        outcomes[band] = outcome

    timeout = max(service.TIMEOUT for services, _ in sources for service in services)
    with Inquiry(cache=cache, timeout=timeout) as inquiry:
        for services, bands in sources:
            fetcher = make_fetcher(
                services, inquiry.engine, settle, size=size, pixel_scale=pixel_scale
            )
            survey = services[0].survey
            if Footprints().contain(survey, position.ra, position.dec):
                fetcher.fetch([position], bands)
            else:
                outcomes |= dict.fromkeys(bands)
    for outcome in outcomes.values():
        raise_failure(outcome)
    return outcomes


def raise_failure(outcome):
    """
    Raise the error of astroquery for a failed request.

    Parameters
    ----------
    outcome : object
        What a job ended with; nothing happens unless it is an exception.

    Raises
    ------
    TimeoutError
        If a server did not answer in time.
    RemoteServiceError
        For any other failure.
    """
    if not isinstance(outcome, Exception):
        return
    timed_out = getattr(outcome, "timed_out", False)
    kind = TimeoutError if timed_out else RemoteServiceError
    raise kind(str(outcome)) from outcome
