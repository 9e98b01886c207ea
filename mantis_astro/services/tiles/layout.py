"""`read_layout`: the bytes of the rows of an image in a FITS file."""

import io
import math
import re
import warnings
from dataclasses import dataclass

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning

from mantis_astro.astrometry.directions import has_known_frame
from mantis_astro.cutouts.reading import UNREADABLE, celestial_wcs
from mantis_astro.services.validation import BadAnswerError

__all__ = ["MissingBytesError", "read_layout"]

_BLOCK, _CARD = 2880, 80
_LONGEST_HEADER = 4_000_000  # bytes; headers of stacks of many exposures have 200,000
_END = b"END".ljust(_CARD)
_ITEM_BYTES = {"L": 1, "B": 1, "I": 2, "J": 4, "K": 8, "E": 4, "D": 8, "P": 8, "Q": 16}
# Cards by which compressed pixels are decoded. Stacks of many exposures have thousands
# of others; with 800, to read them again for each object took 60 of 93 ms.
_DECODING = re.compile(
    r"XTENSION|BITPIX|NAXIS\d*|[PG]COUNT|TFIELDS|T(TYPE|FORM|UNIT|SCAL|ZERO|NULL|DIM)\d+"
    r"|Z(IMAGE|BITPIX|NAXIS\d*|TILE\d+|CMPTYPE|NAME\d+|VAL\d+|QUANTIZ|DITHER0|BLANK"
    r"|SCALE|ZERO|MASKCMP)|BSCALE|BZERO|BLANK"
)


class MissingBytesError(LookupError):
    """
    Bytes of a file that are needed, and not at hand.

    Parameters
    ----------
    start, stop : int
        Which.
    """

    def __init__(self, start, stop):
        super().__init__(f"bytes {start} to {stop} are not at hand")
        self.start, self.stop = start, stop


def read_layout(read, *, hdu=None):
    """
    Find the image in a FITS file, from its first bytes and, if need be, some more.

    Parameters
    ----------
    read : callable
        ``read(start, stop)``: bytes of the file, fewer only at its end; raises
        `MissingBytesError` where they are not at hand.
    hdu : int, optional
        HDU of the image; by default the first that holds one.

    Returns
    -------
    object
        Has ``header``, ``facts`` (the same without a WCS), ``wcs``, ``shape`` and
        ``end`` (bytes that the file must have); for rows of pixels ``span(first,
        stop)``, their bytes, and ``decode(content, first, stop)``, the number of the
        first row and the pixels.

    Raises
    ------
    MissingBytesError
        If more is needed; call again when it is there.
    BadAnswerError
        If it is no FITS file, or no image is in it.
    """
    offset, number = 0, 0
    while True:
        header, data = _read_header(read, offset)
        here = hdu is None or hdu == number
        if here and header.get("ZIMAGE") is True:
            return _Compressed(header, data, read)
        is_image = number == 0 or header.get("XTENSION", "").strip() == "IMAGE"
        if here and is_image and header.get("NAXIS", 0) >= 2:
            return _Plain(header, data)
        if hdu == number:
            msg = f"HDU {hdu} of the file holds no image"
            raise BadAnswerError(msg, lasting=True)
        offset, number = data + _padded(_data_bytes(header)), number + 1


class _Image:
    """Description of the pixels of an image by its header."""

    def __init__(self, header, naxis):
        sides = [header[f"{naxis}{i + 1}"] for i in range(header[naxis])]
        if math.prod(sides[2:]) != 1:
            msg = f"the file holds a cube of {sides} pixels, not one image"
            raise BadAnswerError(msg, lasting=True)
        self.header = header
        self.shape = sides[1], sides[0]
        self.wcs = celestial_wcs(header)
        if self.wcs is None or not has_known_frame(self.wcs):
            msg = "the image in the file has no WCS that leads to the sky"
            raise BadAnswerError(msg, lasting=True)
        self.facts = header.copy()  # of pixels that get a WCS of their own
        for axis in (1, 2):
            self.facts.remove(f"CTYPE{axis}")


class _Plain(_Image):
    """An image as it is: row after row."""

    def __init__(self, header, offset):
        super().__init__(header, "NAXIS")
        self._offset = offset
        self._row = self.shape[1] * abs(header["BITPIX"]) // 8
        self.end = offset + self.shape[0] * self._row

    def span(self, first, stop):
        return self._offset + first * self._row, self._offset + stop * self._row

    def decode(self, content, first, stop):
        header = _bare_header(self.header, self.shape[1], stop - first)
        return first, _read_pixels(header.tostring().encode() + _filled(content), 0)


