"""All nine bands of random objects: a CutoutStore against one FITS file per cutout."""

import tempfile
from pathlib import Path

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.table import Table
from astropy.wcs import WCS
from harness import interleaved, run

from mantis_astro import CutoutStore, MultibandCutout
from mantis_astro.bands import BANDS, get_survey
from mantis_astro.simulation.server.images import MadeImages


def make_images(ra, dec):
    """Nine bands as the surveys serve them: pixels are noise, as real ones are."""
    images = {}
    for band in BANDS:
        survey = get_survey(band.survey)
        (ny, nx), scale = survey.shape, survey.pixel_scale.to_value("arcsec")
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
        wcs.wcs.crval, wcs.wcs.crpix = (ra, dec), ((nx + 1) / 2, (ny + 1) / 2)
        wcs.wcs.cdelt = -scale / 3600, scale / 3600
        exposure = 860.0 if survey.summed_over_exposure else None
        data = MadeImages().draw(
            band,
            ra,
            dec,
            shape=survey.shape,
            pixel=((nx - 1) / 2, (ny - 1) / 2),
            pixel_scale=scale,
            exposure_time=exposure,
        )
        meta = {"zero_point_ab": band.zero_point_ab(exposure), "magsys": survey.magsys}
        images[band] = CCDData(data, unit=survey.unit, wcs=wcs, meta=meta)
    return images


def bytes_in(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def write_all(folder, n):
    """The same objects in each of the ways to keep them."""
    coords = SkyCoord(np.arange(n) * 360 / n, np.linspace(-30, 80, n), unit="deg")
    for name in ("files", "objects"):
        (folder / name).mkdir()
    with (
        CutoutStore(folder / "store", "a") as store,
        CutoutStore(folder / "compressed", "a", compress=True) as compressed,
    ):
        for i, coord in enumerate(coords):
            images = make_images(coord.ra.deg, coord.dec.deg)
            store.add(i, coord, images)
            compressed.add(i, coord, images)
            MultibandCutout(coord, images).write(folder / "objects" / f"{i}.fits")
            for band, image in images.items():
                path = folder / "files" / f"{i}_{band}.fits"
                header = image.wcs.to_header()
                header["BUNIT"] = image.unit.to_string()
                fits.PrimaryHDU(image.data, header).writeto(path)


def benchmark(short):
    n, n_read = (40, 20) if short else (500, 200)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_all(folder, n)
        rng = np.random.default_rng(1)

        def read_store(store):
            for i in rng.integers(0, n, n_read):
                assert len(store[i]) == len(BANDS)

        def read_files():
            for i in rng.integers(0, n, n_read):
                for band in BANDS:
                    CCDData.read(folder / "files" / f"{i}_{band}.fits")

        def read_pixels_of_files():
            for i in rng.integers(0, n, n_read):
                for band in BANDS:
                    path = folder / "files" / f"{i}_{band}.fits"
                    fits.getdata(path).astype("f4")

        def read_objects():
            for i in rng.integers(0, n, n_read):
                MultibandCutout.read(folder / "objects" / f"{i}.fits")

        with (
            CutoutStore(folder / "store") as store,
            CutoutStore(folder / "compressed") as compressed,
        ):
            ways = {
                "a FITS file per cutout, CCDData.read": ("files", read_files),
                "the same, pixels only": ("files", read_pixels_of_files),
                "a FITS file per object": ("objects", read_objects),
                "CutoutStore": ("store", lambda: read_store(store)),
                "CutoutStore, compressed": (
                    "compressed",
                    lambda: read_store(compressed),
                ),
            }
            seconds = interleaved(
                {name: function for name, (_, function) in ways.items()},
                repeats=3 if short else 5,
            )
        first = next(iter(seconds.values()))
        rows = [
            (
                name,
                round(n_read / seconds[name], 1),
                round(first / seconds[name], 1),
                round(bytes_in(folder / ways[name][0]) / n / 1e3, 1),
            )
            for name in ways
        ]
    table = Table(rows=rows, names=("way", "objects/s", "ratio", "kB/object"))
    table.meta["title"] = (
        f"Reading nine bands of {n_read} random objects of {n}, cached by the system"
    )
    return table


if __name__ == "__main__":
    run(benchmark, "store_reading")
