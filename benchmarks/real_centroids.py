"""
Centroids of real galaxies in all bands on one grid, and after wrongs put right.

Reads survey files from ``../shared/data`` beside the repository, or from
``$MANTIS_ASTRO_REAL_DATA``. With ``--output DIR`` it also writes a picture of each.
"""

import os
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.nddata import CCDData
from astropy.stats import sigma_clipped_stats
from astropy.table import Table
from harness import run
from scipy.ndimage import rotate

from mantis_astro import MultibandCutout, align, common_wcs
from mantis_astro.bands import Band, Survey, register_survey
from mantis_astro.cutouts import read_cutout

BESIDE = Path(__file__).parents[2] / "shared" / "data"
DATA = Path(os.environ.get("MANTIS_ASTRO_REAL_DATA", BESIDE)) / "images"

# Surveys unknown to the package: name, band, pixel and PSF FWHM in arcsec, unit.
OTHERS = [
    ("des", "g", 0.263, 1.1, u.electron),
    ("sdss", "r", 0.396, 1.3, u.nmgy),
    ("twomass", "J", 1.0, 2.8, u.adu),
    ("vst", "r", 0.2, 0.7, u.adu),
    ("vista", "K", 0.339, 0.9, u.adu),
]

# Target, side of the grid and its pixel and the radius of the centroid
# in arcsec, and the files with their bands.
TARGETS = {
    "IC 494": (
        SkyCoord(121.6005, 1.0361, unit="deg"),
        (60, 0.5, 10),
        "ic494",
        {
            "GALEX_NUV": "galex.NUV",
            "GALEX_FUV": "galex.FUV",
            "SDSS_r": "sdss.r",
            "2MASS_J": "twomass.J",
            "WISE_W1": "allwise.W1",
            "WISE_W2": "allwise.W2",
        },
    ),
    "G202627": (
        SkyCoord(130.6179, -0.2717, unit="deg"),
        (40, 0.25, 4),
        "g202627",
        {"GALEX_NUV": "galex.NUV", "VST_r": "vst.r", "VISTA_K": "vista.K"},
    ),
    "UGC 1333": (
        SkyCoord(27.952, 0.2635, unit="deg"),
        (40, 0.25, 1.5),
        "ugc1333",
        {**{f"PS1_{b}": f"ps1.{b}" for b in "griz"}, "DES_g": "des.g"},
    ),
    "J0028": (
        SkyCoord(7.09390, -10.65098, unit="deg"),
        (30, 0.25, 1.5),
        "ps1_j0028",
        {f"2_{b}": f"ps1.{b}" for b in "grizy"},
    ),
}


def register_others():
    """Make the other surveys known, as a user would."""
    for name, band, scale, fwhm, unit in OTHERS:
        filters = (Band(name, band, "none", 1 * u.um, fwhm * u.arcsec, None),)
        register_survey(
            Survey(
                name=name,
                title=name.upper(),
                bands=filters,
                pixel_scale=scale * u.arcsec,
                shape=(64, 64),
                unit=unit,
                magsys="AB",
                service="none",
                layer=name,
                reference="",
            )
        )


def read(folder, files, target):
    cutouts = {
        band: read_cutout(DATA / folder / f"{stem}.fits", band)
        for stem, band in files.items()
    }
    return MultibandCutout(target, cutouts)


