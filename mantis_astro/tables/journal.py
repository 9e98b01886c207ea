"""`RowJournal`: finished rows of a long run, safe on disk the moment they are done."""

import json
import logging
import zlib
from itertools import count
from pathlib import Path

import numpy as np

from mantis_astro.atomic import atomic_file, check_folder
from mantis_astro.exceptions import MantisError

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["AnotherRunError", "RowJournal", "set_aside"]

log = logging.getLogger(__name__)

_MAGIC = b"mantis_astro rows 1\n"


class AnotherRunError(MantisError):
    """The rows of a journal belong to another run; the message lists differences."""


def set_aside(path):
    """
    Give a journal another name, so that a new one can have its own.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    `~pathlib.Path`
        Its new name, beside the old one: that and the first number that is free.
    """
    path = Path(path)
    names = (path.with_name(f"{path.name}.{i}") for i in count(1))
    free = next(name for name in names if not name.exists())
    return path.rename(free)


def _lock(file):
    """Keep other runs out until the file is closed, where that can be done."""
    if fcntl is None:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:  # a file system without locks
        log.debug("%s is not locked: %s", file.name, error)


class RowJournal:
    """
    Append-only file of (row, flags, probability), read back when a run resumes.

    Each record carries a checksum, so that a record torn by a crash is recognised,
    dropped and computed again. The header says what the rows belong to; a journal of
    another table or another model is refused.

    Parameters
    ----------
    path : str or path-like
        The file; made when the first row is appended, so that a run that fails before
        leaves none behind.
    identity : dict
        JSON facts that must agree with those in the file: model, table, options.
    n_bins : int
        Number of probabilities of a row.

    Raises
    ------
    MantisError
        `AnotherRunError` if the file belongs to another run; also if it is no journal,
        or another process writes to it.
    OSError
        If its folder cannot be written.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.tables.journal import RowJournal
    >>> path = getfixture("tmp_path") / "run.journal"
    >>> with RowJournal(path, {"model": "a"}, n_bins=2) as journal:
    ...     journal.append(np.array([4]), np.array([0]), np.array([[0.25, 0.75]]))
    >>> with RowJournal(path, {"model": "a"}, n_bins=2) as journal:
    ...     [(rows, flags, probability)] = journal.iter_blocks()
    >>> rows, probability
    (array([4]), array([[0.25, 0.75]], dtype=float32))
    """

    def __init__(self, path, identity, n_bins):
        self.path = Path(path)
        self._record = np.dtype(
            [
                ("row", "<i8"),
                ("flags", "<i4"),
                ("probability", "<f4", n_bins),
                ("crc", "<u4"),
            ]
        )
        identity = json.dumps({**identity, "n_bins": n_bins})
        self._header = _MAGIC + identity.encode() + b"\n"
        self._start = len(self._header)
        self._file = None
        if self._is_there():
            self._open()
            self._drop_torn_tail()
        else:
            check_folder(self.path)

    def _is_there(self):
        return self.path.exists() and self.path.stat().st_size > 0

    def _open(self):
        self._file = self.path.open("r+b")
        try:
            _lock(self._file)
            self._check_header(self._header)
        except BlockingIOError:
            self.close()
            msg = (
                f"another run writes to {self.path}: wait for its end, or give each a "
                "file of its own"
            )
            raise MantisError(msg) from None
        except MantisError:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        """Close the file; appended rows are kept."""
        if self._file is not None:
            self._file.close()

    def append(self, rows, flags, probability):
        """
        Append finished rows and flush them to the operating system.

        Parameters
        ----------
        rows : array_like of int, shape (n,)
            Their numbers in the table.
        flags : array_like of int, shape (n,)
            Quality flags.
        probability : array_like, shape (n, n_bins)
            Probability per bin.
        """
        if not len(rows):
            return
        if self._file is None:
            if not self._is_there():
                with atomic_file(self.path) as temporary:
                    temporary.write_bytes(self._header)
            self._open()
        records = np.zeros(len(rows), self._record)
        records["row"], records["flags"] = rows, flags
        records["probability"] = probability
        records["crc"] = [_checksum(record) for record in records]
        self._file.seek(0, 2)
        self._file.write(records.tobytes())
        self._file.flush()

    def iter_blocks(self, size=8192):
        """
        Read all finished rows, some at a time.

        Parameters
        ----------
        size : int, optional
            How many rows at a time.

        Yields
        ------
        rows : `~numpy.ndarray` of int, shape (n,)
            Their numbers in the table.
        flags : `~numpy.ndarray` of int, shape (n,)
            Quality flags.
        probability : `~numpy.ndarray` of float32, shape (n, n_bins)
            Probability per bin.
        """
        start = 0
        if self._file is None:
            return
        while len(records := self._read_records(start, size)):
            yield tuple(records[name] for name in ("row", "flags", "probability"))
            start += len(records)

    def _read_records(self, start, n):
        self._file.seek(self._start + start * self._record.itemsize)
        return np.frombuffer(self._file.read(n * self._record.itemsize), self._record)

    def _check_header(self, expected):
        with self.path.open("rb") as file:
            magic, found = file.readline(), file.readline()
        if magic != _MAGIC:
            msg = f"{self.path} is not a journal of rows; it is left as it is"
            raise MantisError(msg)
        wanted = json.loads(expected[len(_MAGIC) :])
        found = json.loads(found)
        if found != wanted:
            differs = [key for key in wanted if wanted[key] != found.get(key)]
            there = ", ".join(f"{key} = {found.get(key)}" for key in differs)
            now = ", ".join(f"{key} = {wanted[key]}" for key in differs)
            msg = (
                f"{self.path} holds rows of another run: {', '.join(differs)} differ "
                f"(there {there}; now {now}); remove it to start over, or resume with "
                "the same table, model and options"
            )
            raise AnotherRunError(msg)

    def _drop_torn_tail(self):
        size = self.path.stat().st_size - self._start
        n = size // self._record.itemsize
        while n:
            [last] = self._read_records(n - 1, 1)
            if last["crc"] == _checksum(last):
                break
            n -= 1
        self._file.truncate(self._start + n * self._record.itemsize)


def _checksum(record):
    return zlib.crc32(record.tobytes()[: -record["crc"].itemsize])
