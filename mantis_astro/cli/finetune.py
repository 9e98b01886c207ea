"""``mantis-astro finetune``: fine-tune a model on a table of spectra."""

from mantis_astro.cli.options import (
    add_model_argument,
    add_spectra_arguments,
    given,
    load_photoz,
    read_spectra,
    save_if_better,
)

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "Fine-tune a model on a table of fluxes and redshifts, or train a new one."


def add_arguments(sub):
    """Add the arguments of the command."""
    add_spectra_arguments(sub)
    which = sub.add_mutually_exclusive_group()
    add_model_argument(which, "name or file of a model of fluxes")
    which.add_argument(
        "--own-bands",
        action="store_true",
        help="train a new network for the bands of the table",
    )
    sub.add_argument("--ensemble", type=int, help="number of trainings to average")
    sub.add_argument(
        "--steps", type=int, help="largest number of steps of each training"
    )


def run(options):
    """Run the command."""
    from mantis_astro.training import finetune, train_photometric

    table, z_spec, ebv = read_spectra(options)
    asked = given({"steps": options.steps, "ensemble": options.ensemble})
    asked |= {"seed": options.seed, "ebv": ebv, "progress": not options.quiet}
    if options.own_bands:
        photoz, report = train_photometric(table, z_spec, **asked)
    else:
        start = load_photoz(options.model, for_tables=True)
        photoz, report = finetune(start, table, z_spec, **asked)
    print(report)
    save_if_better(photoz, options.output, is_better=report.improved)
