"""The loop: it learns, resumes to the bit, stops when it must, and says what it did."""

import itertools
import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from astropy.table import Table

from mantis_astro import PhotoZ, RedshiftPDF
from mantis_astro.exceptions import FetchError, InputSpecError
from mantis_astro.training import (
    ArrayData,
    OptimizerConfig,
    TrainingConfig,
    TrainingError,
    ValidationConfig,
    train,
)
from mantis_astro.training.checkpoint import read_checkpoint
from mantis_astro.training.loop import CHECKPOINT
from mantis_astro.training.optimization import precision, schedule
from mantis_astro.training.optimization.averaging import WeightAverage
from mantis_astro.training.optimization.precision import choose_amp
from mantis_astro.training.optimization.schedule import rate_factor


def weights(result):
    return result.photoz.network.state_dict()


def assert_same_weights(a, b):
    for name, tensor in weights(a).items():
        assert torch.equal(tensor, weights(b)[name]), name


def run(config, folder, data, **options):
    return train(config, folder, data=data, progress=False, **options)


def exact_posterior(toy, flux, power=1.0):
    """Of the toy: two fluxes, Gaussian noise, prior power z**(power - 1)."""
    edges = np.array(toy.edges)
    fine = np.linspace(0, 1, 2001)[1:-1]
    chi2 = (((flux[:, None] - toy.flux(fine)) / toy.noise) ** 2).sum(-1)
    density = np.exp(-0.5 * chi2) * fine ** (power - 1)
    bins = np.searchsorted(edges, fine, side="right") - 1
    p = np.stack([density[:, bins == k].sum(1) for k in range(len(edges) - 1)], 1)
    return RedshiftPDF(edges, p)


@pytest.fixture(scope="module")
def natural_and_balanced(tmp_path_factory):
    """The toy with n(z) rising as z**2, trained as it is and class-balanced."""
    from tests.training.conftest import toy_config, toy_data

    results = {}
    for sampling in ("natural", "class-balanced"):
        data = toy_data(20_000, sampling=sampling, power=3.0)
        config = toy_config(
            n_steps=700,
            batch_size=256,
            sampling=sampling,
            log_every=350,
            checkpoint_every=1000,
            optimizer=OptimizerConfig(learning_rate=1e-2, ema_decay=0.97),
            validation=ValidationConfig(every=700),
        )
        folder = tmp_path_factory.mktemp(sampling)
        results[sampling] = run(config, folder, data), data
    return results


def total_variation(a, b):
    return 0.5 * abs(a.probability - b.probability).sum(-1).mean()


def predict(result, toy, images):

    n = len(images)
    data = ArrayData(
        images,
        np.ones((n, 2), bool),
        np.full((n, 2), 0.03),
        np.full(n, 0.5),
        z_edges=toy.edges,
    )
    batch = data.take(np.arange(n)).encoded(result.photoz.card.spec)
    with torch.inference_mode():
        logits = result.photoz.network(batch.images, batch.ebv)
    return RedshiftPDF(toy.edges, torch.softmax(logits, 1).numpy())


def test_it_learns_the_posterior(toy, natural_and_balanced):
    result, _ = natural_and_balanced["natural"]
    images, _ = toy.arrays(1000, seed=9, power=3.0)
    truth = exact_posterior(toy, images[:, 0], power=3.0)
    assert total_variation(predict(result, toy, images), truth) < 0.07


def test_balanced_training_is_undone_by_reweighting(toy, natural_and_balanced):
    balanced, data = natural_and_balanced["class-balanced"]
    natural, _ = natural_and_balanced["natural"]
    assert balanced.photoz.card.training_prior == "uniform per class"
    assert natural.photoz.card.training_prior == "n(z) of the training sample (a toy)"
    np.testing.assert_allclose(natural.photoz.card.n_of_z, data.n_of_z)
    assert balanced.photoz.card.n_of_z == (1 / 20,) * 20
    images, _ = toy.arrays(1000, seed=9, power=3.0)
    flat = predict(balanced, toy, images)
    truth = exact_posterior(toy, images[:, 0], power=3.0)
    population = RedshiftPDF(toy.edges, data.n_of_z)
    undone = flat.reweight(population, prior=1 / flat.bin_widths)
    assert total_variation(undone, truth) < 0.07
    assert total_variation(flat, truth) > 0.09
    assert total_variation(undone, predict(natural, toy, images)) < 0.08


