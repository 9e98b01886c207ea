"""``mantis-astro refit``: fit the last layer of a model to a table of spectra."""

from mantis_astro.cli.options import (
    add_adaptation_arguments,
    check_columns,
    find_source,
    load_photoz,
    read_galaxies,
    read_spectra,
    save_if_better,
)

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = (
    "Fit the last layer of a model to a table with redshifts, if that improves it."
)


def add_arguments(sub):
    """Add the arguments of the command."""
    add_adaptation_arguments(sub)
    sub.add_argument(
        "--method",
        choices=["logistic", "ridge"],
        default="logistic",
        help="logistic (the default), or ridge: faster, with a smaller gain",
    )
    sub.add_argument(
        "--targets",
        metavar="TABLE",
        help="target galaxies without redshifts: spectra are weighted to resemble "
        "them, and the model is not changed if the spectra do not cover them",
    )


def run(options):
    """Run the command."""
    table, z_spec, ebv = read_spectra(options)
    source = find_source(options)
    photoz = load_photoz(options.model, for_tables=source is None)
    targets = None
    if options.targets:
        targets = read_galaxies(options.targets, options)
        check_columns(targets, *([ebv] if isinstance(ebv, str) else []))
    new, report = photoz.refit(
        table,
        z_spec,
        source=source,
        ebv=ebv,
        targets=targets,
        targets_ebv=ebv,
        method=options.method,
        rng=options.seed,
    )
    print(report)
    save_if_better(new, options.output, is_better=report.accepted)
