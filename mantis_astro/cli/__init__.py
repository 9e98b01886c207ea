"""
The command ``mantis-astro``: parse, call, print.

Each command is a module of its own with ``SUMMARY``, ``add_arguments(sub)`` and
``run(options)``, which returns an exit code or None. Another package adds a command by
an entry point of the group ``mantis_astro.commands`` that names such a module.
"""

import argparse
import contextlib
import logging
import sys
import warnings
from importlib.metadata import entry_points

from mantis_astro import __version__
from mantis_astro.cli import (
    at,
    campaign,
    completion,
    demo,
    doctor,
    evaluate,
    fetch,
    files,
    finetune,
    flags,
    models,
    nz,
    predict,
    recalibrate,
    refit,
    serve,
    shift,
    simulate,
    train,
)
from mantis_astro.cli.options import DONE, ERROR, INTERRUPTED
from mantis_astro.exceptions import MantisError, MantisWarning
from mantis_astro.records import printable

__all__ = ["main"]

_EPILOG = """\
exit codes: 0 done; 1 an error, named on standard error; 2 wrong usage;
            3 done, but some cutouts could not be fetched (run it again to retry);
            130 interrupted, finished rows kept
"""
_COMMANDS = {
    "predict": predict,
    "at": at,
    "fetch": fetch,
    "evaluate": evaluate,
    "nz": nz,
    "shift": shift,
    "simulate": simulate,
    "train": train,
    "finetune": finetune,
    "refit": refit,
    "recalibrate": recalibrate,
    "campaign": campaign,
    "serve": serve,
    "models": models,
    "files": files,
    "flags": flags,
    "demo": demo,
    "doctor": doctor,
    "completion": completion,
}
_ERRORS = (MantisError, ImportError, KeyError, OSError, TypeError, ValueError)

log = logging.getLogger("mantis_astro")


def main(arguments=None):
    """
    Run the command line.

    Parameters
    ----------
    arguments : list of str, optional
        By default those of the process.

    Returns
    -------
    int
        Exit code: 0 done; 1 error; 3 done, but some cutouts could not be fetched; 130
        interrupted. Wrong usage exits with 2.

    Examples
    --------
    >>> from mantis_astro.cli import main
    >>> main(["flags", "18"])
    MISSING_GALEX  At least one GALEX band the model reads is missing.
    BAD_PIXELS     More than 1% of the pixels of a band are masked or not finite.
    0
    """
    parser = make_parser()
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments:
        parser.print_help()
        return DONE
    options = parser.parse_args(arguments)
    with _messages(quiet=options.quiet):
        try:
            return options.run(options) or DONE
        except BrokenPipeError:  # the reader of our output has seen enough
            return DONE
        except _ERRORS as error:
            if options.debug:
                raise
            # a KeyError prints its sentence in quotes
            text = error.args[0] if type(error) is KeyError else error
            log.error("mantis-astro: %s", text)  # noqa: TRY400  no traceback
            return ERROR
        except KeyboardInterrupt:
            log.error("mantis-astro: interrupted")  # noqa: TRY400  no traceback
            return INTERRUPTED


@contextlib.contextmanager
def _messages(*, quiet):
    """Messages and warnings go to standard error, a line each."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(logging.ERROR if quiet else logging.INFO)
    handler.setFormatter(_Printable())
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            warnings.simplefilter("ignore" if quiet else "always", MantisWarning)
            yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


class _Printable(logging.Formatter):
    """A message may quote a stranger's file, which shall not command the terminal."""

    def format(self, record):
        return "\n".join(map(printable, super().format(record).split("\n")))


def _show_warning(message, category, *_, **__):
    log.warning("%s: %s", category.__name__, message)


def make_parser():
    """
    Make the parser of the command line.

    Returns
    -------
    `argparse.ArgumentParser`
        With a parser of its own for each command.
    """
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "-q", "--quiet", action="store_true", help="errors only on standard error"
    )
    common.add_argument("--debug", action="store_true", help="show tracebacks")
    parser = argparse.ArgumentParser(
        prog="mantis-astro",
        description="Redshift probability densities from survey images and photometry.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=_versions())
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    for name, command in (_COMMANDS | _further_commands()).items():
        sub = commands.add_parser(
            name, parents=[common], help=command.SUMMARY, description=command.SUMMARY
        )
        command.add_arguments(sub)
        sub.set_defaults(run=command.run)
    return parser


def _further_commands():
    """Commands of other packages; one that cannot be imported is named, not fatal."""
    commands = {}
    for entry_point in entry_points(group="mantis_astro.commands"):
        if entry_point.name in _COMMANDS:
            log.warning("command %r exists already: %s", entry_point.name, entry_point)
            continue
        try:
            commands[entry_point.name] = entry_point.load()
        except Exception as error:  # noqa: BLE001  somebody else's code
            log.warning("the command %r is broken: %s", entry_point.name, error)
    return commands


def _versions():
    from importlib.metadata import version

    others = ", ".join(f"{name} {version(name)}" for name in ("astropy", "torch"))
    return f"mantis-astro {__version__} ({others})"
