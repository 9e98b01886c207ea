"""`create_app`: the application, with its guards."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from mantis_astro._optional import require
from mantis_astro.web.limits import Limits

if TYPE_CHECKING:
    from mantis_astro.cutouts import CutoutSource

__all__ = ["LOOPBACK", "create_app"]

#: Names that a server on the loopback goes by.
LOOPBACK = "127.0.0.1", "localhost", "[::1]"


def create_app(
    models: Iterable[str] | None = None,
    *,
    limits: Limits | None = None,
    hosts: Iterable[str] = LOOPBACK,
    source: CutoutSource | None = None,
) -> Callable:
    """
    Make the application that `serve` runs.

    Parameters
    ----------
    models : iterable of str, optional
        Names or files of the models to offer; by default those in the package. A
        request chooses among them by name and cannot name a file.
    limits : Limits, optional
        How much it does for whoever asks.
    hosts : iterable of str, optional
        Names that the server goes by, without port: requests with another Host header
        are refused. By default those of the loopback.
    source : CutoutSource, optional
        Where cutouts come from; by default the surveys' servers.

    Returns
    -------
    callable
        An ASGI application, for any server of such.

    Raises
    ------
    ImportError
        If fastapi is not installed.
    ValueError
        `~mantis_astro.exceptions.InputSpecError` if there is no such model.

    Examples
    --------
    >>> from mantis_astro.web import create_app
    >>> app = create_app(["any-band"])  # doctest: +SKIP
    """
    require("fastapi", extra="web")
    from mantis_astro.web.api import API, make_api
    from mantis_astro.web.guards import Guards
    from mantis_astro.web.routes import UPLOAD
    from mantis_astro.web.shelf import Shelf

    limits = limits or Limits()
    api = make_api(Shelf(models), limits, source)
    return Guards(api, limits, tuple(hosts), f"{API}{UPLOAD}")
