import numpy as np
import pytest
import torch
from torch import nn

from mantis_astro.kernels import ConjugateKernel, EmpiricalNTK

from .networks import ImagesAndDust, Tokens, multilayer, samples


def test_features_are_the_input_of_the_layer_and_one():
    network, x = multilayer(), samples(7, 3)
    features = ConjugateKernel(network, "4").features(x)
    hidden = network[:4](x)
    torch.testing.assert_close(features[:, :-1], hidden, rtol=0, atol=1e-14)
    assert bool((features[:, -1] == 1).all())
    assert not features.requires_grad


def test_an_earlier_layer_can_be_named():
    network, x = multilayer(), samples(4, 3)
    features = ConjugateKernel(network, "0").features(x)
    torch.testing.assert_close(features[:, :-1], x)


def test_the_network_lies_in_the_span_of_its_kernel():
    network, x = multilayer((3, 12, 10, 2)), samples(50, 3)
    features = ConjugateKernel(network, "4").features(x).numpy()
    with torch.no_grad():
        output = network(x).numpy()
    coef = np.linalg.lstsq(features, output, rcond=None)[0]
    assert np.abs(output - features @ coef).max() < 1e-13


def test_it_is_the_last_layers_term_of_the_tangent_kernel():
    network, x, y = multilayer(), samples(9, 3), samples(6, 3, seed=2)
    conjugate = ConjugateKernel(network, "4").gram(x, y)
    network.requires_grad_(False)
    network[4].requires_grad_(True)
    tangent = EmpiricalNTK(network).gram(x, y)
    assert (tangent - conjugate).abs().max() < 1e-10


def test_gram_is_symmetric_and_positive():
    gram = ConjugateKernel(multilayer(), "4").gram(samples(20, 3))
    torch.testing.assert_close(gram, gram.T)
    assert torch.linalg.eigvalsh(gram).min() > -1e-12 * gram.trace()


@pytest.mark.parametrize("batch", [1, 4, 100])
def test_batches_change_nothing(batch):
    network, x = multilayer(), samples(10, 3)
    whole = ConjugateKernel(network, "4").features(x)
    parts = ConjugateKernel(network, "4", batch=batch).features(x)
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-14)


def test_several_arguments_come_as_a_tuple():
    network = ImagesAndDust().eval()
    x = samples(5, 2, 8, 8).float(), samples(5, 1).float()
    kernel = ConjugateKernel(network, "head", batch=2)
    features = kernel.features(x)
    torch.testing.assert_close(features[:, 4:5], x[1])
    output = (
        features @ torch.cat([network.head.weight, network.head.bias[:, None]], 1).T
    )
    torch.testing.assert_close(output, network(*x))


def test_keyword_arguments_come_as_a_mapping():
    network = Tokens().eval()
    ids = torch.arange(12).reshape(3, 4) % 11
    x = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    features = ConjugateKernel(network, "score", batch=2).features(x)
    assert features.shape == (3, 9)


def test_arrays_are_read_as_tensors():
    network, x = multilayer(), samples(4, 3)
    kernel = ConjugateKernel(network, "4")
    torch.testing.assert_close(kernel.features(x.numpy()), kernel.features(x))


def test_no_samples_give_no_rows():
    assert ConjugateKernel(multilayer(), "4").gram(samples(0, 3)).shape == (0, 0)


def test_the_module_is_left_as_it_was():
    network = multilayer()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    ConjugateKernel(network, "4", dtype=torch.float32).features(samples(4, 3))
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
        assert value.dtype == torch.float64
    assert not any(part._forward_pre_hooks for part in network.modules())


def test_weights_are_read_at_each_call():
    network, x = multilayer(), samples(4, 3)
    kernel = ConjugateKernel(network, "4")
    before = kernel.features(x)
    with torch.no_grad():
        network[0].weight.mul_(2)
    assert not torch.allclose(kernel.features(x), before)


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(half):
    network, x = multilayer().to(half), samples(4, 3)
    features = ConjugateKernel(network, "4").features(x.to(half))
    assert features.dtype == torch.float32
    expected = ConjugateKernel(network.float(), "4").features(x.to(half).float())
    torch.testing.assert_close(features, expected)
    assert EmpiricalNTK(network.to(half)).gram(x).dtype == torch.float32


