"""`PhotoZ.recalibrate` and the commands that adapt a model to a table of spectra."""

import numpy as np
import pytest
from astropy.table import QTable

from mantis_astro import PhotoZ, metrics
from mantis_astro.cli import main
from mantis_astro.models import PhotometricConfig, PhotometrySpec, build_network
from mantis_astro.models.card import ModelCard

EDGES = np.linspace(0, 1, 51)
SPEC = PhotometrySpec(("ps1.g", "ps1.r"), asinh_scale=(300.0, 300.0))
N = 600


@pytest.fixture(scope="module")
def photoz():
    config = PhotometricConfig(SPEC.n_inputs, 50, widths=(8,), hidden=6)
    card = ModelCard("tiny", config, SPEC, tuple(EDGES.tolist()))
    return PhotoZ(build_network(config), card)


@pytest.fixture(scope="module")
def table(photoz):
    """Galaxies whose redshifts scatter half as much as p(z) says, about its median."""
    rng = np.random.default_rng(1)
    flux = rng.lognormal(8, 1, (N, 2))
    table = QTable()
    for j, band in enumerate(SPEC.bands):
        name = band.replace(".", "_")
        table[f"flux_{name}"] = flux[:, j]
        table[f"flux_err_{name}"] = np.full(N, 50.0)
        table[f"flux_{name}"].unit = table[f"flux_err_{name}"].unit = "nJy"
    pdf = photoz.predict(table, ebv=0.02)
    middle = pdf.median()
    draws = pdf.ppf(rng.random(N))
    table["z_spec"] = middle + (draws - middle) / 2
    table["ebv"] = 0.02
    return table


def test_p_of_z_become_as_narrow_as_they_should_be(photoz, table):
    fit, test = table[:400], table[400:]
    new, report = photoz.recalibrate(fit, fit["z_spec"])
    assert report.accepted, report.message
    before, after = (model.predict(test, ebv=0.02) for model in (photoz, new))
    assert metrics.coverage(before, test["z_spec"], level=0.68) > 0.9
    # three errors of 200 galaxies
    coverage = metrics.coverage(after, test["z_spec"], level=0.68)
    assert coverage == pytest.approx(0.68, abs=0.1)
    shown = {row["metric"]: row["before"] for row in report.scores}
    expected = metrics.coverage(photoz.predict(fit, ebv=0.02), fit["z_spec"], level=0.5)
    assert shown["coverage_50"] == pytest.approx(expected)


def test_the_card_says_so_and_the_file_holds_it(photoz, table, tmp_path):
    new, report = photoz.recalibrate(table, table["z_spec"])
    assert new.card.name == "tiny-recalibrated"
    assert f"recalibrated on {N} galaxies" in new.card.description
    assert photoz.card.recalibration is None
    new.save(tmp_path / "new.safetensors")
    again = PhotoZ.from_file(tmp_path / "new.safetensors")
    assert again.predict(table) == new.predict(table)
    assert f"fitted on {N} galaxies" in again.provenance()["PZCALIB"]
    assert report.message in str(report)


def test_a_model_that_is_right_stays_as_it_is(photoz, table):
    rng = np.random.default_rng(3)
    z = photoz.predict(table, ebv=0.02).ppf(rng.random(N))
    same, report = photoz.recalibrate(table, z)
    assert same is photoz
    assert not report.accepted
    assert "not better" in report.message


def test_an_older_recalibration_is_replaced(photoz, table):
    wrong, _ = photoz.recalibrate(table, table["z_spec"])
    z = photoz.predict(table, ebv=0.02).ppf(np.random.default_rng(4).random(N))
    new, report = wrong.recalibrate(table, z)
    assert report.accepted
    assert new.card.name == "tiny-recalibrated"
    np.testing.assert_allclose(
        new.predict(table).std(), photoz.predict(table).std(), rtol=0.2
    )


def test_weights_and_missing_redshifts_count(photoz, table):
    z = np.ma.masked_where(np.arange(N) % 2 == 0, table["z_spec"])
    weight = (np.arange(N) < N / 2).astype(float)
    _, report = photoz.recalibrate(table, z, sample_weight=weight)
    assert report.n_fit == N / 4


def test_too_few_galaxies_are_refused(photoz, table):
    with pytest.raises(ValueError, match="at least 20 galaxies"):
        photoz.recalibrate(table[:15], table["z_spec"][:15])


@pytest.fixture
def files(photoz, table, tmp_path):
    photoz.save(tmp_path / "tiny.safetensors")
    table.write(tmp_path / "spectra.ecsv")
    names = ("spectra.ecsv", "tiny.safetensors", "out.safetensors")
    return [str(tmp_path / name) for name in names]


@pytest.mark.parametrize("command", ["recalibrate", "refit"])
def test_a_command_writes_what_the_method_gives(photoz, table, files, capsys, command):
    given, model, output = files
    arguments = [command, given, "--model", model, "-o", output]
    first, options = [*arguments, "--ebv", "ebv", "--quiet"], {}
    if command == "refit":
        first += ["--targets", given]
        options = {"targets": table, "targets_ebv": table["ebv"]}
    assert main(first) == 0
    new, report = getattr(photoz, command)(
        table, table["z_spec"], ebv=table["ebv"], **options
    )
    assert report.accepted
    assert report.message in capsys.readouterr().out
    assert PhotoZ.from_file(output).predict(table) == new.predict(table)
    assert main([*arguments, "--quiet"]) == 1  # it is there already
    if command == "recalibrate":  # the option is that of both
        assert main([*arguments, "--quiet", "--overwrite"]) == 0


def test_a_command_that_gains_nothing_writes_nothing(photoz, table, files, capsys):
    given, model, output = files
    table = table.copy()
    table["z_spec"] = photoz.predict(table).ppf(np.random.default_rng(5).random(N))
    table.write(given, overwrite=True)
    assert main(["recalibrate", given, "--model", model, "-o", output]) == 0
    assert "is not written" in capsys.readouterr().err
    assert main(["recalibrate", given, "--model", output, "-o", "x"]) == 1
