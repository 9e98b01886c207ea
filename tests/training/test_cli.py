"""The command: recipes by name, lengths, mistakes in a line."""

import pytest

from mantis_astro.cli import main
from mantis_astro.tables import write_table
from mantis_astro.training import TableData, TrainingConfig, list_recipes


@pytest.fixture
def path(toy, tmp_path):
    write_table(toy.table(300), tmp_path / "table.fits")
    config = toy.config(data=TableData(str(tmp_path / "table.fits")))
    path = tmp_path / "config.toml"
    path.write_text(config.to_toml())
    return path


def test_it_trains_and_prints_what_came_out(path, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["train", str(path), "-o", str(out), "--steps", "20"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{out / 'toy.safetensors'}: 20 steps, done\n")
    assert "sigma_nmad" in printed.out
    assert "toy: step 20, 95%, loss" in printed.err
    assert TrainingConfig.read(out / "config.toml").n_steps == 20


def test_dry_run_prints_what_it_amounts_to(capsys, tmp_path):
    out = tmp_path / "out"
    command = ["train", "early", "-o", str(out), "--dry-run", "--minutes", "7"]
    assert main([*command, "--seed", "3", "--workers", "2"]) == 0
    printed = capsys.readouterr().out
    assert "early: early_fusion network" in printed
    assert "batches of 256, 7 minutes" in printed
    assert "seed = 3\n" in printed
    assert "n_workers = 2\n" in printed
    assert not out.exists()
    mine = tmp_path / "mine.toml"
    mine.write_text(printed)
    assert TrainingConfig.read(mine).seed == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none"], "no file none; recipes are any-band, early, late, photometric"),
        (["early", "--minutes", "-1"], "'minutes' must be positive, got -1.0"),
        (["early", "--device", "abacus"], "abacus"),
    ],
)
def test_mistakes_are_a_line(arguments, message, tmp_path, caplog):
    assert main(["train", *arguments, "-o", str(tmp_path / "x"), "-q"]) == 1
    assert message in caplog.text
    assert not (tmp_path / "x").exists()


def test_resume_and_fresh_exclude_each_other(capsys):
    with pytest.raises(SystemExit):
        main(["train", "early", "-o", "x", "--resume", "--fresh"])
    assert "not allowed with" in capsys.readouterr().err


def test_help_names_every_recipe(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert f"name of a recipe: {', '.join(list_recipes())}" in text
