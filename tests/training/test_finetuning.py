"""Fine-tuning helps where the model was wrong, and changes nothing where it was not."""

import contextlib
from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest

from mantis_astro import Flag, PhotoZ, metrics
from mantis_astro.exceptions import InputSpecError
from mantis_astro.models import load_model
from mantis_astro.training import LossConfig, ValidationConfig, finetune, train


@pytest.fixture(scope="module")
def photoz(tmp_path_factory):
    from tests.training.conftest import toy_config, toy_data

    config = toy_config(n_steps=400, batch_size=256, validation=ValidationConfig(512))
    folder = tmp_path_factory.mktemp("model")
    return train(config, folder, data=toy_data(8000), progress=False).photoz


def off(table):
    """The catalogue of somebody whose zero point differs by 0.4 mag in a band."""
    table["flux_ps1_g"] *= 10**0.16
    return table


@pytest.fixture(scope="module")
def tuned_and_report(toy, photoz):
    """What other tests must not change."""
    mine = off(toy.table(600, seed=5))
    return finetune(photoz, mine, mine["z_spec"], seed=1)


def test_it_learns_another_zero_point(toy, photoz, tuned_and_report):
    test = off(toy.table(1000, seed=6))
    tuned, report = tuned_and_report
    assert report.improved
    assert report.split.startswith("by HEALPix pixel of nside")
    assert report.after["val_loss"] < report.before["val_loss"] - 0.1
    before, after = (
        metrics.crps(model.predict(test), test["z_spec"]) for model in (photoz, tuned)
    )
    assert after < 0.9 * before
    assert tuned.card.name == "toy-finetuned"
    assert "galaxies with spectra" in tuned.card.training_sample
    difference = np.array(tuned.card.n_of_z) - 1 / 20  # redshifts of the toy are even
    assert abs(difference).sum() < 0.25
    assert photoz.card.name == "toy"
    assert "val_loss" in str(report)


def test_it_knows_the_galaxies_that_it_was_tuned_on_for_its_training_set(
    toy, tuned_and_report, tmp_path
):
    tuned, report = tuned_and_report
    reference = tuned.card.reference
    assert reference.n_object == report.n_train + report.n_validation
    assert "galaxies that it was fine-tuned on" in reference.sample
    alike, strange = off(toy.table(400, seed=6)), off(toy.table(400, seed=6))
    strange["flux_ps1_g"] *= 50
    shares = [
        np.mean(reference.ood_score(tuned.features(table)) > 1)
        for table in (alike, strange)
    ]
    assert shares[0] < 0.04
    assert shares[1] > 0.9
    tuned.save(tmp_path / "mine.safetensors")
    assert PhotoZ.from_file(tmp_path / "mine.safetensors").card.reference is not None


def test_the_original_is_not_changed(toy, photoz):
    test = toy.table(100)
    before = photoz.predict(test).probability
    mine = off(toy.table(200, seed=5))
    finetune(photoz, mine, mine["z_spec"], steps=20)
    np.testing.assert_array_equal(photoz.predict(test).probability, before)


def test_a_bar_counts_the_steps_of_all_trainings(toy, photoz, monkeypatch):
    done = []

    @contextlib.contextmanager
    def bar(total, *, wanted):
        assert (total, wanted) == (4, False)
        yield done.append

    monkeypatch.setattr("mantis_astro.training.finetuning.progress_bar", bar)
    mine = off(toy.table(60, seed=5))
    finetune(photoz, mine, mine["z_spec"], steps=2, ensemble=2, progress=False)
    assert done == [1, 2, 3, 4]


def test_no_gain_no_change(toy, photoz):
    table = toy.table(60, seed=8)
    shuffled = np.random.default_rng(0).permutation(table["z_spec"])
    held_out = finetune(photoz, table, shuffled, steps=2, learning_rate=1e-9)
    tuned, report = held_out
    if not report.improved:
        assert tuned is photoz
        assert report.after == report.before
        assert "the model is unchanged" in str(report)
    tuned, report = finetune(
        photoz, table, table["z_spec"], steps=3, learning_rate=1.0, loss="cross_entropy"
    )
    assert not report.improved
    assert tuned is photoz


def test_each_loss_is_made_smaller(toy, photoz):
    mine = off(toy.table(300, seed=5))
    both = LossConfig(cross_entropy=1.0, crps=20.0)
    for loss in ("crps", "cross_entropy", both):
        _, report = finetune(photoz, mine, mine["z_spec"], steps=60, loss=loss)
        assert report.improved
    assert report.before["val_loss"] > 20 * report.before["crps"]  # a sum


def test_galaxies_without_redshift_do_not_matter(toy, photoz):
    table = off(toy.table(100, seed=3))
    z = np.array(table["z_spec"])
    z[:10] = np.nan
    _, report = finetune(photoz, table, z, steps=2)
    assert report.n_left_out == 10
    assert report.n_train + report.n_validation == 90
    assert "10 left out" in str(report)


def test_galaxies_beyond_the_bins_are_told_and_learnt_to_be_there(toy, photoz):
    """They come out with EDGE_PDF, instead of a redshift that looks fine."""
    table = toy.table(600, seed=3)
    z = np.array(table["z_spec"])
    far = np.arange(600) % 4 == 0
    table["flux_ps1_r"][far] *= 3  # another colour than any within the bins
    z[far] = 1.5
    tuned, report = finetune(photoz, table, z, seed=1)
    assert report.n_beyond == 150
    assert report.n_train + report.n_validation == 450
    assert "150 beyond the model's last redshift bin, z = 1" in str(report)
    flags = tuned.predict(table).flags & Flag.EDGE_PDF != 0
    assert flags[far].mean() > 0.7  # at low redshift r is faint all the same
    assert flags[~far].mean() < 0.2  # a tenth of them is in the last two bins


