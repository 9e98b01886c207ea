"""Training data of simulated catalogues: other surveys and other noise in each step."""

from dataclasses import field
from functools import cached_property, lru_cache

import numpy as np
import torch

from mantis_astro.exceptions import InputSpecError
from mantis_astro.records import record
from mantis_astro.simulation.photometry.observing import (
    Fields,
    FilterFacts,
    SurveyConditions,
    observe,
)
from mantis_astro.simulation.photometry.sources import KINDS, draw_sources
from mantis_astro.simulation.photometry.surveys import FILTERS
from mantis_astro.training.batches.batch import TrainingBatch
from mantis_astro.training.batches.sampling import smooth_n_of_z

__all__ = ["AnyBandData", "SimulatedCatalogs"]

_TOGETHER = 8  # steps whose groups are sorted by how many filters they have
_BEYOND = 0.7  # mag by which sources may be fainter than the limit of their field
_ANY = 0.05  # share of groups with sources of any magnitude
# Of deep fields (5-sigma limit), this share has as many faint sources as the sky has:
# the rank of a source is then drawn as a uniform number to this power
_DEEP, _AS_THE_SKY, _RANK_POWER = 23.5, 0.5, 1 / 6


@record("any_band_data")
class AnyBandData:
    """
    Simulated catalogues of any surveys, for networks of any bands.

    True fluxes are computed once, in about a minute; which surveys observe a galaxy,
    how deep and with which errors is drawn afresh in every step. See
    `~mantis_astro.simulation.photometry.sources.draw_sources` for what there is in
    the sky, and `~mantis_astro.simulation.photometry.observing.SurveyConditions` for
    how it is seen.

    Attributes
    ----------
    n : int
        Galaxies, quasars and stars to train on; 0.6 kB each.
    population_seed : int
        Seed of those that are trained on; the next one is validated on.
    donors, validation_donors : str
        Whose spectra, see `~mantis_astro.simulation.GalaxyPopulation`.
    group : int
        Objects that one catalogue is drawn for.
    filters : tuple of str
        Names of sedpy's transmission curves; surveys that have others are left out.
    conditions : SurveyConditions
        How large errors are.
    """

    n: int = 400_000
    population_seed: int = 1
    donors: str = "train"
    validation_donors: str = "validation"
    group: int = 32
    filters: tuple = FILTERS
    conditions: SurveyConditions = field(default_factory=SurveyConditions)

    def open(self, config):
        """
        Draw the objects.

        Parameters
        ----------
        config : TrainingConfig
            Says how many are validated on, and what the network reads.

        Returns
        -------
        SimulatedCatalogs
            The source of batches.

        Raises
        ------
        ValueError
            `~mantis_astro.exceptions.InputSpecError` if the network does not read any
            bands, or bins are to be balanced.
        ImportError
            If kcorrect is not installed.
        """
        if not hasattr(config.spec, "describe"):
            msg = f"simulated catalogues are for networks of any bands: {config.spec}"
            raise InputSpecError(msg)
        if config.sampling != "natural":
            msg = "simulated catalogues are drawn with sampling = 'natural' only"
            raise InputSpecError(msg)
        return SimulatedCatalogs(
            self,
            config.spec,
            z_edges=config.z_edges,
            n_validation=config.validation.n,
            seed=config.seed,
        )


