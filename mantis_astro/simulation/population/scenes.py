"""Scenes: a target, and its neighbours on the sky."""

from dataclasses import dataclass
from functools import lru_cache

import astropy.units as u
import numpy as np

from mantis_astro.simulation.population.counts import FIELD, SubsampleTable
from mantis_astro.simulation.population.galaxies import GalaxyPopulation
from mantis_astro.simulation.population.quasars import QUASAR_DENSITY, draw_quasars
from mantis_astro.simulation.population.stars import draw_stars, star_density
from mantis_astro.simulation.sources import Sources
from mantis_astro.simulation.uniforms import child_keys, keys_of, poisson, uniforms

__all__ = ["draw_scenes"]

# Rings around the target: outer radius in arcsec, faintest galaxy and star in PS1 i.
# The first holds a grid of 32 arcsec, the second a cutout of PS1; further out only what
# is bright matters, to GALEX and unWISE.
_RINGS = ((24.0, 22.5, 21.0), (31.0, 22.5, 21.0), (63.0, 20.5, 19.0))
# Galaxies cluster: counts around one are higher by (theta / 0.75 arcsec)^-0.8, for the
# amplitude at i < 22 of Connolly et al. 2002 (ApJ 579, 42).
_CLUSTERING, _CLUSTERING_POWER = 0.75, 0.8
_PER_SQUARE_DEGREE = 1 / 3600.0**2  # to per square arcsec
_POOL_SIZE = 16384
_POOL_SEED = 7
_LEAST_PART = 0.003  # of a galaxy's light, in its brightest band, that gets a row
_COUNTS, _GALAXIES, _STARS = 101, 102, 103  # salts


def draw_scenes(population, sample, *, radius=63 * u.arcsec, neighbours=True):
    """
    Place a sample's galaxies on the sky, with neighbours.

    Parameters
    ----------
    population : GalaxyPopulation
        The population that the sample was drawn from.
    sample : GalaxySample
        Targets.
    radius : `~astropy.units.Quantity`, optional
        How far out neighbours are wanted. Those nearer are the same for any radius.
    neighbours : bool, optional
        False for the targets alone.

    Returns
    -------
    Sources
        Rows of each target: its disc, bulge and nucleus, then galaxies, quasars and
        stars at random positions.

    Raises
    ------
    `~astropy.units.UnitsError`
        If the radius is not an angle.

    Notes
    -----
    Galaxies to i = 22.5 within 31 arcsec, to 20.5 outside, as the luminosity functions
    of the population have them; stars to i = 21 and 19, as many as there are at the
    Galactic latitude; quasars to i = 21. All stand behind the target's Galactic dust.

    Examples
    --------
    >>> from mantis_astro.simulation import GalaxyPopulation, draw_scenes
    >>> population = GalaxyPopulation(seed=1)
    >>> sources = draw_scenes(population, population.draw(100))
    >>> sources.flux.shape[1], int(sources.target[-1])
    (9, 99)
    """
    radius = u.Quantity(radius).to_value(u.arcsec)
    parts = _targets(sample)
    if neighbours:
        pool = _Pool.of(population)
        for number, ring in enumerate(_RINGS):
            inner = _RINGS[number - 1][0] if number else 0.0
            if inner < radius:
                parts += _ring(pool, sample, number, inner, ring, radius)
    return Sources.concatenate(parts)


def _targets(sample):
    """Rows of discs, bulges and nuclei that shine."""
    n = len(sample)
    parts = []
    brightest = sample.flux.max(axis=1) if n else np.zeros(0)
    for i in range(3):
        flux = sample.component_flux[:, i]
        rows = np.flatnonzero(flux.max(axis=1, initial=0) > _LEAST_PART * brightest)
        point = np.zeros(len(rows))
        parts.append(
            Sources(
                target=rows,
                east=point,
                north=point,
                flux=flux[rows],
                radius=sample.radius[rows, i] if i < 2 else point,
                sersic=sample.sersic[rows, i] if i < 2 else point + 1,
                axis_ratio=sample.axis_ratio[rows, i] if i < 2 else point + 1,
                position_angle=sample.position_angle[rows],
            )
        )
    return parts


