"""Photometry of many galaxies, against loops over photutils' own functions."""

import warnings

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.nddata import CCDData
from astropy.table import QTable
from astropy.wcs import WCS
from harness import interleaved, run
from photutils.aperture import (
    ApertureStats,
    CircularAperture,
    SkyCircularAnnulus,
    SkyCircularAperture,
    aperture_photometry,
)

from mantis_astro import MultibandCutout
from mantis_astro.bands import BANDS, get_survey
from mantis_astro.photometry import Circular, column_suffix, measure_photometry

RADIUS = 4 * u.arcsec
CIRCLE = Circular(RADIUS, correction=None)


def make_wcs(coord, shape, scale, shift):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval = coord.ra.deg, coord.dec.deg
    wcs.wcs.crpix = (shape[1] + 1) / 2 + shift[0], (shape[0] + 1) / 2 + shift[1]
    wcs.wcs.cdelt = -scale / 3600, scale / 3600
    return wcs


def make_targets(n, rng, *, common_grid):
    """Native cutouts (PS1 off its pixel centres, as served), or nine of 120 x 120."""
    targets = []
    for ra, dec in zip(rng.uniform(0, 360, n), rng.uniform(-30, 80, n), strict=True):
        coord = SkyCoord(ra, dec, unit="deg")
        shift = rng.uniform(-0.5, 0.5, 2)
        shared = make_wcs(coord, (120, 120), 0.25, (0, 0))
        cutouts = {}
        for band in BANDS:
            survey = get_survey(band.survey)
            shape = (120, 120) if common_grid else survey.shape
            scale = survey.pixel_scale.to_value(u.arcsec)
            here = shift if survey.name == "ps1" else (0, 0)
            wcs = shared if common_grid else make_wcs(coord, shape, scale, here)
            y, x = np.indices(shape)
            r2 = (x - wcs.wcs.crpix[0] + 1) ** 2 + (y - wcs.wcs.crpix[1] + 1) ** 2
            data = 50 * np.exp(-r2 / 18) + rng.normal(size=shape)
            meta = {"zero_point_ab": 25.0}
            if common_grid:
                meta["alignment"] = [{"pixel_scale_arcsec": [scale, 0.25]}]
            cutouts[band] = CCDData(
                data.astype(np.float32), unit=survey.unit, wcs=wcs, meta=meta
            )
        targets.append(MultibandCutout(coord, cutouts))
    return targets


def sums_only(targets):
    """The plain loop: a sum in pixels, no WCS, no sky, no error."""
    scales = {band: get_survey(band.survey).pixel_scale.value for band in BANDS}
    sums = []
    for target in targets:
        for band, cutout in target.items():
            shape, radius = cutout.shape, RADIUS.value / scales[band]
            centre = cutout.wcs.wcs.crpix - 1
            if shape == (120, 120):
                radius = RADIUS.value / 0.25
            table = aperture_photometry(cutout.data, CircularAperture(centre, radius))
            sums.append(table["aperture_sum"][0])
    return np.reshape(sums, (len(targets), -1))


def like_ours(targets):
    """What the same table takes: sky apertures, and an annulus for sky and noise."""
    sums = []
    for target in targets:
        for cutout in target.values():
            circle = SkyCircularAperture(target.coord, RADIUS).to_pixel(cutout.wcs)
            ring = SkyCircularAnnulus(target.coord, 2 * RADIUS, 4 * RADIUS)
            stats = ApertureStats(cutout.data, ring.to_pixel(cutout.wcs))
            table = aperture_photometry(cutout.data, circle)
            sums.append(table["aperture_sum"][0] - stats.mean * circle.area)
            assert stats.std >= 0
    return np.reshape(sums, (len(targets), -1))


def ours(targets, background="annulus"):
    return measure_photometry(
        targets, aperture=CIRCLE, deblend=None, background=background
    )


def largest_difference(targets):
    """Relative, of sums, against photutils' exact ones in the same sky aperture."""
    theirs = [
        aperture_photometry(
            cutout.data, SkyCircularAperture(target.coord, RADIUS), wcs=cutout.wcs
        )["aperture_sum"][0]
        for target in targets
        for cutout in target.values()
    ]
    table = ours(targets, background=None)
    njy = 3631e9 * 10 ** (-0.4 * 25)
    mine = np.stack(
        [table[f"flux_{column_suffix(b)}"].unmasked.value / njy for b in BANDS], axis=1
    )
    return np.max(np.abs(mine.ravel() / theirs - 1))


def benchmark(short):
    rng = np.random.default_rng(1)
    n = 32 if short else 96
    rows = []
    for name, common_grid in (("native cutouts", False), ("one 120x120 grid", True)):
        targets = make_targets(n, rng, common_grid=common_grid)
        seconds = interleaved(
            {
                "measure_photometry": lambda t=targets: ours(t),
                "aperture_photometry, sums only": lambda t=targets: sums_only(t),
                "aperture_photometry, sky and WCS": lambda t=targets: like_ours(t),
            },
            repeats=3,
        )
        difference = largest_difference(targets[:8])
        fastest = seconds["measure_photometry"]
        rows += [
            (name, path, n, 1e3 * s / n, s / fastest, difference)
            for path, s in seconds.items()
        ]
    kron = make_targets(8 if short else 32, rng, common_grid=False)
    seconds = interleaved({"kron": lambda: measure_photometry(kron)}, repeats=2)["kron"]
    rows.append(
        (
            "native cutouts",
            "Kron, deblending",
            len(kron),
            1e3 * seconds / len(kron),
            0,
            0,
        )
    )
    table = QTable(
        rows=rows,
        names=["input", "path", "galaxies", "ms_per_galaxy", "ratio", "difference"],
    )
    for name in ("ms_per_galaxy", "ratio"):
        table[name].info.format = ".3g"
    table["difference"].info.format = ".1e"
    table.meta["title"] = "Photometry in nine bands, per galaxy"
    return table


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    run(benchmark, "photometry")
