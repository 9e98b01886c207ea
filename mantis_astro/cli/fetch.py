"""``mantis-astro fetch``: cutouts of a table of galaxies into a store."""

import logging
from pathlib import Path

from mantis_astro.cli.options import (
    DONE,
    INCOMPLETE,
    add_table_arguments,
    check_columns,
    check_output,
    split,
)

__all__ = ["SUMMARY", "add_arguments", "run"]

log = logging.getLogger("mantis_astro")

SUMMARY = "Fetch the cutouts of a table of galaxies to a store."


def add_arguments(sub):
    """Add the arguments of the command."""
    add_table_arguments(sub)
    sub.add_argument("--store", metavar="DIR", required=True, help="store to fill")
    sub.add_argument("--bands", help="bands, separated by commas (default: all nine)")
    sub.add_argument(
        "--source",
        action="append",
        default=[],
        metavar="SURVEY=SOURCE",
        help="preferred source of a survey's images: tiles, 'dense tiles', another "
        "service, a folder of its tiles, or a table that lists them; may be repeated",
    )
    sub.add_argument("--key", metavar="COLUMN", help="column of the names of objects")
    sub.add_argument(
        "--resume",
        action="store_true",
        help="add to a store that holds other objects",
    )
    sub.add_argument(
        "--retry-failed",
        action="store_true",
        help="at the end, request failed images once more",
    )
    sub.add_argument(
        "--recheck",
        action="store_true",
        help="with --resume: repeat requests for images recorded as not covered",
    )
    sub.add_argument(
        "--report", metavar="TABLE", help="table of the result of each band"
    )
    sub.epilog = (
        "Cutouts are in the store as soon as their object is finished. Failures are "
        "not kept: the same command requests them again, and resumes after a crash "
        "or Ctrl-C."
    )


def run(options):
    """Run the command."""
    from astropy.table import QTable

    from mantis_astro import CutoutStore, SurveyCutouts
    from mantis_astro.bands import BANDS, get_band, get_survey
    from mantis_astro.services.registry import name_sources
    from mantis_astro.store import check_keys, column_keys
    from mantis_astro.tables import read_table, write_table
    from mantis_astro.tables.coordinates import find_coordinates

    bands = BANDS if options.bands is None else split(options.bands)
    bands = [get_band(band) for band in bands]  # a typo must not leave a store behind,
    for band in bands:  # nor a band without images
        get_survey(band.survey)
    sources = name_sources(dict(map(_source, options.source)))
    table = read_table(options.table)
    coords, good = find_coordinates(table, ra=options.ra, dec=options.dec)
    if not good.all():
        log.warning("%d rows have no position and are left out", (~good).sum())
    keys = None
    if options.key is not None:
        check_columns(table, options.key)
        keys = check_keys(column_keys(table[options.key][good]), coords[good])
    goes_on = options.resume or _is_of_this_command(options.store, keys, coords[good])
    if Path(options.store).exists() and not goes_on:
        msg = f"{options.store} exists, with other objects: --resume adds these to it"
        raise FileExistsError(msg)
    if options.report:
        names = QTable({"key": [] if keys is None else list(keys)})
        check_output(options.report, replace=goes_on, option="--resume", table=names)
    with CutoutStore(options.store, mode="a") as store:
        source = SurveyCutouts(
            sources=sources,
            store=store,
            recheck=options.recheck,
            progress=not options.quiet,
        )
        for tries_left in range(options.retry_failed, -1, -1):
            for _ in source.iter_cutouts(coords[good], bands, keys=keys):
                pass
            counts = source.counts()
            if not (tries_left and counts["failed"]):
                break
            log.info("asking again for %d bands that failed", counts["failed"])
        if options.report:
            write_table(source.report(), options.report, overwrite=goes_on)
    print(", ".join(f"{count} {state}" for state, count in counts.items() if count))
    return INCOMPLETE if counts["failed"] else DONE


def _source(text):
    survey, is_named, source = text.partition("=")
    if not is_named:
        msg = f"'--source' must be such as ps1=tiles, got {text!r}"
        raise ValueError(msg)
    return survey.strip(), source.strip()


def _is_of_this_command(path, keys, coords):
    """Whether a store holds nothing else than what this command puts there."""
    from mantis_astro import CutoutStore
    from mantis_astro.store import position_key

    try:
        with CutoutStore(path) as store:
            there = set(store.keys())
    except (OSError, ValueError):  # none, or no store
        return False
    return there <= set(map(position_key, coords) if keys is None else keys)
