"""Faults of survey servers, simulated by the local sky."""

import hashlib
import io
import math
import re
from collections.abc import Container
from dataclasses import dataclass, replace

import numpy as np
from astropy.io import fits

__all__ = ["FAULTS", "Fault", "mixed_faults"]

#: Every kind of fault that has a name, and what a client sees of it. Besides these, a
#: kind may be an HTTP status such as 503.
FAULTS = {
    "refused": "the connection is reset before anything comes back",
    "hang": "the connection is accepted and nothing comes back",
    "hang_in_body": "half of the body comes, then nothing more",
    "reset": "the connection is reset half-way through the body",
    "cut_short": "the connection is closed half-way through the body",
    "slow_drip": "the body comes in a trickle, never so slow that a read stalls",
    "gzip_bomb": "a body of 16 kB that unpacks to 16 MB",
    "html": "status 200 and a page for people to read",
    "no_such_layer": 'status 200 and the text "no such layer"',
    "empty": "status 200 and no body",
    "redirect": "status 302 (307 for a POST) to another address of the same answer",
    "wrong_shape": "an image with fewer pixels than asked for",
    "wrong_centre": "an image of another place, whose header says so",
    "wrong_band": "an image in another band, whose header says so",
    "wrong_scale": "an image whose header says that its pixels are twice as large",
    "blank": "an image of zeros, as where a survey has nothing",
    "duplicate_rows": "every row of the PS1 file list comes twice",
    "missing_rows": "every second position of the PS1 file list has no rows",
    "shuffled_rows": "the rows of the PS1 file list come in random order",
    "no_ranges": "status 200 and the whole file, though a range was asked for",
    "short_range": "status 206 and half of the bytes that it announces",
    "wrong_range": "status 206 and other bytes of the file, which it says",
    "unnamed_range": "status 206 and no word of which bytes they are",
}

_IMAGE_FAULTS = (
    "no_such_layer",
    "wrong_shape",
    "wrong_centre",
    "wrong_band",
    "wrong_scale",
    "blank",
)
_LIST_FAULTS = ("duplicate_rows", "missing_rows", "shuffled_rows")
_RANGE_FAULTS = ("no_ranges", "short_range", "wrong_range", "unnamed_range")
_STATUSES = (429, 500, 502, 503, 504)
_LIST_PATH = "ps1filenames"


@dataclass(frozen=True)
class Fault:
    """
    One thing that goes wrong, and when.

    Whether a request is struck depends on its address, on how often that address was
    asked for before and on the seed of the server, not on the order in which requests
    arrive: the same run meets the same faults.

    Attributes
    ----------
    kind : str or int
        A name in `FAULTS`, or an HTTP status.
    match : str
        Regular expression searched for in ``"METHOD /path?query"``.
    probability : float
        Share of the matching requests that are struck.
    attempts : container of int, optional
        Which requests of one address may be struck, counted from 0: ``range(2)`` for
        the first two. By default all.
    retry_after : float or str, optional
        Value of the ``Retry-After`` header of a status, in seconds or as an HTTP date.
    seconds : float
        How long a hang lasts, or how long a drip takes.

    Raises
    ------
    ValueError
        If the kind is unknown or the probability is not between 0 and 1.

    Examples
    --------
    >>> from mantis_astro.simulation import Fault
    >>> Fault(503, match="fitscut", attempts=range(2), retry_after=1)
    Fault(kind=503, match='fitscut', ..., retry_after=1, seconds=30.0)
    """

    kind: str | int
    match: str = ""
    probability: float = 1.0
    attempts: Container[int] | None = None
    retry_after: float | str | None = None
    seconds: float = 30.0

    def __post_init__(self):
        known = self.kind in FAULTS or (
            isinstance(self.kind, int) and 400 <= self.kind < 600
        )
        if not known:
            msg = (
                "'kind' must be an HTTP status from 400 or one of "
                f"{', '.join(FAULTS)}; got {self.kind!r}"
            )
            raise ValueError(msg)
        if not 0 <= self.probability <= 1:
            msg = f"'probability' must be from 0 to 1, got {self.probability}"
            raise ValueError(msg)

    def applies_to(self, path):
        """
        Return whether the fault is possible for an address.

        Parameters
        ----------
        path : str
            Path of the request.

        Returns
        -------
        bool
            False for rows of a list that is an image, and the reverse, and for ranges
            of what is no file.
        """
        if self.kind in _RANGE_FAULTS:
            return path.endswith((".fits", ".fits.gz"))
        if _LIST_PATH in path:
            return self.kind not in _IMAGE_FAULTS
        return self.kind not in _LIST_FAULTS

    def strikes(self, request, draw):
        """
        Return whether a request fails.

        Parameters
        ----------
        request : Request
            The request, with the number of its attempt.
        draw : float
            Number from 0 to 1 that belongs to this request and fault.

        Returns
        -------
        bool
            True if it is.
        """
        return (
            (self.attempts is None or request.attempt in self.attempts)
            and draw < self.probability
            and self.applies_to(request.path)
            and re.search(self.match, f"{request.method} {request.url}") is not None
        )


