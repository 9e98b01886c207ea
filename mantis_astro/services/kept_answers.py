"""`KeptAnswers`: answers of servers on disk, used instead of a request."""

import hashlib
import logging
import time
from dataclasses import replace

from astroquery import cache_conf

from mantis_astro.atomic import atomic_file
from mantis_astro.services.answers import Answer

__all__ = ["KeptAnswers"]

log = logging.getLogger(__name__)


class KeptAnswers:
    """
    Job queue that answers from the cache, and sends other requests.

    An answer is kept only if it was accepted and lacks nothing that was asked for: what
    a survey does not have today may be a list that was cut short. A file that cannot
    be read, or whose content is not accepted, is removed and the server is asked. Where
    nothing can be written, nothing is kept.

    Parameters
    ----------
    scheduler : Scheduler
        Sends jobs.
    service : CutoutServiceClass
        Has the folder, ``cache_location``.
    """

    def __init__(self, scheduler, service):
        self._scheduler = scheduler
        self._service = service

    def submit(self, job):
        """
        Accept a job.

        Parameters
        ----------
        job : Job
            Done before this returns, if its answer is kept.
        """
        path = self._path(job.http)
        if path is None:
            self._scheduler.submit(job)
            return
        accepted = _read(path, job)
        if accepted is not None:
            job.done(accepted)
            return

        def accept(answer):
            accepted = job.accept(answer)
            if job.is_whole(accepted):
                _write(path, answer.content)
            return accepted

        self._scheduler.submit(replace(job, accept=accept))

    def _path(self, http):
        parts = (http.method, http.url, http.data, http.files)
        digest = hashlib.sha256(repr(parts).encode()).hexdigest()[:40]
        try:
            return self._service.cache_location / f"{digest}.answer"
        except OSError as error:  # a home that cannot be written
            log.info("no answers are kept: %s", error)
            return None


def _read(path, job):
    """Parse a kept answer; None if it is missing or damaged."""
    try:
        age = time.time() - path.stat().st_mtime
        limit = cache_conf.cache_timeout
        if limit is not None and age > limit:
            return None
        content = path.read_bytes()
    except OSError:
        return None
    try:
        accepted = job.accept(Answer(content=content))
    except Exception as error:  # noqa: BLE001  whatever a damaged file does to a parser
        log.warning("%s is damaged (%s): asking the server again", path, error)
    else:
        if job.is_whole(accepted):
            return accepted
    _remove(path)
    return None


def _write(path, content):
    try:
        with atomic_file(path) as temporary:  # a torn one would answer for ever
            temporary.write_bytes(content)
    except OSError as error:  # a folder that cannot be written, a full disk
        log.info("the answer is not kept: %s", error)


def _remove(path):
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.info("%s cannot be removed: %s", path, error)
