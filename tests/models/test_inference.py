"""Bit for bit the same answers, whatever the batch; orientations; fast forms."""

import numpy as np
import pytest
import torch

from mantis_astro.exceptions import InputSpecError
from mantis_astro.models import (
    EarlyFusionConfig,
    EncoderConfig,
    LateFusionConfig,
    OnnxNetwork,
    accelerate,
    acceleration,
    build_network,
    load_model,
    predict_features,
    predict_probability,
    processor,
)
from mantis_astro.models.acceleration import BFloat16Encoder, FusedBlock
from mantis_astro.models.encoders import Block, ConvNeXt
from mantis_astro.models.processor import _agrees, choose_fastest


@pytest.fixture(scope="module")
def early():
    torch.manual_seed(0)
    config = EarlyFusionConfig(EncoderConfig(9, (1, 2), (16, 32)), n_bins=7, hidden=12)
    network = build_network(config)
    for block in network.modules():
        if isinstance(block, Block):  # else the blocks do nothing to speak of
            torch.nn.init.normal_(block.gamma)
    return network


@pytest.fixture(scope="module")
def images():
    return torch.rand(19, 9, 32, 32, generator=torch.manual_seed(1))


@pytest.fixture(scope="module")
def ebv():
    return torch.rand(19, 2, generator=torch.manual_seed(2))