def test_weights_are_those_of_the_loss(toy, photoz):
    table = off(toy.table(200, seed=3))
    weights = np.where(np.arange(200) < 100, 1.0, 0.0)
    one, _ = finetune(photoz, table, table["z_spec"], weights=weights, steps=10)
    other, _ = finetune(photoz, table, table["z_spec"], steps=10)
    a, b = (model.predict(table).probability for model in (one, other))
    assert not np.array_equal(a, b)


def test_without_positions_the_report_says_so(toy, photoz):
    table = toy.table(100)
    table.remove_columns(["ra", "dec"])
    _, report = finetune(photoz, table, table["z_spec"], steps=2)
    assert report.split.startswith("at random")
    assert report.n_validation == 20


def test_cutouts_can_be_learnt_from():
    from astropy.coordinates import SkyCoord

    from tests.made import make_galaxy

    network, card = load_model("simulated-early")
    photoz = PhotoZ(network, replace(card, placeholder=False))
    coords = SkyCoord(np.linspace(0, 300, 24), np.linspace(-20, 60, 24), unit=u.deg)
    galaxies = [make_galaxy(coord, seed=i) for i, coord in enumerate(coords)]
    tuned, report = finetune(photoz, galaxies, np.full(24, 0.3), steps=20)
    assert report.improved
    assert abs(tuned.predict(galaxies[0]).median() - 0.3) < abs(
        photoz.predict(galaxies[0]).median() - 0.3
    )


def test_one_galaxy_again_and_again_is_refused_before_any_training(toy, photoz):
    table = toy.table(9)[np.arange(45) % 9]
    with pytest.raises(InputSpecError, match="10 different galaxies, got 9 in 45 rows"):
        finetune(photoz, table, table["z_spec"])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"z_spec": [0.1, 0.2]}, r"'z_spec' must have shape \(30,\)"),
        ({"z_spec": np.full(30, 9.0)}, "at least 20 galaxies .* got 0 of 30"),
        ({"loss": "mse"}, "'loss' must be a LossConfig or one of 'both', .* got 'mse'"),
        ({"weights": np.full(30, -1.0)}, "'weights' must be 30 numbers that are not"),
    ],
)
def test_mistakes_are_named(toy, photoz, change, match):
    table = toy.table(30)
    options = {"z_spec": table["z_spec"]} | change
    with pytest.raises(InputSpecError, match=match):
        finetune(photoz, table, **options)


def test_what_the_model_does_not_read(toy):
    table = off(toy.table(30, seed=5))
    images = PhotoZ.from_pretrained("simulated-early")
    with pytest.raises(TypeError, match="reads cutouts"):
        finetune(images, table, table["z_spec"])


def test_an_ensemble_is_one_model(toy, photoz, tmp_path):
    mine, test = off(toy.table(600, seed=5)), off(toy.table(200, seed=6))
    tuned, report = finetune(photoz, mine, mine["z_spec"], ensemble=2, steps=100)
    assert tuned.card.network.kind == "committee"
    tuned.save(tmp_path / "both.safetensors")
    again = PhotoZ.from_file(tmp_path / "both.safetensors")
    assert again.predict(test) == tuned.predict(test)
    bare = tuned.with_recalibration(None).with_smoothing(0)
    parts = [model.with_smoothing(0).predict(test) for model in bare.members()]
    mean = np.mean([pdf.probability for pdf in parts], axis=0)
    np.testing.assert_allclose(bare.predict(test).probability, mean, atol=1e-6)
    assert not np.array_equal(*[pdf.probability for pdf in parts])
    assert report.n_steps <= 200
    assert report.n_train == len(mine)  # what one holds out another learns from
    assert 0.3 * len(mine) < report.n_validation < 0.5 * len(mine)
    more, _ = finetune(again, mine, mine["z_spec"], steps=5)
    assert len(more.members()) == 2


@pytest.mark.parametrize(("ensemble", "n_held_out"), [(1, 20), (3, 60), (6, 100)])
def test_all_are_held_out_once_before_any_is_twice(toy, photoz, ensemble, n_held_out):
    mine = off(toy.table(100, seed=5))
    mine.remove_column("ra")
    _, report = finetune(photoz, mine, mine["z_spec"], ensemble=ensemble, steps=1)
    assert report.n_validation == n_held_out
    assert report.n_train == (80 if ensemble == 1 else 100)


def test_it_ends_calibrated_on_those_held_out(toy, photoz, tuned_and_report):
    mine, test = off(toy.table(60, seed=5)), off(toy.table(2000, seed=6))
    tuned, report = tuned_and_report
    assert "smoothed by" in str(report)
    assert "coverage_68" in str(report)
    pdf = tuned.predict(test)
    assert metrics.coverage(pdf, test["z_spec"], level=0.68) == pytest.approx(
        0.68, abs=0.08
    )
    few, _ = finetune(photoz, mine, mine["z_spec"], steps=20)
    assert few.recalibrator is None  # twelve galaxies tell nothing
