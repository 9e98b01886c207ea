"""Losses against the scores of `mantis_astro.metrics`, and their gradients."""

import numpy as np
import pytest
import torch

from mantis_astro import RedshiftPDF, metrics
from mantis_astro.exceptions import InputSpecError
from mantis_astro.training import LossConfig, TrainingConfig, register_loss
from mantis_astro.training.optimization.losses import RedshiftLoss, smooth_targets

EDGES = np.array([0.0, 0.05, 0.15, 0.4, 0.5, 0.9, 1.6])  # of unequal width


@pytest.fixture
def made():
    rng = np.random.default_rng(1)
    logits = torch.tensor(rng.normal(0, 2, (200, 6)), dtype=torch.float64)
    z = torch.tensor(rng.uniform(0, 1.6, 200))
    probability = torch.softmax(logits, 1).numpy()
    return logits, z, RedshiftPDF(EDGES, probability)


@pytest.mark.parametrize(
    ("loss", "score"),
    [
        (LossConfig(cross_entropy=0, crps=1), metrics.crps),
        (LossConfig(cross_entropy=0, cde=1), metrics.cde_loss),
    ],
)
def test_losses_are_the_scores_that_are_reported(made, loss, score):
    logits, z, pdf = made
    mine = RedshiftLoss(loss, EDGES)(logits, z).mean().item()
    assert mine == pytest.approx(score(pdf, z.numpy()), rel=2e-5)


def test_cross_entropy_is_minus_the_log_score_but_for_the_widths_of_bins(made):
    logits, z, pdf = made
    mine = RedshiftLoss(LossConfig(), EDGES)(logits, z).mean().item()
    bins = np.searchsorted(EDGES, z.numpy(), side="right") - 1
    widths = np.log(np.diff(EDGES))[bins].mean()
    assert mine == pytest.approx(-metrics.log_score(pdf, z.numpy()) - widths, rel=1e-5)


def test_losses_add_up_with_their_weights(made):
    logits, z, _ = made
    each = [
        RedshiftLoss(LossConfig(**{"cross_entropy": 0} | {name: 1}), EDGES)(logits, z)
        for name in ("cross_entropy", "crps", "cde")
    ]
    total = RedshiftLoss(LossConfig(2.0, 3.0, 0.5), EDGES)(logits, z)
    torch.testing.assert_close(total, 2 * each[0] + 3 * each[1] + 0.5 * each[2])


@pytest.mark.parametrize("name", ["cross_entropy", "crps", "cde"])
def test_the_true_density_has_the_lowest_mean_loss(name):
    """Proper scores: the gradient of the expectation is zero at the truth."""
    p = torch.tensor([0.1, 0.2, 0.3, 0.05, 0.25, 0.1])
    logits = p.log().requires_grad_()
    middles = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    total = 0
    for k in range(6):
        z = EDGES[k] + middles * (EDGES[k + 1] - EDGES[k])
        loss = RedshiftLoss(LossConfig(**{"cross_entropy": 0} | {name: 1}), EDGES)
        total = total + p[k] * loss(logits.expand(len(z), -1), z).mean()
    (gradient,) = torch.autograd.grad(total, logits)
    assert gradient.abs().max() < 2e-6


def test_label_smoothing_spreads_part_of_the_target():
    logits = torch.zeros(1, 6)
    logits[0, 2] = 3.0
    z = torch.tensor([0.2], dtype=torch.float64)
    log_p = torch.log_softmax(logits, 1)[0]
    loss = RedshiftLoss(LossConfig(label_smoothing=0.3), EDGES)(logits, z)
    expected = -0.7 * log_p[2] - 0.3 * log_p.mean()
    torch.testing.assert_close(loss[0], expected)


