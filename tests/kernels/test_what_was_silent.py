"""What kernels and solvers once answered wrongly without a word."""

import copy
import pickle

import numpy as np
import pytest
import torch
from astropy.table import MaskedColumn
from astropy.utils.masked import Masked
from torch import nn
from torch.nn import functional

from mantis_astro.kernels import (
    ConjugateKernel,
    EmpiricalNTK,
    Linear,
    ProjectedNTK,
    StreamingRidge,
    kernel_regression,
    last_token,
    logistic_regression,
    mean_of_tokens,
    ridge_path,
    ridge_regression,
    root_mean_square,
)

from .networks import Tokens, multilayer, samples


class Fourier(nn.Module):
    """Complex weights between real input and output, as Fourier layers have them."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        shape = (3, 4)
        self.weight = nn.Parameter(
            torch.randn(*shape, generator=generator, dtype=torch.complex64)
        )

    def forward(self, x):
        return (x.to(self.weight.dtype) @ self.weight).abs().pow(2).sum(1, keepdim=True)


def test_complex_weights_count_with_both_parts():
    network, x = Fourier(), samples(5, 3)
    # f = |W^T x|^2, so df/dRe W = 2 x Re(W^T x), and the same of the imaginary part
    z = x.to(torch.complex128) @ network.weight.detach().to(torch.complex128)
    expected = 4 * (x @ x.T) * (z @ z.mH).real
    kernel = EmpiricalNTK(network, dtype=torch.float64)
    torch.testing.assert_close(kernel.gram(x), expected)
    assert kernel.n_parameters == 24
    assert kernel.features(x).shape == (5, 24)
    memory = EmpiricalNTK(network, dtype=torch.float64, memory=300.0)
    torch.testing.assert_close(memory.gram(x), expected)


def test_complex_features_and_outputs_are_refused():
    network = nn.Sequential(nn.Linear(3, 2, dtype=torch.complex64))
    x = samples(4, 3).to(torch.complex64)
    with pytest.raises(ValueError, match=r"reads torch.complex64, .* must be real"):
        ConjugateKernel(network, "0").features(x)
    with pytest.raises(ValueError, match=r"output is torch.complex64.*view_as_real"):
        EmpiricalNTK(network).gram(x)
    with pytest.raises(ValueError, match="'x' must be real numbers"):
        Linear().gram(x)
    with pytest.raises(ValueError, match="'features' must be real numbers"):
        ridge_regression(x, [1.0, 2.0, 3.0, 4.0], alpha=1)


class FunctionalDropout(nn.Module):
    def __init__(self):
        super().__init__()
        self.score = nn.Linear(3, 1)

    def forward(self, x):
        return self.score(functional.dropout(x, 0.5, training=self.training))


class AttentionDropout(nn.Module):
    """A rate of dropout under a name of its own, as transformers have it."""

    def __init__(self):
        super().__init__()
        self.attention_dropout = 0.3
        self.qkv, self.score = nn.Linear(3, 9), nn.Linear(3, 1)

    def forward(self, x):
        q, k, v = self.qkv(x[:, None]).chunk(3, -1)
        rate = self.attention_dropout if self.training else 0.0
        a = functional.scaled_dot_product_attention(q, k, v, dropout_p=rate)
        return self.score(a[:, 0])


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 4, num_layers=2, dropout=0.5, batch_first=True)
        self.score = nn.Linear(4, 1)

    def forward(self, x):
        return self.score(self.lstm(x[:, None])[0][:, -1])


RANDOM = [FunctionalDropout, AttentionDropout, Recurrent]
KERNELS = {
    "conjugate": lambda network: ConjugateKernel(network, "score"),
    "tangent": EmpiricalNTK,
    "projected": lambda network: ProjectedNTK(network, n_directions=2, seed=0),
}


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("kind", RANDOM)
def test_dropout_that_is_no_layer_is_seen(kind, name):
    network, x = kind().double(), samples(4, 3)
    with pytest.raises(ValueError, match=r"dropout in training mode.*module.eval\(\)"):
        KERNELS[name](network.train()).gram(x)
    kernel = KERNELS[name](network.eval())
    torch.testing.assert_close(kernel.gram(x), kernel.gram(x), rtol=0, atol=0)


def test_dropout_that_eval_does_not_end_is_named():
    class Always(FunctionalDropout):
        def forward(self, x):
            return self.score(functional.dropout(x, 0.5))

    with pytest.raises(ValueError, match="without training=self.training"):
        ConjugateKernel(Always().eval(), "score").features(torch.ones(2, 3))


def test_training_mode_that_changes_nothing_is_allowed():
    network = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.0), nn.Linear(4, 1)).train()
    assert ConjugateKernel(network, "2").features(torch.ones(2, 3)).shape == (2, 5)


def masked(values, where):
    mask = np.zeros(np.shape(values), bool)
    mask[where] = True
    return {
        "numpy": np.ma.array(values, mask=mask),
        "column": MaskedColumn(values, mask=mask),
        "astropy": Masked(np.asarray(values), mask=mask),
    }


PHI, Y = samples(6, 2).numpy(), np.arange(6)
SOLVERS = {
    "ridge": lambda a, y, w: ridge_regression(a, y, alpha=1, sample_weight=w),
    "path": lambda a, y, w: ridge_path(a, y, sample_weight=w),
    "kernel": lambda a, y, w: kernel_regression(Linear(), a, y, sample_weight=w),
    "streaming": lambda a, y, w: StreamingRidge().update(a, y, sample_weight=w),
    "logistic": lambda a, y, w: logistic_regression(a, y, alpha=1, sample_weight=w),
    "loss": lambda a, y, w: [root_mean_square(v) for v in (a, y, w) if v is not None],
}


@pytest.mark.parametrize("how", ["numpy", "column", "astropy"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_masked_values_are_refused_by_every_solver(solver, how):
    message = "must not be masked: 1 of 6 rows .* first is row 3"
    with pytest.raises(ValueError, match=message):
        SOLVERS[solver](masked(PHI, (3, 1))[how], Y, None)
    with pytest.raises(ValueError, match=message):
        SOLVERS[solver](PHI, masked(Y, 3)[how], None)
    with pytest.raises(ValueError, match=message):
        SOLVERS[solver](PHI, Y, masked(Y + 1, 3)[how])


def test_masked_arrays_without_a_masked_value_are_read():
    fit = ridge_regression(np.ma.array(PHI), np.ma.array(Y, mask=False), alpha=1)
    np.testing.assert_array_equal(fit.coef, ridge_regression(PHI, Y, alpha=1).coef)


def test_masked_samples_are_refused_by_kernels_and_estimators():
    estimators = pytest.importorskip("mantis_astro.kernels.estimators")
    with pytest.raises(ValueError, match="'x' must not be masked"):
        Linear().gram(masked(PHI, (3, 1))["numpy"])
    for estimator in (estimators.KernelRegressor(), estimators.KernelClassifier()):
        with pytest.raises(ValueError, match="'X' must not be masked"):
            estimator.fit(masked(PHI, (3, 1))["numpy"], Y)
        with pytest.raises(ValueError, match="'y' must not be masked"):
            estimator.fit(PHI, masked(Y, 3)["numpy"])
        fit = estimator.fit(PHI, Y % 2)
        with pytest.raises(ValueError, match="'X' must not be masked"):
            fit.predict(masked(PHI, (3, 1))["numpy"])


@pytest.mark.parametrize("pool", [mean_of_tokens, last_token])
@pytest.mark.parametrize("side", ["left", "right"])
def test_pooling_leaves_padding_out(pool, side):
    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(1)
            self.embedding, self.score = nn.Embedding(9, 4), nn.Linear(4, 2)

        def forward(self, input_ids, attention_mask):
            return self.score(self.embedding(input_ids))

    network = Words().eval()
    kernel = ConjugateKernel(network, "score", pool=pool)
    unpooled, alone = ConjugateKernel(network, "score"), torch.tensor([[1, 2]])
    with pytest.raises(ValueError, match="pool=mean_of_tokens or pool=last_token"):
        unpooled.features({"input_ids": alone, "attention_mask": alone})
    texts, length = ([1, 2, 3], [4], [5, 6]), 5
    ids, mask = torch.zeros(3, length, dtype=int), torch.zeros(3, length, dtype=int)
    for i, text in enumerate(texts):
        place = slice(len(text)) if side == "right" else slice(length - len(text), None)
        ids[i, place], mask[i, place] = torch.tensor(text), 1
    features = kernel.features({"input_ids": ids, "attention_mask": mask})
    for row, text in zip(features, texts, strict=True):
        alone = torch.tensor([text])
        expected = kernel.features(
            {"input_ids": alone, "attention_mask": torch.ones_like(alone)}
        )
        torch.testing.assert_close(row, expected[0])


def test_pooling_needs_a_vector_for_each_token():
    with pytest.raises(ValueError, match="one vector for each token"):
        mean_of_tokens(torch.ones(2, 3, 4), {"attention_mask": torch.ones(2, 5)})
    with pytest.raises(ValueError, match="one vector for each token"):
        last_token(torch.ones(2, 3), torch.ones(2, 3))


def test_bfloat16_is_read_exactly():
    phi = samples(6, 2).to(torch.bfloat16)
    y = torch.arange(6).to(torch.bfloat16)
    np.testing.assert_array_equal(
        ridge_regression(phi, y, alpha=1).coef,
        ridge_regression(phi.double(), y.double(), alpha=1).coef,
    )
    share = torch.tensor([[1.0, 0.0], [0.0, 1.0]] * 3)
    np.testing.assert_array_equal(
        logistic_regression(phi, share.to(torch.bfloat16), alpha=1).coef,
        logistic_regression(phi.double(), share, alpha=1).coef,
    )
    torch.testing.assert_close(Linear().gram(phi), Linear().gram(phi.float()))


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("kind", [torch.int64, torch.uint8, torch.bool])
def test_integers_that_a_network_cannot_read_are_named(kind, name):
    network = nn.Sequential()
    network.add_module("score", nn.Linear(3, 1))
    word = str(kind).removeprefix("torch.")
    with pytest.raises(TypeError, match=rf"cannot read integers \({word}\)"):
        KERNELS[name](network).gram(torch.ones(2, 3, dtype=kind))


def test_errors_of_the_module_itself_are_its_own():
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        ConjugateKernel(multilayer(), "4").features(samples(2, 5))


@pytest.mark.parametrize("name", KERNELS)
def test_a_list_of_mappings_is_refused_with_what_to_do(name):
    network = Tokens().eval()
    ids = torch.arange(8).reshape(2, 4)
    one_by_one = [{"input_ids": i, "attention_mask": i > -1} for i in ids]
    with pytest.raises(TypeError, match=r"list of 2 mappings.*default_collate\(x\)"):
        KERNELS[name](network).gram(one_by_one)
    together = torch.utils.data.default_collate(one_by_one)
    assert KERNELS[name](network).gram(together).shape == (2, 2)


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda k: pickle.loads(pickle.dumps(k))]
)
@pytest.mark.parametrize(
    "kernel",
    [
        ConjugateKernel(multilayer(), "4"),
        EmpiricalNTK(multilayer()),
        ProjectedNTK(multilayer(), n_directions=3, seed=1),
        2 * ConjugateKernel(multilayer(), "4") + Linear(),
    ],
)
def test_kernels_travel(kernel, copied):
    x = samples(4, 3)
    torch.testing.assert_close(copied(kernel).gram(x), kernel.gram(x), rtol=0, atol=0)


def test_sum_adds_kernels():
    a, b, x = ConjugateKernel(multilayer(), "4"), Linear(), samples(4, 3)
    torch.testing.assert_close(sum([a, b, a]).gram(x), 2 * a.gram(x) + b.gram(x))
    with pytest.raises(TypeError, match="unsupported operand"):
        1 + a
