"""`SimulatedSky`: a sky full of simulated galaxies, as a source of cutouts."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Column

from mantis_astro.bands import BANDS, get_band, get_bands, get_survey
from mantis_astro.cutouts import NO_COVERAGE, OK
from mantis_astro.simulation.instruments.conditions import draw_conditions
from mantis_astro.simulation.instruments.registry import get_instrument
from mantis_astro.simulation.population.counts import DEFAULT_MIX
from mantis_astro.simulation.population.galaxies import GalaxyPopulation
from mantis_astro.simulation.population.scenes import draw_scenes
from mantis_astro.simulation.rendering.native import render_cutouts
from mantis_astro.simulation.uniforms import keys_of, uniforms

if TYPE_CHECKING:
    from astropy.table import QTable

    from mantis_astro.bands import Band, BandLike
    from mantis_astro.cutouts.source import CutoutResult
    from mantis_astro.simulation.population.galaxies import GalaxySample
    from mantis_astro.store import CutoutStore

__all__ = ["SimulatedSky"]

_CHUNK = 32  # targets rendered together
_KEPT = 16  # targets whose images are kept, for servers that ask band by band (10 MB)
_PLACES = 16  # tries for a position that surveys look at
_PER_DEGREE = 3.6e5  # positions are multiples of 0.01 arcsec
_SALT = 9
_LEAST_LATITUDE = 20.0  # degrees


@dataclass(frozen=True)
class SimulatedSky:
    """
    Simulated sky with a galaxy at every requested position.

    It is a `~mantis_astro.cutouts.CutoutSource`: its images are those that GALEX,
    Pan-STARRS1 and unWISE (and surveys of one's own) would serve of the galaxies of
    `GalaxyPopulation` and their neighbours. Everything follows from the seed and the
    position.

    Parameters
    ----------
    seed : int
        Another seed, another sky.
    mix : tuple of Subsample
        Which surveys pick the galaxies, see `GalaxyPopulation`.
    donors : {"all", "train", "validation", "test"}
        Whose spectra, see `GalaxyPopulation`.
    neighbours : bool
        False for the targets alone.
    more_bands : sequence of Band or str
        Bands of other surveys that the sky has images of, beside the nine of GALEX,
        Pan-STARRS1 and unWISE; each survey needs an instrument, see
        `register_instrument`, and its bands stand next to each other.

    Attributes
    ----------
    bands : tuple of Band
        All bands that the sky has images of.

    Raises
    ------
    ValueError
        If the mix is empty, donors are none of these, or a survey has no instrument.
    ImportError
        If kcorrect is not installed.

    Notes
    -----
    GALEX is missing for 30 % of positions, Pan-STARRS1 south of its limit, single bands
    here and there (`~mantis_astro.simulation.draw_conditions`); such bands
    have the status ``no_coverage``.

    Galaxies at two positions know nothing of each other: two targets closer than an
    image is wide do not show in each other's images.

    Examples
    --------
    >>> from mantis_astro import SimulatedSky
    >>> from astropy.coordinates import SkyCoord
    >>> sky = SimulatedSky(seed=1)
    >>> table = sky.catalog(2)
    >>> table.colnames[:4]
    ['id', 'ra', 'dec', 'z_spec']
    >>> coords = SkyCoord(table["ra"], table["dec"])
    >>> for index, cutouts, statuses in sky.iter_cutouts(coords, ["ps1.g", "ps1.r"]):
    ...     print(index, cutouts["ps1.r"].shape)
    0 (170, 170)
    1 (170, 170)
    """

    seed: int = 0
    mix: tuple = field(default=DEFAULT_MIX, kw_only=True)
    donors: str = field(default="all", kw_only=True)
    neighbours: bool = field(default=True, kw_only=True)
    more_bands: tuple = field(default=(), kw_only=True)

    def __post_init__(self):
        object.__setattr__(self, "more_bands", tuple(map(get_band, self.more_bands)))
        for band in self.more_bands:
            get_instrument(band.survey)
        population = GalaxyPopulation(
            self.seed,
            mix=self.mix,
            donors=self.donors,
            bands=(*BANDS, *self.more_bands),
        )
        object.__setattr__(self, "population", population)
        object.__setattr__(self, "_seen", _Memory(_KEPT))

    def __getstate__(self):
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def __setstate__(self, state):
        for name, value in state.items():
            object.__setattr__(self, name, value)
        self.__post_init__()

    @property
    def bands(self) -> tuple[Band, ...]:
        """All bands that the sky has images of."""
        return self.population.bands  # type: ignore[attr-defined]

    def catalog(self, n: int, start: int = 0) -> QTable:
        """
        Make a catalogue of targets, as a spectroscopic survey would.

        Parameters
        ----------
        n : int
            How many.
        start : int, optional
            Number of the first; a row is the same whatever else is asked for.

        Returns
        -------
        `~astropy.table.QTable`
            ``id``, ``ra``, ``dec``, then as `GalaxySample.to_table`. Positions are
            where Pan-STARRS1 looks, more than 20 degrees from the Galactic plane.

        Raises
        ------
        ValueError
            If a number is negative.
        """
        if n < 0 or start < 0:
            msg = f"'n' and 'start' must not be negative, got {n} and {start}"
            raise ValueError(msg)
        index = np.arange(start, start + n)
        ra, dec = _places(keys_of(self.seed, index, salt=_SALT))
        table = self.sample(SkyCoord(ra, dec, unit="deg")).to_table()
        for place, column in enumerate((ra * u.deg, dec * u.deg)):
            table.add_column(column, index=place, name=("ra", "dec")[place])
        table.add_column(Column(index), index=0, name="id")
        table.meta["simulation"] = {"seed": self.seed, "donors": self.donors}
        return table

    def sample(self, coords: SkyCoord) -> GalaxySample:
        """
        Return all true properties of the galaxies at positions.

        Parameters
        ----------
        coords : `~astropy.coordinates.SkyCoord`
            Positions, shape (n,).

        Returns
        -------
        GalaxySample
            What is true of them.
        """
        return self.population.draw_at(coords)  # type: ignore[attr-defined]

    def redshift(self, coord: SkyCoord) -> float | np.ndarray:
        """
        Return the redshifts of the galaxies at positions.

        Parameters
        ----------
        coord : `~astropy.coordinates.SkyCoord`
            One position, or several.

        Returns
        -------
        float or `~numpy.ndarray`
            Redshift, of the shape of the positions.
        """
        z = self.sample(coord.reshape(-1)).z
        return float(z[0]) if coord.isscalar else z.reshape(coord.shape)

    def observed(
        self, coords: SkyCoord, bands: Iterable[BandLike] = BANDS
    ) -> np.ndarray:
        """
        Return which bands have images, without rendering them.

        Parameters
        ----------
        coords : `~astropy.coordinates.SkyCoord`
            Positions, shape (n,).
        bands : sequence of Band or str, optional
            Bands wanted.

        Returns
        -------
        `~numpy.ndarray` of bool
            Shape (n, n_band); False for bands that the sky does not have.

        Examples
        --------
        >>> from mantis_astro import SimulatedSky
        >>> from astropy.coordinates import SkyCoord
        >>> south = SkyCoord([10.0], [-40.0], unit="deg")
        >>> SimulatedSky(seed=1).observed(south, ["ps1.g", "unwise.W1"])
        array([[False,  True]])
        """
        bands = get_bands(bands)
        ours = [j for j, band in enumerate(bands) if band in self.bands]
        observed = np.zeros((len(coords), len(bands)), bool)
        if ours:
            sample = self.sample(coords)
            conditions = self._conditions(sample, coords, [bands[j] for j in ours])
            observed[:, ours] = conditions.observed
        return observed

    def iter_cutouts(
        self, coords: SkyCoord, bands: Iterable[BandLike] = BANDS
    ) -> Iterator[CutoutResult]:
        """
        Yield the cutouts of each position.

        Parameters
        ----------
        coords : `~astropy.coordinates.SkyCoord`
            Positions, shape (n,).
        bands : sequence of Band or str, optional
            Bands wanted. An image is the same whichever others are. There are images
            of ``self.bands``.

        Yields
        ------
        index : int
            Index into ``coords``, in order.
        cutouts : MultibandCutout
            The bands that a survey has of this position.
        statuses : dict of Band to CutoutStatus
            ``no_coverage`` for the others.
        """
        bands = get_bands(bands)
        for start in range(0, len(coords), _CHUNK):
            some = coords[start : start + _CHUNK]
            for i, cutouts in enumerate(self._look(some)):
                there = cutouts.bands
                statuses = {b: OK if b in there else NO_COVERAGE for b in bands}
                yield start + i, cutouts.select(set(there) & set(bands)), statuses

    def fill_store(
        self, store: CutoutStore, coords: SkyCoord, bands: Iterable[BandLike] = BANDS
    ) -> Iterator[int]:
        """
        Add the cutouts of positions to a store, except those it has.

        Parameters
        ----------
        store : `~mantis_astro.CutoutStore`
            Open for changes.
        coords : `~astropy.coordinates.SkyCoord`
            Positions, shape (n,).
        bands : sequence of Band or str, optional
            Bands wanted.

        Yields
        ------
        int
            How many positions are in the store now, again and again; what is yielded
            is safe on disk.
        """
        bands = get_bands(bands)
        for start in range(0, len(coords), _CHUNK):
            some = coords[start : start + _CHUNK]
            lacking = some[store.missing(some, bands).any(axis=1)]
            store.add_many(
                (None, lacking[i], cutouts, statuses)
                for i, cutouts, statuses in self.iter_cutouts(lacking, bands)
            )
            yield start + len(some)

    def _look(self, coords):
        """All images of some positions, from memory if they were seen just now."""
        sample = self.sample(coords)
        found = [self._seen.get(key) for key in sample.key.tolist()]
        rows = [i for i, cutouts in enumerate(found) if cutouts is None]
        if rows:
            for i, cutouts in zip(
                rows, self._render(sample[rows], coords[rows]), strict=True
            ):
                found[i] = cutouts
                self._seen.put(int(sample.key[i]), cutouts)
        return found

    def _render(self, sample, coords):
        sources = draw_scenes(self.population, sample, neighbours=self.neighbours)
        conditions = self._conditions(sample, coords, self.bands)
        return render_cutouts(sources, coords, conditions=conditions)

    @staticmethod
    def _conditions(sample, coords, bands):
        conditions = draw_conditions(sample.key, bands=bands)
        dec = coords.icrs.dec
        for j, band in enumerate(conditions.bands):
            limit = get_survey(band.survey).declination_limit
            if limit is not None:
                conditions.observed[dec <= limit, j] = False
        return conditions


class _Memory:
    """The last few values that were put in, for several threads."""

    def __init__(self, size):
        self._size, self._values, self._lock = size, OrderedDict(), threading.Lock()

    def get(self, key):
        with self._lock:
            return self._values.get(key)

    def put(self, key, value):
        with self._lock:
            self._values[key] = value
            if len(self._values) > self._size:
                self._values.popitem(last=False)


def _places(keys):
    """Positions in degrees where surveys of galaxies look."""
    limit = get_survey("ps1").declination_limit
    u01 = uniforms(keys, 2 * _PLACES).reshape(-1, _PLACES, 2)
    ra = 360 * u01[..., 0]
    dec = np.degrees(np.arcsin(2 * u01[..., 1] - 1))
    ra, dec = (np.round(x * _PER_DEGREE) / _PER_DEGREE for x in (ra, dec))
    coords = SkyCoord(ra, dec, unit="deg")
    good = (coords.dec > limit + 0.5 * u.deg) & (
        np.abs(coords.galactic.b.deg) > _LEAST_LATITUDE
    )
    first = good.argmax(axis=1)  # half of the places are good: 16 are never all bad
    rows = np.arange(len(keys))
    return ra[rows, first], dec[rows, first]
