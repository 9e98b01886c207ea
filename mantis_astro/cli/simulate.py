"""``mantis-astro simulate``: simulated galaxies, their catalogue and their cutouts."""

import argparse
from pathlib import Path

from mantis_astro.cli.options import check_output, split

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "Simulate galaxies: a catalogue with redshifts, and the surveys' cutouts."
_EXAMPLES = """\
examples:
  mantis-astro simulate -n 1000 --seed 1 --catalog sky.ecsv --store sky.store
  mantis-astro predict sky.ecsv --store sky.store -o redshifts.ecsv
  mantis-astro simulate -n 5000 --seed 1 --catalog truth.parquet   # no images

A galaxy follows from the seed and its position: the first 1000 of 5000 are those that
-n 1000 gives. Sets for training, validation and test share no spectrum: see --donors.
"""


def add_arguments(sub):
    """Add the arguments of the command."""
    sub.add_argument("-n", type=int, required=True, help="number of galaxies")
    sub.add_argument("--seed", type=int, default=0, help="seed of the sky (default: 0)")
    sub.add_argument(
        "--start", type=int, default=0, help="number of the first galaxy (default: 0)"
    )
    sub.add_argument(
        "--donors",
        choices=("all", "train", "validation", "test"),
        default="all",
        help="set of spectra; the three sets are disjoint (default: all)",
    )
    sub.add_argument("--catalog", metavar="FILE", help="table to write")
    sub.add_argument("--store", metavar="DIR", help="store to fill with cutouts")
    sub.add_argument("--bands", help="bands, separated by commas (default: all nine)")
    sub.add_argument(
        "--resume",
        action="store_true",
        help="add what an existing store lacks, and write the catalogue again",
    )
    sub.formatter_class = argparse.RawDescriptionHelpFormatter
    sub.epilog = _EXAMPLES


def run(options):
    """Run the command."""
    from astropy.coordinates import SkyCoord

    from mantis_astro import CutoutStore, SimulatedSky
    from mantis_astro.bands import BANDS, get_bands
    from mantis_astro.progress import progress_bar
    from mantis_astro.tables import write_table

    if not (options.catalog or options.store):
        msg = "nothing to write: give --catalog, --store or both"
        raise ValueError(msg)
    bands = BANDS if options.bands is None else get_bands(split(options.bands))
    strangers = [str(band) for band in bands if band not in BANDS]
    if strangers:
        msg = (
            f"images are simulated of {', '.join(map(str, BANDS))}; "
            f"got {', '.join(strangers)}"
        )
        raise ValueError(msg)
    if options.catalog:
        check_output(options.catalog, replace=options.resume, option="--resume")
    if options.store and Path(options.store).exists() and not options.resume:
        msg = f"{options.store} exists: --resume adds what it lacks"
        raise FileExistsError(msg)
    sky = SimulatedSky(options.seed, donors=options.donors)
    table = sky.catalog(options.n, options.start)
    if options.catalog:
        write_table(table, options.catalog, overwrite=options.resume)
        print(f"{options.catalog}: {len(table)} galaxies")
    if options.store:
        coords = SkyCoord(table["ra"], table["dec"])
        bar = progress_bar(len(table), wanted=not options.quiet)
        with CutoutStore(options.store, mode="a") as store, bar as update:
            for done in sky.fill_store(store, coords, bands):
                update(done)
        print(f"{options.store}: cutouts of {len(table)} galaxies")
