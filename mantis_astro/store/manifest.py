"""The index of a store: its objects, and the positions of their pixels in files."""

import logging
import os
import socket
import sqlite3
import threading
from contextlib import closing, contextmanager, suppress
from urllib.parse import quote

__all__ = ["Manifest", "WriterLock", "set_aside_if_damaged", "write_end"]

log = logging.getLogger(__name__)

FORMAT, VERSION = "mantis_astro cutouts", "1"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS store (name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS objects (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    ra REAL NOT NULL,           -- ICRS, degrees
    dec REAL NOT NULL,
    cell_ra INTEGER NOT NULL,   -- the same, in steps of 0.01 arcsec
    cell_dec INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS position ON objects (cell_dec, cell_ra);
CREATE TABLE IF NOT EXISTS cutouts (
    object INTEGER NOT NULL REFERENCES objects (id),
    band TEXT NOT NULL,
    state TEXT NOT NULL,        -- 'ok' or 'no_coverage'
    message TEXT NOT NULL,
    segment INTEGER,            -- the rest is NULL unless ok
    start INTEGER,
    length INTEGER,
    crc32 INTEGER,
    PRIMARY KEY (object, band)
) WITHOUT ROWID;
"""


class WriterLock:
    """
    The right to write, held by one process at a time.

    It is an exclusive transaction on an empty SQLite file, so it is the operating
    system's own file lock, on every system, and ends with the process however it ends.

    Parameters
    ----------
    path : `~pathlib.Path`
        The lock file.

    Raises
    ------
    BlockingIOError
        If another holds it.
    """

    def __init__(self, path):
        self._pid = os.getpid()
        self._connection = sqlite3.connect(
            path, timeout=0, isolation_level=None, check_same_thread=False
        )
        try:
            self._connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            self._connection.close()
            if "locked" not in str(error):
                raise
            raise BlockingIOError from None

    def release(self):
        """Let another write."""
        if self._pid == os.getpid():
            self._connection.close()


class Manifest:
    """
    The SQLite file of a store, in WAL mode: readers never wait for the writer.

    Connections do not survive a fork, so a child process opens its own, for reading.

    Parameters
    ----------
    path : `~pathlib.Path`
        The file.
    writable : bool
        Whether to write; the caller holds the `WriterLock`.

    Raises
    ------
    OSError
        If it cannot be opened.
    ValueError
        If it is not the index of a store, or of a later version.
    """

    def __init__(self, path, *, writable):
        self.path = path
        self._writable = writable
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._inherited = []  # of the parent process: kept, never used nor closed
        self._open()
        if writable:
            self._create()
        self._check_version()

    @property
    def writable(self):
        """Whether this process may write, a bool; a child of the writer may not."""
        return self._writable and self._pid == os.getpid()

    def _open(self):
        mode = "rwc" if self.writable else "ro"
        if not self.writable and self._is_frozen():
            mode = "ro&immutable=1"
        with self.errors():
            self._connection = sqlite3.connect(
                f"file:{quote(str(self.path))}?mode={mode}",
                uri=True,
                timeout=30,
                isolation_level=None,
                check_same_thread=False,
            )

    def _is_frozen(self):
        """Whether nobody writes and we cannot: SQLite needs to know beforehand."""
        wal = self.path.with_name(self.path.name + "-wal")
        return not os.access(self.path.parent, os.W_OK) and not wal.exists()

    def _create(self):
        with self.errors():
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
        tables = "SELECT count(*) FROM sqlite_master"
        if self.fetch(tables)[0][0] == 0:
            with self.transaction() as execute:
                for statement in _SCHEMA.split(";\n"):
                    execute(statement)
                rows = [("format", FORMAT), ("version", VERSION)]
                for row in rows:
                    execute("INSERT INTO store VALUES (?, ?)", row)
        with self.transaction() as execute:
            writer = f"process {os.getpid()} on {socket.gethostname()}"
            execute("INSERT OR REPLACE INTO store VALUES ('writer', ?)", [writer])

    def _check_version(self):
        try:
            facts = dict(self.fetch("SELECT name, value FROM store"))
        except OSError as error:
            self.close()
            cause = error.__cause__
            if "not a database" in str(cause) or "no such table" in str(cause):
                msg = f"{self.path} is not the manifest of a store ({cause})"
                raise ValueError(msg) from error
            raise
        if facts.get("format") != FORMAT or facts.get("version") != VERSION:
            self.close()
            msg = (
                f"{self.path} must be of format {FORMAT!r}, version {VERSION}; got "
                f"{facts.get('format')!r}, version {facts.get('version')}"
            )
            raise ValueError(msg)

    @contextmanager
    def errors(self):
        """Convert errors of the database, such as a full disk, to OSError."""
        try:
            yield
        except sqlite3.Error as error:
            msg = f"{self.path}: {error}"
            raise OSError(msg) from error

    def fetch(self, query, parameters=()):
        """
        Return all rows that a query selects.

        Parameters
        ----------
        query : str
            SQL.
        parameters : sequence, optional
            Its parameters.

        Returns
        -------
        list of tuple
            The rows.

        Raises
        ------
        OSError
            If the database cannot be read.
        """
        with self._lock, self.errors():
            if self._pid != os.getpid():
                self._inherited.append(self._connection)
                self._pid, self._writable = os.getpid(), False
                self._open()
            with closing(self._connection.execute(query, parameters)) as cursor:
                return cursor.fetchall()

    def read_end(self):
        """
        Return the end of the recorded pixels.

        Returns
        -------
        number, end : int
            Last file of pixels, and the end of its last batch.
        """
        rows = self.fetch("SELECT value FROM store WHERE name = 'end'")
        if rows:
            return tuple(map(int, rows[0][0].split()))
        rows = self.fetch(  # an earlier version did not note it
            "SELECT segment, max(start + length) FROM cutouts WHERE segment = "
            "(SELECT max(segment) FROM cutouts)"
        )
        number, end = rows[0]
        return number or 0, end or 0

    @contextmanager
    def transaction(self):
        """Yield ``execute``; all that it did is committed together, or none of it."""
        with self._lock, self.errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection.execute
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def close(self):
        """
        Close the file; a writer folds its log in.

        Without a log the store can be read from a folder that nobody may write to, and
        from many machines; if somebody reads just now, the log stays.
        """
        if self._pid != os.getpid():
            return
        with self._lock:
            if self._writable:
                with suppress(sqlite3.Error):  # in use, or closed already
                    self._connection.execute("PRAGMA busy_timeout = 0")
                    self._connection.execute("PRAGMA journal_mode = DELETE")
            self._connection.close()


def write_end(execute, number, end):
    """
    Record the end of the pixels; later ones were lost or not completed.

    Parameters
    ----------
    execute : callable
        Of `Manifest.transaction`.
    number, end : int
        Last file of pixels, and the end of its last batch.
    """
    execute("INSERT OR REPLACE INTO store VALUES ('end', ?)", [f"{number} {end}"])


def set_aside_if_damaged(path):
    """
    Rename a manifest that losing its log has damaged.

    Parameters
    ----------
    path : `~pathlib.Path`
        The file; the caller holds the `WriterLock`.
    """
    if not _lacks_log(path):
        return
    with closing(sqlite3.connect(path)) as database:
        try:
            verdict = database.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.OperationalError:  # another trouble: it shows when it is used
            return
        except sqlite3.DatabaseError as error:
            verdict = (str(error),)
    if verdict != ("ok",):
        aside = path.with_name(f"{path.name}.damaged")
        path.replace(aside)
        log.warning("%s was damaged when its log was lost; it is now %s", path, aside)


def _lacks_log(path):
    """Whether the last writer has not closed the file, and its log is gone."""
    if not path.exists() or path.with_name(f"{path.name}-wal").exists():
        return False
    with path.open("rb") as file:
        return file.read(20)[18:] == b"\2\2"  # written in WAL mode
