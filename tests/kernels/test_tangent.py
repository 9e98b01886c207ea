import logging

import numpy as np
import pytest
import torch
from torch import nn

from mantis_astro.kernels import EmpiricalNTK

from .networks import DataDependent, ImagesAndDust, Tokens, multilayer, samples


def autograd_gram(network, x, y, call=None):
    """Gradients by backward passes, one output of one sample at a time."""
    call = call or network

    def jacobian(sample):
        outputs = call(sample).flatten()
        rows = []
        for output in outputs:
            gradients = torch.autograd.grad(
                output, list(network.parameters()), retain_graph=True, allow_unused=True
            )
            rows.append(
                torch.cat(
                    [
                        (torch.zeros_like(p) if g is None else g).flatten()
                        for p, g in zip(network.parameters(), gradients, strict=True)
                    ]
                )
            )
        return torch.stack(rows).double()

    left, right = [jacobian(s) for s in x], [jacobian(s) for s in y]
    return torch.tensor([[float((a * b).sum()) / len(a) for b in right] for a in left])


def test_it_is_the_gram_matrix_of_autograd_gradients():
    network = multilayer((3, 12, 10, 2))
    x, y = samples(6, 3), samples(4, 3, seed=2)
    gram = EmpiricalNTK(network).gram(x, y)
    expected = autograd_gram(network, x[:, None], y[:, None])
    assert gram.shape == (6, 4)
    np.testing.assert_allclose(gram, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_it_is_the_layer_by_layer_formula(activation):
    """K = sum_l (a_{l-1}.a_{l-1}' + 1)(B_l.B_l'), arXiv:2310.18612."""
    kind = {"tanh": nn.Tanh, "relu": nn.ReLU}[activation]
    network, x = multilayer((2, 9, 7, 1), activation=kind), samples(8, 2)
    first, second, third = network[0], network[2], network[4]
    z1 = first(x)
    a1 = getattr(torch, activation)(z1)
    z2 = second(a1)
    a2 = getattr(torch, activation)(z2)
    slope = (lambda z: 1 - z.tanh() ** 2) if activation == "tanh" else lambda z: z > 0
    b3 = torch.ones(8, 1, dtype=x.dtype)
    b2 = third.weight * slope(z2)
    b1 = (b2 @ second.weight) * slope(z1)
    expected = sum((a @ a.T + 1) * (b @ b.T) for a, b in ((x, b1), (a1, b2), (a2, b3)))
    gram = EmpiricalNTK(network).gram(x)
    torch.testing.assert_close(gram, expected.detach(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("memory", [1.0, 3e3, 2e4, 2e9])
def test_groups_and_blocks_change_nothing(memory):
    network = multilayer((3, 12, 10, 2))
    x, y = samples(11, 3), samples(5, 3, seed=2)
    whole = EmpiricalNTK(network)
    pieces = EmpiricalNTK(network, memory=memory, batch=3)
    torch.testing.assert_close(pieces.gram(x), whole.gram(x))
    torch.testing.assert_close(pieces.gram(x, y), whole.gram(x, y))


def test_features_have_it_as_their_gram_matrix():
    kernel, x = EmpiricalNTK(multilayer((3, 12, 2))), samples(6, 3)
    features = kernel.features(x)
    assert features.shape == (6, 2 * kernel.n_parameters)
    torch.testing.assert_close(features @ features.T, kernel.gram(x))
    with pytest.raises(MemoryError, match="use Nystrom or ProjectedNTK"):
        EmpiricalNTK(kernel.module, memory=100.0).features(x)


def test_it_is_positive():
    gram = EmpiricalNTK(multilayer()).gram(samples(20, 3))
    assert torch.linalg.eigvalsh(gram).min() > -1e-12 * gram.trace()


def test_images_and_a_second_argument():
    network = ImagesAndDust().double().eval()
    x = samples(3, 2, 8, 8), samples(3, 1)
    gram = EmpiricalNTK(network).gram(x)
    each = [tuple(part[i : i + 1] for part in x) for i in range(3)]
    expected = autograd_gram(network, each, each, call=lambda s: network(*s))
    np.testing.assert_allclose(gram, expected, rtol=1e-6)


def test_transformers_input_and_answer():
    network = Tokens().double().eval()
    ids = torch.arange(12).reshape(3, 4) % 11
    mask = torch.ones_like(ids)
    mask[0, 2:] = 0
    gram = EmpiricalNTK(network).gram({"input_ids": ids, "attention_mask": mask})
    each = [(ids[i : i + 1], mask[i : i + 1]) for i in range(3)]
    expected = autograd_gram(network, each, each, call=lambda s: network(*s).logits)
    np.testing.assert_allclose(gram, expected, rtol=1e-6)


def test_what_vmap_cannot_run_is_differentiated_one_by_one(caplog):
    network, x = DataDependent().double(), samples(5, 3)
    with caplog.at_level(logging.INFO, logger="mantis_astro.kernels.gradients"):
        gram = EmpiricalNTK(network).gram(x)
    assert "gradients are taken one by one" in caplog.text
    expected = autograd_gram(network, x[:, None], x[:, None])
    np.testing.assert_allclose(gram, expected, rtol=1e-6, atol=1e-12)


def test_parameters_that_are_frozen_do_not_count():
    network = multilayer()
    n = EmpiricalNTK(network).n_parameters
    network[0].requires_grad_(False)
    assert EmpiricalNTK(network).n_parameters == n - 12 * 3 - 12
    network.requires_grad_(False)
    with pytest.raises(ValueError, match="no parameter of the module requires"):
        EmpiricalNTK(network)


def test_large_networks_are_refused():
    class Large(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.empty(20_000, 1001))

    with torch.device("meta"):
        large = Large()
        EmpiricalNTK(nn.Linear(20_000, 1001))  # needs no gradient by its weights
    with pytest.raises(ValueError, match="20,020,000 parameters.*use ProjectedNTK"):
        EmpiricalNTK(large)


class Through(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.layer, self.function = nn.Linear(3, 4), function

    def forward(self, x):
        return self.function(self.layer(x))


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (lambda y: y.argmax(1), "int64"),
        (lambda y: y.detach(), "float32"),
        (lambda y: (y > 0) * 1.0, "float32"),
    ],
)
def test_networks_without_gradients_are_refused(function, what):
    with pytest.raises(ValueError, match=rf"output \({what}\) does not depend on"):
        EmpiricalNTK(Through(function)).gram(torch.zeros(2, 3))


def test_networks_under_no_grad_are_refused():
    class Frozen(Through):
        @torch.no_grad()
        def forward(self, x):
            return self.layer(x)

    with pytest.raises(ValueError, match=r"look for .*no_grad\(\)"):
        EmpiricalNTK(Frozen(None)).gram(torch.zeros(2, 3))


def test_an_answer_that_is_no_tensor_can_be_picked():
    network = Through(lambda y: (y, None))
    x = torch.ones(2, 3)
    with pytest.raises(TypeError, match="pick one with output="):
        EmpiricalNTK(network).gram(x)
    picked = EmpiricalNTK(network, output=lambda answer: answer[0]).gram(x)
    torch.testing.assert_close(picked, torch.full((2, 2), 4.0))  # 3 x x' + 1


def test_an_answer_for_all_samples_together_is_refused():
    with pytest.raises(ValueError, match="its first axis must be the samples"):
        EmpiricalNTK(Through(lambda y: y.sum())).gram(torch.zeros(2, 3))
