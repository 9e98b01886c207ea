"""
A sky on this machine: HTTP servers that speak the survey services' protocols.

`LocalSky` stands in for the servers of Pan-STARRS1 and of the Legacy Survey viewer in
tests, tutorials and benchmarks. It answers as they do, quirks included, and fails as
they do, on order. It listens on 127.0.0.1 only.
"""

import re
import threading
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from urllib.parse import parse_qsl, urlencode, urlsplit

import numpy as np

from mantis_astro.simulation.server.archives import TapProtocol
from mantis_astro.simulation.server.hosts import REDIRECTED, Host
from mantis_astro.simulation.server.protocols import (
    FilesProtocol,
    PanstarrsProtocol,
    ViewerProtocol,
)
from mantis_astro.simulation.server.sky import Sky

__all__ = ["LocalSky", "Request"]


@dataclass
class Request:
    """
    One request that reached the server.

    Attributes
    ----------
    host : str
        ``"panstarrs"``, ``"legacy_survey"``, ``"files"`` or ``"archives"``.
    method, path : str
        As sent.
    query : dict of str to str
        Parameters of the address.
    url : str
        Path and query, as sent.
    identity : str
        Same for requests of the same thing: method, address and a digest of the body.
    attempt : int
        How many requests with this identity came before.
    n_positions : int
        Positions in the body of a file list request; 1 otherwise.
    headers : dict of str to str
        Headers as sent.
    status : int or None
        HTTP status of the answer; None until there is one.
    fault : str or int or None
        Kind of the fault that struck.
    retry_after : float or str or None
        Value of the ``Retry-After`` header of the answer.
    start, stop : float
        `time.monotonic` when the request was read and when its answer was sent; NaN
        until then.
    n_bytes : int
        Bytes of body sent.
    """

    host: str
    method: str
    path: str
    query: dict
    url: str
    identity: str
    attempt: int
    n_positions: int = 1
    headers: dict = field(default_factory=dict, repr=False)
    status: int | None = None
    fault: str | int | None = None
    retry_after: float | str | None = None
    start: float = float("nan")
    stop: float = float("nan")
    n_bytes: int = 0


