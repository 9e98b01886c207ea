import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from mantis_astro.kernels import EmpiricalNTK, ProjectedNTK
from mantis_astro.kernels.sketch import Sketch

from .networks import ImagesAndDust, Tokens, multilayer, samples


@pytest.mark.parametrize(("parallel", "excess"), [(False, 1), (True, 2)])
def test_products_of_sketches_are_those_of_the_vectors_on_average(parallel, excess):
    u = torch.ones(1000) if parallel else samples(1000, seed=4)
    both = torch.stack([u, u + 0.5]).double()
    n, products = 64, []
    for seed in range(400):
        sketch = Sketch({"a": 700, "b": 300}, n, seed=seed, device=torch.device("cpu"))
        short = sketch({"a": both[:, :700], "b": both[:, 700:]})
        assert short.shape == (2, n)
        products.append(float(short[0] @ short[1]))
    gram = both @ both.T
    variance = excess * (gram[0, 0] * gram[1, 1] + gram[0, 1] ** 2) / n
    error = float(variance) ** 0.5
    assert abs(np.mean(products) - float(gram[0, 1])) < 4 * error / np.sqrt(400)
    assert 0.75 * error < np.std(products) < 1.25 * error


def test_long_sketches_of_short_vectors():
    sketch = Sketch({"a": 3}, 1000, seed=1, device=torch.device("cpu"))
    v = torch.tensor([[1.0, 2.0, 3.0]])
    short = sketch({"a": v})
    torch.testing.assert_close(short.abs().sort().values[0, -3:], v[0])
    assert torch.count_nonzero(short) == 3


def test_it_estimates_the_tangent_kernel():
    network, x = multilayer((3, 40, 40, 2)), samples(5, 3)
    exact = EmpiricalNTK(network).gram(x)
    assert ProjectedNTK(network, n_directions=9, seed=1).features(x).shape == (5, 18)
    errors = {}
    for n in (50, 5000):
        estimates = [
            ProjectedNTK(network, n_directions=n, seed=seed).gram(x)
            for seed in range(8)
        ]
        errors[n] = np.mean([float((e - exact).norm()) for e in estimates])
    assert errors[5000] < 0.03 * exact.norm()
    assert errors[5000] < errors[50] / 4  # 10, if there were more seeds


@pytest.mark.parametrize("memory", [1.0, 1e6])
@pytest.mark.parametrize("batch", [1, 2])
def test_batches_and_memory_change_nothing(batch, memory):
    network, x = multilayer((3, 12, 2)), samples(5, 3)
    whole = ProjectedNTK(network, n_directions=8, seed=1).features(x)
    parts = ProjectedNTK(network, n_directions=8, seed=1, batch=batch, memory=memory)
    torch.testing.assert_close(parts.features(x), whole)


def test_directions_and_samples_that_are_not_there():
    with pytest.raises(ValueError, match="'n_directions' must be positive"):
        ProjectedNTK(multilayer(), n_directions=0, seed=1)
    kernel = ProjectedNTK(multilayer(), n_directions=8, seed=1)
    assert kernel.gram(samples(0, 3)).shape == (0, 0)


class Attention(nn.Module):
    """GPT-2's block as everybody writes it: scaled dot products, causal."""

    def __init__(self, width=8, n_heads=2):
        super().__init__()
        torch.manual_seed(6)
        self.n_heads = n_heads
        self.norm = nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, 1)

    def forward(self, x):
        n, length, width = x.shape
        heads = (n, length, self.n_heads, width // self.n_heads)
        q, k, v = (
            part.reshape(heads).transpose(1, 2)
            for part in self.qkv(self.norm(x)).chunk(3, -1)
        )
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out((x + y.transpose(1, 2).reshape(x.shape))[:, -1])


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(7)
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.score = nn.Linear(8, 2)

    def forward(self, x):
        return self.score(self.encoder(x).mean(1))


class SelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x, need_weights=False)[0][:, 0, :2]


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(9)
        self.lstm, self.score = nn.LSTM(8, 6, batch_first=True), nn.Linear(6, 1)

    def forward(self, x):
        return self.score(self.lstm(x)[0][:, -1])


@pytest.mark.parametrize("memory", [1.0, 2e9])
@pytest.mark.parametrize("kind", [Attention, Encoder, SelfAttention, Recurrent])
def test_networks_of_sequences_have_tangent_kernels(kind, memory):
    network, x = kind().double().eval(), samples(3, 5, 8)
    rows = []
    for sample in x:
        outputs = network(sample[None]).flatten()
        for output in outputs:
            gradients = torch.autograd.grad(
                output, list(network.parameters()), retain_graph=True
            )
            rows.append(torch.cat([g.flatten() for g in gradients]))
    jacobian = torch.stack(rows).reshape(3, -1)
    exact = jacobian @ jacobian.T / len(outputs)
    torch.testing.assert_close(EmpiricalNTK(network).gram(x), exact)
    estimate = ProjectedNTK(network, n_directions=4000, seed=2, memory=memory).gram(x)
    assert (estimate - exact).norm() < 0.1 * exact.norm()


def test_layers_of_images_and_of_tokens():
    network = ImagesAndDust().double().eval()
    x = samples(3, 2, 8, 8), functional.softplus(samples(3, 1))
    exact = EmpiricalNTK(network).gram(x)
    estimate = ProjectedNTK(network, n_directions=3000, seed=1).gram(x)
    assert (estimate - exact).norm() < 0.1 * exact.norm()
    network, ids = Tokens().double().eval(), torch.arange(12).reshape(3, 4) % 11
    x = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    exact = EmpiricalNTK(network).gram(x)
    estimate = ProjectedNTK(network, n_directions=3000, seed=1).gram(x)
    assert (estimate - exact).norm() < 0.1 * exact.norm()
