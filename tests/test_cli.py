import contextlib
import io
import re
import signal
import subprocess
import sys
import time
from itertools import islice

import numpy as np
import pytest
from astropy.table import QTable, Table

from mantis_astro import FitsFolder, Flag, PhotoZ, RedshiftPDF, read_photometry
from mantis_astro.cli import main
from mantis_astro.flags import flag_counts, flag_names
from mantis_astro.models import default_table_model
from mantis_astro.models.registry import embedded_file
from mantis_astro.tables import read_table, write_table

from .made import make_galaxy

N = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Cutouts of galaxies at the positions of ``galaxies.ecsv``, in one folder."""
    folder = tmp_path_factory.mktemp("sky")
    (folder / "cutouts").mkdir()
    table = QTable({"ra": np.arange(N) + 10.0, "dec": np.full(N, 1.0)})
    table["name"] = [f"g{i}" for i in range(N)]
    write_table(table, folder / "galaxies.ecsv")
    for i, coord in enumerate(_coords(table)):
        bands = ["ps1.g", "ps1.r", "ps1.i", "unwise.W1"]
        make_galaxy(coord, bands, seed=i).write(folder / "cutouts" / f"{i}.fits")
    return folder


def _coords(table):
    from astropy.coordinates import SkyCoord

    return SkyCoord(table["ra"], table["dec"], unit="deg")


def predict(folder, output, *more):
    return main(
        [
            "predict",
            str(folder / "galaxies.ecsv"),
            "--cutouts",
            str(folder / "cutouts"),
            "-o",
            str(output),
            *more,
        ]
    )


@contextlib.contextmanager
def broken_off(after):
    """Folders of cutouts are interrupted, as by Ctrl-C, after some objects."""
    whole = FitsFolder.iter_cutouts

    def iter_cutouts(self, coords, bands):
        yield from islice(whole(self, coords, bands), after)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FitsFolder, "iter_cutouts", iter_cutouts)
        yield


@pytest.mark.parametrize("ending", ["ecsv", "fits", "parquet"])
def test_predict_adds_columns_and_exits_0(folder, tmp_path, ending):
    assert predict(folder, tmp_path / f"out.{ending}", "--ebv", "0.02") == 0
    table = read_table(tmp_path / f"out.{ending}")
    assert table.colnames[:4] == ["ra", "dec", "name", "z_mean"]
    assert len(table) == N
    assert not (table["flags"] & Flag.NO_DATA).any()
    assert (table["flags"] & Flag.MISSING_GALEX).all()


def test_the_same_numbers_as_through_python(folder, tmp_path):
    from mantis_astro import PhotoZ

    predict(folder, tmp_path / "out.ecsv")
    photoz = PhotoZ.from_pretrained()
    table = read_table(folder / "galaxies.ecsv")
    table = photoz.add_redshifts(table, FitsFolder(folder / "cutouts"))
    np.testing.assert_array_equal(read_table(tmp_path / "out.ecsv")["pz"], table["pz"])


def test_options_reach_the_columns(folder, tmp_path):
    more = ["--prefix", "a_", "--columns", "flags,z_median", "--dihedral"]
    assert predict(folder, tmp_path / "out.ecsv", *more) == 0
    names = read_table(tmp_path / "out.ecsv").colnames
    assert names == ["ra", "dec", "name", "a_z_median", "a_flags"]


def test_flags_in_words_are_a_column_on_request(folder, tmp_path, capsys):
    output = tmp_path / "out.ecsv"
    assert predict(folder, output, "--columns", "z_median,flags", "--flag-names") == 0
    table = read_table(output)
    assert table.colnames[-2:] == ["flags", "flag_names"]
    assert table["flag_names"].tolist() == flag_names(table["flags"]).tolist()
    capsys.readouterr()
    assert main(["flags", str(output)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    counts = flag_counts(table)
    assert [(int(n), name) for n, _, name, *_ in lines] == [
        (row["n"], row["name"]) for row in counts
    ]
    options = ["--columns", "z_median", "--flag-names"]
    assert predict(folder, tmp_path / "other.ecsv", *options) == 1
    assert "it must be in --columns" in capsys.readouterr().err


def test_output_goes_to_standard_output_and_messages_to_standard_error(folder, capsys):
    assert predict(folder, "-") == 0
    captured = capsys.readouterr()
    table = Table.read(captured.out.splitlines(), format="ascii.ecsv")
    assert len(table) == N
    assert "E(B-V) was not given" in captured.err


def test_without_a_command_all_are_listed(capsys):
    assert main([]) == 0
    assert "\n    predict  " in capsys.readouterr().out


def test_quiet_says_nothing(folder, tmp_path, capsys):
    assert predict(folder, tmp_path / "out.ecsv", "--quiet") == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == ""


def test_messages_are_each_printed_once(folder, tmp_path, capsys):
    predict(folder, tmp_path / "out.ecsv")
    err = capsys.readouterr().err
    assert err.count("E(B-V) was not given") == 1
    assert f"{N} rows in {tmp_path / 'out.ecsv'}" in err


def test_a_table_comes_through_a_pipe(folder, tmp_path, monkeypatch):
    text = "ra,dec\n10,1\n11,1\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    output = tmp_path / "out.ecsv"
    cutouts = str(folder / "cutouts")
    assert main(["predict", "-", "--cutouts", cutouts, "-o", str(output)]) == 0
    assert len(read_table(output)) == 2


class TestErrors:
    def test_an_existing_output_is_kept_and_noticed_before_any_work(
        self, folder, tmp_path, capsys
    ):
        output = tmp_path / "out.ecsv"
        output.write_text("precious")
        assert predict(folder, output) == 1
        expected = f"mantis-astro: {output} exists; --overwrite replaces it"
        assert expected in capsys.readouterr().err
        assert output.read_text() == "precious"
        assert predict(folder, output, "--overwrite") == 0

    @pytest.mark.parametrize(
        ("column", "options", "message"),
        [
            ("name", [], "FITS holds ASCII alone: column 'name' has 'Zoë 1' (1 such"),
            ("größe", [], "the name of column 'größe' is not"),
            ("ok", ["--prefix", "φ_"], "the name of column 'φ_flags' is not"),
        ],
    )
    def test_what_fits_cannot_hold_is_said_before_any_work(
        self, folder, tmp_path, capsys, column, options, message
    ):
        table = read_table(folder / "galaxies.ecsv")
        table[column] = ["Zoë 1" if column == "name" else "x"] + ["y"] * (N - 1)
        write_table(table, tmp_path / "in.ecsv")
        arguments = ["predict", str(tmp_path / "in.ecsv"), "--store", "not there"]
        output = str(tmp_path / "out.fits")
        assert main([*arguments, "-o", output, *options]) == 1
        assert message in capsys.readouterr().err
        assert [path.name for path in tmp_path.iterdir()] == ["in.ecsv"]

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            (["--ebv", "-3"], "'ebv' must be from -0.05 to 90 mag, got -3.0"),
            (["--ebv", "dust"], "no column 'dust' of E(B-V)"),
            (["--columns", "z"], "'columns' may hold"),
            (["--chunk", "0"], "'chunk' must be at least 1"),
        ],
    )
    def test_a_wrong_option_leaves_nothing_that_blocks_the_right_one(
        self, folder, tmp_path, capsys, wrong, message
    ):
        output = tmp_path / "out.ecsv"
        assert predict(folder, output, *wrong) == 1
        assert message in capsys.readouterr().err
        assert list(tmp_path.iterdir()) == []
        assert predict(folder, output, "--ebv", "0.03") == 0

    def test_rows_of_other_options_are_set_aside_and_the_command_goes_on(
        self, folder, tmp_path, capsys
    ):
        output = tmp_path / "out.ecsv"
        with broken_off(after=2):
            assert predict(folder, output, "--ebv", "0.3", "--chunk", "1") == 130
        capsys.readouterr()
        assert predict(folder, output, "--ebv", "0.03") == 0
        message = capsys.readouterr().err
        assert "ebv differ (there ebv = 0.3; now ebv = 0.03)" in message
        assert f"It is kept as {output}.rows.1" in message
        assert {path.name for path in tmp_path.iterdir()} == {
            "out.ecsv",
            "out.ecsv.rows.1",
        }

    def test_a_file_that_is_no_journal_is_not_touched(self, folder, tmp_path, capsys):
        output, other = tmp_path / "out.ecsv", tmp_path / "out.ecsv.rows"
        other.write_text("years of work")
        assert predict(folder, output) == 1
        assert "is not a journal of rows" in capsys.readouterr().err
        assert other.read_text() == "years of work"

    def test_a_typo_names_the_columns(self, folder, tmp_path, capsys):
        assert predict(folder, tmp_path / "o.ecsv", "--ra", "rra", "--dec", "dec") == 1
        assert "no column 'rra'; there are ra, dec, name" in capsys.readouterr().err

    def test_a_missing_table_is_named(self, tmp_path, capsys):
        assert main(["predict", "nothing.fits", "-o", str(tmp_path / "o.ecsv")]) == 1
        assert "mantis-astro: no file nothing.fits" in capsys.readouterr().err

    def test_a_table_without_positions_says_what_to_do(self, tmp_path, capsys):
        (tmp_path / "t.csv").write_text("a,b\n1,2\n")
        assert main(
            ["predict", str(tmp_path / "t.csv"), "-o", str(tmp_path / "o.ecsv")]
        )
        assert "name their columns with ra= and dec=" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("option", "message"),
        [
            ("--store", "no store at .*; 'mantis-astro fetch' makes"),
            ("--cutouts", "no folder"),
        ],
    )
    def test_a_source_that_is_not_there_is_named(
        self, folder, tmp_path, capsys, option, message
    ):
        arguments = [
            "predict",
            str(folder / "galaxies.ecsv"),
            option,
            str(tmp_path / "x"),
        ]
        assert main([*arguments, "-o", str(tmp_path / "o.ecsv")]) == 1
        assert re.search(message, capsys.readouterr().err)

    def test_an_unknown_model_lists_the_known(self, folder, tmp_path, capsys):
        assert predict(folder, tmp_path / "out.ecsv", "--model", "best") == 1
        assert "named models are simulated-early" in capsys.readouterr().err

    def test_a_band_without_images_leaves_no_store_behind(
        self, folder, tmp_path, capsys
    ):
        arguments = ["fetch", str(folder / "galaxies.ecsv"), "--bands", "decam_g"]
        assert main([*arguments, "--store", str(tmp_path / "store")]) == 1
        assert "has fluxes but no images" in capsys.readouterr().err
        assert not (tmp_path / "store").exists()

    def test_debug_shows_where(self, folder, tmp_path):
        with pytest.raises(KeyError, match="rra"):
            predict(folder, tmp_path / "o.ecsv", "--ra", "rra", "--dec", "d", "--debug")

    @pytest.mark.parametrize("arguments", [["predict"], ["nonsense"]])
    def test_wrong_usage_exits_2(self, arguments, capsys):
        with pytest.raises(SystemExit) as exit_:
            main(arguments)
        assert exit_.value.code == 2
        assert "usage: mantis-astro" in capsys.readouterr().err


class TestCatalogues:
    @pytest.fixture
    def catalogue(self, tmp_path):
        rows = Table({"RA": [10.0, 11.0], "DEC": [0.0, 1.0], "kind": ["a", "b"]})
        for band, mag in zip("grizy", (21.0, 20.0, 19.5, 19.2, 19.0), strict=True):
            rows[f"{band}KronMag"] = [mag, -999.0 if band == "y" else mag - 1]
            rows[f"{band}KronMagErr"] = [0.05, 0.05]
        path = tmp_path / "ps1.csv"
        rows.write(path)
        return path

    @pytest.mark.parametrize(
        "options",
        [
            ["--survey", "ps1"],
            [f"--band=ps1.{b}={b}KronMag,{b}KronMagErr" for b in "grizy"],
        ],
        ids=["survey", "bands"],
    )
    def test_predict_reads_the_table_of_a_survey(self, catalogue, tmp_path, options):
        output = tmp_path / "out.ecsv"
        arguments = ["predict", str(catalogue), "-o", str(output), "--ebv", "0.02"]
        assert main([*arguments, *options]) == 0
        table = read_table(output)
        assert {"gKronMag", "kind", "flux_ps1_g", "z_median"} <= set(table.colnames)
        assert table["flux_ps1_y"].mask.tolist() == [False, True]
        model = PhotoZ.from_pretrained(default_table_model())
        same = read_photometry(catalogue, survey="ps1")
        if "--survey" not in options:  # then nobody says that Kron fluxes are totals
            del same.meta["FLUXAPER"]
        expected = model.add_redshifts(same, ebv=0.02)
        np.testing.assert_allclose(table["z_median"], expected["z_median"])

    def test_what_was_understood_is_printed(self, catalogue, tmp_path, capsys):
        output = str(tmp_path / "out.ecsv")
        assert main(["predict", str(catalogue), "-o", output, "--survey", "ps1"]) == 0
        text = capsys.readouterr().err
        assert "Pan-STARRS1 DR2: gKronMag for ps1.g" in text
        assert "ps1.y: 1 of 2 not observed" in text

    def test_a_band_may_be_in_vega_magnitudes(self, catalogue, tmp_path):
        fluxes = []
        for more in ("", ",gKronMagErr,Vega"):
            output = str(tmp_path / f"out{more}.ecsv")
            options = [f"--band=wise_w1=gKronMag{more}", "--columns", "z_median"]
            assert main(["predict", str(catalogue), "-o", output, *options]) == 0
            fluxes.append(read_table(output)["flux_wise_w1"])
        offset = -2.5 * np.log10(fluxes[1] / fluxes[0])  # AB - Vega
        np.testing.assert_allclose(offset, 2.7, atol=0.05)

    def test_columns_of_a_survey_are_not_passed_over(self, catalogue, tmp_path, capsys):
        arguments = ["predict", str(catalogue), "-o", str(tmp_path / "out.ecsv")]
        assert main([*arguments, "--store", str(tmp_path / "none")]) == 1
        assert "magnitudes of ps1, which are not read: --su" in capsys.readouterr().err

    @pytest.mark.parametrize("command", ["evaluate", "nz"])
    def test_csv_has_no_pdf(self, catalogue, tmp_path, capsys, command):
        output = str(tmp_path / "out.csv")
        arguments = ["--survey", "ps1", "--columns", "z_median,flags,pz"]
        assert main(["predict", str(catalogue), "-o", output, *arguments]) == 0
        assert f"{output} has no place for pz" in capsys.readouterr().err
        assert main([command, output]) == 1
        assert "has redshifts without p(z)" in capsys.readouterr().err
        assert main([command, str(catalogue)]) == 1
        assert "'mantis-astro predict' writes it" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("option", "message"),
        [
            ("--survey=kids", "no catalogue of survey 'kids'"),
            ("--survey=sdss", "no columns of Sloan Digital Sky Survey"),
            ("--band=gKronMag", "'--band' must be such as decam_g=g_mag,g_mag_err"),
            ("--band=ps1.g=mag", "no column 'mag'"),
            ("--band=wise_w1=gKronMag,gKronMagErr,Vegan", "Vegan"),
        ],
    )
    def test_wrong_ones_are_told(self, catalogue, tmp_path, capsys, option, message):
        output = str(tmp_path / "out.ecsv")
        assert main(["predict", str(catalogue), "-o", output, option]) == 1
        assert message in capsys.readouterr().err

    def test_a_band_is_named_once(self, catalogue, tmp_path, capsys):
        bands = ["--band=ps1.g=gKronMag", "--band=ps1.g=rKronMag"]
        output = str(tmp_path / "out.ecsv")
        assert main(["predict", str(catalogue), "-o", output, *bands]) == 1
        assert "'--band' names the columns of ps1.g twice" in capsys.readouterr().err

    def test_shift_reads_both_tables(self, catalogue, tmp_path, capsys):
        arguments = ["--survey", "ps1", "--columns", "flux_ps1_g,flux_ps1_r"]
        rows = read_table(catalogue)
        many = Table({n: np.repeat(rows[n], 30) for n in rows.colnames})
        noise = np.random.default_rng(1).normal(0, 0.1, len(many))
        for name in ("gKronMag", "rKronMag"):
            many[name] = many[name] + noise
        path = tmp_path / "many.csv"
        many.write(path)
        assert main(["shift", str(path), "--reference", str(path), *arguments]) == 0
        printed = capsys.readouterr()
        assert (
            "No shift found: all tests together cannot tell the 60 targets"
            in printed.out
        )
        assert printed.err.count("gKronMag for ps1.g") == 2


class TestInterrupted:
    def test_ctrl_c_keeps_finished_rows_and_exits_130(self, folder, tmp_path, capsys):
        output = tmp_path / "out.ecsv"
        with broken_off(after=4):
            assert predict(folder, output, "--chunk", "2") == 130
        assert "finished rows are in" in capsys.readouterr().err
        assert not output.exists()
        assert predict(folder, output) == 0
        assert f"4 of {N} rows were finished before" in capsys.readouterr().err
        predict(folder, tmp_path / "whole.ecsv")
        np.testing.assert_array_equal(
            read_table(output)["pz"], read_table(tmp_path / "whole.ecsv")["pz"]
        )
        assert [p.name for p in tmp_path.glob("*.rows")] == []

    def test_a_killed_run_resumes_with_the_same_numbers(self, folder, tmp_path):
        table = read_table(folder / "galaxies.ecsv")
        table = table[np.arange(60) % N]  # long enough to be killed midway
        write_table(table, tmp_path / "many.ecsv")
        output, rows = tmp_path / "out.ecsv", tmp_path / "out.ecsv.rows"
        command = [sys.executable, "-m", "mantis_astro", "predict"]
        command += [str(tmp_path / "many.ecsv"), "--cutouts", str(folder / "cutouts")]
        command += ["-o", str(output), "--chunk", "2", "--quiet"]
        process = subprocess.Popen(command)
        deadline = time.monotonic() + 120
        while not (rows.exists() and rows.stat().st_size > 4000):
            assert process.poll() is None, "it finished before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not output.exists()
        assert main(command[3:]) == 0
        output = read_table(output)
        predict(folder, tmp_path / "few.ecsv")
        few = read_table(tmp_path / "few.ecsv")
        np.testing.assert_array_equal(output["pz"], few["pz"][np.arange(60) % N])
        assert not rows.exists()


@pytest.fixture
def predicted(tmp_path):
    """A table as predict writes it, of Gaussians around true redshifts."""
    rng = np.random.default_rng(0)
    z_spec = rng.uniform(0.2, 0.8, 400)
    z = z_spec + rng.normal(0, 0.03, 400)
    pdf = RedshiftPDF.from_gaussians(np.linspace(0, 1, 101), z, np.full(400, 0.03))
    table = pdf.to_table()
    table["z_spec"] = z_spec
    table["mag"] = rng.uniform(15, 20, 400)
    write_table(table, tmp_path / "predicted.fits")
    return tmp_path / "predicted.fits"


def test_evaluate_prints_the_metrics(predicted, capsys):
    assert main(["evaluate", str(predicted)]) == 0
    out = capsys.readouterr().out
    assert "400" in out
    assert "sigma_nmad" in out


def test_evaluate_in_bins_writes_a_table(predicted, tmp_path, capsys):
    output = tmp_path / "metrics.ecsv"
    arguments = ["--by", "mag", "--bins", "4", "-o", str(output)]
    assert main(["evaluate", str(predicted), *arguments]) == 0
    table = read_table(output)
    assert len(table) == 5
    assert table["n"].tolist() == [400, 100, 100, 100, 100]
    assert "outlier_fraction_015" in table.colnames


def test_evaluate_without_true_redshifts_names_the_columns(predicted, capsys):
    assert main(["evaluate", str(predicted), "--z-spec", "zspec"]) == 1
    assert "no column 'zspec'; there are z_mean" in capsys.readouterr().err


def test_models_lists_and_describes(capsys):
    assert main(["models"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert {"simulated-early", "mantis-shrimp-early"} <= set(names)
    assert main(["models", "mantis-shrimp-early"]) == 0
    out = capsys.readouterr().out
    assert "400 bins, 0 to 1.6" in out
    assert "galex.NUV, galex.FUV, ps1.g" in out


def test_models_describes_a_file(capsys):
    assert main(["models", str(embedded_file("simulated-photometric"))]) == 0
    assert "400 bins, 0 to 1.6" in capsys.readouterr().out


def test_demo_tells_the_truth_beside_what_it_finds(tmp_path, capsys):
    from mantis_astro import SimulatedSky
    from mantis_astro.simulation import DEFAULT_MIX

    assert main(["demo", "--output", str(tmp_path), "-n", "2"]) == 0
    assert "of 2 true redshifts lie within" in capsys.readouterr().out
    table = read_table(tmp_path / "redshifts.ecsv")
    bright = tuple(s for s in DEFAULT_MIX if s.name in ("main", "bgs", "lrg"))
    sky = SimulatedSky(seed=2, donors="test", mix=bright)
    np.testing.assert_allclose(table["z_spec"], sky.redshift(_coords(table)))
    assert not (table["flags"] & (Flag.NO_DATA | Flag.FETCH_FAILED)).any()
    pictures = {path.name for path in tmp_path.glob("*.png")}
    assert pictures == {"cutouts.png", "pdf.png", "redshifts.png"}
    assert main(["demo", "--output", str(tmp_path), "-n", "1"]) == 0  # its own files


@pytest.mark.parametrize("name", ["galaxies.ecsv", "pdf.png"])
def test_demo_replaces_nothing_but_its_own_files(tmp_path, capsys, name):
    (tmp_path / name).write_text("# my own\nra dec\n1 2\n")
    assert main(["demo", "--output", str(tmp_path), "-n", "1"]) == 1
    assert f"{name} is not of an earlier demonstration" in capsys.readouterr().err
    assert (tmp_path / name).read_text() == "# my own\nra dec\n1 2\n"
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_plot_of_shift_is_replaced_only_when_asked(folder, tmp_path, capsys):
    plot = tmp_path / "shift.png"
    plot.write_text("my own")
    galaxies = str(folder / "galaxies.ecsv")
    arguments = ["shift", galaxies, "--reference", galaxies, "--plot", str(plot)]
    assert main(arguments) == 1
    assert "exists; --overwrite replaces it" in capsys.readouterr().err
    assert plot.read_text() == "my own"


def test_files_lists_what_could_be_fetched(capsys):
    assert main(["files"]) == 0
    assert "mantis-shrimp-early" in capsys.readouterr().out


def test_fetching_no_file_asks_which(capsys):
    assert main(["files", "fetch"]) == 1
    assert "name the files to fetch" in capsys.readouterr().err


def test_flags_takes_a_name(capsys):
    assert main(["flags", "missing_ps1"]) == 0
    assert capsys.readouterr().out.startswith("MISSING_PS1  At least one PS1 band")
    assert main(["flags", "MISSING_PS2"]) == 1
    assert (
        "'MISSING_PS2' is neither a file nor a number: no flag"
        in capsys.readouterr().err
    )
    assert main(["flags", str(1 + (1 << 30))]) == 1
    assert "has bits that are no flag: 1073741824" in capsys.readouterr().err


def test_flags_spells_out_a_value_and_lists_all(capsys):
    assert main(["flags", str(int(Flag.BAD_WCS | Flag.BROAD))]) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines()] == ["BROAD", "BAD_WCS"]
    assert main(["flags"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(Flag)


def test_version_names_the_packages_that_matter(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["--version"])
    assert exit_.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith("mantis-astro ")
    assert "torch" in out


class TestAgainstALocalSky:
    @pytest.fixture
    def sky(self):
        from mantis_astro.services import conf
        from mantis_astro.simulation.server import LocalSky

        with LocalSky(seed=3) as sky, sky.configure(conf):
            yield sky

    def test_fetch_fills_a_store_that_predict_reads(
        self, sky, folder, tmp_path, capsys
    ):
        galaxies, store = str(folder / "galaxies.ecsv"), str(tmp_path / "store")
        report = str(tmp_path / "report.ecsv")
        arguments = ["--store", store, "--key", "name", "--report", report]
        assert main(["fetch", galaxies, *arguments]) == 0
        assert f"{9 * N} ok" in capsys.readouterr().out
        assert len(read_table(report)) == 9 * N
        n_requests = len(sky.requests)
        output = str(tmp_path / "out.ecsv")
        assert main(["predict", galaxies, "--store", store, "-o", output]) == 0
        assert len(sky.requests) == n_requests
        flags = read_table(output)["flags"]
        assert not (flags & (Flag.NO_DATA | Flag.MISSING_GALEX | Flag.BAD_WCS)).any()

    @pytest.mark.parametrize(
        ("source", "match"),
        [
            ("unwise", "'--source' must be such as ps1=tiles, got 'unwise'"),
            ("unwise=tile", "no service 'tile' for unWISE.* no such folder"),
            ("unwise=tiles", "no tiles of unWISE are known"),
        ],
    )
    def test_a_source_that_is_none_leaves_no_store(
        self, sky, folder, tmp_path, capsys, source, match
    ):
        galaxies, store = str(folder / "galaxies.ecsv"), tmp_path / "store"
        assert main(["fetch", galaxies, "--store", str(store), "--source", source]) == 1
        assert re.search(match, capsys.readouterr().err)
        assert not store.exists()

    def test_what_the_tiles_of_a_table_do_not_give_comes_from_the_usual_server(
        self, sky, tmp_path, capsys
    ):
        tiles = QTable({"ra": [150.1], "dec": [2.2], "band": ["W1"]})
        tiles["url"] = str(tmp_path / "is_not_there.fits")
        write_table(tiles, tmp_path / "tiles.ecsv")
        write_table(tiles["ra", "dec"], tmp_path / "one.ecsv")
        arguments = ["--store", str(tmp_path / "s"), "--bands", "unwise.W1"]
        arguments += ["--source", f"unwise={tmp_path / 'tiles.ecsv'}"]
        assert main(["fetch", str(tmp_path / "one.ecsv"), *arguments]) == 0
        assert capsys.readouterr().out == "1 ok\n"
        assert sky.count("layer=unwise") == 1

    def test_predict_fetches_on_the_fly_with_the_same_answer(
        self, sky, folder, tmp_path
    ):
        galaxies, store = str(folder / "galaxies.ecsv"), str(tmp_path / "store")
        fly, kept = str(tmp_path / "fly.ecsv"), str(tmp_path / "kept.ecsv")
        assert main(["predict", galaxies, "-o", fly]) == 0
        main(["fetch", galaxies, "--store", store])
        main(["predict", galaxies, "--store", store, "-o", kept])
        np.testing.assert_array_equal(read_table(fly)["pz"], read_table(kept)["pz"])

    def test_an_existing_store_is_added_to_only_when_asked(
        self, sky, folder, tmp_path, capsys
    ):
        galaxies, store = str(folder / "galaxies.ecsv"), str(tmp_path / "store")
        arguments = ["fetch", galaxies, "--store", store, "--bands", "galex.NUV"]
        assert main(arguments) == 0
        n_requests = len(sky.requests)
        table = read_table(galaxies)
        table["dec"] += 1
        others = str(tmp_path / "others.ecsv")
        write_table(table, others)
        arguments[1] = others
        assert main(arguments) == 1
        assert "with other objects: --resume adds" in capsys.readouterr().err
        assert len(sky.requests) == n_requests
        assert main([*arguments, "--resume"]) == 0
        assert len(sky.requests) > n_requests

    @pytest.mark.parametrize("key", [[], ["--key", "name"]])
    def test_the_same_command_goes_on(self, sky, folder, tmp_path, key):
        galaxies, store = str(folder / "galaxies.ecsv"), str(tmp_path / "store")
        arguments = ["fetch", galaxies, "--store", store, "--bands", "galex.NUV", *key]
        arguments += ["--report", str(tmp_path / "report.ecsv")]
        assert main(arguments) == 0
        n_requests = len(sky.requests)
        assert main(arguments) == 0
        assert len(sky.requests) == n_requests  # nothing was lacking

    def test_what_failed_exits_3_and_is_fetched_the_next_time(
        self, sky, folder, tmp_path, capsys
    ):
        from mantis_astro.services import conf
        from mantis_astro.simulation.server import Fault

        galaxies, store = str(folder / "galaxies.ecsv"), str(tmp_path / "store")
        arguments = ["fetch", galaxies, "--store", store, "--bands", "unwise.W1"]
        sky.faults = [Fault(503)]
        with conf.set_temp("retries", 0):
            assert main(arguments) == 3
        assert f"{N} failed" in capsys.readouterr().out
        sky.faults = []
        assert main(arguments) == 0
        assert f"{N} ok" in capsys.readouterr().out

    def test_failures_are_asked_again_in_the_same_run_when_wanted(
        self, sky, folder, tmp_path, capsys
    ):
        from mantis_astro.services import conf
        from mantis_astro.simulation.server import Fault

        galaxies, store = str(folder / "galaxies.ecsv"), str(tmp_path / "store")
        arguments = ["fetch", galaxies, "--store", store, "--bands", "unwise.W1"]
        sky.faults = [Fault(503, attempts=[0])]
        report = str(tmp_path / "report.ecsv")
        arguments += ["--key", "name", "--report", report, "--retry-failed"]
        with conf.set_temp("retries", 0):
            assert main(arguments) == 0
        captured = capsys.readouterr()
        assert f"asking again for {N} bands that failed" in captured.err
        assert captured.out == f"{N} ok\n"
        assert list(read_table(report)["Status"]) == ["ok"] * N

    def test_what_is_asked_again_does_not_hide_what_came_at_once(
        self, sky, folder, tmp_path, capsys
    ):
        from mantis_astro.services import conf
        from mantis_astro.simulation.server import Fault

        galaxies, store = str(folder / "galaxies.ecsv"), str(tmp_path / "store")
        report = str(tmp_path / "report.ecsv")
        bands = ["--bands", "galex.NUV, unwise.W1"]  # blanks do no harm
        sky.faults = [Fault(503, match="unwise", attempts=[0])]
        with conf.set_temp("retries", 0):
            main(
                [
                    "fetch",
                    galaxies,
                    "--store",
                    store,
                    *bands,
                    "--report",
                    report,
                    "--retry-failed",
                ]
            )
        assert capsys.readouterr().out == f"{2 * N} ok\n"
        assert list(read_table(report)["Status"]) == ["ok"] * (2 * N)

    @pytest.mark.parametrize(
        ("option", "message"),
        [
            (["--bands", "ps1.q"], "no band 'ps1.q'; there are"),
            (["--key", "nmae"], "no column 'nmae'; there are ra, dec, name"),
            (["--key", "survey"], "key 'SDSS' names rows 0 and 1, which are"),
            (["--key", "nickname"], "row 1 has no name in column 'nickname'"),
        ],
    )
    def test_a_wrong_call_leaves_no_store_behind(
        self, folder, tmp_path, capsys, option, message
    ):
        store, galaxies = tmp_path / "store", str(tmp_path / "named.ecsv")
        table = read_table(folder / "galaxies.ecsv")
        if "survey" in option or "nickname" in option:
            table["survey"] = "SDSS"
            table["nickname"] = np.ma.array(["x"] * N, mask=np.arange(N) == 1)
        write_table(table, galaxies)
        assert main(["fetch", galaxies, "--store", str(store), *option]) == 1
        assert message in capsys.readouterr().err
        assert not store.exists()


@pytest.mark.real_data
def test_five_real_bands_through_the_command(real_data, tmp_path):
    (tmp_path / "quasar.csv").write_text("name,ra,dec\nJ0028,7.09390,-10.65098\n")
    output = tmp_path / "out.ecsv"
    arguments = [
        "--cutouts",
        str(real_data / "images" / "ps1_j0028"),
        "-o",
        str(output),
    ]
    assert main(["predict", str(tmp_path / "quasar.csv"), *arguments]) == 0
    [row] = read_table(output)
    assert row["name"] == "J0028"
    for flag in (Flag.MISSING_GALEX, Flag.MISSING_UNWISE, Flag.EBV_ASSUMED):
        assert row["flags"] & flag
    assert not row["flags"] & (Flag.NO_DATA | Flag.MISSING_PS1 | Flag.BAD_WCS)


@pytest.fixture
def plug_in(tmp_path, monkeypatch):
    """Make an installed package that adds commands: name to module text."""

    def install(commands):
        info = tmp_path / "plugged-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged\n")
        lines = ["[mantis_astro.commands]"]
        for name, text in commands.items():
            (tmp_path / f"plugged_{name}.py").write_text(text)
            lines.append(f"{name} = plugged_{name}")
        (info / "entry_points.txt").write_text("\n".join(lines))
        monkeypatch.syspath_prepend(tmp_path)

    return install


def test_another_package_adds_a_command(plug_in, capsys):
    plug_in(
        {
            "greet": "SUMMARY = 'Greet somebody.'\n"
            "def add_arguments(sub): sub.add_argument('name')\n"
            "def run(options): print('hello', options.name)\n"
        }
    )
    assert main(["greet", "Vera"]) == 0
    assert capsys.readouterr().out == "hello Vera\n"


def test_a_broken_plug_in_stops_no_other_command(plug_in, caplog, capsys):
    plug_in({"broken": "1 / 0", "flags": "SUMMARY = 'not ours'"})
    assert main(["flags", "1"]) == 0
    assert "NO_DATA" in capsys.readouterr().out
    assert "the command 'broken' is broken: division by zero" in caplog.text
    assert "command 'flags' exists already" in caplog.text
