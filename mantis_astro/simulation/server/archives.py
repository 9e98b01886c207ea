"""`TapProtocol`: archives of tables, asked by ADQL as the Virtual Observatory does."""

import io
import re
import sqlite3
import threading
import time
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

import numpy as np
from astropy.table import Table

from mantis_astro.simulation.server.protocols import Answer, text_answer

__all__ = ["TapProtocol"]

_TOP = re.compile(r"^\s*SELECT\s+TOP\s+(\d+)\s", re.IGNORECASE)
_FROM = re.compile(r'\bFROM\s+("[^"]+"|\S+)', re.IGNORECASE)
_VOTABLE = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<VOTABLE version="1.3" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">'
    '<RESOURCE type="results">{}</RESOURCE></VOTABLE>'
)
_JOB = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<uws:job xmlns:uws="http://www.ivoa.net/xml/UWS/v1.0" version="1.1" '
    'xmlns:xlink="http://www.w3.org/1999/xlink"><uws:jobId>{}</uws:jobId>'
    "<uws:ownerId/><uws:phase>{}</uws:phase>{}</uws:job>"
)


class TapProtocol:
    """
    A Table Access Protocol server: ``/tap/sync``, and jobs at ``/tap/async``.

    It answers as the servers of VizieR and of the Astro Data Lab do: a VOTable whose
    ``QUERY_STATUS`` is OK, OVERFLOW (after the rows) or ERROR. Queries of one table,
    without functions of ADQL, are understood.

    Parameters
    ----------
    tables : mapping of str to `~astropy.table.Table`
        Tables by name, as in ``FROM desi_dr1.zpix`` or ``FROM "VII/259/6dfgs"``.

    Attributes
    ----------
    max_rows : int or None
        Most rows of an answer, whatever is asked for.
    tells_overflow : bool
        Whether an answer that was cut says so.
    obeys_limit : bool
        Whether ``TOP`` and ``MAXREC`` are obeyed.
    job_seconds : float
        How long a job takes.
    """

    paths = ("/tap",)

    def __init__(self, tables):
        self.max_rows = None
        self.tells_overflow = self.obeys_limit = True
        self.job_seconds = 0.0
        self._names = set(tables)
        self._lock = threading.Lock()
        self._jobs = []  # (answer or message of an error, when it is done)
        self._database = sqlite3.connect(":memory:", check_same_thread=False)
        for name, table in tables.items():
            self._add(name, Table(table))

    def answer(self, path, query, body, content_type):  # noqa: ARG002
        """
        Answer a request; parameters as for the other protocols.

        Parameters
        ----------
        path : str
            Path of the address.
        query : dict of str to str
            Its parameters.
        body : bytes
            A form, whose fields are parameters too.
        content_type : str
            Its content type.

        Returns
        -------
        Answer or None
            None if the path is not served here.
        """
        query = {**query, **dict(parse_qsl(body.decode("utf-8", "replace")))}
        query = {name.upper(): value for name, value in query.items()}
        top, _, rest = path.removeprefix(self.paths[0] + "/").partition("/")
        if top == "sync":
            return self._sync(query)
        if top == "async" and not rest:
            return self._start(query)
        if top == "async":
            number, _, what = rest.partition("/")
            if number.isdigit() and int(number) < len(self._jobs):
                return self._job(int(number), what, query)
        return None

    def _sync(self, query):
        try:
            return _votable(self._run(query))
        except sqlite3.Error as error:
            return _votable(_status("ERROR", str(error)), 400)

    def _start(self, query):
        try:
            outcome = self._run(query)
        except sqlite3.Error as error:
            outcome = error
        with self._lock:
            self._jobs.append((outcome, time.monotonic() + self.job_seconds))
            number = len(self._jobs) - 1
        return Answer(303, headers={"Location": f"{self.paths[0]}/async/{number}"})

    def _job(self, number, what, query):
        outcome, done = self._jobs[number]
        if query.get("PHASE") == "ABORT":
            self._jobs[number] = None, done
        if what == "phase":
            return Answer(303, headers={"Location": f"{self.paths[0]}/async/{number}"})
        if outcome is None:
            return _described(number, "ABORTED")
        if time.monotonic() < done:
            return _described(number, "EXECUTING")
        if isinstance(outcome, Exception):
            return _described(number, "ERROR", str(outcome))
        return _votable(outcome) if what else _described(number, "COMPLETED")

    def _add(self, name, table):
        columns = ", ".join(f'"{column}"' for column in table.colnames)
        marks = ", ".join("?" * len(table.colnames))
        values = [np.ma.asarray(table[c]).tolist() for c in table.colnames]
        rows = zip(*values, strict=True)
        self._database.execute(f'CREATE TABLE "{name}" ({columns})')
        self._database.executemany(
            f'INSERT INTO "{name}" VALUES ({marks})',  # noqa: S608
            rows,
        )

    def _run(self, query):
        """Return what the query gives, as the inside of a VOTable's resource."""
        adql = query.get("QUERY", "")
        limits = [int(query["MAXREC"])] if "MAXREC" in query else []
        if top := _TOP.match(adql):
            limits.append(int(top[1]))
            adql = _TOP.sub("SELECT ", adql)
        limits = limits if self.obeys_limit else []
        limits += [] if self.max_rows is None else [self.max_rows]
        adql = _FROM.sub(self._quoted, adql, count=1)
        with self._lock:
            cursor = self._database.execute(adql)
            rows = cursor.fetchall()
        kept = rows[: min(limits, default=len(rows))]
        names = [column[0] for column in cursor.description]
        over = self.tells_overflow and len(kept) < len(rows)
        end = _status("OVERFLOW") if over else ""
        return _status("OK") + _table_xml(kept, names) + end

    def _quoted(self, match):
        name = match[1].strip('"')
        if name not in self._names:
            msg = f"unknown table {name}"
            raise sqlite3.OperationalError(msg)
        return f'FROM "{name}"'


def _table_xml(rows, names):
    """Write rows as a TABLE of VOTable."""
    columns = list(zip(*rows, strict=True)) if rows else [() for _ in names]
    table = Table(masked=True)
    for name, values in zip(names, columns, strict=True):
        missing = [value is None for value in values]
        known = [value for value in values if value is not None]
        dtype = np.array(known).dtype if known else float
        fill = "" if np.dtype(dtype).kind == "U" else 0
        filled = [fill if value is None else value for value in values]
        table[name] = np.ma.array(filled, mask=missing, dtype=dtype)
    stream = io.BytesIO()
    table.write(stream, format="votable")
    text = stream.getvalue().decode()
    start = text.index("<TABLE")
    return text[start : text.index("</TABLE>") + len("</TABLE>")]


def _status(value, text=""):
    return f'<INFO name="QUERY_STATUS" value="{value}">{escape(text)}</INFO>'


def _votable(inside, status=200):
    kind = "application/x-votable+xml"
    return text_answer(status, _VOTABLE.format(inside), kind)


def _described(number, phase, message=""):
    more = ""
    if phase == "COMPLETED":
        link = f"{TapProtocol.paths[0]}/async/{number}/results/result"
        more = (
            f'<uws:results><uws:result id="result" xlink:href="{link}"/></uws:results>'
        )
    if message:
        more = (
            '<uws:errorSummary type="fatal" hasDetail="false"><uws:message>'
            f"{escape(message)}</uws:message></uws:errorSummary>"
        )
    return text_answer(200, _JOB.format(number, phase, more), "application/xml")
