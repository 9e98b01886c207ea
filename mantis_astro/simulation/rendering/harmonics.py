"""Images of `Sources` as sums of plane waves, which takes most of the time."""

from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
import torch

from mantis_astro.simulation.rendering.sersic import sersic_transform

__all__ = ["Lattice", "SourceWaves", "sum_waves"]


@dataclass(frozen=True)
class Lattice:
    """
    The wave numbers of images that repeat with a period.

    Those of a quarter of the plane are kept: of real images, the others follow.

    Attributes
    ----------
    period : float
        After which images repeat, arcsec: more than the field by what a source near
        its edge may reach.
    n : int
        Wave numbers along an axis: 0, 1, ... n - 1 cycles per period.
    """

    period: float
    n: int

    @property
    def k(self):
        """Wave numbers along an axis, cycles per arcsec, shape (n,), float32."""
        return torch.arange(self.n, dtype=torch.float32) / self.period


@dataclass(frozen=True)
class SourceWaves:
    r"""
    Sources as sums of plane waves, ready to be evaluated a few at a time.

    Attributes
    ----------
    quadratic : `torch.Tensor`
        Coefficients of kx^2, kx ky and ky^2 in the squared argument of the profile's
        transform, for waves towards the upper right and upper left, shape
        (n_source, 2, 3).
    index : `torch.Tensor`
        Sersic indices, shape (n_source,).
    cos_x, sin_x, cos_y, sin_y : `torch.Tensor`
        Waves at the place of the source, shape (n_source, n).
    flux : `torch.Tensor`
        In nJy, shape (n_source, n_band).

    Notes
    -----
    With the transforms :math:`S_\pm = S(\pm k_x, k_y)` of a profile, which are real,
    and :math:`a_\pm = 2 \pi (k_y y_0 \pm k_x x_0)` for its place :math:`(x_0, y_0)`,

    .. math::
        \sum_\pm S_\pm \cos(2 \pi (k_y (y - y_0) \pm k_x (x - x_0)))

    is a sum of :math:`\cos \cos`, :math:`\sin \cos`, :math:`\cos \sin` and
    :math:`\sin \sin` (along y, along x) with the amplitudes
    :math:`S_+ \cos a_+ + S_- \cos a_-`, :math:`S_+ \sin a_+ + S_- \sin a_-`,
    :math:`S_+ \sin a_+ - S_- \sin a_-` and :math:`S_- \cos a_- - S_+ \cos a_+`.
    """

    quadratic: torch.Tensor
    index: torch.Tensor
    cos_x: torch.Tensor
    sin_x: torch.Tensor
    cos_y: torch.Tensor
    sin_y: torch.Tensor
    flux: torch.Tensor

    @classmethod
    def of(cls, sources, lattice):
        """
        Prepare sources.

        Parameters
        ----------
        sources : Sources
            The sources; their ``east`` is to the left.
        lattice : Lattice
            Wave numbers.

        Returns
        -------
        SourceWaves
            Of all sources.
        """
        sin, cos = np.sin(sources.position_angle), np.cos(sources.position_angle)
        q2, r2 = sources.axis_ratio**2, sources.radius**2
        # (k Re)^2 of the wave vector stretched along the minor axis; x is to the west
        xx, yy = r2 * (sin**2 + q2 * cos**2), r2 * (cos**2 + q2 * sin**2)
        xy = 2 * r2 * sin * cos * (q2 - 1)
        quadratic = np.stack([xx, xy, yy, xx, -xy, yy], axis=1).reshape(-1, 2, 3)
        k = 2 * np.pi * lattice.k.numpy()
        x, y = np.outer(-sources.east, k), np.outer(sources.north, k)
        arrays = quadratic, sources.sersic, np.cos(x), np.sin(x), np.cos(y), np.sin(y)
        return cls(
            *(torch.from_numpy(a.astype(np.float32)) for a in (*arrays, sources.flux))
        )

    def __getitem__(self, rows):
        """Return some of the sources."""
        return type(self)(*(getattr(self, f.name)[rows] for f in fields(self)))

    def amplitudes(self, lattice):
        """
        Compute the amplitudes of the waves, for unit flux.

        Parameters
        ----------
        lattice : Lattice
            The same wave numbers.

        Returns
        -------
        `torch.Tensor`
            Shape (n_source, 2, 2, n, n), float32: for cosine and sine along x, cosine
            and sine along y, the wave numbers along y and along x.
        """
        n = lattice.n
        x = self.quadratic.view(-1, 3) @ _products(lattice)  # (2 n_source, n * n)
        S = sersic_transform(x.view(-1, 2 * n * n), self.index).view(-1, 2, n, n)
        plus, minus = S.unbind(1)
        cos_x, sin_x = self.cos_x[:, None], self.sin_x[:, None]
        cos_y, sin_y = self.cos_y[..., None], self.sin_y[..., None]
        cc, ss = cos_y * cos_x, sin_y * sin_x  # (n_source, n, n)
        sc, cs = sin_y * cos_x, cos_y * sin_x
        A = torch.empty(len(S), 2, 2, n, n)
        cos_plus, cos_minus = plus * (cc - ss), minus * (cc + ss)
        torch.add(cos_plus, cos_minus, out=A[:, 0, 0])
        torch.sub(cos_minus, cos_plus, out=A[:, 1, 1])
        sin_plus, sin_minus = plus * (sc + cs), minus * (sc - cs)
        torch.add(sin_plus, sin_minus, out=A[:, 0, 1])
        torch.sub(sin_plus, sin_minus, out=A[:, 1, 0])
        return A


