"""Building blocks of the noise of all surveys."""

from dataclasses import dataclass

import numpy as np
import torch

from mantis_astro.bands import get_survey
from mantis_astro.fluxes import njy_from_ab

__all__ = [
    "Depth",
    "draw_normal",
    "generator_of",
    "njy_per_unit",
    "spread",
    "toeplitz",
]

_SALT = 0x40153


@dataclass(frozen=True, eq=False)
class Depth:
    """
    Depth of the images of many targets, as tensors.

    Attributes
    ----------
    unit : `torch.Tensor`
        Flux of one pixel unit as served, nJy, shape (n, n_band).
    sky, exposure_time, noise : `torch.Tensor`
        As `Conditions` have them, shape (n, n_band).
    """

    unit: torch.Tensor
    sky: torch.Tensor
    exposure_time: torch.Tensor
    noise: torch.Tensor

    @classmethod
    def of(cls, conditions):
        """
        Read the depth off the conditions.

        Parameters
        ----------
        conditions : Conditions
            Of all targets and bands.

        Returns
        -------
        Depth
            Single precision.
        """
        arrays = (
            njy_per_unit(conditions.bands, conditions.exposure_time),
            conditions.sky,
            conditions.exposure_time,
            conditions.noise,
        )
        return cls(*(torch.from_numpy(x.astype(np.float32)) for x in arrays))

    def __getitem__(self, part):
        """Return the depth of the chosen targets and bands."""
        return type(self)(
            self.unit[part], self.sky[part], self.exposure_time[part], self.noise[part]
        )


def generator_of(key, draw=0, *, salt=0):
    """
    Make the generator of the noise of one target.

    Parameters
    ----------
    key : int
        Its key, of which the low 32 bits count.
    draw : int, optional
        Another number, another noise.
    salt : int, optional
        Another number, another noise, whatever the draws.

    Returns
    -------
    `torch.Generator`
        On the CPU.
    """
    seed = (int(key) ^ _SALT ^ salt) + 0x9E3779B97F4A7C15 * draw
    return torch.Generator().manual_seed(seed % 2**63)


def draw_normal(generators, *shape):
    """
    Draw normal numbers for each target.

    Parameters
    ----------
    generators : sequence of `torch.Generator`
        One for each target.
    *shape : int
        Shape for one.

    Returns
    -------
    `torch.Tensor`
        Shape (n, *shape), float32.
    """
    normal = torch.empty(len(generators), *shape)
    for row, generator in zip(normal, generators, strict=True):
        row.normal_(generator=generator)
    return normal


def njy_per_unit(bands, exposure_time):
    """
    Flux of one pixel unit as each survey serves it.

    Parameters
    ----------
    bands : sequence of Band
        The bands.
    exposure_time : `~numpy.ndarray`
        Seconds, shape (n, n_band).

    Returns
    -------
    `~numpy.ndarray`
        In nJy, shape (n, n_band).
    """
    zero_point = np.array([band.zero_point + band.vega_to_ab for band in bands])
    summed = np.array([get_survey(b.survey).summed_over_exposure for b in bands])
    seconds = np.where(summed, exposure_time, 1.0)
    return njy_from_ab(zero_point) / seconds


def toeplitz(taps, n):
    """
    Make the matrix of a convolution along an axis.

    Parameters
    ----------
    taps : `~numpy.ndarray`
        Kernel, symmetric, of odd length.
    n : int
        Length of what comes out.

    Returns
    -------
    `torch.Tensor`
        Shape (n, n + len(taps) - 1), float32.
    """
    matrix = np.zeros((n, n + len(taps) - 1), np.float32)
    for i in range(n):
        matrix[i, i : i + len(taps)] = taps
    return torch.from_numpy(matrix)


def spread(white, taps, axis):
    """
    Convolve along an axis with a short kernel.

    Parameters
    ----------
    white : `torch.Tensor`
        Any shape.
    taps : sequence of float
        Kernel, symmetric, of odd length.
    axis : int
        The axis.

    Returns
    -------
    `torch.Tensor`
        Shorter by ``len(taps) - 1`` along the axis.
    """
    reach = len(taps) // 2
    n = white.shape[axis] - 2 * reach
    out = taps[reach] * white.narrow(axis, reach, n)
    for k in range(reach):
        pair = white.narrow(axis, k, n) + white.narrow(axis, 2 * reach - k, n)
        out += taps[k] * pair
    return out
