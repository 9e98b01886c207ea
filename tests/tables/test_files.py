import io
import os
import sys
from pathlib import Path

import asdf
import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Column, MaskedColumn, QTable
from astropy.time import Time
from astropy.utils.masked import Masked

from mantis_astro.tables import check_writable, read_table, write_table
from mantis_astro.tables.pieces import TablePieces

KEEP_ALL = ["ecsv", "fits", "parquet", "asdf"]
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
    assert "no place for the meta, which is in" in caplog.text
    assert "no place for pz either" in caplog.text
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
    with pytest.raises(FileExistsError, match="pass overwrite=True to replace it"):
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


FORMATS = ["ecsv", "fits", "parquet", "vot", "hdf5", "asdf", "csv"]
EMPTY_IS_MISSING = {"ecsv", "fits", "csv"}  # of text; a message says so
NAN_IS_MISSING = {"fits", "vot"}
COLUMNS = {
    "int": Column([999999, 1, -5]),
    "large int": Column([2**62, -1, 0]),
    "float": Column([1.5, np.nan, 1 / 3]),
    "bool": Column([True, False, True]),
    "str": Column(["a", "", "007"]),
    "Quantity": [1.0, 2.0, 1 / 3] * u.nJy,
    "Time": Time(["2020-01-01T00:00:00", "2021-02-03T04:05:06.789", "2022-01-01"]),
    "masked int": MaskedColumn([999999, 1, 5], mask=[0, 1, 0]),
    "masked uint8": MaskedColumn(np.array([255, 63, 0], np.uint8), mask=[0, 1, 0]),
    "masked float": MaskedColumn([1.5, 2.5, 1 / 3], mask=[0, 1, 0]),
    "masked bool": MaskedColumn([True, False, True], mask=[0, 1, 0]),
    "masked str": MaskedColumn(["a", "b", "007"], mask=[0, 1, 0]),
    "masked Quantity": Masked([1.0, 2.0, 3.0] * u.nJy, mask=[0, 1, 0]),
    "masked Time": Time(Masked([59e3, 59001.5, 59002.25], [0, 1, 0]), format="mjd"),
}


def values_of(column):
    """Values, None where masked; NaN as a text, which is equal to itself."""
    if isinstance(column, Time):
        column = column.mjd
    mask = getattr(column, "mask", None)
    plain = np.asarray(getattr(column, "unmasked", np.ma.getdata(column)))
    mask = np.broadcast_to(False if mask is None else mask, plain.shape)
    values = [None if m else v for v, m in zip(plain.tolist(), mask, strict=True)]
    return ["nan" if isinstance(v, float) and np.isnan(v) else v for v in values]


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("kind", COLUMNS)
def test_write_table_keeps_what_is_there_or_says_so(kind, ending, tmp_path, caplog):
    column = COLUMNS[kind]
    table = QTable({"x": column})
    path = tmp_path / f"t.{ending}"
    write_table(table, path)
    said = caplog.text
    back = read_table(path)["x"]
    expected = values_of(column)
    if kind == "float" and ending in NAN_IS_MISSING:
        expected[1] = None
    if kind == "str" and ending in EMPTY_IS_MISSING:
        expected[1] = None
        assert "cannot tell an empty text from a missing one: those of x" in said
    if kind == "masked str" and ending == "vot":
        expected[1] = ""
        assert "cannot tell a missing text from an empty one: those of x" in said
    found = values_of(back)
    if "Time" in kind:
        np.testing.assert_allclose(
            [t for t in found if t], [t for t in expected if t], rtol=1e-13
        )
        found, expected = (np.equal(x, None).tolist() for x in (found, expected))
    assert found == expected
    assert getattr(back, "unit", None) == getattr(column, "unit", None)
    assert isinstance(back, Time) == isinstance(column, Time)
    kinds = [getattr(c, "dtype", np.dtype("O")).kind for c in (back, column)]
    assert kinds[0] == ("i" if kinds[1] == "u" and ending == "csv" else kinds[1])
    assert values_of(table["x"]) == values_of(column)  # not changed


PLAIN = {
    "ecsv": {"format": "ascii.ecsv"},
    "fits": {"format": "fits"},
    "parquet": {"format": "parquet"},
    "vot": {"format": "votable"},
    "hdf5": {"format": "hdf5", "path": "t", "serialize_meta": True},
    "asdf": {"format": "asdf"},
    "csv": {"format": "ascii.csv"},
}
# what astropy itself loses or refuses when it writes
LOST = {
    ("fits", "masked bool"): [True, True, True],
    ("fits", "masked int"): [None, None, 5],
    ("csv", "bool"): ["True", "False", "True"],
    ("csv", "masked bool"): ["True", None, "True"],
    ("vot", "masked str"): ["a", "", "007"],
}
REFUSED = {("vot", "Time"), ("vot", "masked Time")}
WITHOUT_UNIT = {("csv", "Quantity"), ("csv", "masked Quantity")}


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("kind", COLUMNS)
def test_what_astropy_wrote_is_read(kind, ending, tmp_path):
    if (ending, kind) in REFUSED or (ending == "csv" and "Time" in kind):
        pytest.skip("astropy writes no such column, or as text")
    path = tmp_path / f"t.{ending}"
    column = COLUMNS[kind]
    if (ending, kind) == ("asdf", "masked Time"):
        pytest.skip("asdf-astropy refuses it")
    QTable({"x": column}).write(path, **PLAIN[ending])
    back = read_table(path)["x"]
    expected = LOST.get((ending, kind), values_of(column))
    if kind == "float" and ending in NAN_IS_MISSING:
        expected[1] = None
    if kind == "str" and ending in EMPTY_IS_MISSING:
        expected[1] = None
    found = values_of(back)
    if "Time" in kind:
        assert isinstance(back, Time)
        found, expected = (np.equal(x, None).tolist() for x in (found, expected))
    assert found == expected
    if (ending, kind) not in WITHOUT_UNIT:
        assert getattr(back, "unit", None) == getattr(column, "unit", None)


