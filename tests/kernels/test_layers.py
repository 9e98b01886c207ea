"""Layer by layer or gradient by gradient: the same tangent kernel."""

import logging

import pytest
import torch
from torch import nn

from mantis_astro.kernels import EmpiricalNTK
from mantis_astro.kernels import layers as layers_module

from .networks import ImagesAndDust, Tokens, multilayer, samples
from .test_projection import Attention, Encoder


class Convolutions(nn.Module):
    """Strides, dilation, padding, no bias, activations in place."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.body = nn.Sequential(
            nn.Conv2d(2, 3, 3, stride=2, padding=1, bias=False),
            nn.ReLU(inplace=True),
            nn.Conv2d(3, 4, (3, 2), dilation=(1, 2)),
            nn.ReLU(inplace=True),
        )
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))


class Words(nn.Module):
    def __init__(self, **options):
        super().__init__()
        torch.manual_seed(2)
        self.words = nn.Embedding(7, 4, **options)
        self.places = nn.Embedding(5, 4)
        self.norm = nn.LayerNorm(4)
        self.score = nn.Linear(4, 2)

    def forward(self, ids):
        x = self.words(ids) + self.places(torch.arange(ids.shape[1]))
        return self.score(self.norm(x)).tanh().mean(1)


class Tied(Words):
    """The table of words is used once more, by no layer."""

    def forward(self, ids):
        return (super().forward(ids) @ torch.ones(2, 4).to(self.words.weight)) @ (
            self.words.weight.T
        )


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.layer, self.head = nn.Linear(3, 3), nn.Linear(3, 1)

    def forward(self, x):
        return self.head(self.layer(self.layer(x).tanh()))


class FirstAxis(nn.Module):
    """Positions before samples, and as many as samples of the check."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(4)
        self.layer, self.head = nn.Linear(3, 4), nn.Linear(4, 1)

    def forward(self, x):
        return self.head(self.layer(x.transpose(0, 1)).tanh().mean(0))


IDS = torch.arange(20).reshape(4, 5) * 3 % 7
NETWORKS = {
    "perceptron": (lambda: multilayer((3, 6, 5, 2)), samples(4, 3)),
    "convolutions": (Convolutions, samples(4, 2, 9, 9)),
    "batch norm": (
        ImagesAndDust,
        (samples(4, 2, 8, 8), samples(4, 1)),
    ),
    "words": (Words, IDS),
    "padding": (lambda: Words(padding_idx=0), IDS),
    "tied": (Tied, IDS),
    "twice": (Twice, samples(4, 3)),
    "first axis": (FirstAxis, samples(4, 2, 3)),
    "attention": (Attention, samples(4, 5, 8)),
    "encoder": (Encoder, samples(4, 5, 8)),
    "tokens": (Tokens, {"input_ids": IDS, "attention_mask": IDS > -1}),
}


@pytest.mark.parametrize("limits", [(8_000_000, 50_000_000), (1, 0)])
@pytest.mark.parametrize("name", NETWORKS)
def test_layers_give_the_tangent_kernel(name, limits, monkeypatch):
    monkeypatch.setattr(layers_module, "_POSITIONS", limits[0])
    monkeypatch.setattr(layers_module, "_WEIGHTS", limits[1])
    make, x = NETWORKS[name]
    kernel = EmpiricalNTK(make().double().eval())
    features = kernel.features(x)  # by gradients
    torch.testing.assert_close(kernel.gram(x), features @ features.T)
    torch.testing.assert_close(kernel.gram(x, x), features @ features.T)
    small = EmpiricalNTK(kernel.module, memory=3e3)
    torch.testing.assert_close(small.gram(x), features @ features.T)


def test_layers_that_do_not_tell_all_are_seen(caplog):
    x = samples(4, 2, 3)
    with caplog.at_level(logging.INFO, logger="mantis_astro.kernels.tangent"):
        EmpiricalNTK(FirstAxis().double()).gram(x)
    assert "do not follow from its layers" in caplog.text


def test_no_gradient_by_a_weight_is_made(monkeypatch):
    def refused(*_):
        raise AssertionError

    kernel, x = EmpiricalNTK(multilayer((3, 6, 5, 2))), samples(4, 3)
    expected = kernel.gram(x)
    monkeypatch.setattr(kernel, "_jacobian", refused)
    torch.testing.assert_close(kernel.gram(x), expected)


def test_frozen_layers_do_not_count():
    network, x = multilayer(), samples(4, 3)
    network[0].weight.requires_grad_(False)
    kernel = EmpiricalNTK(network)
    features = kernel.features(x)
    torch.testing.assert_close(kernel.gram(x), features @ features.T)


def test_samples_that_go_other_ways():
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(5)
            self.up, self.down = nn.Linear(3, 2), nn.Linear(3, 2)

        def forward(self, x):
            good = x[:, 0] > 0
            if good.all():
                return self.up(x)
            both = torch.where(good[:, None], self.up(x), self.down(x))
            return both + self.up(x) * 0

    x = samples(5, 3).abs()
    x[3:, 0] *= -1
    gram = EmpiricalNTK(Branches().double()).gram(x)
    # f = w x + b of one of two layers: samples of one way have 1 + x.x', others 0
    same = (x[:, :1] > 0) == (x[:, 0] > 0)
    torch.testing.assert_close(gram, same * (1 + x @ x.T))


def test_words_of_one_token():
    class OneWord(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(6)
            self.words, self.score = nn.Embedding(7, 4), nn.Linear(4, 1)

        def forward(self, ids):
            return self.score(self.words(ids).tanh())

    kernel, ids = EmpiricalNTK(OneWord().double()), torch.tensor([0, 3, 3, 6])
    features = kernel.features(ids)
    torch.testing.assert_close(kernel.gram(ids), features @ features.T)
