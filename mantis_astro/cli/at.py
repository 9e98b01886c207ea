"""``mantis-astro at``: the redshift of one object, by its name or its position."""

from mantis_astro.cli.options import (
    DONE,
    INCOMPLETE,
    add_model_argument,
    add_results_arguments,
    add_source_arguments,
    check_results,
    find_source,
    load_photoz,
)

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "Estimate the redshift of one object, by its name or its position."


def add_arguments(sub):
    """Add the arguments of the command."""
    sub.add_argument(
        "target",
        help="a name, such as 'M 101', or a position, such as '210.802 +54.349'",
    )
    add_source_arguments(sub)
    add_model_argument(sub, "name or file (default: the embedded one)")
    sub.add_argument("--ebv", type=float, help="Galactic E(B-V)")
    add_results_arguments(sub, "the row")


def run(options):
    """Run the command."""
    from mantis_astro import Flag
    from mantis_astro.tables import write_table

    check_results(options)
    source = find_source(options)
    photoz = load_photoz(options.model)
    row = photoz.at(options.target, source, ebv=options.ebv)
    print("\n".join(_lines(row)))
    if options.output:
        write_table(row.table, options.output, overwrite=options.overwrite)
    return INCOMPLETE if row["flags"] & Flag.FETCH_FAILED else DONE


def _lines(row):
    """Describe the position, the redshift with its intervals, and the flags."""
    from mantis_astro.flags import FLAG_TABLE, Flag

    position = row["coord"].to_string("hmsdms", precision=1)
    yield f"{row['name']}  ({position})"
    if row["flags"] & Flag.NO_DATA:
        yield "no redshift"
    else:
        yield f"z = {row['z_median']:.4f} (median)"
        for level in (68, 95):
            low, high = (row[f"z_err{level}_{end}"] for end in ("low", "high"))
            yield f"{level} %: {low:.4f} to {high:.4f}"
    for flag in FLAG_TABLE:
        if row["flags"] & flag:
            yield f"{flag.name}: {flag.description}"
