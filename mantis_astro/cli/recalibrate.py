"""``mantis-astro recalibrate``: recalibrate p(z) with a table of spectra."""

from mantis_astro.cli.options import (
    add_adaptation_arguments,
    find_source,
    load_photoz,
    read_spectra,
    save_if_better,
)

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "Recalibrate the p(z) of a model with a table of redshifts."


def add_arguments(sub):
    """Add the arguments of the command."""
    add_adaptation_arguments(sub)


def run(options):
    """Run the command."""
    table, z_spec, ebv = read_spectra(options)
    source = find_source(options)
    photoz = load_photoz(options.model, for_tables=source is None)
    new, report = photoz.recalibrate(
        table, z_spec, source=source, ebv=ebv, rng=options.seed
    )
    print(report)
    save_if_better(new, options.output, is_better=report.accepted)
