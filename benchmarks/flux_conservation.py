"""How well aperture sums survive alignment: method by survey by source size."""

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.nddata import CCDData
from astropy.table import Table
from harness import run
from photutils.aperture import CircularAperture, aperture_photometry
from scipy.special import erf

from mantis_astro import MultibandCutout, align, common_wcs, get_band
from mantis_astro.alignment.methods import choose_method
from mantis_astro.bands import get_survey

TARGET = SkyCoord(150.1, 2.2, unit="deg")
BANDS = ["galex.NUV", "ps1.g", "ps1.y", "unwise.W1"]
INTRINSIC = {"point": 0.0, "2 arcsec": 2.0, "6 arcsec": 6.0}  # FWHM in arcsec
SIDE = 90  # arcsec


def make_image(band, fwhm, rng):
    """A Gaussian integrated over pixels that are turned and shifted at random."""
    scale = get_survey(band.survey).pixel_scale.to_value(u.arcsec)
    n = int(SIDE / scale)
    wcs = common_wcs(TARGET, n, scale * u.arcsec)
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    wcs.wcs.pc = turn
    wcs.wcs.crpix += rng.uniform(-0.5, 0.5, 2)
    wcs.wcs.set()
    sigma = fwhm / 2.3548 / scale
    x, y = wcs.wcs.crpix - 1
    edges = np.arange(n + 1) - 0.5
    profile = [np.diff(erf((edges - c) / (np.sqrt(2) * sigma))) / 2 for c in (y, x)]
    unit = get_survey(band.survey).unit
    return CCDData(np.outer(*profile).astype("f4"), unit=unit, wcs=wcs)


def aperture_sum(cutout, radius):
    """Sum in a circle of `radius` arcsec around the target."""
    scale = np.sqrt(abs(np.linalg.det(cutout.wcs.pixel_scale_matrix))) * 3600
    position = cutout.wcs.world_to_pixel(TARGET)
    table = aperture_photometry(
        np.nan_to_num(cutout.data), CircularAperture(position, radius / scale)
    )
    return table["aperture_sum"][0]


def worst_error(band, fwhm, scale, method, trials, rng):
    """Largest change of an aperture sum, in per cent of the source."""
    native = get_survey(band.survey).pixel_scale.to_value(u.arcsec)
    radius = 2 * np.sqrt(fwhm**2 + scale**2 + native**2)  # as wide as it is blurred
    wcs = common_wcs(TARGET, (2 * radius + 6) * u.arcsec, scale * u.arcsec)
    errors = []
    for _ in range(trials):
        cutouts = MultibandCutout(TARGET, {band: make_image(band, fwhm, rng)})
        after = align(cutouts, wcs, method=method)[band]
        change = aperture_sum(after, radius) - aperture_sum(cutouts[band], radius)
        errors.append(100 * change)
    return max(errors, key=abs)


def benchmark(short):
    """Largest change of aperture sums by alignment, in per cent."""
    rng = np.random.default_rng(4)
    trials = 2 if short else 10
    rows = []
    for band in map(get_band, BANDS):
        psf = band.psf_fwhm.to_value(u.arcsec)
        native = get_survey(band.survey).pixel_scale.to_value(u.arcsec)
        scales = sorted({0.25, 1.0, 2.75, round(psf / 2.5 - 0.005, 2)})
        for scale in scales:
            for method in ("interp", "adaptive", "exact"):
                if method == "interp" and scale > max(psf / 2.5, native):
                    continue  # refused
                row = {"band": str(band), "grid [arcsec]": scale, "method": method}
                row["default"] = choose_method(None, band, scale, native) == method
                for name, size in INTRINSIC.items():
                    row[name] = worst_error(
                        band, np.hypot(psf, size), scale, method, trials, rng
                    )
                rows.append(row)
    table = Table(rows)
    for name in INTRINSIC:
        table[name].format = "+.3f"
    worst = {}
    for row in rows:
        error = max((row[name] for name in INTRINSIC), key=abs)
        where = f"{row['band']} on {row['grid [arcsec]']} arcsec"
        for name in [row["method"]] + ["default choice"] * row["default"]:
            if abs(error) > abs(worst.get(name, (0,))[0]):
                worst[name] = (error, where)
    named = "; ".join(f"{m} {e:+.3f} % ({where})" for m, (e, where) in worst.items())
    table.meta["title"] = (
        "Largest change [%] of an aperture sum by alignment, by size of the source "
        "(radius: twice FWHM and both pixels added in quadrature). "
        f"Worst: {named}"
    )
    return table


if __name__ == "__main__":
    run(benchmark, "flux_conservation")
