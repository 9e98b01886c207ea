"""
Tangent kernels layer by layer, from inputs and backpropagated gradients.

The gradient by the weights of a linear layer is ``sum_t b_t a_t^T`` over positions t
(tokens, pixels), of inputs a and gradients b by outputs. Its inner products need the
two factors only, which one forward pass and one backward pass through the activations
give for all samples at once; no gradient by a weight is ever made.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from mantis_astro.kernels.inputs import count_samples

__all__ = ["LayerFactors", "factors", "layered_parameters"]

_POSITIONS = 8_000_000  # products of positions held at once: 64 MB
_WEIGHTS = 50_000_000  # gradients by weights held at once: 400 MB


@dataclass(frozen=True, eq=False)
class _Outer:
    """
    Gradients ``sum_t b_t a_t^T``.

    Attributes
    ----------
    a : `torch.Tensor`
        What a linear layer reads, shape (n, n_position, n_in).
    b : `torch.Tensor`
        Gradients by what it returns, shape (n_out, n, n_position, n_layer_out).
    """

    a: torch.Tensor
    b: torch.Tensor

    def gram(self, other):
        """Inner products with those of other samples, summed over outputs, (n, m)."""
        n, t, d_in = self.a.shape
        m, s, _ = other.a.shape
        n_out, d_out = self.b.shape[0], self.b.shape[-1]
        if t == s == 1:
            return (self.a[:, 0] @ other.a[:, 0].T) * _products(
                self.b[:, :, 0], other.b[:, :, 0]
            )
        size = n_out * d_in * d_out
        by_positions = n * m * t * s * (d_in + n_out * d_out)
        by_weights = size * (n * t + m * s + n * m)
        if by_weights < by_positions and size * (n + m) < _WEIGHTS:
            return _products(self._weights(), other._weights())
        return _position_gram(
            self.b, other.b, lambda rows: _rows_gram(self.a[rows], other.a)
        )

    def _weights(self):
        return torch.einsum("onti,ntj->onij", self.b, self.a).flatten(2)


@dataclass(frozen=True, eq=False)
class _Lookup:
    """
    Gradients of a table of vectors: b_t in the row that position t looked up.

    Attributes
    ----------
    index : `torch.Tensor`
        Rows, shape (n, n_position); negative where the table is not changed.
    b : `torch.Tensor`
        Gradients by the vectors, shape (n_out, n, n_position, n_vector).
    """

    index: torch.Tensor
    b: torch.Tensor

    def gram(self, other):
        """Inner products with those of other samples, summed over outputs, (n, m)."""

        def same(rows):
            left, right = self.index[rows].flatten(), other.index.flatten()
            both = (left[:, None] == right) & (left[:, None] >= 0)
            return both.to(self.b.dtype)

        return _position_gram(self.b, other.b, same)


@dataclass(frozen=True, eq=False)
class _Vector:
    """
    Gradients by a vector of parameters.

    Attributes
    ----------
    b : `torch.Tensor`
        Shape (n_out, n, n_parameter).
    """

    b: torch.Tensor

    def gram(self, other):
        """Inner products with those of other samples, summed over outputs, (n, m)."""
        return _products(self.b, other.b)


class LayerFactors:
    """
    Factors of the gradients of some samples, for each layer.

    Parameters
    ----------
    parts : dict of str to object
        For each parameter its factor.
    """

    def __init__(self, parts):
        self.parts = parts

    def gram(self, other, names):
        """
        Inner products of gradients, summed over outputs.

        Parameters
        ----------
        other : LayerFactors
            Those of other samples.
        names : list of str
            Parameters that count.

        Returns
        -------
        `torch.Tensor`
            Shape (n, m).
        """
        return sum(self.parts[name].gram(other.parts[name]) for name in names)

    @property
    def size(self):
        """Number of stored numbers."""
        return sum(
            value.numel()
            for part in self.parts.values()
            for value in vars(part).values()
        )


def layered_parameters(module):
    """
    Find the parameters of layers of a known kind.

    Parameters
    ----------
    module : `torch.nn.Module`
        The network.

    Returns
    -------
    dict of str to (str, `torch.nn.Module`)
        For names of parameters that require a gradient: which of the layer's they are,
        and the layer.
    """
    uses = {}
    for _, parameter in module.named_parameters(remove_duplicate=False):
        uses[id(parameter)] = uses.get(id(parameter), 0) + 1
    found = {}
    for path, layer in module.named_modules():
        if not _is_known(layer):
            continue
        for name, parameter in layer.named_parameters(recurse=False):
            real = parameter.is_floating_point()
            if real and parameter.requires_grad and uses[id(parameter)] == 1:
                full = f"{path}.{name}" if path else name
                found[full] = name, layer
    return found


def factors(function, x, n_out):
    """
    Run a network forward and backward, and collect the factors of its gradients.

    Parameters
    ----------
    function : NetworkFunction
        The network.
    x : tensor, or tuple or dict of such
        Prepared samples.
    n_out : int
        Number of outputs of a sample.

    Returns
    -------
    LayerFactors
        For the parameters of layers that were used once.
    """
    known = layered_parameters(function.module)
    layers = {id(layer): layer for _, layer in known.values()}
    read, returned = {}, {}

    def keep(layer, args, answer):
        read.setdefault(id(layer), []).append(args[0].detach())
        # a copy goes on: what follows may write into it
        returned.setdefault(id(layer), []).append(answer)
        return answer.clone()

    parameters = {
        name: value.detach().requires_grad_()
        for name, value in function.parameters().items()
    }
    hooks = [layer.register_forward_hook(keep) for layer in layers.values()]
    try:
        with torch.enable_grad():
            outputs = function(parameters, function.constants(), x).flatten(1)
    finally:
        for hook in hooks:
            hook.remove()
    n = count_samples(x)
    once = [
        key
        for key, tensors in returned.items()
        if len(tensors) == 1 and _is_of_samples(tensors[0], read[key][0], n)
    ]
    if not once:
        return LayerFactors({})
    answers = [returned[key][0] for key in once]
    back = [
        torch.autograd.grad(
            outputs[:, o].sum(),
            answers,
            retain_graph=o + 1 < n_out,
            materialize_grads=True,
            allow_unused=True,
        )
        for o in range(n_out)
    ]
    gradients = {
        key: torch.stack([row[i] for row in back]) for i, key in enumerate(once)
    }
    return LayerFactors(
        {
            full: _factor(name, layer, read[id(layer)][0], gradients[id(layer)])
            for full, (name, layer) in known.items()
            if id(layer) in gradients
        }
    )


def _is_of_samples(answer, read, n):
    """Whether a layer read and returned one row for each sample, with a gradient."""
    rows = answer.ndim > 1 and read.ndim > 0 and len(answer) == len(read) == n
    return rows and answer.requires_grad


def _is_known(layer):
    # subclasses may do something else
    if type(layer) is nn.Conv2d:
        plain = layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
        return layer.groups == 1 and plain
    if type(layer) is nn.Embedding:
        return layer.max_norm is None and not layer.scale_grad_by_freq
    return type(layer) in (nn.Linear, nn.LayerNorm)


def _factor(name, layer, a, b):
    """Factor of one parameter, of a layer that read a, (n, ...), and got b back."""
    if type(layer) is nn.Conv2d:
        b = b.flatten(3).transpose(2, 3)  # (n_out, n, n_position, n_channel)
        if name == "weight":
            options = layer.dilation, layer.padding, layer.stride
            a = functional.unfold(a, layer.kernel_size, *options).transpose(1, 2)
            return _Outer(a, b)
        return _Vector(b.sum(2))
    if type(layer) is nn.LayerNorm:
        kept = len(layer.normalized_shape)
        if name == "weight":
            b = b * functional.layer_norm(a, layer.normalized_shape, eps=layer.eps)
        b = b.flatten(b.ndim - kept)  # (n_out, n, ..., n_parameter)
        return _Vector(b.flatten(2, -2).sum(2) if b.ndim > 3 else b)
    if type(layer) is nn.Embedding:
        index = a.reshape(len(a), -1)
        if layer.padding_idx is not None:
            index = index.masked_fill(index == layer.padding_idx, -1)
        return _Lookup(index, b.reshape(*b.shape[:2], -1, b.shape[-1]))
    b = b.reshape(*b.shape[:2], -1, b.shape[-1])
    return (
        _Outer(a.reshape(len(a), -1, a.shape[-1]), b)
        if name == "weight"
        else _Vector(b.sum(2))
    )


def _products(left, right):
    """Inner products summed over outputs, of (n_out, n, d) and (n_out, m, d)."""
    left = left.transpose(0, 1).flatten(1)
    return left @ right.transpose(0, 1).flatten(1).T


def _rows_gram(left, right):
    return left.flatten(0, 1) @ right.flatten(0, 1).T


def _position_gram(left, right, weight):
    """``sum_ts weight_ts (b_t . b_s)``, (n, m), a few samples at a time."""
    n, t = left.shape[1:3]
    m, s = right.shape[1:3]
    step = max(1, _POSITIONS // max(1, t * m * s))
    gram = left.new_empty(n, m)
    flat = right.permute(1, 2, 0, 3).flatten(2).flatten(0, 1)  # (m * s, n_out * d)
    for start in range(0, n, step):
        rows = slice(start, min(start + step, n))
        own = left[:, rows].permute(1, 2, 0, 3).flatten(2).flatten(0, 1)
        products = weight(rows) * (own @ flat.T)
        gram[rows] = products.reshape(-1, t, m, s).sum((1, 3))
    return gram
