"""`Run`: one pass over a table, and the objects in progress."""

import logging
from collections import deque

import numpy as np
from astropy.coordinates import SkyCoord

from mantis_astro.bands import get_survey
from mantis_astro.cutouts import NO_COVERAGE, OK, MultibandCutout, failed
from mantis_astro.services.configuration import conf
from mantis_astro.services.interruption import DeferredInterrupt
from mantis_astro.services.report import Ledger
from mantis_astro.services.validation import BadAnswerError, check_geometry

__all__ = ["Run"]

log = logging.getLogger(__name__)

# Between saves: twenty times what saving took, but no more work than a kill may cost.
_SAVE_PAUSE, _LONGEST_SAVE_PAUSE = 20, 0.25  # the second in seconds
_STRIP = 0.4  # degrees, a skycell: neighbours are taken together, as PS1's cache likes


class Run:
    """
    One pass over a table.

    Objects are taken on in chunks, and no more than two chunks are under way or wait
    to be handed over: that bounds memory, whatever the length of the table and however
    slow the caller.

    Parameters
    ----------
    coords : `~astropy.coordinates.SkyCoord`
        Positions, shape (n,).
    groups : dict of Survey to tuple of Band
        Bands wanted.
    keys : sequence or None
        Names of the objects in the store.
    ordered : bool
        Whether objects are handed over in the order of ``coords``.
    footprints : Footprints
        Where surveys looked.
    store : CutoutSource or None
        Asked first; told what was fetched, if it has ``add`` or ``add_many``: before an
        object is handed over, and else as often as costs little.
    offline : bool
        Whether to ask nobody else.
    recheck : bool
        Whether to ask again where the store says that there is no image.
    clock : Clock
        Time.
    """

    def __init__(
        self,
        coords,
        groups,
        keys,
        *,
        ordered,
        footprints,
        store,
        offline,
        recheck,
        clock,
    ):
        self.coords = coords
        self.groups = groups
        self.bands = tuple(band for group in groups.values() for band in group)
        self.ledger = Ledger(coords, self.bands)
        self._keys = keys
        self._ordered = ordered
        self._footprints = footprints
        self._store = store
        self._recheck = recheck
        self._can_save = hasattr(store, "add") or hasattr(store, "add_many")
        self._clock = clock
        self._ra, self._dec = coords.icrs.ra.deg, coords.icrs.dec.deg
        self._order = np.arange(len(coords))
        self._chunk = conf.positions_per_list
        self._twins = _Twins(self._ra, self._dec, 2 * self._chunk)
        self._n_admitted = self._n_handed_over = 0
        self._under_way = {}
        self._unsaved = {}  # index -> target, with images that are not on disk yet
        self._next_save = -np.inf
        self._finished = {} if ordered else deque()
        self._refusal = LookupError("not in the store") if offline else None
        self._scheduler = self._until = None
        self._fetchers = {}

    @property
    def is_finished(self):
        """Whether every object was handed over."""
        return self._n_handed_over == len(self.coords)

    def start(self, scheduler, make_fetcher, deadline):
        """
        Begin; threads may start from here on.

        Parameters
        ----------
        scheduler : Scheduler
            Sends jobs; closed with this run.
        make_fetcher : callable
            ``make_fetcher(survey, scheduler, settle)``.
        deadline : float or None
            Seconds for the whole run.
        """
        self._scheduler = scheduler
        self._fetchers = {
            survey: make_fetcher(survey, scheduler, self._settle)
            for survey in self.groups
        }
        tiles = [f.prepare(self._ra, self._dec) for f in self._fetchers.values()]
        if not self._ordered:
            self._order = self._arrange(tiles)
        if deadline is not None:
            self._until = self._clock.now() + deadline
            self._deadline = deadline

    def advance(self):
        """Start more objects while there is room, or wait for one answer."""
        if self._is_too_late():
            self._give_up()
        elif self._has_room():
            self._admit()
        elif self._scheduler.pending:
            self._scheduler.step(self._until)
            if self._unsaved and self._clock.now() >= self._next_save:
                self._save()

    def take_finished(self):
        """
        Return the objects that are complete.

        Yields
        ------
        object
            For `hand_over`.
        """
        while self._finished:
            if not self._ordered:
                yield self._finished.popleft()
            elif self._n_handed_over in self._finished:
                yield self._finished.pop(self._n_handed_over)
            else:
                return

    def hand_over(self, target):
        """
        Return the result for the caller, once it is on disk.

        Parameters
        ----------
        target : object
            From `take_finished`.

        Returns
        -------
        index : int
            Index into ``coords``.
        cutouts : MultibandCutout
            The bands that are ok.
        statuses : dict of Band to CutoutStatus
            One for each band.
        """
        coord = self.coords[target.index]
        if target.index in self._unsaved:
            self._save()
        self._n_handed_over += 1
        statuses = {band: target.statuses[band] for band in self.bands}
        return target.index, MultibandCutout(coord, target.images), statuses

    def requests_sent(self):
        """
        Count the requests sent, repetitions included.

        Returns
        -------
        dict of str to int
            Numbers by host.
        """
        return {} if self._scheduler is None else dict(self._scheduler.sent)

    def hosts_down(self):
        """
        Return the hosts that count as down, with the reasons.

        Returns
        -------
        dict of str to str
            A sentence for each host.
        """
        return {} if self._scheduler is None else self._scheduler.hosts_down()

    def close(self):
        """Cancel open requests, keep answers and end all threads."""
        with DeferredInterrupt():
            if self._scheduler is not None:
                self._scheduler.close()
            self._save()

    def _arrange(self, tiles):
        """Order in which tiles are read one after the other, large ones foremost."""
        tiles = sorted(tiles, key=lambda some: -len(np.unique(some)))
        strip = np.floor(self._dec / _STRIP)
        return np.lexsort((self._dec, self._ra, strip, *tiles))

    def _save(self):
        """Put on disk what was fetched since the last time, of all objects together."""
        targets = list(self._unsaved.values())
        self._unsaved.clear()
        start = self._clock.now()
        rows = [(t.key, self.coords[t.index], *t.take_fetched()) for t in targets]
        if not rows:
            return
        if hasattr(self._store, "add_many"):
            self._store.add_many(rows)
        else:
            for row in rows:
                self._store.add(*row)
        for target in targets:
            self.ledger.note_local(target.index, target.images)
        end = self._clock.now()
        self._next_save = end + min(_SAVE_PAUSE * (end - start), _LONGEST_SAVE_PAUSE)

    def _has_room(self):
        waiting = self._n_admitted - self._n_handed_over
        return self._n_admitted < len(self.coords) and waiting <= self._chunk

    def _is_too_late(self):
        return (
            self._until is not None
            and self._refusal is None
            and self._clock.now() >= self._until
        )

    def _give_up(self):
        self._scheduler.close()
        self._refusal = TimeoutError(f"not there within {self._deadline:g} s")
        for target in list(self._under_way.values()):
            self._settle_open(target, self.bands, self._refusal)

    def _admit(self):
        chunk = self._order[self._n_admitted : self._n_admitted + self._chunk]
        self._n_admitted += len(chunk)
        targets = []
        for i in map(int, chunk):
            key = None if self._keys is None else self._keys[i]
            target = _Target(i, float(self._ra[i]), float(self._dec[i]), key)
            self._under_way[i] = target
            if np.isfinite(target.ra) and np.isfinite(target.dec):
                targets.append(target)
            else:
                error = ValueError("the position is not finite")
                self._settle_open(target, self.bands, error)
        targets = [target for target in targets if not self._follows(target)]
        if self._store is not None:
            self._take_from_store(targets)
        for survey, group in self.groups.items():
            self._fetch(survey, group, targets)

    def _follows(self, target):
        """Whether all that is wanted of an object comes with one at the same place."""
        leader = self._twins.leader(target)
        if leader is None:
            return False
        for band, status in leader.statuses.items():
            if status.is_final:
                self._settle(
                    target, band, leader.images.get(band), local=self._shares_entries
                )
        if leader.index in self._under_way:
            leader.followers.append(target)
        return leader.index in self._under_way

    @property
    def _shares_entries(self):
        """Whether objects at the same place are one in the store."""
        return self._can_save and self._keys is None

    def _take_from_store(self, targets):
        """Use local copies that are what would be asked for."""
        coords = SkyCoord([t.ra for t in targets], [t.dec for t in targets], unit="deg")
        options = {}
        if self._keys is not None and hasattr(self._store, "name_objects"):
            options["keys"] = [t.key for t in targets]
            if self._refusal is None:
                self._store.name_objects(coords, **options)
        answers = self._store.iter_cutouts(coords, self.bands, **options)
        for i, cutouts, statuses in answers:
            target = targets[i]
            if target.key is None:
                target.key = cutouts.meta.get("key")
            for band, status in statuses.items():
                image = cutouts.get(band)
                if status.is_ok and self._is_as_asked(image, band, target):
                    self._settle(target, band, image, local=True)
                elif status.state == "no_coverage" and not self._recheck:
                    self._settle(target, band, None, local=True)

    def _is_as_asked(self, image, band, target):
        fetcher = self._fetchers[get_survey(band.survey)]
        try:
            check_geometry(image, band, fetcher.expect(target, band))
        except BadAnswerError as error:
            log.info("object %d, local copy not used: %s", target.index, error)
            return False
        return True

    def _fetch(self, survey, group, targets):
        ra, dec = [t.ra for t in targets], [t.dec for t in targets]
        inside = self._footprints.contain(survey, ra, dec)
        wanted = {}  # bands that are still open -> objects
        for target, is_inside in zip(targets, inside, strict=True):
            if not is_inside:
                self._settle_open(target, group, None)
            elif self._refusal is not None:
                self._settle_open(target, group, self._refusal)
            elif bands := tuple(b for b in group if b not in target.statuses):
                wanted.setdefault(bands, []).append(target)
        for bands, some in wanted.items():
            self._fetchers[survey].fetch(some, bands)

    def _settle_open(self, target, bands, outcome):
        for band in bands:
            self._settle(target, band, outcome)

    def _settle(self, target, band, outcome, file=None, source=0, *, local=False):
        """Record the result of a band: an image, None (no coverage) or an exception."""
        if band in target.statuses:
            return
        if isinstance(outcome, Exception):
            status = failed(str(outcome))
        elif outcome is None:
            status = NO_COVERAGE
        else:
            status = OK
            target.images[band] = outcome
        target.statuses[band] = status
        if not local and status.is_final and self._can_save:
            target.fetched.append(band)
            self._unsaved[target.index] = target
        self.ledger.note(target.index, band, status, file=file, source=source)
        if local:
            self.ledger.note_local(target.index, target.images)
        if len(target.statuses) == len(self.bands):
            del self._under_way[target.index]
            if self._ordered:
                self._finished[target.index] = target
            else:
                self._finished.append(target)
        for follower in target.followers:
            shared = local or self._shares_entries
            self._settle(follower, band, outcome, file, source, local=shared)


