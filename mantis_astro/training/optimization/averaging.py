"""The exponential average of weights, which is steadier than the last step's."""

import torch

__all__ = ["WeightAverage"]


class WeightAverage:
    """
    Exponential moving average of the parameters of a network.

    Parameters
    ----------
    network : `torch.nn.Module`
        The network, as it is at step 0.
    decay : float
        Per step; less in the beginning, see `update`.

    Attributes
    ----------
    average : dict of str to `torch.Tensor`
        The averages by name.
    """

    def __init__(self, network, decay):
        self.decay = decay
        self.average = {
            name: tensor.detach().clone() for name, tensor in network.named_parameters()
        }

    @torch.no_grad()
    def update(self, network, step):
        """
        Update the average with the weights after a step.

        Parameters
        ----------
        network : `torch.nn.Module`
            The network.
        step : int
            Steps done before; the decay is at most ``(1 + step) / (10 + step)``, so
            that the random first weights are soon forgotten.
        """
        decay = min(self.decay, (1 + step) / (10 + step))
        new = [tensor.detach() for _, tensor in network.named_parameters()]
        torch._foreach_lerp_(list(self.average.values()), new, 1 - decay)
