"""``mantis-astro nz``: the redshift distribution of a sample, with errors."""

from mantis_astro.cli.options import (
    add_results_arguments,
    check_columns,
    check_has_pdf,
    check_results,
    split,
)

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "Average the p(z) of a table to n(z), with bootstrap errors."


def add_arguments(sub):
    """Add the arguments of the command."""
    sub.add_argument("table", help="table written by predict, with p(z)")
    sub.add_argument(
        "--bins",
        help="tomographic bins: number of bins of equal weight, or edges separated by "
        "commas, such as 0.2,0.5,0.8",
    )
    sub.add_argument(
        "--point",
        choices=["mean", "median", "mode", "risk"],
        default="median",
        help="point estimate by which galaxies are put into bins (default: median)",
    )
    sub.add_argument("--weight", metavar="COLUMN", help="weight of each galaxy")
    sub.add_argument(
        "--group",
        metavar="COLUMN",
        help="galaxies of one group, such as a pixel of the sky, are drawn together",
    )
    sub.add_argument(
        "--exclude",
        default="NO_DATA",
        help="flags, separated by commas, of galaxies to leave out (default: NO_DATA)",
    )
    sub.add_argument("--bootstrap", type=int, default=100, help="number of samples")
    sub.add_argument("--seed", type=int, default=0, help="seed of the bootstrap")
    sub.add_argument("--prefix", default="", help="prefix of the redshift columns")
    add_results_arguments(sub, "n(z)", drawn="n(z)")


def run(options):
    """Run the command."""
    from mantis_astro import redshift_distribution
    from mantis_astro.flags import flags_named
    from mantis_astro.tables import read_table, write_table

    check_results(options)
    table = read_table(options.table)
    check_has_pdf(table, options.table, options.prefix)
    check_columns(table, *filter(None, (options.weight, options.group)))
    result = redshift_distribution(
        table,
        bins=_bins(options.bins),
        point=options.point,
        sample_weight=table[options.weight] if options.weight else None,
        groups=table[options.group] if options.group else None,
        exclude=flags_named(filter(None, split(options.exclude.upper()))),
        n_bootstrap=options.bootstrap,
        rng=options.seed,
        prefix=options.prefix,
    )
    numbers = [name for name in result.colnames if result[name].ndim == 1]
    result[numbers].pprint(max_lines=-1, max_width=-1)
    if options.plot:
        from mantis_astro.plotting import plot_nz

        plot_nz(result).figure.savefig(options.plot, dpi=150)
    if options.output:
        write_table(result, options.output, overwrite=options.overwrite)


def _bins(text):
    """Read a number of bins, or their edges."""
    if text is None:
        return None
    try:
        numbers = [float(part) for part in split(text)]
    except ValueError:
        msg = f"'--bins' must be a number or edges such as 0.2,0.5,0.8, got {text!r}"
        raise ValueError(msg) from None
    return numbers[0] if len(numbers) == 1 else numbers
