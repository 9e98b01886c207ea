"""``mantis-astro flags``: what a value of the column flags says."""

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "Spell out a value of the column flags, a name, or all bits."


def add_arguments(sub):
    """Add what the command takes."""
    sub.add_argument("value", nargs="?", help="a value, or the name of a flag")


def run(options):
    """Run the command."""
    from mantis_astro.flags import FLAG_TABLE

    value = None if options.value is None else _value(options.value)
    flags = [f for f in FLAG_TABLE if value is None or value >> f.bit & 1]
    width = max((len(flag.name) for flag in flags), default=0)
    for flag in flags:
        bit = f"{1 << flag.bit:>8}  " if value is None else ""
        print(f"{bit}{flag.name:{width}}  {flag.description}")


def _value(text):
    """Read a number, or find the flag of that name."""
    from mantis_astro.flags import Flag

    name = text.upper()
    if name in Flag.__members__:
        return int(Flag[name])
    if text.isdecimal():
        return int(text)
    msg = f"{text!r} is neither a number nor one of {', '.join(Flag.__members__)}"
    raise ValueError(msg)
