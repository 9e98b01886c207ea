"""A network for the bands of a table, in one call."""

from types import SimpleNamespace

import numpy as np
import pytest

from mantis_astro import PhotoZ, metrics
from mantis_astro.cli import main
from mantis_astro.exceptions import InputSpecError
from mantis_astro.training import train_photometric


def test_it_learns_redshifts_from_a_table_alone(toy, tmp_path):
    table, test = toy.table(1500, seed=5), toy.table(500, seed=6)
    table.remove_columns(["ra", "dec"])
    photoz, report = train_photometric(
        table, table["z_spec"], steps=300, ensemble=2, name="mine"
    )
    assert photoz.card.name == "mine"
    assert photoz.card.spec.asinh_scale == (toy.noise, toy.noise)
    assert photoz.card.bands == toy.bands
    pdf = photoz.predict(test)
    # one band falls and one rises by 1000 over all redshifts: 0.07 is the best
    assert metrics.crps(pdf, test["z_spec"]) < 0.055
    assert abs(metrics.coverage(pdf, test["z_spec"], level=0.68) - 0.68) < 0.12
    assert report.after["sigma_nmad"] < 0.5 * report.before["sigma_nmad"]
    photoz.save(tmp_path / "mine.safetensors")
    assert PhotoZ.from_file(tmp_path / "mine.safetensors").predict(test) == pdf


def test_errors_need_not_be_known(toy):
    table = toy.table(200, seed=5)
    table.remove_columns([name for name in table.colnames if "flux_err" in name])
    photoz, _ = train_photometric(table, table["z_spec"], steps=20, ensemble=1)
    assert min(photoz.card.spec.asinh_scale) > 0
    assert np.isfinite(photoz.predict(table).probability).all()


def test_dust_is_read_if_it_is_given(toy):
    table = toy.table(200, seed=5)
    ebv = np.ma.masked_less(np.linspace(0.0, 0.2, 200), 0.1)
    options = {"steps": 20, "ensemble": 1}
    photoz, _ = train_photometric(table, table["z_spec"], ebv=ebv, **options)
    assert photoz.card.spec.ebv_default == pytest.approx((0.15,), abs=0.001)
    assert photoz.card.network.n_ebv == 1
    low, high = (photoz.predict(table, ebv=value) for value in (0.0, 0.5))
    assert low != high


@pytest.mark.parametrize("nothing", [np.nan, -99.0])
def test_dust_of_which_nothing_is_known_is_not_read(toy, nothing):
    table = toy.table(40, seed=5)
    ebv = np.full(40, nothing)
    photoz, _ = train_photometric(table, table["z_spec"], ebv=ebv, steps=2, ensemble=1)
    assert photoz.card.network.n_ebv == 0
    assert np.isfinite(photoz.predict(table, ebv=ebv).probability).all()


def test_sentinels_are_no_dust(toy):
    table = toy.table(40, seed=5)
    ebv = np.where(np.arange(40) < 30, -999.0, 0.04)
    photoz, _ = train_photometric(table, table["z_spec"], ebv=ebv, steps=2, ensemble=1)
    assert photoz.card.spec.ebv_default == (0.04,)


def test_a_table_without_bands_is_refused(toy):
    table = toy.table(50)["ra", "dec", "z_spec"]
    with pytest.raises(InputSpecError, match="'table' must have columns such as"):
        train_photometric(table, table["z_spec"])


@pytest.mark.parametrize("more", [["--own-bands", "--ensemble", "1"], []])
def test_the_command_writes_a_model(toy, tmp_path, capsys, more):
    table = toy.table(200, seed=5)
    table.write(tmp_path / "spectra.ecsv")
    output = tmp_path / "mine.safetensors"
    if not more:
        more = ["--model", "simulated-photometric"]
    arguments = ["finetune", str(tmp_path / "spectra.ecsv"), "-o", str(output)]
    assert main([*arguments, "--steps", "20", *more]) == 0
    assert "galaxies learnt from" in capsys.readouterr().out
    assert PhotoZ.from_file(output).predict(table).shape == (200,)


def test_the_command_writes_no_model_that_is_no_better(
    toy, tmp_path, capsys, monkeypatch
):
    def finetune(photoz, *_, **__):
        return photoz, SimpleNamespace(improved=False)

    monkeypatch.setattr("mantis_astro.training.finetune", finetune)
    toy.table(20, seed=5).write(tmp_path / "spectra.ecsv")
    output = tmp_path / "mine.safetensors"
    assert main(["finetune", str(tmp_path / "spectra.ecsv"), "-o", str(output)]) == 0
    assert "mine.safetensors is not written" in capsys.readouterr().err
    assert not output.exists()
