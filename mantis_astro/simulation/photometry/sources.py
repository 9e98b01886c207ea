"""Galaxies to z = 6, quasars and stars, and their fluxes through many filters."""

from dataclasses import dataclass, fields, replace
from functools import lru_cache

import numpy as np

from mantis_astro.fluxes import get_filter
from mantis_astro.simulation.photometry.star_colours import star_fluxes
from mantis_astro.simulation.photometry.surveys import FILTERS
from mantis_astro.simulation.population.counts import (
    COSMOLOGY,
    DEFAULT_MIX,
    Subsample,
    SubsampleTable,
)
from mantis_astro.simulation.population.donors import Donors
from mantis_astro.simulation.population.nuclei import nucleus_parts
from mantis_astro.simulation.population.templates import (
    A_V,
    N_STELLAR,
    TemplateGrid,
    rest_templates,
    rest_wavelength,
)

__all__ = ["KINDS", "LOW_REDSHIFT", "SourceFluxes", "draw_sources", "wide_grid"]

#: Highest redshift.
Z_LIMIT = 6.0
#: What there is: galaxies, those with an active nucleus, quasars, stars.
KINDS = ("galaxy", "active galaxy", "quasar", "star")

_PICKED = {s.name: s for s in DEFAULT_MIX}

#: Galaxies below `_UV_FROM`: to the limit of each survey, and as they are picked for
#: spectra by brightness and colour, which is where most redshifts are from. Counts rise
#: so steeply that the first alone would have one galaxy in a hundred brighter than 17.
LOW_REDSHIFT = (
    Subsample("limited", 0.33, "ps1.i", faint=23.0, z_range=(0.002, 1.6)),
    replace(_PICKED["main"], share=0.10, z_range=(0.002, 0.5)),
    replace(_PICKED["bgs"], share=0.08),
    replace(_PICKED["lrg"], share=0.09),
    # the share of radio galaxies: Best et al. 2005, MNRAS 362, 25
    Subsample("radio", 0.09, "ps1.i", 13.0, 22.5, (0.002, 1.4), luminosity_power=2.5),
    Subsample("red", 0.08, "ps1.i", 16.0, 20.8, (0.01, 1.2), kinds=("red",)),
    Subsample("blue", 0.09, "ps1.g", 18.0, 23.5, (0.01, 1.6), kinds=("blue",)),
    Subsample("deep", 0.09, "ps1.i", 22.0, 25.3, (0.002, 1.6)),
)
# the rest: galaxies of the ultraviolet luminosity function, distant red ones, quasars
# and stars
_SHARES = {"uv": 0.045, "distant": 0.02, "quasar": 0.03, "star": 0.03}

_UV_FROM = 1.6
# By these a source is bright or faint; a share of the light, as most are red
_SELECTION = {"panstarrs_i": 1.0, "vista_vircam_Y": 1.0, "vista_vircam_Ks": 0.25}
_COARSER = 2  # nodes 600 km/s apart
_CHUNK = 50_000
_PER_FREQUENCY = 1e-17 * 1e32 / 2.99792458e18  # f_lambda lambda^2 to nJy

# Active nuclei in galaxies: share of realistic and of stressed ones, and the range of
# their part of the light at 5500 A
_REALISTIC, _STRESSED = 0.06, 0.05
_SMC = 1.39  # A(1 micron) / E(B-V); the curve goes as wavelength^-1.2


@dataclass(frozen=True)
class SourceFluxes:
    """
    True sources in the sky, from bright to faint.

    Attributes
    ----------
    filters : tuple of str
        Names of sedpy's transmission curves.
    flux : `~numpy.ndarray`
        Total flux in nJy in front of Galactic dust, shape (n, n_filter), float32.
    z : `~numpy.ndarray`
        Redshift, 0 for stars, shape (n,).
    kind : `~numpy.ndarray` of int
        Row of ``KINDS``, shape (n,).
    mag : `~numpy.ndarray`
        The brightest of the AB magnitudes in i and Y and that in Ks plus 1.5,
        increasing, shape (n,).
    """

    filters: tuple
    flux: np.ndarray
    z: np.ndarray
    kind: np.ndarray
    mag: np.ndarray

    def __len__(self):
        return len(self.z)

    def __getitem__(self, rows):
        return type(self)(
            self.filters, *(getattr(self, f.name)[rows] for f in fields(self)[1:])
        )