class _Compressed(_Image):
    """A tile-compressed image: a table with a row for each compressed tile."""

    def __init__(self, header, offset, read):
        super().__init__(header, "ZNAXIS")
        ny, nx = self.shape
        self._height = header.get("ZTILE2", 1)
        self._across = math.ceil(nx / header.get("ZTILE1", nx))
        self._columns = _descriptors(header)
        self._row = header["NAXIS1"]
        cards = (card for card in header.cards if _DECODING.fullmatch(card.keyword))
        self._bare = fits.Header(cards)
        if header["NAXIS2"] != self._across * math.ceil(ny / self._height):
            msg = f"{header['NAXIS2']} compressed tiles do not make {nx} x {ny} pixels"
            raise BadAnswerError(msg, lasting=True)
        n_table = self._row * header["NAXIS2"]
        self._heap = offset + header.get("THEAP", n_table)
        self.end = offset + n_table + header["PCOUNT"]
        table = read(offset, offset + n_table)
        if len(table) < n_table:
            msg = "the table of the compressed tiles is cut short"
            raise BadAnswerError(msg)
        self._table = np.frombuffer(table, np.uint8).reshape(-1, self._row)

    def span(self, first, stop):
        starts, stops = [], []
        for _, counts, offsets, width in self._pointers(*self._rows(first, stop)):
            used = counts > 0
            starts += (self._heap + offsets[used]).tolist()
            stops += (self._heap + offsets[used] + counts[used] * width).tolist()
        if not starts:
            return self._heap, self._heap
        if min(starts) < self._heap or max(stops) > self.end:
            msg = "the table of the compressed tiles points outside of the file"
            raise BadAnswerError(msg, lasting=True)
        return min(starts), max(stops)

    def decode(self, content, first, stop):
        begin, end = self._rows(first, stop)
        base = self.span(first, stop)[0] - self._heap
        table = self._table[begin:end].copy()
        for where, _, offsets, _ in self._pointers(begin, end):
            moved = np.maximum(offsets - base, 0).astype(where.offset)
            table[:, where.columns] = moved[:, None].view(np.uint8)
        top = begin // self._across * self._height
        height = min(end // self._across * self._height, self.shape[0]) - top
        header = self._bare.copy()
        header["NAXIS2"], header["PCOUNT"] = end - begin, len(content)
        header["ZNAXIS2"] = height
        if "ZDITHER0" in header:  # the seed of a tile goes by its number
            header["ZDITHER0"] = (header["ZDITHER0"] - 1 + begin) % 10000 + 1
        empty = fits.PrimaryHDU().header.tostring()
        head = (empty + header.tostring()).encode()
        return top, _read_pixels(head + _filled(table.tobytes() + content), 1)

    def _rows(self, first, stop):
        """Rows of the table for rows of pixels."""
        begin, end = first // self._height, math.ceil(stop / self._height)
        return begin * self._across, end * self._across

    def _pointers(self, begin, end):
        """For each column of variable length: where, counts, offsets, item size."""
        for where in self._columns:
            raw = np.ascontiguousarray(self._table[begin:end, where.all_columns])
            pairs = raw.view(where.offset).astype(np.int64)
            yield where, pairs[:, 0], pairs[:, 1], where.width


@dataclass(frozen=True)
class _Descriptor:
    """Where a row of the table holds length and offset of a tile's bytes."""

    start: int
    n_bytes: int
    width: int

    @property
    def offset(self):
        return np.dtype(f">i{self.n_bytes // 2}")

    @property
    def all_columns(self):
        return slice(self.start, self.start + self.n_bytes)

    @property
    def columns(self):
        return slice(self.start + self.n_bytes // 2, self.start + self.n_bytes)


def _descriptors(header):
    found, start = [], 0
    for i in range(1, header["TFIELDS"] + 1):
        text = str(header[f"TFORM{i}"]).strip()
        match = re.match(r"(\d*)([LBIJKEDPQ])([LBIJKED]?)", text)
        if match is None:
            msg = f"column {i} of the compressed tiles has a form {text!r}"
            raise BadAnswerError(msg, lasting=True)
        repeat, kind, item = match.groups()
        n_bytes = int(repeat or 1) * _ITEM_BYTES[kind]
        if kind in "PQ" and n_bytes:
            found.append(_Descriptor(start, n_bytes, _ITEM_BYTES[item]))
        start += n_bytes
    return found


def _read_header(read, offset):
    """Header at an offset, and where its data begin."""
    n_bytes = _BLOCK
    while n_bytes <= _LONGEST_HEADER:
        content = read(offset, offset + n_bytes)
        if offset == 0 and not content.startswith(b"SIMPLE"):
            text = " ".join(content[:300].decode("ascii", "replace").split())[:80]
            msg = f"the file is no FITS file but {text!r}"
            raise BadAnswerError(msg)
        if len(content) < n_bytes:
            msg = "the file ends before an image was found in it"
            raise BadAnswerError(msg)
        last = content[n_bytes - _BLOCK :]
        ends = (last[i : i + _CARD] == _END for i in range(0, _BLOCK, _CARD))
        if any(ends):
            try:
                return fits.Header.fromstring(content), offset + n_bytes
            except UNREADABLE as error:
                msg = f"a header of the file is broken ({error})"
                raise BadAnswerError(msg) from error
        n_bytes += _BLOCK
    msg = f"a header of the file has no end within {_LONGEST_HEADER:,} bytes"
    raise BadAnswerError(msg)


def _data_bytes(header):
    sides = [header[f"NAXIS{i + 1}"] for i in range(header["NAXIS"])]
    count = math.prod(sides) if sides else 0
    items = header.get("GCOUNT", 1) * (header.get("PCOUNT", 0) + count)
    return abs(header["BITPIX"]) // 8 * items


def _padded(n_bytes):
    return -(-n_bytes // _BLOCK) * _BLOCK


def _filled(content):
    return content + bytes(-len(content) % _BLOCK)


def _bare_header(header, nx, ny):
    bare = fits.PrimaryHDU().header
    bare["BITPIX"], bare["NAXIS"] = header["BITPIX"], 2
    bare["NAXIS1"], bare["NAXIS2"] = nx, ny
    for name in ("BSCALE", "BZERO", "BLANK"):
        if name in header:
            bare[name] = header[name]
    return bare


def _read_pixels(content, hdu):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)
        with fits.open(io.BytesIO(content), memmap=False) as hdus:
            return np.asarray(hdus[hdu].data, dtype=np.float32)
