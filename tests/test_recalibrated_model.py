"""A recalibrator in a model's card: applied to every p(z), kept in the file."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.table import QTable

from mantis_astro import PhotoZ, RedshiftPDF
from mantis_astro.calibration import (
    LocalRecalibration,
    PITRecalibration,
    TemperatureScaling,
)
from mantis_astro.exceptions import InputSpecError
from mantis_astro.models import PhotometricConfig, PhotometrySpec, build_network
from mantis_astro.models.card import ModelCard

EDGES = np.linspace(0, 1, 51)
SPEC = PhotometrySpec(("ps1.g", "ps1.r"), asinh_scale=(300.0, 300.0))


@pytest.fixture
def photoz():
    config = PhotometricConfig(SPEC.n_inputs, 50, widths=(8,), hidden=6)
    card = ModelCard("tiny", config, SPEC, tuple(EDGES.tolist()))
    return PhotoZ(build_network(config), card)


@pytest.fixture
def table():
    flux = np.geomspace(100, 1e5, 60)
    flux[7] = np.nan  # nothing is known of this one
    return QTable(
        {f"flux_ps1_{b}": np.ma.masked_invalid(flux) for b in "gr"}
        | {f"flux_err_ps1_{b}": 50 + 0 * flux for b in "gr"},
        units=dict.fromkeys(
            [f"flux_{e}ps1_{b}" for b in "gr" for e in ("", "err_")], "nJy"
        ),
    )


def fitted(photoz, table):
    z_spec = np.random.default_rng(1).uniform(0.1, 0.4, len(table))
    pdf = photoz.predict(table, ebv=0.02)
    return PITRecalibration().fit(pdf, z_spec), pdf


def test_every_density_goes_through_the_recalibrator(photoz, table):
    recalibrator, bare = fitted(photoz, table)
    after = photoz.with_recalibration(recalibrator).predict(table, ebv=0.02)
    wanted = recalibrator.transform(bare)
    np.testing.assert_allclose(after.probability, wanted.probability, rtol=1e-5)
    assert abs(after.probability - bare.probability).max() > 0.01
    assert after.meta["PZCALIB"] == recalibrator.note
    assert "PZCALIB" not in bare.meta
    np.testing.assert_array_equal(after[7].probability, bare[7].probability)


def test_it_is_kept_in_the_file_and_can_be_taken_off(photoz, table, tmp_path):
    recalibrator, bare = fitted(photoz, table)
    recalibrated = photoz.with_recalibration(recalibrator)
    recalibrated.save(tmp_path / "tiny.safetensors")
    again = PhotoZ.from_file(tmp_path / "tiny.safetensors")
    assert again.card.recalibration == recalibrated.card.recalibration
    assert again.predict(table, ebv=0.02) == recalibrated.predict(table, ebv=0.02)
    assert again.with_recalibration(None).predict(table, ebv=0.02) == bare


def test_a_second_one_and_one_that_reads_features_are_refused(photoz, table):
    recalibrator, pdf = fitted(photoz, table)
    with pytest.raises(InputSpecError, match="'tiny' is recalibrated already"):
        photoz.with_recalibration(recalibrator).with_recalibration(
            TemperatureScaling().fit(pdf, np.full(len(table), 0.3))
        )
    rng = np.random.default_rng(2)
    centre = rng.uniform(0.3, 0.7, 2000)
    made = RedshiftPDF.from_gaussians(EDGES, centre, 0.05)
    z_spec = rng.normal(centre, 0.15 * (centre - 0.2))
    local = LocalRecalibration().fit(made, z_spec, features=centre[:, None])
    with pytest.raises(InputSpecError, match="reads features of galaxies"):
        photoz.with_recalibration(local)


def test_smoothing_comes_first_and_is_kept_in_the_file(photoz, table, tmp_path):
    bare = photoz.predict(table, ebv=0.02)
    smooth = photoz.with_smoothing(0.02)
    pdf = smooth.predict(table, ebv=0.02)
    np.testing.assert_array_equal(pdf.probability, bare.smooth(0.02).probability)
    assert pdf.meta["PZSMOOTH"] == 0.02
    assert "PZSMOOTH" not in bare.meta
    recalibrator, _ = fitted(smooth, table)
    both = smooth.with_recalibration(recalibrator)
    both.save(tmp_path / "tiny.safetensors")
    again = PhotoZ.from_file(tmp_path / "tiny.safetensors")
    after = again.predict(table, ebv=0.02)
    wanted = recalibrator.transform(bare.smooth(0.02))
    np.testing.assert_allclose(after.probability, wanted.probability, rtol=1e-5)
    with pytest.raises(InputSpecError, match="is recalibrated, for p"):
        both.with_smoothing(0.01)
    assert (
        again.with_recalibration(None).with_smoothing(0).predict(table, ebv=0.02)
        == bare
    )


@pytest.mark.parametrize("width", [-0.1, 1.0, np.nan, "0.01", None])
def test_a_card_with_a_width_that_is_none_is_refused(photoz, width):
    with pytest.raises(InputSpecError, match="'smoothing' must be from 0 to below 1"):
        replace(photoz.card, smoothing=width)


@pytest.mark.parametrize(
    "change",
    [
        {"recalibrator": "nobody's"},
        {"temperature_": float("nan")},
        {"temperature_": "hot"},
        {"floor_": None},
    ],
    ids=["kind", "NaN", "text", "nothing"],
)
def test_a_recalibration_that_cannot_work_is_refused_at_once(photoz, table, change):
    """Not at the first galaxy: a file from elsewhere may hold anything."""
    z_spec = np.random.default_rng(1).uniform(0.1, 0.4, len(table))
    good = TemperatureScaling().fit(photoz.predict(table, ebv=0.02), z_spec).to_plain()
    PhotoZ(photoz.network, replace(photoz.card, recalibration=good))
    card = replace(photoz.card, recalibration=good | change)
    with pytest.raises(InputSpecError, match="recalibration of 'tiny' cannot be used"):
        PhotoZ(photoz.network, card)
