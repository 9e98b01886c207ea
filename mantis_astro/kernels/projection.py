"""The tangent kernel of networks of any size, by random projection of gradients."""

import torch

from mantis_astro.kernels.base import Kernel
from mantis_astro.kernels.gradients import (
    Gradients,
    real_view,
    require_differentiable,
)
from mantis_astro.kernels.inputs import (
    NetworkFunction,
    count_samples,
    iter_blocks,
    take_samples,
)
from mantis_astro.kernels.sketch import Sketch

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
        Picks the tensor from what the module returns; see `EmpiricalNTK`. Every output
        costs a backward pass: of a language model, pick one number a text.
    batch : int, optional
        Samples whose gradients are computed at once.
    memory : float, optional
        Bytes that gradients may take at a time. Where those of one sample do not fit,
        they are taken one output at a time, by an ordinary backward pass.

    Raises
    ------
    TypeError
        If ``module`` is no module.
    ValueError
        If ``n_directions`` is not positive.

    Notes
    -----
    The features ``J v_k / sqrt(n_out)``, with random directions v_k, have the tangent
    kernel as the mean of their Gram matrix. Gradients come from backward passes, as in
    TRAK (Park et al. 2023, arXiv:2303.14186), so that every module that can be trained
    has the kernel; each is projected and forgotten. A projection costs one addition a
    parameter, whatever the number of directions.

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
        self,
        module,
        *,
        n_directions,
        seed,
        dtype=None,
        output=None,
        batch=64,
        memory=2e9,
    ):
        if n_directions < 1:
            msg = f"'n_directions' must be positive, got {n_directions}"
            raise ValueError(msg)
        self._function = NetworkFunction(module, dtype=dtype, output=output)
        self._gradients = Gradients(self._function)
        self.module, self.n_directions, self.seed = module, n_directions, seed
        self.batch, self.memory = batch, memory

    def __repr__(self):
        name = type(self.module).__name__
        return f"<{type(self).__name__} of {name}, {self.n_directions} directions>"

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
        n, n_out = count_samples(x), require_differentiable(self._function, x)
        dtype, device = self._function.dtype, self._function.device
        sizes = {
            name: real_view(value).numel()
            for name, value in self._function.parameters().items()
        }
        sketch = Sketch(sizes, self.n_directions, seed=self.seed, device=device)
        features = torch.empty(n, n_out, self.n_directions, dtype=dtype, device=device)
        numbers = n_out * (sum(sizes.values()) + sketch.scratch)  # for each sample
        fitting = int(self.memory / (numbers * torch.finfo(dtype).bits // 8))
        if fitting < 2:
            for i, o, gradients in self._gradients.one_by_one(x, list(sizes)):
                features[i, o] = sketch(_flat(gradients))[0]
        else:
            for rows in iter_blocks(n, min(self.batch, fitting)):
                gradients = self._gradients.of_all(take_samples(x, rows), list(sizes))
                short = sketch(_flat(gradients))
                features[rows] = short.reshape(
                    rows.stop - rows.start, n_out, self.n_directions
                )
        return features.flatten(1) / n_out**0.5


def _flat(gradients):
    """Gradients as vectors, (n * n_out, size)."""
    return {
        name: real_view(value).flatten(2).flatten(0, 1)
        for name, value in gradients.items()
    }
