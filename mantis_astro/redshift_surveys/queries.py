"""`run_query`: one query of a table, as a job at a TAP service."""

import io
import re
import time
from html import unescape

from astropy.io import votable
from astropy.table import Table

from mantis_astro.exceptions import FetchError
from mantis_astro.services.configuration import conf
from mantis_astro.services.inquiry import Inquiry
from mantis_astro.services.request import HttpRequest
from mantis_astro.services.scheduler import Job
from mantis_astro.services.validation import BadAnswerError, check_status

__all__ = ["TooLargeError", "run_query"]

_FIRST_WAIT, _LONGEST_WAIT = 0.3, 15.0  # seconds between two looks at a job
_AT_WORK = {"PENDING", "QUEUED", "EXECUTING", "RUN", "HELD", "SUSPENDED", "UNKNOWN"}
_ROW_BYTES, _HEAD_BYTES = 4000, 1_000_000  # no row of a few columns is that long


class TooLargeError(FetchError):
    """A query returns more rows, or lasts longer, than allowed; reduce the area."""


def run_query(server, adql, limit):
    """
    Run a query, and return all its rows.

    The query is a job, which a server works at without a connection being open:
    answered at once, a query of DESI's table at the Astro Data Lab takes too long.

    Parameters
    ----------
    server : str
        Address of the TAP service.
    adql : str
        The query.
    limit : int
        Rows at most. As many, or more, are taken for a part of the answer.

    Returns
    -------
    `~astropy.table.Table`
        Fewer rows than the limit, and all that there are.

    Raises
    ------
    TooLargeError
        If there may be more rows, or the job takes longer than
        ``conf.query_timeout``.
    FetchError
        If the server cannot be reached, rejects the query, or answers with something
        else; after the repetitions that ``conf`` allows.
    """
    form = {"REQUEST": "doQuery", "LANG": "ADQL", "PHASE": "RUN"}
    form |= {"QUERY": adql, "MAXREC": limit}
    job = _post(f"{server}/async", form)
    address = f"{server}/async/{job['id']}"
    _wait_for(address, job)
    most = _HEAD_BYTES + _ROW_BYTES * limit
    result = HttpRequest(f"{address}/results/result", max_bytes=most)
    table, is_whole = _send(result, _read_rows)
    if not is_whole or len(table) >= limit:
        msg = f"{result.host} has {limit:,} rows or more for {adql}"
        raise TooLargeError(msg)
    return table


def _wait_for(address, job):
    """Wait until a job is done."""
    until, wait = time.monotonic() + conf.query_timeout, _FIRST_WAIT
    if job["phase"] == "PENDING":  # a server that starts nothing by itself
        job = _post(f"{address}/phase", {"PHASE": "RUN"})
    while job["phase"] in _AT_WORK:
        if time.monotonic() > until:
            _post(f"{address}/phase", {"PHASE": "ABORT"})
            msg = f"{address} is not done after {conf.query_timeout:g} s"
            raise TooLargeError(msg)
        time.sleep(wait)
        wait = min(1.5 * wait, _LONGEST_WAIT)
        job = _send(HttpRequest(address, max_bytes=_HEAD_BYTES), _read_job)
    if job["phase"] == "ABORTED":
        msg = f"{address} was aborted by the server"
        raise TooLargeError(msg)
    if job["phase"] != "COMPLETED":
        msg = (
            f"{address} ended as {job['phase']}: {job['message'] or 'no reason given'}"
        )
        raise FetchError(msg)


def _post(url, form):
    return _send(HttpRequest(url, "POST", data=form, max_bytes=_HEAD_BYTES), _read_job)


def _send(http, accept):
    """Send a request with the engine of downloads; return the parsed answer."""
    outcomes = []
    with Inquiry(cache=False, timeout=conf.timeout) as inquiry:
        inquiry.engine(None).submit(Job(http, accept, outcomes.append))
    (outcome,) = outcomes
    if isinstance(outcome, Exception):
        msg = f"{http.url}: {outcome}"
        raise FetchError(msg) from outcome
    return outcome


def _read_job(answer):
    """Read a server's description of a job."""
    text = answer.content.decode("utf-8", "replace")
    if answer.status >= 400 and (message := _status_of(text)[1]):
        raise BadAnswerError(message, lasting=answer.status < 500)
    check_status(answer.status, answer.content)
    number, phase = _element(text, "jobId"), _element(text, "phase")
    if not number or not phase:
        msg = f"the answer describes no job: {' '.join(text.split())[:100]!r}"
        raise BadAnswerError(msg)
    return {"id": number, "phase": phase, "message": _element(text, "message")}


def _element(text, name):
    found = re.search(rf"<(?:\w+:)?{name}\b[^>]*>([^<]*)<", text)
    return unescape(found[1]).strip() if found else ""


def _status_of(text):
    """Return the final status of a query, OK, OVERFLOW or ERROR, and the reason."""
    word, why = "", ""
    pattern = r"<INFO\b([^>]*?)(?:/>|>([^<]*)</INFO>)"
    for attributes, content in re.findall(pattern, text):
        facts = dict(re.findall(r"""(\w+)\s*=\s*["']([^"']*)["']""", attributes))
        if facts.get("name", "").upper() == "QUERY_STATUS":
            word, why = facts.get("value", "").upper(), unescape(content).strip()
    return word, why


def _read_rows(answer):
    """Read a VOTable, and whether it holds all rows."""
    check_status(answer.status, answer.content)
    if b"<VOTABLE" not in answer.content[:2000]:
        text = " ".join(answer.content[:300].decode("utf-8", "replace").split())
        msg = f"the answer is no VOTable: {text[:100]!r}"
        raise BadAnswerError(msg)
    # what stands outside of the rows, which may be long
    head, _, tail = answer.content.partition(b"<DATA")
    tail = tail[tail.rfind(b"</DATA>") + 1 :]
    word, why = _status_of((head + tail).decode("utf-8", "replace"))
    if word == "ERROR":
        raise BadAnswerError(why or "QUERY_STATUS is ERROR", lasting=True)
    file = votable.parse(io.BytesIO(answer.content), verify="ignore")
    tables = list(file.iter_tables())
    if not tables:
        msg = "the VOTable of the answer holds no table"
        raise BadAnswerError(msg)
    rows = tables[0].to_table(use_names_over_ids=True)
    return Table(rows), word != "OVERFLOW"
