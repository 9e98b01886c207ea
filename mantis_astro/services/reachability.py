"""`probe_servers`: test which servers can be reached from here."""

import re
import threading
import time
from typing import NamedTuple
from urllib.parse import urlsplit

from astropy.coordinates.name_resolve import sesame_url

from mantis_astro.files import list_files
from mantis_astro.politeness import user_agent
from mantis_astro.services.configuration import conf

__all__ = ["ServerProbe", "list_servers", "probe_servers"]

_SERVER_ERROR = 500


class ServerProbe(NamedTuple):
    """
    Answer of a server to a probe.

    Attributes
    ----------
    name : str
        What it is for.
    url : str
        What was asked.
    answers : bool
        Whether an answer came in time, and was none of a broken server.
    seconds : float
        How long it took.
    detail : str
        Status of HTTP, or what went wrong.
    """

    name: str
    url: str
    answers: bool
    seconds: float
    detail: str


def list_servers():
    """
    List the configured servers.

    Returns
    -------
    dict of str to str
        Address by name: items of `conf`, Sesame, and hosts of large files.
    """
    items = {name: getattr(conf, name) for name in conf if name != "contact"}
    servers = {n: v for n, v in items.items() if str(v).startswith("http")}
    servers |= {f"sesame {urlsplit(url).netloc}": url for url in sesame_url.get()}
    for file in list_files():
        address = urlsplit(file.url)
        servers[f"files {address.netloc}"] = f"{address.scheme}://{address.netloc}/"
    return servers


def probe_servers(servers=None, *, timeout=5.0):
    """
    Test whether servers answer, all at the same time.

    Parameters
    ----------
    servers : mapping of str to str, optional
        Address by name; by default those of `list_servers`.
    timeout : float, optional
        Seconds after which a server counts as not answering.

    Returns
    -------
    list of ServerProbe
        In the order of ``servers``. No more than the first bytes of an answer is read.
    """
    servers = list_servers() if servers is None else servers
    probes = {}

    def probe(name, url):
        start = time.monotonic()
        answers, detail = _ask(url, timeout)
        probes[name] = ServerProbe(name, url, answers, time.monotonic() - start, detail)

    # Threads that nothing waits for at exit: the look-up of a host knows no time-out.
    threads = [
        threading.Thread(target=probe, args=server, daemon=True)
        for server in servers.items()
    ]
    end = time.monotonic() + timeout
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(end - time.monotonic(), 0))
    silence = {
        "answers": False,
        "seconds": timeout,
        "detail": f"no answer in {timeout:g} s",
    }
    return [
        probes.get(name) or ServerProbe(name, url, **silence)
        for name, url in servers.items()
    ]


def _ask(url, timeout):
    """Return whether a server answers, and how."""
    import requests

    headers = {"User-Agent": user_agent(conf.contact)}
    try:
        with requests.get(url, headers=headers, timeout=timeout, stream=True) as answer:
            return answer.status_code < _SERVER_ERROR, f"HTTP {answer.status_code}"
    except requests.RequestException as error:
        reason = getattr(error.args[0] if error.args else error, "reason", error)
        # urllib3 begins with the connection, which the address names already
        return False, re.sub(r"^\w+\(.*?\): ", "", str(reason))
