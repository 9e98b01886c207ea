import numpy as np
import pytest

from mantis_astro.exceptions import MantisError
from mantis_astro.tables.journal import AnotherRunError, RowJournal, set_aside

IDENTITY = {"model": "a", "table": "1234"}
P = np.random.default_rng(0).random((5, 3), dtype=np.float32)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "rows"
    with RowJournal(path, IDENTITY, 3) as journal:
        journal.append([4, 2], [0, 8], P[:2])
        journal.append([0], [1], P[2:3])
    return path


def read(journal):
    """All rows, read two at a time."""
    return [
        np.concatenate(parts) for parts in zip(*journal.iter_blocks(2), strict=True)
    ]


def test_rows_come_back_in_the_order_they_were_finished(path):
    with RowJournal(path, IDENTITY, 3) as journal:
        rows, flags, probability = read(journal)
    assert rows.tolist() == [4, 2, 0]
    assert flags.tolist() == [0, 8, 1]
    np.testing.assert_array_equal(probability, P[:3])


def test_a_run_that_finishes_no_row_leaves_no_file(tmp_path):
    with RowJournal(tmp_path / "new", IDENTITY, 3) as journal:
        journal.append([], [], P[:0])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_noticed_at_once(tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        RowJournal(tmp_path / "nowhere" / "new", IDENTITY, 3)


def test_journals_are_set_aside_under_names_that_are_free(path):
    names = []
    for _ in range(2):
        names.append(set_aside(path).name)
        path.write_bytes(b"another")
    assert names == ["rows.1", "rows.2"]


def test_a_new_journal_is_empty(tmp_path):
    with RowJournal(tmp_path / "new", IDENTITY, 3) as journal:
        assert list(journal.iter_blocks()) == []


@pytest.mark.parametrize("cut", [1, 10, 27])
def test_a_torn_last_record_is_dropped_and_appending_goes_on(path, cut):
    path.write_bytes(path.read_bytes()[:-cut])  # a record has 28 bytes
    with RowJournal(path, IDENTITY, 3) as journal:
        assert read(journal)[0].tolist() == [4, 2]
        journal.append([7], [0], P[3:4])
    with RowJournal(path, IDENTITY, 3) as journal:
        assert read(journal)[0].tolist() == [4, 2, 7]


def test_a_last_record_of_wrong_bytes_is_dropped(path):
    data = bytearray(path.read_bytes())
    data[-10] ^= 1
    path.write_bytes(data)
    with RowJournal(path, IDENTITY, 3) as journal:
        assert read(journal)[0].tolist() == [4, 2]


@pytest.mark.parametrize(
    ("identity", "n_bins", "what"),
    [
        ({"model": "b", "table": "1234"}, 3, "model"),
        ({"model": "a", "table": "9"}, 3, "table"),
        (IDENTITY, 4, "n_bins"),
    ],
)
def test_a_journal_of_another_run_is_refused_and_kept(path, identity, n_bins, what):
    before = path.read_bytes()
    with pytest.raises(AnotherRunError, match=f"another run: {what} differ"):
        RowJournal(path, identity, n_bins)
    assert path.read_bytes() == before


def test_another_file_is_refused_and_kept(tmp_path):
    path = tmp_path / "thesis.tex"
    path.write_text("years of work")
    with pytest.raises(MantisError, match="is not a journal of rows"):
        RowJournal(path, IDENTITY, 3)
    assert path.read_text() == "years of work"


def test_several_torn_records_are_dropped(path):
    """A crash may leave a batch of records of which only the first is whole."""
    data = bytearray(path.read_bytes())
    for at in (-10, -10 - 28):
        data[at] ^= 1
    path.write_bytes(data)
    with RowJournal(path, IDENTITY, 3) as journal:
        assert read(journal)[0].tolist() == [4]


def test_two_runs_do_not_write_to_one_file(path):
    with (
        RowJournal(path, IDENTITY, 3),
        pytest.raises(MantisError, match="another run writes to .*rows"),
    ):
        RowJournal(path, IDENTITY, 3)
    with (
        RowJournal(path, IDENTITY, 3),
        pytest.raises(MantisError, match="another run writes to .*rows"),
    ):
        RowJournal(path, {"table": "another"}, 3)  # which would set it aside
    RowJournal(path, IDENTITY, 3).close()


def test_a_run_that_comes_second_does_not_replace_the_first_ones_rows(tmp_path):
    first, second = (RowJournal(tmp_path / "new", IDENTITY, 3) for _ in range(2))
    some = np.array([3]), np.array([0]), np.full((1, 3), 0.5)
    with first, second:
        first.append(*some)
        with pytest.raises(MantisError, match="another run writes to"):
            second.append(*some)
