"""`Limits`: limits of the server for all clients."""

from __future__ import annotations

from dataclasses import dataclass, fields

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """
    Limits of the server for all clients.

    Attributes
    ----------
    upload_bytes : int
        Size of an uploaded table, also when it is unpacked.
    body_bytes : int
        Size of any other request.
    rows : int
        Rows of an uploaded table.
    positions : int
        Rows of which cutouts are fetched.
    galaxies : int
        Galaxies of one request that is answered at once.
    requests_per_minute : int
        Requests that cost something (all but GET) of one client, in any minute.
    answer_seconds : float
        Time for an answer at once.
    job_seconds : float
        Time for a job, from when it is begun.
    waiting : int
        Requests that may wait for an answer; more are refused.
    waiting_jobs : int
        Jobs that may wait, each with the table that was sent.
    kept_jobs : int
        Jobs whose results are kept; beyond, the oldest go.
    keep_seconds : float
        Time after which a result goes.
    pictured : int
        Rows of a table of positions whose cutouts are kept to be shown.

    Examples
    --------
    >>> from mantis_astro.web import Limits
    >>> Limits(rows=100).rows
    100
    """

    upload_bytes: int = 20_000_000
    body_bytes: int = 1_000_000
    rows: int = 10_000
    positions: int = 100
    galaxies: int = 500
    requests_per_minute: int = 600
    answer_seconds: float = 120.0
    job_seconds: float = 600.0
    waiting: int = 300
    waiting_jobs: int = 20
    kept_jobs: int = 30
    keep_seconds: float = 3600.0
    pictured: int = 20

    def __post_init__(self):
        for item in fields(self):
            if not getattr(self, item.name) > 0:
                msg = f"'{item.name}' must be positive, got {getattr(self, item.name)}"
                raise ValueError(msg)