class _Twins:
    """
    The first objects at positions that occur again further on, and are asked for once.

    Parameters
    ----------
    ra, dec : `~numpy.ndarray` of float
        ICRS degrees, shape (n,).
    n_most : int
        Positions that are remembered at the same time; the oldest is forgotten first.
    """

    def __init__(self, ra, dec, n_most):
        position = np.round(ra, 7) + 1j * np.round(dec, 7)  # as an address has them
        _, self._place, self._ahead = np.unique(
            position, return_inverse=True, return_counts=True
        )
        self._n_most = n_most
        self._leaders = {}  # place -> the first object there

    def leader(self, target):
        """Object at the same place that was taken on before, or None."""
        place = self._place[target.index]
        self._ahead[place] -= 1
        leader = self._leaders.pop(place, None)
        if self._ahead[place]:
            self._leaders[place] = target if leader is None else leader
            if len(self._leaders) > self._n_most:
                del self._leaders[next(iter(self._leaders))]
        return leader


class _Target:
    """One object on its way."""

    __slots__ = (
        "dec",
        "fetched",
        "followers",
        "images",
        "index",
        "key",
        "ra",
        "statuses",
    )

    def __init__(self, index, ra, dec, key):
        self.index = index
        self.ra = ra
        self.dec = dec
        self.key = key
        self.images = {}
        self.statuses = {}
        self.followers = []  # objects at the same place, taken on meanwhile
        self.fetched = []  # bands that are not on disk yet

    def take_fetched(self):
        """Images and statuses of the bands that were just fetched."""
        bands, self.fetched = self.fetched, []
        images = {band: self.images[band] for band in bands if band in self.images}
        return images, {band: self.statuses[band] for band in bands}
