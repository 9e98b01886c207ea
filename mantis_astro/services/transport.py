"""`HttpTransport`: sends requests, one pool of connections for each host."""

import contextlib
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from mantis_astro.services.base import user_agent

__all__ = ["Answer", "HttpTransport", "TransportError"]

_WATCH_INTERVAL = 0.05  # s


class TransportError(OSError):
    """No answer came, or not all of it; asking again may help."""


@dataclass(slots=True)
class Answer:
    """
    What came back.

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


class HttpTransport:
    """
    Sends requests with time-outs that hold, whatever a server does.

    A read time-out alone does not end an answer that comes byte by byte, and nothing
    wakes a thread that waits for a silent server: each request is watched, and its
    socket is shut down when its time is over or the transport is closed.

    Parameters
    ----------
    connections_per_host : int
        Connections kept open for each host.
    connect_timeout, read_timeout : float
        Seconds for the connection, and between two bytes.
    """

    def __init__(self, *, connections_per_host, connect_timeout, read_timeout):
        self._pool_size = connections_per_host
        self._timeout = (connect_timeout, read_timeout)
        self._sessions = {}
        self._flights = set()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._watch = None  # a thread, from the first request on

    def send(self, http, *, seconds):
        """
        Send a request and wait for the whole answer.

        Parameters
        ----------
        http : HttpRequest
            What is sent.
        seconds : float
            Time for the whole answer.

        Returns
        -------
        Answer
            Whatever the status.

        Raises
        ------
        TransportError
            If there is no whole answer.
        """
        flight = _Flight(time.monotonic() + seconds)
        _this_thread.flight = flight
        self._take_off(flight)
        try:
            return self._exchange(http)
        except (requests.RequestException, OSError, ValueError) as error:
            # ValueError: reading from a socket that the watch has just shut down
            if self._closed.is_set():
                msg = "cancelled"
            elif flight.overdue:
                msg = f"{http.host} gave no whole answer within {seconds:.3g} s"
            elif isinstance(error, requests.Timeout):
                msg = f"{http.host} was silent for more than {max(self._timeout):g} s"
            else:
                msg = f"{http.host} cannot be reached or broke off ({_cause(error)})"
            raise TransportError(msg) from error
        finally:
            with self._lock:
                self._flights.discard(flight)

    def close(self):
        """Break off what is under way and close all connections."""
        self._closed.set()
        with self._lock:
            for flight in self._flights:
                flight.abort()
            sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            session.close()
        if self._watch is not None:
            self._watch.join()

    def _take_off(self, flight):
        with self._lock:
            self._check_open()
            self._flights.add(flight)
            if self._watch is None:
                self._watch = threading.Thread(
                    target=self._keep_watch, name="mantis_astro watch", daemon=True
                )
                self._watch.start()

    def _exchange(self, http):
        response = self._session(http.host).request(
            http.method,
            http.url,
            data=http.data,
            files=http.files,
            timeout=self._timeout,
            stream=True,
        )
        with response:
            return Answer(response.status_code, response.content, response.headers)

    def _session(self, host):
        with self._lock:
            self._check_open()
            if host not in self._sessions:
                session = requests.Session()
                session.headers["User-Agent"] = user_agent()
                session.max_redirects = 5
                adapter = _WatchedAdapter(pool_maxsize=self._pool_size)
                session.mount("http://", adapter)
                session.mount("https://", adapter)
                self._sessions[host] = session
            return self._sessions[host]

    def _check_open(self):
        if self._closed.is_set():
            msg = "cancelled"
            raise TransportError(msg)

    def _keep_watch(self):
        while not self._closed.wait(_WATCH_INTERVAL):
            now = time.monotonic()
            with self._lock:
                late = [flight for flight in self._flights if flight.deadline < now]
            for flight in late:
                flight.overdue = True
                flight.abort()


class _Flight:
    """A request under way: when its time is over, and its socket once it has one."""

    def __init__(self, deadline):
        self.deadline = deadline
        self.overdue = False
        self.socket = None
        self._aborted = False

    def board(self, sock):
        self.socket = sock
        if self._aborted:
            self.abort()

    def abort(self):
        self._aborted = True
        if self.socket is not None:
            with contextlib.suppress(OSError):  # closed already
                # not SSLSocket's own: it would pull the TLS object from under a reader
                socket.socket.shutdown(self.socket, socket.SHUT_RDWR)


_this_thread = threading.local()


class _Boarding:
    """A connection that tells the flight of its thread which socket it uses."""

    def getresponse(self):
        flight = getattr(_this_thread, "flight", None)
        if flight is not None:
            flight.board(self.sock)
        return super().getresponse()


class _Http(_Boarding, HTTPConnection):
    pass


class _Https(_Boarding, HTTPSConnection):
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _Https


class _WatchedAdapter(HTTPAdapter):
    def init_poolmanager(self, *args, **kwargs):
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": _HttpPool,
            "https": _HttpsPool,
        }


def _cause(error):
    """Name the innermost reason of a chain of wrapped errors."""
    while isinstance(inner := error.__cause__ or error.__context__, Exception):
        error = inner
    return str(error) or type(error).__name__