def test_a_smoothed_target_is_a_gaussian_in_the_bins():
    z = torch.tensor([0.0, 0.2, 1.6], dtype=torch.float64)
    target = smooth_targets(z, torch.tensor(EDGES), 0.1).numpy()
    np.testing.assert_allclose(target.sum(1), 1, atol=1e-6)
    made = np.log1p(0.2) + 0.1 * np.random.default_rng(1).normal(size=400_000)
    inside = np.histogram(np.expm1(made), EDGES)[0]
    np.testing.assert_allclose(target[1], inside / inside.sum(), atol=0.004)
    loss = RedshiftLoss(LossConfig(target_width=0.1), EDGES)
    logits = torch.randn(3, 6, generator=torch.Generator().manual_seed(1))
    expected = -(torch.tensor(target) * torch.log_softmax(logits, 1)).sum(1)
    torch.testing.assert_close(loss(logits, z), expected)
    narrow = RedshiftLoss(LossConfig(target_width=1e-5), EDGES)
    inner = torch.tensor([0.02, 0.2, 1.5], dtype=torch.float64)
    plain = RedshiftLoss(LossConfig(), EDGES)
    torch.testing.assert_close(narrow(logits, inner), plain(logits, inner))


@pytest.mark.parametrize("z", [-0.1, 1.7, np.nan])
def test_a_redshift_outside_the_bins_is_refused(z):
    loss = RedshiftLoss(LossConfig(), EDGES)
    with pytest.raises(InputSpecError, match=r"'z' must be within 0 to 1.6, got"):
        loss(torch.zeros(1, 6), torch.tensor([z], dtype=torch.float64))


@pytest.mark.parametrize("name", ["cross_entropy", "cde"])
def test_an_edge_belongs_to_the_bin_above(name):
    logits = torch.tensor([[0.0, 3, 1, 5, 2, 4]])
    loss = RedshiftLoss(LossConfig(**{"cross_entropy": 0} | {name: 1}), EDGES)
    edges = torch.tensor(EDGES[:-1])
    on_edge, inside = (loss(logits.expand(6, -1), z) for z in (edges, edges + 0.01))
    torch.testing.assert_close(on_edge, inside, rtol=0, atol=0)
    assert len(set(inside.tolist())) == 6


def test_the_upper_edge_belongs_to_the_last_bin():
    loss = RedshiftLoss(LossConfig(), EDGES)
    logits = torch.tensor([[0.0, 0, 0, 0, 0, 50]])
    assert loss(logits, torch.tensor([1.6], dtype=torch.float64)).item() < 1e-6


def test_a_registered_loss_is_weighted_and_added(made):
    logits, z, _ = made

    def own(logits, bins, z, z_edges):
        centres = (z_edges[1:] + z_edges[:-1]) / 2
        return (centres[bins] - z) ** 2 + 0 * logits.sum(1)

    register_loss("test-own", own)
    both = RedshiftLoss(LossConfig(other={"test-own": 3.0}), EDGES)(logits, z)
    alone = RedshiftLoss(LossConfig(), EDGES)(logits, z)
    bins = np.searchsorted(EDGES, z.numpy(), side="right") - 1
    expected = 3 * ((EDGES[1:] + EDGES[:-1])[bins] / 2 - z.numpy()) ** 2
    np.testing.assert_allclose(both - alone, expected, rtol=1e-5, atol=1e-6)


def test_a_loss_without_others_can_be_the_only_one():
    register_loss("test-only", lambda logits, bins, z, z_edges: logits[:, 0])
    assert LossConfig(cross_entropy=0.0, other={"test-only": 1.0}).other
    with pytest.raises(InputSpecError, match="must have a weight"):
        LossConfig(cross_entropy=0.0, other={"test-only": 0.0})


def test_a_configuration_with_an_unknown_loss_is_refused():
    with pytest.raises(InputSpecError, match="no loss 'focal' is registered"):
        LossConfig(other={"focal": 1.0})


@pytest.mark.parametrize("name", ["crps", "test-twice"])
def test_the_name_of_a_loss_is_given_once(name):
    register_loss("test-twice", abs)
    with pytest.raises(ValueError, match=f"'{name}' is already registered"):
        register_loss(name, max)


def test_a_loss_of_ones_own_goes_through_toml(tmp_path):
    register_loss("test-toml", abs)
    config = TrainingConfig.read("photometric")
    config = config.with_options(loss=LossConfig(crps=1.0, other={"test-toml": 0.5}))
    (tmp_path / "own.toml").write_text(config.to_toml())
    assert TrainingConfig.read(tmp_path / "own.toml").loss == config.loss
