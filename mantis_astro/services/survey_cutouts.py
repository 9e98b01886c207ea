"""`SurveyCutouts`: the cutouts of many objects, from the survey servers."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table

from mantis_astro.bands import BANDS, get_survey
from mantis_astro.exceptions import FetchWarning
from mantis_astro.progress import progress_bar
from mantis_astro.services.base import bands_by_survey
from mantis_astro.services.configuration import conf
from mantis_astro.services.fetchers import make_fetcher
from mantis_astro.services.footprint import Footprints
from mantis_astro.services.interruption import DeferredInterrupt
from mantis_astro.services.plan import make_plan
from mantis_astro.services.registry import choose_services
from mantis_astro.services.run import Run
from mantis_astro.services.scheduler import Clock, make_scheduler
from mantis_astro.tables.coordinates import find_coordinates

if TYPE_CHECKING:
    from mantis_astro.bands import BandLike
    from mantis_astro.cutouts import CutoutSource
    from mantis_astro.cutouts.source import CutoutResult
    from mantis_astro.services.plan import RequestPlan
    from mantis_astro.services.report import StillMissing

__all__ = ["SurveyCutouts"]

log = logging.getLogger(__name__)


class SurveyCutouts:
    """
    The survey servers as a source of cutouts, for any number of objects.

    Requests go to all hosts side by side, at most a few at a time to each; those that
    fail are repeated with growing, jittered waits; every answer is proved to be the
    image that was asked for before it is accepted. Each band of each object ends as
    ``ok``, ``no_coverage`` or ``failed`` with a reason. Memory does not grow with the
    length of the table.

    Parameters
    ----------
    size : `~astropy.units.Quantity` or mapping of survey to it, optional
        Side of the cutouts as an angle; by default each survey's shape as the
        published network reads it.
    pixel_scale : mapping of survey to `~astropy.units.Quantity`, optional
        Side of a pixel, where the server can choose it (the Legacy Survey viewer).
    sources : mapping of survey to str, service or sequence of them, optional
        Where a survey's images come from. A name (of
        `~mantis_astro.services.list_services`) or a service is asked first, and the
        usual ones for what it fails to give; of a sequence nothing but its members are
        asked, in their order. ``{"ps1": "tiles"}`` reads whole tiles, and ``{"ps1":
        "dense tiles"}`` those that show ``conf.objects_per_tile`` objects or more.
    coverage : mapping of survey to `mocpy.MOC` or path, optional
        Coverage maps: positions outside are ``no_coverage`` and cost no request.
    store : CutoutSource, optional
        Where cutouts are looked for first. If it has ``add``, as
        `~mantis_astro.CutoutStore` has, what was fetched is put there, and so is
        ``no_coverage``; failures never are. A `~mantis_astro.CutoutStore` must be open
        for adding, unless ``offline``.
    offline : bool, optional
        Use the store only; what it lacks is ``failed``.
    recheck : bool, optional
        Whether to ask again where the store says that a survey has no image.
    connections_per_host : int, optional
        Requests under way at one host; by default ``conf.connections_per_host``.
    requests_per_second : float, optional
        Requests started per second at one host; by default
        ``conf.requests_per_second``.
    deadline : `~astropy.units.Quantity`, optional
        Time for a whole table; what is not there by then is ``failed``.
    progress : bool, optional
        Whether to show the plan and a bar, in a terminal or a notebook.
    transport : callable, optional
        Makes what sends requests (it has ``send`` and ``close``) for one call; by
        default an `~mantis_astro.services.transport.HttpTransport`.
    clock : `~mantis_astro.services.scheduler.Clock`, optional
        Tells the time, and waits.
    rng : `~numpy.random.Generator`, optional
        Draws the jitter of waits.

    Raises
    ------
    ImportError
        If a coverage map is a file and mocpy is not installed.
    ValueError
        If a limit is not positive, or ``offline`` is given without a store.
    InvalidQueryError
        If a source is not known, or cannot serve a survey.

    Examples
    --------
    >>> from astropy.coordinates import SkyCoord
    >>> from mantis_astro import SurveyCutouts
    >>> coords = SkyCoord([150.1, 150.2], [2.2, 2.3], unit="deg")
    >>> source = SurveyCutouts()
    >>> for index, cutouts, statuses in source.iter_cutouts(
    ...     coords, ["ps1.g", "galex.NUV"]
    ... ):  # doctest: +SKIP
    ...     print(index, cutouts)
    >>> source.report()  # doctest: +SKIP
    >>> again = source.iter_cutouts(*source.failed())  # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        size: u.Quantity | Mapping | None = None,
        pixel_scale: Mapping | None = None,
        sources: Mapping | None = None,
        coverage: Mapping | None = None,
        store: CutoutSource | None = None,
        offline: bool = False,
        recheck: bool = False,
        connections_per_host: int | None = None,
        requests_per_second: float | None = None,
        deadline: u.Quantity | None = None,
        progress: bool = True,
        transport: Callable | None = None,
        clock: Clock | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        if offline and store is None:
            msg = "'offline' needs a 'store' to take cutouts from"
            raise ValueError(msg)
        if not (pixel_scale is None or isinstance(pixel_scale, Mapping)):
            msg = (
                "'pixel_scale' must map surveys to angles, as {'legacysurvey': 0.5 * "
                f"u.arcsec}} does; got {pixel_scale!r}"
            )
            raise TypeError(msg)
        if deadline is not None and not hasattr(deadline, "unit"):
            msg = f"'deadline' must be a time with a unit, got {deadline!r}"
            raise u.UnitsError(msg)
        for name, value in (
            ("connections_per_host", connections_per_host),
            ("requests_per_second", requests_per_second),
            ("deadline", deadline),
        ):
            if value is not None and not value > 0:
                msg = f"'{name}' must be positive, got {value}"
                raise ValueError(msg)
        self.store: Any = store
        self.offline = offline
        self.recheck = recheck
        self._size = size
        self._pixel_scale = {
            get_survey(name): scale for name, scale in (pixel_scale or {}).items()
        }
        self._sources = {
            get_survey(name): chosen for name, chosen in (sources or {}).items()
        }
        for survey, chosen in self._sources.items():
            choose_services(survey, chosen)  # a wrong one is an error here and now
        self._footprints = Footprints(coverage)
        self._connections = connections_per_host
        self._rate = requests_per_second
        self._deadline = (
            None if deadline is None else u.Quantity(deadline).to_value(u.s)
        )
        self._progress = progress
        self._make_transport = transport
        self._clock = clock or Clock()
        self._rng = np.random.default_rng() if rng is None else rng
        self._last: Run | None = None

    def __repr__(self):
        store = "" if self.store is None else f", store={self.store!r}"
        limit = f"{self.connections_per_host} connections per host"
        return f"<{type(self).__name__}: {limit}{store}>"

    @property
    def connections_per_host(self) -> int:
        """Requests under way at one host, an int."""
        return self._connections or conf.connections_per_host

    @property
    def requests_per_second(self) -> float:
        """Requests started per second at one host, a float; 0 for no limit."""
        return self._rate or conf.requests_per_second

    def plan(
        self, coords: SkyCoord | Table, bands: Iterable[BandLike] = BANDS
    ) -> RequestPlan:
        """
        Plan the requests, without sending any.

        What a store holds already is not taken off.

        Parameters
        ----------
        coords : `~astropy.coordinates.SkyCoord` or `~astropy.table.Table`
            Positions, shape (n,).
        bands : sequence of Band or str, optional
            Bands wanted.

        Returns
        -------
        RequestPlan
            Hosts, requests and expected time; ``print`` it.
        """
        coords = _as_coordinates(coords)
        ra, dec = coords.icrs.ra.deg, coords.icrs.dec.deg
        counts = []
        for survey, group in bands_by_survey(bands).items():
            fetcher = self._make_fetcher(survey)
            inside = self._footprints.contain(survey, ra, dec)
            good = inside & np.isfinite(ra) & np.isfinite(dec)
            unique = np.unique(np.stack([ra, dec])[:, good], axis=1)
            n_outside = int(np.sum(~inside))
            counts += [
                (survey.name, *seen, n_outside)
                for seen in fetcher.foresee(*unique, group, conf.positions_per_list)
            ]
        return make_plan(
            counts,
            len(coords),
            connections=self.connections_per_host,
            rate=self.requests_per_second,
            seconds=conf.seconds_per_request,
        )

    def iter_cutouts(
        self,
        coords: SkyCoord | Table,
        bands: Iterable[BandLike] = BANDS,
        *,
        ordered: bool = False,
        keys: Sequence[str | int] | None = None,
    ) -> Iterator[CutoutResult]:
        """
        Yield the cutouts of each object as they come.

        Leaving the loop, closing the generator or Ctrl-C breaks off what is under way
        and ends all threads.

        Parameters
        ----------
        coords : `~astropy.coordinates.SkyCoord` or `~astropy.table.Table`
            Positions, shape (n,), or a table in which they are found.
        bands : sequence of Band or str, optional
            Bands wanted; by default the nine of the published network.
        ordered : bool, optional
            Whether objects come in the order of ``coords``. By default they come as
            they are finished, which is sooner.
        keys : sequence of str or int, optional
            Names of the objects in the store; by default their positions. What is there
            under a position gets its name.

        Yields
        ------
        index : int
            Index into ``coords``; each comes once.
        cutouts : MultibandCutout
            The bands that are ok.
        statuses : dict of Band to CutoutStatus
            One for each band asked for.

        Raises
        ------
        KeyError
            `~mantis_astro.exceptions.MissingBandError` for an unknown band.
        InvalidQueryError
            If no server of a band is known, or a size is wrong.
        ValueError
            If the store is open for reading, or a name stands for two objects.
        TypeError
            If a name is neither text nor an integer; a masked one is neither.

        Warns
        -----
        `~mantis_astro.exceptions.FetchWarning`
            At the end, if a host counts as down; with the reason.
        """
        coords = _as_coordinates(coords)
        if keys is not None and len(keys) != len(coords):
            msg = f"'keys' must name each of {len(coords)} objects, got {len(keys)}"
            raise ValueError(msg)
        with DeferredInterrupt():
            plan = self.plan(coords, bands)  # a wrong call is an error here and now
            if hasattr(self.store, "check_additions") and not self.offline:
                self.store.check_additions(coords, keys)
            run = self._last = Run(
                coords,
                bands_by_survey(bands),
                keys,
                ordered=ordered,
                footprints=self._footprints,
                store=self.store,
                offline=self.offline,
                recheck=self.recheck,
                clock=self._clock,
            )
        return self._iterate(run, None if self.offline else plan)

    def report(self) -> Table:
        """
        Report the result of each band of each object of the last call.

        Returns
        -------
        `~astropy.table.Table`
            Columns ``Local Path``, ``Status``, ``Message`` and ``URL`` as in the
            manifests of `astroquery.mast`, then ``object`` (index) and ``band``. What
            was not reached is ``pending``.

        Raises
        ------
        ValueError
            If `iter_cutouts` was not called yet.
        """
        run = self._require_run()
        fetchers = {survey: self._make_fetcher(survey) for survey in run.groups}

        def make_url(ra, dec, band, file, source):
            survey = get_survey(band.survey)
            group = run.groups[survey] if file is None else (band,)
            return fetchers[survey].image_url(ra, dec, group, file, source)

        return run.ledger.to_table(make_url, str(getattr(self.store, "path", "")))

    def failed(self) -> StillMissing:
        """
        Return what the last call did not get, for another call.

        Returns
        -------
        StillMissing
            ``source.iter_cutouts(*source.failed())`` asks again; ``.index`` leads back
            to the objects first asked for.

        Raises
        ------
        ValueError
            If `iter_cutouts` was not called yet.
        """
        return self._require_run().ledger.missing()

    def counts(self) -> dict[str, int]:
        """
        Count the bands of the last call in each state.

        Returns
        -------
        dict of str to int
            Numbers by ``"ok"``, ``"no_coverage"``, ``"failed"`` and ``"pending"``.
        """
        return self._require_run().ledger.counts()

    def requests_sent(self) -> dict[str, int]:
        """
        Count the requests that the last call sent, repetitions included.

        Returns
        -------
        dict of str to int
            Numbers by host.
        """
        return self._require_run().requests_sent()

    def _require_run(self):
        if self._last is None:
            msg = "nothing was requested yet: call iter_cutouts first"
            raise ValueError(msg)
        return self._last

    def _iterate(self, run, plan):
        log.info("%s", plan or "offline")
        title = None if log.isEnabledFor(logging.INFO) else plan  # told once
        bar = progress_bar(len(run.coords), wanted=self._progress, title=title)
        done = 0
        with contextlib.closing(run), bar as update:
            run.start(self._make_scheduler(), self._make_fetcher, self._deadline)
            while not run.is_finished:
                for target in run.take_finished():
                    update(done := done + 1)
                    with DeferredInterrupt():
                        handed_over = run.hand_over(target)
                    yield handed_over
                with DeferredInterrupt():
                    run.advance()
        _warn_of(run.hosts_down(), run.ledger)

    def _make_scheduler(self):
        return make_scheduler(
            None if self._make_transport is None else self._make_transport(),
            connections_per_host=self.connections_per_host,
            requests_per_second=self.requests_per_second,
            clock=self._clock,
            rng=self._rng,
        )

    def _make_fetcher(self, survey, scheduler=None, settle=None):
        size = self._size
        if isinstance(size, Mapping):
            size = {get_survey(name): angle for name, angle in size.items()}.get(survey)
        return make_fetcher(
            choose_services(survey, self._sources.get(survey)),
            lambda _: scheduler,
            settle,
            size=size,
            pixel_scale=self._pixel_scale.get(survey),
        )


def _warn_of(hosts_down, ledger):
    """Warn once of missing cutouts, with a line of reasons for each host."""
    if hosts_down:
        n_lacking, n = len(ledger.missing()), len(ledger.coords)
        reasons = "".join(f"\n  {reason}" for reason in hosts_down.values())
        msg = f"cutouts of {n_lacking} of {n} objects could not be fetched:{reasons}"
        warnings.warn(msg, FetchWarning, stacklevel=3)


def _as_coordinates(coords):
    if isinstance(coords, Table):
        return find_coordinates(coords)[0]
    if not isinstance(coords, SkyCoord):
        msg = f"'coords' must be a SkyCoord or a Table, got {type(coords).__name__}"
        raise TypeError(msg)
    if coords.ndim != 1:
        msg = (
            f"'coords' must have shape (n,), got {coords.shape}; "
            "coords.reshape(-1) makes it so"
        )
        raise ValueError(msg)
    return coords
