"""CSV as people write it is read alike as a file, in pieces, and in memory."""

import numpy as np
import pytest
from astropy.table import vstack

from mantis_astro.tables import read_table
from mantis_astro.tables.memory import read_bytes
from mantis_astro.tables.pieces import TablePieces


def in_pieces(path):
    pieces = TablePieces(path, size=2)
    list(pieces)  # types are known after the first time
    return vstack(list(pieces), metadata_conflicts="silent")


def in_memory(path):
    return read_bytes(path.read_bytes(), path.name, max_bytes=10_000)


@pytest.fixture(params=[read_table, in_pieces, in_memory])
def read(request, tmp_path):
    def reading(text, encoding="utf-8"):
        path = tmp_path / "table.csv"
        path.write_bytes(text.encode(encoding))
        table = request.param(path)
        return {n: np.ma.asarray(table[n]).tolist() for n in table.colnames}

    return reading


@pytest.mark.parametrize(
    "head",
    [
        *("id,g\n", "#id,g\n", "# id,g\r\n", "#Table1\nid,g\n"),
        *("# of Monday, cut\n\n# at 20, see\nid,g\n", "# mine\n#id,g\n"),
    ],
)
def test_no_galaxy_is_taken_for_names(read, head):
    assert read(f"{head}1,20.5\n2,19.25\n3,18.5\n") == {
        "id": [1, 2, 3],
        "g": [20.5, 19.25, 18.5],
    }


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_other_separators(read, separator):
    text = "id,g\n1,20.5\n2,19.25\n".replace(",", separator)
    assert read(text) == {"id": [1, 2], "g": [20.5, 19.25]}


def test_words_for_nothing_are_masked_where_all_else_is_numbers(read):
    text = """id,g,name,k
1,NA,NA,None
2,19.5,b,N/A
NA,--,c,
4,18.5,7,null
"""
    assert read(text) == {
        "id": [1, 2, None, 4],
        "g": [None, 19.5, None, 18.5],
        "name": ["NA", "b", "c", "7"],
        "k": [None] * 4,
    }


def test_long_identifiers_are_exact(read):
    text = "id\n1237648720693755918\nNA\n3\n"
    assert read(text) == {"id": [1237648720693755918, None, 3]}


def test_another_encoding_is_told(read):
    with pytest.raises(ValueError, match=r"table\.csv is not text in UTF-8"):
        read("id,name\n1,Zo\u00eb\n", "latin-1")
