"""The command ``mantis-astro``: parse, call, print."""

import argparse
import contextlib
import logging
import sys
import warnings
from pathlib import Path

from mantis_astro import __version__
from mantis_astro.exceptions import MantisError, MantisWarning

__all__ = ["main"]

_EPILOG = """\
exit codes: 0 done; 1 an error, named on standard error; 2 wrong usage;
            3 done, but some cutouts could not be fetched (run it again to retry);
            130 interrupted, finished rows kept
"""
_DONE, _ERROR, _INCOMPLETE, _INTERRUPTED = 0, 1, 3, 130
_ERRORS = (MantisError, ImportError, KeyError, OSError, TypeError, ValueError)

log = logging.getLogger("mantis_astro")


def main(arguments=None):
    """
    Run the command line.

    Parameters
    ----------
    arguments : list of str, optional
        By default those of the process.

    Returns
    -------
    int
        Exit code: 0 done; 1 error; 3 done, but some cutouts could not be fetched; 130
        interrupted. Wrong usage exits with 2.

    Examples
    --------
    >>> from mantis_astro.cli import main
    >>> main(["flags", "18"])
    MISSING_GALEX  At least one GALEX band the model reads is missing.
    BAD_PIXELS     More than 1% of the pixels of a band are masked or not finite.
    0
    """
    options = _parser().parse_args(arguments)
    with _messages(quiet=options.quiet):
        try:
            return options.run(options) or _DONE
        except BrokenPipeError:  # the reader of our output has seen enough
            return _DONE
        except _ERRORS as error:
            if options.debug:
                raise
            # a KeyError prints its sentence in quotes
            text = error.args[0] if type(error) is KeyError else error
            log.error("mantis-astro: %s", text)  # noqa: TRY400  no traceback
            return _ERROR
        except KeyboardInterrupt:
            log.error("mantis-astro: interrupted")  # noqa: TRY400  no traceback
            return _INTERRUPTED


