"""Training data straight from the simulation: fresh galaxies at every step."""

from functools import cached_property

import astropy.units as u
import numpy as np
import torch

from mantis_astro.exceptions import InputSpecError
from mantis_astro.models.card import UNIFORM
from mantis_astro.models.geometry import CommonGrid, SurveyGrids
from mantis_astro.models.photometric_inputs import PhotometrySpec
from mantis_astro.records import record
from mantis_astro.training.batches.batch import TrainingBatch
from mantis_astro.training.data.grid_photometry import GridPhotometry

__all__ = ["SimulatedData", "SimulatedGalaxies"]

_MAPS = ("csfd", "planck")  # whose E(B-V) the population knows
_RAREST = 1 / 40_000  # share of a redshift bin that is not evened out any further
_CANDIDATES = 8  # drawn for each one kept, when classes are balanced
_REACH = 24 * u.arcsec  # of neighbours: half the diagonal of a grid of 32 arcsec


@record("simulated_data")
class SimulatedData:
    """
    Galaxies of the simulation; none is seen twice.

    Attributes
    ----------
    population_seed : int
        Seed of the population that is trained on; the next one is validated on.
    donors : str
        Whose spectra, see `~mantis_astro.simulation.GalaxyPopulation`.
    validation_donors : str
        The same for validation.
    neighbours : bool
        Whether there are other galaxies and stars in the images.
    radius : float
        For photometric networks, radius in arcsec of the circle in which fluxes are
        measured on the same images, corrected for what a point loses.
    shape : tuple of int
        For photometric networks, shape of those images; the others say it themselves.
    pixel_scale : float
        Likewise, in arcsec.
    """

    population_seed: int = 1
    donors: str = "train"
    validation_donors: str = "validation"
    neighbours: bool = True
    radius: float = 3.0
    shape: tuple = (32, 32)
    pixel_scale: float = 1.0

    def open(self, config):
        """
        Make the source of batches.

        Parameters
        ----------
        config : TrainingConfig
            Says what the network reads, and how galaxies are drawn.

        Returns
        -------
        SimulatedGalaxies
            The source.

        Raises
        ------
        ValueError
            `~mantis_astro.exceptions.InputSpecError` if the network reads something
            that is not simulated.
        """
        return SimulatedGalaxies(
            self,
            config.spec,
            z_edges=config.z_edges,
            sampling=config.sampling,
            n_validation=config.validation.n,
        )


