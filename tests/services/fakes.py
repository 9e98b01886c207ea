"""Answers as servers send them, and a clock that does not wait."""

import io
import queue
import threading
from pathlib import Path

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits

from mantis_astro.bands import get_band, get_survey
from mantis_astro.services.request import HttpRequest, ImageRequest
from mantis_astro.services.scheduler import Clock
from mantis_astro.simulation.instruments.skycells import find_skycells

DATA = Path(__file__).parent / "data"
RA, DEC = 7.0939, -10.65098


class FakeClock(Clock):
    """
    Waiting takes no time: the hands are moved instead.

    ``patience`` is how long, in real seconds, a thread under way may take to answer
    before the hands are moved; a test of order must grant a busy machine enough.
    """

    def __init__(self, patience=0.002):
        self.patience = patience
        self.time = 0.0
        self.waits = []
        self._lock = threading.Lock()

    def now(self):
        return self.time

    def sleep(self, seconds, stop):
        self._advance(seconds)

    def get(self, results, seconds):
        try:  # what is under way arrives in real time
            return results.get(timeout=20.0 if seconds is None else self.patience)
        except queue.Empty:
            self._advance(seconds)
            return None

    def _advance(self, seconds):
        with self._lock:
            self.waits.append(seconds)
            self.time += seconds


def image_request(*bands, size=8, pixel_scale=None, url="http://x.org/cut?ra=7"):
    bands = tuple(map(get_band, bands))
    scale = get_survey(bands[0].survey).pixel_scale.to_value("arcsec")
    return ImageRequest(
        HttpRequest(url), bands, RA, DEC, (size, size), pixel_scale or scale
    )


def fits_bytes(data, **cards):
    """One FITS file; a card set to None is left out."""
    hdu = fits.PrimaryHDU(np.asarray(data, dtype="f4"))
    for name, value in cards.items():
        if value is not None:
            key = name.replace("__", "-")
            hdu.header["HIERARCH FPA.FILTERID" if key == "FILTERID" else key] = value
    file = io.BytesIO()
    hdu.writeto(file)
    return file.getvalue()


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("f4")


def viewer_cards(size=8, scale=1.5, bands="nf", **changes):
    cards = {
        "BANDS": bands,
        "CTYPE1": "RA---TAN",
        "CTYPE2": "DEC--TAN",
        "CRVAL1": RA,
        "CRVAL2": DEC,
        "CRPIX1": (size + 1) / 2,
        "CRPIX2": (size + 1) / 2,
        "CD1_1": -scale / 3600,
        "CD1_2": 0.0,
        "CD2_1": 0.0,
        "CD2_2": scale / 3600,
    }
    return cards | changes


def viewer_bytes(data=None, **changes):
    return fits_bytes(
        noise(2, 8, 8) if data is None else data, **viewer_cards(**changes)
    )


def fitscut_cards(size=8, band="g", **changes):
    """As fitscut writes them: CDELT1 positive, east-left by PC001001 = -1."""
    cards = {
        "FILTERID": f"{band}.00000",
        "EXPTIME": 100.0,
        "CTYPE1": "RA---TAN",
        "CTYPE2": "DEC--TAN",
        "CRVAL1": RA,
        "CRVAL2": DEC,
        "CRPIX1": (size + 1) / 2,
        "CRPIX2": (size + 1) / 2,
        "CDELT1": 0.25 / 3600,
        "CDELT2": 0.25 / 3600,
        "PC001001": -1.0,
        "PC001002": 0.0,
        "PC002001": 0.0,
        "PC002002": 1.0,
        "RADESYS": "FK5",
    }
    return cards | changes


def fitscut_bytes(data=None, **changes):
    return fits_bytes(noise(8, 8) if data is None else data, **fitscut_cards(**changes))


def position_at_edge_of_skycell():
    """A position whose first skycell ends within 10 arcsec; its neighbour goes on."""
    for dec in np.arange(1.0, 3.0, 1 / 3600):
        cells = find_skycells(121.0, dec)
        if len(cells) == 2:
            x, y = cells[0].pixel(121.0, dec)
            ny, _ = cells[0].shape
            if cells[0].origin[1] + ny - y < 40 and cells[0].origin[0] + 200 < x:
                return SkyCoord(121.0, dec, unit="deg")
    raise AssertionError


def position_between_skycells(best):
    """
    A position in the strip that two skycells share, and the path of one in band g.

    A field of 175 arcsec, which is wider than the strip, ends beyond either: the cell
    that is listed first (``best`` 0) or second (1) covers 60 pixels more of it than if
    both covered as much.
    """
    edge = position_at_edge_of_skycell()  # 40 of the 490 pixels of the strip to its end
    south = (245 - 40 + (60, -60)[best]) * 0.25 / 3600
    ra, dec = edge.ra.deg, edge.dec.deg - south
    cells = find_skycells(ra, dec)
    assert len(cells) == 2
    return SkyCoord(ra, dec, unit="deg"), cells[best].file_name("g")
