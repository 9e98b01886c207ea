"""``mantis-astro serve``: a page in the browser, and an interface over HTTP."""

import logging

from mantis_astro.cli.options import given

__all__ = ["SUMMARY", "add_arguments", "run"]

log = logging.getLogger("mantis_astro")

SUMMARY = "Serve a page and an interface over HTTP, on this machine."


def add_arguments(sub):
    """Add the arguments of the command."""
    sub.add_argument(
        "--model",
        action="append",
        metavar="MODEL",
        help="name or file of a model to offer; may be repeated (default: all models "
        "of the package)",
    )
    sub.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default: %(default)s, this machine alone)",
    )
    sub.add_argument(
        "--port", type=int, default=8765, help="port (default: %(default)s)"
    )
    sub.add_argument(
        "--name",
        action="append",
        default=[],
        metavar="NAME",
        help="further name of the server, such as the name of this machine",
    )
    sub.add_argument(
        "--max-upload", type=float, metavar="MB", help="largest table (default: 20)"
    )
    sub.add_argument(
        "--max-rows",
        type=int,
        metavar="N",
        help="most rows of a table (default: 10000)",
    )
    sub.add_argument(
        "--max-positions",
        type=int,
        metavar="N",
        help="most rows with cutouts to fetch (default: 100)",
    )
    sub.add_argument(
        "--rate",
        type=int,
        metavar="N",
        help="most requests of a client in a minute (default: 600)",
    )
    sub.add_argument(
        "--job-time", type=float, metavar="S", help="longest job (default: 600)"
    )
    sub.add_argument(
        "--keep",
        type=float,
        metavar="MIN",
        help="minutes that results are kept (default: 60)",
    )


def run(options):
    """Run the command."""
    log.info("mantis-astro starts; the address follows in some seconds")
    from mantis_astro.web import Limits, serve

    limits = given(
        {
            "upload_bytes": options.max_upload and int(1e6 * options.max_upload),
            "rows": options.max_rows,
            "positions": options.max_positions,
            "requests_per_minute": options.rate,
            "job_seconds": options.job_time,
            "keep_seconds": options.keep and 60 * options.keep,
        }
    )
    serve(
        options.model,
        host=options.host,
        port=options.port,
        names=options.name,
        limits=Limits(**limits),
    )
