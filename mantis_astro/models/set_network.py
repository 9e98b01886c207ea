"""The network of any bands: attention over a set of measurements."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mantis_astro.exceptions import InputSpecError
from mantis_astro.models.band_sets import MOST_BANDS, BandSetSpec
from mantis_astro.models.heads import Perceptron, RedshiftNetwork, full_precision
from mantis_astro.records import record

__all__ = ["BandSet", "BandSetConfig"]

# Objects are predicted together with those that have about as many measurements.
_SIZES = (4, 6, 8, 10, 12, 16, 24, MOST_BANDS)


@record("band_set_network")
class BandSetConfig:
    """
    Size of a `BandSet` network.

    Attributes
    ----------
    n_bins : int
        Number of redshift bins.
    width : int
        Numbers that stand for a measurement inside the network.
    n_blocks : int
        Number of blocks of attention.
    n_heads : int
        Heads of each; a divisor of ``width``.
    expansion : float
        Width of the layer inside a block over ``width``.
    hidden : int
        Width of the layer before the last: the length of the features.
    head : object or None
        As for `EarlyFusionConfig`.
    """

    n_bins: int
    width: int = 96
    n_blocks: int = 3
    n_heads: int = 4
    expansion: float = 2.0
    hidden: int = 192
    head: object = None

    n_ebv = 1  # of which the spec makes use, not the network

    def __post_init__(self):
        if self.width % self.n_heads or self.n_blocks < 1:
            msg = (
                f"'width' must be a multiple of 'n_heads' and 'n_blocks' at least 1, "
                f"got {self.width}, {self.n_heads} and {self.n_blocks}"
            )
            raise InputSpecError(msg)

    def build(self):
        """Make the network, with random weights."""
        return BandSet(self)


class BandSet(RedshiftNetwork):
    """
    Attention over the measurements of an object, however many.

    One more token, which is the same for all objects at first, collects what the
    measurements tell; the head reads it. Beside the redshift bins there is one more
    output, whether the object is a star.

    Parameters
    ----------
    config : BandSetConfig
        Size of the network.

    Attributes
    ----------
    star : `torch.nn.Linear`
        Turns features into the logit of the probability of a star.
    """

    micro_batch = 128

    def __init__(self, config):
        super().__init__(config.width, config)
        width = config.width
        self.layers = Perceptron(BandSetSpec.n_token, (2 * width,))
        self.enter = nn.Linear(2 * width, width)
        self.collect = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_blocks))
        self.norm = nn.LayerNorm(width)
        self.star = nn.Linear(self.n_features, 1)

    def join(self, images, ebv):
        """
        Vector that the head reads.

        Parameters
        ----------
        images : `torch.Tensor`
            Measurements as `BandSetSpec` prepares them, shape (n_object, n_slot,
            n_token).
        ebv : `torch.Tensor`
            Not read: the spec has taken off the dust. Shape (n_object, 1).

        Returns
        -------
        `torch.Tensor`
            Shape (n_object, width).
        """
        with full_precision(ebv):
            there = functional.pad(images[..., -1] > 0, (1, 0), value=True)
            there = there[:, None, None]  # for each head and query
            x = self.enter(self.layers(images))
            x = torch.cat([self.collect.expand(len(x), -1, -1), x], 1)
            *blocks, last = self.blocks
            for block in blocks:
                x = block(x, there)
            return self.norm(last(x, there, n_query=1)[:, 0])

    def with_star(self, images, ebv):
        """
        Logits of the redshift bins, and of whether the object is a star.

        Parameters
        ----------
        images, ebv : `torch.Tensor`
            As for `join`.

        Returns
        -------
        logits : `torch.Tensor`
            What ``network(images, ebv)`` gives, shape (n_object, n_bins).
        star : `torch.Tensor`
            The sigmoid of it is the probability of a star, shape (n_object,).
        """
        features = self.features(images, ebv)
        return self.last_layer(features), self.star(features)[:, 0]

    def star_probability(self, features):
        """
        Probability that objects are stars.

        Parameters
        ----------
        features : `~numpy.ndarray`
            What ``features`` gives, shape (n_object, n_features).

        Returns
        -------
        `~numpy.ndarray`
            Shape (n_object,), float32.
        """
        weight = self.star.weight.detach().cpu().double().numpy()
        logit = (features * weight).sum(1) + self.star.bias.item()
        return torch.sigmoid(torch.from_numpy(logit)).numpy().astype(np.float32)

    def groups(self, images):
        """
        Divide objects by how many measurements they have.

        Parameters
        ----------
        images : `torch.Tensor`
            As for `join`.

        Yields
        ------
        rows : `torch.Tensor`
            Numbers of objects.
        images : `torch.Tensor`
            Theirs; measurements come first, few slots are empty. How many slots there
            are depends on an object's own measurements alone.
        """
        there = images[..., -1] > 0
        first = torch.argsort(~there, dim=1, stable=True)  # their order is kept
        number = there.sum(1)
        low = -1
        for size in _SIZES:
            rows = torch.nonzero((number > low) & (number <= size))[:, 0]
            low = size
            if not len(rows):
                continue
            slots = first[rows, :size]
            chosen = images[rows[:, None], slots]
            missing = size - slots.shape[1]
            yield rows, functional.pad(chosen, (0, 0, 0, missing))


class Block(nn.Module):
    """
    Attention and two linear layers, with norms and residual connections.

    Parameters
    ----------
    config : BandSetConfig
        Size of the network.
    """

    def __init__(self, config):
        super().__init__()
        width, inner = config.width, round(config.expansion * config.width)
        self.n_heads = config.n_heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key_value = (
            nn.Linear(width, width),
            nn.Linear(width, 2 * width),
        )
        self.out = nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x, there, n_query=None):
        """
        Update tokens by attention to all others.

        Parameters
        ----------
        x : `torch.Tensor`
            Shape (n_object, n_token, width).
        there : `torch.Tensor`
            Tokens that are not padding, shape (n_object, 1, 1, n_token), bool.
        n_query : int, optional
            How many of the first tokens are wanted; by default all.

        Returns
        -------
        `torch.Tensor`
            Shape (n_object, n_query, width).
        """
        normed, x = self.norm1(x), x[:, :n_query]
        query = self._heads(self.query(normed[:, :n_query]))
        key, value = map(self._heads, self.key_value(normed).chunk(2, -1))
        mixed = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=there
        )
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.fc2(functional.gelu(self.fc1(self.norm2(x))))

    def _heads(self, x):
        """(n_object, n_token, width) to (n_object, n_head, n_token, width / n_head)."""
        return x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
