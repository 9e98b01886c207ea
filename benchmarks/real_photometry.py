"""Magnitudes of real galaxies: catalogue, native images, aligned images."""

import logging
import os
import warnings
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table
from harness import run

from mantis_astro import MultibandCutout, decode_flags
from mantis_astro.alignment import align, common_wcs
from mantis_astro.cutouts import read_cutout
from mantis_astro.photometry import Circular, column_suffix, measure_photometry

BESIDE = Path(__file__).parents[2] / "shared" / "data"
IMAGES = Path(os.environ.get("MANTIS_ASTRO_REAL_DATA", BESIDE)) / "images"
CIRCLE = {"aperture": Circular(8 * u.arcsec, correction=None), "deblend": None}
CATALOGUE = {("frb190608", "ps1.r"): 17.66, ("frb190608", "ps1.i"): 17.23}
TARGETS = {
    "frb190608": (334.0204, -7.8989, {"ps1.r": "PS1_r", "ps1.i": "PS1_i"}),
    "ugc1333": (27.952, 0.2635, {f"ps1.{b}": f"PS1_{b}" for b in "griz"}),
    "ps1_j0028": (7.09390, -10.65098, {f"ps1.{b}": f"2_{b}" for b in "grizy"}),
    "ic494": (
        121.6005,
        1.0361,
        {
            "galex.NUV": "GALEX_NUV",
            "galex.FUV": "GALEX_FUV",
            "allwise.W1": "WISE_W1",
            "allwise.W2": "WISE_W2",
        },
    ),
}


def read(name):
    ra, dec, files = TARGETS[name]
    cutouts = {
        band: read_cutout(IMAGES / name / f"{file}.fits", band)
        for band, file in files.items()
    }
    return MultibandCutout(SkyCoord(ra, dec, unit="deg"), cutouts)


def on_grid(target, pixel_scale, method):
    size = 52 * u.arcsec
    if "galex.NUV" in target:  # larger pixels, PSF and sky annulus
        pixel_scale, size = 4 * pixel_scale, 90 * u.arcsec
    wcs = common_wcs(target.coord, size, pixel_scale * u.arcsec)
    return align(target, wcs, method=method)


def benchmark(short):
    rows = []
    for name in list(TARGETS)[: 2 if short else None]:
        target = read(name)
        kron = measure_photometry(target)
        native = measure_photometry(target, **CIRCLE)
        interp = measure_photometry(on_grid(target, 0.2, "interp"), **CIRCLE)
        exact = measure_photometry(on_grid(target, 0.4, "exact"), **CIRCLE)
        for band in target:
            column = f"mag_ab_{column_suffix(band)}"
            magnitudes = [
                float(table[column].unmasked.value[0])
                for table in (kron, native, interp, exact)
            ]
            known = CATALOGUE.get((name, str(band)), np.nan)
            flags = ", ".join(decode_flags(kron[f"flags_{column_suffix(band)}"][0]))
            rows.append((name, str(band), known, *magnitudes, flags))
    names = [
        "target",
        "band",
        "catalogue",
        "kron",
        "native",
        "interp",
        "exact",
        "flags",
    ]
    table = Table(rows=rows, names=names)
    for name in names[2:7]:
        table[name].info.format = ".3f"
    for name in ("interp", "exact"):
        table[f"{name} - native"] = table[name] - table["native"]
        table[f"{name} - native"].info.format = "+.3f"
        del table[name]
    table.meta["title"] = (
        'AB magnitudes: Kron ellipse; plain 8" circle on native and aligned images'
    )
    return table


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable()
    run(benchmark, "real_photometry")