def test_going_on_gives_the_same_weights_to_the_bit(toy, tmp_path):
    config = toy.config()
    whole = run(config, tmp_path / "whole", toy.data())

    class PowerError(Exception):
        pass

    class Fails(ArrayData):
        def batch(self, step, batch_size, rows=slice(None)):
            if step == 47:
                raise PowerError
            return super().batch(step, batch_size, rows)

    broken = toy.data()
    broken.__class__ = Fails
    with pytest.raises(PowerError):
        run(config, tmp_path / "parts", broken)
    assert read_checkpoint(tmp_path / "parts" / CHECKPOINT)["step"] == 40
    parts = run(config, tmp_path / "parts", toy.data())
    assert_same_weights(whole, parts)
    for name in ("step", "loss", "val_loss", "learning_rate", "gradient_norm"):
        np.testing.assert_array_equal(
            np.ma.filled(whole.history[name], 0), np.ma.filled(parts.history[name], 0)
        )


def test_what_is_done_is_not_done_again(toy, tmp_path):
    first = run(toy.config(), tmp_path, toy.data())
    again = run(toy.config(), tmp_path, toy.data())
    assert_same_weights(first, again)
    assert again.n_steps == 60
    assert len(again.history) == len(first.history)
    assert again.metrics == first.metrics


def test_files_hold_the_model_its_history_and_its_configuration(toy, tmp_path):
    from mantis_astro.training import TrainingConfig

    config = toy.config(description="words", caveats="few", licence="BSD-3-Clause")
    result = run(config, tmp_path, toy.data())
    loaded = PhotoZ.from_file(result.path)
    assert result.path == tmp_path / "toy.safetensors"
    assert loaded.card.name == "toy"
    assert loaded.card.description == "words"
    assert loaded.card.training_sample == "a toy; 3,840 seen in 60 steps"
    history = Table.read(tmp_path / "history.csv")
    assert list(history["step"]) == [10, 20, 30, 40, 50, 60]
    assert history["val_loss"].mask.tolist() == [True, False] * 3
    assert TrainingConfig.read(tmp_path / "config.toml") == config
    assert set(result.metrics) >= {"val_loss", "sigma_nmad", "pit_ks", "crps"}
    assert not list(tmp_path.glob("*.part"))


def test_another_configuration_does_not_go_on(toy, tmp_path):
    run(toy.config(), tmp_path, toy.data())
    other = toy.config(seed=1, batch_size=32)
    with pytest.raises(InputSpecError, match="with other batch_size, seed; give anot"):
        run(other, tmp_path, toy.data())
    with pytest.raises(InputSpecError, match="training on other galaxies; give anot"):
        run(toy.config(), tmp_path, toy.data(3000))
    assert run(other, tmp_path, toy.data(), resume=False).n_steps == 60


def test_a_damaged_checkpoint_is_named(toy, tmp_path):
    (tmp_path / CHECKPOINT).write_bytes(b"not a checkpoint")
    with pytest.raises(FetchError, match=r"checkpoint\.pt is no checkpoint"):
        run(toy.config(), tmp_path, toy.data())


def test_early_stopping_keeps_the_best(toy, tmp_path):
    config = toy.config(
        n_steps=2000,
        validation=ValidationConfig(every=20, patience=3),
        optimizer=OptimizerConfig(learning_rate=0.05, ema_decay=0.5),
    )
    few = toy.data(150)  # soon learnt by heart
    result = run(config, tmp_path, few)
    assert result.stopped == "no better for 3 validations"
    assert result.n_steps < 2000
    losses = result.history["val_loss"].compressed()
    assert result.metrics["val_loss"] == losses.min()
    assert np.argmin(losses) == len(losses) - 4


def test_a_loss_that_is_not_finite_stops_with_the_batch_on_disk(toy, tmp_path):
    data = toy.data()
    data.ebv = data.ebv.copy()
    bad = data.rows["train"][5]
    data.ebv[bad] = np.nan
    with pytest.raises(TrainingError, match=r"must be finite; the batch holds") as info:
        run(toy.config(), tmp_path, data)
    path = next(tmp_path.glob("batch_*.npz"))
    assert str(path) in str(info.value)
    with np.load(path) as saved:
        assert bad in saved["index"]
        assert np.isnan(saved["ebv"][saved["index"] == bad]).all()


