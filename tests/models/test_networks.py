"""ConvNeXt against timm's numbers; names, shapes and contracts of the networks."""

import ast
from pathlib import Path

import numpy as np
import pytest
import torch

from mantis_astro.exceptions import InputSpecError
from mantis_astro.models import (
    EarlyFusionConfig,
    EncoderConfig,
    LateFusionConfig,
    PhotometricConfig,
    build_network,
    get_card,
)
from mantis_astro.models.encoders import ConvNeXt
from mantis_astro.models.heads import ApertureSums

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="module")
def parity():
    with np.load(DATA / "convnext_parity.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def parity_network(parity):
    """The network of the parity file: weights drawn by the recipe it was made with."""
    network = ConvNeXt(EncoderConfig(9, (1, 1, 2, 1), (8, 16, 32, 64))).eval()
    shapes = {name: tuple(p.shape) for name, p in network.state_dict().items()}
    weights = {}
    for i, name in enumerate(parity["keys"]):
        a = np.random.default_rng([11, i]).standard_normal(shapes[name], dtype="f4")
        if name.endswith("gamma"):
            a = a * np.float32(0.2)
        elif name.endswith("bias"):
            a = a * np.float32(0.05)
        elif a.ndim == 1:
            a = 1 + np.float32(0.1) * a
        else:
            a = a * np.float32(0.02)
        weights[name] = torch.from_numpy(a)
    network.load_state_dict(weights, strict=True)
    return network


def parity_images():
    draw = np.random.default_rng(7).standard_normal((3, 9, 64, 64), dtype="f4")
    return torch.from_numpy(draw * np.float32(0.3))


def test_encoder_gives_the_features_of_timm(parity, parity_network):
    with torch.inference_mode():
        features = parity_network(parity_images())
    np.testing.assert_allclose(features, parity["features"], atol=1e-5)


def test_encoder_sees_the_order_of_bands(parity, parity_network):
    with torch.inference_mode():
        features = parity_network(parity_images().flip(1))
    assert np.abs(features.numpy() - parity["features"]).max() > 0.01


def test_early_fusion_has_the_published_names_and_shapes():
    lines = (DATA / "early_state_dict.txt").read_text().splitlines()
    published = {
        name: ast.literal_eval(shape)
        for name, shape in (line.split("\t") for line in lines)
    }
    with torch.device("meta"):
        network = build_network(get_card("mantis-shrimp-early").network)
    ours = {name: tuple(p.shape) for name, p in network.state_dict().items()}
    assert ours == published
    assert len(ours) == 346
    assert sum(p.numel() for p in network.parameters()) == 200_220_240
    assert not list(network.buffers())


def test_late_fusion_reads_3074_features_in_the_published_size():
    with torch.device("meta"):
        network = build_network(get_card("mantis-shrimp-late").network)
    assert network.fc0.weight.shape == (2048, 1536 + 768 + 768 + 2)
    assert network.fc1.weight.shape == (400, 2048)


def tiny(name):
    encoder = EncoderConfig(9, (1, 1), (8, 16))
    images = torch.rand(2, 9, 16, 16)
    if name == "early":
        return EarlyFusionConfig(encoder, n_bins=5, hidden=12), images
    if name == "apertures":
        config = EarlyFusionConfig(encoder, 5, hidden=12, aperture_radii=(2.0, 5.0))
        return config, images
    if name == "late":
        two, five = EncoderConfig(2, (1,), (8,)), EncoderConfig(5, (1,), (8,))
        config = LateFusionConfig(two, five, two, n_bins=5, hidden=12)
        sizes = ((2, 8), (5, 16), (2, 8))
        return config, tuple(torch.rand(2, c, side, side) for c, side in sizes)
    return PhotometricConfig(27, 5, widths=(16,), hidden=12), torch.rand(2, 27)


@pytest.mark.parametrize("name", ["early", "apertures", "late", "photometric"])
def test_logits_are_the_last_layer_of_the_features(name):
    config, images = tiny(name)
    network, ebv = build_network(config), torch.rand(2, 2)
    with torch.inference_mode():
        features = network.features(images, ebv)
        logits = network(images, ebv)
    assert features.shape == (2, 12)
    with torch.inference_mode():
        assert torch.equal(logits, network.fc1(features))


@pytest.mark.parametrize("name", ["early", "apertures", "late", "photometric"])
def test_every_weight_gets_a_gradient(name):
    config, images = tiny(name)
    network = build_network(config)
    network(images, torch.rand(2, 2)).square().sum().backward()
    without = [n for n, p in network.named_parameters() if p.grad is None]
    assert without == []


@pytest.mark.parametrize("name", ["early", "late", "photometric"])
def test_reddening_reaches_the_answer(name):
    config, images = tiny(name)
    network = build_network(config)
    with torch.inference_mode():
        here, there = (network(images, torch.full((2, 2), e)) for e in (0.0, 1.0))
    assert (here - there).abs().min() > 0


def test_late_fusion_joins_ps1_unwise_galex():
    config, images = tiny("late")
    network = build_network(config)
    with torch.no_grad():
        network.fc0.weight[:, :8] = 0  # the features of PS1
    with torch.inference_mode():
        before = network(images, torch.rand(2, 2).zero_())
        changed = (images[0], images[1] * 3, images[2])
        after = network(changed, torch.zeros(2, 2))
    assert torch.equal(before, after)


def test_something_else_is_no_configuration():
    with pytest.raises(InputSpecError, match="must describe a network, got 'early'"):
        build_network("early")


@pytest.fixture
def apertures():
    return ApertureSums(2, (3.0, 6.0))


def test_aperture_sums_add_flux_not_stretched_flux(apertures):
    flux = torch.full((1, 2, 24, 24), 2.0)
    sums = torch.sinh(apertures(torch.asinh(flux)))[0, :4].reshape(2, 2)
    area = torch.tensor([np.pi * 9, np.pi * 36])
    torch.testing.assert_close(sums, (2 * area).expand(2, 2), rtol=0.02, atol=0)


def test_a_band_of_zeros_is_told_as_missing(apertures):
    images = torch.rand(1, 2, 24, 24) + 0.1
    images[:, 1] = 0
    assert apertures(images)[0, -2:].tolist() == [1.0, 0.0]


def test_aperture_sums_do_not_overflow(apertures):
    assert torch.isfinite(apertures(torch.full((1, 2, 24, 24), 1e30))).all()


def test_aperture_sums_do_not_change_under_the_eight_orientations(apertures):
    images = torch.rand(1, 2, 24, 24)
    turned = torch.rot90(images.flip(-1), 1, (-2, -1))
    torch.testing.assert_close(apertures(turned), apertures(images))


def small_late(**options):
    encoders = [EncoderConfig(n, (1,), (8,)) for n in (2, 5, 2)]
    return LateFusionConfig(*encoders, n_bins=5, hidden=12, **options)


def test_late_fusion_reads_aperture_sums_of_every_survey():
    network = build_network(small_late(aperture_radii=(3.0,), aperture_widths=(16, 6)))
    assert network.fc0.in_features == 3 * 8 + 6
    images = [torch.rand(1, n, 16, 16) for n in (2, 5, 2)]
    ebv = torch.zeros(1, 2)
    before = network.photometry(images, ebv)
    for survey in range(3):
        changed = [x * 3 if j == survey else x for j, x in enumerate(images)]
        assert not torch.equal(network.photometry(changed, ebv), before)


def test_without_apertures_nothing_but_ebv_goes_around_the_encoders():
    network = build_network(small_late())
    assert network.fc0.in_features == 3 * 8 + 2
    assert not list(network.photometry.parameters())


def test_mixed_precision_leaves_magnitudes_alone():
    network = build_network(small_late(aperture_radii=(3.0,), aperture_widths=(16, 6)))
    images = [torch.rand(3, n, 16, 16) for n in (2, 5, 2)]
    ebv = torch.zeros(3, 2)
    exact = network.photometry(images, ebv)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(network.photometry(images, ebv), exact)
        assert network(tuple(images), ebv).dtype == torch.float32


def test_standardized_sums_have_mean_0_and_variance_1_where_a_band_is_there():
    torch.manual_seed(0)
    images = torch.randn(200, 2, 24, 24) * torch.rand(200, 1, 1, 1) + 1
    images[:50, 1] = 0
    apertures = ApertureSums(2, (3.0, 6.0))
    apertures.standardize(images)
    sums = apertures(images)[:, :4].reshape(200, 2, 2)
    for values in (sums[:, 0], sums[50:, 1]):
        torch.testing.assert_close(values.mean(0), torch.zeros(2), atol=1e-5, rtol=0)
        torch.testing.assert_close(values.var(0, correction=0), torch.ones(2))


def test_a_band_that_is_never_there_is_left_as_it_is():
    apertures = ApertureSums(2, (3.0,))
    images = torch.rand(5, 2, 24, 24)
    images[:, 1] = 0
    apertures.standardize(images)
    assert apertures(images)[:, 1].tolist() == [0.0] * 5
