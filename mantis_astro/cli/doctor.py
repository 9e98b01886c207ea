"""``mantis-astro doctor``: contents and problems of this installation."""

import json

from mantis_astro.cli.options import DONE, ERROR

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "Describe this installation: versions, extras, models, folders, servers."


def add_arguments(sub):
    """Add the arguments of the command."""
    sub.add_argument("--online", action="store_true", help="also test the servers")
    sub.add_argument(
        "--timeout",
        type=float,
        default=5.0,
        help="seconds to wait for --online (default: 5)",
    )
    sub.add_argument("--json", action="store_true", help="write JSON")
    sub.epilog = "The exit code is 1 if a problem was found."


def run(options):
    """Run the command."""
    from mantis_astro.doctor import describe_report, inspect_installation

    report = inspect_installation(online=options.online, timeout=options.timeout)
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        print("\n".join(describe_report(report)))
    return ERROR if report["problems"] else DONE
