"""The empirical neural tangent kernel: inner products of parameter gradients."""

import logging

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
from mantis_astro.kernels.layers import factors, layered_parameters

__all__ = ["MAX_PARAMETERS", "EmpiricalNTK"]

log = logging.getLogger(__name__)

#: Above as many parameters outside known layers the full kernel is refused: 160 MB for
#: one gradient.
MAX_PARAMETERS = 20_000_000


class EmpiricalNTK(Kernel):
    """
    Empirical neural tangent kernel, the gradients' inner products.

    ``K(x, y) = 1/n_out sum_o sum_p df_o(x)/dp df_o(y)/dp``, over the outputs o and the
    parameters p that require a gradient: the trace over the outputs, divided by their
    number.

    Parameters
    ----------
    module : `torch.nn.Module`
        The network. Its weights are read at each call and never changed.
    dtype : `torch.dtype`, optional
        ``torch.float32`` or ``torch.float64``; by default the module's own, and
        float32 for a module in half precision.
    output : callable, optional
        Picks the tensor from what the module returns, (n, ...); by default the tensor
        itself, or ``.logits`` of what transformers return.
    batch : int, optional
        Samples whose gradients are computed at once.
    memory : float, optional
        Bytes that gradients may take at a time. Where all do not fit, parameters are
        taken in groups, and then samples in blocks, each at the price of computing
        again.

    Raises
    ------
    TypeError
        If ``module`` is no module.
    ValueError
        If it has more than 2e7 parameters outside of known layers, or none that require
        a gradient.

    Notes
    -----
    Jacot et al. 2018 (arXiv:1806.07572); Novak et al. 2022 (arXiv:2206.08720) for the
    trace. For the parameters of layers of known kinds (``Linear``, ``Conv2d``,
    ``Embedding``, ``LayerNorm``) the Gram matrix comes from what they read and what
    comes back to them, ``sum_l (a_{l-1}(x).a_{l-1}(x'))(B_l(x).B_l(x'))``, without a
    gradient by a weight; that this is right for the module is checked with the first
    samples of every call. All others are differentiated by `torch.func`, or sample by
    sample where `torch.func.vmap` cannot run the module, with a log message.
    `ConjugateKernel` is the last layer's term, `ProjectedNTK` an estimate for networks
    of any size and kind.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from mantis_astro.kernels import EmpiricalNTK
    >>> line = nn.Linear(1, 1)  # f = w x + b, so K = x y + 1
    >>> EmpiricalNTK(line).gram(torch.tensor([[2.0], [3.0]]))
    tensor([[ 5.,  7.],
            [ 7., 10.]])
    """

    def __init__(self, module, *, dtype=None, output=None, batch=64, memory=2e9):
        self._function = NetworkFunction(module, dtype=dtype, output=output)
        self.module, self.batch, self.memory = module, batch, memory
        self._gradients = Gradients(self._function)
        n = self.n_parameters
        if n == 0:
            msg = (
                "no parameter of the module requires a gradient, so it has no tangent "
                "kernel: call module.requires_grad_(True) first"
            )
            raise ValueError(msg)
        self._refuse_many(set(layered_parameters(module)))

    def __repr__(self):
        name = type(self.module).__name__
        return f"<{type(self).__name__} of {name}, {self.n_parameters:,} parameters>"

    @property
    def n_parameters(self):
        """Number of real parameters that require a gradient; a complex one is two."""
        return sum(
            real_view(p.detach()).numel()
            for p in self.module.parameters()
            if p.requires_grad
        )

    def features(self, x):
        """
        Compute all gradients: the feature map of the kernel.

        Parameters
        ----------
        x : tensor, array, or tuple or mapping of such
            What the module reads: one argument, a tuple of positional arguments, or a
            mapping of keyword arguments; first axes n.

        Returns
        -------
        `torch.Tensor`
            ``df_o(x)/dp / sqrt(n_out)``, shape (n, n_out * n_parameter).

        Raises
        ------
        MemoryError
            If they take more than ``memory`` bytes: use `gram`, `Nystrom` or
            `ProjectedNTK`.
        ValueError
            If the module is in training mode with layers for which that matters, or
            has no gradient.
        """
        x, n_out = self._prepare(x)
        n = count_samples(x)
        needed = self._bytes(n * n_out * self.n_parameters)
        if needed > self.memory:
            msg = (
                f"gradients of {n} samples take {needed / 1e9:.1f} GB, more than "
                f"memory={self.memory / 1e9:g} GB: use Nystrom or ProjectedNTK"
            )
            raise MemoryError(msg)
        return self._jacobian(x, list(self._function.parameters()), n_out).flatten(1)

    def gram(self, x, y=None):
        """
        Gram matrix, or cross-Gram matrix.

        Parameters
        ----------
        x, y : tensor, array, or tuple or mapping of such
            What the module reads, as for `features`; ``y`` is ``x`` by default.

        Returns
        -------
        `torch.Tensor`
            Shape (n, m).

        Raises
        ------
        ValueError
            If the module is in training mode with layers for which that matters, or
            has no gradient.
        """
        x, n_out = self._prepare(x)
        y = None if y is None else self._function.prepare(y)
        n, m = count_samples(x), 0 if y is None else count_samples(y)
        layered, size = self._layered(x, n_out)

        def factors_of(part):
            made = factors(self._function, part, n_out)
            if not set(layered) <= set(made.parts):
                raise _LayersDifferError
            return made

        def layer_products(left, right):
            return left.gram(right, layered) / n_out

        shape = n, m if y is not None else n
        gram = torch.zeros(shape, dtype=self._function.dtype, device=self._device)
        try:
            if layered:
                self._add(gram, x, y, factors_of, layer_products, size)
        except _LayersDifferError:  # other samples go other ways
            gram.zero_()
            layered = []
        self._refuse_many(layered)
        rest = [name for name in self._function.parameters() if name not in layered]
        for names, count in self._groups(rest, (n + m) * n_out):

            def gradients_of(part, names=names):
                return self._jacobian(part, names, n_out).flatten(1)

            self._add(gram, x, y, gradients_of, _inner_products, n_out * count)
        return gram

    def _add(self, gram, x, y, made_of, products, size):
        """Add inner products of quantities made of samples, block by block."""
        symmetric = y is None
        y = x if symmetric else y
        n, m = count_samples(x), count_samples(y)
        block = max(1, int(self.memory / self._bytes(size) / 2))
        if n + (0 if symmetric else m) <= 2 * block:
            block = max(n, m, 1)
        for rows in iter_blocks(n, block):
            left = made_of(take_samples(x, rows))
            for columns in iter_blocks(m, block):
                same = symmetric and rows == columns
                if symmetric and columns.start < rows.start:
                    continue  # it is the transpose of one that was computed
                right = left if same else made_of(take_samples(y, columns))
                part = products(left, right)
                gram[rows, columns] += part
                if symmetric and not same:
                    gram[columns, rows] += part.T

    def _layered(self, x, n_out):
        """Parameters whose layers say all, as the first samples show; their size."""
        few = take_samples(x, slice(2))
        n = count_samples(few)
        if not n or not layered_parameters(self.module):
            return [], 0
        mixed = self._function.mixed()  # one output, for one backward pass a sample
        made = factors(mixed, few, 1)
        names = list(made.parts)
        if not names:
            return [], 0
        norms = torch.zeros(n, dtype=mixed.dtype)
        for i, _, gradients in Gradients(mixed).one_by_one(few, names):
            norms[i] = sum(float(g.square().sum()) for g in gradients.values())
        by_layers = made.gram(made, names).diagonal().cpu()
        if torch.allclose(by_layers, norms, rtol=1e-3, atol=0):
            return names, max(1, n_out * made.size // n)
        log.info(
            "gradients of %r do not follow from its layers: they are computed directly",
            type(self.module).__name__,
        )
        return [], 0

    def _refuse_many(self, layered):
        n = sum(
            real_view(parameter.detach()).numel()
            for name, parameter in self.module.named_parameters()
            if parameter.requires_grad and name not in layered
        )
        if n > MAX_PARAMETERS:
            msg = (
                f"the module has {n:,} parameters outside of known layers, and the "
                f"full tangent kernel is refused above {MAX_PARAMETERS:,}: use "
                "ProjectedNTK, or ConjugateKernel, or freeze some with "
                "requires_grad_(False)"
            )
            raise ValueError(msg)

    @property
    def _device(self):
        return self._function.device

    def _bytes(self, n):
        return max(1, n) * torch.finfo(self._function.dtype).bits // 8

    def _prepare(self, x):
        self._function.require_independent()
        x = self._function.prepare(x)
        n_out = require_differentiable(self._function, x)
        return x, n_out

    def _groups(self, chosen, n_rows):
        """Yield names and size of groups of parameters that fit for all samples."""
        names, size = [], 0
        most = self.memory / self._bytes(n_rows)
        parameters = self._function.parameters()
        for name in chosen:
            count = real_view(parameters[name]).numel()
            if names and size + count > most:
                yield names, size
                names, size = [], 0
            names.append(name)
            size += count
        if names:
            yield names, size

    def _jacobian(self, x, names, n_out):
        """Gradients by the named parameters over sqrt(n_out): (n, n_out, n_chosen)."""
        parts = []
        for rows in iter_blocks(count_samples(x), self.batch):
            by_name = self._gradients.of_all(take_samples(x, rows), names)
            columns = [real_view(by_name[name]).flatten(2) for name in names]
            parts.append(torch.cat(columns, 2) / n_out**0.5)
        return torch.cat(parts)


class _LayersDifferError(Exception):
    """Layers were not used as for the first samples."""


def _inner_products(left, right):
    return left @ right.T
