import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from mantis_astro.kernels import (
    ClassLogit,
    ClassMargin,
    ConjugateKernel,
    EmpiricalNTK,
    LastLayer,
    kernel_regression,
    mean_of_tokens,
    ridge_regression,
)
from mantis_astro.kernels.last_layer import read_layer
from mantis_astro.kernels.splitting import hold_out

from .networks import Tokens, multilayer, samples


def classifier(n_classes=3):
    return multilayer((3, 40, n_classes))


def classified(n, seed=1):
    x = samples(n, 3, seed=seed)
    return x, torch.stack([x[:, 0], x[:, 1] ** 2, x[:, 2].abs()], 1).argmax(1)


def log_loss(network, x, y):
    with torch.no_grad():
        return float(nn.functional.cross_entropy(network(x), y))


def test_an_untrained_layer_is_solved_and_written():
    network, (x, y) = classifier(), classified(400)
    new = classified(400, seed=7)
    before, weights = log_loss(network, *new), copy.deepcopy(network.state_dict())
    last = LastLayer(network, "2")
    report = last.fit((x, y), rng=1)
    assert report.accepted
    assert report.n_fit + report.n_validation == 400
    for name, value in network.state_dict().items():
        assert torch.equal(value, weights[name])  # nothing is written yet
    assert last.write()
    assert log_loss(network, *new) < before / 2
    assert abs(log_loss(network, *new) - report.after) < 0.15
    assert torch.equal(network[0].weight, weights["0.weight"])
    np.testing.assert_allclose(read_layer(network[2]), report.coef, atol=1e-12)


def test_what_cannot_be_better_is_not_written():
    network, (x, _) = classifier(), classified(400)
    with torch.no_grad():
        share = network(x).softmax(1)  # the truth is what it says
    last = LastLayer(network, "2")
    report = last.fit((x, share), rng=1)
    before = read_layer(network[2])
    assert not report.accepted
    assert np.isinf(report.alpha)
    assert "no layer better than the one there is" in str(report)
    assert not last.write()
    np.testing.assert_array_equal(read_layer(network[2]), before)


def test_labels_without_a_meaning_teach_nothing():
    network, (x, _) = classifier(), classified(300)
    with torch.no_grad():
        network[2].weight.zero_()
        network[2].bias.zero_()
    y = torch.from_numpy(np.random.default_rng(3).integers(0, 3, 300))
    assert not LastLayer(network, "2").fit((x, y), rng=2).accepted


def test_batches_of_a_loader_are_the_whole():
    network, (x, y) = classifier(), classified(120)
    whole = LastLayer(network, "2").fit((x, y), rng=1)
    loader = DataLoader(TensorDataset(x, y), batch_size=32)
    parts = LastLayer(network, "2").fit(loader, rng=1)
    np.testing.assert_allclose(parts.coef, whole.coef, atol=1e-9)
    assert parts.before == pytest.approx(whole.before)


def test_mappings_with_labels_and_pooled_tokens():
    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(1)
            self.embedding, self.score = nn.Embedding(30, 40), nn.Linear(40, 2)

        def forward(self, input_ids, attention_mask):
            tokens = self.score(self.embedding(input_ids))
            return mean_of_tokens(tokens, {"attention_mask": attention_mask})

    network = Words().double().eval()
    ids = torch.from_numpy(np.random.default_rng(1).integers(0, 30, (300, 6)))
    mask = torch.ones_like(ids)
    mask[::2, 4:] = 0
    y = ((ids < 15) * mask).sum(1).gt(mask.sum(1) / 2).long()
    dataset = [
        {"input_ids": i, "attention_mask": m, "labels": label}
        for i, m, label in zip(ids, mask, y, strict=True)
    ]
    last = LastLayer(network, "score", pool=mean_of_tokens)
    assert last.fit(DataLoader(dataset, batch_size=50), rng=1).accepted
    assert last.write()
    with torch.no_grad():
        predicted = network(ids, mask).argmax(1)
    assert (predicted == y).double().mean() > 0.9