def test_precision_can_be_raised():
    network, x = multilayer().float(), samples(4, 3)
    kernel = ConjugateKernel(network, "4", dtype=torch.float64)
    expected = ConjugateKernel(network, "4").features(x.float())
    assert kernel.features(x.float()).dtype == torch.float64
    torch.testing.assert_close(kernel.features(x), expected.double(), rtol=0, atol=1e-5)


def test_another_precision_is_refused():
    with pytest.raises(ValueError, match=r"'dtype' must be torch.float32 or torch"):
        ConjugateKernel(multilayer(), "4", dtype=torch.float16)


def test_a_layer_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(ValueError, match=r"'fc1' is not there; .*are '0', '2', '4'"):
        ConjugateKernel(multilayer(), "fc1")


def test_a_layer_that_is_not_linear_is_refused():
    with pytest.raises(ValueError, match="layer '1' is a Tanh, not a linear layer"):
        ConjugateKernel(multilayer(), "1")


def test_something_else_than_a_module_is_refused():
    with pytest.raises(TypeError, match="'module' must be a torch.nn.Module"):
        ConjugateKernel(lambda x: x, "fc1")


@pytest.mark.parametrize("kind", [ConjugateKernel, EmpiricalNTK])
def test_batch_normalisation_in_training_mode_is_refused(kind):
    network = ImagesAndDust().train()
    kernel = kind(network, "head") if kind is ConjugateKernel else kind(network)
    x = samples(5, 2, 8, 8), samples(5, 1)
    with pytest.raises(
        ValueError, match=r"\(norm\) makes .*call module.eval\(\) first"
    ):
        kernel.gram(x)


def test_batch_normalisation_without_statistics_is_refused():
    network = nn.Sequential(
        nn.BatchNorm1d(3, track_running_stats=False), nn.Linear(3, 1)
    ).eval()
    with pytest.raises(ValueError, match="layers without running statistics"):
        ConjugateKernel(network, "1").features(samples(4, 3))


@pytest.mark.parametrize(
    ("network", "layer", "x"),
    [
        (
            nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 1)),
            "2",
            torch.zeros(2, 3),
        ),
        (
            Tokens(),
            "score",
            {
                "input_ids": torch.zeros(2, 3, dtype=torch.int64),
                "attention_mask": torch.ones(2, 3, dtype=torch.int64),
            },
        ),
    ],
)
def test_dropout_in_training_mode_is_refused(network, layer, x):
    with pytest.raises(ValueError, match=r"dropout in training mode .*module.eval\(\)"):
        ConjugateKernel(network.train(), layer).features(x)


class Twice(nn.Module):
    def __init__(self, times):
        super().__init__()
        self.layer, self.times = nn.Linear(3, 3), times

    def forward(self, x):
        for _ in range(self.times):
            x = self.layer(x)
        return x


@pytest.mark.parametrize("times", [0, 2])
def test_a_layer_that_is_not_used_once_is_refused(times):
    with pytest.raises(ValueError, match=f"'layer' was used {times} times"):
        ConjugateKernel(Twice(times), "layer").features(torch.zeros(2, 3))


def test_more_than_one_vector_a_sample_needs_pooling():
    network = nn.Sequential(nn.Tanh(), nn.Linear(3, 2))
    x = samples(5, 4, 3).float()
    with pytest.raises(ValueError, match=r"reads \(5, 4, 3\).*pool="):
        ConjugateKernel(network, "1").features(x)
    last = ConjugateKernel(network, "1", pool=lambda a, x: a[:, -1]).features(x)
    torch.testing.assert_close(last[:, :-1], x[:, -1].tanh())


def test_samples_of_different_number_are_refused():
    network = ImagesAndDust().eval()
    with pytest.raises(ValueError, match="as many in each; got shapes"):
        ConjugateKernel(network, "head").features((samples(5, 2, 8, 8), samples(4, 1)))
