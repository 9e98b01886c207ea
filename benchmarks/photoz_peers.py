"""
Redshifts of real galaxies and of LSST's DC2 by the codes that people use.

RAIL's FlexZBoost, GPz and nearest neighbours, and a random forest, learn from one part
of the sky and are tested on another; BPZ and eazy-py, and the model of any bands as it
is in the package, have seen no redshift. All have the same rows, bands and folds, those
of `any_band.py`, and their documented defaults; `peer_codes.py` calls them.

``python benchmarks/photoz_peers.py --keep FOLDER`` needs an environment with RAIL, eazy
and this package. Each result is kept in the folder; ``--methods any-band`` alone runs
ours again, and prints all that is kept. One thread each, and no processes of their
own: set ``OMP_NUM_THREADS=1 LOKY_MAX_CPU_COUNT=1``.
"""

import argparse
import logging
import sys
import warnings
from pathlib import Path

import numpy as np
import peer_codes
import torch
from any_band import as_row
from astropy.table import Table, vstack
from harness import report
from real_catalogs import (
    read_dc2,
    read_sdss,
    read_stripe82,
    read_zcosmos,
    without_dust,
)

from mantis_astro import RedshiftPDF

READERS = (read_stripe82, read_zcosmos, read_sdss, read_dc2)
NAMES = ("sample", "method", "learnt", "n")
SHOWN = ("sigma_nmad", "beyond_005", "beyond_015", "coverage_68")
SHOWN += ("cde_loss", "crps", "fit_s", "estimate_s")


def main():
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    known = tuple(peer_codes.METHODS)
    parser.add_argument("--methods", nargs="*", choices=known, default=known)
    parser.add_argument("--samples", nargs="*", help="of which catalogues")
    parser.add_argument("--model", default="any-band", help="ours: a name or a file")
    parser.add_argument("--keep", type=Path, required=True, help="folder of results")
    parser.add_argument("--output", type=Path, help="folder to write the table to")
    options = parser.parse_args()
    options.keep.mkdir(parents=True, exist_ok=True)
    tables = [reader() for reader in READERS]
    for table in tables:
        if options.samples is None or table.meta["name"] in options.samples:
            for method in options.methods:
                row = measure(table, method, options.model)
                row.write(_file(options.keep, table, method), overwrite=True)
                print(*row[0], file=sys.stderr, flush=True)
    files = [_file(options.keep, table, method) for table in tables for method in known]
    found = [Table.read(file) for file in files if file.exists()]
    if found:
        result = vstack(found, metadata_conflicts="silent")
        for name in SHOWN:
            result[name].info.format = ".4f" if not name.endswith("_s") else ".0f"
        result.meta = {"title": "The same rows, bands and folds for all; medians"}
        report(result, "photoz_peers", options.output)


def _file(folder, table, method):
    return folder / f"{table.meta['name']}_{method}.ecsv".replace(" ", "_")


def measure(table, method, model):
    """One row of the result: how good a method is on a catalogue, and what it costs."""
    code = peer_codes.METHODS[method]
    # ours corrects for dust itself
    rows = table if code.is_ours else without_dust(table)
    z, tested = np.asarray(table["z_spec"]), ~np.asarray(table["is_donor"])
    pdf, seconds = by_fold(code, rows, z, tested, model)
    scores = as_row(table.meta["name"], method, pdf[tested], z[tested])
    _, _, n, _, nmad, beyond_005, beyond_015, coverage, _, _, cde_loss, crps = scores
    numbers = (nmad, beyond_005, beyond_015, coverage, cde_loss, crps, *seconds)
    learnt = "other folds" if code.learns else "nothing of it"
    return Table(
        rows=[(table.meta["name"], method, learnt, n, *map(float, numbers))],
        names=NAMES + SHOWN,
    )


def by_fold(code, table, z, tested, model):
    """p(z) of all rows, from what learnt from the other folds; seconds it took."""
    fold, z_max = np.asarray(table["fold"]), 1.02 * z.max()
    probability, seconds = None, np.zeros(2)
    folds = np.unique(fold[tested]) if code.learns else [None]
    for k in folds:
        rows = tested & (fold == k) if code.learns else tested
        training = table[fold != k] if code.learns else None
        pdf, *spent = code.run(training, table[rows], z_max, model)
        seconds += spent
        if probability is None:
            probability = np.ones((len(table), pdf.n_bins))
        probability[rows] = pdf.probability
    return RedshiftPDF(pdf.bin_edges, probability), seconds


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable()
    torch.set_num_threads(1)
    main()
