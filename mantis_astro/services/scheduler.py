"""`Scheduler`: order of requests, their repetition, and waits."""

import heapq
import itertools
import logging
import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mantis_astro.politeness import backoff, retry_after
from mantis_astro.services.answers import TransportError
from mantis_astro.services.configuration import conf
from mantis_astro.services.request import HttpRequest
from mantis_astro.services.transport import HttpTransport
from mantis_astro.services.validation import BadAnswerError

__all__ = ["Clock", "Job", "RetryPolicy", "Scheduler", "make_scheduler"]

log = logging.getLogger(__name__)

_REFUSALS = 2  # a 404 or the like may be an accident once
_UNREAD_ANSWERS = 64  # the network waits when the caller is that far behind
# Seconds. A signal that comes just before a wait begins is seen when the wait ends.
_LONGEST_WAIT = 0.2
_FAREWELL = 0.5  # seconds that threads have to end; a name look-up may take longer


class Clock:
    """System clock; tests replace it."""

    def now(self):
        """
        Return the time.

        Returns
        -------
        float
            Seconds since some moment.
        """
        return time.monotonic()

    def sleep(self, seconds, stop):
        """
        Wait, or until stopped.

        Parameters
        ----------
        seconds : float
            How long.
        stop : `threading.Event`
            Ends the wait.
        """
        stop.wait(seconds)

    def get(self, results, seconds):
        """
        Get an item of a queue, with a time-out.

        Parameters
        ----------
        results : `queue.Queue`
            The queue.
        seconds : float or None
            At most how long; None for no limit of the caller's.

        Returns
        -------
        object or None
            None if nothing came.
        """
        limits = [_LONGEST_WAIT] if seconds is None else [_LONGEST_WAIT, seconds]
        try:
            return results.get(timeout=min(limits))
        except queue.Empty:
            return None


@dataclass(frozen=True)
class RetryPolicy:
    """
    Number of retries of a request, and the waits between them.

    Attributes
    ----------
    retries : int
        Repetitions after the first try.
    backoff, backoff_max : float
        Seconds before the first repetition, doubling up to the largest wait.
    retry_after_max : float
        Longest ``Retry-After`` that is granted, in seconds.
    answer_timeout : float
        Seconds for one answer.
    total_timeout : float
        Seconds for a request with all its repetitions.
    give_up_after : float
        Seconds without one good answer after which a host counts as down.
    unreachable_after : float
        Seconds after which a host counts as down to which there was no connection yet.
    """

    retries: int
    backoff: float
    backoff_max: float
    retry_after_max: float
    answer_timeout: float
    total_timeout: float
    give_up_after: float
    unreachable_after: float = 15.0

    def wait(self, tries, rng):
        """
        Draw the wait before the next try.

        Parameters
        ----------
        tries : int
            Tries so far, at least 1.
        rng : `~numpy.random.Generator`
            Jitter, so that clients that failed together do not come back together.

        Returns
        -------
        float
            Half to all of ``backoff * 2**(tries - 1)``, at most ``backoff_max``.
        """
        return backoff(tries, first=self.backoff, longest=self.backoff_max, rng=rng)


@dataclass(slots=True, eq=False)
class Job:
    """
    Request, check of its answer, and callback.

    Attributes
    ----------
    http : HttpRequest
        What is sent.
    accept : callable
        Takes an Answer; returns what it means, or raises BadAnswerError.
    done : callable
        Takes what ``accept`` returned, or an exception after the last try.
    is_whole : callable
        Takes what ``accept`` returned; whether it lacks nothing that was asked for.
    tries : int
        How often it was sent.
    refusals : int
        How often the answer was one that is likely to come again.
    started : float or None
        When it was first sent.
    """

    http: HttpRequest
    accept: Callable
    done: Callable
    is_whole: Callable = lambda _: True
    tries: int = 0
    refusals: int = 0
    started: float | None = None


