"""Batches straight from the simulation, and photometry on their images."""

import astropy.units as u
import numpy as np
import pytest
import torch

from mantis_astro.exceptions import InputSpecError
from mantis_astro.models import NativeCrops
from mantis_astro.photometry import Circular, measure_photometry
from mantis_astro.training import SimulatedData, TrainingConfig
from mantis_astro.training.data.grid_photometry import GridPhotometry

pytest.importorskip("kcorrect")


@pytest.fixture(scope="module", params=["early", "late", "photometric"])
def opened(request):
    config = TrainingConfig.read(request.param)
    return config, SimulatedData().open(config)


def tensors(batch):
    images = batch.images if isinstance(batch.images, tuple) else (batch.images,)
    return [*images, batch.observed, batch.ebv, batch.z, batch.weight, batch.index]


def assert_same(a, b):
    for mine, theirs in zip(tensors(a), tensors(b), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0, equal_nan=True)


def test_a_step_is_decided_by_its_number(opened):
    config, data = opened
    batch = data.batch(7, 16)
    assert_same(batch, SimulatedData().open(config).batch(7, 16))
    assert list(batch.index) == list(range(112, 128))


def test_processes_take_parts_of_the_same_step(opened):
    _, data = opened
    whole = data.batch(3, 16)
    for mine, theirs in zip(
        tensors(data.batch(3, 16, slice(8, 16))), tensors(whole), strict=True
    ):
        # rendering adds waves in an order that depends on the batch
        torch.testing.assert_close(
            mine, theirs[8:], rtol=1e-4, atol=0.1, equal_nan=True
        )


def test_batches_are_what_the_network_reads(opened):
    from mantis_astro.models import build_network

    config, data = opened
    batch = data.batch(0, 16).encoded(config.spec)
    logits = build_network(config.network)(batch.images, batch.ebv)
    assert logits.shape == (16, 400)
    assert torch.isfinite(logits).all()


def test_validation_is_of_other_galaxies_and_always_the_same():
    config = TrainingConfig.read("early")
    data = SimulatedData().open(config)
    data.n_validation = 40
    first, again = (list(data.validation(32)) for _ in range(2))
    assert [len(batch) for batch in first] == [32, 8]
    for a, b in zip(first, again, strict=True):
        assert_same(a, b)
    assert not set(first[0].z.tolist()) & set(data.batch(0, 32).z.tolist())


def test_balanced_classes_with_their_weights_are_uniform():
    config = TrainingConfig.read("photometric").with_options(sampling="class-balanced")
    edges = np.linspace(0, 1.6, 9)
    data = SimulatedData(neighbours=False).open(config)
    data.z_edges = edges
    z, weight = [], []
    for step in range(30):
        candidates = data._training.draw(8 * 200, start=step * 8 * 200)
        chosen, w = data._balance(candidates.z, step, 200)
        z.append(candidates.z[chosen])
        weight.append(w)
    z, weight = np.concatenate(z), np.concatenate(weight)
    total, _ = np.histogram(z, edges, weights=weight)
    common = data.n_of_z > 1 / 40
    each = 6000 / np.count_nonzero(data.n_of_z)
    np.testing.assert_allclose(total[common], each, rtol=0.15)


def test_photometry_on_arrays_is_that_of_cutouts():
    config = TrainingConfig.read("early")
    batch = SimulatedData().open(config).batch(0, 12)
    images = batch.images[0].numpy()
    bands = config.spec.bands
    grid = GridPhotometry(bands, (32, 32), 1.0, 3.0)
    fast = grid.measure(images)
    table = measure_photometry(
        [grid.as_cutouts(galaxy) for galaxy in images],
        aperture=Circular(3 * u.arcsec),
        deblend=None,
        bands=bands,
    )
    for j, band in enumerate(bands):
        seen = batch.observed[:, j].numpy()
        name = band.replace(".", "_")
        for k, column in enumerate((f"flux_{name}", f"flux_err_{name}")):
            slow = table[column].filled(np.nan * u.nJy).to_value(u.nJy)
            scale = np.maximum(abs(slow[seen]), fast[seen, 1, j])
            assert np.all(abs(fast[seen, k, j] - slow[seen]) <= 1e-4 * scale), column


def test_galaxies_beyond_the_bins_do_not_count():
    config = TrainingConfig.read("photometric")
    data = SimulatedData().open(config)
    data.z_edges, data.n_validation = np.array([0.0, 0.3, 0.6]), 64
    batch = data.batch(0, 64)
    beyond = batch.z == 0.6
    assert 0 < beyond.sum() < 64
    assert torch.equal(batch.weight, (~beyond).float())
    assert all((batch.z < 0.6).all() for batch in data.validation(32))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"ebv_maps": ("sfd", "planck")}, "E\\(B-V\\) of .* not of \\['sfd'\\]"),
        (
            {"geometry": NativeCrops((("galex", 8), ("ps1", 8), ("unwise", 8)))},
            "geometry must be CommonGrid or SurveyGrids",
        ),
    ],
)
def test_what_is_not_simulated_is_refused(change, match):
    from dataclasses import replace

    config = TrainingConfig.read("early")
    config = config.with_options(spec=replace(config.spec, **change))
    with pytest.raises(InputSpecError, match=match):
        SimulatedData().open(config)
