"""
How well the common grid agrees with native cutouts that are brought to it.

Simulated galaxies with their neighbours, without noise, in bands that the survey has.
``middle`` is the largest difference, within 10 arcsec of the target, between an image
of `render_grid` and the native one that `align_batch` resamples, in units of the
brightest pixel there; ``image`` the same of the whole image. ``flux`` is the difference
of the fluxes within 3 arcsec, in parts of them.

At the edges, the wings of brighter neighbours differ: those of neighbours more than
7 arcsec outside are left away on the grid, and those of nearer ones come back at the
opposite edge. Where a star is hundreds of times brighter than the target, that reaches
the middle.
"""

import astropy.units as u
import numpy as np
import torch
from astropy.coordinates import SkyCoord
from astropy.table import Table
from harness import run

from mantis_astro.alignment import align_batch
from mantis_astro.bands import BANDS
from mantis_astro.simulation import GalaxyPopulation, draw_scenes
from mantis_astro.simulation.instruments.conditions import draw_conditions
from mantis_astro.simulation.rendering.grid import render_grid
from mantis_astro.simulation.rendering.native import render_cutouts, render_native

_Y, _X = np.indices((32, 32)) - 15.5
_MIDDLE, _APERTURE = (np.hypot(_X, _Y) < radius for radius in (10, 3))


def native_aligned(sources, coords, conditions):
    """Native images without noise, brought to the grid: (n, 9, 32, 32), nJy."""
    native = render_native(sources, coords, conditions=conditions)
    cutouts = render_cutouts(sources, coords, conditions=conditions)
    for i, galaxy in enumerate(cutouts):
        for band in galaxy:
            own = [b for b in BANDS if b.survey == band.survey]
            galaxy[band].data = native[band.survey][i, own.index(band)].numpy()
            galaxy[band].mask = None  # saturated cores are compared as well
    tensor, _ = align_batch(cutouts, 1 * u.arcsec, (32, 32), bands=BANDS)
    return tensor.numpy()


def differences(n):
    """Each kind of difference, (n, 9); NaN where there is no image."""
    population = GalaxyPopulation(seed=1)
    sample = population.draw(n)
    sources = draw_scenes(population, sample, radius=24 * u.arcsec)
    conditions = draw_conditions(sample.key)
    rng = np.random.default_rng(1)
    ra, dec = rng.uniform(0, 360, n), rng.uniform(-25, 70, n)
    truth = native_aligned(sources, SkyCoord(ra, dec, unit="deg"), conditions)
    images = render_grid(sources, n, conditions=conditions).numpy()
    off = abs(images - truth)
    flux, expected = (x[..., _APERTURE].sum(-1) for x in (images, truth))
    with np.errstate(invalid="ignore"):  # a few have no ultraviolet light at all
        return {
            "middle": off[..., _MIDDLE].max(-1) / truth[..., _MIDDLE].max(-1),
            "image": off.max((2, 3)) / truth.max((2, 3)),
            "flux": abs(flux / expected - 1),
        }


def benchmark(short):
    """Median, 95th percentile and largest difference, by band."""
    torch.set_num_threads(1)
    found = differences(16 if short else 512)
    rows = []
    for j, band in enumerate(BANDS):
        seen = np.isfinite(found["flux"][:, j])
        row = {"band": str(band), "images": int(seen.sum())}
        for name, values in found.items():
            middle, most, largest = np.percentile(values[seen, j], [50, 95, 100])
            row[f"{name}, median"] = middle
            row[f"{name}, 95 %"] = most
            row[f"{name}, largest"] = largest
        rows.append(row)
    table = Table(rows)
    for name in table.colnames[2:]:
        table[name].format = ".2g"
    table.meta["title"] = (
        "The common grid against native cutouts through align_batch, without noise"
    )
    return table


if __name__ == "__main__":
    run(benchmark, "rendering_agreement")
