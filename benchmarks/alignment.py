"""Batched alignment against reproject: time per galaxy, and the largest difference."""

import astropy.units as u
import numpy as np
import torch
from astropy.coordinates import SkyCoord
from astropy.nddata import CCDData
from astropy.table import Table
from harness import interleaved, run
from reproject import reproject_exact, reproject_interp

from mantis_astro import MultibandCutout, align_batch, common_wcs, list_bands

BATCH = 64
SURVEY_GRIDS = {"galex": (32, 1.5), "ps1": (170, 0.25), "unwise": (32, 2.75)}


def make_galaxy(rng, *, one_grid):
    """Nine bands of noise and a Gaussian source, on one grid or on their own."""
    target = SkyCoord(rng.uniform(0, 360), rng.uniform(-30, 60), unit="deg")
    cutouts = {}
    grids = {}
    for band in list_bands()[:9]:
        n, scale = (32, 1.5) if one_grid else SURVEY_GRIDS[band.survey]
        key = "all" if one_grid else band.survey
        if key not in grids:
            grids[key] = make_wcs(target, n, scale, rng)
        x, y = grids[key].world_to_pixel(target)
        yy, xx = np.mgrid[:n, :n]
        sigma = np.hypot(band.psf_fwhm.to_value(u.arcsec) / 2.355, 1) / scale
        image = 100 * np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / (2 * sigma**2))
        image += rng.normal(0, 1, image.shape)
        wcs = grids[key].deepcopy()  # as read from files: equal, not the same object
        meta = {"alignment": [{"pixel_scale_arcsec": [scale, scale]}]}
        cutouts[band] = CCDData(image.astype("f4"), unit="adu", wcs=wcs, meta=meta)
    return MultibandCutout(target, cutouts)


def make_wcs(target, n, scale, rng):
    """PS1's tangent point lies up to two degrees away; others are centred."""
    if n < 100:
        return common_wcs(target, n, scale * u.arcsec)
    tangent = target.directional_offset_by(
        rng.uniform(0, 360) * u.deg, rng.uniform(0, 2) * u.deg
    )
    wcs = common_wcs(tangent, n, scale * u.arcsec)
    x, y = wcs.world_to_pixel(target)
    wcs.wcs.crpix -= np.rint([x - n / 2, y - n / 2])
    wcs.wcs.radesys, wcs.wcs.equinox = "FK5", 2000.0
    wcs.wcs.set()
    return wcs


def by_survey(cutouts):
    """Bands that share a grid, stacked: what reproject can broadcast over."""
    groups = {}
    for band, cutout in cutouts.items():
        groups.setdefault((cutout.shape, band.survey), []).append(cutout)
    if len({shape for shape, _ in groups}) == 1:
        groups = {"all": list(cutouts.values())}
    return [
        (np.stack([c.data for c in group]), group[0].wcs) for group in groups.values()
    ]


def reproject_one(cutouts, n, scale, function, *, broadcast):
    """One galaxy by reproject, brightness kept, in the order of the bands."""
    wcs = common_wcs(cutouts.coord, n, scale * u.arcsec)
    if broadcast:
        inputs = by_survey(cutouts)
    else:
        inputs = [(c.data[None], c.wcs) for c in cutouts.values()]
    return np.concatenate(
        [function(one, wcs, shape_out=(n, n), return_footprint=False) for one in inputs]
    )


def benchmark(short):
    """Batched alignment against reproject, at batch 64 (8 if short)."""
    batch = 8 if short else BATCH
    rng = np.random.default_rng(1)
    cases = [
        ("nine bands 32x32 to 120x120", True, 120, 0.25, "interp"),
        ("three surveys to 120x120 at 0.25 arcsec", False, 120, 0.25, "interp"),
        ("three surveys to 32x32 at 1 arcsec", False, 32, 1.0, "exact"),
    ]
    rows = []
    for title, one_grid, n, scale, method in cases:
        galaxies = [make_galaxy(rng, one_grid=one_grid) for _ in range(batch)]
        peer = reproject_interp if method == "interp" else reproject_exact
        some = galaxies[: 2 if short or method == "exact" else 8]

        def batched(galaxies=galaxies, n=n, scale=scale, method=method):
            return align_batch(
                galaxies,
                scale * u.arcsec,
                (n, n),
                method=method,
                conserve="surface brightness",
            )

        def peers(broadcast, some=some, n=n, scale=scale, peer=peer):
            return [reproject_one(c, n, scale, peer, broadcast=broadcast) for c in some]

        seconds = interleaved(
            {
                "batched": batched,
                "broadcast": lambda peers=peers: peers(broadcast=True),
                "per band": lambda peers=peers: peers(broadcast=False),
            },
            repeats=2 if short else 5,
        )
        ours = batched()[0][: len(some)].numpy()
        theirs = np.array(peers(broadcast=True))
        peak = np.nanmax(np.abs(theirs), axis=(2, 3), keepdims=True)
        ms = {
            "batched": seconds["batched"] / batch * 1e3,
            "broadcast": seconds["broadcast"] / len(some) * 1e3,
            "per band": seconds["per band"] / len(some) * 1e3,
        }
        rows.append(
            {
                "case": title,
                "method": method,
                "batch": batch,
                "batched [ms]": ms["batched"],
                "broadcast [ms]": ms["broadcast"],
                "per band [ms]": ms["per band"],
                "broadcast / batched": ms["broadcast"] / ms["batched"],
                "per band / batched": ms["per band"] / ms["batched"],
                "max difference / peak": np.nanmax(np.abs(ours - theirs) / peak),
            }
        )
    table = Table(rows)
    for name in table.colnames[3:8]:
        table[name].format = ".3g"
    table["max difference / peak"].format = ".1e"
    table.meta["title"] = (
        f"Alignment of nine bands, per galaxy, {torch.get_num_threads()} torch threads;"
        " peers are reproject.reproject_interp and reproject_exact"
    )
    return table


if __name__ == "__main__":
    run(benchmark, "alignment")
