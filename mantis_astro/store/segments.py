"""The files that hold a store's pixels: only ever appended to."""

import os
import re

from mantis_astro.atomic import sync_folder

__all__ = ["Segments"]


class Segments:
    """
    Numbered files of records, a new one when the last is large enough.

    Parameters
    ----------
    folder : `~pathlib.Path`
        Where they are.
    size : int, optional
        Bytes after which a file is not appended to any more.
    """

    def __init__(self, folder, *, size=2**30):
        self.folder = folder
        self.size = size
        self.number = self.end = 0

    def path(self, number):
        """
        Path of a file.

        Parameters
        ----------
        number : int
            Its number, from 0.

        Returns
        -------
        `~pathlib.Path`
            The path.
        """
        return self.folder / f"pixels-{number:05d}.bin"

    def recover(self, number, end):
        """
        Forget what a writer that died had not finished.

        Parameters
        ----------
        number, end : int
            Last file and the end of its last record, as the manifest has them.
        """
        self.number, self.end = number, end
        for path in self.folder.glob("pixels-*.bin"):
            if int(re.findall(r"\d+", path.name)[-1]) > number:
                path.unlink()
        path = self.path(number)
        if path.exists() and path.stat().st_size > end:
            os.truncate(path, end)

    def append(self, records):
        """
        Write records; when this returns they are on the disk.

        What a failed call leaves behind is overwritten by the next.

        Parameters
        ----------
        records : list of bytes
            The records, to lie one after the other.

        Returns
        -------
        number : int
            File that they are in.
        starts : list of int
            Where each begins.

        Raises
        ------
        OSError
            If the disk is full.
        """
        if self.end >= self.size:
            self.number, self.end = self.number + 1, 0
        starts, position = [], self.end
        for record in records:
            starts.append(position)
            position += len(record)
        path = self.path(self.number)
        try:
            if not path.exists():
                _create(path)
            with path.open("r+b", buffering=0) as file:
                file.seek(self.end)
                _write_all(file, b"".join(records))
                os.fsync(file.fileno())
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error
        self.end = position
        return self.number, starts

    def read(self, number, places):
        """
        Read records of one file.

        Parameters
        ----------
        number : int
            The file.
        places : sequence of (int, int)
            Start and length of each.

        Returns
        -------
        list of bytearray
            The records; shorter than asked for where the file ends.

        Raises
        ------
        OSError
            If there is no such file.
        """
        records = []
        with self.path(number).open("rb", buffering=0) as file:
            for start, length in places:
                record = bytearray(length)
                file.seek(start)
                n_read = file.readinto(record)
                records.append(record if n_read == length else record[:n_read])
        return records


def _create(path):
    """Make an empty file whose name, too, is on the disk."""
    path.touch()
    sync_folder(path.parent)


def _write_all(file, data):
    """Write everything; one call on a raw file may write less than it is given."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
