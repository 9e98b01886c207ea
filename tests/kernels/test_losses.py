import numpy as np
import pytest
import torch

from mantis_astro.kernels import (
    ConjugateKernel,
    EmpiricalNTK,
    eigenvalue_decay,
    kernel_regression,
    log_loss_bound,
    relative_loss_bounds,
    relative_test_loss,
)

from .networks import multilayer


@pytest.fixture(scope="module")
def experiment():
    """A network partly trained on exp(sin(2 pi x)), on and between 40 points."""
    torch.manual_seed(0)
    network = multilayer((1, 24, 24, 1))
    x, x_test = (
        torch.linspace(-1, 1, n, dtype=torch.float64)[:, None] for n in (40, 99)
    )
    f, f_test = (torch.exp(torch.sin(2 * np.pi * at)) for at in (x, x_test))
    optimizer = torch.optim.Adam(network.parameters(), 5e-3)
    for _ in range(60):
        optimizer.zero_grad()
        ((network(x) - f) ** 2).mean().backward()
        optimizer.step()
    with torch.no_grad():
        g, g_test = network(x), network(x_test)
    return network, (x, x_test), (f, f_test), (g, g_test)


def test_conjugate_kernel_against_the_network(experiment):
    network, (x, x_test), f, g = experiment
    kernel = ConjugateKernel(network, "4")
    bounds = relative_loss_bounds(
        kernel.features(x), kernel.features(x_test), truth=f, reference=g
    )
    fit = kernel_regression(kernel, x, f[0])
    measured = relative_test_loss(fit.predict(x_test), g[1], f[1])
    assert bounds.ratio == pytest.approx(measured, rel=1e-4)
    assert bounds.outside < 1e-10  # the network is in the span
    assert bounds.lower <= bounds.ratio <= bounds.upper
    residual = np.sqrt(np.mean((f[0] - g[0]).numpy() ** 2))
    assert bounds.prolonged <= bounds.amplification * residual * (1 + 1e-9)


def test_tangent_kernel_against_the_conjugate_kernel(experiment):
    network, (x, x_test), f, _ = experiment
    fit = kernel_regression(ConjugateKernel(network, "4"), x, f[0])
    kernel = EmpiricalNTK(network)
    bounds = relative_loss_bounds(
        kernel.features(x),
        kernel.features(x_test),
        truth=f,
        reference=(fit.predict(x), fit.predict(x_test)),
    )
    assert bounds.lower <= bounds.ratio <= bounds.upper


def test_a_reference_that_fits_the_training_points_bounds_tightly():
    """Without a residual to prolong, and inside the span, the losses are equal."""
    x, x_test = np.linspace(-1, 1, 4), np.linspace(-1, 1, 30)
    features, test_features = np.vander(x, 4), np.vander(x_test, 4)
    cubic = np.polyfit(x, np.exp(x), 3)
    bounds = relative_loss_bounds(
        features,
        test_features,
        truth=(np.exp(x), np.exp(x_test)),
        reference=(np.polyval(cubic, x), np.polyval(cubic, x_test)),
    )
    np.testing.assert_allclose([bounds.lower, bounds.ratio, bounds.upper], 1, atol=1e-9)


def test_log_losses_differ_by_less_than_the_margins():
    rng = np.random.default_rng(2)
    first, second = rng.normal(0, 3, (2, 200))
    sign = rng.choice([-1, 1], 200)
    losses = [np.mean(np.log1p(np.exp(-sign * m))) for m in (first, second)]
    assert abs(losses[0] - losses[1]) <= log_loss_bound(first, second)


@pytest.mark.parametrize("exponent", [1.5, 2.0, 4.0])
def test_power_laws_are_found(exponent):
    decay = eigenvalue_decay(np.diag(np.arange(1.0, 61) ** (-exponent / 2)))
    assert decay.exponent == pytest.approx(exponent)
    assert not decay.exponential


def test_exponentials_are_found_beyond_the_digits_of_a_gram_matrix():
    features = np.diag(np.exp(-0.5 * np.arange(50)))  # eigenvalues down to 1e-21
    decay = eigenvalue_decay(features)
    assert decay.rate == pytest.approx(1.0)
    assert decay.exponential
    assert len(decay.eigenvalues) == 50


def test_effective_dimension_of_equal_directions():
    decay = eigenvalue_decay(np.eye(10))
    assert decay.effective_dimension == pytest.approx(10)


def test_a_decay_needs_eigenvalues():
    with pytest.raises(ValueError, match="three eigenvalues above rounding after the"):
        eigenvalue_decay(np.ones((10, 3)))


def test_smooth_activations_decay_faster(experiment):
    _, (x, _), _, _ = experiment
    decays = {}
    for name, activation in (("tanh", torch.nn.Tanh), ("relu", torch.nn.ReLU)):
        network = multilayer((1, 64, 64, 1), activation=activation)
        decays[name] = eigenvalue_decay(ConjugateKernel(network, "4").features(x))
    assert decays["tanh"].exponential
    assert decays["tanh"].exponent > decays["relu"].exponent
