import io
import os
import sys
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import MaskedColumn, QTable

from mantis_astro.tables import check_writable, read_table, write_table

KEEP_ALL = ["ecsv", "fits", "parquet"]
FLAT = ["csv", "vot"]


@pytest.fixture
def table():
    table = QTable(
        {
            "name": ["a", "b"],
            "position": SkyCoord([1, 2], [3, 4], unit="deg"),
            "size": [1.5, 2.5] * u.arcsec,
            "n": MaskedColumn([1, 2], mask=[True, False]),
            "pz": np.array([[0.25, 0.75], [0.5, 0.5]], np.float32),
        },
        meta={"FIELD": "Stripe 82", "EDGES": [0.0, 0.5, 1.0], "long_key_of_mine": 3},
    )
    table["size"].info.description = "half-light radius"
    return table


@pytest.mark.parametrize("ending", KEEP_ALL)
def test_these_formats_keep_everything(table, tmp_path, ending):
    path = tmp_path / f"t.{ending}"
    write_table(table, path)
    back = read_table(path)
    assert back.colnames == table.colnames
    assert list(back["name"]) == ["a", "b"]
    assert back["position"].separation(table["position"]).max() < 1e-9 * u.arcsec
    assert (back["size"] == table["size"]).all()
    assert back["size"].info.description == "half-light radius"
    assert back["n"].mask.tolist() == [True, False]
    np.testing.assert_array_equal(back["pz"], table["pz"])
    assert back["pz"].dtype.newbyteorder("=") == np.float32
    assert back.meta["FIELD"] == "Stripe 82"
    assert back.meta["EDGES"] == [0.0, 0.5, 1.0]
    assert back.meta["long_key_of_mine"] == 3


def test_fits_writes_nested_meta_as_text(table, tmp_path):
    table.meta["NESTED"] = {"a": [1, 2]}
    write_table(table, tmp_path / "t.fits")
    assert read_table(tmp_path / "t.fits").meta["NESTED"] == '{"a": [1, 2]}'
    assert table.meta["NESTED"] == {"a": [1, 2]}


@pytest.mark.parametrize("ending", FLAT)
def test_flat_formats_say_what_they_leave_out_and_where_it_is(
    table, tmp_path, ending, caplog
):
    path = tmp_path / f"t.{ending}"
    write_table(table, path)
    back = read_table(path)
    assert back.colnames == ["name", "ra", "dec", "size", "n"]
    np.testing.assert_allclose(u.Quantity(back["dec"]).value, [3, 4])
    assert "leaves out pz and the meta" in caplog.text
    header = read_table(tmp_path / f"t.{ending}.meta.ecsv")
    assert len(header) == 0
    assert header.meta["EDGES"] == [0.0, 0.5, 1.0]
    assert header["size"].unit == u.arcsec


def test_flat_formats_do_not_overwrite_the_user_s_own_ra(tmp_path):
    coords = SkyCoord([1], [3], unit="deg")
    write_table(QTable({"ra": [9.0], "position": coords}), tmp_path / "t.csv")
    back = read_table(tmp_path / "t.csv")
    assert sorted(back.colnames) == ["dec", "position_ra", "ra"]
    assert back["ra"] == [9]


def test_writing_leaves_the_table_unchanged(table, tmp_path):
    columns = list(table.colnames)
    for ending in KEEP_ALL + FLAT:
        write_table(table, tmp_path / f"t.{ending}")
    assert table.colnames == columns
    assert list(table.meta) == ["FIELD", "EDGES", "long_key_of_mine"]


@pytest.mark.parametrize("ending", KEEP_ALL + FLAT)
def test_an_existing_file_is_replaced_only_when_asked(table, tmp_path, ending):
    path = tmp_path / f"t.{ending}"
    path.write_text("precious")
    with pytest.raises(FileExistsError, match="overwriting must be asked for"):
        write_table(table, path)
    assert path.read_text() == "precious"
    write_table(table, path, overwrite=True)
    assert len(read_table(path)) == 2


@pytest.mark.parametrize("ending", KEEP_ALL + FLAT)
def test_colleagues_may_read_what_was_written(table, tmp_path, ending):
    (tmp_path / "plain").touch()
    write_table(table, tmp_path / f"t.{ending}")
    mode = (tmp_path / f"t.{ending}").stat().st_mode
    assert mode == (tmp_path / "plain").stat().st_mode


def test_a_failed_write_leaves_nothing_behind(table, tmp_path, monkeypatch):
    def fail(self, *args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(QTable, "write", fail)
    with pytest.raises(OSError, match="disk full"):
        write_table(table, tmp_path / "t.ecsv")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_ending_lists_the_known(table, tmp_path):
    with pytest.raises(ValueError, match=r"must be one of .ecsv, .fits"):
        write_table(table, tmp_path / "t.docx")


def test_a_read_only_folder_is_noticed_before_any_work(tmp_path):
    folder = tmp_path / "archive"
    folder.mkdir()
    folder.chmod(0o500)
    if os.access(folder, os.W_OK):  # root may write anywhere but here
        folder = Path("/sys")
    if os.access(folder, os.W_OK) and folder != Path("/sys"):
        pytest.skip("no folder is read-only for this user")
    with pytest.raises(OSError, match=f"cannot write to {folder}"):
        check_writable(folder / "t.ecsv")


def test_a_folder_that_is_not_there_is_noticed(tmp_path):
    with pytest.raises(FileNotFoundError, match="cannot write to .*nowhere"):
        check_writable(tmp_path / "nowhere" / "t.ecsv")


def test_checking_leaves_no_file(tmp_path):
    assert check_writable(tmp_path / "t.fits") == "fits"
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file .*nothing.fits"):
        read_table(tmp_path / "nothing.fits")


@pytest.mark.parametrize("ending", ["fits", "ecsv", "parquet", "vot"])
def test_a_file_of_another_kind_is_said_to_be(tmp_path, ending):
    path = tmp_path / f"t.{ending}"
    path.write_text("<html>not a table</html>")
    with pytest.raises(ValueError, match=f"cannot read .*t.{ending} as"):
        read_table(path)


def test_text_with_other_endings_is_read(tmp_path):
    path = tmp_path / "t.dat"
    path.write_text("# ra dec\n1 2\n3 4\n")
    assert read_table(path).colnames == ["ra", "dec"]


def test_pipes(table, monkeypatch, capsys):
    write_table(table, "-")
    monkeypatch.setattr(sys, "stdin", io.StringIO(capsys.readouterr().out))
    back = read_table("-")
    assert back.meta == table.meta
    monkeypatch.setattr(sys, "stdin", io.StringIO("ra,dec\n1,2\n"))
    assert read_table("-")["dec"] == [2]


@pytest.mark.parametrize("text", ["", "\n\n", "ra dec\n1\n2 3 4\n"])
def test_a_pipe_without_a_table_is_said_to_be(text, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    with pytest.raises(ValueError, match="cannot read standard input as ascii"):
        read_table("-")
