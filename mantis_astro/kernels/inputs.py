"""Input of kernels: samples of any shape, and the module that reads them."""

import re
from collections.abc import Mapping

import numpy as np
import torch
from torch import nn
from torch.func import functional_call

from mantis_astro.kernels.arrays import refuse_masked

__all__ = [
    "NetworkFunction",
    "as_tensor",
    "count_samples",
    "iter_blocks",
    "logits_of",
    "map_arrays",
    "take_samples",
]

_BATCH_DEPENDENT = nn.modules.batchnorm._BatchNorm
_COMPLEX = {torch.float32: torch.complex64, torch.float64: torch.complex128}


def map_arrays(function, x):
    """
    Apply a function to every array of a sample, nested as it may be.

    Parameters
    ----------
    function : callable
        Takes one array or tensor.
    x : array, tensor, or tuple, list or mapping of such
        The samples.

    Returns
    -------
    object
        Of the same structure; lists become tuples, mappings dictionaries.

    Raises
    ------
    TypeError
        If it is a list with a mapping for each sample.
    """
    if isinstance(x, list) and any(isinstance(part, Mapping) for part in x):
        msg = (
            f"'x' is a list of {len(x)} mappings: give one mapping of arrays whose "
            "first axis is the samples, such as torch.utils.data.default_collate(x)"
        )
        raise TypeError(msg)
    if isinstance(x, Mapping):
        return {name: map_arrays(function, part) for name, part in x.items()}
    if isinstance(x, tuple | list):
        return tuple(map_arrays(function, part) for part in x)
    return function(x)


def _arrays(x):
    found = []
    map_arrays(found.append, x)
    return found


def as_tensor(array):
    """
    Convert an array to a tensor, sharing its memory if torch may write there.

    Parameters
    ----------
    array : array_like or `torch.Tensor`
        The array.

    Returns
    -------
    `torch.Tensor`
        The same numbers.

    Raises
    ------
    ValueError
        If something of a masked array is masked.
    """
    refuse_masked(array, "x")
    if isinstance(array, np.ndarray) and not array.flags.writeable:
        array = array.copy()
    return torch.as_tensor(array)


def count_samples(x):
    """
    Count the samples, the length of the first axis of every array.

    Parameters
    ----------
    x : array, tensor, or tuple, list or mapping of such
        The samples.

    Returns
    -------
    int
        How many there are.

    Raises
    ------
    ValueError
        If there is no array, or their lengths differ.

    Examples
    --------
    >>> import torch
    >>> from mantis_astro.kernels.inputs import count_samples
    >>> count_samples({"images": torch.zeros(5, 3, 8, 8), "ebv": torch.zeros(5, 2)})
    5
    """
    lengths = {len(part) if np.ndim(part) else None for part in _arrays(x)}
    if len(lengths) != 1 or None in lengths:
        msg = (
            "the arrays of 'x' must have one sample for each entry of their first "
            f"axis, as many in each; got shapes {[np.shape(p) for p in _arrays(x)]}"
        )
        raise ValueError(msg)
    return lengths.pop()


def take_samples(x, rows):
    """
    Select samples.

    Parameters
    ----------
    x : array, tensor, or tuple, list or mapping of such
        The samples.
    rows : slice or index array
        Which.

    Returns
    -------
    object
        Of the same structure.
    """
    return map_arrays(lambda part: part[rows], x)


def iter_blocks(n, size):
    """
    Cut a range into slices.

    Parameters
    ----------
    n : int
        Length of the range.
    size : int
        Length of a slice; the last may be shorter.

    Yields
    ------
    slice
        In order; one empty slice if ``n`` is 0, so that shapes are known.
    """
    size = max(1, int(size))
    for start in range(0, max(n, 1), size):
        yield slice(start, min(start + size, n))


