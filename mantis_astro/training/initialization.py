"""First weights of a network."""

import torch
from torch import nn

from mantis_astro.models import build_network
from mantis_astro.models.encoders import Block, ConvNeXt
from mantis_astro.models.heads import PhotometryBranch

__all__ = ["initial_network", "standardize"]


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


def standardize(network, batch):
    """
    Let aperture sums begin with mean 0 and variance 1.

    They are magnitudes that all rise together; standardized, and with a rate twice as
    high, a network learnt from them in 600,000 galaxies what left sigma_nmad 0.027
    instead of 0.036.

    Parameters
    ----------
    network : `torch.nn.Module`
        Changed in place.
    batch : TrainingBatch
        Prepared galaxies; the same ones give the same weights.
    """
    images = batch.images
    images = images if isinstance(images, tuple) else (images,)
    for module in network.modules():
        if isinstance(module, PhotometryBranch):
            module.standardize(images)


def _begin(encoder, initialization):
    std = initialization.std
    for module in encoder.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.trunc_normal_(module.weight, std=std, a=-2 * std, b=2 * std)
            nn.init.zeros_(module.bias)
        if isinstance(module, Block):
            nn.init.constant_(module.gamma, initialization.layer_scale)