def mixed_faults(probability=0.3, *, kinds=None, retry_after=None, seconds=30.0):
    """
    Make faults of all kinds that together strike a given share of the requests.

    Parameters
    ----------
    probability : float, optional
        Share of the requests that meet one fault or another.
    kinds : sequence of str or int, optional
        Kinds to mix, equally likely; by default all of `FAULTS` and the statuses
        429, 500, 502, 503, 504.
    retry_after, seconds : float, optional
        As in `Fault`.

    Returns
    -------
    list of Fault
        To be given to `~mantis_astro.simulation.server.local_sky.LocalSky`.

    Notes
    -----
    Faults are drawn one after the other and the first to strike wins, so with a share
    p = probability / n for each of n kinds, the i-th needs the conditional probability
    p / (1 - i p).

    Examples
    --------
    >>> from mantis_astro.simulation import mixed_faults
    >>> faults = mixed_faults(0.5, kinds=["wrong_shape", 503])
    >>> [(fault.kind, fault.probability) for fault in faults]  # lists, then images
    [(503, 0.5), ('wrong_shape', 0.25), (503, 0.33333333)]
    """
    kinds = (*_STATUSES, *FAULTS) if kinds is None else kinds
    faults = [Fault(kind, retry_after=retry_after, seconds=seconds) for kind in kinds]
    mixed = []
    for match, path in ((_LIST_PATH, _LIST_PATH), (f"^((?!{_LIST_PATH}).)*$", "")):
        here = [fault for fault in faults if fault.applies_to(path)]
        share = probability / max(len(here), 1)
        mixed += [
            replace(fault, match=match, probability=share / (1 - i * share))
            for i, fault in enumerate(here)
        ]
    return mixed


def choose_fault(faults, request, seed):
    """
    Return the first fault that strikes a request.

    Parameters
    ----------
    faults : sequence of Fault
        What may strike.
    request : Request
        The request, with the number of its attempt.
    seed : int
        Another seed, other luck.

    Returns
    -------
    Fault or None
        None if it is spared.
    """
    for i, fault in enumerate(faults):
        text = f"{seed}|{i}|{request.identity}|{request.attempt}"
        digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
        if fault.strikes(request, int.from_bytes(digest, "big") / 2**64):
            return fault
    return None


def spoil_query(kind, query):
    """
    Return the query of another answer, for answers that are mixed up.

    Parameters
    ----------
    kind : str or int or None
        Kind of the fault.
    query : dict of str to str
        What was asked for.

    Returns
    -------
    dict of str to str
        The same unless the fault is a wrong shape, centre or band.
    """
    query = dict(query)
    if kind == "wrong_shape":
        query["size"] = str(max(int(float(query.get("size", 256))) // 2, 1))
    elif kind == "wrong_centre":
        dec = float(query["dec"])
        query["dec"] = repr(dec - math.copysign(0.01, dec))
    elif kind == "wrong_band" and "red" in query:
        query["red"] = re.sub(
            r"\.stk\.([grizy])\.",
            lambda match: f".stk.{'rizyg'['grizy'.index(match[1])]}.",
            query["red"],
        )
    elif kind == "wrong_band":
        galex = query.get("layer") == "galex"
        query["layer"] = "unwise-neo7" if galex else "galex"
    return query


def spoil_image(kind, content):
    """
    Make the pixels of a FITS image zero, or twice as large.

    Parameters
    ----------
    kind : str
        Kind of the fault.
    content : bytes
        The FITS file.

    Returns
    -------
    bytes
        The file, spoiled; the same if it holds no image.
    """
    if not content.startswith(b"SIMPLE"):
        return content
    with fits.open(io.BytesIO(content), memmap=False) as hdus:
        hdu = hdus[0]
        if kind == "blank":
            hdu.data[:] = 0
        else:
            for name in {"CDELT1", "CDELT2", *hdu.header["CD?_?"]} & {*hdu.header}:
                hdu.header[name] *= 2
        spoiled = io.BytesIO()
        hdus.writeto(spoiled, output_verify="ignore")
    return spoiled.getvalue()


def spoil_range(kind, answer):
    """
    Cut an answer to a request for a range, or send another range.

    Parameters
    ----------
    kind : str or int or None
        Kind of the fault.
    answer : Answer
        The right answer.

    Returns
    -------
    Answer
        The answer, spoiled; the same if it is no range.
    """
    if answer.status != 206 or kind not in _RANGE_FAULTS:
        return answer
    headers = dict(answer.headers)
    told = headers.pop("Content-Range")
    if kind == "short_range":
        half = answer.body[: len(answer.body) // 2]
        return replace(answer, body=half)
    if kind == "wrong_range":
        first, last, total = map(int, re.findall(r"\d+", told))
        headers["Content-Range"] = f"bytes {first + 1}-{last}/{total}"
        return replace(answer, body=answer.body[1:], headers=headers)
    return replace(answer, headers=headers)


def spoil_rows(kind, text, seed):
    """
    Put rows of the file list twice, leave them out or mix them up.

    Parameters
    ----------
    kind : str
        Kind of the fault.
    text : str
        The list.
    seed : int
        For the order.

    Returns
    -------
    str
        The list, spoiled.
    """
    header, *rows = text.splitlines()
    if kind == "duplicate_rows":
        rows = [row for row in rows for _ in range(2)]
    elif kind == "missing_rows":
        positions = list(dict.fromkeys(tuple(row.split()[2:4]) for row in rows))
        kept = set(positions[::2])
        rows = [row for row in rows if tuple(row.split()[2:4]) in kept]
    elif kind == "shuffled_rows":
        np.random.default_rng(seed).shuffle(rows)
    return "\n".join([header, *rows]) + "\n"