def draw_sources(n, *, seed=0, donors="all", filters=FILTERS):
    """
    Draw galaxies, quasars and stars with their fluxes.

    Parameters
    ----------
    n : int
        How many.
    seed : int, optional
        Another seed, others.
    donors : {"all", "train", "validation", "test"}, optional
        Whose spectra the galaxies have, see
        `~mantis_astro.simulation.GalaxyPopulation`.
    filters : tuple of str, optional
        Names of sedpy's transmission curves, from 0.12 to 5.5 micron.

    Returns
    -------
    SourceFluxes
        Sorted by magnitude.

    Raises
    ------
    ImportError
        If kcorrect is not installed.

    Notes
    -----
    Below z = 1.6 galaxies are those of `~mantis_astro.simulation.GalaxyPopulation`:
    luminosity functions of red and blue galaxies, spectra of real galaxies; a part of
    them as surveys pick them for spectra (``LOW_REDSHIFT``). Beyond, the
    ultraviolet luminosity function of Bouwens et al. (2021, AJ 162, 47, table 5) to
    m(1500 A) = 27, with young and dusty mixtures of the same templates; three times as
    many beyond z = 3 as there are; and a few red galaxies to z = 4.5, picked in Ks.
    Quasars have the luminosity function of Ross et al. (2013, ApJ 773, 14, table 8) to
    i = 23, held at z = 3.5 but for its decline. One galaxy in nine has an active
    nucleus, about half of them brighter or more hidden than is typical; power laws are
    reddened as in the Small Magellanic Cloud.

    Examples
    --------
    >>> from mantis_astro.simulation.photometry.sources import draw_sources
    >>> sources = draw_sources(1000, filters=("sdss_g0", "wise_w1"))
    >>> sources.flux.shape, bool(sources.z.max() < 6)
    ((1000, 2), True)
    """
    rng = np.random.default_rng([seed, 1])
    shares = {s.name: s.share for s in LOW_REDSHIFT} | _SHARES
    names = list(shares)
    counts = rng.multinomial(n, np.array([*shares.values()]) / sum(shares.values()))
    every = tuple(dict.fromkeys((*filters, *_SELECTION)))
    parts = []
    for name, count in zip(names, counts, strict=True):
        for start in range(0, count, _CHUNK):
            size = min(_CHUNK, count - start)
            parts.append(_DRAW.get(name, _low_redshift)(name, size, rng, donors, every))
    flux, z, kind = (np.concatenate(part) for part in zip(*parts, strict=True))
    seen = np.max([flux[:, every.index(f)] * c for f, c in _SELECTION.items()], axis=0)
    mag = 31.4 - 2.5 * np.log10(np.maximum(seen, 1e-6))
    order = np.argsort(mag, kind="stable")
    wanted = [every.index(name) for name in filters]
    return SourceFluxes(
        tuple(filters), flux[order][:, wanted], z[order], kind[order], mag[order]
    )


@lru_cache(maxsize=4)
def wide_grid(filters):
    """
    Tabulate templates of stars and of parts of active nuclei to z = 6.

    Parameters
    ----------
    filters : tuple of str
        Names of sedpy's transmission curves.

    Returns
    -------
    TemplateGrid
        Of the stellar templates, then continuum, lines, iron and Balmer lines, and hot
        dust of a nucleus.
    """
    return TemplateGrid(filters, _templates(), z_max=Z_LIMIT, coarser=_COARSER)


@lru_cache(maxsize=1)
def _templates():
    wavelength = rest_wavelength()
    continuum, lines, dust = nucleus_parts(wavelength)
    # the small bump of Wills et al. 1985 from 2000 to 4000 A, a quarter of the power
    # law, and iron on both sides of H beta
    bump = 0.25 * np.exp(-0.5 * (np.log(wavelength / 2900) / 0.16) ** 2)
    bump += 0.10 * np.exp(-0.5 * (np.log(wavelength / 4580) / 0.015) ** 2)
    bump += 0.08 * np.exp(-0.5 * (np.log(wavelength / 5270) / 0.015) ** 2)
    nucleus = np.stack([continuum, continuum * lines, continuum * bump, dust])
    nucleus[:, wavelength < 912] = 0
    visible = np.abs(wavelength - 5500) < 250
    nucleus /= nucleus[0, visible].mean()
    return np.concatenate([rest_templates()[:N_STELLAR], nucleus])