class LocalSky:
    """
    Survey servers on this machine, for tests, tutorials and benchmarks.

    Each of the hosts (Pan-STARRS1, the Legacy Survey viewer, files, archives) has a
    port of its own on 127.0.0.1, so that limits per host show. Threads are daemons and
    the whole stops at the end of the ``with`` block, or of its lifetime.

    Parameters
    ----------
    images : CutoutSource, mapping, iterable of MultibandCutout, callable, optional
        Images to serve: anything with ``iter_cutouts``; ``{(ra, dec): {band:
        CCDData}}`` in degrees; multiband cutouts; or ``images(coord, band)`` giving a
        CCDData or None. A `~mantis_astro.SimulatedSky` has galaxies that look like
        real ones. By default a made galaxy, fast and simple, stands wherever one asks.
    seed : int, optional
        Seed of the made galaxies and of the faults.
    coverage : mapping of str to callable, optional
        For the name of a survey, ``covers(ra, dec) -> bool`` (degrees): where it
        looked. Declination limits hold besides.
    files : mapping of str to bytes or callable, optional
        Whole files by path, served with byte ranges; a callable makes its file when
        it is first asked for.
    tables : mapping of str to `~astropy.table.Table`, optional
        Tables by name, which archives (TAP servers) answer queries from.
    latency : float, optional
        Seconds before each answer.
    bandwidth : float, optional
        Bytes per second on each connection.
    max_connections : int, optional
        Connections open at the same time on each host; more are answered 503.
    faults : sequence of Fault, optional
        What goes wrong; the first that strikes wins. May be assigned later too.
    lifetime : float, optional
        Seconds after which the servers stop whatever happens.

    Attributes
    ----------
    urls : dict of str to str
        Address of each service: ``panstarrs_filenames``, ``panstarrs_fitscut``,
        ``legacy_survey`` and ``files`` (to which a path is added); with tables,
        ``datalab_tap`` and ``vizier_tap``.
    archives : TapProtocol or None
        What answers queries of tables; how it does may be changed.
    requests : list of Request
        Every request so far.

    Examples
    --------
    >>> from urllib.request import urlopen
    >>> from mantis_astro.simulation import Fault, LocalSky
    >>> with LocalSky(seed=1, faults=[Fault(503, attempts=[0])]) as sky:
    ...     url = sky.urls["legacy_survey"] + "?ra=150&dec=2&size=32&layer=galex"
    ...     try:
    ...         urlopen(url)
    ...     except OSError as error:
    ...         print(error)
    ...     print(len(urlopen(url).read()))  # the second attempt
    ...     sky.count("galex"), sky.count(status=200)
    HTTP Error 503: Service Unavailable
    11520
    (2, 1)
    """

    def __init__(
        self,
        images=None,
        *,
        seed=0,
        coverage=None,
        files=None,
        tables=None,
        latency=0.0,
        bandwidth=None,
        max_connections=None,
        faults=(),
        lifetime=600.0,
    ):
        self.seed = seed
        self.latency = latency
        self.bandwidth = bandwidth
        self.max_connections = max_connections
        self.faults = faults
        self.lifetime = lifetime
        self.requests = []
        self.stopped = threading.Event()
        self._sky = Sky(images, seed, coverage)
        self._lock = threading.Lock()
        self._attempts = Counter()
        protocols = {
            "panstarrs": PanstarrsProtocol(self._sky),
            "legacy_survey": ViewerProtocol(self._sky),
            "files": FilesProtocol(dict(files or {})),
        }
        self.archives = None if tables is None else TapProtocol(tables)
        if self.archives is not None:
            protocols["archives"] = self.archives
        self._hosts = {
            name: Host(self, name, protocol) for name, protocol in protocols.items()
        }
        address = {name: host.address for name, host in self._hosts.items()}
        filenames, fitscut = PanstarrsProtocol.paths
        self.urls = {
            "panstarrs_filenames": address["panstarrs"] + filenames,
            "panstarrs_fitscut": address["panstarrs"] + fitscut,
            "legacy_survey": address["legacy_survey"] + ViewerProtocol.paths[0],
            "files": address["files"],
        }
        if self.archives is not None:
            tap = address["archives"] + TapProtocol.paths[0]
            self.urls |= {"datalab_tap": tap, "vizier_tap": tap}

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def __repr__(self):
        state = "stopped" if self.stopped.is_set() else self._hosts["files"].address
        return f"<{type(self).__name__} {state}: {len(self.requests)} requests>"

    def start(self):
        """
        Start to listen; the ``with`` statement does this.

        Returns
        -------
        LocalSky
            The same object.
        """
        for host in self._hosts.values():
            threading.Thread(
                target=host.serve_forever, args=(0.02,), daemon=True
            ).start()
        self._timer = threading.Timer(self.lifetime, self.stop)
        self._timer.daemon = True
        self._timer.start()
        return self

    def stop(self):
        """Close every connection and stop to listen."""
        if self.stopped.is_set():
            return
        self.stopped.set()
        self._timer.cancel()
        for host in self._hosts.values():
            host.shutdown()
            host.close_connections()
            host.server_close()

    @contextmanager
    def configure(self, conf):
        """
        Point the services at this sky for a while.

        Parameters
        ----------
        conf : `~astropy.config.ConfigNamespace`
            Configuration whose items have the names of ``urls``; others are left alone.

        Yields
        ------
        LocalSky
            The same object.
        """
        with ExitStack() as stack:
            for name, url in self.urls.items():
                if name in conf:
                    stack.enter_context(conf.set_temp(name, url))
            yield self

    def count(self, match="", **facts):
        """
        Count requests.

        Parameters
        ----------
        match : str, optional
            Regular expression searched for in ``"METHOD /path?query"``.
        **facts
            Attributes of `Request` and the values they must have, such as
            ``host="panstarrs"``, ``status=200`` or ``fault=None``.

        Returns
        -------
        int
            How many there were.
        """
        return len(self.find_requests(match, **facts))

    def find_requests(self, match="", **facts):
        """
        Return the requests that match; parameters as in `count`.

        Parameters
        ----------
        match : str, optional
            Regular expression searched for in ``"METHOD /path?query"``.
        **facts
            Attributes of `Request` and the values they must have.

        Returns
        -------
        list of Request
            In the order in which they came.
        """
        with self._lock:
            requests = list(self.requests)
        return [
            request
            for request in requests
            if re.search(match, f"{request.method} {request.url}")
            and all(getattr(request, name) == value for name, value in facts.items())
        ]

    def repeats(self):
        """
        Count the repetitions of each request.

        Returns
        -------
        `~collections.Counter` of str
            Number of requests by identity.
        """
        with self._lock:
            return Counter(self._attempts)

    def peak_in_flight(self, host):
        """
        Return the largest number of simultaneous requests.

        Parameters
        ----------
        host : str
            ``"panstarrs"``, ``"legacy_survey"`` or ``"files"``.

        Returns
        -------
        int
            Largest number since the start.
        """
        return self._hosts[host].peak_in_flight

    def redshifts(self, coords):
        """
        Return the true redshifts of the galaxies.

        Parameters
        ----------
        coords : `~astropy.coordinates.SkyCoord`
            Positions, shape (n,).

        Returns
        -------
        `~numpy.ndarray`
            Shape (n,); NaN where images are given by what knows of no redshift.
        """
        coords = coords.icrs
        return np.array(
            [
                self._sky.redshift(ra, dec)
                for ra, dec in zip(coords.ra.deg, coords.dec.deg, strict=True)
            ]
        )

    def identify(self, image):
        """
        Identify band and position of a served image.

        Every image that was served is remembered by its pixels.

        Parameters
        ----------
        image : `~astropy.nddata.CCDData` or array_like
            An image as received, all pixels of it.

        Returns
        -------
        tuple of (str, float, float) or None
            Band, and the right ascension and declination (degrees) that it was asked
            with; None if this sky never served it.
        """
        return self._sky.identify(getattr(image, "data", image))

    def note_request(self, host, method, url, body, headers):
        """
        Put a request on record; the hosts call this.

        Parameters
        ----------
        host, method, url : str
            As in `Request`.
        body : bytes
            Body of the request.
        headers : dict of str to str
            Its headers.

        Returns
        -------
        Request
            The record, without an answer yet.
        """
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        again = {k: v for k, v in query.items() if k != REDIRECTED}
        identity = f"{method} {parts.path}?{urlencode(sorted(again.items()))}"
        positions = re.findall(rb"^[-+\d.eE]+[ \t]+[-+\d.eE]+[ \t]*\r?$", body, re.M)
        if body:
            # without the boundary, which differs from request to request
            content = b"\n".join(positions) or body
            identity += f" {blake2b(content, digest_size=6).hexdigest()}"
        request = Request(
            host=host,
            method=method,
            path=parts.path,
            query=query,
            url=url,
            identity=identity,
            attempt=0,
            n_positions=max(len(positions), 1),
            headers=headers,
            start=time.monotonic(),
        )
        with self._lock:
            request.attempt = self._attempts[identity]
            self._attempts[identity] += 1
            self.requests.append(request)
        return request
