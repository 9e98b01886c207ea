"""Parts of files as servers send them: the range that was asked for, or an error."""

import re
import zlib

from mantis_astro.services.validation import BadAnswerError, check_status

__all__ = ["read_part", "unpack"]

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)$")
_BEGINNINGS = (b"SIMPLE", b"\x1f\x8b")  # of a FITS file, and of one packed by gzip


def read_part(answer, start, stop):
    """
    Read an answer to a request for a range of bytes of a FITS file.

    Parameters
    ----------
    answer : Answer
        Status, headers and body.
    start, stop : int
        The range asked for.

    Returns
    -------
    begin : int
        Where the bytes begin: at ``start``, or at 0 if the whole file came, as from
        servers without ranges.
    content : bytes
        The bytes; fewer than asked for only if the file ends.
    total : int
        Size of the file.

    Raises
    ------
    BadAnswerError
        For an error, another range, fewer bytes than were announced, or no FITS file.
    """
    check_status(answer.status, answer.content)
    content = answer.content
    begin, total = 0, len(content)
    if answer.status == 206:
        told = _RANGE.match(answer.headers.get("Content-Range", ""))
        if told is None:
            msg = "the answer does not say which bytes of the file it holds"
            raise BadAnswerError(msg)
        begin, last, total = map(int, told.groups())
        if begin != start or last + 1 != min(stop, total):
            msg = (
                f"asked for bytes {start} to {stop - 1} of the file, got {begin} to "
                f"{last} of {total}"
            )
            raise BadAnswerError(msg)
        if len(content) != last + 1 - begin:
            msg = f"the answer has {len(content)} of {last + 1 - begin} bytes"
            raise BadAnswerError(msg)
    if begin == 0 and not content.startswith(_BEGINNINGS):
        text = " ".join(content[:300].decode("ascii", "replace").split())[:80]
        msg = f"the file is no FITS file but {text!r}"
        raise BadAnswerError(msg)
    return begin, content, total


def unpack(content, longest):
    """
    Decompress gzip.

    Parameters
    ----------
    content : bytes
        The file.
    longest : int
        Bytes that it may unpack to.

    Returns
    -------
    bytes
        The file, unpacked.

    Raises
    ------
    BadAnswerError
        If it is cut short, broken or unpacks to more.
    """
    unpacker = zlib.decompressobj(wbits=31)
    try:
        plain = unpacker.decompress(content, longest)
    except zlib.error as error:
        msg = f"the packed file is broken ({error})"
        raise BadAnswerError(msg) from error
    if not unpacker.eof:
        is_long = len(plain) >= longest
        what = f"unpacks to more than {longest:,} bytes" if is_long else "is cut short"
        msg = f"the packed file {what}"
        raise BadAnswerError(msg)
    return plain