def _low_redshift(name, n, rng, donors, filters):
    """Galaxies as `GalaxyPopulation` has them."""
    subsample = next(s for s in LOW_REDSHIFT if s.name == name)
    table, who = SubsampleTable.of(subsample, donors), Donors.of(donors)
    z, mag, M_r, red = table.draw(rng.random((n, 3)))
    row = who.choose(rng.random(n), z, M_r, red)
    band = f"panstarrs_{subsample.band.removeprefix('ps1.')}"
    flux = wide_grid(filters).many_fluxes(_stellar(who.share[row]), z)
    reference = _column(flux, filters, band, z, who.share[row])
    flux *= (10 ** (-0.4 * (mag - 31.4)) / reference)[:, None].astype("f4")
    return _with_nuclei(flux, z, rng, filters)


def _column(flux, filters, band, z, share):
    """Fluxes in the band of a selection, whether it is among the filters or not."""
    if band in filters:
        return flux[:, filters.index(band)]
    return wide_grid((band,)).many_fluxes(_stellar(share), z)[:, 0]


def _ultraviolet(_, n, rng, donors, filters):  # noqa: ARG001  all have one signature
    """Galaxies picked by their ultraviolet light, beyond z = 1.6."""
    ln, mag = _draw_table(_uv_counts(), rng, n)
    z = np.expm1(ln)
    old = rng.beta(1.2, 2.0, n) * np.interp(z, (1.6, 6.0), (0.7, 0.35))
    a_v = np.interp(z, (1.6, 3.0, 6.0), (0.45, 0.35, 0.2))
    a_v = np.clip(a_v - 0.08 * (mag - 25.5) + 0.25 * rng.standard_normal(n), 0, 1)
    old_kind = rng.random(n)
    share = np.zeros((n, len(A_V), 5))
    dusty = _between_attenuations(a_v)
    share[..., 1] = dusty * (1 - old)[:, None]
    share[..., 4] = dusty * (old * old_kind)[:, None]
    share[..., 2] = dusty * (old * (1 - old_kind))[:, None]
    share = share.reshape(n, -1)
    flux = wide_grid(filters).many_fluxes(_stellar(share), z)
    near = np.abs(rest_wavelength() - 1500) < 50
    at_1500 = share @ rest_templates()[:N_STELLAR, near].mean(axis=1)
    seen = at_1500 * (1500 * (1 + z)) ** 2 * _PER_FREQUENCY
    flux *= (10 ** (-0.4 * (mag - 31.4)) / seen)[:, None].astype("f4")
    return _with_nuclei(flux, z, rng, filters)


def _distant(_, n, rng, donors, filters):
    """Red galaxies from z = 1.3 to 4.5, picked in Ks."""
    # fewer by e for every 0.7 in redshift
    z = 1.3 - 0.7 * np.log1p(-rng.random(n) * (1 - np.exp(-3.2 / 0.7)))
    mag = np.minimum(20 + 5 * np.sqrt(rng.random(n)) + 0.5 * (z - 1.3), 25.5)
    who = Donors.of(donors)
    bright = np.flatnonzero(who.red & (who.M_r < -21))
    share = who.share[rng.choice(bright, n)].reshape(n, len(A_V), 5)
    # younger than such galaxies are today, and some of them dusty
    young = rng.random(n) ** 2
    dusty = _between_attenuations(rng.random(n))
    share = share * (1 - young)[:, None, None]
    share[..., 4] += dusty * (young * 0.7)[:, None]
    share[..., 0] += dusty * (young * 0.3)[:, None]
    share = share.reshape(n, -1)
    flux = wide_grid(filters).many_fluxes(_stellar(share), z)
    seen = _column(flux, filters, "vista_vircam_Ks", z, share)
    flux *= (10 ** (-0.4 * (mag - 31.4)) / seen)[:, None].astype("f4")
    return _with_nuclei(flux, z, rng, filters)


def _quasars(_, n, rng, donors, filters):
    """Quasars with a bit of a host."""
    ln, mag = _draw_table(_quasar_counts(), rng, n)
    z = np.expm1(ln)
    M = mag - COSMOLOGY.distmod(z).value + 1.25 * np.log10((1 + z) / 3)
    nucleus = _nucleus(z, rng, filters, ebv=_reddening(rng, n))
    seen = nucleus[:, filters.index("panstarrs_i")]
    nucleus *= (10 ** (-0.4 * (mag - 31.4)) / seen)[:, None].astype("f4")
    who = Donors.of(donors)
    row = rng.choice(np.flatnonzero(who.M_r < -20.5), n)
    host = wide_grid(filters).many_fluxes(_stellar(who.share[row]), np.minimum(z, 5.99))
    M_host = -22.0 - 0.6 * np.minimum(z, 2) + 0.8 * rng.standard_normal(n)
    ratio = 10 ** (-0.4 * (M_host - M))
    host_seen = host[:, filters.index("vista_vircam_Y")]
    host *= (ratio * nucleus[:, filters.index("vista_vircam_Y")] / host_seen)[
        :, None
    ].astype("f4")
    return nucleus + host, z, np.full(n, KINDS.index("quasar"))