class NetworkFunction:
    """
    A module as a function of its parameters and samples, in a stated precision.

    Parameters
    ----------
    module : `torch.nn.Module`
        The network. It is not changed, and its weights are read at each call.
    dtype : `torch.dtype`, optional
        Precision to compute in; by default that of the module, or float32 if that is
        less.
    output : callable, optional
        Picks the tensor, (n_sample, ...), from what the module returns; by default
        the tensor itself, or ``.logits`` of what transformers return.

    Raises
    ------
    TypeError
        If ``module`` is no module.
    ValueError
        If ``dtype`` is not float32 or float64.
    """

    def __init__(self, module, *, dtype=None, output=None):
        if not isinstance(module, nn.Module):
            msg = f"'module' must be a torch.nn.Module, got {type(module)}"
            raise TypeError(msg)
        if dtype not in (None, torch.float32, torch.float64):
            msg = f"'dtype' must be torch.float32 or torch.float64, got {dtype}"
            raise ValueError(msg)
        self.module = module
        self.output = output or logits_of
        self._dtype = dtype

    def mixed(self):
        """
        Return the same function with one output, a fixed sum of all.

        Returns
        -------
        NetworkFunction
            Its output of a sample is one number.
        """

        def output(answer):
            outputs = self.output(answer).flatten(1)
            n_out = outputs.shape[1]
            signs = torch.cos(torch.arange(n_out, device=outputs.device))
            return outputs @ signs.to(outputs)[:, None]

        return NetworkFunction(self.module, dtype=self._dtype, output=output)

    @property
    def dtype(self):
        """Precision that is computed in."""
        if self._dtype is not None:
            return self._dtype
        kinds = {p.dtype for p in self.module.parameters()}
        doubles = {torch.float64, torch.complex128}
        return torch.float64 if kinds & doubles else torch.float32

    @property
    def device(self):
        """Device of the module."""
        return next((p.device for p in self.module.parameters()), torch.device("cpu"))

    def parameters(self):
        """
        Collect the parameters that a kernel is made of: those that can be trained.

        Returns
        -------
        dict of str to `torch.Tensor`
            Detached, in the precision of the computation.
        """
        return {
            name: self._tensor(parameter)
            for name, parameter in self.module.named_parameters()
            if parameter.requires_grad
        }

    def constants(self):
        """
        Collect frozen parameters and buffers.

        Returns
        -------
        dict of str to `torch.Tensor`
            Detached, those of floating point in the precision of the computation.
        """
        frozen = {
            name: parameter
            for name, parameter in self.module.named_parameters()
            if not parameter.requires_grad
        }
        tensors = frozen | dict(self.module.named_buffers())
        return {name: self._tensor(tensor) for name, tensor in tensors.items()}

    def __call__(self, parameters, constants, x):
        """
        Run the module.

        Parameters
        ----------
        parameters, constants : dict of str to `torch.Tensor`
            All of its parameters and buffers.
        x : tensor, or tuple or dict of such
            Prepared samples.

        Returns
        -------
        object
            Its answer, as the user's ``output`` picks it.

        Raises
        ------
        ValueError
            If the answer depends on chance.
        TypeError
            If the module cannot read the integers that are in ``x``.
        """
        args, kwargs = (), {}
        if isinstance(x, Mapping):
            kwargs = x
        else:
            args = x if isinstance(x, tuple) else (x,)
        chance = self._chance()
        try:
            answer = functional_call(self.module, (parameters, constants), args, kwargs)
        except RuntimeError as error:
            _explain_integers(error, x)
            raise
        if not torch.equal(self._chance(), chance):
            self._refuse_chance()
        return self.output(answer)

    def _chance(self):
        """State of the generator that dropout draws from."""
        if self.device.type == "cuda":
            return torch.cuda.get_rng_state(self.device)
        return torch.get_rng_state()

    def _refuse_chance(self):
        training = [
            name or "module"
            for name, layer in self.module.named_modules()
            if layer.training and not any(layer.children())
        ]
        how = (
            f"call module.eval() first (in training mode: {', '.join(training)})"
            if training
            else "no layer is in training mode, so look for a functional dropout "
            "without training=self.training, or for torch.rand, in its forward pass"
        )
        msg = (
            "the module draws random numbers, as dropout in training mode does, and "
            f"its features are random: {how}"
        )
        raise ValueError(msg)

    def prepare(self, x):
        """
        Convert samples to tensors on the module's device, in its precision.

        Parameters
        ----------
        x : array, tensor, or tuple, list or mapping of such
            The samples.

        Returns
        -------
        object
            The same structure of tensors; integers stay integers.
        """
        return map_arrays(self._tensor, x)

    def _tensor(self, array):
        tensor = as_tensor(array).detach().to(self.device)
        if tensor.is_complex():
            return tensor.to(_COMPLEX[self.dtype])
        return tensor.to(self.dtype) if tensor.is_floating_point() else tensor

    def require_independent(self):
        """
        Raise an error if the output for a sample depends on others.

        Raises
        ------
        ValueError
            Naming the layers, and what to do.
        """
        mixing = []
        for name, layer in self.module.named_modules():
            if isinstance(layer, _BATCH_DEPENDENT) and (
                layer.training or layer.running_mean is None
            ):
                mixing.append(name or "module")
        if mixing:
            msg = (
                f"batch normalisation in training mode ({', '.join(mixing)}) makes a "
                "sample's features depend on the other samples, so that there is no "
                "kernel: call module.eval() first (layers without running statistics "
                "cannot be used)"
            )
            raise ValueError(msg)


def _explain_integers(error, x):
    """Raise a clear error for a module that cannot read integers."""
    kinds = set()
    map_arrays(lambda part: kinds.add(part.dtype), x)
    integers = [k for k in kinds if not (k.is_floating_point or k.is_complex)]
    if integers and re.search(r"dtype|scalar type|Input type", str(error)):
        names = ", ".join(str(kind).removeprefix("torch.") for kind in integers)
        msg = (
            f"the module cannot read integers ({names}): give x as floating point; "
            "integers stay as they are, as embeddings read them"
        )
        raise TypeError(msg) from error


def logits_of(answer):
    """
    Select the tensor from the output of a module.

    Parameters
    ----------
    answer : `torch.Tensor` or object
        A tensor, or what has ``logits`` as transformers have them.

    Returns
    -------
    `torch.Tensor`
        That.

    Raises
    ------
    TypeError
        If there is none.
    """
    answer = getattr(answer, "logits", answer)
    if not isinstance(answer, torch.Tensor):
        msg = (
            f"the module returned {type(answer)}, not a tensor: pick one with "
            "output=, e.g. output=lambda answer: answer[0]"
        )
        raise TypeError(msg)
    return answer
