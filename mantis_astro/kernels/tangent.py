"""The empirical neural tangent kernel: inner products of parameter gradients."""

import logging

import torch
from torch.func import jacrev, vmap

from mantis_astro.kernels.base import Kernel
from mantis_astro.kernels.inputs import (
    NetworkFunction,
    count_samples,
    iter_blocks,
    map_arrays,
    take_samples,
)

__all__ = ["MAX_PARAMETERS", "EmpiricalNTK", "require_differentiable"]

log = logging.getLogger(__name__)

#: Above as many parameters the full kernel is refused: 160 MB for one gradient.
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
        If it has more than 2e7 parameters, or none that require a gradient.

    Notes
    -----
    Jacot et al. 2018 (arXiv:1806.07572); Novak et al. 2022 (arXiv:2206.08720) for the
    trace. By `torch.func`; a module that `torch.func.vmap` cannot run is differentiated
    sample by sample, with a log message. `ConjugateKernel` is its last layer's term,
    `ProjectedNTK` an estimate of it for networks of any size.

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
        self._by_vmap = True
        n = self.n_parameters
        if n == 0:
            msg = (
                "no parameter of the module requires a gradient, so it has no tangent "
                "kernel: call module.requires_grad_(True) first"
            )
            raise ValueError(msg)
        if n > MAX_PARAMETERS:
            msg = (
                f"the module has {n:,} parameters, and the full tangent kernel is "
                f"refused above {MAX_PARAMETERS:,}: use ProjectedNTK, or "
                "ConjugateKernel, or freeze some with requires_grad_(False)"
            )
            raise ValueError(msg)

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
        symmetric = y is None
        y = x if symmetric else self._function.prepare(y)
        n, m = count_samples(x), count_samples(y)
        total = 0 if symmetric else m
        gram = torch.zeros(n, m, dtype=self._function.dtype, device=self._device)
        for names, size in self._groups((n + total) * n_out):
            block = max(1, int(self.memory / self._bytes(n_out * size) / 2))
            if n + total <= 2 * block:
                block = max(n, m, 1)
            for rows in iter_blocks(n, block):
                left = self._jacobian(take_samples(x, rows), names, n_out).flatten(1)
                for columns in iter_blocks(m, block):
                    same = symmetric and rows == columns
                    if symmetric and columns.start < rows.start:
                        continue  # it is the transpose of one that was computed
                    right = (
                        left
                        if same
                        else self._jacobian(
                            take_samples(y, columns), names, n_out
                        ).flatten(1)
                    )
                    part = left @ right.T
                    gram[rows, columns] += part
                    if symmetric and not same:
                        gram[columns, rows] += part.T
        return gram

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

    def _groups(self, n_rows):
        """Yield names and size of groups of parameters that fit for all samples."""
        names, size = [], 0
        most = self.memory / self._bytes(n_rows)
        for name, parameter in self._function.parameters().items():
            count = real_view(parameter).numel()
            if names and size + count > most:
                yield names, size
                names, size = [], 0
            names.append(name)
            size += count
        yield names, size

    def _jacobian(self, x, names, n_out):
        """Gradients by the named parameters over sqrt(n_out): (n, n_out, n_chosen)."""
        parameters = self._function.parameters()
        chosen = {name: parameters.pop(name) for name in names}
        constants = self._function.constants() | parameters
        parts = []
        for rows in iter_blocks(count_samples(x), self.batch):
            part = take_samples(x, rows)
            by_name = self._gradients(chosen, constants, part)
            columns = [real_view(by_name[name]).flatten(2) for name in names]
            parts.append(torch.cat(columns, 2) / n_out**0.5)
        return torch.cat(parts)

    def _gradients(self, chosen, constants, x):
        """Gradients of each output of each sample: name to (n, n_out, *shape)."""

        def outputs(parameters, sample):
            batch = map_arrays(lambda part: part[None], sample)
            return self._function(parameters, constants, batch).flatten()

        jacobian = jacrev(outputs)
        if self._by_vmap and count_samples(x):
            try:
                return vmap(jacobian, in_dims=(None, 0))(chosen, x)
            except (RuntimeError, NotImplementedError) as error:
                log.info(
                    "%r cannot be vectorised, so gradients are taken one by one (%s)",
                    type(self.module).__name__,
                    str(error).splitlines()[0],
                )
                self._by_vmap = False
        samples = [
            _plain_jacobian(outputs, chosen, take_samples(x, i))
            for i in range(count_samples(x))
        ]
        if not samples:
            return {name: value[None, None][:0] for name, value in chosen.items()}
        return {name: torch.stack([s[name] for s in samples]) for name in chosen}


def require_differentiable(function, x):
    """
    Check that the outputs have gradients, on the first sample.

    Parameters
    ----------
    function : NetworkFunction
        The network.
    x : tensor, or tuple or dict of such
        Prepared samples.

    Returns
    -------
    int
        Number of outputs of a sample.

    Raises
    ------
    ValueError
        If the outputs are not numbers of floating point that depend on the parameters
        in a way that torch can differentiate, or not one row for each sample.
    """
    parameters = {
        name: value.clone().requires_grad_()
        for name, value in function.parameters().items()
    }
    n = min(1, count_samples(x))
    with torch.enable_grad():
        answer = function(parameters, function.constants(), take_samples(x, slice(n)))
    if answer.is_complex():
        msg = (
            f"the module's output is {answer.dtype}, and a tangent kernel is of real "
            "functions: pick real numbers with output=, such as "
            "output=lambda answer: torch.view_as_real(answer)"
        )
        raise ValueError(msg)
    if not answer.is_floating_point() or not answer.requires_grad:
        what = str(answer.dtype).removeprefix("torch.")
        msg = (
            f"the module's output ({what}) does not depend on its parameters in a way "
            "that can be differentiated, so it has no tangent kernel: look for argmax, "
            "rounding, detach() or no_grad() in its forward pass"
        )
        raise ValueError(msg)
    if answer.ndim == 0 or len(answer) != n:
        msg = (
            f"the module's output for {n} sample has shape {tuple(answer.shape)}: "
            "its first axis must be the samples; pick a tensor with output="
        )
        raise ValueError(msg)
    return answer[0].numel() if n else answer.flatten(1).shape[1]


def real_view(tensor):
    """
    View complex numbers as pairs of real ones.

    Parameters
    ----------
    tensor : `torch.Tensor`
        Any; a real one is returned as it is.

    Returns
    -------
    `torch.Tensor`
        With a last axis of 2 for real and imaginary parts. The gradient of a real
        function by a complex parameter is that by its two parts.
    """
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


def _plain_jacobian(outputs, chosen, sample):
    """Gradients of one sample's outputs, by ordinary backward passes."""
    leaves = {name: value.clone().requires_grad_() for name, value in chosen.items()}
    with torch.enable_grad():
        values = outputs(leaves, sample)
        rows = [
            torch.autograd.grad(
                value, list(leaves.values()), retain_graph=True, allow_unused=True
            )
            for value in values
        ]
    return {
        name: torch.stack(
            [
                torch.zeros_like(leaf) if row[i] is None else row[i].detach()
                for row in rows
            ]
        )
        for i, (name, leaf) in enumerate(leaves.items())
    }
