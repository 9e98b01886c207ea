"""The files that hold a store's pixels: only ever appended to."""

import mmap
import os
import re
import zlib
from typing import NamedTuple

from mantis_astro.atomic import sync_folder
from mantis_astro.store.blobs import ALIGNMENT, end_of_batch, read_facts

__all__ = ["LostRecord", "Segments"]


class LostRecord(NamedTuple):
    """
    Record that is missing from the manifest.

    Attributes
    ----------
    segment, start, length, crc32 : int
        Where it lies, and its checksum.
    key : str
        Name of the object when it was written.
    ra, dec : float
        ICRS position then, degrees.
    band : str
        Its band.
    """

    segment: int
    start: int
    length: int
    crc32: int
    key: str
    ra: float
    dec: float
    band: str


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
        Go on behind the last record, and find those that the manifest does not know.

        Parameters
        ----------
        number, end : int
            Last file and the end of its last batch, as the manifest has them.

        Returns
        -------
        list of LostRecord
            The records behind that place, in the order of writing: the manifest lost
            them. Those of earlier versions, which do not tell where they belong, stay
            where they are. Only what follows the last whole batch of a file, which was
            never finished, is cut off.
        """
        self.number, self.end = number, end
        lost = []
        for path in sorted(self.folder.glob("pixels-*.bin")):
            here = int(re.findall(r"\d+", path.name)[-1])
            if here < number:
                continue
            found, stop = _find_records(path, here, end if here == number else 0)
            lost += found
            if stop == 0:
                path.unlink()
                continue
            if path.stat().st_size > stop:
                os.truncate(path, stop)
            self.number, self.end = here, stop
        return lost

    def append(self, records):
        """
        Write a batch of records; when this returns they are on the disk.

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
        batch = b"".join([*records, end_of_batch(len(records))])
        path = self.path(self.number)
        try:
            if not path.exists():
                _create(path)
            with path.open("r+b", buffering=0) as file:
                file.seek(self.end)
                _write_all(file, batch)
                os.fsync(file.fileno())
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error
        self.end += len(batch)
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


def _find_records(path, number, start):
    """Find the records of a file behind a place, and where its last batch ends."""
    size = path.stat().st_size
    found, batch, end = [], [], start
    if size <= start:
        return found, start
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        while start < size:
            facts, length = read_facts(content, start)
            stop = start + length
            if facts is None:
                stop = _next_line(content, start)
            elif "batch" in facts:
                found += batch
                batch, end = [], stop
            elif "crc32" not in facts:  # of an earlier version, without batches
                end = stop
            elif "ra" in facts:
                place = number, start, length, zlib.crc32(content[start:stop])
                whose = (facts[name] for name in ("key", "ra", "dec", "band"))
                batch.append(LostRecord(*place, *whose))
            start = stop
    return found, end


def _next_line(content, start):
    """Where something that may be a record begins next; else the end."""
    start = content.find(b'{"', start + 1)
    while start % ALIGNMENT and start != -1:
        start = content.find(b'{"', start + 1)
    return len(content) if start == -1 else start


def _create(path):
    """Make an empty file whose name, too, is on the disk."""
    path.touch()
    sync_folder(path.parent)


def _write_all(file, data):
    """Write everything; one call on a raw file may write less than it is given."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