@dataclass(frozen=True)
class _Pool:
    """Galaxies and quasars without dust, brightest first, to take neighbours from."""

    bands: tuple
    density: float  # per square degree, of all
    mag: np.ndarray
    flux: np.ndarray
    extinction: np.ndarray
    radius: np.ndarray
    sersic: np.ndarray
    axis_ratio: np.ndarray

    @classmethod
    def of(cls, population):
        return cls._make(population.bands, population.donors, population.template_error)

    @classmethod
    @lru_cache(maxsize=8)
    def _make(cls, bands, donors, template_error):
        field = GalaxyPopulation(
            _POOL_SEED,
            mix=FIELD,
            donors=donors,
            bands=bands,
            template_error=template_error,
        ).draw(_POOL_SIZE)
        clear = 10 ** (0.4 * field.extinction * field.ebv[:, None])
        light = field.component_flux.sum(axis=2)[:, :2]
        light = light / np.maximum(light.sum(axis=1, keepdims=True), 1e-30)
        density = SubsampleTable.of(FIELD[0], donors).density
        n = round(QUASAR_DENSITY * _POOL_SIZE / density)
        u01 = uniforms(keys_of(_POOL_SEED, np.arange(n), salt=5), 2)
        mag, flux, extinction = draw_quasars(u01, bands)
        columns = [
            (field.mag, mag),
            (field.flux * clear, flux),
            (field.extinction, extinction),
            ((light * field.radius).sum(axis=1), np.zeros(n)),
            # a galaxy far from the middle is one profile
            ((light * field.sersic).sum(axis=1), np.ones(n)),
            ((light * field.axis_ratio).sum(axis=1), np.ones(n)),
        ]
        columns = [np.concatenate(pair) for pair in columns]
        order = np.argsort(columns[0])
        density *= len(order) / _POOL_SIZE
        return cls(bands, density, *(column[order] for column in columns))


def _ring(pool, sample, number, inner, ring, radius):
    """Galaxies and stars of one ring around each target."""
    outer, faint, faint_star = ring
    u01 = uniforms(sample.key, 2, salt=_COUNTS + 10 * number)
    n_pool = int(np.searchsorted(pool.mag, faint))
    edge = np.linspace(inner, outer, 200)
    excess = 2 / (2 - _CLUSTERING_POWER) * _CLUSTERING**_CLUSTERING_POWER
    area = np.pi * (edge**2 + excess * edge ** (2 - _CLUSTERING_POWER))
    per_area = pool.density * n_pool / len(pool.mag) * _PER_SQUARE_DEGREE
    count = poisson(u01[:, 0], np.full(len(sample), per_area * (area[-1] - area[0])))
    target, keys = child_keys(sample.key, count, salt=_GALAXIES + 10 * number)
    v = uniforms(keys, 4)
    distance = np.interp(area[0] + v[:, 0] * (area[-1] - area[0]), area, edge)
    row = (v[:, 1] * n_pool).astype(int)
    dimmed = 10 ** (-0.4 * pool.extinction[row] * sample.ebv[target, None])
    galaxies = _place(
        target,
        distance,
        v[:, 2],
        pool.flux[row] * dimmed,
        pool.radius[row],
        pool.sersic[row],
        pool.axis_ratio[row],
        np.pi * v[:, 3],
    )
    mean = star_density(sample.latitude, faint_star) * _PER_SQUARE_DEGREE
    count = poisson(u01[:, 1], mean * np.pi * (outer**2 - inner**2))
    target, keys = child_keys(sample.key, count, salt=_STARS + 10 * number)
    v = uniforms(keys, 5)
    distance = np.sqrt(inner**2 + v[:, 0] * (outer**2 - inner**2))
    flux, extinction = draw_stars(v[:, 2:], pool.bands, faint_star)
    flux = flux * 10 ** (-0.4 * extinction * sample.ebv[target, None])
    point = np.zeros(len(target))
    stars = _place(target, distance, v[:, 1], flux, point, point + 1, point + 1, point)
    if radius < outer:
        return [s[np.hypot(s.east, s.north) <= radius] for s in (galaxies, stars)]
    return [galaxies, stars]


def _place(target, distance, turn, *columns):
    angle = 2 * np.pi * turn
    return Sources(target, distance * np.sin(angle), distance * np.cos(angle), *columns)
