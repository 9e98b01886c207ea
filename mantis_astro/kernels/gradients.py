"""Gradients of a network's outputs by its parameters, a sample at a time or many."""

import logging
import warnings

import torch
from torch.func import jacrev, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from mantis_astro.kernels.inputs import count_samples, map_arrays, take_samples

__all__ = ["Gradients", "real_view", "require_differentiable"]

log = logging.getLogger(__name__)


class Gradients:
    """
    Gradients of the outputs of a network, one set for each output of each sample.

    Parameters
    ----------
    function : NetworkFunction
        The network.

    Notes
    -----
    By `torch.func`, many samples at once; a module that `torch.func.vmap` cannot run is
    differentiated by ordinary backward passes, one by one, with a log message.
    """

    def __init__(self, function):
        self._function = function
        self._by_vmap = True

    def of_all(self, x, names):
        """
        Differentiate all outputs of all samples at once.

        Parameters
        ----------
        x : tensor, or tuple or dict of such
            Prepared samples.
        names : list of str
            Parameters to differentiate by.

        Returns
        -------
        dict of str to `torch.Tensor`
            Gradient by each parameter, shape (n, n_out, ...).
        """
        chosen, constants = self._split(names)
        n = count_samples(x)
        if self._by_vmap and n:
            try:
                # vmap has no rule for the fused attention of a processor, and warns of
                # fused layers, which it runs sample by sample
                with sdpa_kernel(SDPBackend.MATH), warnings.catch_warnings():
                    warnings.filterwarnings("ignore", "There is a performance drop")
                    return vmap(self._jacobian(constants), in_dims=(None, 0))(chosen, x)
            except (RuntimeError, NotImplementedError) as error:
                log.info(
                    "%r cannot be vectorised, so gradients are taken one by one (%s)",
                    type(self._function.module).__name__,
                    str(error).splitlines()[0],
                )
                self._by_vmap = False
        if not n:
            return {name: value[None, None][:0] for name, value in chosen.items()}
        found = {name: [] for name in names}
        for i in range(n):
            rows = list(self._of_one(chosen, constants, take_samples(x, i)))
            for name in names:
                found[name].append(torch.stack([row[name] for row in rows]))
        return {name: torch.stack(parts) for name, parts in found.items()}

    def one_by_one(self, x, names):
        """
        Differentiate one output of one sample after the other, by backward passes.

        Parameters
        ----------
        x : tensor, or tuple or dict of such
            Prepared samples.
        names : list of str
            Parameters to differentiate by.

        Yields
        ------
        sample, output : int
            Which.
        gradients : dict of str to `torch.Tensor`
            Gradient by each parameter, shape (1, 1, ...).
        """
        chosen, constants = self._split(names)
        for i in range(count_samples(x)):
            rows = self._of_one(chosen, constants, take_samples(x, i))
            for o, row in enumerate(rows):
                yield i, o, {name: value[None, None] for name, value in row.items()}

    def _split(self, names):
        """Parameters to differentiate by, and all else that the module needs."""
        parameters = self._function.parameters()
        chosen = {name: parameters.pop(name) for name in names}
        return chosen, self._function.constants() | parameters

    def _outputs(self, parameters, constants, sample):
        batch = map_arrays(lambda part: part[None], sample)
        return self._function(parameters, constants, batch).flatten()

    def _jacobian(self, constants):
        return jacrev(lambda p, sample: self._outputs(p, constants, sample))

    def _of_one(self, chosen, constants, sample):
        """Yield the gradients of each output, by ordinary backward passes."""
        # views of the weights: nothing is copied
        leaves = {
            name: value.detach().requires_grad_() for name, value in chosen.items()
        }
        with torch.enable_grad():
            values = self._outputs(leaves, constants, sample)
        for o, value in enumerate(values):
            gradients = torch.autograd.grad(
                value,
                list(leaves.values()),
                retain_graph=o + 1 < len(values),
                materialize_grads=True,
                allow_unused=True,
            )
            yield {
                name: gradient.detach()
                for name, gradient in zip(leaves, gradients, strict=True)
            }


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
        name: value.detach().requires_grad_()
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
