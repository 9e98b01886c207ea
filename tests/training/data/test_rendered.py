"""Galaxies rendered once are those that are rendered afresh, to half precision."""

import numpy as np
import pytest
import torch

from mantis_astro.exceptions import InputSpecError
from mantis_astro.training import RenderedData, TrainingConfig, ValidationConfig
from mantis_astro.training.data import rendered as module

N = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("rendered")


def opened(recipe, folder, **options):
    config = TrainingConfig.read(recipe).with_options(
        n_workers=0, validation=ValidationConfig(n=3)
    )
    data = RenderedData(n=N, cache=str(folder), **options)
    return data.open(config), config


def fresh(recipe, config):
    from mantis_astro.training import SimulatedData

    data = SimulatedData().open(config)
    return data.batch(0, N), next(iter(data.validation(3)))


@pytest.mark.parametrize("recipe", ["early", "late", "photometric"])
def test_rendered_galaxies_are_the_simulated_ones(folder, recipe):
    data, config = opened(recipe, folder)
    expected, held_out = fresh(recipe, config)
    for found, wanted in (
        (data.take(np.arange(N)), expected),
        (next(iter(data.validation(3))), held_out),
    ):
        assert torch.equal(found.z, wanted.z)
        assert torch.equal(found.observed, wanted.observed)
        torch.testing.assert_close(found.ebv, wanted.ebv)
        if recipe == "photometric":
            torch.testing.assert_close(found.images, wanted.images, equal_nan=True)
            continue
        for ours, theirs in zip(found.images, wanted.images, strict=True):
            # half precision of an inverse hyperbolic sine below 16
            assert ((ours - theirs).abs() <= 0.008 * theirs.abs() + 0.5).all()


def test_a_rendering_that_was_interrupted_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_SHARD", 4)
    render, rendered = module._render, []

    def interrupted(job):
        if len(rendered) == 2:
            raise KeyboardInterrupt
        rendered.append(job[2])
        return render(job)

    monkeypatch.setattr(module, "_render", interrupted)
    with pytest.raises(KeyboardInterrupt):
        opened("photometric", tmp_path)
    first, rendered = rendered, []
    monkeypatch.setattr(
        module, "_render", lambda job: rendered.append(job[2]) or render(job)
    )
    data, config = opened("photometric", tmp_path)
    assert sorted(first + rendered) == [0, 4, 8, 12]
    expected, _ = fresh("photometric", config)
    torch.testing.assert_close(
        data.take(np.arange(N)).images, expected.images, equal_nan=True
    )


def test_another_grid_is_refused(folder):
    with pytest.raises(InputSpecError, match=r"rendered with \(16, 16\) pixels"):
        opened("early", folder, shape=(16, 16))
