"""``mantis-astro finetune``: let a model learn from a table of spectra."""

from mantis_astro.cli.options import DONE, load_photoz

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "Fine-tune a model on a table of fluxes and redshifts, or train one for it."


def add_arguments(sub):
    """Add what the command takes."""
    sub.add_argument("table", help="table of fluxes, with redshifts")
    sub.add_argument("-o", "--output", required=True, help="model to write")
    which = sub.add_mutually_exclusive_group()
    which.add_argument("--model", help="name or file of a model of fluxes")
    which.add_argument(
        "--own-bands",
        action="store_true",
        help="train a network from nothing for the bands of the table",
    )
    sub.add_argument("--z-spec", default="z_spec", help="column of the redshifts")
    sub.add_argument("--ebv", help="column of E(B-V)")
    sub.add_argument("--ensemble", type=int, help="trainings that are averaged")
    sub.add_argument("--steps", type=int, help="steps of each training, at most")
    sub.add_argument("--seed", type=int, default=0, help="another order and split")


def run(options):
    """Run the command."""
    from mantis_astro.tables import read_table
    from mantis_astro.training import finetune, train_photometric

    table = read_table(options.table)
    for column in filter(None, (options.z_spec, options.ebv)):
        if column not in table.colnames:
            msg = f"no column '{column}'; there are {', '.join(table.colnames)}"
            raise KeyError(msg)
    given = {"steps": options.steps, "ensemble": options.ensemble}
    given = {name: value for name, value in given.items() if value is not None}
    given |= {"seed": options.seed, "ebv": table[options.ebv] if options.ebv else None}
    z_spec = table[options.z_spec]
    if options.own_bands:
        photoz, report = train_photometric(table, z_spec, **given)
    else:
        start = load_photoz(options.model, for_tables=True)
        photoz, report = finetune(start, table, z_spec, **given)
    photoz.save(options.output)
    print(report)
    return DONE
