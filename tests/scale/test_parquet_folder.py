"""Folders of Parquet, predicted file by file."""

import os

import numpy as np
import pytest

from mantis_astro.exceptions import InputSpecError, MantisError

dask = pytest.importorskip("dask")
pd = pytest.importorskip("pandas")

from pyarrow import parquet  # noqa: E402

from mantis_astro.scale import frame_to_pdf, predict_parquet  # noqa: E402

from .conftest import MODEL, check_rows, counting  # noqa: E402

ADD_REDSHIFTS = "mantis_astro.scale.row_predictor.redshift_table.add_redshifts"


@pytest.fixture
def folder(galaxies, tmp_path):
    """Three files, of few rows each."""
    frame = pd.DataFrame(galaxies)
    for k in range(3):
        path = tmp_path / "in" / f"part{k}.parquet"
        path.parent.mkdir(exist_ok=True)
        frame[3 * k : 3 * (k + 1)].to_parquet(path, index=False)
    return tmp_path / "in"


def test_answers_are_those_of_one_table(folder, expected, tmp_path):
    paths = predict_parquet(folder, MODEL, tmp_path / "out")
    assert [path.name for path in paths] == [f"part{k}.parquet" for k in range(3)]
    found = pd.concat(
        [pd.read_parquet(path, dtype_backend="pyarrow") for path in paths]
    )
    check_rows(found, expected)


def test_p_of_z_are_read_again(folder, expected, tmp_path):
    [path, *_] = predict_parquet(folder, MODEL, tmp_path / "out", densities="bins")
    pdf = frame_to_pdf(parquet.read_table(path))
    known = ~expected["z_median"].mask[:3]
    np.testing.assert_array_equal(
        pdf.probability[known], np.asarray(expected["pz"][:3][known])
    )


def test_a_run_goes_on_where_it_stopped(folder, tmp_path, monkeypatch):
    there = len(break_off(folder, tmp_path / "out", monkeypatch))
    asked = []
    monkeypatch.setattr(ADD_REDSHIFTS, counting(asked))
    predict_parquet(folder, MODEL, tmp_path / "out")
    assert len(asked) == 3 - there


def test_a_file_that_lacks_a_column(folder, tmp_path):
    path = folder / "part1.parquet"
    content = parquet.read_table(path)
    parquet.write_table(content.drop_columns(["flux_ps1_g"]), path)
    with pytest.raises(InputSpecError, match=r"part1.*it has no flux_ps1_g"):
        predict_parquet(folder, MODEL, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_without_rows(folder, tmp_path):
    path = folder / "part1.parquet"
    parquet.write_table(parquet.read_table(path)[:0], path)
    paths = predict_parquet(folder, MODEL, tmp_path / "out")
    first, none, _ = map(parquet.read_table, paths)
    assert len(none) == 0
    assert none.schema.types == first.schema.types


def test_a_folder_without_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file \*.parquet"):
        predict_parquet(tmp_path / "in", MODEL, tmp_path / "out")


def break_off(folder, output, monkeypatch, **options):
    """A run that dies after some of the files; the files that it finished."""
    with monkeypatch.context() as patch, dask.config.set(scheduler="synchronous"):
        patch.setattr(ADD_REDSHIFTS, counting([], stop_after=1))
        with pytest.raises(MantisError, match="broken off"):
            predict_parquet(folder, MODEL, output, tries=1, **options)
    return sorted(output.glob("*.parquet"))


def test_files_of_a_run_that_is_replaced_are_not_taken_for_finished(
    folder, tmp_path, monkeypatch
):
    output = tmp_path / "out"
    predict_parquet(folder, MODEL, output)
    (output / "part0.parquet").rename(output / "old.parquet")
    there = break_off(folder, output, monkeypatch, prefix="new_", overwrite=True)
    assert len(there) < 3
    paths = predict_parquet(folder, MODEL, output, prefix="new_")
    assert sorted(output.glob("*.parquet")) == paths
    assert all("new_flags" in parquet.read_schema(path).names for path in paths)


def test_a_file_that_was_changed_since_is_another_run(folder, tmp_path, monkeypatch):
    there, *_ = break_off(folder, tmp_path / "out", monkeypatch)
    os.utime(folder / there.name, (0, 0))
    with pytest.raises(MantisError, match="another run: their sizes and times was"):
        predict_parquet(folder, MODEL, tmp_path / "out")


@pytest.mark.parametrize("output", [".", "out", ".."])
def test_what_is_read_is_not_written_over(folder, output):
    with pytest.raises(InputSpecError, match="'output' must be beside"):
        predict_parquet(folder, MODEL, folder / output, overwrite=True)
    assert len(list(folder.glob("*.parquet"))) == 3


def test_workers_may_be_in_another_folder(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    [path, *_] = predict_parquet("in", MODEL, "out", densities="none")
    assert path == tmp_path / "out" / "part0.parquet"
