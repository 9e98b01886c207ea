"""Simulated galaxies that are rendered once, for several passes and networks."""

import hashlib
import json
import logging
import warnings
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch

from mantis_astro import __version__
from mantis_astro.exceptions import InputSpecError
from mantis_astro.models.geometry import CommonGrid, SurveyGrids
from mantis_astro.models.inputs import PUBLISHED_BANDS, InputSpec
from mantis_astro.models.photometric_inputs import PhotometrySpec
from mantis_astro.models.stretches import FluxAsinhStretch
from mantis_astro.records import record, to_plain
from mantis_astro.simulation import GalaxyPopulation
from mantis_astro.training.batches.batch import ArrayData
from mantis_astro.training.batches.producer import process_context
from mantis_astro.training.data.grid_photometry import GridPhotometry
from mantis_astro.training.data.pixel_cache import HalfPrecision
from mantis_astro.training.data.simulated import SimulatedData, SimulatedGalaxies

__all__ = ["RenderedData"]

log = logging.getLogger(__name__)

_SHARD = 2048  # galaxies that a process renders before it says so
_FAR = (0.0, 100.0)  # all redshifts are kept: which are trained on is for later
# Flux in nJy of a pixel beyond which only its logarithm is kept: about its noise.
_SCALES = (200.0, 200.0, 250.0, 300.0, 350.0, 800.0, 2200.0, 200.0, 300.0)
_MAPS = ("csfd", "planck")  # whose E(B-V) the population knows
_SURVEYS = (slice(0, 2), slice(2, 7), slice(7, 9))


@record("rendered_data")
class RenderedData:
    """
    Galaxies of the simulation, rendered once and kept on disk.

    Rendering costs about as much as a step of a small network; a network that sees
    each galaxy two or three times, turned and mirrored, learns nearly as much as from
    fresh ones, and the next network finds them rendered. A rendering that was
    interrupted goes on where it was.

    Attributes
    ----------
    n : int
        Galaxies to train on; 18 kB each.
    cache : str
        Folder to keep them in, from the current one; it may be removed at any time.
    population_seed, donors, validation_donors, neighbours, radius, shape, pixel_scale
        As for `SimulatedData`.
    """

    n: int = 400_000
    cache: str = "rendered_galaxies"
    population_seed: int = 1
    donors: str = "train"
    validation_donors: str = "validation"
    neighbours: bool = True
    radius: float = 3.0
    shape: tuple = (32, 32)
    pixel_scale: float = 1.0

    def open(self, config):
        """
        Render the galaxies, or find them rendered.

        Parameters
        ----------
        config : TrainingConfig
            Says what the network reads, and how galaxies are drawn.

        Returns
        -------
        ArrayData
            The galaxies, in memory-mapped arrays.

        Raises
        ------
        ValueError
            `~mantis_astro.exceptions.InputSpecError` if the network reads something
            that is not rendered.
        """
        self._check(config.spec)
        arrays = self._rendered(config.validation.n, config.n_workers + 1)
        n_validation = len(arrays["z"]) - self.n
        return ArrayData(
            self._as_read(arrays, config.spec),
            arrays["observed"],
            arrays["ebv"][:, [_MAPS.index(name) for name in config.spec.ebv_maps]],
            arrays["z"],
            z_edges=config.z_edges,
            parts=np.repeat(["train", "validation"], [self.n, n_validation]),
            sampling=config.sampling,
            seed=config.seed,
            description=(
                f"{self.n:,} simulated galaxies (population {self.population_seed}, "
                f"spectra of {self.donors!r} donors)"
            ),
            n_of_z=GalaxyPopulation(donors=self.donors).n_of_z(config.z_edges),
        )

    def _check(self, spec):
        if tuple(spec.bands) != PUBLISHED_BANDS:
            msg = (
                f"rendered galaxies have the bands {PUBLISHED_BANDS}, not {spec.bands}"
            )
            raise InputSpecError(msg)
        unknown = set(spec.ebv_maps) - set(_MAPS)
        if unknown:
            msg = f"rendered galaxies have E(B-V) of {_MAPS}, not of {sorted(unknown)}"
            raise InputSpecError(msg)
        if isinstance(spec, PhotometrySpec):
            return
        grid = spec.geometry
        own = (tuple(self.shape), self.pixel_scale)
        if not isinstance(grid, CommonGrid) or (grid.shape, grid.pixel_scale) != own:
            msg = (
                f"galaxies are rendered with {self.shape} pixels of {self.pixel_scale} "
                f"arcsec; the network reads {grid}"
            )
            raise InputSpecError(msg)
        if not spec.in_njy:
            msg = "rendered images are in nJy: take FluxAsinhStretch"
            raise InputSpecError(msg)

    def _as_read(self, arrays, spec):
        if isinstance(spec, PhotometrySpec):
            return arrays["photometry"]
        columns = (slice(0, 9),)
        if isinstance(spec.geometry, SurveyGrids):
            columns = _SURVEYS
        scales = np.array(_SCALES, np.float32)
        return tuple(HalfPrecision(arrays["images"][:, c], scales[c]) for c in columns)

    def _rendered(self, n_validation, n_processes):
        """Arrays of all galaxies, those for validation last."""
        facts = to_plain(self) | {
            "n_validation": n_validation,
            "scales": _SCALES,
            "version": __version__,  # another one may render otherwise
        }
        del facts["cache"]
        text = json.dumps(facts, sort_keys=True)
        folder = Path(self.cache) / hashlib.sha256(text.encode()).hexdigest()[:12]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "facts.json").write_text(text)
        n = self.n + n_validation
        done_path = folder / "done.txt"
        done = set(done_path.read_text().split()) if done_path.exists() else set()
        files = _files(folder, n, self.shape, create=not done)
        jobs = [
            (self, files, start, min(start + _SHARD, stop), is_validation)
            for is_validation, first, stop in ((0, 0, self.n), (1, self.n, n))
            for start in range(first, stop, _SHARD)
            if str(start) not in done
        ]
        if jobs:
            log.info("rendering %s galaxies into %s", f"{n:,}", folder)
            with done_path.open("a") as journal:
                for count, start in enumerate(_in_processes(jobs, n_processes), 1):
                    journal.write(f"{start}\n")
                    journal.flush()
                    if count % 8 == 0:
                        log.info("rendered %d of %d parts", count, len(jobs))
        return {name: np.load(path, mmap_mode="r") for name, path in files.items()}


