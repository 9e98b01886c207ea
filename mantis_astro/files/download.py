"""One file over HTTP: resumed by byte ranges, retried with patience and an end."""

import contextlib
import logging
import random
import re
import shutil
import time
from functools import partial

from mantis_astro.exceptions import FetchError
from mantis_astro.files.configuration import conf
from mantis_astro.politeness import backoff, retry_after, user_agent

__all__ = ["discard", "download", "length"]

log = logging.getLogger(__name__)

_CHUNK = 1 << 13  # bytes; also the most that a broken connection loses
_TEMPORARY = {408, 425, 429, 500, 502, 503, 504}
_LONGEST_WAIT = 120.0  # seconds, whatever a server's Retry-After says


class _TryAgainError(Exception):
    """A transient failure: its cause, and the wait that the server requests."""

    def __init__(self, problem, wait=None):
        super().__init__(problem)
        self.wait = wait


def download(known, part, timeouts, progress):
    """
    Complete a partial file.

    Parameters
    ----------
    known : KnownFile
        What to download.
    part : `~pathlib.Path`
        The partial file, which need not exist; it is continued if it does.
    timeouts : tuple of float
        Seconds to wait for a connection and for more bytes.
    progress : callable or None
        Called as ``progress(done, total)``.

    Raises
    ------
    OSError
        `~mantis_astro.exceptions.FetchError` if the server does not give the file;
        any other if it cannot be written.
    """
    import requests

    start = time.monotonic()
    rng = random.Random()  # noqa: S311  not for secrets
    failures, most = 0, 0
    if length(part) > known.size:
        discard(part)
    _check_room(known, part)
    with requests.Session() as session:
        session.headers.update(_headers())
        receive = partial(
            _receive, session, known, part, timeouts, start + conf.deadline, progress
        )
        while length(part) < known.size:
            problem, wait = _attempt(receive)
            have = length(part)
            if have >= known.size:
                return
            failures = 1 if have > most else failures + 1
            most = max(have, most)
            if failures > conf.retries:
                seconds = time.monotonic() - start
                problem += f"; tried {failures} times in a row, {seconds:.0f} s in all"
                raise _failure(known, part, problem)
            if wait is None:
                wait = backoff(
                    failures, first=conf.backoff, longest=_LONGEST_WAIT, rng=rng
                )
            log.info("%s: %s; trying again in %.1f s", known.name, problem, wait)
            left = max(start + conf.deadline - time.monotonic(), 0.0)
            time.sleep(min(wait, _LONGEST_WAIT, left))


def _attempt(receive):
    """Make one request; return the cause of a failure, and the requested wait."""
    import requests
    import urllib3

    try:
        receive()
    except _TryAgainError as error:
        return str(error), error.wait
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        return f"{type(error).__name__} ({error})", None
    return "the connection closed early", None


def _headers():
    return {
        "User-Agent": user_agent(),
        "Accept-Encoding": "identity",  # lengths and ranges are those of the file
    }


def _check_room(known, part):
    free = shutil.disk_usage(part.parent).free
    needed = known.size - length(part)
    if free < needed:
        msg = (
            f"'{known.name}' needs {needed / 1e6:,.1f} MB in {part.parent}, where "
            f"{free / 1e6:,.1f} MB are free: make room or set MANTIS_ASTRO_CACHE to "
            "another folder"
        )
        raise FetchError(msg)


def _receive(session, known, part, timeouts, deadline, progress):
    """Append the answer to one request to the partial file."""
    have = length(part)
    with session.get(
        known.url, headers=_range_headers(part, have), stream=True, timeout=timeouts
    ) as response:
        start = _start_of_answer(response, known, part, have)
        if start == 0:
            _note_etag(response, part)
        done = start
        with part.open("ab" if start else "wb") as handle:
            for chunk in _pieces(response):
                done += len(chunk)
                if done > known.size:
                    break
                handle.write(chunk)
                if progress is not None:
                    progress(done, known.size)
                if time.monotonic() > deadline:
                    break
    if done > known.size:
        discard(part)
        raise _failure(known, part, f"more than {known.size:,} bytes came")
    if done < known.size and time.monotonic() > deadline:
        problem = f"conf.deadline of {conf.deadline:g} s passed with {done:,} bytes"
        raise _failure(known, part, problem)


def _pieces(response):
    """Yield bytes as they arrive: a very slow server would never fill a chunk."""
    read = getattr(response.raw, "read1", response.raw.read)  # since urllib3 2.1
    while piece := read(_CHUNK, decode_content=True):
        yield piece


def _range_headers(part, have):
    if not have:
        return {}
    headers = {"Range": f"bytes={have}-"}
    with contextlib.suppress(FileNotFoundError):
        headers["If-Range"] = _etag_path(part).read_text()
    return headers


def _note_etag(response, part):
    """Keep the strong validator, so that a resumed download is of the same file."""
    etag = response.headers.get("ETag", "")
    if etag.startswith('"'):
        _etag_path(part).write_text(etag)
    else:
        _etag_path(part).unlink(missing_ok=True)


def _same_version(response, part):
    """Whether the file has changed since: not every server honours If-Range."""
    try:
        before = _etag_path(part).read_text()
    except FileNotFoundError:
        return True
    return response.headers.get("ETag", before) == before


def _start_of_answer(response, known, part, have):
    """Return the first byte of the answer, or the reason to reject it."""
    status = response.status_code
    if status in _TEMPORARY:
        problem = f"the server answered HTTP {status}"
        raise _TryAgainError(problem, retry_after(response.headers))
    if status == 200:
        _check_announced(response, known, part)
        return 0
    if status == 206 and have:
        match = re.fullmatch(
            r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "")
        )
        fits = match and int(match[1]) == have and match[2] in {str(known.size), "*"}
        if fits and _same_version(response, part):
            return have
    if have and status in {206, 416}:
        discard(part)
        problem = f"the server does not continue at byte {have:,}: starting over"
        raise _TryAgainError(problem, wait=0)
    raise _failure(known, part, f"HTTP {status} {response.reason}")


def _check_announced(response, known, part):
    """Refuse a log-in or error page before it replaces what has arrived."""
    announced = response.headers.get("Content-Length")
    if announced is None or "Content-Encoding" in response.headers:
        return
    if int(announced) != known.size:
        kind = response.headers.get("Content-Type", "unnamed type")
        got = f"{int(announced):,} bytes of {kind}"
        raise _failure(known, part, f"{got} (a log-in or error page?)")


def _failure(known, part, problem):
    have = length(part)
    kept = (
        f"{have:,} bytes are kept and a further call resumes"
        if have
        else "nothing was kept"
    )
    path = part.with_suffix("")
    msg = (
        f"'{known.name}' could not be fetched from {known.url}: expected "
        f"{known.size:,} bytes, got {problem}; {kept}. You can also bring the file to "
        f"{path} yourself"
    )
    return FetchError(msg)


def discard(part):
    """
    Delete a partial file and its record.

    Parameters
    ----------
    part : `~pathlib.Path`
        The partial file, which need not exist.
    """
    part.unlink(missing_ok=True)
    _etag_path(part).unlink(missing_ok=True)


def _etag_path(part):
    return part.with_name(f"{part.name}.etag")


def length(part):
    """
    Count the bytes that have arrived.

    Parameters
    ----------
    part : `~pathlib.Path`
        The partial file, which need not exist.

    Returns
    -------
    int
        Its length, 0 if it is not there.
    """
    try:
        return part.stat().st_size
    except FileNotFoundError:
        return 0
