"""`serve`: run the application until it is interrupted."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mantis_astro._optional import require
from mantis_astro.web.application import LOOPBACK, create_app

if TYPE_CHECKING:
    from mantis_astro.cutouts import CutoutSource
    from mantis_astro.web.limits import Limits

__all__ = ["serve"]

log = logging.getLogger(__name__)


def serve(
    models: Iterable[str] | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 8765,
    names: Iterable[str] = (),
    limits: Limits | None = None,
    source: CutoutSource | None = None,
) -> None:
    """
    Serve the page and the interface until Ctrl-C.

    Parameters
    ----------
    models : iterable of str, optional
        Names or files of the models to offer; by default those in the package.
    host : str, optional
        Address to listen on; by default this machine alone can reach it.
    port : int, optional
        Port to listen on; 0 for any that is free.
    names : iterable of str, optional
        Further names that the server goes by, such as that of this machine: a request
        whose Host header has another is refused.
    limits : Limits, optional
        How much it does for whoever asks.
    source : CutoutSource, optional
        Where cutouts come from; by default the surveys' servers.

    Raises
    ------
    ImportError
        If fastapi or uvicorn is not installed.
    OSError
        If the port is taken.

    Examples
    --------
    >>> from mantis_astro.web import serve
    >>> serve(port=8080)  # doctest: +SKIP
    """
    uvicorn = require("uvicorn", extra="web")
    own = f"[{host}]" if ":" in host else host
    app = create_app(
        models, limits=limits, hosts=[*LOOPBACK, own, *names], source=source
    )
    if not _is_loopback(host):
        log.warning(
            "whoever reaches %s can use this server: there is no password, and what is "
            "sent is not encrypted",
            host,
        )
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,  # it would hold what was asked
        server_header=False,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=5,
    )
    with config.bind_socket() as socket:
        log.info(
            "mantis-astro serves http://%s:%d until Ctrl-C",
            own,
            socket.getsockname()[1],
        )
        uvicorn.Server(config).run(sockets=[socket])


def _is_loopback(host):
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
