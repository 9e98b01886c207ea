"""`read_file`: files on this machine and in cloud storage, as if a server sent them."""

import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mantis_astro._optional import require
from mantis_astro.services.answers import Answer, TransportError

__all__ = ["read_file"]

_RANGE = re.compile(r"bytes=(\d+)-(\d+)$")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def read_file(http):
    """
    Read a file, or the requested range of bytes.

    Parameters
    ----------
    http : HttpRequest
        Its address is a path, ``file://``, or of any scheme that fsspec knows
        (``s3://`` needs s3fs, too); cloud storage is read without credentials.

    Returns
    -------
    Answer
        Status 200, 206 or 416 as a server with ranges has them; 404 where there is no
        such file, and 403 where it must not be read.

    Raises
    ------
    TransportError
        If reading fails otherwise, or the file is larger than ``http.max_bytes``.
    ImportError
        If fsspec is needed and not installed.
    """
    wanted = _RANGE.match((http.headers or {}).get("Range", ""))
    start, stop = (int(wanted[1]), int(wanted[2]) + 1) if wanted else (0, None)
    try:
        content, total = _open_and_read(http, start, stop)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return Answer(404, b"no such file")
    except PermissionError as error:
        return Answer(403, str(error).encode())
    except OSError as error:
        msg = f"{http.url} cannot be read ({error})"
        raise TransportError(msg) from error
    if not wanted:
        return Answer(200, content)
    if start >= total:
        return Answer(416, b"", {"Content-Range": f"bytes */{total}"})
    where = f"bytes {start}-{start + len(content) - 1}/{total}"
    return Answer(206, content, {"Content-Range": where})


def _open_and_read(http, start, stop):
    """Bytes from start to stop, or to the end, and the size of the file."""
    url = http.url
    if url.startswith("file://"):
        url = unquote(urlsplit(url).path)
    if not _SCHEME.match(url):
        path = Path(url)
        total = path.stat().st_size
        _check_size(http, start, stop, total)
        with path.open("rb") as file:
            file.seek(start)
            return file.read(-1 if stop is None else stop - start), total
    try:
        filesystem, path = _open_storage(url)
        total = filesystem.size(path)
        _check_size(http, start, stop, total)
        if start >= total:
            return b"", total
        end = min(stop or total, total)
        return filesystem.cat_file(path, start=start, end=end), total
    except (OSError, ImportError):
        raise
    except Exception as error:  # whatever a library of a cloud raises
        raise OSError(repr(error)) from error


@cache
def _storage(protocol):
    """File systems that were opened, by protocol, for threads to share."""
    fsspec = require("fsspec", extra="cloud")
    options = {"anon": True} if protocol in {"s3", "s3a"} else {}
    return fsspec.filesystem(protocol, **options)


def _open_storage(url):
    filesystem = _storage(url.partition("://")[0].lower())
    return filesystem, filesystem._strip_protocol(url)


def _check_size(http, start, stop, total):
    wanted = min(stop or total, total) - start
    if http.max_bytes is not None and wanted > http.max_bytes:
        msg = f"the file has {total:,} bytes, more than {http.max_bytes:,}"
        raise OSError(msg)
