"""``mantis-astro evaluate``: metrics of redshifts."""

from pathlib import Path

from mantis_astro.cli.options import (
    add_model_argument,
    add_results_arguments,
    check_columns,
    check_has_pdf,
    check_output,
    check_results,
    load_photoz,
)

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "Compare predicted with true redshifts, of a table or of simulated galaxies."


_SHOWN = [  # of each bin; all the rest is in the table that --output writes
    *("sample", "n", "bias_median", "sigma_nmad", "outlier_fraction_005"),
    *("outlier_fraction_015", "coverage_68", "crps"),
]


def add_arguments(sub):
    """Add the arguments of the command."""
    sub.add_argument(
        "table", nargs="?", help="table written by predict, with true redshifts"
    )
    sub.add_argument(
        "--z-spec", default="z_spec", help="true redshifts (default: z_spec)"
    )
    sub.add_argument("--by", metavar="COLUMN", help="also in bins of this column")
    sub.add_argument(
        "--bins",
        type=int,
        help="with --by, number of bins of equal population (default: 5)",
    )
    sub.add_argument(
        "--point", default="median", help="mean, median (the default), mode or risk"
    )
    sub.add_argument("--prefix", default="", help="prefix of the redshift columns")
    sub.add_argument(
        "--recalibrate",
        choices=["temperature", "pit", "local"],
        help="also print the effect of this recalibration, cross-fitted in five parts",
    )
    sub.add_argument(
        "--simulated",
        type=int,
        metavar="N",
        help="in place of a table: predict this many simulated galaxies",
    )
    add_model_argument(
        sub, "with --simulated, name or file (default: the embedded one)"
    )
    sub.add_argument(
        "--seed",
        type=int,
        default=1000,
        help="with --simulated, seed of the galaxies (default: 1000)",
    )
    add_results_arguments(sub, "the numbers")


def run(options):
    """Run the command."""
    from astropy.table import QTable

    from mantis_astro import evaluate
    from mantis_astro.metrics import summarize
    from mantis_astro.tables import write_table

    if (options.table is None) == (options.simulated is None):
        msg = "give either a table that predict wrote, or --simulated N"
        raise ValueError(msg)
    check_results(options)
    if options.simulated is None:
        pdf, z_spec, by = _read(options)
        sample = Path(options.table).name
    else:
        pdf, z_spec, by = _simulate(options)
        sample = f"simulated, seed {options.seed}"
    if options.output:
        asked = QTable({"sample": [sample]})
        check_output(options.output, replace=options.overwrite, table=asked)
    result = evaluate(
        pdf, z_spec, point=options.point, by=by, bins=options.bins, sample=sample
    )
    print(summarize(result))
    if by is not None:
        print()
        result[_SHOWN].pprint(max_lines=-1, max_width=-1)
    if options.recalibrate:
        print()
        print(_recalibrated(pdf, z_spec, options))
    if options.output:
        write_table(result, options.output, overwrite=options.overwrite)


def _read(options):
    from mantis_astro import RedshiftPDF
    from mantis_astro.tables import read_table

    table = read_table(options.table)
    check_has_pdf(table, options.table, options.prefix)
    check_columns(table, *filter(None, (options.z_spec, options.by)))
    pdf = RedshiftPDF.from_table(table, prefix=options.prefix)
    return pdf, table[options.z_spec], table[options.by] if options.by else None


def _simulate(options):
    from astropy.table import QTable

    from mantis_astro.training.data.fresh_galaxies import predict_simulated

    pdf, z_spec = predict_simulated(
        load_photoz(options.model),
        options.simulated,
        seed=options.seed,
        progress=not options.quiet,
    )
    table = QTable({"z_spec": z_spec, "z_median": pdf.median()})
    check_columns(table, *filter(None, (options.by,)))
    return pdf, z_spec, table[options.by] if options.by else None


def _recalibrated(pdf, z_spec, options):
    from mantis_astro import calibration

    recalibrator = {
        "temperature": calibration.TemperatureScaling(floor=True),
        "pit": calibration.PITRecalibration(),
        "local": calibration.LocalRecalibration(),
    }[options.recalibrate]
    after = calibration.out_of_fold(recalibrator, pdf, z_spec)
    report = calibration.report_calibration(pdf, after, z_spec, point=options.point)
    return calibration.summarize_calibration(report)
