"""What a model gets after its last step."""

import numpy as np
import pytest
import torch

from mantis_astro import PhotoZ, RedshiftPDF
from mantis_astro.metrics import coverage, pit, pit_ks
from mantis_astro.models import ModelCard, PhotometricConfig, build_network
from mantis_astro.training import train
from mantis_astro.training.completion import calibrated, performance

from .conftest import toy_config, toy_data


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """One toy model of half precision with all that can be added, and one plain."""
    results = {}
    for name, options in {
        "full": {"dtype": "float16", "n_reference": 64, "recalibrate": "pit"},
        "plain": {"n_reference": 0},
    }.items():
        config = toy_config(n_steps=60, **options)
        folder = tmp_path_factory.mktemp(name)
        results[name] = train(config, folder, data=toy_data(), progress=False)
    return results


def test_the_file_says_what_the_training_set_looks_like(trained):
    photoz = PhotoZ.from_file(trained["full"].path)  # refused if of other weights
    assert photoz.card.reference.n_object >= 100
    assert trained["plain"].photoz.card.reference is None


def test_weights_are_those_of_the_file(trained):
    ours = trained["full"].photoz.network.state_dict()
    kept = PhotoZ.from_file(trained["full"].path).network.state_dict()
    for name, tensor in ours.items():
        assert torch.equal(tensor, kept[name])
        if "layers.0." not in name:  # that reads fluxes
            assert torch.equal(tensor, tensor.half().float())


def test_recalibration_is_part_of_the_model(trained):
    assert "PIT map" in trained["full"].photoz.recalibrator.note
    assert trained["plain"].photoz.recalibrator is None


def test_smoothing_is_fitted_before_the_recalibration(toy):
    """On galaxies held out, and all p(z) of the model go through both."""
    rng = np.random.default_rng(0)
    centre = rng.uniform(0.3, 0.7, 3000)
    smooth = RedshiftPDF.from_gaussians(np.linspace(0, 1, 201), centre, 0.02)
    rough = smooth.probability * rng.lognormal(0, 1, (3000, 200))
    raw, z = RedshiftPDF(smooth.bin_edges, rough), rng.normal(centre, 0.04)
    config = toy_config()
    network = PhotometricConfig(config.spec.n_inputs, 200, widths=(8,), hidden=6)
    edges = tuple(raw.bin_edges.tolist())
    card = ModelCard("made", network, config.spec, edges, smoothing=0.1)
    photoz = PhotoZ(build_network(network), card)
    for recalibrate in ("pit", "temperature"):
        model = calibrated(photoz, raw, z, recalibrate=recalibrate)
        assert 0.003 <= model.card.smoothing <= 0.016
        after = model.finish(raw)
        assert coverage(after, z, level=0.68) == pytest.approx(0.68, abs=0.03)
    assert after.peaks().number.mean() < 1.1  # the power of a number adds none
    plain = calibrated(photoz, raw, z, smooth=False, recalibrate="none")
    assert plain.finish(raw) == raw


def test_the_card_says_what_was_reached(trained):
    for result in trained.values():
        assert "galaxies held out of those trained on: sigma_nmad" in (
            result.photoz.card.performance
        )


def test_the_sentence_has_the_numbers_of_the_metrics(toy):
    rng = np.random.default_rng(0)
    centre = rng.uniform(0.3, 0.7, 400)
    pdf = RedshiftPDF.from_gaussians(np.linspace(0, 1, 101), centre, 0.03)
    z = rng.normal(centre, 0.03)
    text = performance(pdf, z, "made galaxies")
    assert text.startswith("400 made galaxies: sigma_nmad 0.0")
    assert f"{coverage(pdf, z, level=0.68):.1%} inside" in text
    assert f"PIT KS {pit_ks(pit(pdf, z)):.3f}" in text
