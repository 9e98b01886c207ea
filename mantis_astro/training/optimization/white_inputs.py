"""Training in coordinates in which the inputs of the first layers are independent."""

import torch
from torch.nn import functional

from mantis_astro.training.optimization.initialization import (
    inputs_of_first_layers,
    whitening,
)

__all__ = ["train_in_plain_inputs", "train_in_white_inputs"]


@torch.no_grad()
def train_in_white_inputs(network, batch):
    """
    Convert the weights of layers that read fluxes to those of whitened inputs.

    Magnitudes rise and fall together; a network that learns from a thousand galaxies
    hardly moves along the colours. It is a change of coordinates: what the network
    gives stays the same, but steps of an optimizer go another way.

    Parameters
    ----------
    network : `torch.nn.Module`
        Changed in place; names and shapes of weights are not.
    batch : TrainingBatch
        Prepared galaxies; the same ones give the same coordinates.
    """
    for layer, inputs in inputs_of_first_layers(network, batch):
        found = whitening(inputs)
        if found is None:
            continue
        layer.forward = _White(layer, *found)
        weight = layer.weight.double()
        layer.bias.copy_(layer.bias.double() + weight @ found[0])
        layer.weight.copy_(weight @ torch.linalg.inv(found[1]))


@torch.no_grad()
def train_in_plain_inputs(network):
    """
    Undo `train_in_white_inputs`: weights are of the inputs as they are.

    Parameters
    ----------
    network : `torch.nn.Module`
        Changed in place; what it gives stays the same.
    """
    for layer in network.modules():
        white = vars(layer).get("forward")
        if not isinstance(white, _White):
            continue
        weight = layer.weight.double() @ white.to_white.to(layer.weight.device)
        layer.bias.copy_(layer.bias.double() - weight @ white.mean.to(weight))
        layer.weight.copy_(weight)
        del layer.forward


class _White:
    """A linear layer, behind the whitening of its inputs."""

    def __init__(self, layer, mean, to_white):
        self.layer, self.mean, self.to_white = layer, mean, to_white

    def __call__(self, x):
        mean, to_white = self.mean.to(x), self.to_white.to(x)
        return functional.linear(
            (x - mean) @ to_white.T, self.layer.weight, self.layer.bias
        )
