"""The n(z) of a sample: means that are known, errors that follow from them."""

import numpy as np
import pytest

from mantis_astro import Flag, RedshiftPDF, redshift_distribution
from mantis_astro.cli import main
from mantis_astro.plotting import plot_nz
from mantis_astro.tables import read_table, write_table

EDGES = np.array([0, 0.1, 0.3, 0.6, 1.0])


@pytest.fixture(scope="module")
def pdf():
    rng = np.random.default_rng(1)
    return RedshiftPDF(EDGES, rng.dirichlet(np.ones(4), 2000))


def test_it_is_the_mean_of_the_densities(pdf):
    table = redshift_distribution(pdf)
    (row,) = table
    share = pdf.probability.mean(0)
    np.testing.assert_allclose(row["n_of_z"], share / np.diff(EDGES))
    assert row["n"] == 2000
    assert row["z_mean"] == pytest.approx(np.mean(pdf.mean().value))
    # the variance of a mixture: that within, and that between
    variance = np.mean(pdf.std().value ** 2) + np.var(pdf.mean().value)
    assert row["z_std"] == pytest.approx(np.sqrt(variance))


def test_errors_are_those_of_a_mean(pdf):
    (row,) = redshift_distribution(pdf, n_bootstrap=400)
    expected = pdf.probability.std(0) / np.sqrt(2000) / np.diff(EDGES)
    # of 400 samples an error is known to 3.5 %
    np.testing.assert_allclose(row["n_of_z_err"], expected, rtol=0.15)
    error = np.std(pdf.mean().value) / np.sqrt(2000)
    assert row["z_mean_err"] == pytest.approx(error, rel=0.15)


def test_groups_that_share_a_redshift_count_once(pdf):
    some = pdf[:200]
    copies = RedshiftPDF.concatenate([some] * 4)
    (alone,) = redshift_distribution(some, n_bootstrap=400)
    groups = np.tile(np.arange(200), 4)
    (grouped,) = redshift_distribution(copies, groups=groups, n_bootstrap=400)
    assert grouped["z_mean_err"] == pytest.approx(alone["z_mean_err"], rel=1e-5)
    (naive,) = redshift_distribution(copies, n_bootstrap=400)
    assert naive["z_mean_err"] == pytest.approx(alone["z_mean_err"] / 2, rel=0.2)


def test_one_galaxy_has_no_error(pdf):
    """All bootstrap samples of it are alike, which is no accuracy."""
    (row,) = redshift_distribution(pdf[:1])
    assert row["z_mean"] == pytest.approx(pdf[0].mean().value)
    assert np.isnan([row["z_mean_err"], row["z_std_err"], *row["n_of_z_err"]]).all()
    (row,) = redshift_distribution(pdf[:9], groups=np.zeros(9))
    assert np.isnan(row["z_mean_err"])
    (row,) = table = redshift_distribution(pdf[:1])
    ax = plot_nz(table)
    assert ax.get_ylim()[1] == pytest.approx(1.1 * max(row["n_of_z"]))


def test_tomographic_bins_part_the_galaxies(pdf):
    edges = [0.1, 0.3, 0.5]
    table = redshift_distribution(pdf, bins=edges, point="mean")
    z = pdf.mean().value
    for row, low, high in zip(table, edges[:-1], edges[1:], strict=True):
        there = (z >= low) & (z < high)
        assert row["n"] == there.sum()
        assert row["z_mean"] == pytest.approx(z[there].mean())
    halves = redshift_distribution(pdf, bins=2)
    assert abs(halves["n"][0] - halves["n"][1]) <= 2
    assert halves["n"].sum() == 2000
    np.testing.assert_allclose(halves["n_of_z"] @ np.diff(EDGES), 1)


def test_weights_and_flags_count(pdf):
    weight = np.arange(2000) % 3
    (row,) = redshift_distribution(pdf, sample_weight=weight)
    share = np.average(pdf.probability, axis=0, weights=weight)
    np.testing.assert_allclose(row["n_of_z"], share / np.diff(EDGES))
    flags = np.where(np.arange(2000) < 500, int(Flag.NO_DATA), 0)
    (row,) = redshift_distribution(pdf.add_flags(flags))
    assert row["n"] == 1500
    np.testing.assert_allclose(
        row["n_of_z"], pdf.probability[500:].mean(0) / np.diff(EDGES)
    )


def test_a_table_of_redshifts_will_do(pdf):
    table = pdf.to_table(prefix="mine_")
    (row,) = redshift_distribution(table, prefix="mine_")
    (expected,) = redshift_distribution(pdf)
    np.testing.assert_allclose(row["n_of_z"], expected["n_of_z"], rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bins": [0.5, 0.2]}, "'bins' must be increasing edges"),
        ({"bins": 0}, "'bins' must be edges, or a whole number"),
        ({"bins": float("nan")}, "'bins' must be edges, or a whole number"),
        ({"bins": [5.0, 6.0]}, "no galaxy has a point estimate from 5 to 6"),
        ({"point": "best"}, "'point' must be one of mean, median"),
        ({"sample_weight": [1.0]}, "'sample_weight' must have shape"),
        ({"groups": [1.0]}, "'groups' must have shape"),
        ({"sample_weight": np.full(2000, -1.0)}, "must be finite and not negative"),
        ({"sample_weight": np.zeros(2000)}, "none has a weight"),
        ({"n_bootstrap": 1}, "'n_bootstrap' must be at least 2"),
    ],
)
def test_bad_options_are_refused(pdf, options, message):
    with pytest.raises(ValueError, match=message):
        redshift_distribution(pdf, **options)


def test_the_command_gives_the_same_table_and_a_picture(pdf, tmp_path, capsys):
    table = pdf[:200].to_table()
    table["flags"][:20] = int(Flag.BROAD)
    table["w"] = np.linspace(1, 2, 200)
    write_table(table, tmp_path / "in.fits")
    output, picture = tmp_path / "nz.ecsv", tmp_path / "nz.png"
    options = ["--bins", "2", "--weight", "w", "--exclude", "no_data,BROAD"]
    files = ["-o", str(output), "--plot", str(picture)]
    assert main(["nz", str(tmp_path / "in.fits"), *options, *files]) == 0
    expected = redshift_distribution(
        table, bins=2, sample_weight=table["w"], exclude=Flag.NO_DATA | Flag.BROAD
    )
    written = read_table(output)
    np.testing.assert_allclose(written["n_of_z"], expected["n_of_z"], rtol=1e-6)
    assert list(written["n"]) == list(expected["n"])
    assert picture.stat().st_size > 1000
    assert capsys.readouterr().out.split()[:4] == ["z_low", "z_high", "n", "z_mean"]
    assert main(["nz", str(tmp_path / "in.fits"), "--bins", "a"]) == 1
    assert "'--bins' must be a number or edges" in capsys.readouterr().err
    assert main(["nz", str(tmp_path / "in.fits"), "--exclude", "BRAOD"]) == 1
    assert "no flag 'BRAOD'" in capsys.readouterr().err
