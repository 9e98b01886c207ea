"""Errors of requests: their description in OpenAPI, and answers in JSON."""

import json
import logging

from astropy.units import UnitsError
from fastapi import Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from mantis_astro.exceptions import MantisError
from mantis_astro.web.schema import Problem

__all__ = ["OF_POSTS", "THEIRS", "answer_problems", "as_json", "encode", "may_answer"]

log = logging.getLogger(__name__)

#: What is wrong with what was asked, as opposed to with us.
THEIRS = (
    *(MantisError, ImportError, KeyError, OSError, TypeError, UnitsError, ValueError),
)

#: Refusals of a request that has a body.
OF_POSTS = 400, 403, 408, 413, 422, 429, 503

_REASONS = {
    400: "The request cannot be read",
    403: "Another site's page sent it",
    404: "There is no such thing, or no more",
    408: "It did not come in time",
    409: "The job has no result yet, or never will",
    413: "It is too large",
    421: "The Host header is not this server's",
    422: "It is not as it must be",
    429: "Too many requests",
    503: "Too many wait already",
    504: "There was no answer in time",
}
_PLAIN = {
    "Not Found": "there is nothing at this address",
    "Method Not Allowed": "this address does not take this method",
}
_METHODS = "DELETE", "GET", "POST"
_MOST_WORDS = 3  # mistakes of a request that are told
_OURS = "an error of the server's own, which its log describes"


def may_answer(*statuses):
    """
    Describe refusals for OpenAPI.

    Parameters
    ----------
    *statuses : int
        Those that a request may meet, besides that of a wrong Host header.

    Returns
    -------
    dict
        As ``responses`` of a route.
    """
    return {
        status: {"model": Problem, "description": _REASONS[status]}
        for status in (421, *statuses)
    }


def encode(answer):
    """
    Write JSON, numbers with as many digits as it takes to read them back.

    Parameters
    ----------
    answer : dict or list
        What to write.

    Returns
    -------
    str
        The text.
    """
    return json.dumps(
        answer, allow_nan=False, ensure_ascii=False, separators=(",", ":")
    )


def as_json(answer, status=200):
    """
    Make an answer in JSON.

    Parameters
    ----------
    answer : dict or list
        What it holds.
    status : int, optional
        HTTP status.

    Returns
    -------
    `fastapi.Response`
        The answer.
    """
    return Response(encode(answer), status, media_type="application/json")


def answer_problems(app):
    """
    Make an application answer all errors in JSON, without tracebacks.

    Parameters
    ----------
    app : `fastapi.FastAPI`
        The application; changed.
    """

    @app.exception_handler(HTTPException)
    async def refuse(request, error):
        answer = as_json({"error": _PLAIN.get(error.detail, error.detail)})
        answer.status_code = error.status_code
        answer.headers.update(error.headers or {})
        if error.status_code == 405:  # starlette names those of one route alone
            answer.headers["Allow"] = ", ".join(_methods_of(request))
        return answer

    @app.exception_handler(RequestValidationError)
    async def refuse_form(_, error):
        reasons = [_in_words(one) for one in error.errors()]
        more = len(reasons) - _MOST_WORDS
        told = "; ".join(reasons[:_MOST_WORDS])
        return as_json({"error": f"{told}; and {more} more" if more > 0 else told}, 422)

    @app.exception_handler(Exception)
    async def confess(_, error):
        log.error("a request failed", exc_info=error)
        return as_json({"error": _OURS}, 500)


def _methods_of(request):
    """List the methods of the address of a request."""

    def takes(method):
        scope = {**request.scope, "method": method}
        return any(r.matches(scope)[0] == Match.FULL for r in request.app.routes)

    return filter(takes, _METHODS)


def _in_words(error):
    """Describe the errors of a request and their places."""
    place = [
        str(part) for part in error["loc"] if part not in ("body", "query", "path")
    ]
    words = error["msg"].removeprefix("Value error, ")
    words = f"{words[:300]}..." if len(words) > 300 else words  # of all that is allowed
    return f"{'.'.join(place) or error['loc'][0]}: {words[:1].lower()}{words[1:]}"
