"""Sources and conditions that tests of the renderers share."""

from dataclasses import replace

import numpy as np

from mantis_astro.simulation.instruments.conditions import draw_conditions
from mantis_astro.simulation.instruments.registry import get_instrument
from mantis_astro.simulation.sources import Sources
from mantis_astro.simulation.uniforms import keys_of

#: Sersic index, radius, axis ratio, position angle, offset to east and north.
PROFILES = {
    "disc": (1.0, 0.5, 0.6, 0.7, 0.0, 0.0),
    "large disc": (1.0, 5.0, 0.4, 2.0, 0.7, -0.4),
    "between": (2.5, 2.0, 0.5, 2.5, -3.2, 5.1),
    "bulge": (4.0, 0.5, 0.8, 1.2, 0.1, 0.2),
    "large bulge": (4.0, 5.0, 0.7, 0.4, 0.0, 0.0),
    "point": (1.0, 0.0, 1.0, 0.0, 0.3, 0.1),
}


def one_source(profile="disc", flux=1.0, n_band=9, target=0):
    n, radius, axis_ratio, angle, east, north = PROFILES[profile]
    one = np.ones(1)
    return Sources(
        target=np.array([target]),
        east=east * one,
        north=north * one,
        flux=np.full((1, n_band), float(flux)),
        radius=radius * one,
        sersic=n * one,
        axis_ratio=axis_ratio * one,
        position_angle=angle * one,
    )


def many_sources(n_target, count, seed=1, reach=15.0, flux=1e4):
    """Draw a galaxy at each target, and neighbours."""
    rng = np.random.default_rng(seed)
    n = n_target * count
    offset = np.where(np.arange(n) % count == 0, 0, rng.uniform(-reach, reach, (2, n)))
    return Sources(
        target=np.repeat(np.arange(n_target), count),
        east=offset[0],
        north=offset[1],
        flux=flux * rng.lognormal(0, 0.5, (n, 9)),
        radius=rng.uniform(0.3, 2.0, n),
        sersic=rng.uniform(0.5, 4.0, n),
        axis_ratio=rng.uniform(0.3, 1.0, n),
        position_angle=rng.uniform(0, np.pi, n),
    )


def all_observed(n, seed=3):
    """Draw conditions with nothing missing and nothing damaged."""
    conditions = draw_conditions(keys_of(seed, np.arange(n)))
    return replace(
        conditions,
        observed=np.ones_like(conditions.observed),
        damage=np.ones_like(conditions.damage),
    )


def galsim_image(profile, band, fwhm, shape, scale, boxes, turn=0.0, offset=(0, 0)):
    """Render the profile by galsim: unit flux behind a PSF and pixels."""
    import galsim

    accurate = galsim.GSParams(
        maximum_fft_size=16384,
        folding_threshold=5e-4,
        maxk_threshold=1e-4,
        kvalue_accuracy=1e-6,
    )
    n, radius, axis_ratio, angle, east, north = PROFILES[profile]
    if radius:
        source = galsim.Sersic(n=n, half_light_radius=radius, gsparams=accurate)
        # the radius is along the major axis: squeeze the minor one
        source = source.transform(1, 0, 0, axis_ratio) * (1 / axis_ratio)
        source = source.rotate((np.pi / 2 + angle) * galsim.radians)
    else:
        source = galsim.DeltaFunction(gsparams=accurate)
    # x of images is to the west; the y axis has the position angle 'turn'
    source = source.shift(-east, north).rotate(-turn * galsim.radians)
    source = source.shift(*(scale * o for o in offset))
    beta = get_instrument(band.survey).moffat_beta
    psf = galsim.Moffat(beta=beta, fwhm=float(fwhm), gsparams=accurate)
    pixels = [galsim.Pixel(box, gsparams=accurate) for box in boxes]
    seen = galsim.Convolve([source, psf, *pixels], gsparams=accurate)
    image = seen.drawImage(nx=shape[1], ny=shape[0], scale=scale, method="no_pixel")
    return image.array
