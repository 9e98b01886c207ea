"""One table, on several processes of one machine."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from astropy.table import Table

from mantis_astro import Flag, PhotoZ
from mantis_astro.cli import main
from mantis_astro.exceptions import InputSpecError, MantisError
from mantis_astro.scale import ModelReference, predict_file
from mantis_astro.scale.processes import run_tasks
from mantis_astro.scale.row_predictor import PartitionError
from mantis_astro.tables import read_table, write_table

from .conftest import MODEL, as_table

pytestmark = pytest.mark.filterwarnings(
    "ignore::mantis_astro.exceptions.OutOfDistributionWarning"
)


@pytest.fixture
def small_pieces(monkeypatch):
    """Pieces of 20 rows, so that there are several."""
    monkeypatch.setattr("mantis_astro.tables.pieces._FEWEST_ROWS", 20)


def check_same(found, expected):
    """The same columns, to the bit, in both masks and numbers."""
    assert found.colnames == expected.colnames
    for name in expected.colnames:
        ours, theirs = found[name], expected[name]
        mask = np.ma.getmaskarray(np.ma.asarray(getattr(ours, "value", ours)))
        there = np.ma.getmaskarray(np.ma.asarray(getattr(theirs, "value", theirs)))
        np.testing.assert_array_equal(mask, there, name)
        ours, theirs = (np.ma.getdata(getattr(x, "value", x)) for x in (ours, theirs))
        np.testing.assert_array_equal(ours[~mask], theirs[~mask], name)


@pytest.mark.parametrize("ending", ["fits", "parquet", "csv", "ecsv"])
def test_pieces_give_the_file_that_the_whole_table_gives(
    galaxies, photoz, tmp_path, ending, monkeypatch
):
    monkeypatch.setattr("mantis_astro.tables.pieces._FEWEST_ROWS", 40)  # of 90
    path = tmp_path / f"galaxies.{ending}"
    write_table(as_table(galaxies), path)
    whole, pieces = tmp_path / f"whole.{ending}", tmp_path / f"pieces.{ending}"
    write_table(photoz.add_redshifts(read_table(path)), whole)
    assert predict_file(path, MODEL, pieces) == 0
    check_same(read_table(pieces), read_table(whole))
    assert read_table(pieces).meta == read_table(whole).meta
    assert not (tmp_path / f"pieces.{ending}.parts").exists()


@pytest.mark.usefixtures("small_pieces")
def test_a_table_in_memory(galaxies, expected, tmp_path):
    table = as_table(galaxies)
    predict_file(table, MODEL, tmp_path / "out.parquet")
    check_same(read_table(tmp_path / "out.parquet"), expected)
    assert table.colnames == list(galaxies)


@pytest.mark.usefixtures("small_pieces")
def test_the_sample_is_judged_as_a_whole(expected, galaxies, tmp_path):
    has_data = (expected["flags"] & Flag.NO_DATA) == 0
    assert (expected["flags"][has_data] & Flag.OOD_DOMAIN).all()  # random colours
    predict_file(as_table(galaxies), MODEL, tmp_path / "out.fits", columns=["flags"])
    table = read_table(tmp_path / "out.fits")
    assert table.colnames == [*galaxies, "flags"]
    np.testing.assert_array_equal(table["flags"], expected["flags"])


@pytest.mark.parametrize("n", [0, 1])
def test_no_row_and_one_row(galaxies, expected, tmp_path, n):
    predict_file(as_table(galaxies)[:n], MODEL, tmp_path / "out.fits")
    table = read_table(tmp_path / "out.fits")
    assert len(table) == n
    assert set(expected.colnames) == set(table.colnames)


def test_rows_without_any_flux_are_flagged(galaxies, tmp_path):
    columns = {
        name: np.full_like(values, np.nan) if name.startswith("flux") else values
        for name, values in galaxies.items()
    }
    predict_file(as_table(columns), MODEL, tmp_path / "out.fits")
    table = read_table(tmp_path / "out.fits")
    assert (table["flags"] & Flag.NO_DATA).all()
    assert table["z_median"].mask.all()


class BrokenOffError(Exception):
    pass


@pytest.mark.usefixtures("small_pieces")
def test_a_run_goes_on_where_it_stopped(
    galaxies, expected, tmp_path, monkeypatch, caplog
):
    table, output = as_table(galaxies), tmp_path / "out.fits"
    asked = _count_rows(monkeypatch, stop_after=2)
    with pytest.raises(BrokenOffError):
        predict_file(table, MODEL, output)
    assert asked == [20, 20]
    assert not output.exists()
    asked = _count_rows(monkeypatch)
    with caplog.at_level("INFO"):
        predict_file(table, MODEL, output)
    assert asked == [20, 20, 10]
    assert "40 of 90 rows were finished before" in caplog.text
    check_same(read_table(output), expected)


@pytest.mark.usefixtures("small_pieces")
def test_rows_that_were_changed_since_are_computed_again(
    galaxies, photoz, tmp_path, monkeypatch
):
    table, output = as_table(galaxies), tmp_path / "out.fits"
    _count_rows(monkeypatch, stop_after=2)
    with pytest.raises(BrokenOffError):
        predict_file(table, MODEL, output)
    table["flux_ps1_g"][3] *= 2
    asked = _count_rows(monkeypatch)
    predict_file(table, MODEL, output)
    assert asked == [20, 20, 20, 10]  # all but the second piece
    check_same(read_table(output), photoz.add_redshifts(table))


@pytest.mark.usefixtures("small_pieces")
def test_rows_in_another_unit_are_computed_again(galaxies, tmp_path, monkeypatch):
    table = Table(as_table(galaxies))
    _count_rows(monkeypatch, stop_after=2)
    with pytest.raises(BrokenOffError):
        predict_file(table, MODEL, tmp_path / "out.fits")
    for name in table.colnames:
        if name.startswith("flux"):
            table[name].unit = "uJy"
    asked = _count_rows(monkeypatch)
    predict_file(table, MODEL, tmp_path / "out.fits")
    assert asked == [20, 20, 20, 20, 10]


def test_a_file_of_weights_that_was_written_anew(tmp_path):
    path = tmp_path / "mine.safetensors"
    for name in (MODEL, "any-band"):
        PhotoZ.from_pretrained(name).save(path)
        assert ModelReference.of(path).load().card.name == name


def _count_rows(monkeypatch, stop_after=np.inf):
    from mantis_astro import redshift_table

    monkeypatch.undo()
    whole, asked = redshift_table.add_redshifts, []

    def add_redshifts(predictor, table, *arguments, **options):
        if len(asked) >= stop_after:
            raise BrokenOffError
        asked.append(len(table))
        return whole(predictor, table, *arguments, **options)

    monkeypatch.setattr("mantis_astro.tables.pieces._FEWEST_ROWS", 20)
    monkeypatch.setattr(
        "mantis_astro.scale.table_file.redshift_table.add_redshifts", add_redshifts
    )
    return asked


@pytest.mark.usefixtures("small_pieces")
def test_a_run_of_another_model_is_not_mixed_in(galaxies, tmp_path, monkeypatch):
    table, output = as_table(galaxies), tmp_path / "out.fits"
    _count_rows(monkeypatch, stop_after=1)
    with pytest.raises(BrokenOffError):
        predict_file(table, MODEL, output)
    with pytest.raises(MantisError, match=f"another run: model was {MODEL} .*any-band"):
        predict_file(table, "any-band", output)


class TestRefusals:
    def test_a_target_that_exists(self, galaxies, tmp_path):
        output = tmp_path / "out.fits"
        output.write_text("mine")
        with pytest.raises(FileExistsError, match="exists"):
            predict_file(as_table(galaxies), MODEL, output)
        assert output.read_text() == "mine"
        predict_file(as_table(galaxies), MODEL, output, overwrite=True)
        assert len(read_table(output)) == len(galaxies["id"])

    def test_a_target_that_cannot_be_written(self, galaxies, tmp_path):
        with pytest.raises(OSError, match="cannot write to"):
            predict_file(as_table(galaxies), MODEL, tmp_path / "nowhere" / "out.fits")

    def test_images_without_a_source_on_several_processes(self, galaxies, tmp_path):
        table = as_table(galaxies)
        with pytest.raises(InputSpecError, match="fetched before"):
            predict_file(table, "simulated-early", tmp_path / "out.fits", workers=2)

    def test_no_process(self, galaxies, tmp_path):
        with pytest.raises(ValueError, match="'workers' must be at least 1, got 0"):
            predict_file(as_table(galaxies), MODEL, tmp_path / "a.fits", workers=0)

    def test_a_column_that_is_not_there(self, galaxies, tmp_path):
        with pytest.raises(KeyError, match="no column 'dust'"):
            predict_file(as_table(galaxies), MODEL, tmp_path / "a.fits", ebv="dust")


class TestModelReference:
    def test_of_a_model_by_its_name(self, photoz):
        assert ModelReference.of(photoz) == ModelReference.of(MODEL)

    def test_of_a_model_that_was_changed(self, photoz, tmp_path):
        changed = photoz.with_recalibration(None)
        with pytest.raises(InputSpecError, match="photoz.save"):
            ModelReference.of(changed)
        changed.save(tmp_path / "mine.safetensors")
        reference = ModelReference.of(tmp_path / "mine.safetensors")
        assert reference.load().recalibrator is None

    def test_another_file_than_the_run_began_with(self, photoz):
        other = ModelReference(MODEL, "0" * 64)
        with pytest.raises(InputSpecError, match="are others here"):
            other.load()

    def test_a_process_loads_once(self):
        assert ModelReference.of(MODEL).load() is ModelReference.of(MODEL).load()

    def test_each_worker_has_a_gpu_of_its_own(self, monkeypatch):
        from mantis_astro.scale import model_reference

        monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
        found = []
        for name in ("SpawnProcess-1", "SpawnProcess-2", "SpawnProcess-3"):
            monkeypatch.setattr(multiprocessing.current_process(), "_name", name)
            found.append(model_reference._own_device("cuda"))
        assert found == ["cuda:1", "cuda:0", "cuda:1"]


def test_the_command(galaxies, expected, tmp_path):
    write_table(as_table(galaxies), tmp_path / "in.parquet")
    files = [str(tmp_path / name) for name in ("in.parquet", "out.parquet")]
    options = ["--model", MODEL, "--workers", "1", "--quiet", "-o"]
    assert main(["predict", files[0], *options, files[1]]) == 0
    check_same(read_table(files[1]), expected)


def test_the_command_sets_a_run_of_another_model_aside(galaxies, tmp_path, capsys):
    write_table(as_table(galaxies), tmp_path / "in.fits")
    parts = tmp_path / "out.fits.parts"
    parts.mkdir()
    record = '{"finished": false, "identity": {"model": "another"}}'
    (parts / "mantis_run.json").write_text(record)
    arguments = ["predict", str(tmp_path / "in.fits"), "--model", MODEL]
    arguments += ["--workers", "1", "-o", str(tmp_path / "out.fits")]
    assert main(arguments) == 0
    assert "It is kept as" in capsys.readouterr().err
    assert (tmp_path / "out.fits.parts.1" / "mantis_run.json").read_text() == record


def test_the_command_needs_files(galaxies, tmp_path, capsys):
    assert main(["predict", "-", "--workers", "2", "-o", "out.fits"]) == 1
    assert "--workers needs files" in capsys.readouterr().err


def _kill_at_first(path):
    """A task whose process is killed the first time."""
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return path.name


def _kill_always(path):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.timeout(1200)  # processes begin with importing torch
def test_a_process_that_is_killed_is_replaced(tmp_path):
    tasks = [(name, (tmp_path / name,)) for name in "abc"]
    found = [
        result for result, _ in run_tasks(_kill_at_first, tasks, workers=2, tries=4)
    ]
    assert sorted(found) == ["a", "b", "c"]


@pytest.mark.slow
@pytest.mark.timeout(1200)  # processes begin with importing torch
def test_a_task_that_kills_each_time_is_named(tmp_path):
    tasks = [("rows 0 to 9", (tmp_path / "a",))]
    with pytest.raises(PartitionError, match="killed 2 times at rows 0 to 9"):
        list(run_tasks(_kill_always, tasks, workers=2, tries=2))


@pytest.mark.slow
@pytest.mark.timeout(1200)  # processes begin with importing torch
def test_two_processes_killed_and_started_again(galaxies, expected, tmp_path):
    write_table(as_table(galaxies), tmp_path / "in.fits")
    command = [sys.executable, "-m", "mantis_astro", "predict", tmp_path / "in.fits"]
    command += ["--model", MODEL, "--workers", "2", "-o", tmp_path / "out.fits"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    parts = tmp_path / "out.fits.parts"
    for _ in range(1200):
        if process.poll() is not None or len(list(parts.glob("*.npz"))) >= 1:
            break
        time.sleep(0.05)
    process.kill()
    process.wait()
    subprocess.run([*command, "--overwrite"], check=True, stderr=subprocess.DEVNULL)
    check_same(read_table(tmp_path / "out.fits"), expected)