def _in_processes(jobs, n_processes):
    """Render jobs, and say which are done, as they are."""
    if n_processes == 1:
        yield from map(_render, jobs)
        return
    with warnings.catch_warnings():
        # threads of torch stand idle here, and a process uses none of its own
        warnings.filterwarnings("ignore", ".*multi-threaded.*fork")
        pool = process_context().Pool(n_processes, torch.set_num_threads, (1,))
    with pool:
        yield from pool.imap_unordered(_render, jobs)


def _files(folder, n, shape, *, create):
    layout = {
        "images": ((n, len(PUBLISHED_BANDS), *shape), np.float16),
        "photometry": ((n, 2, len(PUBLISHED_BANDS)), np.float32),
        "observed": ((n, len(PUBLISHED_BANDS)), bool),
        "ebv": ((n, 2), np.float32),
        "z": ((n,), np.float64),
    }
    files = {name: folder / f"{name}.npy" for name in layout}
    if create:
        for name, (size, dtype) in layout.items():
            np.lib.format.open_memmap(files[name], "w+", dtype, size).flush()
    return files


def _render(job):
    """Render galaxies from ``start`` to ``stop`` into the files, in a process."""
    data, files, start, stop, is_validation = job
    shared = {f.name for f in fields(SimulatedData)} & {f.name for f in fields(data)}
    facts = {name: getattr(data, name) for name in shared}
    first = start
    if is_validation:
        facts["population_seed"] += 1
        facts["donors"] = data.validation_donors
        first = start - data.n
    grid = CommonGrid(tuple(data.shape), data.pixel_scale)
    spec = InputSpec(PUBLISHED_BANDS, grid, tuple(map(FluxAsinhStretch, _SCALES)))
    galaxies = SimulatedGalaxies(
        SimulatedData(**facts),
        spec,
        z_edges=_FAR,
        sampling="natural",
        n_validation=0,
    )
    batch = galaxies.batch(0, first + stop - start, slice(first, None))
    (images,) = batch.images
    photometry = GridPhotometry(
        PUBLISHED_BANDS, data.shape, data.pixel_scale, data.radius
    ).measure(images.numpy())
    photometry[~batch.observed.numpy()[:, None].repeat(2, 1)] = np.nan
    scales = torch.tensor(_SCALES)[:, None, None]
    values = {
        "images": torch.asinh(images / scales).numpy(),
        "photometry": photometry,
        "observed": batch.observed.numpy(),
        "ebv": batch.ebv.numpy(),
        "z": batch.z.numpy(),
    }
    for name, path in files.items():
        array = np.load(path, mmap_mode="r+")
        array[start:stop] = values[name]
        array.flush()
    return start
