"""``mantis-astro shift``: compare a sample with the training set."""

import logging

from mantis_astro.cli.options import (
    add_model_argument,
    add_photometry_arguments,
    add_results_arguments,
    add_source_arguments,
    add_table_arguments,
    check_columns,
    check_results,
    find_source,
    load_photoz,
    number_or_name,
    read_galaxies,
    reads_photometry,
    split,
)

__all__ = ["SUMMARY", "add_arguments", "run"]

log = logging.getLogger("mantis_astro")

SUMMARY = "Compare a sample with the training set, or with another sample."


def add_arguments(sub):
    """Add the arguments of the command."""
    add_table_arguments(sub)
    sub.add_argument(
        "--reference",
        metavar="TABLE",
        help="sample to compare columns with, such as your spectroscopic one; without "
        "it the model's training set, as the network sees it",
    )
    sub.add_argument(
        "--columns",
        help="columns to compare with --reference, separated by commas: magnitudes "
        "and colours (default: all of numbers that both have but ra, dec and ids)",
    )
    sub.add_argument(
        "--z-spec",
        metavar="COLUMN",
        help="redshifts of --reference, so that ood_score sees where they disagree "
        "(default: z_spec, if all have one)",
    )
    add_source_arguments(sub)
    add_photometry_arguments(sub)
    add_model_argument(sub, "name or file (default: the embedded one)")
    sub.add_argument("--ebv", help="column of E(B-V), or one number for all")
    sub.add_argument("--seed", type=int, default=0, help="seed of permutations")
    add_results_arguments(sub, "the numbers", drawn="the report")


def run(options):
    """Run the command."""
    from mantis_astro.tables import write_table

    check_results(options)
    table = read_galaxies(options.table, options)
    report = (
        _compare_columns(table, options)
        if options.reference
        else _compare_with_training(table, options)
    )
    print(report)
    if options.plot:
        from mantis_astro.plotting import plot_shift

        plot_shift(report).savefig(options.plot, dpi=150)
    if options.output:
        write_table(report.to_table(), options.output, overwrite=options.overwrite)


def _compare_columns(table, options):
    from mantis_astro.shift import ShiftReport, find_shared_columns

    reference = read_galaxies(options.reference, options)
    if options.columns:
        names = split(options.columns)
        check_columns(table, *names)
        check_columns(reference, *names)
    else:
        names = find_shared_columns(reference, table)
        log.info("comparing %s", ", ".join(names))
    z_spec = _redshifts(reference, options.z_spec)
    return ShiftReport.compare(
        reference[names], table[names], rng=options.seed, z_spec=z_spec
    )


def _redshifts(reference, column):
    """Redshifts of a named column; by default of z_spec, if none is missing."""
    import numpy as np

    from mantis_astro.binned import true_redshift

    if column:
        check_columns(reference, column)
        return reference[column]
    if "z_spec" not in reference.colnames:
        return None
    z_spec = true_redshift(reference["z_spec"])
    missing = int(np.isnan(z_spec).sum())
    if not missing:
        return z_spec
    log.info(
        "z_spec of %d reference objects is missing and not used: '--z-spec z_spec' "
        "scores against those that have one",
        missing,
    )
    return None


def _compare_with_training(table, options):
    for name in ("columns", "z_spec"):
        if getattr(options, name):
            option = "--" + name.replace("_", "-")
            msg = f"'{option}' needs a '--reference' table: the model brings its own"
            raise ValueError(msg)
    photoz = load_photoz(options.model, for_tables=reads_photometry(options))
    return photoz.shift_report(
        table,
        find_source(options),
        rng=options.seed,
        ebv=number_or_name(options.ebv),
        ra=options.ra,
        dec=options.dec,
    )
