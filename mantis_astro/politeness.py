"""Polite requests: the User-Agent, and the wait between two tries."""

import email.utils
from datetime import UTC, datetime

__all__ = ["PROJECT_PAGE", "backoff", "retry_after", "user_agent"]

#: Where people who run a server can learn who asks.
PROJECT_PAGE = "https://github.com/mantis-astro/mantis-astro"


def user_agent(contact=PROJECT_PAGE):
    """
    User-Agent of requests, with the contact of the user.

    Parameters
    ----------
    contact : str, optional
        Page or e-mail of who asks.

    Returns
    -------
    str
        Name, version and contact.
    """
    from mantis_astro import __version__

    return f"mantis_astro/{__version__} (+{contact}) requests"


def backoff(tries, *, first, longest, rng):
    """
    Draw the wait before the next try.

    Parameters
    ----------
    tries : int
        Tries so far, at least 1.
    first, longest : float
        Seconds before the second try, doubling up to the longest wait.
    rng : `~numpy.random.Generator` or `random.Random`
        Jitter, so that clients that failed together do not come back together.

    Returns
    -------
    float
        Half to all of ``first * 2**(tries - 1)``, at most ``longest``.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.politeness import backoff
    >>> wait = backoff(3, first=1.0, longest=60.0, rng=np.random.default_rng(0))
    >>> 2.0 <= wait <= 4.0
    True
    """
    wait = min(first * 2.0 ** min(tries - 1, 30), longest)
    return wait * rng.uniform(0.5, 1.0)


def retry_after(headers):
    """
    Read the wait that a server requests.

    Parameters
    ----------
    headers : mapping of str to str
        Headers of an answer.

    Returns
    -------
    float or None
        Seconds, from either form of the ``Retry-After`` header; None if there is none
        that makes sense.

    Examples
    --------
    >>> from mantis_astro.politeness import retry_after
    >>> retry_after({"Retry-After": "120"})
    120.0
    """
    text = headers.get("Retry-After")
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        pass
    else:
        return max(seconds, 0.0) if seconds < float("inf") else None
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max((moment - datetime.now(UTC)).total_seconds(), 0.0)