def _stars(_, n, rng, donors, filters):  # noqa: ARG001  all have one signature
    slope, bright, faint = 0.17, 13.0, 24.5
    span = 10 ** (slope * (bright - faint))
    mag = faint + np.log10(span + (1 - span) * rng.random(n)) / slope
    flux = star_fluxes(rng.random(n), filters, "panstarrs_i")
    flux = flux * 10 ** (-0.4 * (mag - 31.4))[:, None]
    tilt = 0.03 * rng.standard_normal(n)[:, None] * _ln_pivot(filters)
    scatter = 0.02 * rng.standard_normal(flux.shape)
    # metals absorb in the ultraviolet
    metals = rng.standard_normal(n)[:, None] * np.clip(0.45 - _ln_pivot(filters), 0, 1)
    flux *= 10 ** (-0.4 * (tilt + scatter + 0.25 * (metals - 0.5 * (metals != 0))))
    return flux.astype("f4"), np.zeros(n), np.full(n, KINDS.index("star"))


_DRAW = {
    "uv": _ultraviolet,
    "distant": _distant,
    "quasar": _quasars,
    "star": _stars,
}


def _stellar(share):
    return np.pad(share, ((0, 0), (0, 4)))


def _between_attenuations(a_v):
    """Weights of the tabulated attenuations, shape (n, n_attenuation)."""
    nodes = np.array(A_V)
    i = np.clip(np.searchsorted(nodes, a_v, side="right") - 1, 0, len(nodes) - 2)
    part = (a_v - nodes[i]) / (nodes[i + 1] - nodes[i])
    weight = np.zeros((len(a_v), len(nodes)))
    rows = np.arange(len(a_v))
    weight[rows, i], weight[rows, i + 1] = 1 - part, part
    return weight


@lru_cache(maxsize=4)
def _ln_pivot(filters):
    """Logarithm of the pivot wavelengths over 5500 Angstrom, shape (n_filter,)."""
    return np.log([get_filter(name).wave_pivot / 5500 for name in filters])


def _reddening(rng, n):
    """E(B-V) of nuclei of type 1: small, and large for one in eight."""
    much = rng.random(n) < 0.12
    return np.where(much, rng.exponential(0.2, n), rng.exponential(0.025, n))


def _nucleus(z, rng, filters, ebv, *, torus=0.35):
    """Fluxes of nuclei with a continuum of 1 at 5500 Angstrom before their dust."""
    n = len(z)
    grid, ones = wide_grid(filters), np.ones(n)
    lines = np.exp(0.25 * rng.standard_normal(n))
    bump = np.exp(0.3 * rng.standard_normal(n))
    bare = np.zeros((n, N_STELLAR + 4))
    bare[:, -4:-1] = np.stack([ones, lines, bump], 1)
    hot = np.zeros_like(bare)
    hot[:, -1] = np.exp(torus * rng.standard_normal(n))
    # ln of the rest wavelength over 5500 A, shape (n, n_filter)
    x = _ln_pivot(filters) - np.log1p(z)[:, None]
    slope = 0.25 * rng.standard_normal(n)[:, None]
    dimming = _SMC * ebv[:, None] * (0.55 * np.exp(x)) ** -1.2
    tilted = np.exp(slope * x) * 10 ** (-0.4 * np.minimum(dimming, 30))
    return grid.many_fluxes(bare, z) * tilted.astype("f4") + grid.many_fluxes(hot, z)


