"""The conjugate kernel: what a network's last layer reads, as a feature map."""

import torch
from torch import nn

from mantis_astro.kernels.base import Kernel, with_bias
from mantis_astro.kernels.inputs import (
    NetworkFunction,
    count_samples,
    iter_blocks,
    take_samples,
)

__all__ = ["ConjugateKernel"]


class ConjugateKernel(Kernel):
    """
    Conjugate kernel of a network, ``K(x, y) = a(x) @ a(y) + 1``.

    The features ``a`` are the *input* of a linear layer, usually the last one; the
    feature 1 stands for its bias. Whatever the layer computes is a linear function of
    them, so the network itself lies in the span of its kernel.

    Parameters
    ----------
    module : `torch.nn.Module`
        The network. Its weights are read at each call and never changed.
    layer : str
        Name of the linear layer, as ``module.named_modules()`` spells it.
    dtype : `torch.dtype`, optional
        ``torch.float32`` or ``torch.float64``; by default the module's own, and
        float32 for a module in half precision.
    batch : int, optional
        Samples that go through the network at once.
    pool : callable, optional
        For a layer that reads more than one vector a sample, such as one for each
        token: called as ``pool(a, x)`` with its input, (n, ..., n_feature), and the
        samples of the batch; returns (n, n_feature). `mean_of_tokens` and `last_token`
        leave padding out.

    Raises
    ------
    TypeError
        If ``module`` is no module.
    ValueError
        If there is no such layer, or it is not linear; the message lists those that
        are.

    Notes
    -----
    Qadeer et al. 2023 (arXiv:2310.18612): ``phi(x) = [a_{D-1}(x); 1]``. It is the last
    layer's term of the tangent kernel (`EmpiricalNTK`), at the price of one forward
    pass.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from mantis_astro.kernels import ConjugateKernel
    >>> network = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
    >>> kernel = ConjugateKernel(network, "2")
    >>> kernel.features(torch.zeros(5, 2)).shape
    torch.Size([5, 17])
    >>> kernel.gram(torch.zeros(5, 2), torch.ones(3, 2)).shape
    torch.Size([5, 3])
    """

    def __init__(self, module, layer, *, dtype=None, batch=256, pool=None):
        self._function = NetworkFunction(module, dtype=dtype, output=_as_it_is)
        linear = {
            name: part
            for name, part in module.named_modules()
            if isinstance(part, nn.Linear)
        }
        if layer not in linear:
            known = dict(module.named_modules())
            what = (
                f"is a {type(known[layer]).__name__}, not a linear layer"
                if layer in known
                else "is not there"
            )
            there = ", ".join(map(repr, linear)) or "none"
            msg = f"layer {layer!r} {what}; the module's linear layers are {there}"
            raise ValueError(msg)
        self.module, self.layer, self.pool = module, layer, pool
        self.batch = batch
        self.linear = linear[layer]

    def __repr__(self):
        name = type(self.module).__name__
        return f"<{type(self).__name__} of {name}, input of {self.layer!r}>"

    @torch.no_grad()
    def features(self, x):
        """
        Compute the layer's input, and 1.

        Parameters
        ----------
        x : tensor, array, or tuple or mapping of such
            What the module reads: one argument, a tuple of positional arguments, or a
            mapping of keyword arguments (``{"input_ids": ..., "attention_mask":
            ...}``); first axes n.

        Returns
        -------
        `torch.Tensor`
            Shape (n, n_feature + 1).

        Raises
        ------
        ValueError
            If the module is in training mode with layers for which that matters, the
            layer is not used once in a forward pass, or it reads more than one vector
            a sample and ``pool`` is not given.
        """
        self._function.require_independent()
        state = self._function.parameters() | self._function.constants()
        parts = []
        for rows in iter_blocks(count_samples(x), self.batch):
            part = self._function.prepare(take_samples(x, rows))
            parts.append(with_bias(self._layer_input(state, part)))
        return torch.cat(parts)

    def _layer_input(self, state, x):
        seen = []
        hook = self.linear.register_forward_pre_hook(
            lambda _, args: seen.append(args[0])
        )
        try:
            self._function(state, {}, x)
        finally:
            hook.remove()
        if len(seen) != 1:
            msg = (
                f"layer {self.layer!r} was used {len(seen)} times in one forward pass; "
                "its input must be one tensor"
            )
            raise ValueError(msg)
        features = seen[0]
        if self.pool is not None:
            features = self.pool(features, x)
        if features.ndim != 2:
            msg = (
                f"layer {self.layer!r} reads {tuple(features.shape)}: more than one "
                "vector for each sample. Combine them with pool=, such as "
                "pool=mean_of_tokens or pool=last_token of mantis_astro.kernels, which "
                "leave out the padding marked in x['attention_mask']"
            )
            raise ValueError(msg)
        if features.is_complex():
            msg = (
                f"layer {self.layer!r} reads {features.dtype}, and features must be "
                "real: name a layer after the conversion to real numbers"
            )
            raise ValueError(msg)
        return features


def _as_it_is(answer):
    return answer
