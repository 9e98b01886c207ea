"""
Cutouts from whole tiles against one request an object, by objects per tile.

Beside seconds of the clock, which others on the machine disturb, are those that the
processor worked and those that the network takes, by the latency of each request and
the bandwidth. A machine with nothing else to do needs the larger of both at least.
"""

import tempfile
import time

import numpy as np
from astropy.config import set_temp_cache
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.table import Table
from harness import run
from sky_process import remote_sky

from mantis_astro import SurveyCutouts
from mantis_astro.cutouts import read_cutout
from mantis_astro.services.request import north_up
from mantis_astro.services.stack_list import StackFile
from mantis_astro.services.tiles import Tile, TileServiceClass

# A skycell of real size: what is read of it is what a real one would cost
SHAPE, RA, DEC = (6243, 6240), 150.0, 2.0
CELL = 0.25 / 3600
BANDWIDTH = 20e6
CONNECTIONS = 4  # to a host, by default
OBJECTS = {0.05: 2000, 0.8: 500}  # by latency in seconds
DENSITIES = 1, 5, 25, 200  # objects on a tile
PATH = "/tile.fits"


def make_tile(path):
    """Write noise and a few galaxies as a stack: asinh-scaled, compressed by rows."""
    rng = np.random.default_rng(1)
    flux = rng.normal(0, 10, SHAPE).astype("f4")
    flux[::97, ::89] += 3000
    header = north_up(RA, DEC, SHAPE, CELL).to_header()
    header["BSOFTEN"], header["BOFFSET"], header["EXPTIME"] = 30.0, 0.5, 860.0
    header["HIERARCH FPA.FILTERID"] = "g.00000"
    v = np.arcsinh((flux - 0.5) / 60) / (0.4 * np.log(10))
    hdu = fits.CompImageHDU(
        v.astype("f4"), header, compression_type="RICE_1", quantize_level=4
    )
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)


class SameTile:
    """
    As many tiles as wanted, each a copy of one file: the server holds it once.

    All objects lie on the sky of that file, and each reads the copy it is counted to.
    """

    def __init__(self, url, coords, per_tile, n_bytes):
        self._url, self._n_bytes = url, n_bytes
        pairs = zip(coords.ra.deg, coords.dec.deg, strict=True)
        self._copy = {pair: i // per_tile for i, pair in enumerate(pairs)}

    def number(self, ra, dec, band):  # noqa: ARG002
        return np.array([self._copy[pair] for pair in zip(ra, dec, strict=True)])

    def find(self, ra, dec, band):
        urls = [f"{self._url}?copy={number}" for number in self.number(ra, dec, band)]
        return [
            [Tile(url, SHAPE, self._n_bytes, file=StackFile(0, 0, url))] for url in urls
        ]


class WholeTile:
    """Images for the cutout server: cut from the same file, read once."""

    def __init__(self, path):
        self._path = path
        self._image = None

    def __call__(self, coord, band):  # noqa: ARG002
        if self._image is None:
            image = read_cutout(self._path, band)
            self._image = CCDData(
                image.data, unit=image.unit, wcs=image.wcs, meta=image.meta
            )
        return self._image


def random_positions(n):
    """Positions all over the tile."""
    x, y = np.random.default_rng(2).uniform(100, 6100, (2, n))
    coords = north_up(RA, DEC, SHAPE, CELL).pixel_to_world(x, y)
    return SkyCoord(coords.ra, coords.dec)


def fetch(source, coords):
    """Seconds of the wall and of the processor, and one number for all pixels."""
    total, n = 0.0, 0
    wall, cpu = time.perf_counter(), time.process_time()
    for _, cutouts, _ in source.iter_cutouts(coords, ["ps1.g"]):
        total += float(np.nansum(cutouts["ps1.g"].data, dtype=float))
        n += 1
    assert n == len(coords), source.counts()
    return time.perf_counter() - wall, time.process_time() - cpu, total


def benchmark(short):
    """Fetch one band of many objects both ways, at several objects per tile."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/tile_ps1.g.fits"
        make_tile(path)
        with open(path, "rb") as file:  # noqa: PTH123
            content = file.read()
        for latency, n in OBJECTS.items():
            n = 50 if short else n  # noqa: PLW2901
            coords = random_positions(n)
            options = {"latency": latency, "bandwidth": BANDWIDTH, "lifetime": 3600.0}
            with remote_sky(
                images=WholeTile(path), files={PATH: content}, **options
            ) as sky:
                url = sky.urls["files"] + PATH
                fetch(SurveyCutouts(progress=False), coords[:1])  # the file is read
                sources = {"one request an object": (0, None)}
                for per_tile in DENSITIES[:3] if short else DENSITIES:
                    tiles = SameTile(url, coords, per_tile, len(content))
                    sources[f"tiles, {per_tile} each"] = (per_tile, tiles)
                for name, (_, tiles) in sources.items():
                    rows.append((name, latency, n, *measure(sky, tiles, coords)))
                    print(*rows[-1], flush=True)
                totals = [row[-1] for row in rows[-len(sources) :]]
                assert np.allclose(totals, totals[0], rtol=1e-4), totals
    names = ("source", "latency", "objects", "requests", "MB", "seconds", "cpu")
    table = Table(rows=[row[:-1] for row in rows], names=names)
    waiting = table["latency"] * table["requests"] + table["MB"] * 1e6 / BANDWIDTH
    table["network"] = waiting / CONNECTIONS
    for name in ("MB", "seconds", "cpu", "network"):
        table[name].info.format = ".1f"
    table.meta["title"] = (
        f"Whole tiles of {len(content) / 1e6:.0f} MB against one request an object, "
        f"one band, {BANDWIDTH / 1e6:.0f} MB/s on each of {CONNECTIONS} connections"
    )
    return table


def measure(sky, tiles, coords):
    """Requests, MB, seconds and processor seconds of one source; sum of its pixels."""
    chosen = None if tiles is None else {"ps1": [TileServiceClass("ps1", tiles)]}
    source = SurveyCutouts(sources=chosen, progress=False)
    before = sky.traffic()
    with tempfile.TemporaryDirectory() as cache, set_temp_cache(cache):
        wall, cpu, total = fetch(source, coords)
    n_requests, n_bytes = np.subtract(sky.traffic(), before)
    return n_requests, n_bytes / 1e6, wall, cpu, total


if __name__ == "__main__":
    run(benchmark, "tiles")
