"""Memory and bookkeeping of the download engine: servers that answer at once."""

import multiprocessing
import time

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.nddata import CCDData
from astropy.table import Table
from astropy.wcs import WCS
from harness import peak_memory, run

from mantis_astro import SurveyCutouts
from mantis_astro.bands import BANDS, get_survey
from mantis_astro.services.transport import Answer

_LIST = b"projcell subcell ra dec filter mjd type filename shortname badflag\n"


class ReadyImages:
    """A transport that has arrays ready: no network, no FITS."""

    def __init__(self):
        self._images = {}
        for band in BANDS:
            survey = get_survey(band.survey)
            pixels = np.random.default_rng(1).normal(size=survey.shape).astype("f4")
            self._images[survey, band] = pixels

    def send(self, http, *, seconds):  # noqa: ARG002  a transport's signature
        if http.method == "POST":
            return Answer(content=_LIST + b"".join(self._rows(http)))
        query = dict(part.split("=") for part in http.url.partition("?")[2].split("&"))
        if "red" in query:
            survey = get_survey("ps1")
            letter = query["red"].split(".stk.")[1][0]
            names = [letter]
        else:
            survey = get_survey("galex" if query["layer"] == "galex" else "unwise")
            names = [band.name for band in survey.bands]
        wcs = self._wcs(survey, float(query["ra"]), float(query["dec"]))
        images = {
            band: CCDData(
                self._images[survey, band].copy(), unit=survey.unit, wcs=wcs, meta={}
            )
            for band in survey.bands
            if band.name in names
        }
        return Answer(content=images)

    def close(self):
        pass

    def _rows(self, http):
        for line in http.files["file"][1].decode().splitlines():
            ra, dec = line.split()
            cell = f"{int(float(ra)) + 1000:04d}.{int(float(dec)) % 100:03d}"
            for band in "grizy":
                name = (
                    f"/rings.v3.skycell/rings.v3.skycell.{cell}.stk.{band}.unconv.fits"
                )
                row = f"{cell.replace('.', ' ')} {ra} {dec} {band} 0 stack {name} x 0\n"
                yield row.encode()

    @staticmethod
    def _wcs(survey, ra, dec):
        wcs = WCS(naxis=2, fix=False)
        ny, nx = survey.shape
        scale = survey.pixel_scale.to_value("deg")
        wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
        wcs.wcs.crval = [ra, dec]
        wcs.wcs.crpix = [(nx + 1) / 2, (ny + 1) / 2]
        wcs.wcs.cdelt = [-scale, scale]
        return wcs


class Nothing(ReadyImages):
    """As above, but says "no overlap": what is left is bookkeeping alone."""

    def send(self, http, *, seconds):
        if http.method == "POST":
            return super().send(http, seconds=seconds)
        return Answer(content=b"no overlap")


def _measure(transport, n, pipe):
    rng = np.random.default_rng(0)
    ra, dec = rng.uniform(0, 360, n), rng.uniform(-29, 70, n)
    coords = SkyCoord(ra, dec, unit="deg")
    source = SurveyCutouts(transport=transport, progress=False)
    start, cpu = time.perf_counter(), time.process_time()
    n_objects = sum(1 for _ in source.iter_cutouts(coords))
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    requests = sum(source.requests_sent().values())
    pipe.send((n_objects, requests / n, seconds, cpu / n * 1e3, peak_memory()))


def benchmark(short):
    """Nine bands each of two table lengths; each in a process of its own."""
    context = multiprocessing.get_context("spawn")
    rows = []
    for n in (500, 5_000) if short else (10_000, 100_000):
        for transport, what in ((ReadyImages, "images"), (Nothing, "no images")):
            pipe, end = context.Pipe()
            process = context.Process(target=_measure, args=(transport, n, end))
            process.start()
            rows.append((what, *pipe.recv()))
            process.join()
    names = (
        "answers",
        "objects",
        "requests_per_object",
        "seconds",
        "cpu_ms_per_object",
        "peak_MiB",
    )
    table = Table(rows=rows, names=names)
    for name in names[2:]:
        table[name].format = ".4g"
    table.meta["title"] = "Nine bands from a transport that answers at once"
    return table


if __name__ == "__main__":
    run(benchmark, "download_scale")
