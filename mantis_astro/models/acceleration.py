"""Faster forms of a network for inference on a CPU."""

import copy
from functools import partial

import torch
from torch import nn

from mantis_astro.exceptions import InputSpecError
from mantis_astro.models.encoders import Block, ConvNeXt
from mantis_astro.models.processor import (
    choose_fastest,
    fused_linear,
    fused_linear_works,
)

__all__ = ["accelerate"]

_PRECISIONS = ("float32", "bfloat16", "auto")


def accelerate(network, *, precision="float32"):
    """
    Convert a network to the form that runs fastest on this CPU.

    Parameters
    ----------
    network : `torch.nn.Module`
        One of ours; it is not changed.
    precision : {"float32", "bfloat16", "auto"}, optional
        ``"float32"``: the same numbers to rounding (about 1e-6), sharing the weights.
        ``"bfloat16"``: encoders with 8 bits of mantissa, on a copy of their weights.
        On CPUs that have the instructions (AVX512-BF16, AMX) it is two to three times
        faster, on others several times slower; p(z) moves by about a per cent of
        itself: measure it on your own sample. ``"auto"``: whichever of the two is
        faster here, which is timed and said in the log.

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
    product that suits CPUs of any maker. Where it cannot, which is tried once, torch's
    own layers do it. ``benchmarks/network_speed.py`` prints the gain.

    Examples
    --------
    >>> from mantis_astro.models import accelerate, load_model
    >>> network, card = load_model("simulated-early")
    >>> fast = accelerate(network)
    """
    if precision not in _PRECISIONS:
        msg = f"'precision' must be one of {_PRECISIONS}, got {precision!r}"
        raise InputSpecError(msg)
    if precision == "auto":
        precision = _faster_precision(network)
    if precision == "bfloat16":
        network = _replaced(network, ConvNeXt, BFloat16Encoder)
    return _replaced(network, Block, _fused)


class FusedBlock(nn.Module):
    """
    Block with linear layers in oneDNN, the first one fused with its GELU.

    Parameters
    ----------
    block : Block
        The block; its weights are shared. With gradients enabled it runs itself.
    """

    def __init__(self, block):
        super().__init__()
        self.block = block

    def forward(self, x):
        """Compute the block: (n_object, n_channel, ny, nx) to the same shape."""
        block = self.block
        if torch.is_grad_enabled():
            return block(x)
        residual = block.norm(block.conv_dw(x).permute(0, 2, 3, 1))
        shape = residual.shape  # (n_object, ny, nx, n_channel)
        residual = fused_linear(residual.reshape(-1, shape[-1]), block.mlp.fc1, "gelu")
        residual = fused_linear(residual, block.mlp.fc2, "none").view(shape)
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


def _fused(block):
    """Fuse a block's layers, if oneDNN can run them."""
    weight = block.mlp.fc1.weight
    fits = weight.is_cpu and weight.dtype in (torch.float32, torch.bfloat16)
    return FusedBlock(block) if fits and fused_linear_works(weight.dtype) else block


@torch.inference_mode()
def _faster_precision(network):
    encoders = [m for m in network.modules() if isinstance(m, ConvNeXt)]
    if not encoders:
        return "float32"
    largest = max(encoders, key=lambda m: sum(p.numel() for p in m.parameters()))
    stem = largest.stem[0]
    side = stem.stride[0] * 2 ** len(largest.stages)  # 2 x 2 pixels in the last stage
    x = torch.full((network.micro_batch, stem.in_channels, side, side), 0.5)
    x = x.to(stem.weight)
    forms = {
        precision: partial(accelerate(largest, precision=precision), x)
        for precision in ("float32", "bfloat16")
    }
    return choose_fastest(forms, "the encoder")


def _replaced(module, kind, change):
    """Copy a module, sharing all but the parts that change."""
    if isinstance(module, kind):
        return change(module)
    children = {}
    for name, child in module._modules.items():
        if child is not None and not isinstance(child, FusedBlock):
            changed = _replaced(child, kind, change)
            if changed is not child:
                children[name] = changed
    if not children:
        return module
    clone = copy.copy(module)
    clone._modules = module._modules | children
    return clone
