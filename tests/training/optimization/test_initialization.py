"""First weights: those of the seed, and inputs that scatter alike."""

import torch
from torch import nn

from mantis_astro.models import EarlyFusionConfig, EncoderConfig, PhotometricConfig
from mantis_astro.models.encoders import Block
from mantis_astro.training import InitializationConfig, TrainingBatch
from mantis_astro.training.optimization.initialization import (
    initial_network,
    standardize,
    whiten,
)
from mantis_astro.training.optimization.small_convolutions import (
    convolve_by_convolution,
    convolve_by_products,
)
from mantis_astro.training.optimization.white_inputs import (
    train_in_plain_inputs,
    train_in_white_inputs,
)

CONFIG = EarlyFusionConfig(
    EncoderConfig(9, (1, 2), (8, 12), kernel_size=5, patch_size=4),
    n_bins=20,
    hidden=16,
    aperture_radii=(1.5, 3.0),
    aperture_widths=(24,),
)


def make(seed=0, **options):
    initialization = InitializationConfig(**options)
    return initial_network(CONFIG, seed=seed, initialization=initialization)


def test_the_seed_decides_and_nothing_else_is_disturbed():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, same, other = make(1), make(1), make(2)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one.fc0.weight, same.fc0.weight)
    assert not torch.equal(one.fc0.weight, other.fc0.weight)


def test_blocks_begin_with_the_layer_scale_asked_for():
    network = make(layer_scale=0.3, std=0.05)
    blocks = [m for m in network.modules() if isinstance(m, Block)]
    assert all((block.gamma == 0.3).all() for block in blocks)
    weights = torch.cat([block.mlp.fc1.weight.flatten() for block in blocks])
    assert 0.04 < weights.std() < 0.05  # a normal of 0.05, cut at two sigma
    assert weights.abs().max() <= 0.1


def test_a_whitened_layer_sees_independent_inputs():
    g = torch.Generator().manual_seed(0)
    mix = torch.randn(5, 5, generator=g)
    inputs = 3 + torch.randn(4000, 5, generator=g) @ mix
    layer = nn.Linear(5, 5)
    nn.init.eye_(layer.weight)
    nn.init.zeros_(layer.bias)
    whiten(layer, inputs)
    seen = layer(inputs).detach()
    torch.testing.assert_close(seen.mean(0), torch.zeros(5), atol=1e-4, rtol=0)
    variance, _ = torch.linalg.eigh(torch.cov(seen.T))
    assert variance.max() < 1.01
    # none above 1; directions with a thousandth of the largest variance are not raised
    ratio = torch.linalg.eigvalsh(torch.corrcoef(inputs.T))
    expected = ratio / ratio.clamp(min=1e-3 * ratio.max())
    torch.testing.assert_close(variance, expected.sort().values, atol=0.01, rtol=0.02)


def test_inputs_that_do_not_vary_do_no_harm():
    inputs = torch.cat([torch.randn(100, 2), torch.ones(100, 1)], 1)
    layer = nn.Linear(3, 4)
    whiten(layer, inputs)
    assert torch.isfinite(layer(inputs)).all()
    other = inputs + torch.tensor([0, 0, 0.1])  # as in another sample
    assert (layer(other) - layer(inputs)).abs().max() < 0.1


def test_white_inputs_change_the_weights_and_not_what_comes_out():
    g = torch.Generator().manual_seed(2)
    config = PhotometricConfig(6, n_bins=20, n_ebv=2, widths=(16,), hidden=8)
    network = config.build().double()
    colours = torch.randn(300, 6, generator=g).double()
    colours[:, 5] = 0  # a band that is nowhere
    mags = 20 + 2 * torch.randn(300, 1, generator=g) + 0.1 * colours
    ebv = 0.05 * torch.rand(300, 2, generator=g).double()
    batch = TrainingBatch(mags, torch.ones(300, 6) > 0, ebv, *(torch.zeros(300),) * 3)
    names = list(network.state_dict())
    weight = network.layers[0].weight.detach().clone()
    before = network(mags, ebv)
    train_in_white_inputs(network, batch)
    assert list(network.state_dict()) == names
    assert not torch.allclose(network.layers[0].weight, weight)
    torch.testing.assert_close(network(mags, ebv), before)
    train_in_plain_inputs(network)
    torch.testing.assert_close(network.layers[0].weight, weight)
    torch.testing.assert_close(network(mags, ebv), before)


def test_aperture_sums_and_the_layer_behind_them_begin_standardized():
    g = torch.Generator().manual_seed(1)
    n = 500
    bright = 2 * torch.rand(n, 1, 1, 1, generator=g)
    images = bright + 0.1 * torch.randn(n, 9, 16, 16, generator=g)
    batch = TrainingBatch(
        (images,),
        torch.ones(n, 9, dtype=torch.bool),
        0.05 * torch.rand(n, 2, generator=g),
        *(torch.zeros(n),) * 3,
    )
    batch = TrainingBatch(images, *list(vars(batch).values())[1:])
    network = make()
    weight = network.photometry.layers[0].weight.clone()
    standardize(network, batch)
    sums = network.photometry.sums[0](images)[:, :18]
    torch.testing.assert_close(sums.std(0), torch.ones(18), atol=0.01, rtol=0)
    assert not torch.equal(network.photometry.layers[0].weight, weight)
    out = network.photometry.layers[0](
        torch.cat([network.photometry.sums[0](images), batch.ebv], 1)
    )
    scatter = out.std(0)
    assert scatter.min() > 0.1
    assert scatter.max() < 2


def test_products_are_convolutions_forward_and_backward():
    network = make(layer_scale=0.5)
    images, ebv = torch.randn(6, 9, 16, 16), torch.rand(6, 2)

    def outcome():
        network.zero_grad()
        logits = network(images, ebv)
        logits.square().sum().backward()
        return logits.detach(), [p.grad.clone() for p in network.parameters()]

    expected, gradients = outcome()
    convolve_by_products(network)
    got, mine = outcome()
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
    for a, b in zip(mine, gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)
    convolve_by_convolution(network)
    assert torch.equal(outcome()[0], expected)