class Scheduler:
    """
    Sends jobs with a cap for each host, and repeats those that fail.

    Threads send; everything else (judging answers, deciding on repetitions, calling
    ``done``) happens in the thread that calls `step`, one answer at a time.

    Parameters
    ----------
    transport : HttpTransport
        Has ``send(http, seconds=...)`` and ``close()``.
    policy : RetryPolicy
        Repetitions and waits.
    connections_per_host : int
        Requests under way at one host.
    requests_per_second : float
        Requests started per second at one host; 0 for no such limit.
    clock : Clock
        Time.
    rng : `~numpy.random.Generator`
        Jitter.

    Attributes
    ----------
    pending : int
        Jobs that are not done.
    sent : `collections.Counter` of str
        Requests sent, by host.
    """

    def __init__(
        self,
        transport,
        policy,
        *,
        connections_per_host,
        requests_per_second,
        clock,
        rng,
    ):
        self.pending = 0
        self.sent = Counter()
        self._transport = transport
        self._policy = policy
        self._cap = connections_per_host
        self._rate = requests_per_second
        self._clock = clock
        self._rng = rng
        self._hosts = {}
        self._delayed = []  # heap of (due, number, job)
        self._number = itertools.count()
        self._results = queue.Queue(_UNREAD_ANSWERS)
        self._stop = threading.Event()

    def hosts_down(self):
        """
        Return the hosts that count as down, with the reasons.

        Returns
        -------
        dict of str to str
            A sentence for each host.
        """
        hosts = self._hosts.values()
        return {host.name: host.down for host in hosts if host.down is not None}

    def submit(self, job):
        """
        Accept a job.

        Parameters
        ----------
        job : Job
            Sent after those already taken on for its host.
        """
        self.pending += 1
        self._host(job).put(job)

    def step(self, until=None):
        """
        Wait a moment for an answer, and deal with it if it comes.

        Parameters
        ----------
        until : float, optional
            Time to come back at the latest.
        """
        self._release_due()
        moments = [due for due, *_ in self._delayed[:1]]
        if until is not None:
            moments.append(until)
        wait = max(min(moments) - self._clock.now(), 0.0) if moments else None
        result = self._clock.get(self._results, wait)
        if result is not None:
            self._judge(*result)

    def close(self):
        """Cancel all open requests, keep good answers that came, end the threads."""
        self._stop.set()
        for host in self._hosts.values():
            host.wake()
        self._transport.close()
        until = time.monotonic() + _FAREWELL
        self._keep_unread(until)
        for host in self._hosts.values():
            for thread in host.threads:
                thread.join(max(until - time.monotonic(), 0.0))

    def _host(self, job):
        name = job.http.host
        if name not in self._hosts:
            self._hosts[name] = _Host(name, self._rate, self._policy)
        host = self._hosts[name]
        if len(host.threads) < self._cap:
            thread = threading.Thread(
                target=self._work,
                args=(host,),
                name=f"mantis_astro {name}",
                daemon=True,
            )
            host.threads.append(thread)
            thread.start()
        return host

    def _work(self, host):
        """Send one job after the other; the whole life of a thread."""
        while (job := host.take(self._stop)) is not None:
            host.wait_for_turn(self._clock, self._stop)
            if self._stop.is_set():
                return
            self._deliver(job, self._send(job, host))

    def _send(self, job, host):
        if host.down is not None:
            return TransportError(host.down)
        now = self._clock.now()
        job.started = now if job.started is None else job.started
        host.first_try = now if host.first_try is None else host.first_try
        job.tries += 1
        self.sent[host.name] += 1
        left = job.started + self._policy.total_timeout - now
        try:
            answer = self._transport.send(
                job.http, seconds=min(self._policy.answer_timeout, left)
            )
        except Exception as error:  # noqa: BLE001  raised where the caller sees it
            return error
        asked = self._asked_wait(answer)
        if asked is not None:  # at once: the caller may look at the answer much later
            host.pause(self._clock.now() + asked)
        return answer

    def _asked_wait(self, outcome):
        """Seconds that a refusing server asks to be left alone, or None."""
        if getattr(outcome, "status", 200) < 400:
            return None
        asked = retry_after(outcome.headers)
        return None if asked is None else min(asked, self._policy.retry_after_max)

    def _deliver(self, job, outcome):
        arrival = self._clock.now()
        while not self._stop.is_set():
            try:
                self._results.put((job, outcome, arrival), timeout=0.1)
            except queue.Full:
                continue
            return

    def _judge(self, job, outcome, arrival):
        host = self._hosts[job.http.host]
        host.was_reached |= not getattr(outcome, "unreachable", False)
        if job.started is not None:  # time that the caller took is not the server's
            job.started += self._clock.now() - arrival
        if isinstance(outcome, TransportError):
            self._repeat_or_fail(job, host, outcome, outcome)
            return
        if isinstance(outcome, Exception):
            raise outcome
        try:
            accepted = job.accept(outcome)
        except BadAnswerError as error:
            self._repeat_or_fail(job, host, error, outcome)
        except Exception as error:  # noqa: BLE001  a broken file stops its object only
            msg = f"the answer cannot be read ({error!r})"
            self._repeat_or_fail(job, host, BadAnswerError(msg), outcome)
        else:
            host.note_success()
            self._finish(job, accepted)

    def _keep_unread(self, until):
        """Finish jobs whose good answers nobody has looked at; no other is tried."""
        while time.monotonic() < until:
            try:
                job, outcome, _ = self._results.get_nowait()
            except queue.Empty:
                return
            if isinstance(outcome, Exception):
                continue
            try:
                accepted = job.accept(outcome)
            except Exception as error:  # noqa: BLE001  it will be asked for again
                log.debug("an answer is not kept: %s", error)
            else:
                self._finish(job, accepted)

    def _repeat_or_fail(self, job, host, error, outcome):
        if host.down is not None:
            self._finish(job, error)
            return
        now = self._clock.now()
        host.note_failure(now, error, self._cap, self._rng)
        job.refusals += getattr(error, "lasting", False)
        spent = job.tries > self._policy.retries or job.refusals >= _REFUSALS
        wait = min(self._policy.wait(job.tries, self._rng), host.patience(now))
        asked = self._asked_wait(outcome)
        if asked is not None:
            wait = max(wait, asked)
            host.pause(now + wait)
        if spent or now + wait > job.started + self._policy.total_timeout:
            self._finish(job, _final(error, job, now))
            return
        heapq.heappush(self._delayed, (now + wait, next(self._number), job))

    def _release_due(self):
        now = self._clock.now()
        while self._delayed and self._delayed[0][0] <= now:
            *_, job = heapq.heappop(self._delayed)
            self._hosts[job.http.host].put(job, first=True)

    def _finish(self, job, outcome):
        self.pending -= 1
        job.done(outcome)


