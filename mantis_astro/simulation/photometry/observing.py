"""Observation of catalogues: depth, zero points, apertures, dust and errors."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from mantis_astro.fluxes import get_filter
from mantis_astro.models import PhotometrySpec
from mantis_astro.models.band_sets import aperture_number
from mantis_astro.records import record
from mantis_astro.simulation.photometry.surveys import COMBINATIONS, SURVEYS
from mantis_astro.simulation.population.templates import (
    fluxes_at_rest,
    rest_wavelength,
)

__all__ = [
    "Catalog",
    "Fields",
    "FilterFacts",
    "SurveyConditions",
    "observe",
]

_KNOTS = np.linspace(np.log(1000), np.log(60000), 8)  # ln of rest wavelength, Angstrom
_KNOT_WIDTH = _KNOTS[1] - _KNOTS[0]


@record("survey_conditions")
class SurveyConditions:
    """
    Sizes of the errors that catalogues do not list.

    All in magnitudes but chances. Those of surveys are common to all their bands; each
    is drawn once for a group of objects, except where it says "object".

    Attributes
    ----------
    depth : tuple of float
        Range of the 5-sigma limit of an optical survey.
    depth_survey, depth_band : float
        Scatter of the limits of other surveys and of single bands.
    zero_point : float
        Of each band.
    poor_band, poor_zero_point : float
        Chance of a band whose zero point is worse than that, and its scatter.
    offset, offset_uv_mir : float
        Of each survey in the optical and near infrared; in the ultraviolet and in the
        middle infrared.
    scatter, scatter_uv_mir : float
        Object's scatter of that.
    template : float
        Object's smooth error of its spectrum, at eight wavelengths in the rest frame.
    gas : float
        Scatter of the absorption by intergalactic gas well below Lyman alpha.
    value : float
        Scatter of every single value.
    poor_value, poor_scatter : float
        Chance of a value that is worse than that, and its scatter: neighbours, edges.
    floor : tuple of float
        Range of what is added in quadrature to the errors that are told, as a share
        of the flux.
    misjudged : float
        Scatter of ln of the factor by which errors are told wrongly.
    drop_band, drop_value : float
        Chances of a band and of a value to be missing.
    few : float
        Chance that a catalogue has only a random part of its bands.
    drop_undetected : float
        Chance that a survey leaves out what is below 3 sigma.
    drop_error : float
        Chance that a band comes without errors.
    told_aperture : float
        Chance that the network is told which aperture it was.
    told_dust : float
        Chance that E(B-V) is told; else fluxes are corrected already, or it is unknown.
    """

    depth: tuple = (19.5, 27.0)
    depth_survey: float = 0.7
    depth_band: float = 0.6
    zero_point: float = 0.025
    poor_band: float = 0.08
    poor_zero_point: float = 0.10
    offset: float = 0.04
    offset_uv_mir: float = 0.10
    scatter: float = 0.02
    scatter_uv_mir: float = 0.08
    template: float = 0.04
    gas: float = 0.15
    value: float = 0.015
    poor_value: float = 0.01
    poor_scatter: float = 0.3
    floor: tuple = (0.003, 0.05)
    misjudged: float = 0.15
    drop_band: float = 0.12
    drop_value: float = 0.04
    few: float = 0.15
    drop_undetected: float = 0.25
    drop_error: float = 0.02
    told_aperture: float = 0.6
    told_dust: float = 0.6


class FilterFacts:
    """
    Properties of filters, and the surveys that may be joined.

    Parameters
    ----------
    names : tuple of str
        Names of sedpy's transmission curves; surveys with other filters are not drawn.

    Attributes
    ----------
    pivot : `~numpy.ndarray`
        Angstrom, shape (n_filter,).
    extinction : `~numpy.ndarray`
        Magnitudes per E(B-V) of the map of Schlegel et al., for a flat spectrum.
    """

    def __init__(self, names):
        self.names = tuple(names)
        self.pivot = np.array([get_filter(name).wave_pivot for name in names])
        flat = rest_wavelength()[None] ** -2.0
        flux = fluxes_at_rest(flat / flat.mean(), self.names)[0]
        self.extinction = flux[1] / flux[0]
        there = {n: s for n, s in SURVEYS.items() if set(s.filters) <= set(self.names)}
        self.surveys = {
            name: (survey, np.array([self.names.index(f) for f in survey.filters]))
            for name, survey in there.items()
        }
        joined = [c for c in COMBINATIONS if set(c[0]) <= set(there)]
        self._combinations = [names for names, _ in joined]
        self._chances = np.cumsum([weight for _, weight in joined])
        self._by_light = {
            light: [name for name, s in there.items() if s.light == light]
            for light in ("uv", "optical", "nir", "mir")
        }

    def draw_surveys(self, rng):
        """
        Draw surveys that a catalogue joins: of those that exist, or at random.

        Parameters
        ----------
        rng : `~numpy.random.Generator`
            Source of randomness.

        Returns
        -------
        tuple of str
            Their names.
        """
        if self._combinations and rng.random() >= _RANDOM:
            u = rng.random() * self._chances[-1]
            return self._combinations[np.searchsorted(self._chances, u, side="right")]
        names = []
        for light, most, chance in _JOINED:
            known = self._by_light[light]
            if known and rng.random() < chance:
                n = min(rng.integers(1, most + 1), len(known))
                names += [known[i] for i in rng.permutation(len(known))[:n]]
        return tuple(names) or (next(iter(self.surveys)),)


# Chance of surveys joined at random; most of each kind of them, and its chance
_RANDOM = 0.25
_JOINED = (("optical", 2, 0.97), ("uv", 1, 0.35), ("nir", 1, 0.45), ("mir", 1, 0.5))
_SURVEYS_AT_MOST = 6


@dataclass(frozen=True)
class Fields:
    """
    Observing conditions of groups of objects, one row per group.

    Attributes
    ----------
    filters : `~numpy.ndarray` of int
        Rows of the list of filters, by pivot wavelength, shape (n_group, n_slot).
    there : `~numpy.ndarray` of bool
        Which slots are used, the first ones, shape (n_group, n_slot).
    survey : `~numpy.ndarray` of int
        Which survey of the group each belongs to, shape (n_group, n_slot).
    far, shallower, fwhm : `~numpy.ndarray`
        Whether it is in the ultraviolet or the middle infrared, and what
        `SurveyFilters` has, shape (n_group, n_survey).
    depth : `~numpy.ndarray`
        5-sigma limit in AB of an optical survey of the field, shape (n_group,).
    """

    filters: np.ndarray
    there: np.ndarray
    survey: np.ndarray
    far: np.ndarray
    shallower: np.ndarray
    fwhm: np.ndarray
    depth: np.ndarray

    def __len__(self):
        return len(self.depth)

    def __getitem__(self, rows):
        parts = [getattr(self, f.name)[rows] for f in dataclasses.fields(self)]
        n_slot = max(1, int(parts[1].sum(axis=1).max()))
        return type(self)(*(p[:, :n_slot] for p in parts[:3]), *parts[3:])

    @classmethod
    def draw(cls, n, facts, rng, conditions, *, most=40):
        """
        Draw the fields of groups.

        Parameters
        ----------
        n : int
            How many groups.
        facts : FilterFacts
            The filters.
        rng : `~numpy.random.Generator`
            Source of randomness.
        conditions : SurveyConditions
            Says how deep, and how often bands are missing.
        most : int, optional
            Largest number of filters.

        Returns
        -------
        Fields
            Of at least one filter each.
        """
        return cls.of(
            [facts.draw_surveys(rng) for _ in range(n)],
            facts,
            rng,
            conditions,
            most=most,
        )

    @classmethod
    def of(cls, surveys, facts, rng, conditions, *, most=40):
        """
        Draw the fields of groups with given surveys.

        Parameters
        ----------
        surveys : sequence of tuple of str
            Names of the surveys of each group.
        facts, rng, conditions, most
            As for `draw`.

        Returns
        -------
        Fields
            Of at least one filter each.
        """
        n = len(surveys)
        filters, survey = np.zeros((2, n, most), int)
        there = np.zeros((n, most), bool)
        far = np.zeros((n, _SURVEYS_AT_MOST), bool)
        shallower, fwhm = np.zeros((2, n, _SURVEYS_AT_MOST))
        for g, names in enumerate(surveys):
            known, rows = zip(*(facts.surveys[name] for name in names), strict=True)
            which = np.repeat(np.arange(len(names)), [len(r) for r in rows])
            rows = np.concatenate(rows)
            keep = rng.random(len(rows)) >= conditions.drop_band
            if rng.random() < conditions.few:
                keep &= rng.random(len(rows)) < rng.random()
            kept = np.flatnonzero(keep)
            if not len(kept):
                kept = rng.integers(len(rows), size=1)
            if len(kept) > most:
                kept = rng.permutation(kept)[:most]
            kept = kept[np.argsort(facts.pivot[rows[kept]], kind="stable")]
            m = len(kept)
            filters[g, :m], survey[g, :m], there[g, :m] = rows[kept], which[kept], True
            far[g, : len(known)] = [s.light in {"uv", "mir"} for s in known]
            shallower[g, : len(known)] = [s.shallower for s in known]
            fwhm[g, : len(known)] = [s.fwhm for s in known]
        low, high = conditions.depth
        depth = low + (high - low) * rng.random(n)
        return cls(filters, there, survey, far, shallower, fwhm, depth)[:]


@dataclass(frozen=True)
class Catalog:
    """
    Simulated catalogue of some objects.

    Attributes
    ----------
    filters : `~numpy.ndarray` of int
        Row of the filter of each measurement, shape (n, n_slot); any where there is
        none.
    flux, flux_err : `~numpy.ndarray`
        In nJy, shape (n, n_slot), float32; an error that is not known is NaN.
    observed : `~numpy.ndarray` of bool
        Which slots hold a measurement, shape (n, n_slot); at least one.
    ebv : `~numpy.ndarray`
        E(B-V) that fluxes suffer, as a map has it; NaN where it is not known, shape
        (n,), float32.
    aperture : `~numpy.ndarray` of int
        Place in ``mantis_astro.models.band_sets.APERTURES``, shape (n,).
    """

    filters: np.ndarray
    flux: np.ndarray
    flux_err: np.ndarray
    observed: np.ndarray
    ebv: np.ndarray
    aperture: np.ndarray


def observe(sources, fields, facts, rng, conditions=None):
    """
    Observe groups of objects, each group as one catalogue has them.

    Parameters
    ----------
    sources : SourceFluxes
        The objects, as many of each group, one group after the other; with the filters
        of ``facts``.
    fields : Fields
        What each group is observed in.
    facts : FilterFacts
        Facts on the filters.
    rng : `~numpy.random.Generator`
        Source of randomness.
    conditions : SurveyConditions, optional
        How large errors are.

    Returns
    -------
    Catalog
        With the slots of the fields.
    """
    c = conditions or SurveyConditions()
    see = _Groups(sources, fields, rng)
    n, n_slot = see.shape
    pivot, there = facts.pivot[see.filters], fields.there[see.group]

    dimmed = _smooth_error(see, pivot, c.template)
    rest = pivot / (1 + sources.z[:, None])
    dimmed += c.gas * see.normal(n, 1) * np.clip(np.log(1216 / rest) / 0.3, 0, 1)
    zero_point = c.zero_point * see.normal(*fields.filters.shape)
    zero_point += see.now_and_then(
        c.poor_band, c.poor_zero_point, *fields.filters.shape
    )
    offset = np.where(fields.far, c.offset_uv_mir, c.offset)
    offset = offset * see.normal(*fields.far.shape)
    common = zero_point + np.take_along_axis(offset, fields.survey, 1)
    scatter = np.where(fields.far, c.scatter_uv_mir, c.scatter)[see.group]
    scatter = scatter * see.normal(n, fields.far.shape[1])
    dimmed += common[see.group] + np.take_along_axis(scatter, see.survey, 1)
    dimmed += c.value * see.normal(n, n_slot)
    dimmed += see.now_and_then(c.poor_value, c.poor_scatter, n, n_slot)
    lost, aperture = _apertures(see, pivot, c)
    true, ebv = _dust(see, c.told_dust)
    dimmed += lost + true[:, None] * facts.extinction[see.filters]

    sky = _limits(see, facts, c)[see.group] * np.exp(0.15 * see.normal(n, 1))
    flux = np.take_along_axis(sources.flux, see.filters, 1) * 10 ** (-0.4 * dimmed)
    # photons of the source: as many as of the sky at 10,000 times the noise
    error = np.sqrt(sky**2 + 1e-4 * flux * sky)
    seen = flux + error * see.normal(n, n_slot)
    low, high = np.log(c.floor)
    floor = np.exp(low + (high - low) * see.uniform(*fields.far.shape))
    wrong = np.exp(c.misjudged * see.normal(*fields.far.shape))
    told = np.hypot(error * see.by_survey(wrong), see.by_survey(floor) * flux)

    observed = there & (see.uniform(n, n_slot) >= c.drop_value)
    strict = see.by_survey(see.uniform(*fields.far.shape) < c.drop_undetected)
    observed &= ~(strict & (seen < 3 * told))
    nothing = ~observed.any(axis=1)
    anything = (see.uniform(n) * there.sum(axis=1)).astype(int)
    observed[nothing, anything[nothing]] = True
    silent = see.uniform(*fields.filters.shape) < c.drop_error
    told[silent[see.group]] = np.nan
    return Catalog(
        filters=see.filters,
        flux=np.where(observed, seen, 0).astype("f4"),
        flux_err=np.where(observed, told, 0).astype("f4"),
        observed=observed,
        ebv=ebv.astype("f4"),
        aperture=aperture,
    )


class _Groups:
    """Objects in groups, and random numbers for them."""

    def __init__(self, sources, fields, rng):
        self.sources, self.fields, self._rng = sources, fields, rng
        size = len(sources) // len(fields)
        self.group = np.minimum(np.arange(len(sources)) // size, len(fields) - 1)
        self.filters = fields.filters[self.group]
        self.survey = fields.survey[self.group]
        self.shape = self.filters.shape

    def by_survey(self, values):
        """From (n_group, n_survey) to (n, n_slot)."""
        return np.take_along_axis(values, self.fields.survey, 1)[self.group]

    def normal(self, *shape):
        return self._rng.standard_normal(shape, np.float32)

    def now_and_then(self, chance, size, *shape):
        """Draw normal numbers of a size by some chance, else 0."""
        return size * self.normal(*shape) * (self.uniform(*shape) < chance)

    def uniform(self, *shape):
        return self._rng.random(shape, np.float32)


def _smooth_error(see, pivot, size):
    """Errors of templates in magnitudes, larger in the ultraviolet, (n, n_slot)."""
    ln_rest = np.log(pivot) - np.log1p(see.sources.z)[:, None]
    amplitude = size * see.normal(len(ln_rest), len(_KNOTS))
    amplitude[:, :2] *= _ULTRAVIOLET  # below 2000 Angstrom
    x = (ln_rest - _KNOTS[0]) / _KNOT_WIDTH
    error, norm = np.zeros((2, *x.shape))
    for k in range(len(_KNOTS)):
        weight = np.exp(-0.5 * (x - k) ** 2)
        error += weight * amplitude[:, k : k + 1]
        norm += weight**2
    return error / np.sqrt(norm + 1e-12)


def _limits(see, facts, c):
    """Noise of each band of each group, nJy, (n_group, n_slot)."""
    fields = see.fields
    surveys = fields.depth[:, None] - fields.shallower
    surveys = surveys + c.depth_survey * see.normal(*surveys.shape)
    x = np.log(facts.pivot[fields.filters] / 6200)
    shape = np.where(np.abs(x) < 0.7, -2.5 * x**2, 0)  # u, z and y are less deep
    limits = np.take_along_axis(surveys, fields.survey, 1) + shape
    limits = limits + c.depth_band * see.normal(*limits.shape)
    return 10 ** (-0.4 * (limits - 31.4)) / 5


def _dust(see, told):
    """E(B-V) of Galactic dust left in fluxes, and the value that is told, both (n,)."""
    n, n_group = len(see.group), len(see.fields)
    typical = 0.04 * np.exp(0.6 * see.normal(n_group))[see.group]
    true = np.minimum(typical * np.exp(0.5 * see.normal(n)), 1.0)
    measured = true * (1 + 0.06 * see.normal(n)) + 0.003 * see.normal(n)
    measured = np.maximum(measured, 0)
    which = see.uniform(n_group)[see.group]
    corrected = which > (1 + told) / 2
    ebv = np.where(which < told, measured, np.where(corrected, 0, np.nan))
    return np.where(corrected, true - measured, true), ebv


def _apertures(see, pivot, c):
    """Magnitudes lost to the aperture, (n, n_slot), and the number of the aperture."""
    fields, sources = see.fields, see.sources
    n, n_group = len(sources), len(fields)
    # half-light radii: 1.5 arcsec at i = 18, falling by a factor of 1.4 a magnitude
    radius = 1.5 * 10 ** (-0.15 * (sources.mag - 18)) + 0.15
    radius = radius * np.exp(0.4 * see.normal(n))
    radius = np.where(sources.kind >= _FIRST_POINT, 0, radius)[:, None]
    fwhm = see.by_survey(fields.fwhm) * np.exp(0.1 * see.normal(*see.shape))
    which, is_told = see.uniform(n_group), see.uniform(n_group) < c.told_aperture
    size = np.where(is_told, 3.0, 6.0 ** see.uniform(n_group))
    # fluxes of points in some of the surveys, of all light in the others
    as_points = which > 1 - _POINTS
    is_circle = (which < _CIRCLE) | (as_points & (see.uniform(n_group) < 0.2))
    psf = (
        see.by_survey(see.uniform(*fields.far.shape) < 0.5)
        & as_points[see.group][:, None]
    )
    aperture = np.where(psf, 1.2 * fwhm, size[see.group][:, None])
    light = _within(aperture, radius, fwhm) / _within(aperture, 0, fwhm)
    partly = psf | is_circle[see.group][:, None]
    whole = 0.12 * see.uniform(n, 1) * (radius > 0)
    lost = np.where(partly, -2.5 * np.log10(light), whole)
    # outskirts are bluer
    gradient = (0.05 + 0.06 * see.normal(n))[:, None] * np.log(pivot / 7000)
    circle, total = aperture_number(PhotometrySpec.aperture), aperture_number("total")
    told = np.where(is_circle, circle, total)
    told = np.where(is_told & ~as_points, told, aperture_number(""))
    return lost * (1 + gradient), told[see.group]


# Shares of fluxes in circles, and of those of points in some of the surveys
_CIRCLE, _POINTS = 0.35, 0.10
_FIRST_POINT = 2  # row of KINDS from which on sources are points
_ULTRAVIOLET = 1.7


def _within(size, radius, fwhm):
    """Part of the light of a blurred disc in a circle of a radius, all in arcsec."""
    # an exponential disc as wide as the disc and the point spread function together
    x = 1.678 * size / np.sqrt(radius**2 + (0.5 * fwhm) ** 2)
    return 1 - (1 + x) * np.exp(-x)
