"""First weights of a network."""

import torch
from torch import nn

from mantis_astro.models import build_network
from mantis_astro.models.encoders import Block, ConvNeXt

__all__ = ["initial_network"]


def initial_network(config, *, seed, initialization):
    """
    Make a network with its first weights.

    Parameters
    ----------
    config : EarlyFusionConfig, LateFusionConfig or PhotometricConfig
        Its size.
    seed : int
        The same seed gives the same weights; the state of torch's generator is kept.
    initialization : InitializationConfig
        How encoders begin.

    Returns
    -------
    `torch.nn.Module`
        In training mode.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_network(config)
        for module in network.modules():
            if isinstance(module, ConvNeXt):
                _begin(module, initialization)
    return network.train()


def _begin(encoder, initialization):
    std = initialization.std
    for module in encoder.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.trunc_normal_(module.weight, std=std, a=-2 * std, b=2 * std)
            nn.init.zeros_(module.bias)
        if isinstance(module, Block):
            nn.init.constant_(module.gamma, initialization.layer_scale)
