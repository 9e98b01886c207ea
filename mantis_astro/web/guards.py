"""Guards around the application: access, rate, size, and headers of answers."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from collections.abc import Collection

    from mantis_astro.web.limits import Limits

__all__ = ["Guards"]

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"cache-control", b"no-store"),
)
_READS = "GET", "HEAD", "OPTIONS"
_MINUTE = 60.0
_MOST_CLIENTS = 10_000


class Guards:
    """
    Middleware that refuses requests before they reach the application.

    A request is refused whose Host header is not the server's own (a page of the web
    may have its name point to this machine), that another site's page sends, that is
    one too many, or whose body is too large. Every answer gets headers by which a
    browser trusts it with nothing more than it needs.

    Parameters
    ----------
    app : callable
        The application, ASGI.
    limits : Limits
        How much and how often.
    hosts : collection of str
        Names that the server goes by, without port.
    upload_path : str
        The path whose bodies may be as large as an upload.
    """

    def __init__(self, app, limits: Limits, hosts: Collection[str], upload_path: str):
        self._app, self._limits = app, limits
        self._hosts = {host.lower() for host in hosts}
        self._upload_path = upload_path
        self._seen: dict[str, deque] = {}

    async def __call__(self, scope, receive, send):
        """Answer a request of ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message):
            if message["type"] == "http.response.start":
                own = {name for name, _ in _HEADERS}
                headers = [
                    (k, v) for k, v in message["headers"] if k.lower() not in own
                ]
                message = {**message, "headers": [*headers, *_HEADERS]}
            await send(message)

        refusal = self._refusal(scope)
        if refusal:
            await _refuse(send_guarded, *refusal)
            return
        await self._app(scope, self._guarded(scope, receive), send_guarded)

    def _guarded(self, scope, receive):
        """Make a function that receives a body no larger and no slower than allowed."""
        limit, seconds = self._body_limit(scope), self._limits.answer_seconds
        seen, is_whole = 0, False

        async def receive_guarded():
            nonlocal seen, is_whole
            if is_whole:  # what comes now is the news that the client is gone
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), seconds)
            except TimeoutError:
                reason = f"the request did not come within {seconds:g} s"
                raise HTTPException(408, reason) from None
            seen += len(message.get("body", b""))
            is_whole = not message.get("more_body", False)
            if seen > limit:
                raise HTTPException(413, _too_large(limit))
            return message

        return receive_guarded

    def _refusal(self, scope):
        """Status, reason and headers, if the request is to be refused unread."""
        headers = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
        if _name_of(headers.get("host", "")) not in self._hosts:
            return 421, (
                "this server does not go by the name in the Host header; open it by "
                f"one of {', '.join(sorted(self._hosts))}"
            )
        if scope["method"] in _READS:
            return None
        if not _is_same_origin(headers):
            return 403, "requests of other sites' pages are refused"
        length = headers.get("content-length", "0")
        if not length.isdecimal():
            return 400, "the header Content-Length is no number"
        limit = self._body_limit(scope)
        if int(length) > limit:
            return 413, _too_large(limit)
        wait = self._wait(scope)
        if wait > 0:
            seconds = int(wait) + 1
            reason = (
                f"more than {self._limits.requests_per_minute} requests in a minute: "
                f"wait {seconds} s"
            )
            return 429, reason, [(b"retry-after", str(seconds).encode())]
        return None

    def _body_limit(self, scope):
        is_upload = scope["path"] == self._upload_path
        return self._limits.upload_bytes if is_upload else self._limits.body_bytes

    def _wait(self, scope):
        """Seconds that a client is to wait, 0 if none; takes note of the request."""
        now = time.monotonic()
        client = (scope.get("client") or ("",))[0]
        if len(self._seen) >= _MOST_CLIENTS and client not in self._seen:
            self._seen = {
                name: times
                for name, times in self._seen.items()
                if times and now - times[-1] < _MINUTE
            }
        times = self._seen.setdefault(client, deque())
        while times and now - times[0] >= _MINUTE:
            times.popleft()
        if len(times) >= self._limits.requests_per_minute:
            return _MINUTE - (now - times[0])
        times.append(now)
        return 0.0


def _too_large(limit):
    return f"the request has more than {limit:,} bytes, which is the limit"


def _name_of(host):
    """Name in a Host header, without port; of IPv6, with its brackets."""
    host = host.strip().lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def _is_same_origin(headers):
    """Return whether no header names the page of another site as the origin."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")


async def _refuse(send, status, reason, headers=()):
    content = json.dumps({"error": reason}).encode()
    facts = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": facts})
    await send({"type": "http.response.body", "body": content})
