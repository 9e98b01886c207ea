"""`TileCache`: parts of tiles on disk, up to a size."""

import hashlib
import logging
import threading
from pathlib import Path

from mantis_astro.atomic import atomic_file

__all__ = ["TileCache"]

log = logging.getLogger(__name__)

_ENDING = ".part"
_KEPT = 0.8  # of the largest size, when something must go


class TileCache:
    """
    Ranges of bytes of files, on disk; those not used for longest go first.

    Nothing here is needed: what cannot be read or written counts as not kept. Several
    processes may use one folder.

    Parameters
    ----------
    folder : path-like
        Where; made when it is needed.
    max_bytes : float
        Largest size of all together; 0 keeps nothing.

    Examples
    --------
    >>> import tempfile
    >>> from mantis_astro.services.tiles.cache import TileCache
    >>> cache = TileCache(tempfile.mkdtemp(), 1e6)
    >>> cache.put("https://x.org/tile.fits", 100, b"some bytes", 5000)
    >>> cache.get("https://x.org/tile.fits", 105, 110)
    (b'bytes', 5000)
    """

    def __init__(self, folder, max_bytes):
        self._folder = Path(folder)
        self._max_bytes = max_bytes
        self._parts = None  # digest -> {(start, stop, total): path}
        self._size = 0
        self._lock = threading.Lock()

    def get(self, url, start, stop):
        """
        Return bytes of a file, if they are cached.

        Parameters
        ----------
        url : str
            The file.
        start, stop : int
            Which bytes; fewer come only if the file ends.

        Returns
        -------
        tuple of (bytes, int) or None
            The bytes, and the size of the file.
        """
        if not self._max_bytes:
            return None
        with self._lock:
            for (first, last, total), path in self._index(url).items():
                if first <= start and min(stop, total) <= last:
                    try:
                        return self._read(path, start, stop, first, last), total
                    except OSError as error:
                        log.info("%s is not used: %s", path, error)
                        self._forget(url, (first, last, total))
                        break
        return None

    def put(self, url, start, content, total):
        """
        Keep some bytes of a file.

        Parameters
        ----------
        url : str
            The file.
        start : int
            Where they begin in it.
        content : bytes
            The bytes.
        total : int
            Size of the file.
        """
        if not 0 < len(content) <= self._max_bytes:
            return
        stop = start + len(content)
        path = self._folder / f"{_digest(url)}-{start}-{stop}-{total}{_ENDING}"
        with self._lock:
            parts = self._index(url)
            if (start, stop, total) in parts:
                return
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                with atomic_file(path) as temporary:
                    temporary.write_bytes(content)
            except OSError as error:  # no room, or not ours
                log.info("a part of %s is not kept: %s", url, error)
                return
            parts[start, stop, total] = path
            self._size += len(content)
            if self._size > self._max_bytes:
                self._make_room()

    def drop(self, url):
        """
        Drop a file with wrong contents.

        Parameters
        ----------
        url : str
            The file.
        """
        with self._lock:
            for key in list(self._index(url)):
                self._forget(url, key)

    def _index(self, url):
        if self._parts is None:
            self._scan()
        return self._parts.setdefault(_digest(url), {})

    def _scan(self):
        self._parts, self._size = {}, 0
        for path in self._folder.glob(f"*{_ENDING}"):
            try:
                digest, *numbers = path.name.removesuffix(_ENDING).split("-")
                start, stop, total = map(int, numbers)
            except ValueError:  # somebody else's
                continue
            self._parts.setdefault(digest, {})[start, stop, total] = path
            self._size += stop - start

    def _read(self, path, start, stop, first, last):
        if path.stat().st_size != last - first:
            msg = "it was cut short"
            raise OSError(msg)
        path.touch()  # used just now
        with path.open("rb") as file:
            file.seek(start - first)
            return file.read(min(stop, last) - start)

    def _forget(self, url, key):
        path = self._parts[_digest(url)].pop(key)
        self._size -= key[1] - key[0]
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            log.info("%s cannot be removed: %s", path, error)

    def _make_room(self):
        """Remove what was not used for longest; other processes may do so as well."""
        self._scan()
        parts = [path for some in self._parts.values() for path in some.values()]
        for path in sorted(parts, key=_last_use):
            if self._size <= _KEPT * self._max_bytes:
                break
            try:
                self._size -= path.stat().st_size
                path.unlink()
            except OSError:
                continue
        self._scan()


def _digest(url):
    return hashlib.sha256(url.encode()).hexdigest()[:32]


def _last_use(path):
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
