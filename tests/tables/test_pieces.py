"""Tables read and written some rows at a time: what a whole one gives."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import MaskedColumn, QTable, vstack
from astropy.utils.masked import Masked

from mantis_astro.tables import read_table, write_table
from mantis_astro.tables.appending import PieceWriter
from mantis_astro.tables.pieces import TablePieces

ENDINGS = ["fits", "parquet", "csv", "ecsv"]


def make_table():
    """Columns whose pieces of two rows look unlike each other."""
    table = QTable()
    table["name"] = ["a", "b", "a long, quoted name", "007", "", "x"]
    table["flux"] = Masked([1.0, 2, 3, 4, 5, 6], mask=[0, 0, 0, 1, 0, 0]) * u.nJy
    table["count"] = MaskedColumn([1, 2, 3, 999999, 5, 6], mask=[0, 0, 1, 0, 0, 0])
    table["mag"] = [1.0, 2.0, 3.0, 4.5, 5.0, np.nan]
    table["good"] = [True, False, True, True, False, True]
    table.meta["origin"] = "made"
    return table


def columns_of(table):
    """Masks, and numbers where there are any."""
    for name in table.colnames:
        column = table[name]
        mask = np.asarray(getattr(column, "mask", np.zeros(len(table), bool)))
        values = np.asarray(getattr(column, "unmasked", column))
        yield name, mask, values[~mask].tolist(), getattr(column, "unit", None)


def check_same(found, expected):
    for ours, theirs in zip(columns_of(found), columns_of(expected), strict=True):
        np.testing.assert_array_equal(ours[1], theirs[1], ours[0])
        np.testing.assert_array_equal(ours[2], theirs[2], ours[0])
        assert ours[3] == theirs[3]


@pytest.mark.parametrize("ending", ENDINGS)
def test_pieces_are_rows_of_the_whole(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    write_table(make_table(), path)
    pieces = TablePieces(path, size=2)
    assert pieces.n_row == 6
    for _ in range(2):  # the second time all pieces have one type
        found = list(pieces)
        assert [len(piece) for piece in found] == [2, 2, 2]
    whole = read_table(path)
    check_same(vstack(found), whole)
    for piece in found:
        for name in ("count", "name"):
            assert piece[name].dtype == whole[name].dtype.newbyteorder("=")


@pytest.mark.parametrize("ending", ENDINGS)
def test_written_in_pieces_it_is_the_file_of_the_whole(tmp_path, ending):
    whole, path = tmp_path / f"a.{ending}", tmp_path / f"b.{ending}"
    write_table(make_table(), whole)
    pieces = TablePieces(whole, size=2)
    list(pieces)
    with PieceWriter(path, pieces.n_row) as writer:
        for piece in pieces:
            writer.write(piece)
    check_same(read_table(path), read_table(whole))
    assert read_table(path).meta == read_table(whole).meta


def test_csv_of_other_software(tmp_path):
    path = tmp_path / "gaia.csv"
    path.write_text('id,ra,note\n1,10,"two\nlines"\n2,10.5,null\n\n03,x,\n')
    pieces = TablePieces(path, size=1)
    assert pieces.n_row == 3
    list(pieces)
    check_same(vstack(list(pieces)), read_table(path))


@pytest.mark.parametrize("ending", ENDINGS)
def test_no_row(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    write_table(make_table()[:0], path)
    [piece] = TablePieces(path)
    assert len(piece) == 0
    assert piece.colnames == read_table(path).colnames


def test_pieces_that_differ_are_refused_by_fits(tmp_path):
    path = tmp_path / "a.fits"
    pieces = [QTable({"id": [1]}), QTable({"id": [1.5]})]
    with pytest.raises(ValueError, match="pieces of a FITS table differ in TFORM1"):
        _write(pieces, path)
    assert not path.exists()


def _write(pieces, path):
    with PieceWriter(path, n_row=len(pieces)) as writer:
        for piece in pieces:
            writer.write(piece)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file"):
        TablePieces(tmp_path / "a.fits")


def test_fits_without_a_table(tmp_path):
    from astropy.io import fits

    fits.PrimaryHDU().writeto(tmp_path / "a.fits")
    with pytest.raises(ValueError, match="it has no table"):
        TablePieces(tmp_path / "a.fits")