def test_fits_says_which_text_it_cannot_hold(tmp_path):
    table = QTable({"name": ["NGC 1", "Zoë 1"]})
    with pytest.raises(ValueError, match="FITS holds ASCII alone: .* 'name' .*'Zoë 1'"):
        write_table(table, tmp_path / "t.fits")
    assert not list(tmp_path.iterdir())


def test_parquet_of_pandas_with_nulls_of_every_type(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "ra": [10.0, 11.0],
            "s": ["a", None],
            "n": pandas.array([1, None], dtype="Int64"),
            "b": pandas.array([True, None], dtype="boolean"),
            "f": [1.0, None],
            "pz": [[0.25, 0.75], [0.5, 0.5]],
            "class": pandas.Categorical(["star", None]),
            "when": pandas.to_datetime(["2020-01-01", None]),
        },
        index=["first", "second"],
    )
    frame.to_parquet(tmp_path / "p.parquet")
    table = read_table(tmp_path / "p.parquet")
    assert table.colnames == [*frame.columns]
    for name, first in (("s", "a"), ("n", 1), ("b", True), ("f", 1.0)):
        assert values_of(table[name]) == [first, None]
    assert values_of(table["class"]) == ["star", None]
    assert table["n"].dtype == np.int64
    assert table["pz"].tolist() == [[0.25, 0.75], [0.5, 0.5]]
    assert table["when"][0].isot == "2020-01-01T00:00:00.000"
    assert table["when"].mask.tolist() == [False, True]


def test_parquet_of_lists_that_differ_in_length_is_refused(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"x": [[1.0], [1.0, 2.0]]})
    frame.to_parquet(tmp_path / "p.parquet")
    with pytest.raises(ValueError, match="cannot read .* column 'x' of type list"):
        read_table(tmp_path / "p.parquet")


@pytest.mark.parametrize("ending", ["csv", "txt"])
def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path, ending):
    path = tmp_path / f"excel.{ending}"
    path.write_text("ra,dec,name\n1.5,2.5,é\n", encoding="utf-8-sig")
    table = read_table(path)
    assert table.colnames == ["ra", "dec", "name"]
    assert table["name"][0] == "é"


@pytest.mark.parametrize("comments", ["#Table1\n", "# a, b\n\n# 2026\n"])
def test_lines_of_comment_before_the_names_are_skipped(tmp_path, comments):
    path = tmp_path / "skyserver.csv"
    path.write_text(f"{comments}ra,dec,name\n1.5,2.5,#1\n", encoding="utf-8-sig")
    for table in (read_table(path), next(iter(TablePieces(path)))):
        assert table.colnames == ["ra", "dec", "name"]
        assert table["name"].tolist() == ["#1"]


def test_asdf_keeps_how_a_table_looks_and_what_it_says(tmp_path):
    table = QTable({"x": [1.23456], "coord": SkyCoord([1.0], [2.0], unit="deg")})
    table["x"].info.format, table.meta["a"] = ".2f", {"b": [1, 2]}
    write_table(table, tmp_path / "t.asdf")
    again = read_table(tmp_path / "t.asdf")
    assert again["x"].info.format == ".2f"
    assert again["coord"].dec.deg == [2.0]
    assert again.meta == table.meta
    asdf.AsdfFile({"x": [1]}).write_to(tmp_path / "other.asdf")
    with pytest.raises(ValueError, match="no table of astropy at the top of its tree"):
        read_table(tmp_path / "other.asdf")
    (tmp_path / "cut.asdf").write_bytes((tmp_path / "t.asdf").read_bytes()[:900])
    with pytest.raises(ValueError, match="cannot read .* as asdf"):
        read_table(tmp_path / "cut.asdf")


def test_hdf5_of_arrays_in_a_group(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "rail.hdf5", "w") as file:
        group = file.create_group("photometry")
        group["mag_g"] = [20.0, 21.0]
        group["name"] = ["a", "é"]
    table = read_table(tmp_path / "rail.hdf5")
    assert table["mag_g"].tolist() == [20.0, 21.0]
    assert table["name"].tolist() == ["a", "é"]
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"], file["y"] = [1.0], [1.0, 2.0]
    with pytest.raises(ValueError, match="neither a table nor arrays of one length"):
        read_table(tmp_path / "other.h5")


@pytest.mark.parametrize("ending", ["csv", "vot"])
def test_types_units_and_meta_of_a_flat_file_come_back(table, tmp_path, ending):
    table["code"] = ["007", "010"]
    write_table(table, tmp_path / f"t.{ending}")
    back = read_table(tmp_path / f"t.{ending}")
    assert back["code"].tolist() == ["007", "010"]
    assert back["size"].unit == u.arcsec
    assert back["size"].info.description == "half-light radius"
    assert back.meta["FIELD"] == "Stripe 82"