class SimulatedCatalogs:
    """
    Batches of simulated catalogues.

    Parameters
    ----------
    record : AnyBandData
        Which objects.
    spec : BandSetSpec
        What the network reads.
    z_edges : sequence of float
        Edges of the redshift bins; objects beyond them, and stars, have no weight.
    n_validation : int
        Objects for validation.
    seed : int
        Of the fields and the noise.

    Attributes
    ----------
    description, prior : str
        For the card of the model.
    """

    prior = (
        "n(z) at each magnitude of the simulated galaxies and quasars: about that of a "
        "magnitude-limited sample, with more of the luminous and red ones"
    )

    def __init__(self, record, spec, *, z_edges, n_validation, seed=0):
        self.record, self.n_validation, self.seed = record, n_validation, seed
        self.z_edges = np.asarray(z_edges, float)
        self.facts = FilterFacts(record.filters)
        self._described = spec.describe(record.filters)
        self.description = (
            f"{record.n:,} simulated galaxies, quasars and stars (seed "
            f"{record.population_seed}, spectra of {record.donors!r} donors) in "
            "catalogues of surveys, depths and errors drawn afresh at every step"
        )
        self._fields_of = lru_cache(maxsize=2)(self._draw_fields)

    @cached_property
    def sources(self):
        """Objects that are trained on."""
        r = self.record
        return draw_sources(
            r.n, seed=r.population_seed, donors=r.donors, filters=r.filters
        )

    @cached_property
    def n_of_z(self):
        """Share of the galaxies and quasars in each redshift bin, (n_bins,)."""
        z = self.sources.z[self.sources.kind != KINDS.index("star")]
        return smooth_n_of_z(z, self.z_edges)

    def batch(self, step, batch_size, rows=slice(None)):
        """
        Return the objects of one step.

        Parameters
        ----------
        step : int
            Number of the step; with the seed it decides all.
        batch_size : int
            Objects in the step.
        rows : slice, optional
            Those of the step that are wanted.

        Returns
        -------
        TrainingBatch
            Not yet prepared.
        """
        n_group = -(-batch_size // self.record.group)
        fields = self._fields_of(step // _TOGETHER, n_group)[step % _TOGETHER]
        rng = np.random.default_rng([self.seed, 1, step])
        batch = self._observe(self.sources, fields, rng)[:batch_size]
        return batch[rows]

    def validation(self, batch_size):
        """
        Return the objects held out for validation, without stars.

        Parameters
        ----------
        batch_size : int
            Objects at a time.

        Yields
        ------
        TrainingBatch
            Not yet prepared.
        """
        for batch in self.held_out(self.n_validation, batch_size):
            yield batch[batch.weight > 0]

    def held_out(self, n, batch_size=256):
        """
        Return objects of donors that are not trained on, stars among them.

        Parameters
        ----------
        n : int
            How many.
        batch_size : int, optional
            How many at a time.

        Yields
        ------
        TrainingBatch
            Not yet prepared.
        """
        r = self.record
        others = draw_sources(
            max(n, 1000),
            seed=r.population_seed + 1,
            donors=r.validation_donors,
            filters=r.filters,
        )
        rng = np.random.default_rng([self.seed, 2])
        for start in range(0, n, batch_size):
            size = min(batch_size, n - start)
            n_group = -(-size // r.group)
            fields = Fields.draw(n_group, self.facts, rng, r.conditions)
            yield self._observe(others, fields, rng)[:size]

    def _draw_fields(self, number, n_group):
        """Fields of some steps, those in one step with about as many filters."""
        rng = np.random.default_rng([self.seed, 0, number])
        n = _TOGETHER * n_group
        fields = Fields.draw(n, self.facts, rng, self.record.conditions)
        order = np.argsort(fields.there.sum(axis=1), kind="stable")
        order = order.reshape(_TOGETHER, n_group)[rng.permutation(_TOGETHER)]
        return [fields[rows] for rows in order]

    def _observe(self, sources, fields, rng):
        """Draw sources for some fields, and observe them."""
        size = self.record.group
        limit = np.where(rng.random(len(fields)) < _ANY, np.inf, fields.depth + _BEYOND)
        n_bright = np.maximum(np.searchsorted(sources.mag, limit), size)
        n_bright = np.minimum(np.repeat(n_bright, size), len(sources))
        as_sky = (fields.depth > _DEEP) & (rng.random(len(fields)) < _AS_THE_SKY)
        power = np.repeat(np.where(as_sky, _RANK_POWER, 1.0), size)
        index = (rng.random(len(n_bright)) ** power * n_bright).astype(int)
        seen = sources[index]
        catalog = observe(seen, fields, self.facts, rng, self.record.conditions)
        star = seen.kind == KINDS.index("star")
        inside = (seen.z >= self.z_edges[0]) & (seen.z < self.z_edges[-1])
        return TrainingBatch(
            images=(
                torch.from_numpy(catalog.flux),
                torch.from_numpy(catalog.flux_err),
                self._described[torch.from_numpy(catalog.filters)],
                torch.from_numpy(catalog.aperture),
            ),
            observed=torch.from_numpy(catalog.observed),
            ebv=torch.from_numpy(catalog.ebv[:, None]),
            z=torch.from_numpy(np.clip(seen.z, *self.z_edges[[0, -1]])),
            weight=torch.from_numpy((inside & ~star).astype(np.float32)),
            index=torch.from_numpy(index),
            star=torch.from_numpy(star),
        )
