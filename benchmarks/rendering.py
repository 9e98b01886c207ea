"""
Galaxies a second: both renderers, with noise and without, and galsim, without.

galsim draws the same scenes in the surveys' pixels, not turned, and convolves them
exactly; so the fair ratio is that of "native cutouts, no noise". What the common grid
costs in agreement is in ``rendering_agreement.py``.
"""

import time

import astropy.units as u
import numpy as np
import torch
from astropy.coordinates import SkyCoord
from astropy.table import Table
from harness import interleaved, run

from mantis_astro.bands import BANDS, get_survey
from mantis_astro.simulation import GalaxyPopulation, draw_scenes
from mantis_astro.simulation.instruments.conditions import draw_conditions
from mantis_astro.simulation.instruments.registry import get_instrument
from mantis_astro.simulation.rendering.grid import render_grid
from mantis_astro.simulation.rendering.native import render_cutouts, render_native
from mantis_astro.simulation.rendering.observation import observe_grid


def galsim_cutouts(sources, conditions, n_target):
    """Draw all nine bands in the surveys' pixels: no noise, no rotation."""
    import galsim

    for target in range(n_target):
        own = np.flatnonzero(sources.target == target)
        profiles = [galsim_profile(galsim, sources, i) for i in own]
        for j, band in enumerate(BANDS):
            survey = get_survey(band.survey)
            fwhm = float(conditions.psf_fwhm[target, j])
            beta = get_instrument(band.survey).moffat_beta
            psf = galsim.Moffat(beta=beta, fwhm=fwhm)
            scene = galsim.Sum(
                [
                    p * float(sources.flux[i, j])
                    for p, i in zip(profiles, own, strict=True)
                ]
            )
            ny, nx = survey.shape
            scale = survey.pixel_scale.to_value(u.arcsec)
            galsim.Convolve([scene, psf]).drawImage(nx=nx, ny=ny, scale=scale)


def galsim_profile(galsim, sources, i):
    radius, q = float(sources.radius[i]), float(sources.axis_ratio[i])
    if radius == 0:
        profile = galsim.DeltaFunction()
    else:
        # galsim keeps the area of a sheared profile: the mean radius
        index = round(float(np.clip(sources.sersic[i], 0.5, 6.0)), 1)
        profile = galsim.Sersic(n=index, half_light_radius=radius * q**0.5)
        angle = np.pi / 2 + float(sources.position_angle[i])
        profile = profile.shear(q=q, beta=angle * galsim.radians)
    return profile.shift(-float(sources.east[i]), float(sources.north[i]))


def benchmark(short):
    """Native cutouts, the common grid and galsim, on the same scenes."""
    n_fast, n_native, n_peer = (128, 8, 1) if short else (1024, 64, 16)
    torch.set_num_threads(1)
    population = GalaxyPopulation(seed=1)
    sample = population.draw(n_fast)
    wide = draw_scenes(population, sample[:n_native])
    narrow = draw_scenes(population, sample, radius=24 * u.arcsec)
    alone = draw_scenes(population, sample, neighbours=False)
    conditions = draw_conditions(sample.key)
    rng = np.random.default_rng(1)
    ra, dec = rng.uniform(0, 360, n_native), rng.uniform(-25, 70, n_native)
    coords = SkyCoord(ra, dec, unit="deg")
    night = conditions[:n_native]
    few = wide[wide.target < n_peer]
    cases = {
        "common grid, neighbours, no noise": (
            n_fast,
            narrow,
            lambda: render_grid(narrow, n_fast, conditions=conditions),
        ),
        "common grid, neighbours, noise": (
            n_fast,
            narrow,
            lambda: observe_grid(
                narrow, n_fast, keys=sample.key, conditions=conditions
            ),
        ),
        "common grid, targets alone, noise": (
            n_fast,
            alone,
            lambda: observe_grid(alone, n_fast, keys=sample.key, conditions=conditions),
        ),
        "native cutouts, neighbours, no noise": (
            n_native,
            wide,
            lambda: render_native(wide, coords, conditions=night),
        ),
        "native cutouts, neighbours, noise": (
            n_native,
            wide,
            lambda: render_cutouts(wide, coords, conditions=night),
        ),
        "galsim, neighbours, no noise": (
            n_peer,
            few,
            lambda: galsim_cutouts(few, conditions, n_peer),
        ),
    }
    seconds = interleaved(
        {name: function for name, (_, _, function) in cases.items()},
        repeats=2 if short else 5,
        clock=time.process_time,
    )
    slowest = seconds["galsim, neighbours, no noise"] / n_peer
    rows = [
        {
            "case": name,
            "galaxies": n,
            "sources per galaxy": len(sources) / n,
            "galaxies per CPU second": n / seconds[name],
            "ratio to galsim": n / seconds[name] * slowest,
        }
        for name, (n, sources, _) in cases.items()
    ]
    table = Table(rows)
    for name in table.colnames[2:]:
        table[name].format = ".3g"
    table.meta["title"] = (
        'Rendering nine bands in one thread; the common grid has 32 x 32 pixels of 1", '
        "galsim draws the scenes of native cutouts"
    )
    return table


if __name__ == "__main__":
    run(benchmark, "rendering")
