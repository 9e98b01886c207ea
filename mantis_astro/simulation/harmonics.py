"""Images of `Sources` as sums of plane waves: the part that costs the time."""

from dataclasses import dataclass

import numpy as np
import torch

from mantis_astro.simulation.sersic import sersic_transform

__all__ = ["Lattice", "sum_waves", "wave_amplitudes"]


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


def wave_amplitudes(sources, lattice):
    r"""
    Compute the amplitudes of the plane waves that sources of unit flux are made of.

    Parameters
    ----------
    sources : Sources
        The sources; ``east`` is to the left of images.
    lattice : Lattice
        Wave numbers.

    Returns
    -------
    `torch.Tensor`
        Shape (n_source, 2, 2, n, n), float32: for cosine and sine along y, cosine and
        sine along x, the wave numbers along y and along x.

    Notes
    -----
    With the transforms :math:`S_\pm = S(\pm k_x, k_y)` of a profile, which are real,
    and :math:`a_\pm = 2 \pi (k_y y_0 \pm k_x x_0)` for its place :math:`(x_0, y_0)`,

    .. math::
        \sum_\pm S_\pm \cos(2 \pi (k_y (y - y_0) \pm k_x (x - x_0)))

    is a sum of :math:`\cos \cos`, :math:`\cos \sin`, :math:`\sin \cos` and
    :math:`\sin \sin` with the amplitudes :math:`S_+ \cos a_+ + S_- \cos a_-`,
    :math:`S_+ \sin a_+ - S_- \sin a_-`, :math:`S_+ \sin a_+ + S_- \sin a_-` and
    :math:`S_- \cos a_- - S_+ \cos a_+`.
    """
    k = lattice.k
    S = _transforms(sources, k)  # (n_source, 2, n, n)
    x0 = torch.from_numpy(-sources.east.astype(np.float32))
    y0 = torch.from_numpy(sources.north.astype(np.float32))
    x, y = (2 * torch.pi * k * at[:, None] for at in (x0, y0))  # (n_source, n)
    cos_x, sin_x, cos_y, sin_y = (
        x.cos()[:, None],
        x.sin()[:, None],
        y.cos()[..., None],
        y.sin()[..., None],
    )
    cc, ss = cos_y * cos_x, sin_y * sin_x  # (n_source, n, n)
    sc, cs = sin_y * cos_x, cos_y * sin_x
    plus, minus = S.unbind(1)
    A = torch.empty(len(sources), 2, 2, lattice.n, lattice.n)
    cos_plus, cos_minus = plus * (cc - ss), minus * (cc + ss)
    torch.add(cos_plus, cos_minus, out=A[:, 0, 0])
    torch.sub(cos_minus, cos_plus, out=A[:, 1, 1])
    sin_plus, sin_minus = plus * (sc + cs), minus * (sc - cs)
    torch.sub(sin_plus, sin_minus, out=A[:, 0, 1])
    torch.add(sin_plus, sin_minus, out=A[:, 1, 0])
    return A


def _transforms(sources, k):
    """Evaluate transforms at (+-kx, ky), shape (n_source, 2, n, n), float32."""
    sin, cos = np.sin(sources.position_angle), np.cos(sources.position_angle)
    q2, r2 = sources.axis_ratio**2, sources.radius**2
    # (k Re)^2 of the wave vector stretched along the minor axis; x is to the west
    xx, yy = r2 * (sin**2 + q2 * cos**2), r2 * (cos**2 + q2 * sin**2)
    xy = 2 * r2 * sin * cos * (q2 - 1)
    quadratic = np.stack([xx, xy, yy, xx, -xy, yy], axis=1).reshape(-1, 2, 3)
    kx, ky = k[None, :].expand(len(k), -1), k[:, None].expand(-1, len(k))
    products = torch.stack([kx * kx, kx * ky, ky * ky]).flatten(1)  # (3, n*n)
    quadratic = torch.from_numpy(quadratic.astype(np.float32))
    x = quadratic.flatten(0, 1) @ products  # (2 n_source, n*n)
    index = torch.from_numpy(sources.sersic.astype(np.float32))
    S = sersic_transform(x.view(len(sources), -1), index)
    return S.view(len(sources), 2, len(k), len(k))


def sum_waves(amplitudes, lattice, shape, pixel_scale):
    """
    Add up plane waves at the pixels of a grid around the origin.

    Parameters
    ----------
    amplitudes : `torch.Tensor`
        As from `wave_amplitudes`, shape (..., 2, 2, m, m) for the first m wave numbers
        of the lattice along each axis.
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
    """
    m = amplitudes.shape[-1]
    Y, X = (
        _waves(lattice.k[:m], side, pixel_scale) for side in shape
    )  # (2, half side, m) each
    weight = torch.full((m,), 2.0)
    weight[0] = 1.0  # the axes are shared by two quarters of the plane
    weight *= pixel_scale / lattice.period / 2**0.5
    Y, X = Y * weight, X * weight
    along_y = Y[:, None] @ amplitudes  # (..., 2, 2, half ny, m)
    quarter = along_y @ X.mT  # (..., 2, 2, half ny, half nx)
    (cc, cs), (sc, ss) = (part.unbind(-3) for part in quarter.unbind(-4))
    image = amplitudes.new_empty(*amplitudes.shape[:-4], *shape)
    for (even, odd), flip_x in (
        ((cc + cs, sc + ss), False),
        ((cc - cs, sc - ss), True),
    ):
        half = (
            image[..., : -(-shape[1] // 2)] if flip_x else image[..., shape[1] // 2 :]
        )
        top, bottom = even + odd, even - odd
        half[..., shape[0] // 2 :, :] = top.flip(-1) if flip_x else top
        half[..., : -(-shape[0] // 2), :] = (
            bottom.flip(-1, -2) if flip_x else bottom.flip(-2)
        )
    return image


def _waves(k, side, pixel_scale):
    """Cosines and sines at the pixels of the upper half of an axis."""
    at = (torch.arange(side // 2, side) - (side - 1) / 2) * pixel_scale
    phase = 2 * torch.pi * at[:, None] * k
    return torch.stack([phase.cos(), phase.sin()])
