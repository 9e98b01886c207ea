"""Configurations: what is read is what is written, and mistakes are named."""

import tomllib
from dataclasses import replace

import pytest

from mantis_astro.exceptions import InputSpecError
from mantis_astro.training import (
    LossConfig,
    OptimizerConfig,
    TrainingConfig,
    ValidationConfig,
    describe,
    list_recipes,
)
from mantis_astro.training.toml_text import to_toml


@pytest.mark.parametrize("name", list_recipes())
def test_recipes_survive_writing_and_reading(name, tmp_path):
    config = TrainingConfig.read(name)
    path = tmp_path / "config.toml"
    path.write_text(config.to_toml())
    assert TrainingConfig.read(path) == config
    assert config.name.endswith(name)


@pytest.mark.parametrize("name", list_recipes())
def test_networks_of_recipes_fit_into_the_package(name):
    text = describe(TrainingConfig.read(name))
    megabytes = float(text.split("half precision ")[1].split(" MB")[0])
    assert megabytes <= 2.5


def test_every_option_survives(toy):
    config = toy.config(
        minutes=3.5,
        loss=LossConfig(0.5, 1.0, 0.1, 0.05),
        validation=ValidationConfig(patience=4, keep="last"),
        optimizer=OptimizerConfig(clip_norm=0),
        z_edges=(0.0, 0.1, *toy.edges[3:], 1.7),
        caveats='a "quoted" word\nand a line',
    )
    again = TrainingConfig.from_plain(tomllib.loads(config.to_toml()))
    assert again == config


def test_toml_of_nested_tables_and_lists():
    plain = {
        "a": True,
        "none": None,
        "b c": [1, 2.5, "x"],
        "t": {"u": {"v": 1}, "w": [{"k": 1}, {"k": 2}]},
        "empty": {},
    }
    read = tomllib.loads(to_toml(plain))
    assert read == {key: v for key, v in plain.items() if v is not None}


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"batchsize": 3}, r"the configuration has no batchsize; there are name, net"),
        ({"loss": {"crsp": 1}}, r"\[loss\] has no crsp; there are cross_entropy, crps"),
        ({"loss": 3}, r"\[loss\] must be a table"),
        ({"amp": "fp8"}, r"'amp' must be one of \('auto', 'bf16', 'none'\), got 'fp8'"),
        ({"sampling": "equal"}, r"'sampling' must be one of \('natural', 'class-b"),
        ({"seed": -1}, r"'seed' must be 0 or more, got -1"),
        ({"batch_size": 0}, r"'batch_size' must be positive, got 0"),
        ({"n_steps": None}, r"give 'n_steps' or 'minutes'"),
        ({"optimizer": {"warmup": 1.0}}, r"'warmup' must be from 0 to below 1"),
        ({"validation": {"keep": "all"}}, r"'keep' must be 'best' or 'last'"),
        (
            {"loss": {"cross_entropy": 0}},
            r"'cross_entropy', 'crps', 'cde' or another loss must",
        ),
        ({"augmentation": {"drop_band": 1.0}}, r"'drop_band' must be below 1"),
        ({"z_edges": {"start": 0}}, r"'z_edges' must have start, stop and n_bins"),
        ({"z_edges": [0, 0.5, 0.3]}, r"'z_edges' must be increasing"),
        ({"z_edges": [0, 0.5, 1.0]}, r"'network' must have the 2 redshift bins"),
        ({"data": {"kind": "magic"}}, r"no record of kind 'magic'; there are"),
        (
            {"data": {"kind": "table_data", "path": "t.fits"}},
            r"'table_data' has no path; there are table, z_spec, ebv",
        ),
    ],
)
def test_mistakes_are_named(toy, change, match):
    plain = toy.config().to_plain() | change
    with pytest.raises(InputSpecError, match=match):
        TrainingConfig.from_plain(plain)


def test_what_is_lacking_is_named():
    with pytest.raises(InputSpecError, match="lacks network, spec, z_edges"):
        TrainingConfig.from_plain({"name": "x"})


def test_sizes_that_follow_may_be_left_out(toy):
    config = toy.config()
    plain = config.to_plain()
    del plain["network"]["n_bins"], plain["network"]["n_inputs"]
    assert TrainingConfig.from_plain(plain) == config


def test_no_such_file(tmp_path):
    with pytest.raises(
        FileNotFoundError, match="recipes are any-band, early, late, photometric"
    ):
        TrainingConfig.read(tmp_path / "none.toml")
    path = tmp_path / "bad.toml"
    path.write_text("a = = 3")
    with pytest.raises(InputSpecError, match="is no TOML"):
        TrainingConfig.read(path)


def test_options_make_another_configuration(toy):
    config = toy.config()
    assert config.with_options(seed=3) == replace(config, seed=3)
    assert config.seed == 0
