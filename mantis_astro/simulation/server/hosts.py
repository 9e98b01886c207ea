"""Listening ports of the local sky: HTTP, with or without faults."""

import gzip
import http.server
import logging
import socket
import socketserver
import struct
import sys
import threading
import time
from contextlib import contextmanager, suppress
from functools import cache

from mantis_astro.simulation.server.faults import (
    choose_fault,
    spoil_image,
    spoil_query,
    spoil_range,
    spoil_rows,
)
from mantis_astro.simulation.server.protocols import Answer, cut_range, text_answer

__all__ = ["REDIRECTED", "Host"]

log = logging.getLogger(__name__)

#: Parameter that marks an address to which a request was redirected.
REDIRECTED = "redirected"
_HTML = (
    "<!DOCTYPE html><html><head><title>Down for maintenance</title></head>"
    "<body>Please come back later.</body></html>"
)


class Host(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """
    One listening port, with its own limits.

    Parameters
    ----------
    sky : LocalSky
        Whose port it is: latency, faults and the record of requests are there.
    name : str
        Name of the host in the record.
    protocol : object
        What answers: ``answer(path, query, body, content_type)``.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, sky, name, protocol):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.sky = sky
        self.name = name
        self.protocol = protocol
        self.address = f"http://127.0.0.1:{self.server_address[1]}"
        self.peak_in_flight = 0
        self.connections = set()
        self._in_flight = 0
        self._lock = threading.Lock()

    def server_bind(self):
        """Bind without asking a name server for this machine's name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def handle_error(self, request, client_address):
        """
        Log an error, except a client that closes its connection.

        Parameters
        ----------
        request : `socket.socket`
            The connection.
        client_address : tuple
            Where it came from.
        """
        log.debug("%s from %s: %s", request, client_address, sys.exception())

    def close_connections(self):
        """Close open connections."""
        for connection in list(self.connections):
            with suppress(OSError):  # closed already
                connection.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def in_flight(self):
        """Count a request that is being answered."""
        with self._lock:
            self._in_flight += 1
            self.peak_in_flight = max(self.peak_in_flight, self._in_flight)
        try:
            yield
        finally:
            with self._lock:
                self._in_flight -= 1


class _Handler(http.server.BaseHTTPRequestHandler):
    """Reads requests of one connection and sends answers, or what a fault makes."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 120

    def setup(self):
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self):
        self.server.connections.discard(self.connection)
        super().finish()

    def do_GET(self):
        """Answer a request."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        sky = self.server.sky
        request = sky.note_request(
            self.server.name, self.command, self.path, body, dict(self.headers)
        )
        with self.server.in_flight():
            self._answer(sky, request, body)
            request.stop = time.monotonic()

    do_POST = do_GET  # noqa: N815
    do_HEAD = do_GET  # noqa: N815

    def log_message(self, template, *args):
        """Send the access log where all logging goes."""
        log.debug(template, *args)

    def _answer(self, sky, request, body):
        limit = sky.max_connections
        if limit is not None and len(self.server.connections) > limit:
            self.close_connection = True
            self._send(request, text_answer(503, "too many connections"))
            return
        if sky.stopped.wait(sky.latency):
            self.close_connection = True
            return
        fault = choose_fault(sky.faults, request, sky.seed)
        if REDIRECTED in request.query and getattr(fault, "kind", "") == "redirect":
            fault = None  # one redirection is the fault, a ring of them is not
        request.fault = fault and fault.kind
        if request.fault == "refused":
            self._break_off("reset", 0)
            return
        if request.fault == "hang":
            sky.stopped.wait(fault.seconds)
            self.close_connection = True
            return
        self._send(request, self._make_answer(request, body, fault), fault)

    def _make_answer(self, request, body, fault):
        kind = fault and fault.kind
        if isinstance(kind, int):
            answer = text_answer(kind, "try again later")
            if fault.retry_after is not None:
                answer.headers["Retry-After"] = str(fault.retry_after)
                request.retry_after = fault.retry_after
            return answer
        if kind == "gzip_bomb":
            headers = {"Content-Encoding": "gzip"}
            return Answer(200, _gzip_bomb(), "application/fits", headers)
        if kind == "html":
            return text_answer(200, _HTML, "text/html; charset=utf-8")
        if kind == "no_such_layer":
            return text_answer(200, "no such layer")
        if kind == "empty":
            return Answer()
        if kind == "redirect":
            url = f"{request.url}{'&' if '?' in request.url else '?'}{REDIRECTED}=1"
            status = 302 if request.method == "GET" else 307
            return Answer(status, headers={"Location": url})
        query = spoil_query(kind, request.query)
        content_type = self.headers.get("Content-Type", "")
        answer = self.server.protocol.answer(request.path, query, body, content_type)
        if answer is None:
            return text_answer(404, f"no {request.path} here")
        if kind in {"blank", "wrong_scale"}:
            answer.body = spoil_image(kind, answer.body)
        if kind is not None and kind.endswith("_rows"):
            answer.body = spoil_rows(kind, answer.body.decode(), 0).encode()
        if "Range" in self.headers and kind != "no_ranges":
            answer = spoil_range(kind, cut_range(answer, self.headers["Range"]))
        return answer

    def _send(self, request, answer, fault=None):
        request.status = answer.status
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command == "HEAD":
            return
        body = answer.body
        kind = fault and fault.kind
        if kind in {"hang_in_body", "reset", "cut_short"}:
            self._write(request, body[: len(body) // 2])
            self._break_off(kind, fault.seconds)
        elif kind == "slow_drip":
            self._write(request, body, len(body) / fault.seconds)
        else:
            self._write(request, body, self.server.sky.bandwidth)

    def _write(self, request, body, bandwidth=None):
        """Send a body, at no more than some bytes per second."""
        step = len(body) if bandwidth is None else max(int(bandwidth / 20), 1)
        for start in range(0, len(body), max(step, 1)):
            part = body[start : start + step]
            self.wfile.write(part)
            request.n_bytes += len(part)
            if bandwidth is not None and self.server.sky.stopped.wait(
                len(part) / bandwidth
            ):
                return

    def _break_off(self, kind, seconds):
        self.close_connection = True
        if kind == "hang_in_body":
            self.server.sky.stopped.wait(seconds)
        elif kind == "reset":
            # a linger time of zero makes close() send RST; shutdown() would send FIN
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            socket.close(self.connection.detach())


@cache
def _gzip_bomb():
    return gzip.compress(bytes(1 << 24))
