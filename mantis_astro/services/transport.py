"""`HttpTransport`: sends requests, one pool of connections for each host."""

import os
import selectors
import socket
import threading
import time
from contextlib import suppress

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    NameResolutionError,
    NewConnectionError,
)
from urllib3.util.connection import allowed_gai_family

from mantis_astro.politeness import user_agent
from mantis_astro.services.answers import Answer, TransportError
from mantis_astro.services.configuration import conf
from mantis_astro.services.file_reading import read_file

__all__ = ["Answer", "HttpTransport", "TransportError"]

_WATCH_INTERVAL = 0.05  # s
_CHUNK = 1 << 14  # bytes read at a time: a gzip bomb makes a thousand times as many


class HttpTransport:
    """
    Sends requests with time-outs that hold, whatever a server does.

    An address that is none of HTTP is a file: on this machine, or in cloud storage, by
    fsspec.

    A read time-out alone does not end an answer that comes byte by byte, and nothing
    wakes a thread that waits for a silent server: each request is watched. When its
    time is over or the transport is closed, its connection is shut down, or no longer
    waited for if it is not there yet.

    Parameters
    ----------
    connections_per_host : int
        Connections kept open for each host.
    connect_timeout, read_timeout : float
        Seconds for the connection (the look-up of the name included), and between two
        bytes.
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
            If there is no whole answer, or it has more than ``http.max_bytes``.
        """
        if not http.url.startswith(("http://", "https://")):
            self._check_open()
            return read_file(http)
        flight = _Flight(time.monotonic() + seconds)
        _this_thread.flight = flight
        self._take_off(flight)
        try:
            return self._exchange(http)
        except (requests.RequestException, OSError, ValueError) as error:
            # ValueError: reading from a socket that the watch has just shut down
            raise self._explain(error, http, flight, seconds) from error
        finally:
            with self._lock:
                self._flights.discard(flight)
                flight.land()

    def close(self):
        """Cancel open requests and close all connections."""
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
            headers=http.headers,
            timeout=self._timeout,
            stream=True,
        )
        with response:
            body = _read_body(response, http)
            return Answer(response.status_code, body, response.headers)

    def _explain(self, error, http, flight, seconds):
        if isinstance(error, TransportError):
            return error
        host, unreachable = http.host, not flight.is_connected
        if self._closed.is_set():
            return TransportError("cancelled")
        if flight.overdue:
            msg = f"{host} gave no whole answer within {seconds:.3g} s"
            return TransportError(msg, timed_out=True, unreachable=unreachable)
        if isinstance(error, requests.Timeout):
            msg = f"{host} was silent for more than {self._timeout[1]:g} s"
            if unreachable:
                msg = f"{host} cannot be reached within {self._timeout[0]:g} s"
            return TransportError(msg, timed_out=True, unreachable=unreachable)
        problem = "cannot be reached" if unreachable else "broke off"
        msg = f"{host} {problem} ({_cause(error)})"
        return TransportError(msg, unreachable=unreachable)

    def _session(self, host):
        with self._lock:
            self._check_open()
            if host not in self._sessions:
                session = requests.Session()
                session.headers["User-Agent"] = user_agent(conf.contact)
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
                for flight in self._flights:
                    if flight.deadline < now:
                        flight.overdue = True
                        flight.abort()


def _read_body(response, http):
    """Read a body up to the largest size of an answer to its request."""
    limit = http.max_bytes
    announced = response.headers.get("Content-Length", "")
    parts, n_bytes = [], int(announced) if announced.isdigit() else 0
    if limit is None or n_bytes <= limit:
        n_bytes = 0
        for part in response.iter_content(_CHUNK):
            parts.append(part)
            n_bytes += len(part)
            if limit is not None and n_bytes > limit:
                break
        else:
            return b"".join(parts)
    msg = f"{http.host} sent more than {limit:,} bytes, far more than was asked for"
    raise TransportError(msg)


class _Flight:
    """A request under way: when its time is over, and its connection."""

    def __init__(self, deadline):
        self.deadline = deadline
        self.overdue = False
        self.aborted = False
        self.is_connected = False
        self._socket = None

    def board(self, sock):
        """Keep a socket of one's own for the connection: TLS renews the other."""
        self.land()
        self._socket = socket.socket(fileno=os.dup(sock.fileno()))
        self.is_connected = True
        if self.aborted:
            self.abort()

    def land(self):
        if self._socket is not None:
            self._socket.close()

    def abort(self):
        self.aborted = True
        if self._socket is not None:
            with suppress(OSError):  # closed already
                self._socket.shutdown(socket.SHUT_RDWR)


_this_thread = threading.local()


class _Boarding:
    """A connection that can be shut down from its first moment."""

    def _new_conn(self):
        flight = _this_thread.flight
        try:
            sock = _connect(self, flight)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, str(error)) from error
        except OSError as error:
            raise NewConnectionError(self, str(error)) from error
        flight.board(sock)
        return sock

    def putrequest(self, *args, **kwargs):
        if self.sock is not None:
            _this_thread.flight.board(self.sock)
        return super().putrequest(*args, **kwargs)


def _connect(connection, flight):
    """Connect like urllib3, with regular checks for cancellation."""
    until = time.monotonic() + connection.timeout
    problem = OSError("the name has no address")
    for family, kind, protocol, _, address in _resolve(connection, flight, until):
        sock = socket.socket(family, kind, protocol)
        try:
            for option in connection.socket_options or ():
                sock.setsockopt(*option)
            _reach(sock, address, flight, until)
            sock.settimeout(connection.timeout)
        except OSError as error:
            sock.close()
            problem = error
        else:
            return sock
    raise problem


def _reach(sock, address, flight, until):
    sock.settimeout(0)
    with suppress(BlockingIOError):
        sock.connect(address)
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_WRITE)
        while not selector.select(_WATCH_INTERVAL):
            _check_patience(flight, until)
    if code := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise OSError(code, os.strerror(code))


def _resolve(connection, flight, until):
    """Addresses of a name, from a thread: nothing ends a look-up that hangs."""
    found = []

    def look_up():
        try:
            found.append(
                socket.getaddrinfo(
                    connection._dns_host,
                    connection.port,
                    allowed_gai_family(),
                    socket.SOCK_STREAM,
                )
            )
        except (OSError, UnicodeError) as error:
            found.append(error)

    thread = threading.Thread(target=look_up, name="look-up of a host", daemon=True)
    thread.start()
    while not found:
        thread.join(_WATCH_INTERVAL)
        if not found:
            _check_patience(flight, until)
    if isinstance(found[0], Exception):
        raise found[0]
    return found[0]


def _check_patience(flight, until):
    if flight.aborted:
        msg = "broken off"
        raise OSError(msg)
    if time.monotonic() > until:
        msg = "no connection in time"
        raise TimeoutError(msg)


class _Http(_Boarding, HTTPConnection):
    pass


class _Https(_Boarding, HTTPSConnection):
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _Https


_POOLS = {"http": _HttpPool, "https": _HttpsPool}


class _WatchedAdapter(HTTPAdapter):
    def init_poolmanager(self, *args, **kwargs):
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy, **kwargs):
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.startswith("socks"):  # those have connections of their own
            manager.pool_classes_by_scheme = _POOLS
        return manager


def _cause(error):
    """Name the innermost reason of a chain of wrapped errors."""
    while isinstance(inner := error.__cause__ or error.__context__, Exception):
        error = inner
    return str(error) or type(error).__name__
