"""Simulated catalogues as training data: fresh noise, the same again, stars apart."""

import numpy as np
import pytest
import torch

from mantis_astro.exceptions import InputSpecError
from mantis_astro.models import BandSetConfig, BandSetSpec
from mantis_astro.simulation.photometry.surveys import SURVEYS
from mantis_astro.training import (
    AnyBandData,
    LossConfig,
    TrainingConfig,
    ValidationConfig,
    describe,
    train,
)
from mantis_astro.training.data.any_bands import SimulatedCatalogs

DATA = AnyBandData(n=3000, filters=(*SURVEYS["sdss"].filters, "wise_w1", "wise_w2"))
EDGES = tuple(np.expm1(np.linspace(0, np.log(7), 31)).round(9).tolist())


def make_config(**options):
    return TrainingConfig(
        **{
            "name": "small",
            "network": BandSetConfig(30, width=16, n_blocks=2, n_heads=2, hidden=16),
            "spec": BandSetSpec(),
            "z_edges": EDGES,
            "data": DATA,
            "n_steps": 6,
            "batch_size": 64,
            "amp": "none",
            "n_workers": 0,
            "n_reference": 50,
            "checkpoint_every": 3,
            "loss": LossConfig(target_width=0.05, star=0.3),
            "validation": ValidationConfig(n=256, every=6, keep="last"),
        }
        | options
    )


@pytest.fixture(scope="module")
def data():
    return DATA.open(make_config())


def equal(one, other):
    pairs = zip(one.images, other.images, strict=True)
    same = all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in pairs)
    return same and torch.equal(one.z, other.z) and torch.equal(one.star, other.star)


def test_a_step_is_always_the_same_and_each_has_its_own_noise(data):
    assert equal(data.batch(3, 64), data.batch(3, 64))
    again = DATA.open(make_config())
    assert equal(data.batch(11, 64), again.batch(11, 64))
    assert not equal(data.batch(3, 64), data.batch(4, 64))
    other = DATA.open(make_config(seed=1))
    assert not equal(data.batch(3, 64), other.batch(3, 64))


def test_processes_take_parts_of_the_same_step(data):
    whole, part = data.batch(5, 64), data.batch(5, 64, slice(16, 48))
    assert torch.equal(part.z, whole.z[16:48])
    assert torch.equal(part.images[0], whole.images[0][16:48])
    assert len(data.batch(0, 50)) == 50


def test_stars_have_no_weight_and_are_not_validated_on(data):
    batches = [data.batch(step, 256) for step in range(20)]
    star = torch.cat([b.star for b in batches])
    weight = torch.cat([b.weight for b in batches])
    assert 0.01 < star.float().mean() < 0.2
    assert (weight[star] == 0).all()
    assert (weight[~star] == 1).all()
    held_out = list(data.validation(256))
    assert not torch.cat([b.star for b in held_out]).any()
    assert not np.isin(
        np.concatenate([b.z.numpy() for b in held_out]), data.sources.z
    ).any()


def test_batches_are_what_the_spec_reads(data):
    batch = data.batch(0, 64)
    encoded = batch.encoded(BandSetSpec())
    assert encoded.images.shape == (*batch.observed.shape, BandSetSpec.n_token)
    assert torch.isfinite(encoded.images).all()
    assert torch.equal(encoded.images[..., -1] > 0, batch.observed)


def test_faint_objects_are_only_in_deep_fields(data):
    batch = data.batch(0, 256)
    signal = torch.where(batch.observed, batch.images[0] / batch.images[1], -1)
    best = signal.nan_to_num(-1).amax(1)
    assert (best > 3).float().mean() > 0.8


def test_half_of_deep_fields_are_as_full_of_faint_sources_as_the_sky(data):
    index = torch.cat([data.batch(step, 256).index for step in range(40)])
    rank = index.reshape(-1, DATA.group).double().median(1).values / len(data.sources)
    assert (rank > 0.8).double().mean() == pytest.approx(0.23, abs=0.08)


def test_n_of_z_is_that_of_what_is_drawn_from(data):
    assert data.n_of_z.sum() == pytest.approx(1)
    assert len(data.n_of_z) == len(EDGES) - 1


def test_going_on_gives_the_same_weights_to_the_bit(tmp_path):
    whole = train(make_config(), tmp_path / "whole", progress=False)

    class PowerError(Exception):
        pass

    class Fails(SimulatedCatalogs):
        def batch(self, step, batch_size, rows=slice(None)):
            if step == 5:
                raise PowerError
            return super().batch(step, batch_size, rows)

    broken = DATA.open(make_config())
    broken.__class__ = Fails
    with pytest.raises(PowerError):
        train(make_config(), tmp_path / "parts", data=broken, progress=False)
    parts = train(make_config(), tmp_path / "parts", progress=False)
    one, other = (r.photoz.network.state_dict() for r in (whole, parts))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert whole.metrics == parts.metrics
    assert "3,000 simulated galaxies, quasars and stars" in (
        whole.photoz.card.training_sample
    )


def test_the_recipe_is_complete():
    config = TrainingConfig.read("any-band")
    assert TrainingConfig.from_plain(config.to_plain()) == config
    widths = np.diff(np.log1p(config.z_edges))
    assert widths == pytest.approx(np.full(487, np.log(7) / 487), abs=1e-8)
    assert "band" in describe(config)


def test_stars_need_a_network_that_tells_them(toy, tmp_path):
    config = toy.config(loss=LossConfig(star=1.0))
    with pytest.raises(InputSpecError, match="'star' must be 0 for a network"):
        train(config, tmp_path, data=toy.data(), progress=False)


def test_what_does_not_fit_is_refused(toy):
    with pytest.raises(InputSpecError, match="sampling = 'natural' only"):
        DATA.open(make_config(sampling="class-balanced"))
    with pytest.raises(InputSpecError, match="for networks of any bands"):
        DATA.open(toy.config())
