"""Random changes of the pixels and fluxes of batches, in torch."""

from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional

from mantis_astro.bands import get_band

__all__ = ["Augmentation"]

_MASK_CHANCE = 0.25


class Augmentation:
    """
    Random changes of batches, decided by the seed and the number of the step.

    Parameters
    ----------
    config : AugmentationConfig
        What is done, and how strongly.
    bands : sequence of str
        Bands, in order; none for measurements in any bands, see `BandSetSpec`.
    seed : int
        Of all random numbers.
    """

    def __init__(self, config, bands, *, seed):
        self.config, self.seed = config, seed
        self._any_bands = not bands
        if self._any_bands:
            return
        bands = [get_band(band) for band in bands]
        surveys = [band.survey for band in bands]
        names = list(dict.fromkeys(surveys))
        self._survey = torch.tensor([names.index(survey) for survey in surveys])
        self._n_survey = len(names)
        infrared = torch.tensor([survey == "unwise" for survey in surveys])
        self._zero_point = torch.where(
            infrared, config.zero_point_unwise, config.zero_point
        )
        pivot = np.log([band.pivot.to_value("um") for band in bands])
        x = (pivot - pivot.mean()) / max(np.ptp(pivot) / 2, 1e-9)
        waves = [np.ones(len(bands)), x, 1.5 * x**2 - 0.5, 2.5 * x**3 - 1.5 * x]
        self._smooth = torch.tensor(np.array(waves), dtype=torch.float32)

    def __call__(self, batch, step, batch_size, rows=slice(None)):
        """
        Change a batch.

        Parameters
        ----------
        batch : TrainingBatch
            As data give it.
        step : int
            Number of the step.
        batch_size : int
            Galaxies in the step, of all processes together.
        rows : slice, optional
            Those of the step that the batch holds.

        Returns
        -------
        TrainingBatch
            Another batch; the given one is not changed.
        """
        config = self.config
        draw = _Draws(self.seed, step, batch_size, rows)
        if self._any_bands:
            return self._change_measurements(batch, draw)
        batch = self._drop_bands(batch, draw)
        batch = self._scale(batch, draw)
        if isinstance(batch.images, tuple):
            batch = self._change_images(batch, draw)
        elif config.extra_noise:
            flux, error = batch.images.unbind(1)
            extra = config.extra_noise * draw.uniform(1) * error
            noise = torch.nan_to_num(extra) * draw.normal(flux.shape[1])
            images = torch.stack([flux + noise, torch.hypot(error, extra)], 1)
            batch = replace(batch, images=images)
        if config.ebv:
            noise = draw.normal(batch.ebv.shape[1])
            ebv = (batch.ebv * (1 + config.ebv * noise)).clamp(min=0)
            batch = replace(batch, ebv=ebv)
        return batch

    def _change_measurements(self, batch, draw):
        """Drop, scale and blur fluxes of any bands."""
        config = self.config
        flux, error, *rest = batch.images
        n_slot = flux.shape[1]
        keep = draw.uniform(n_slot) >= config.drop_band
        shift = config.zero_point * draw.normal(n_slot)
        factor = 10 ** (0.4 * shift)  # (n_object, n_slot)
        flux, error = flux * factor, error * factor
        extra = config.extra_noise * draw.uniform(1) * error
        flux = flux + torch.nan_to_num(extra) * draw.normal(n_slot)
        images = (flux, torch.hypot(error, extra), *rest)
        return replace(_without(batch, ~keep), images=images)

    def _drop_bands(self, batch, draw):
        config, n_band = self.config, len(self._survey)
        if not (config.drop_band or config.drop_survey):
            return batch
        drop = draw.uniform(n_band) < config.drop_band
        surveys = draw.uniform(self._n_survey) < config.drop_survey
        return _without(batch, drop | surveys[:, self._survey])

    def _scale(self, batch, draw):
        """Multiply bands: zero points, and smooth errors of the spectrum."""
        config, n_band = self.config, len(self._survey)
        shift = 0.0
        if config.zero_point or config.zero_point_unwise:
            shift = self._zero_point * draw.normal(n_band)
        if config.template_error:
            waves = draw.normal(len(self._smooth)) @ self._smooth
            shift = shift + config.template_error / 2 * waves  # of four terms
        if isinstance(shift, float):
            return batch
        factor = 10 ** (0.4 * shift)  # (n_object, n_band)
        if not isinstance(batch.images, tuple):
            return replace(batch, images=batch.images * factor[:, None])
        planes = tuple(
            plane * part[:, :, None, None]
            for plane, part in _with_bands(batch.images, factor)
        )
        return replace(batch, images=planes)

    def _change_images(self, batch, draw):
        config, planes = self.config, batch.images
        if config.max_shift:
            offset = config.max_shift * (2 * draw.uniform(2) - 1)
            planes = tuple(_shifted(plane, offset) for plane in planes)
        if config.dihedral:
            turns = draw.integers(8)
            planes = tuple(_turned(plane, turns) for plane in planes)
        if config.extra_noise:
            amount = config.extra_noise * draw.uniform(1)[..., None, None]
            planes = tuple(
                plane + amount * _scatter(plane) * draw.normal(*plane.shape[1:])
                for plane in planes
            )
        if config.mask_pixels:
            planes = tuple(
                plane * ~_rectangles(plane, config.mask_pixels, draw)
                for plane in planes
            )
        return replace(batch, images=planes)