def test_a_training_that_diverges_says_so(toy, tmp_path):
    config = toy.config(
        optimizer=OptimizerConfig(learning_rate=1e30, warmup=0, clip_norm=0)
    )
    with pytest.raises(TrainingError, match="the batch is finite: try a lower"):
        run(config, tmp_path, toy.data())


def test_minutes_end_a_training(toy, tmp_path, monkeypatch):
    clock = itertools.count(0, 0.05)  # it goes on whenever it is looked at
    monkeypatch.setattr(schedule.time, "monotonic", lambda: next(clock))
    config = toy.config(n_steps=None, minutes=0.1)
    result = run(config, tmp_path, toy.data())
    assert 50 < result.n_steps < 120
    assert result.stopped == "done"
    rates = result.history["learning_rate"].compressed()
    assert rates[-1] < 0.1 * rates.max()
    assert "val_loss" in result.metrics


def test_data_are_needed(toy, tmp_path):
    with pytest.raises(InputSpecError, match="'config' names no data"):
        train(toy.config(), tmp_path)


def test_bfloat16_learns_as_well(toy, tmp_path):
    exact = run(toy.config(), tmp_path / "a", toy.data())
    mixed = run(toy.config(amp="bf16"), tmp_path / "b", toy.data())
    a, b = (r.metrics["val_loss"] for r in (exact, mixed))
    assert math.isclose(a, b, rel_tol=0.02)


@pytest.mark.parametrize("faster", ["none", "bf16"])
def test_precision_is_what_makes_a_step_faster(toy, tmp_path, monkeypatch, faster):
    find_faster(monkeypatch, faster)
    chosen = run(toy.config(amp="auto"), tmp_path / "a", toy.data())
    given = run(toy.config(amp=faster), tmp_path / "b", toy.data())
    assert_same_weights(chosen, given)
    written = TrainingConfig.read(tmp_path / "a" / "config.toml")
    assert written == toy.config(amp=faster)


def test_a_training_keeps_the_precision_that_it_chose(toy, tmp_path, monkeypatch):
    find_faster(monkeypatch, "bf16")
    run(toy.config(amp="auto", n_steps=20), tmp_path, toy.data())
    find_faster(monkeypatch, "none")
    run(toy.config(amp="auto", n_steps=20), tmp_path, toy.data())
    assert read_checkpoint(tmp_path / CHECKPOINT)["config"]["amp"] == "bf16"
    with pytest.raises(InputSpecError, match="with other amp"):
        run(toy.config(amp="none", n_steps=20), tmp_path, toy.data())


def test_all_processes_take_the_precision_of_the_first():
    told = SimpleNamespace(leads=False, agree=lambda _: 1.0)
    assert choose_amp(None, told) == "bf16"


def find_faster(monkeypatch, amp):
    """Let the clock find that a step is faster in one precision."""

    def choose(forms, _):
        for form in forms.values():
            form()
        return f"amp = {amp!r}"

    monkeypatch.setattr(precision, "choose_fastest", choose)


def test_the_average_is_that_of_the_weights():
    network = torch.nn.Linear(1, 1, bias=False)
    average = WeightAverage(network, 0.5)
    expected = network.weight.item()
    for step, value in enumerate([1.0, 5.0, -3.0, 2.0]):
        network.weight.data.fill_(value)
        average.update(network, step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    assert average.average["weight"].item() == pytest.approx(expected, rel=1e-6)


def test_the_rate_rises_and_falls():
    shares = np.linspace(0, 1, 101)
    rates = [rate_factor(s, warmup=0.1, final=0.05) for s in shares]
    assert max(rates) == rates[10] == 1.0
    assert np.all(np.diff(rates[:11]) > 0)
    assert np.all(np.diff(rates[10:]) < 0)
    assert rates[-1] == pytest.approx(0.05)
    assert rates[55] == pytest.approx(0.525)


def test_the_checkpoint_holds_the_configuration_as_plain_values(toy, tmp_path):
    config = toy.config()
    run(config, tmp_path, toy.data())
    stored = read_checkpoint(tmp_path / CHECKPOINT)["config"]
    assert json.loads(json.dumps(stored)) == config.to_plain()
