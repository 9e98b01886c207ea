"""``mantis-astro flags``: meaning of the flags of a value or of a table."""

import shutil
import sys
import textwrap
from pathlib import Path

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = (
    "Describe a value of flags, one flag or all flags; or count the flags of a table."
)


def add_arguments(sub):
    """Add the arguments of the command."""
    value = sub.add_argument(
        "value",
        nargs="?",
        help="a value, the name of a flag, or a table written by predict",
    )
    value.words = _flag_names
    sub.add_argument(
        "--prefix", default="", help="prefix of the redshift columns of a table"
    )


def _flag_names():
    from mantis_astro.flags import Flag

    return list(Flag.__members__)


def run(options):
    """Run the command."""
    if options.value is not None and Path(options.value).is_file():
        _count(options.value, options.prefix)
        return
    from mantis_astro.flags import FLAG_TABLE

    value = None if options.value is None else _value(options.value)
    flags = [f for f in FLAG_TABLE if value is None or value >> f.bit & 1]
    width = max((len(flag.name) for flag in flags), default=0)
    for flag in flags:
        bit = f"{1 << flag.bit:>8}  " if value is None else ""
        print(_wrapped(f"{bit}{flag.name:{width}}  ", flag.description))


def _count(path, prefix):
    """Print how many rows of a table have each flag."""
    from mantis_astro.flags import flag_counts
    from mantis_astro.tables import read_table

    table = flag_counts(read_table(path), prefix=prefix)
    width, digits = max(map(len, table["name"])), len(str(max(table["n"])))
    for name, n, share, description in table.iterrows():
        print(_wrapped(f"{n:>{digits}}  {share:6.1%}  {name:{width}}  ", description))


def _wrapped(start, text):
    """Put a text after its start, in lines as wide as the terminal if it is one."""
    if not sys.stdout.isatty():
        return f"{start}{text}"
    width = max(shutil.get_terminal_size().columns, len(start) + 40)
    indent = " " * len(start)
    return textwrap.fill(text, width, initial_indent=start, subsequent_indent=indent)


def _value(text):
    """Read a number, or find the flag of that name."""
    from mantis_astro.flags import FLAG_TABLE, flags_named

    if text.isdecimal():
        value = int(text)
        if unknown := value & ~sum(map(int, FLAG_TABLE)):
            msg = f"{value} has bits that are no flag: {unknown}"
            raise ValueError(msg)
        return value
    try:
        return flags_named([text.upper()])
    except ValueError as error:
        msg = f"{text!r} is neither a file nor a number: {error}"
        raise ValueError(msg) from None