@contextlib.contextmanager
def _messages(*, quiet):
    """Messages and warnings go to standard error, a line each."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(logging.ERROR if quiet else logging.INFO)
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            warnings.simplefilter("ignore" if quiet else "always", MantisWarning)
            yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


def _show_warning(message, category, *_, **__):
    log.warning("%s: %s", category.__name__, message)


def _parser():
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "-q", "--quiet", action="store_true", help="errors only on standard error"
    )
    common.add_argument("--debug", action="store_true", help="show tracebacks")
    parser = argparse.ArgumentParser(
        prog="mantis-astro",
        description="Redshift probability densities from survey images.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=_versions())
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name, run, text):
        sub = commands.add_parser(name, parents=[common], help=text, description=text)
        sub.set_defaults(run=run)
        return sub

    _predict_arguments(
        command("predict", _predict, "Add redshift columns to a table of galaxies.")
    )
    _fetch_arguments(
        command("fetch", _fetch, "Fetch the cutouts of a table of galaxies to a store.")
    )
    sub = command(
        "evaluate", _evaluate, "Compare predicted with spectroscopic redshifts."
    )
    sub.add_argument("table", help="table that predict wrote, with true redshifts")
    sub.add_argument("--z-spec", default="z_spec", help="column (default: z_spec)")
    sub.add_argument("--by", metavar="COLUMN", help="also in bins of this column")
    sub.add_argument("--bins", type=int, help="how many bins of equal population")
    sub.add_argument("--point", default="median", help="mean, median, mode or risk")
    sub.add_argument("--prefix", default="", help="prefix of the redshift columns")
    sub.add_argument("-o", "--output", help="also write the numbers to this table")
    sub.add_argument("--overwrite", action="store_true", help="replace the output")

    sub = command("models", _models, "List the models, or describe one.")
    sub.add_argument("name", nargs="?", help="a model to describe")

    sub = command("files", _files, "List large files, or fetch them.")
    sub.add_argument("action", nargs="?", choices=["list", "fetch"], default="list")
    sub.add_argument("names", nargs="*", metavar="NAME", help="files to fetch")

    sub = command(
        "flags", _flags, "Spell out a value of the column flags, or all bits."
    )
    sub.add_argument("value", nargs="?", type=int, help="a value")

    sub = command("demo", _demo, "Fetch made galaxies from a local sky and predict.")
    sub.add_argument("--output", default="mantis_demo", help="folder for the results")
    sub.add_argument("-n", type=int, default=12, help="how many galaxies")
    return parser


def _table_arguments(sub):
    sub.add_argument("table", help="table of galaxies; - reads standard input")
    sub.add_argument("--ra", help="column of right ascension, or of sky coordinates")
    sub.add_argument("--dec", help="column of declination")


def _predict_arguments(sub):
    _table_arguments(sub)
    sub.add_argument(
        "-o",
        "--output",
        required=True,
        help="table to write: .ecsv .fits .parquet .csv .vot; - writes ECSV to "
        "standard output",
    )
    sub.add_argument("--overwrite", action="store_true", help="replace the output")
    source = sub.add_mutually_exclusive_group()
    source.add_argument("--cutouts", metavar="DIR", help="folder of FITS cutouts")
    source.add_argument("--store", metavar="DIR", help="store that fetch filled")
    sub.add_argument(
        "--model", help="name or file (default: the embedded one; see 'models')"
    )
    sub.add_argument("--ebv", help="column of E(B-V), or one number for all")
    sub.add_argument("--prefix", default="", help="put before the new columns")
    sub.add_argument("--columns", help="which new columns, separated by commas")
    sub.add_argument(
        "--dihedral", action="store_true", help="average over eight orientations"
    )
    sub.add_argument("--device", help="where to compute, e.g. cuda")
    sub.add_argument("--chunk", type=int, default=64, help="objects at once")
    sub.epilog = (
        "Finished rows are kept in OUTPUT.rows until the table is written: after a "
        "crash or Ctrl-C run the same command again."
    )


def _fetch_arguments(sub):
    _table_arguments(sub)
    sub.add_argument("--store", metavar="DIR", required=True, help="store to fill")
    sub.add_argument("--bands", help="bands, separated by commas (default: all nine)")
    sub.add_argument("--key", metavar="COLUMN", help="column that names the objects")
    sub.add_argument(
        "--resume",
        action="store_true",
        help="add what an existing store lacks: after a crash, Ctrl-C or failures",
    )
    sub.add_argument(
        "--retry-failed",
        action="store_true",
        help="at the end, ask once more for what failed",
    )
    sub.add_argument("--report", metavar="TABLE", help="write what became of each band")
    sub.epilog = (
        "Every cutout is in the store as soon as its object is finished; failures "
        "are not kept, so the same command with --resume asks for them again."
    )


def _predict(options):
    from mantis_astro.table_io import check_writable, read_table, write_table

    to_file = options.output != "-"
    if to_file:
        check_writable(options.output, overwrite=options.overwrite)
    table = read_table(options.table)
    source = _source(options)  # a typo shows before weights are loaded
    photoz = _load(options.model, options.device)
    journal = Path(f"{options.output}.rows") if to_file else None
    try:
        table = photoz.add_redshifts(
            table,
            source,
            ra=options.ra,
            dec=options.dec,
            ebv=_number_or_name(options.ebv),
            prefix=options.prefix,
            columns=_split(options.columns) if options.columns else None,
            dihedral=options.dihedral,
            chunk=options.chunk,
            progress=not options.quiet,
            resume=journal,
        )
    except KeyboardInterrupt:
        if journal is not None:
            log.warning("finished rows are in %s: the same command goes on", journal)
        raise
    write_table(table, options.output, overwrite=options.overwrite)
    if journal is not None:
        journal.unlink()
        log.info("%d rows in %s", len(table), options.output)
    return _INCOMPLETE if _any_failed(table, options.prefix) else _DONE


def _any_failed(table, prefix):
    from mantis_astro import Flag

    name = f"{prefix}flags"
    return name in table.colnames and bool((table[name] & Flag.FETCH_FAILED).any())


def _load(model, device):
    from mantis_astro import PhotoZ

    if model is not None and (Path(model).suffix or Path(model).exists()):
        return PhotoZ.from_file(model, device=device)
    return PhotoZ.from_pretrained(model, device=device)


def _source(options):
    if options.cutouts:
        from mantis_astro import FitsFolder

        return FitsFolder(options.cutouts)
    if options.store:
        from mantis_astro import CutoutStore

        try:
            return CutoutStore(options.store)
        except FileNotFoundError:
            msg = f"no store at {options.store}; 'mantis-astro fetch' makes one"
            raise FileNotFoundError(msg) from None
    return None


def _number_or_name(text):
    try:
        return float(text)
    except (TypeError, ValueError):
        return text


def _fetch(options):
    from mantis_astro import CutoutStore, SurveyCutouts
    from mantis_astro.bands import BANDS, get_band
    from mantis_astro.catalog import find_coordinates
    from mantis_astro.table_io import check_writable, read_table, write_table

    if options.report:
        check_writable(options.report, overwrite=options.resume)
    bands = BANDS if options.bands is None else _split(options.bands)
    bands = [get_band(band) for band in bands]  # a typo must not leave a store behind
    if Path(options.store).exists() and not options.resume:
        msg = f"{options.store} exists: --resume adds what it lacks"
        raise FileExistsError(msg)
    table = read_table(options.table)
    coords, good = find_coordinates(table, ra=options.ra, dec=options.dec)
    if not good.all():
        log.warning("%d rows have no position and are left out", (~good).sum())
    keys = None
    if options.key is not None:
        _check_columns(table, options.key)
        keys = [str(key) for key in table[options.key][good]]
    with CutoutStore(options.store, mode="a") as store:
        source = SurveyCutouts(store=store, progress=not options.quiet)
        for tries_left in range(options.retry_failed, -1, -1):
            for _ in source.iter_cutouts(coords[good], bands, keys=keys):
                pass
            counts = source.counts()
            if not (tries_left and counts["failed"]):
                break
            log.info("asking again for %d bands that failed", counts["failed"])
        if options.report:
            write_table(source.report(), options.report, overwrite=options.resume)
    print(", ".join(f"{count} {state}" for state, count in counts.items() if count))
    return _INCOMPLETE if counts["failed"] else _DONE


def _split(text):
    return [part.strip() for part in text.split(",")]


def _check_columns(table, *names):
    for name in names:
        if name not in table.colnames:
            msg = f"no column '{name}'; there are {', '.join(table.colnames)}"
            raise KeyError(msg)


def _evaluate(options):
    from mantis_astro import RedshiftPDF, evaluate
    from mantis_astro.metrics import summarize
    from mantis_astro.table_io import read_table, write_table

    table = read_table(options.table)
    _check_columns(table, *filter(None, (options.z_spec, options.by)))
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


def _models(options):
    from mantis_astro.models import get_card, list_models

    if options.name is None:
        for card in list_models():
            print(f"{card.name:24} {card.description}")
        return
    card = get_card(options.name)
    facts = {
        "name": card.name,
        "what it is": card.description,
        "network": card.network.kind,
        "bands": ", ".join(map(str, card.bands)),
        "redshifts": f"{card.n_bins} bins, {card.z_edges[0]:g} to {card.z_edges[-1]:g}",
        "trained on": card.training_sample,
        "prior": card.training_prior,
        "do not trust": card.caveats,
        "licence": card.licence,
        "cite": ", ".join(card.citations),
    }
    for name, fact in facts.items():
        if fact:
            print(f"{name:13} {fact}")


def _files(options):
    from mantis_astro.files import fetch_file, list_files, local_path

    if options.action == "list":
        for file in list_files():
            there = "here" if local_path(file.name).is_file() else "not fetched"
            print(f"{file.name:24} {file.size / 1e6:8.1f} MB  {there:12} {file.url}")
        return
    if not options.names:
        msg = "name the files to fetch; 'mantis-astro files' lists them"
        raise ValueError(msg)
    for name in options.names:
        print(fetch_file(name, progress=not options.quiet))


def _flags(options):
    from mantis_astro.flags import FLAG_TABLE

    flags = [
        f for f in FLAG_TABLE if options.value is None or options.value >> f.bit & 1
    ]
    width = max((len(flag.name) for flag in flags), default=0)
    for flag in flags:
        bit = f"{1 << flag.bit:>8}  " if options.value is None else ""
        print(f"{bit}{flag.name:{width}}  {flag.description}")


def _demo(options):
    from mantis_astro.demo import run_demo

    for line in run_demo(options.output, n=options.n):
        print(line)


def _versions():
    from importlib.metadata import version

    others = ", ".join(f"{name} {version(name)}" for name in ("astropy", "torch"))
    return f"mantis-astro {__version__} ({others})"
