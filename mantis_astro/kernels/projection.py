"""The tangent kernel of networks of any size, by random projection of gradients."""

import warnings

import torch
from torch.func import jvp

from mantis_astro.kernels.base import Kernel
from mantis_astro.kernels.inputs import (
    NetworkFunction,
    count_samples,
    iter_blocks,
    take_samples,
)
from mantis_astro.kernels.tangent import require_differentiable

__all__ = ["ProjectedNTK"]


class ProjectedNTK(Kernel):
    """
    Estimate of the empirical tangent kernel from random directions of the parameters.

    Parameters
    ----------
    module : `torch.nn.Module`
        The network, of any size. Its weights are read at each call and never changed.
    n_directions : int
        Number of directions; the error falls as its inverse root.
    seed : int
        Seed of the directions; kernels of one seed and module belong together.
    dtype : `torch.dtype`, optional
        ``torch.float32`` or ``torch.float64``; by default the module's own, and
        float32 for a module in half precision.
    output : callable, optional
        Picks the tensor from what the module returns; see `EmpiricalNTK`.
    batch : int, optional
        Samples that go through the network at once.

    Raises
    ------
    TypeError
        If ``module`` is no module.
    ValueError
        If ``n_directions`` is not positive.

    Notes
    -----
    With entries of v that are +1 or -1 at random, ``E[(J v)(J v)^T] = J J^T``: the
    features ``J v_k / sqrt(n_directions n_out)`` have the tangent kernel as the mean
    of their Gram matrix. ``J v`` is one forward pass with tangents
    (`torch.func.jvp`), so no gradient is ever held.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from mantis_astro.kernels import EmpiricalNTK, ProjectedNTK
    >>> _ = torch.manual_seed(0)
    >>> network = nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 1))
    >>> x = torch.randn(4, 2)
    >>> exact = EmpiricalNTK(network).gram(x)
    >>> estimate = ProjectedNTK(network, n_directions=2000, seed=1).gram(x)
    >>> bool((estimate - exact).norm() < 0.1 * exact.norm())
    True
    """

    def __init__(
        self, module, *, n_directions, seed, dtype=None, output=None, batch=256
    ):
        if n_directions < 1:
            msg = f"'n_directions' must be positive, got {n_directions}"
            raise ValueError(msg)
        self._function = NetworkFunction(module, dtype=dtype, output=output)
        self.module, self.n_directions, self.seed = module, n_directions, seed
        self.batch = batch

    def features(self, x):
        """
        Differentiate the outputs along each direction.

        Parameters
        ----------
        x : tensor, array, or tuple or mapping of such
            What the module reads; first axes n.

        Returns
        -------
        `torch.Tensor`
            Shape (n, n_directions * n_out).

        Raises
        ------
        ValueError
            If the module is in training mode with layers for which that matters, or
            has no gradient.
        """
        self._function.require_independent()
        x = self._function.prepare(x)
        n_out = require_differentiable(self._function, x)
        parameters = self._function.parameters()
        constants = self._function.constants()
        generator = torch.Generator().manual_seed(self.seed)
        n = count_samples(x)
        features = torch.empty(
            n,
            self.n_directions,
            n_out,
            dtype=self._function.dtype,
            device=self._function.device,
        )
        for k in range(self.n_directions):
            direction = {
                name: _signs(value, generator) for name, value in parameters.items()
            }
            for rows in iter_blocks(n, self.batch):
                part = take_samples(x, rows)
                features[rows, k] = _derivative(
                    lambda p, part=part: self._function(p, constants, part),
                    parameters,
                    direction,
                ).flatten(1)
        return features.flatten(1) / (self.n_directions * n_out) ** 0.5


def _derivative(function, parameters, direction):
    with warnings.catch_warnings():  # torch warns of itself when it first gets here
        warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated")
        return jvp(function, (parameters,), (direction,))[1]


def _signs(like, generator):
    """+1 and -1 at random; the same on every device."""
    bits = torch.randint(0, 2, like.shape, generator=generator, dtype=torch.int8)
    return (2 * bits - 1).to(like)