@lru_cache(maxsize=16)
def _products(lattice):
    """Compute kx^2, kx ky and ky^2, shape (3, n * n)."""
    kx, ky = torch.meshgrid(lattice.k, lattice.k, indexing="xy")
    return torch.stack([kx * kx, kx * ky, ky * ky]).flatten(1)


def sum_waves(amplitudes, lattice, shape, pixel_scale):
    """
    Add up plane waves at the pixels of a grid around the origin.

    Parameters
    ----------
    amplitudes : `torch.Tensor`
        As `SourceWaves.amplitudes` gives them, shape (..., 2, 2, m, m) for the first m
        wave numbers of the lattice along each axis.
    lattice : Lattice
        Their wave numbers.
    shape : tuple of int
        Shape (ny, nx) of the grid.
    pixel_scale : float
        Side of its pixels in arcsec.

    Returns
    -------
    `torch.Tensor`
        Flux per pixel (brightness at its centre times its area), shape (..., ny, nx).

    Notes
    -----
    Two products with the matrix of the waves for each image: for some tens of waves
    and pixels that is as fast as an FFT, pixels need not divide the period, and waves
    finer than the pixels need no folding.
    """
    m = amplitudes.shape[-1]
    Y, X = (_waves(lattice, m, side, pixel_scale) for side in shape)
    Y = Y.movedim(0, 1).reshape(shape[0], 2 * m)
    along_y = Y @ amplitudes.flatten(-3, -2)  # (..., 2, ny, m): over sine and cosine
    cos, sin = along_y.unbind(-3)
    return cos @ X[0].T + sin @ X[1].T


@lru_cache(maxsize=64)
def _waves(lattice, m, side, pixel_scale):
    """Cosines and sines at the pixels of an axis, with weights, shape (2, side, m)."""
    at = (torch.arange(side) - (side - 1) / 2) * pixel_scale
    phase = 2 * torch.pi * at[:, None] * lattice.k[:m]
    weight = torch.full((m,), 2.0)
    weight[0] = 1.0  # the axes are shared by two quarters of the plane
    weight *= pixel_scale / lattice.period / 2**0.5
    return torch.stack([phase.cos(), phase.sin()]) * weight
