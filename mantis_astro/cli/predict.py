"""``mantis-astro predict``: redshift columns on a table of galaxies."""

import logging
from functools import partial
from pathlib import Path

from mantis_astro.cli.options import (
    DONE,
    INCOMPLETE,
    add_model_argument,
    add_photometry_arguments,
    add_source_arguments,
    add_table_arguments,
    check_output,
    default_model,
    find_source,
    load_photoz,
    number_or_name,
    read_galaxies,
    reads_photometry,
    split,
    tell_of_photometry,
)

__all__ = ["SUMMARY", "add_arguments", "run"]

log = logging.getLogger("mantis_astro")

SUMMARY = "Add redshift columns to a table of galaxies."


def add_arguments(sub):
    """Add the arguments of the command."""
    add_table_arguments(sub)
    sub.add_argument(
        "-o",
        "--output",
        required=True,
        help="table to write: .ecsv .fits .parquet .hdf5 .asdf .csv .vot; - writes "
        "ECSV to standard output",
    )
    sub.add_argument("--overwrite", action="store_true", help="replace the output")
    add_source_arguments(sub)
    add_photometry_arguments(sub)
    add_model_argument(
        sub,
        "name or file (default: the embedded one of images or, with --survey or "
        "--band, of fluxes; see 'models')",
    )
    sub.add_argument("--ebv", help="column of E(B-V), or one number for all")
    sub.add_argument("--prefix", default="", help="prefix of the new columns")
    sub.add_argument("--columns", help="new columns, separated by commas")
    sub.add_argument(
        "--flag-names",
        action="store_true",
        help="also add a column flag_names, with the flags in words",
    )
    sub.add_argument(
        "--dihedral", action="store_true", help="average over eight orientations"
    )
    sub.add_argument("--device", help="device, such as cuda")
    sub.add_argument("--chunk", type=int, default=64, help="objects in a batch")
    sub.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="share the rows among N processes, and read and write the table in "
        "pieces: FITS, Parquet and CSV may be larger than memory",
    )
    sub.epilog = (
        "Finished rows are kept in OUTPUT.rows until the table is written: after a "
        "crash or Ctrl-C run the same command again. With another model, table or "
        "option those rows are set aside as OUTPUT.rows.1, and all is computed anew. "
        "With --workers they are in the folder OUTPUT.parts."
    )


def run(options):
    """Run the command."""
    if options.workers is not None:
        return _run_in_pieces(options)
    from mantis_astro.tables import write_table

    to_file = options.output != "-"
    if to_file:
        check_output(options.output, replace=options.overwrite)
    table = read_galaxies(options.table, options)
    tell_of_photometry(table, options)
    if options.flag_names:
        _check_flag_names(table, options)
    if to_file:
        asked = table.copy(copy_data=False)
        asked[f"{options.prefix}flags"] = 0
        check_output(options.output, replace=options.overwrite, table=asked)
    source = find_source(options)  # a typo shows before weights are loaded
    photoz = load_photoz(
        options.model, device=options.device, for_tables=reads_photometry(options)
    )
    journal = Path(f"{options.output}.rows") if to_file else None
    add_redshifts = partial(
        photoz.add_redshifts,
        table,
        source,
        progress=not options.quiet,
        resume=journal,
        **_arguments(options),
    )
    table = _resume(add_redshifts, journal)
    if options.flag_names:
        _add_flag_names(table, options.prefix)
    write_table(table, options.output, overwrite=options.overwrite)
    if journal is not None:
        journal.unlink(missing_ok=True)  # there is none if no row was finished
        log.info("%d rows in %s", len(table), options.output)
    return INCOMPLETE if _any_failed(table, options.prefix) else DONE


def _check_flag_names(table, options):
    """Raise an error before the work if the column of names cannot be made."""
    from mantis_astro.redshift_table.columns import FLAG_NAMES

    if options.columns and "flags" not in split(options.columns):
        msg = "--flag-names writes the column flags in words: it must be in --columns"
        raise ValueError(msg)
    if (name := options.prefix + FLAG_NAMES) in table.colnames:
        msg = f"the table has {name} already: choose another --prefix"
        raise ValueError(msg)


def _add_flag_names(table, prefix):
    from mantis_astro.flags import flag_names
    from mantis_astro.redshift_table.columns import FLAG_NAMES

    place = table.colnames.index(f"{prefix}flags") + 1
    names = flag_names(table[f"{prefix}flags"])
    table.add_column(names, name=prefix + FLAG_NAMES, index=place)


def _run_in_pieces(options):
    """Predict a table by several processes."""
    from mantis_astro.scale import predict_file
    from mantis_astro.tables.pieces import TablePieces

    if options.flag_names:
        msg = (
            "--flag-names is not there with --workers: texts make a large table larger"
        )
        raise ValueError(msg)
    if "-" in (options.table, options.output):
        msg = "--workers needs files to read and to write, not -"
        raise ValueError(msg)
    table = options.table
    if reads_photometry(options):  # what its numbers are, is told by all of them
        table = read_galaxies(table, options)
    asked = next(iter(TablePieces(table))).copy(copy_data=False)
    tell_of_photometry(asked, options)
    asked[f"{options.prefix}flags"] = 0
    check_output(options.output, replace=options.overwrite, table=asked)
    source = find_source(options)
    model = options.model
    if model is None:
        model = default_model(for_tables=reads_photometry(options))
    predict = partial(
        predict_file,
        table,
        model,
        options.output,
        source,
        workers=options.workers,
        overwrite=options.overwrite,
        device=options.device,
        progress=not options.quiet,
        **_arguments(options),
    )
    n_failed = _resume(predict, Path(f"{options.output}.parts"))
    log.info("%s is written", options.output)
    return INCOMPLETE if n_failed else DONE


def _resume(predict, kept):
    """Predict, going on with rows that are kept; those of another run are set aside."""
    from mantis_astro.tables.journal import AnotherRunError, set_aside

    try:
        try:
            return predict()
        except AnotherRunError as error:  # raised before any work
            log.warning("%s. It is kept as %s", error, set_aside(kept))
            return predict()
    except KeyboardInterrupt:
        if kept is not None:
            log.warning("finished rows are in %s: the same command goes on", kept)
        raise


def _arguments(options):
    """Arguments that are those of add_redshifts."""
    return {
        "ra": options.ra,
        "dec": options.dec,
        "ebv": number_or_name(options.ebv),
        "prefix": options.prefix,
        "columns": split(options.columns) if options.columns else None,
        "dihedral": options.dihedral,
        "chunk": options.chunk,
    }


def _any_failed(table, prefix):
    from mantis_astro import Flag

    name = f"{prefix}flags"
    return name in table.colnames and bool((table[name] & Flag.FETCH_FAILED).any())
