import gzip

import numpy as np
import pytest
from astropy.table import QTable

from mantis_astro.tables import read_table, write_table
from mantis_astro.tables.memory import read_bytes, write_bytes

TABLE = QTable(
    {"id": ["a", "b"], "n": np.ma.array([1, 2], mask=[0, 1]), "x": [[1.0, 2], [3, 4]]},
    meta={"PZMODEL": "any", "a_key_of_some_length": "text"},
)


@pytest.mark.parametrize("ending", ["ecsv", "fits", "parquet", "hdf5", "csv", "vot"])
def test_bytes_are_read_as_the_file_is(tmp_path, ending):
    path = tmp_path / f"table.{ending}"
    write_table(TABLE, path)
    table = read_bytes(path.read_bytes(), path.name, max_bytes=10**6)
    assert list(table["id"]) == ["a", "b"]
    assert list(table["n"].mask) == [False, True]
    if ending not in ("csv", "vot"):
        np.testing.assert_array_equal(table["x"], TABLE["x"])


@pytest.mark.parametrize(
    ("layout", "ending"), [("ascii.ecsv", "ecsv"), ("fits", "fits")]
)
def test_bytes_that_are_written_are_the_file(tmp_path, layout, ending):
    path = tmp_path / f"table.{ending}"
    path.write_bytes(write_bytes(TABLE, layout))
    table = read_table(path)
    assert list(table["n"].mask) == [False, True]
    assert table.meta["a_key_of_some_length"] == "text"


@pytest.mark.parametrize(
    ("content", "name", "reason"),
    [
        (b"", "t.csv", "t.csv has no row"),
        (b"/etc/passwd\n", "t.txt", "t.txt has no row"),
        (b"\xff\n1\n", "t.csv", "not text in UTF-8"),
        (b"junk", "t.fits", "cannot read t.fits as fits"),
        (b"junk", "t.hdf5", "is no HDF5"),
        (b"junk", "t.parquet", "is no Parquet"),
        (b"junk", "t.csv.gz", "no file of gzip"),
        (b"<x", "t.vot", "is no VOTable"),
        (b"#ASDF", "t.asdf", "may point to other files"),
        (b"0" * 2000, "t.csv", "more than 1,000 bytes"),
        (gzip.compress(b"0" * 10**6, mtime=0), "t.csv.gz", "more than 1,000 bytes"),
        (
            b"<VOTABLE><v:STREAM xmlns:v='x' href='file:///etc/passwd'/></VOTABLE>",
            "t.vot",
            "keeps its data in another place",
        ),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "t.xml", "declares entities"),
    ],
)
def test_what_is_no_table_or_does_more_is_refused(content, name, reason):
    with pytest.raises(ValueError, match=reason):
        read_bytes(content, name, max_bytes=1000)


def test_hdf5_whose_data_are_elsewhere_or_too_large_is_refused(tmp_path):
    h5py = pytest.importorskip("h5py")
    for options, reason in (
        ({"external": [("/etc/passwd", 0, 80)]}, "keeps its data in other files"),
        ({"compression": "gzip", "data": np.zeros(10**4)}, "unpacks to 80,000 bytes"),
    ):
        path = tmp_path / "t.hdf5"
        with h5py.File(path, "w") as file:
            shape = {} if "data" in options else {"shape": 10, "dtype": float}
            file.create_dataset("x", **shape, **options)
        with pytest.raises(ValueError, match=reason):
            read_bytes(path.read_bytes(), path.name, max_bytes=50_000)


def test_parquet_that_unpacks_to_too_much_is_refused(tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "t.parquet"
    QTable({"x": np.arange(10**4) % 7}).write(path)
    with pytest.raises(ValueError, match="unpacks to"):
        read_bytes(path.read_bytes(), path.name, max_bytes=len(path.read_bytes()))