@pytest.mark.parametrize("predict", [predict_probability, predict_features])
@pytest.mark.parametrize("chunk", [1, 3, 8, 16])
def test_answers_are_bit_identical_whatever_the_batch(
    early, images, ebv, predict, chunk
):
    whole = predict(early, images, ebv)
    parts = [
        predict(early, images[i : i + chunk], ebv[i : i + chunk])
        for i in range(0, 19, chunk)
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_answers_are_bit_identical_whatever_the_neighbours(early, images, ebv):
    order = torch.randperm(19, generator=torch.manual_seed(3))
    whole = predict_probability(early, images, ebv)
    shuffled = predict_probability(early, images[order], ebv[order])
    np.testing.assert_array_equal(shuffled, whole[order.numpy()])


def test_answers_repeat(early, images, ebv):
    first, second = (predict_probability(early, images, ebv) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_probability_is_the_softmax_of_the_logits(early, images, ebv):
    with torch.inference_mode():
        expected = torch.softmax(early(images, ebv), -1)
    p = predict_probability(early, images, ebv)
    np.testing.assert_allclose(p, expected, atol=1e-6)
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-6)
    assert p.dtype == np.float32


def test_features_are_those_of_the_network(early, images, ebv):
    with torch.inference_mode():
        expected = early.features(images, ebv)
    np.testing.assert_allclose(
        predict_features(early, images, ebv), expected, atol=1e-5
    )


def test_no_objects_give_no_rows(early, images, ebv):
    assert predict_probability(early, images[:0], ebv[:0]).shape == (0, 7)
    assert predict_features(early, images[:0], ebv[:0]).shape == (0, 12)


def test_table_networks_are_bit_identical_too():
    network, card = load_model("simulated-photometric")
    inputs = torch.rand(600, card.spec.n_inputs)
    ebv = torch.rand(600, 2)
    whole = predict_probability(network, inputs, ebv)
    one = predict_probability(network, inputs[431:432], ebv[431:432])
    np.testing.assert_array_equal(one[0], whole[431])


def test_late_fusion_takes_a_tuple_of_images():
    two, five = EncoderConfig(2, (1,), (8,)), EncoderConfig(5, (1,), (8,))
    network = build_network(LateFusionConfig(two, five, two, n_bins=5, hidden=12))
    images = tuple(torch.rand(11, c, 16, 16) for c in (2, 5, 2))
    ebv = torch.rand(11, 2)
    whole = predict_probability(network, images, ebv, dihedral=True)
    one = predict_probability(
        network, tuple(x[9:10] for x in images), ebv[9:10], dihedral=True
    )
    assert whole.shape == (11, 5)
    np.testing.assert_array_equal(one[0], whole[9])


# Orientations


def orientations(x):
    for turn in range(4):
        turned = torch.rot90(x, turn, (-2, -1))
        yield turned
        yield turned.flip(-1)


def test_the_dihedral_mean_is_the_mean_probability(early, images, ebv):
    single = [predict_probability(early, x, ebv) for x in orientations(images)]
    mean = predict_probability(early, images, ebv, dihedral=True)
    np.testing.assert_allclose(mean, np.mean(single, axis=0), atol=1e-6)


def test_the_dihedral_mean_does_not_see_the_orientation(early, images, ebv):
    expected = predict_probability(early, images, ebv, dihedral=True)
    for turned in orientations(images):
        mean = predict_probability(early, turned, ebv, dihedral=True)
        np.testing.assert_allclose(mean, expected, atol=1e-6)


def test_a_single_answer_does_see_the_orientation(early, images, ebv):
    here, there = (
        predict_probability(early, x, ebv) for x in (images, images.flip(-1))
    )
    assert np.abs(here - there).max() > 1e-4


def test_a_table_has_no_orientation():
    network, card = load_model("simulated-photometric")
    inputs = torch.rand(2, card.spec.n_inputs)
    with pytest.raises(InputSpecError, match="'dihedral' turns images"):
        predict_probability(network, inputs, torch.rand(2, 2), dihedral=True)


# Fast forms


def test_the_fast_form_gives_the_same_numbers(early, images, ebv):
    fast = accelerate(early)
    assert any(isinstance(module, FusedBlock) for module in fast.modules())
    with torch.inference_mode():
        torch.testing.assert_close(
            fast(images, ebv), early(images, ebv), atol=1e-5, rtol=0
        )


def test_the_fast_form_shares_the_weights(early):
    ours = {p.data_ptr() for p in early.parameters()}
    assert {p.data_ptr() for p in accelerate(early).parameters()} == ours


def test_the_network_itself_is_not_changed(early):
    accelerate(early, precision="bfloat16")
    accelerate(early)
    kinds = {type(module) for module in early.modules()}
    assert Block in kinds
    assert FusedBlock not in kinds
    assert {p.dtype for p in early.parameters()} == {torch.float32}


def test_the_fast_form_can_be_made_again(early, images, ebv):
    once, twice = accelerate(early), accelerate(accelerate(early))
    with torch.inference_mode():
        assert torch.equal(once(images, ebv), twice(images, ebv))


def test_the_fast_form_has_gradients(early, images, ebv):
    fast = accelerate(early)
    fast(images[:2], ebv[:2]).sum().backward()
    assert all(p.grad is not None for p in early.parameters())
    early.zero_grad()


def test_without_onednn_the_network_runs_as_it_is(early, monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert accelerate(early) is early


@pytest.fixture
def tried_anew():
    """Forget what was found out about private operations, before and after."""
    _agrees.cache_clear()
    yield
    _agrees.cache_clear()


def refuse(*_):
    raise RuntimeError("could not create a primitive descriptor")


@pytest.mark.parametrize("private", [refuse, lambda x, layer, _: layer(x)])
@pytest.mark.usefixtures("tried_anew")
def test_a_private_operation_that_fails_is_not_used(early, monkeypatch, private):
    monkeypatch.setattr(processor, "fused_linear", private)
    assert accelerate(early) is early
    half = accelerate(early, precision="bfloat16")
    assert not any(isinstance(module, FusedBlock) for module in half.modules())


@pytest.mark.parametrize("faster", ["float32", "bfloat16"])
def test_precision_is_what_is_faster_here(early, monkeypatch, faster):
    timed = []

    def choose(forms, _):
        timed.append({name: form().dtype for name, form in forms.items()})
        return faster

    monkeypatch.setattr(acceleration, "choose_fastest", choose)
    chosen = accelerate(early, precision="auto")
    has_half = any(isinstance(m, BFloat16Encoder) for m in chosen.modules())
    assert has_half == (faster == "bfloat16")
    assert timed == [{"float32": torch.float32, "bfloat16": torch.float32}]


def test_a_network_without_encoders_stays_in_float32():
    network, _ = load_model("simulated-photometric")
    assert accelerate(network, precision="auto") is network


class Watch:
    """A clock that goes on only while something is done."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def job(self, *seconds):
        """Make something to do that takes so long each time, then as the last."""
        left = list(seconds)

        def do():
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return do


@pytest.mark.parametrize(
    ("exact", "rough", "expected"),
    [
        ((1.0,), (0.5,), "rough"),
        ((1.0,), (2.0,), "exact"),
        ((1.0,), (0.95,), "exact"),  # not worth a coarser answer
        ((1.0,), (9.0, 0.5), "rough"),  # the first call makes ready
        ((0.01, 0.01, 0.01, 0.001), (0.005,), "exact"),  # for a second, not only twice
    ],
)
def test_the_fastest_is_chosen(exact, rough, expected, caplog):
    watch = Watch()
    forms = {"exact": watch.job(*exact), "rough": watch.job(*rough)}
    with caplog.at_level("INFO"):
        assert choose_fastest(forms, "a job", clock=watch) == expected
    assert f"{expected} is used" in caplog.text


def test_bfloat16_is_near_and_the_head_stays_exact(early, images, ebv):
    half = accelerate(early, precision="bfloat16")
    encoders = [m for m in half.modules() if isinstance(m, ConvNeXt)]
    assert {p.dtype for m in encoders for p in m.parameters()} == {torch.bfloat16}
    assert half.fc1.weight.dtype == torch.float32
    p, expected = (predict_probability(n, images, ebv) for n in (half, early))
    assert np.abs(p - expected).max() < 0.02
    assert np.abs(p - expected).max() > 0


def test_another_precision_is_refused(early):
    with pytest.raises(
        InputSpecError, match="'precision' must be one of .* got 'int3'"
    ):
        accelerate(early, precision="int3")


# onnxruntime


@pytest.fixture(scope="module")
def onnx_early(early, images, ebv):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    return OnnxNetwork(early, images[:2], ebv[:2])


def test_onnxruntime_gives_the_same_numbers(onnx_early, early, images, ebv):
    with torch.inference_mode():
        expected = early(images, ebv)
    torch.testing.assert_close(onnx_early(images, ebv), expected, atol=1e-5, rtol=0)


def test_onnxruntime_predicts_in_the_same_batches(onnx_early, early, images, ebv):
    whole = predict_probability(onnx_early, images, ebv)
    one = predict_probability(onnx_early, images[13:14], ebv[13:14])
    np.testing.assert_array_equal(one[0], whole[13])
    np.testing.assert_allclose(
        whole, predict_probability(early, images, ebv), atol=1e-6
    )


def test_int8_is_near(early, images, ebv, onnx_early):
    small = OnnxNetwork(early, images[:2], ebv[:2], precision="int8")
    with torch.inference_mode():
        difference = (small(images, ebv) - early(images, ebv)).abs().max().item()
    assert 0 < difference < 0.1


class Sums(torch.nn.Module):
    """All inputs and weights as large as can be, of one sign."""

    micro_batch = 2

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(64, 8, bias=False)
        torch.nn.init.ones_(self.layer.weight)

    def forward(self, images, ebv):
        return self.layer(images).mean(1) + ebv


def test_int8_does_not_overflow_on_any_processor():
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    images, ebv = torch.ones(2, 3, 64), torch.zeros(2, 1)
    small = OnnxNetwork(Sums(), images, ebv, precision="int8")
    torch.testing.assert_close(small(images, ebv), torch.full((2, 8), 64.0))


def test_late_fusion_runs_in_onnxruntime():
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    two, five = EncoderConfig(2, (1,), (8,)), EncoderConfig(5, (1,), (8,))
    network = build_network(LateFusionConfig(two, five, two, n_bins=5, hidden=12))
    images = tuple(
        torch.rand(4, c, side, side) for c, side in ((2, 8), (5, 16), (2, 8))
    )
    ebv = torch.rand(4, 2)
    with torch.inference_mode():
        expected = network(images, ebv)
    found = OnnxNetwork(network, images, ebv)(images, ebv)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_onnxruntime_refuses_another_precision(early, images, ebv):
    with pytest.raises(InputSpecError, match="'float32' or 'int8', got 'float16'"):
        OnnxNetwork(early, images, ebv, precision="float16")


def test_without_onnxruntime_the_extra_is_named(early, images, ebv, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r'pip install "mantis-astro\[fast\]"'):
        OnnxNetwork(early, images, ebv)
