"""``mantis-astro evaluate``: how good redshifts are."""

from pathlib import Path

from mantis_astro.cli.options import check_columns

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "Compare predicted with spectroscopic redshifts."


def add_arguments(sub):
    """Add what the command takes."""
    sub.add_argument("table", help="table that predict wrote, with true redshifts")
    sub.add_argument("--z-spec", default="z_spec", help="column (default: z_spec)")
    sub.add_argument("--by", metavar="COLUMN", help="also in bins of this column")
    sub.add_argument("--bins", type=int, help="how many bins of equal population")
    sub.add_argument("--point", default="median", help="mean, median, mode or risk")
    sub.add_argument("--prefix", default="", help="prefix of the redshift columns")
    sub.add_argument("-o", "--output", help="also write the numbers to this table")
    sub.add_argument("--overwrite", action="store_true", help="replace the output")


def run(options):
    """Run the command."""
    from mantis_astro import RedshiftPDF, evaluate
    from mantis_astro.metrics import summarize
    from mantis_astro.table_io import read_table, write_table

    table = read_table(options.table)
    check_columns(table, *filter(None, (options.z_spec, options.by)))
    result = evaluate(
        RedshiftPDF.from_table(table, prefix=options.prefix),
        table[options.z_spec],
        point=options.point,
        by=table[options.by] if options.by else None,
        bins=options.bins,
        sample=Path(options.table).name,
    )
    print(summarize(result))
    if options.by:
        print()
        result.pprint(max_lines=-1, max_width=-1)
    if options.output:
        write_table(result, options.output, overwrite=options.overwrite)
