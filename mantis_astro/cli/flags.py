"""``mantis-astro flags``: what a value of the column flags says."""

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "Spell out a value of the column flags, or all bits."


def add_arguments(sub):
    """Add what the command takes."""
    sub.add_argument("value", nargs="?", type=int, help="a value")


def run(options):
    """Run the command."""
    from mantis_astro.flags import FLAG_TABLE

    flags = [
        f for f in FLAG_TABLE if options.value is None or options.value >> f.bit & 1
    ]
    width = max((len(flag.name) for flag in flags), default=0)
    for flag in flags:
        bit = f"{1 << flag.bit:>8}  " if options.value is None else ""
        print(f"{bit}{flag.name:{width}}  {flag.description}")