class _Host:
    """Jobs that wait for a host, and the limits of requests to it."""

    def __init__(self, name, rate, policy):
        self.name = name
        self.threads = []
        self.down = None
        self.first_try = None
        self.was_reached = False
        self._interval = 1 / rate if rate > 0 else 0.0
        self._policy = policy
        self._ready = deque()
        self._condition = threading.Condition()
        self._next_turn = 0.0
        self._paused_until = 0.0
        self._failures = 0
        self._failing = 0.0  # seconds without a good answer
        self._last_failure = None

    def put(self, job, *, first=False):
        with self._condition:
            (self._ready.appendleft if first else self._ready.append)(job)
            self._condition.notify()

    def take(self, stop):
        """Wait for a job; None when stopped."""
        with self._condition:
            while not self._ready:
                if stop.is_set():
                    return None
                self._condition.wait()
            return None if stop.is_set() else self._ready.popleft()

    def wake(self):
        with self._condition:
            self._condition.notify_all()

    def wait_for_turn(self, clock, stop):
        """Wait for the rate limit, and while the host wants to be left alone."""
        with self._condition:
            now = clock.now()
            turn = max(self._next_turn, now)
            self._next_turn = turn + self._interval
        while not stop.is_set() and self.down is None:
            wait = max(turn, self._paused_until) - clock.now()
            if wait <= 0:
                return
            clock.sleep(wait, stop)

    def pause(self, until):
        self._paused_until = max(self._paused_until, until)

    def note_success(self):
        self._failures, self._failing, self._last_failure = 0, 0.0, None

    def note_failure(self, now, error, cap, rng):
        """Increase the waits of a host that keeps failing."""
        self._failures += 1
        if (
            self._last_failure is not None
        ):  # a caller who paused is not the host's fault
            longest = self._policy.backoff_max + self._policy.answer_timeout
            self._failing += min(now - self._last_failure, longest)
        self._last_failure = now
        if self.patience(now) <= 0:
            self._give_up(f"no connection in {now - self.first_try:.0f} s", error)
        rounds = self._failures // cap - 1
        if rounds < 1:
            return
        self.pause(now + min(self._policy.wait(rounds, rng), self.patience(now)))
        if self._failing > self._policy.give_up_after:
            tries = f"{self._failures} tries in {self._failing:.0f} s"
            self._give_up(f"{tries} without one good answer", error)

    def patience(self, now):
        """Seconds after which a host without any answer counts as down."""
        if self.was_reached or self.first_try is None:
            return float("inf")
        return max(self.first_try + self._policy.unreachable_after - now, 0.0)

    def _give_up(self, reason, error):
        if self.down is None:
            self.down = f"{self.name} counts as down: {reason}; last: {error}"
            log.warning("%s", self.down)


def _final(error, job, now):
    """Describe the tries before the failure."""
    tries = "once" if job.tries == 1 else f"{job.tries} times"
    msg = f"{error}; tried {tries} in {now - job.started:.3g} s"
    return TransportError(msg, timed_out=getattr(error, "timed_out", False))


def make_scheduler(
    transport=None,
    *,
    connections_per_host=None,
    requests_per_second=None,
    read_timeout=None,
    clock=None,
    rng=None,
):
    """
    Create a scheduler with the current limits of ``conf``.

    Parameters
    ----------
    transport : object, optional
        Sends requests; by default an `HttpTransport`.
    connections_per_host : int, optional
        Requests under way at one host.
    requests_per_second : float, optional
        Requests started per second at one host; 0 for no such limit.
    read_timeout : float, optional
        Seconds between two bytes of an answer.
    clock : Clock, optional
        Time.
    rng : `~numpy.random.Generator`, optional
        Jitter.

    Returns
    -------
    Scheduler
        Without threads until a job is submitted.
    """
    connections = connections_per_host or conf.connections_per_host
    if transport is None:
        transport = HttpTransport(
            connections_per_host=connections,
            connect_timeout=conf.connect_timeout,
            read_timeout=conf.timeout if read_timeout is None else read_timeout,
        )
    return Scheduler(
        transport,
        RetryPolicy(
            retries=conf.retries,
            backoff=conf.backoff,
            backoff_max=conf.backoff_max,
            retry_after_max=conf.retry_after_max,
            answer_timeout=conf.answer_timeout,
            total_timeout=conf.total_timeout,
            give_up_after=conf.give_up_after,
            unreachable_after=conf.unreachable_after,
        ),
        connections_per_host=connections,
        requests_per_second=(
            conf.requests_per_second
            if requests_per_second is None
            else requests_per_second
        ),
        clock=clock or Clock(),
        rng=np.random.default_rng() if rng is None else rng,
    )
