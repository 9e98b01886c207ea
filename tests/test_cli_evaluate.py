"""``mantis-astro evaluate`` on simulated galaxies, and with a recalibration."""

import re

import numpy as np
import pytest
from astropy.table import Table

from mantis_astro import RedshiftPDF
from mantis_astro.cli import main
from mantis_astro.tables import read_table, write_table


@pytest.fixture(scope="module")
def predicted(tmp_path_factory):
    """Six hundred p(z) half as wide as they should be, as ``predict`` writes them."""
    rng = np.random.default_rng(1)
    centre = rng.uniform(0.3, 0.7, 600)
    pdf = RedshiftPDF.from_gaussians(np.linspace(0, 1, 101), centre, 0.02)
    table = pdf.to_table()
    table["z_spec"] = rng.normal(centre, 0.04)
    path = tmp_path_factory.mktemp("predicted") / "out.ecsv"
    write_table(table, path)
    return path


@pytest.mark.parametrize("method", ["temperature", "pit", "local"])
def test_recalibrate_prints_both_sides(predicted, capsys, method):
    assert main(["evaluate", str(predicted), "--recalibrate", method]) == 0
    out = capsys.readouterr().out
    line = next(
        line
        for line in out.splitlines()
        if "coverage_68" in line[:20] and line.count("+-") == 2
    )
    before, after = map(float, re.findall(r"([\d.]+) \+-", line))
    assert before == pytest.approx(0.38, abs=0.06)
    assert after == pytest.approx(0.68, abs=0.06)  # three binomial errors


def test_simulated_galaxies_are_predicted_and_judged(tmp_path, capsys):
    output = tmp_path / "metrics.ecsv"
    arguments = ["--model", "simulated-photometric", "--by", "z_spec", "--bins", "2"]
    arguments += ["--seed", "5", "-o", str(output), "--quiet"]
    assert main(["evaluate", "--simulated", "60", *arguments]) == 0
    assert "galaxies (simulated, seed 5)" in capsys.readouterr().out
    table = read_table(output)
    counts = table["n"] + table["n_no_z_spec"] + table["n_flagged"]
    assert counts[0] == 60
    assert main(["evaluate", "--simulated", "60", *arguments, "--overwrite"]) == 0
    again = read_table(output)
    np.testing.assert_array_equal(again["sigma_nmad"], table["sigma_nmad"])


@pytest.mark.parametrize("arguments", [[], ["table.ecsv", "--simulated", "5"]])
def test_a_table_or_a_number_must_be_given(arguments, capsys):
    assert main(["evaluate", *arguments]) == 1
    assert "give either a table that predict wrote, or" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--simulated", "0"], "'n' must be at least 1 galaxy, got 0"),
        (["--simulated", "5", "--by", "mag"], "no column 'mag'; there are z_spec, z_m"),
    ],
)
def test_what_cannot_be_simulated_is_said(arguments, message, capsys):
    assert main(["evaluate", "--model", "simulated-photometric", *arguments]) == 1
    assert message in capsys.readouterr().err


def test_a_table_without_redshifts_is_told_where_they_come_from(tmp_path, capsys):
    path = tmp_path / "catalogue.ecsv"
    write_table(Table({"ra": [1.0], "z_spec": [0.1]}), path)
    assert main(["evaluate", str(path)]) == 1
    assert "has no p(z), which would be in column 'pz'" in capsys.readouterr().err
