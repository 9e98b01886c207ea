"""Faster forms of a network for inference on a CPU."""

import copy

import torch
from torch import nn

from mantis_astro.exceptions import InputSpecError
from mantis_astro.models.encoders import Block, ConvNeXt

__all__ = ["accelerate"]


def accelerate(network, *, precision="float32"):
    """
    Give a network the form that runs fastest on this CPU.

    Parameters
    ----------
    network : `torch.nn.Module`
        One of ours; it is not changed.
    precision : str, optional
        ``"float32"``: the same numbers to rounding (about 1e-6), sharing the weights.
        ``"bfloat16"``: encoders with 8 bits of mantissa, on a copy of their weights;
        two to three times faster on CPUs that have the instructions, and p(z) moves
        by about a per cent of itself: measure it on your own sample.

    Returns
    -------
    `torch.nn.Module`
        For inference, called in the same way. The network itself if there is nothing
        to gain (weights not on the CPU, no oneDNN, no ConvNeXt).

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` for another ``precision``.

    Notes
    -----
    Two thirds of the time of a ConvNeXt goes to the two linear layers of its blocks.
    oneDNN does a layer and its GELU in one pass, where torch needs two, with a matrix
    product that suits CPUs of any maker. `benchmarks/network_speed.py` prints the gain.

    Examples
    --------
    >>> from mantis_astro.models import accelerate, load_model
    >>> network, card = load_model("simulated-early")
    >>> fast = accelerate(network)
    """
    if precision not in ("float32", "bfloat16"):
        msg = f"'precision' must be 'float32' or 'bfloat16', got {precision!r}"
        raise InputSpecError(msg)
    fuse = _fused_linear_exists() and _is_float32_on_cpu(network)
    if precision == "bfloat16":
        network = _replaced(network, ConvNeXt, BFloat16Encoder)
    return _replaced(network, Block, FusedBlock) if fuse else network


class FusedBlock(nn.Module):
    """
    A block whose linear layers run in oneDNN, the first one with its GELU.

    Parameters
    ----------
    block : Block
        The block; its weights are shared. With gradients enabled it runs itself.
    """

    def __init__(self, block):
        super().__init__()
        self.block = block

    def forward(self, x):
        """Do what the block does: (n_object, n_channel, ny, nx) to the same shape."""
        block = self.block
        if torch.is_grad_enabled():
            return block(x)
        residual = block.norm(block.conv_dw(x).permute(0, 2, 3, 1))
        shape = residual.shape  # (n_object, ny, nx, n_channel)
        residual = _linear(residual.reshape(-1, shape[-1]), block.mlp.fc1, "gelu")
        residual = _linear(residual, block.mlp.fc2, "none").view(shape)
        return torch.addcmul(
            x, residual.permute(0, 3, 1, 2), block.gamma[:, None, None]
        )


class BFloat16Encoder(nn.Module):
    """
    An encoder in bfloat16 between float32 images and float32 features.

    Parameters
    ----------
    encoder : ConvNeXt
        The encoder; its weights are copied.
    """

    def __init__(self, encoder):
        super().__init__()
        self.encoder = copy.deepcopy(encoder).to(torch.bfloat16)

    def forward(self, x):
        """Images (n_object, n_channel, ny, nx) to features (n_object, n_feature)."""
        return self.encoder(x.to(torch.bfloat16)).float()


def _linear(x, layer, activation):
    return torch.ops.mkldnn._linear_pointwise(
        x,
        layer.weight,
        layer.bias,
        activation,
        [],
        "none",  # the exact GELU, not the one with tanh
    )


def _fused_linear_exists():
    # The operation is torch.compile's own, not documented: used only if it is there.
    return torch.backends.mkldnn.is_available() and hasattr(
        torch.ops.mkldnn, "_linear_pointwise"
    )


def _is_float32_on_cpu(network):
    return all(
        p.device.type == "cpu" and p.dtype == torch.float32
        for p in network.parameters()
    )


def _replaced(module, kind, wrapper):
    """Copy a module, sharing all but the replaced parts."""
    if isinstance(module, kind):
        return wrapper(module)
    if isinstance(module, FusedBlock):
        return module
    clone = copy.copy(module)
    clone._modules = {
        name: child if child is None else _replaced(child, kind, wrapper)
        for name, child in module._modules.items()
    }
    return clone
