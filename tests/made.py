"""Made galaxies that tests of several topics share."""

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.nddata import CCDData
from astropy.wcs import WCS

from mantis_astro import MultibandCutout, get_band
from mantis_astro.bands import BANDS, get_survey
from mantis_astro.cutouts import NO_COVERAGE, OK, failed


def make_cutout(band, coord, *, seed=0, amplitude=200.0, offset=(0.0, 0.0)):
    """A round blob at ``coord`` as the band's survey would serve it."""
    band = get_band(band)
    survey = get_survey(band.survey)
    ny, nx = survey.shape
    scale = survey.pixel_scale.to_value("arcsec")
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval = coord.ra.deg, coord.dec.deg
    wcs.wcs.crpix = (nx + 1) / 2 + offset[0], (ny + 1) / 2 + offset[1]
    wcs.wcs.cdelt = -scale / 3600, scale / 3600
    y, x = np.mgrid[:ny, :nx] * scale
    x0, y0 = (wcs.wcs.crpix - 1) * scale
    blob = np.exp(-0.5 * ((x - x0) ** 2 + (y - y0) ** 2) / 1.5**2)
    noise = np.random.default_rng([seed, BANDS.index(band)]).normal(size=(ny, nx))
    unit = 0.01 if survey.name == "galex" else 1.0
    meta = {"zero_point_ab": band.zero_point_ab(1000.0), "exposure_time": 1000.0}
    return CCDData(
        (unit * (amplitude * blob + noise)).astype(np.float32),
        unit=survey.unit,
        wcs=wcs,
        meta={**meta, "magsys": survey.magsys},
    )


def make_galaxy(coord=None, bands=BANDS, **options):
    """All bands of one galaxy."""
    coord = SkyCoord(150.1, 2.2, unit="deg") if coord is None else coord
    cutouts = {band: make_cutout(band, coord, **options) for band in bands}
    return MultibandCutout(coord, cutouts)


class MadeSky:
    """
    A source that can be told to have gaps.

    Parameters
    ----------
    missing, broken : collection of int
        Indices of positions outside the survey, and of positions that fail.
    order : callable, optional
        Turns the list of indices into the order in which they come.
    """

    def __init__(self, *, missing=(), broken=(), order=list, bands=BANDS):
        self.missing, self.broken, self.order = set(missing), set(broken), order
        self.bands = bands
        self.asked = []

    def iter_cutouts(self, coords, bands):
        bands = [get_band(band) for band in bands]
        self.asked.append(len(coords))
        for index in self.order(range(len(coords))):
            coord = coords[index]
            number = round(coord.ra.deg * 1000)
            status = OK
            if number in self.missing:
                status = NO_COVERAGE
            elif number in self.broken:
                status = failed("the server hung up")
            there = [band for band in self.bands if band in bands and status.is_ok]
            galaxy = make_galaxy(coord, there, seed=number, amplitude=50 + number % 97)
            yield index, galaxy, dict.fromkeys(bands, status)
