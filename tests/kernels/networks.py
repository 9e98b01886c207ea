"""Small networks with made weights, of every kind that kernels must read."""

from itertools import pairwise

import torch
from torch import nn


def multilayer(sizes=(3, 12, 10, 1), *, activation=nn.Tanh, seed=0):
    """A perceptron; its layers are "0", "2", "4", ..."""
    generator = torch.Generator().manual_seed(seed)
    layers = []
    for before, after in pairwise(sizes):
        linear = nn.Linear(before, after)
        with torch.no_grad():
            linear.weight.normal_(0, before**-0.5, generator=generator)
            linear.bias.normal_(0, 0.3, generator=generator)
        layers += [linear, activation()]
    return nn.Sequential(*layers[:-1]).double().eval()


def samples(n, *shape, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, *shape, generator=generator, dtype=torch.float64)


class ImagesAndDust(nn.Module):
    """Two positional arguments, as our networks take them."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.convolution = nn.Conv2d(2, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4 + 1, 3)

    def forward(self, images, ebv):
        x = self.norm(self.convolution(images)).relu().mean((2, 3))
        return self.head(torch.cat([x, ebv], 1))


class Tokens(nn.Module):
    """Keyword arguments and an answer with logits, as transformers have them."""

    class Answer:
        def __init__(self, logits):
            self.logits = logits

    def __init__(self):
        super().__init__()
        torch.manual_seed(4)
        self.embedding = nn.Embedding(11, 8)
        self.attention = nn.MultiheadAttention(8, 2, dropout=0.1, batch_first=True)
        self.score = nn.Linear(8, 2)

    def forward(self, input_ids, attention_mask):
        x = self.embedding(input_ids)
        x = self.attention(x, x, x, key_padding_mask=attention_mask == 0)[0]
        mask = attention_mask[..., None].to(x.dtype)
        return self.Answer(self.score((x * mask).sum(1) / mask.sum(1)))


class DataDependent(nn.Module):
    """A branch on the data, which vmap cannot take."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(5)
        self.up, self.down = nn.Linear(3, 2), nn.Linear(3, 2)

    def forward(self, x):
        rows = [self.up(row) if float(row.sum()) > 0 else self.down(row) for row in x]
        return torch.stack(rows)