@pytest.mark.parametrize("bias", [True, False])
def test_ridge_is_that_of_the_residual(bias):
    network, x = multilayer((3, 20, 1)), samples(200, 3)
    network[2] = nn.Linear(20, 1, bias=bias).double()
    y = torch.sin(x[:, 0]) + 0.1 * samples(200, seed=5)
    last = LastLayer(network, "2", method="ridge")
    layer = read_layer(network[2])
    report = last.fit((x, y), alphas=[1e-3], rng=1)
    phi = ConjugateKernel(network, "2").features(x).numpy()[:, : len(layer)]
    residual = y[:, None].numpy() - phi @ layer
    assert report.accepted
    assert last.write()
    with torch.no_grad():
        error = float((network(x)[:, 0] - y).pow(2).mean())
    assert error < 0.1 * np.mean(residual**2)
    fitted = ~hold_out(np.arange(200), 0.3, np.random.default_rng(1))
    alpha = 1e-3 * np.mean(np.sum(phi[fitted] ** 2, axis=1))
    solved = ridge_regression(phi[fitted], residual[fitted], alpha=alpha)
    np.testing.assert_allclose(report.coef - layer, solved.coef, atol=1e-6)


def test_groups_are_never_separated():
    network, (x, y) = classifier(), classified(40)
    groups = np.repeat(np.arange(10), 4)
    same = LastLayer(network, "2").fit((x, y), groups=groups, rng=1)
    assert same.n_validation % 4 == 0
    with pytest.raises(ValueError, match="2 samples or groups are too few"):
        LastLayer(network, "2").fit((x, y), groups=np.arange(40) % 2, rng=1)


def test_nonsense_is_refused():
    network, (x, y) = classifier(), classified(40)
    last = LastLayer(network, "2")
    with pytest.raises(ValueError, match="'method' must be 'logistic' or 'ridge'"):
        LastLayer(network, "2", method="svm")
    with pytest.raises(ValueError, match="call fit first"):
        last.write()
    with pytest.raises(ValueError, match="at least one batch, got none"):
        last.fit([], rng=0)
    with pytest.raises(ValueError, match="one row for each of 40 samples, got 39"):
        last.fit((x, y[:-1]), rng=0)
    with pytest.raises(ValueError, match="classes from 0 to 2"):
        last.fit((x, y + 1), rng=0)
    with pytest.raises(ValueError, match="must hold 'labels', got input_ids"):
        last.fit([{"input_ids": x}], rng=0)
    with pytest.raises(ValueError, match="'targets' must have 3 columns, got 1"):
        LastLayer(network, "2", method="ridge").fit((x, y), rng=0)


def test_margin_and_logit_of_a_class_have_kernels():
    network, x = classifier(2), samples(5, 3)
    margin = EmpiricalNTK(network, output=ClassMargin(1)).gram(x)
    difference = EmpiricalNTK(network, output=lambda y: y[:, 1:] - y[:, :1]).gram(x)
    torch.testing.assert_close(margin, difference)
    each = sum(EmpiricalNTK(network, output=ClassLogit(c)) for c in (0, 1))
    torch.testing.assert_close(each.gram(x) / 2, EmpiricalNTK(network).gram(x))
    answer = Tokens.Answer(torch.tensor([[1.0, 2.0, 3.0]]))
    assert float(ClassLogit(2)(answer)) == 3
    p = answer.logits.softmax(1)[0, 2]
    torch.testing.assert_close(ClassMargin(2)(answer)[0, 0], (p / (1 - p)).log())
    with pytest.raises(ValueError, match=r"class 3 needs logits of shape"):
        ClassLogit(3)(answer)


def test_a_kernel_of_margins_classifies():
    network, (x, y) = classifier(2), classified(60)
    sign = 2.0 * (y == 0) - 1
    fit = kernel_regression(EmpiricalNTK(network, output=ClassMargin()), x, sign)
    assert (np.sign(fit.predict(x)) == sign.numpy()).mean() > 0.9