def _without(batch, dropped):
    """Leave out measurements, but not all of a galaxy."""
    left = batch.observed & ~dropped
    nothing = ~left.any(1, keepdim=True)
    return replace(batch, observed=torch.where(nothing, batch.observed, left))


class _Draws:
    """
    Random numbers of one step, of which a process keeps its own rows.

    Every process draws the numbers of the whole step, so that each galaxy gets the
    same ones however many processes there are.
    """

    def __init__(self, seed, step, n, rows):
        state = np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)
        self._generator = torch.Generator().manual_seed(int(state[0] >> np.uint64(1)))
        self._n, self._rows = n, rows

    def uniform(self, *shape):
        return torch.rand(self._n, *shape, generator=self._generator)[self._rows]

    def normal(self, *shape):
        return torch.randn(self._n, *shape, generator=self._generator)[self._rows]

    def integers(self, n):
        numbers = torch.randint(n, (self._n,), generator=self._generator)
        return numbers[self._rows]


def _with_bands(planes, values):
    """Pair each plane with the columns of its bands."""
    start = 0
    for plane in planes:
        stop = start + plane.shape[1]
        yield plane, values[:, start:stop]
        start = stop


def _turned(plane, turns):
    """Convert each image to one of eight orientations."""
    out = torch.empty_like(plane)
    for turn in range(8):
        chosen = turns == turn
        x = torch.rot90(plane[chosen], turn % 4, (-2, -1))
        out[chosen] = x.flip(-1) if turn >= 4 else x
    return out


def _shifted(plane, offset):
    """Shift each image by (x, y) pixels; bicubic, 0 from beyond the edges."""
    n, _, ny, nx = plane.shape
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = 1
    theta[:, :, 2] = -2 * offset / torch.tensor([nx, ny])
    grid = functional.affine_grid(theta, plane.shape, align_corners=False)
    return functional.grid_sample(plane, grid, mode="bicubic", align_corners=False)


def _scatter(plane):
    """Noise of each band, from the median size of its pixels' differences."""
    difference = (plane[..., 1:] - plane[..., :-1]).flatten(2).abs()
    return (difference.median(2).values * 1.0483)[..., None, None]  # 1.4826 / sqrt(2)


def _rectangles(plane, share, draw):
    """Whether pixels lie in a random rectangle, for one band in four."""
    n_band, ny, nx = plane.shape[1:]
    side = (share * draw.uniform(n_band)).sqrt()
    start = draw.uniform(2, n_band) * (1 - side[:, None])
    hit = draw.uniform(n_band) < _MASK_CHANCE

    def inside(low, n):
        at = (torch.arange(n) + 0.5) / n
        low = low[..., None]
        return (at >= low) & (at < low + side[..., None])

    rows, columns = inside(start[:, 0], ny), inside(start[:, 1], nx)
    return rows[..., :, None] & columns[..., None, :] & hit[..., None, None]
