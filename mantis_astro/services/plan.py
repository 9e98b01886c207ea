"""`RequestPlan`: hosts, requests and duration of a download before it starts."""

from dataclasses import dataclass
from urllib.parse import urlsplit

import astropy.units as u
from astropy.table import QTable

__all__ = ["HostPlan", "RequestPlan"]


@dataclass(frozen=True)
class HostPlan:
    """
    Planned requests to one host.

    Attributes
    ----------
    host : str
        Its name.
    surveys : tuple of str
        Surveys that it serves here.
    n_requests : int
        Requests, at least: more where skycells overlap or something fails.
    n_bytes : float
        Bytes that come back, about.
    duration : `~astropy.units.Quantity`
        Expected time.
    """

    host: str
    surveys: tuple
    n_requests: int
    n_bytes: float
    duration: u.Quantity


@dataclass(frozen=True)
class RequestPlan:
    """
    Planned requests of a download, and their expected duration.

    Attributes
    ----------
    hosts : tuple of HostPlan
        One entry for each host.
    n_objects : int
        Objects asked for.
    n_outside : dict of str to int
        For each survey, objects outside its footprint, which cost no request.

    Examples
    --------
    >>> from astropy.coordinates import SkyCoord
    >>> from mantis_astro.services import SurveyCutouts
    >>> coords = SkyCoord([10, 10], [-40, 40], unit="deg")
    >>> print(SurveyCutouts().plan(coords, ["ps1.g", "galex.NUV"]))
    2 objects, 4 requests, 0.14 MB, about 0.0067 min
    ps1images.stsci.edu: 2 requests for ps1 (1 object outside)
    www.legacysurvey.org: 2 requests for galex
    """

    hosts: tuple
    n_objects: int
    n_outside: dict

    def __str__(self):
        minutes = self.duration.to_value(u.min)
        total = (
            f"{self.n_objects} object{'s'[: self.n_objects != 1]}, "
            f"{self.n_requests} requests, {self.n_bytes / 1e6:.2g} MB"
        )
        lines = [f"{total}, about {minutes:.2g} min"]
        for host in self.hosts:
            outside = sum(self.n_outside[survey] for survey in host.surveys)
            note = f" ({outside} object{'s'[: outside > 1]} outside)" if outside else ""
            names = ", ".join(host.surveys)
            lines.append(f"{host.host}: {host.n_requests} requests for {names}{note}")
        return "\n".join(lines)

    @property
    def n_requests(self):
        """Requests to all hosts together, an int."""
        return sum(host.n_requests for host in self.hosts)

    @property
    def n_bytes(self):
        """Bytes that come back, about, a float."""
        return float(sum(host.n_bytes for host in self.hosts))

    @property
    def duration(self):
        """Expected time, a `~astropy.units.Quantity`; hosts run in parallel."""
        return max((host.duration for host in self.hosts), default=0 * u.min)

    def to_table(self):
        """
        Make a table of the plan.

        Returns
        -------
        `~astropy.table.QTable`
            Columns ``host``, ``surveys``, ``n_requests``, ``n_bytes`` and
            ``duration``.
        """
        return QTable(
            {
                "host": [host.host for host in self.hosts],
                "surveys": [", ".join(host.surveys) for host in self.hosts],
                "n_requests": [host.n_requests for host in self.hosts],
                "n_bytes": [host.n_bytes for host in self.hosts],
                "duration": u.Quantity([h.duration for h in self.hosts] or [] * u.min),
            }
        )


def make_plan(counts, n_objects, *, connections, rate, seconds):
    """
    Create a plan from the requests of each survey.

    Parameters
    ----------
    counts : list of tuple
        For each survey and source: its name, the address of its server, its number of
        requests and bytes, and the number of objects outside its footprint.
    n_objects : int
        Objects asked for.
    connections : int
        Requests under way at one host.
    rate : float
        Requests per second at one host, 0 for no limit.
    seconds : float
        Typical time of one answer.

    Returns
    -------
    RequestPlan
        The plan.
    """
    by_host = {}
    for name, url, n_requests, n_bytes, _ in counts:
        host = urlsplit(url).netloc or "this machine"
        by_host.setdefault(host, []).append((name, n_requests, n_bytes))
    hosts = []
    for host, rows in by_host.items():
        names, requests, sizes = zip(*rows, strict=True)
        n_requests = sum(requests)
        wait = n_requests * max(seconds / connections, 1 / rate if rate else 0.0) / 60
        names = tuple(dict.fromkeys(names))
        hosts.append(HostPlan(host, names, n_requests, sum(sizes), wait * u.min))
    outside = {name: n_outside for name, *_, n_outside in counts}
    return RequestPlan(tuple(hosts), n_objects, outside)
