"""Jobs: work that takes longer than a request, in a queue, each with a secret name."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mantis_astro.web.limits import Limits

__all__ = ["BusyError", "CancelledError", "Job", "JobQueue", "sentence"]

log = logging.getLogger(__name__)

_WORKERS = 2  # one may wait for servers while another computes


class BusyError(RuntimeError):
    """The server has no room for another job."""


class CancelledError(Exception):
    """The job was cancelled, or its time is up."""


class Job:
    """
    A piece of work, and its progress.

    Parameters
    ----------
    title : str
        What it is, for people.
    seconds : float
        Time that it may take from when it is begun.

    Attributes
    ----------
    id : str
        Its name, which cannot be guessed.
    state : str
        ``"waiting"``, ``"running"``, ``"done"``, ``"failed"`` or ``"cancelled"``.
    message : str
        Where it is, or why it failed, in words.
    done, total : int
        How many of how many steps; 0 of 0 where that is not known yet.
    result : object or None
        Once it is done.
    stopped : `threading.Event`
        Set once nobody wants the answer any more.
    """

    def __init__(self, title: str, seconds: float) -> None:
        self.id = secrets.token_urlsafe(24)
        self.title, self.seconds = title, seconds
        self.state, self.message = "waiting", "waits for its turn"
        self.done = self.total = 0
        self.result: Any = None
        self.stopped = threading.Event()
        self.deadline = float("inf")
        self.finished_at = float("inf")

    def report(self, message: str, done: int = 0, total: int = 0) -> None:
        """
        Report progress; called by the work itself.

        Parameters
        ----------
        message : str
            What is being done.
        done, total : int, optional
            How many of how many steps.

        Raises
        ------
        CancelledError
            If it is to end now.
        """
        self.check()
        self.message, self.done, self.total = message, done, total

    def check(self) -> None:
        """
        Raise an error if the work must end now.

        Raises
        ------
        CancelledError
            If it was cancelled, or its time is up.
        """
        if self.stopped.is_set():
            msg = "it was cancelled"
            raise CancelledError(msg)
        if time.monotonic() > self.deadline:
            msg = f"it was not finished in {self.seconds:g} s, which is the limit"
            raise CancelledError(msg)

    def run(self, work: Callable[[Job], Any], errors: tuple) -> None:
        """
        Run the work, and record its result or its error.

        Parameters
        ----------
        work : callable
            Is given this job, returns the result.
        errors : tuple of type
            Exceptions whose text is for the one who asked.
        """
        if self.stopped.is_set():
            self._end("cancelled", "it was cancelled")
            return
        self.deadline = time.monotonic() + self.seconds
        self.state, self.message = "running", "begins"
        try:
            self.result = work(self)
        except CancelledError as error:
            self._end("cancelled" if self.stopped.is_set() else "failed", str(error))
        except errors as error:
            self._end("failed", sentence(error))
        except Exception:  # ours, not theirs: the trace is for who runs the server
            log.exception("a job failed")
            self._end("failed", "an error of the server's own, which its log describes")
        else:
            self.done = self.total
            self._end("done", "done")

    def _end(self, state, message):
        self.message, self.finished_at = message, time.monotonic()
        self.state = state  # last: who sees it sees all of it


def sentence(error: BaseException) -> str:
    """
    Return the message of an exception.

    Parameters
    ----------
    error : Exception
        The exception.

    Returns
    -------
    str
        Without the quotes that a KeyError puts around it.
    """
    return str(error.args[0] if type(error) is KeyError and error.args else error)


class JobQueue:
    """
    Jobs in the order in which they came; results are kept for a while.

    Parameters
    ----------
    limits : Limits
        How many may wait, and what is kept for how long.
    errors : tuple of type
        Exceptions whose text is for the one who asked.
    """

    def __init__(self, limits: Limits, errors: tuple) -> None:
        self._limits, self._errors = limits, errors
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(_WORKERS, "job")

    def submit(self, title: str, work: Callable[[Job], Any]) -> Job:
        """
        Put a job at the end of the queue.

        Parameters
        ----------
        title : str
            What it is.
        work : callable
            Is given the job, returns the result.

        Returns
        -------
        Job
            Waiting, or begun.

        Raises
        ------
        BusyError
            If too many wait.
        """
        job = Job(title, self._limits.job_seconds)
        with self._lock:
            self._forget()
            waiting = sum(other.state == "waiting" for other in self._jobs.values())
            if waiting >= self._limits.waiting_jobs:
                msg = f"{waiting} jobs wait already; try again later"
                raise BusyError(msg)
            self._jobs[job.id] = job
        self._pool.submit(job.run, work, self._errors)
        return job

    def find(self, name: str) -> Job | None:
        """
        Find a job.

        Parameters
        ----------
        name : str
            Its secret name.

        Returns
        -------
        Job or None
            None if there is none, or no more.
        """
        with self._lock:
            self._forget()
            return self._jobs.get(name)

    def remove(self, name: str) -> bool:
        """
        Cancel a job, and forget its result.

        Parameters
        ----------
        name : str
            Its secret name.

        Returns
        -------
        bool
            Whether there was one.
        """
        with self._lock:
            job = self._jobs.pop(name, None)
        if job is not None:
            job.stopped.set()
        return job is not None

    def count_before(self, job: Job) -> int:
        """
        Count the jobs that are before a waiting one.

        Parameters
        ----------
        job : Job
            The job.

        Returns
        -------
        int
            How many run or wait before it.
        """
        before = 0
        with self._lock:
            for other in self._jobs.values():
                if other is job:
                    break
                before += other.state in ("waiting", "running")
        return before

    def close(self) -> None:
        """Cancel all, and wait for the threads."""
        with self._lock:
            for job in self._jobs.values():
                job.stopped.set()
        self._pool.shutdown(cancel_futures=True)

    def _forget(self):
        """Remove expired results, and the oldest of too many."""
        now, limits = time.monotonic(), self._limits
        finished = [j for j in self._jobs.values() if j.finished_at < float("inf")]
        finished.sort(key=lambda job: job.finished_at)
        surplus = len(finished) - limits.kept_jobs
        for i, job in enumerate(finished):
            if i < surplus or now - job.finished_at > limits.keep_seconds:
                del self._jobs[job.id]
