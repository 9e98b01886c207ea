"""`fetch_file`: from a name to a verified file on this machine."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mantis_astro.atomic import put_in_place
from mantis_astro.exceptions import FetchError
from mantis_astro.files.configuration import conf
from mantis_astro.files.download import discard, download, length
from mantis_astro.files.known import get_file, local_path
from mantis_astro.progress import progress_bar

if TYPE_CHECKING:
    from mantis_astro.files.known import KnownFile

__all__ = ["fetch_file"]

log = logging.getLogger(__name__)


def fetch_file(
    name: str | KnownFile,
    *,
    progress: bool | Callable[[int, int], None] = True,
    timeout: float | tuple[float, float] | None = None,
) -> Path:
    """
    Return the path of a file, and fetch it first if it is missing.

    A file that is there is used without asking the network: its size is checked each
    time, its SHA-256 the first time and whenever it was touched. So a file brought by
    hand to `local_path` works as well. A download that breaks is kept as ``*.part``
    and resumed, now or by the next call; two processes may fetch the same file at
    once, and one waits for the other.

    Parameters
    ----------
    name : str or KnownFile
        The file.
    progress : bool or callable, optional
        Whether to show a progress bar, in a terminal or a notebook; or a function that
        is called as ``progress(done, total)``, in bytes, while it downloads.
    timeout : float or tuple of float, optional
        Seconds to wait for more bytes, or ``(connect, read)``; by default
        ``conf.connect_timeout`` and ``conf.read_timeout``.

    Returns
    -------
    `~pathlib.Path`
        The verified file.

    Raises
    ------
    OSError
        `~mantis_astro.exceptions.FetchError` if the server does not give the file,
        what came is not that file, or it cannot be written.
    ValueError
        If no file of that name is registered.

    Notes
    -----
    ``astropy.utils.data.conf.allow_internet = False`` is respected.

    Examples
    --------
    >>> from mantis_astro.files import fetch_file
    >>> fetch_file("mantis-shrimp-early")  # doctest: +SKIP
    PosixPath('/home/me/.cache/mantis_astro/mantis-shrimp-early-411536eb.pt')
    """
    known = get_file(name)
    path = local_path(known)
    if _is_verified(known, path):
        return path
    _check_internet_allowed(known, path)
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _lock(known, part):
            if _is_verified(known, path):  # another process was faster
                return path
            if not part.exists():
                _show_licence(known)
            with _reporter(progress, known) as report:
                download(known, part, _timeouts(timeout), report)
            _verify_part(known, part)
            put_in_place(part, path)
            discard(part)
            _write_stamp(known, path)
    except FetchError:
        raise
    except OSError as error:
        reason = error.strerror or error
        keep = ""
        if error.errno == errno.ENOSPC:
            keep = "what has arrived is kept, and a further call resumes; "
        msg = (
            f"'{known.name}' could not be written to {path.parent} ({reason}): {keep}"
            "make room or set MANTIS_ASTRO_CACHE to another folder"
        )
        raise FetchError(msg) from error
    log.info("%s is at %s", known.name, path)
    return path


def _timeouts(timeout):
    if timeout is None:
        return conf.connect_timeout, conf.read_timeout
    return timeout if isinstance(timeout, tuple) else (conf.connect_timeout, timeout)


@contextlib.contextmanager
def _reporter(progress, known):
    """Return the function to call with bytes done and total, or None."""
    if callable(progress) or not progress:
        yield progress or None
        return
    with progress_bar(known.size, wanted=True) as update:
        yield lambda done, _: update(done)


def _check_internet_allowed(known, path):
    from astropy.utils.data import conf as data_conf

    if not data_conf.allow_internet:
        msg = (
            f"'{known.name}' is not at {path}, and astropy's 'allow_internet' is "
            f"False: allow it, or bring the file there from {known.url}"
        )
        raise FetchError(msg)


def _show_licence(known):
    log.warning(
        "%s (%.0f MB) comes from %s under its own licence: %s%s. By using it you "
        "accept that licence.",
        known.name,
        known.size / 1e6,
        known.url,
        known.licence,
        f" ({known.licence_url})" if known.licence_url else "",
    )


def _is_verified(known, path):
    """Whether the file is there and is the right one."""
    try:
        stat = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    if stat.st_size != known.size:
        log.warning(
            "%s has %d bytes, not %d: fetching it anew", path, stat.st_size, known.size
        )
        return False
    if _stamp_path(path).exists() and _read_stamp(path) == _stamp(known, stat):
        return True
    if _sha256(path) != known.sha256:
        log.warning("%s has another SHA-256 than expected: fetching it anew", path)
        return False
    _write_stamp(known, path)
    return True


def _sha256(path):
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _stamp(known, stat):
    return {"sha256": known.sha256, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def _stamp_path(path):
    return path.with_name(f"{path.name}.verified")


def _read_stamp(path):
    try:
        return json.loads(_stamp_path(path).read_text())
    except ValueError:  # cut short by a crash: the SHA-256 is computed again
        return None


def _write_stamp(known, path):
    """Note that the SHA-256 was right, where the folder lets us."""
    with contextlib.suppress(OSError):
        _stamp_path(path).write_text(json.dumps(_stamp(known, path.stat())))


def _verify_part(known, part):
    found = _sha256(part)
    if found != known.sha256:
        discard(part)
        msg = (
            f"'{known.name}' from {known.url} is not the file it should be: expected "
            f"SHA-256 {known.sha256}, got {found}; the download was deleted. Try once "
            "more; if it stays so, the file was changed at its source: please report it"
        )
        raise FetchError(msg)


@contextlib.contextmanager
def _lock(known, part):
    """Hold the right to download; the system frees it if this process dies."""
    with part.with_name(f"{part.name}.lock").open("a+b") as handle:
        seen, since = -1, time.monotonic()
        while not _try_lock(handle):
            if seen == -1:
                log.info("another process fetches %s: waiting for it", known.name)
            if length(part) != seen:
                seen, since = length(part), time.monotonic()
            if time.monotonic() - since > conf.lock_timeout:
                msg = (
                    f"'{known.name}' is being fetched by another process, which has "
                    f"made no progress for {conf.lock_timeout:g} s: stop that process "
                    "and try again"
                )
                raise FetchError(msg)
            time.sleep(0.2)
        yield


def _try_lock(handle):
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        try:
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:  # some network file systems know no locks
        log.warning("downloading without a lock (%s)", error)
    return True
