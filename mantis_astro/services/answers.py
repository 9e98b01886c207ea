"""Answers of servers, and the errors of requests without one, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Answer", "TransportError"]


class TransportError(OSError):
    """
    No answer came, or not all of it; asking again may help.

    Parameters
    ----------
    message : str
        What happened, in a sentence.
    timed_out : bool, optional
        Whether the server was too slow.
    unreachable : bool, optional
        Whether there was not even a connection.
    """

    def __init__(self, message, *, timed_out=False, unreachable=False):
        super().__init__(message)
        self.timed_out = timed_out
        self.unreachable = unreachable


@dataclass(slots=True)
class Answer:
    """
    Answer of a server.

    Attributes
    ----------
    status : int
        HTTP status.
    content : bytes or mapping of Band to `~astropy.nddata.CCDData`
        Body; or images, from a transport that has them ready.
    headers : mapping of str to str
        Headers.
    """

    status: int = 200
    content: bytes | Mapping = b""
    headers: Mapping = field(default_factory=dict)