def _with_nuclei(flux, z, rng, filters):
    """Return some galaxies an active nucleus."""
    n = len(z)
    which = rng.random(n)
    rows = np.flatnonzero(which < _REALISTIC + _STRESSED)
    stressed = which[rows] > _REALISTIC
    u = rng.random((2, len(rows)))
    share = np.where(stressed, 0.1 * 9.5 ** u[0], 0.01 * 30 ** u[0])
    hidden = u[1] < np.where(stressed, 0.5, 0.3)
    ebv = np.where(
        hidden, 0.2 * 15 ** rng.random(len(rows)), _reddening(rng, len(rows))
    )
    nucleus = _nucleus(z[rows], rng, filters, ebv, torus=0.6)
    # both at 5500 Angstrom in the rest frame
    x = _ln_pivot(filters)[None] - np.log1p(z[rows])[:, None]
    nearest = np.abs(x).argmin(axis=1)
    at = np.arange(len(rows)), nearest
    bare = wide_grid(filters).many_fluxes(
        np.eye(N_STELLAR + 4)[np.full(len(rows), N_STELLAR)], z[rows]
    )
    scale = share / (1 - share) * flux[rows, nearest] / np.maximum(bare[at], 1e-30)
    flux[rows] += nucleus * scale[:, None].astype("f4")
    kind = np.zeros(n, int)
    strong = share > 0.1
    kind[rows[strong]] = KINDS.index("active galaxy")
    return flux, z, kind


def _draw_table(table, rng, n):
    """Draw ln(1 + z) and magnitudes from counts in cells."""
    ln, mag, cumulative = table
    cell = np.searchsorted(cumulative, rng.random(n) * (1 - 1e-12))
    cell = np.minimum(cell, cumulative.size - 1)
    i, j = np.unravel_index(cell, (len(ln) - 1, len(mag) - 1))
    u = rng.random((2, n))
    return (
        ln[i] + u[0] * (ln[i + 1] - ln[i]),
        mag[j] + u[1] * (mag[j + 1] - mag[j]),
    )


def _cells(low, high, bright, faint):
    ln = np.linspace(np.log1p(low), np.log1p(high), 200)
    mag = np.linspace(bright, faint, round((faint - bright) / 0.1) + 1)
    z, m = np.expm1((ln[1:] + ln[:-1]) / 2)[:, None], (mag[1:] + mag[:-1]) / 2
    volume = np.diff(COSMOLOGY.comoving_volume(np.expm1(ln)).value)[:, None]
    return ln, mag, z, m, volume


@lru_cache(maxsize=1)
def _uv_counts():
    """Galaxies by redshift and magnitude at 1500 Angstrom (Bouwens et al. 2021)."""
    ln, mag, z, m, volume = _cells(_UV_FROM, Z_LIMIT - 1e-6, 21.0, 27.0)
    M = m - COSMOLOGY.distmod(z[:, 0]).value[:, None] + 2.5 * np.log10(1 + z)
    M_star = np.where(z < 2.46, -20.89 - 1.09 * (z - 2.46), -21.03 - 0.04 * (z - 6))
    phi = 0.4e-3 * 10 ** (-0.33 * (z - 6) - 0.024 * (z - 6) ** 2)
    alpha = -1.94 - 0.11 * (z - 6)
    x = 10 ** (-0.4 * (M - M_star))
    counts = phi * x ** (alpha + 1) * np.exp(-x) * volume
    counts *= np.interp(z, (2.5, 3.5), (1.0, 3.0))
    # half as steep in magnitude as nature: bright ones are seen, faint ones are not
    counts *= 10 ** (-0.25 * (m - 24))
    return ln, mag, np.cumsum(counts.ravel() / counts.sum())


@lru_cache(maxsize=1)
def _quasar_counts():
    """Quasars by redshift and magnitude in i (Ross et al. 2013)."""
    ln, mag, z, m, volume = _cells(0.1, 5.5, 15.0, 23.0)
    K = -1.25 * np.log10((1 + z) / 3)  # of a power law, to i at z = 2
    M = m - COSMOLOGY.distmod(z[:, 0]).value[:, None] - K
    late = z > 2.2
    zl = np.clip(z, 0, 3.5) - 2.2
    M_star = np.where(
        late, -26.57 - 0.809 * zl, -22.85 - 2.5 * (1.241 * z - 0.249 * z**2)
    )
    phi = 10 ** np.where(late, -5.93 - 0.689 * (z - 2.2), -5.96 + 0 * z)
    faint, bright = np.where(late, -1.29, -1.16), np.where(late, -3.51, -3.37)
    y = 0.4 * (M - M_star)
    counts = phi / (10 ** (y * (bright + 1)) + 10 ** (y * (faint + 1))) * volume
    counts *= 10 ** (-0.2 * (m - 19))  # bright ones are what catalogues have
    counts *= np.interp(z, (2.2, 4.0), (1.0, 3.0))
    return ln, mag, np.cumsum(counts.ravel() / counts.sum())