class SimulatedGalaxies:
    """
    Batches of simulated galaxies.

    Parameters
    ----------
    record : SimulatedData
        Which galaxies.
    spec : InputSpec or PhotometrySpec
        What the network reads.
    z_edges : sequence of float
        Edges of the redshift bins; galaxies beyond them have no weight.
    sampling : {"natural", "class-balanced"}
        How they are drawn.
    n_validation : int
        Galaxies for validation; always drawn as they are.

    Attributes
    ----------
    description, prior : str
        For the card of the model.
    """

    def __init__(self, record, spec, *, z_edges, sampling, n_validation):
        self.record, self.spec, self.sampling = record, spec, sampling
        self.n_validation = n_validation
        self.z_edges = np.asarray(z_edges, float)
        unknown = set(spec.ebv_maps) - set(_MAPS)
        if unknown:
            msg = f"simulated galaxies have E(B-V) of {_MAPS}, not of {sorted(unknown)}"
            raise InputSpecError(msg)
        if self.is_photometric:
            self.shape, self.pixel_scale = record.shape, record.pixel_scale
        elif isinstance(spec.geometry, CommonGrid):
            self.shape, self.pixel_scale = (
                spec.geometry.shape,
                spec.geometry.pixel_scale,
            )
            if not spec.in_njy:
                msg = "simulated images are in nJy: take FluxAsinhStretch"
                raise InputSpecError(msg)
        else:
            msg = (
                "simulated images are made on a common grid: the geometry must be "
                f"CommonGrid or SurveyGrids, got {spec.geometry}"
            )
            raise InputSpecError(msg)
        self.description = (
            f"simulated galaxies (population {record.population_seed}, spectra of "
            f"{record.donors!r} donors), drawn afresh at every step"
        )
        self.prior = "n(z) of the simulated population"
        if sampling == "class-balanced":
            self.prior = UNIFORM

    @property
    def is_photometric(self):
        """Whether fluxes are measured on the images."""
        return isinstance(self.spec, PhotometrySpec)

    def batch(self, step, batch_size, rows=slice(None)):
        """
        Return the galaxies of one step.

        Parameters
        ----------
        step : int
            Number of the step.
        batch_size : int
            Galaxies in the step.
        rows : slice, optional
            Those of the step that are wanted.

        Returns
        -------
        TrainingBatch
            Not yet augmented or prepared.
        """
        if self.sampling == "natural":
            first, n = step * batch_size, batch_size
            start, stop, _ = rows.indices(n)
            sample = self._training.draw(stop - start, start=first + start)
            return self._observe(sample, self._training, first + start)
        n = _CANDIDATES * batch_size
        candidates = self._training.draw(n, start=step * n)
        chosen, weight = self._balance(candidates.z, step, batch_size)
        sample = candidates[chosen[rows]]
        batch = self._observe(sample, self._training, 0, weight[rows])
        index = torch.from_numpy(step * n + chosen[rows])
        return TrainingBatch(**{**vars(batch), "index": index})

    def validation(self, batch_size):
        """
        Return the galaxies held out for validation.

        Parameters
        ----------
        batch_size : int
            Galaxies at a time.

        Yields
        ------
        TrainingBatch
            Not yet prepared.
        """
        for batch in self.held_out(self.n_validation, batch_size):
            yield batch[batch.weight > 0]

    def held_out(self, n, batch_size):
        """
        Return galaxies of the population that is not trained on, at its natural n(z).

        Parameters
        ----------
        n : int
            How many.
        batch_size : int
            How many at a time.

        Yields
        ------
        TrainingBatch
            Those beyond the redshift bins have no weight.
        """
        for start in range(0, n, batch_size):
            size = min(batch_size, n - start)
            sample = self._validation.draw(size, start=start)
            yield self._observe(sample, self._validation, start)

    @cached_property
    def _training(self):
        return self._population(self.record.population_seed, self.record.donors)

    @cached_property
    def _validation(self):
        seed = self.record.population_seed + 1
        return self._population(seed, self.record.validation_donors)

    def _population(self, seed, donors):
        from mantis_astro.simulation.population.galaxies import GalaxyPopulation

        return GalaxyPopulation(seed, donors=donors, bands=self.spec.bands)

    @cached_property
    def n_of_z(self):
        """Share of the population in each redshift bin, (n_bins,)."""
        return self._training.n_of_z(self.z_edges)

    def _balance(self, z, step, batch_size):
        """
        Choose candidates so that each redshift bin comes equally often.

        Candidates are kept in proportion to the rarity of their bin, as far as there
        are enough of them; what is lacking is made up for by weights. By order
        sampling (Rosen 1997, J. Stat. Plan. Inference 62, 159) there are always as
        many as wanted.
        """
        bins = np.searchsorted(self.z_edges, z, side="right") - 1
        inside = (bins >= 0) & (bins < len(self.n_of_z))
        share = self.n_of_z[np.where(inside, bins, 0)]
        wanted = 1 / np.maximum(share, _RAREST)
        wanted = np.where(inside, wanted, 0) / np.count_nonzero(self.n_of_z)
        chance = _inclusion(wanted / len(z) * batch_size, batch_size)
        u01 = np.random.default_rng([self.record.population_seed, step]).random(len(z))
        with np.errstate(divide="ignore"):
            order = u01 / (1 - u01) / np.maximum(chance / (1 - chance), 1e-12)
        chosen = np.sort(np.argpartition(order, batch_size)[:batch_size])
        weight = wanted[chosen] / len(z) * batch_size / chance[chosen]
        return chosen, weight / weight.mean()

    def _observe(self, sample, population, first, weight=None):
        """Take images of a sample, and measure them if that is what is read."""
        n = len(sample)
        images, observed = _images(
            population,
            sample,
            shape=self.shape,
            pixel_scale=self.pixel_scale,
            neighbours=self.record.neighbours,
        )
        columns = [_MAPS.index(name) for name in self.spec.ebv_maps]
        weight = self._is_inside(sample.z) if weight is None else weight
        return TrainingBatch(
            images=self._as_read(images, observed),
            observed=torch.from_numpy(observed),
            ebv=torch.from_numpy(sample.ebv_maps[:, columns].astype(np.float32)),
            z=torch.from_numpy(np.clip(sample.z, *self.z_edges[[0, -1]])),
            weight=torch.from_numpy(weight.astype(np.float32)),
            index=torch.arange(first, first + n),
        )

    def _is_inside(self, z):
        return (z >= self.z_edges[0]) & (z < self.z_edges[-1])

    def _as_read(self, images, observed):
        if self.is_photometric:
            measured = self._photometry.measure(images.numpy())
            measured[~np.broadcast_to(observed[:, None], measured.shape)] = np.nan
            return torch.from_numpy(measured)
        if isinstance(self.spec.geometry, SurveyGrids):
            surveys = [band.split(".")[0] for band in self.spec.bands]
            counts = [surveys.count(name) for name in dict.fromkeys(surveys)]
            return tuple(part.contiguous() for part in images.split(counts, 1))
        return (images,)

    @cached_property
    def _photometry(self):
        return GridPhotometry(
            self.spec.bands, self.shape, self.pixel_scale, self.record.radius
        )


def _images(population, sample, *, shape, pixel_scale, neighbours):
    from mantis_astro.simulation.population.scenes import draw_scenes
    from mantis_astro.simulation.rendering.observation import observe_grid

    sources = draw_scenes(population, sample, radius=_REACH, neighbours=neighbours)
    return observe_grid(
        sources, len(sample), keys=sample.key, shape=shape, pixel_scale=pixel_scale
    )


def _inclusion(size, n):
    """Chances in proportion to a size, none above 1, that add up to n."""
    chance = np.minimum(size * n / size.sum(), 1)
    for _ in range(20):
        free = chance < 1
        left = n - np.count_nonzero(~free)
        scaled = size * (left / size[free].sum())
        new = np.where(free, np.minimum(scaled, 1), 1)
        if np.allclose(new, chance):
            break
        chance = new
    return np.clip(chance, 0, 1 - 1e-9)