def offset(cutout, target, radius):
    """
    Centroid minus target, arcsec east and north.

    First moments above the sky in a circle of ``radius`` arcsec that follows them; the
    sky is the mean (GALEX has more zeros than photons) of the outermost tenth.
    """
    scale = abs(cutout.wcs.wcs.cdelt[0]) * 3600
    n = len(cutout.data)
    border = cutout.data[: n // 10][~cutout.mask[: n // 10]]
    image = np.where(
        cutout.mask, 0, cutout.data - sigma_clipped_stats(border, sigma=5)[0]
    )
    y, x = np.mgrid[:n, :n]
    here = np.array(cutout.wcs.world_to_pixel(target))
    for _ in range(10):
        r = np.hypot(x - here[0], y - here[1])
        weight = image * np.clip(radius / scale - r + 0.5, 0, 1)
        here = np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()
    east, north = target.spherical_offsets_to(cutout.wcs.pixel_to_world(*here))
    return np.array([east.arcsec, north.arcsec])


def wronged(cutout, wrong):
    """The same sky: pixels and WCS shifted, turned or mirrored together."""
    data, wcs = cutout.data, cutout.wcs.deepcopy()
    if wrong == "parity flip":
        data = data[:, ::-1]
        wcs.wcs.crpix[0] = data.shape[1] + 1 - wcs.wcs.crpix[0]
        matrix = wcs.pixel_scale_matrix @ np.diag([-1, 1])
    elif wrong == "3 px shift":
        data = np.roll(data, 3, axis=(0, 1))
        wcs.wcs.crpix += 3
        matrix = wcs.pixel_scale_matrix
    else:
        return turned(cutout, 17)
    return with_matrix(data, wcs, matrix, cutout)


def turned(cutout, degrees):
    """Turn the pixels by spline interpolation, and the WCS with them."""
    bad = ~np.isfinite(cutout.data)
    if cutout.mask is not None:
        bad |= cutout.mask
    data = np.where(bad, np.nanmedian(cutout.data), cutout.data).astype(float)
    data = rotate(data, degrees, reshape=False, order=3, mode="nearest")
    angle = np.radians(degrees)
    # scipy.ndimage.rotate turns output positions into input ones by this matrix (y, x)
    to_input = np.array(
        [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    )
    wcs = cutout.wcs.deepcopy()
    centre = (np.array(data.shape[::-1]) + 1) / 2
    wcs.wcs.crpix = centre + np.linalg.inv(to_input) @ (wcs.wcs.crpix - centre)
    return with_matrix(data, wcs, wcs.pixel_scale_matrix @ to_input, cutout)


def with_matrix(data, wcs, matrix, cutout):
    header = wcs.to_header()
    for key in [k for k in header if k.startswith(("PC", "CDELT", "CD"))]:
        del header[key]
    new = type(wcs)(header)
    new.wcs.crpix = wcs.wcs.crpix
    new.wcs.cd = matrix
    new.wcs.set()
    return CCDData(data.astype("f4"), unit=cutout.unit, wcs=new, meta=cutout.meta)


def benchmark(short):
    """Centroids of real galaxies in all bands on one grid."""
    if not DATA.is_dir():
        return Table({"note": [f"no real data at {DATA}: nothing measured"]})
    register_others()
    wrongs = ["3 px shift"] if short else ["3 px shift", "17 deg turn", "parity flip"]
    rows = []
    for name, (target, (side, scale, radius), folder, files) in TARGETS.items():
        cutouts = read(folder, files, target)
        wcs = common_wcs(target, side * u.arcsec, scale * u.arcsec)
        aligned = align(cutouts, wcs)
        PICTURES[name] = aligned
        for band, cutout in aligned.items():
            here = offset(cutout, target, radius)
            pixel = cutouts[band].wcs.proj_plane_pixel_scales()[0].to_value(u.arcsec)
            row = {
                "target": name,
                "band": str(band),
                "method": cutout.meta["alignment"][0]["method"],
                "east [arcsec]": here[0],
                "north [arcsec]": here[1],
            }
            for wrong in wrongs:
                one = MultibandCutout(target, {band: wronged(cutouts[band], wrong)})
                moved = offset(align(one, wcs)[band], target, radius) - here
                row[f"{wrong} [px]"] = np.hypot(*moved) / pixel
            rows.append(row)
    table = Table(rows)
    for column in table.colnames[3:]:
        table[column].format = "+.2f" if "arcsec" in column else ".3f"
    table.meta["title"] = (
        "Centroid minus catalogue on the common grid; then how far it moves, in the "
        "band's own pixels, when pixels and WCS are wronged together beforehand"
    )
    return table


PICTURES = {}


def draw(folder):
    """Write a PNG of each target: its bands on the common grid."""
    import matplotlib.pyplot as plt
    from astropy.visualization import AsinhStretch, ImageNormalize, PercentileInterval

    for name, aligned in PICTURES.items():
        n = len(aligned)
        fig, axes = plt.subplots(1, n, figsize=(2.4 * n, 2.8))
        for ax, (band, cutout) in zip(axes, aligned.items(), strict=True):
            norm = ImageNormalize(
                cutout.data[~cutout.mask],
                interval=PercentileInterval(99.5),
                stretch=AsinhStretch(),
            )
            ax.imshow(cutout.data, origin="lower", cmap="gray_r", norm=norm)
            ax.plot(*cutout.wcs.world_to_pixel(aligned.coord), "r+", markersize=14)
            ax.set(title=str(band), xticks=[], yticks=[])
        fig.suptitle(name)
        fig.savefig(folder / f"{name.replace(' ', '')}.png", dpi=80)
        plt.close(fig)


if __name__ == "__main__":
    output = run(benchmark, "real_centroids")
    if output is not None and PICTURES:
        draw(output)
