import errno
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from astropy.io import fits
from astropy.table import QTable

import mantis_astro
from mantis_astro.atomic import (
    atomic_file,
    atomic_folder,
    check_folder,
    put_in_place,
    sync_folder,
)

WRITERS = {
    "text.txt": lambda path: path.write_text("new"),
    "table.ecsv": lambda path: QTable({"z": [0.1]}).write(path, overwrite=True),
    "table.fits": lambda path: QTable({"z": [0.1]}).write(path, overwrite=True),
    "table.parquet": lambda path: QTable({"z": [0.1]}).write(path, overwrite=True),
    "image.fits": lambda path: fits.writeto(path, np.eye(2), overwrite=True),
    "w.safetensors": lambda path: safetensors.numpy.save_file({"w": np.eye(2)}, path),
}


def break_off(writing, error):
    with writing as temporary:
        path = temporary / "a.txt" if temporary.is_dir() else temporary
        path.write_text("half")
        raise error("half")


@pytest.fixture
def calls(monkeypatch):
    """What is put on the disk and what is renamed, in order."""
    seen, sync, replace = [], os.fsync, Path.replace

    def fsync(handle):
        is_folder = stat.S_ISDIR(os.fstat(handle).st_mode)
        seen.append("folder" if is_folder else "file")
        sync(handle)

    def rename(self, target):
        seen.append("name")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", rename)
    return seen


@pytest.mark.parametrize("name", WRITERS)
def test_whatever_writes_to_a_path_makes_a_file_with_the_users_permissions(
    name, tmp_path
):
    path, plain = tmp_path / name, tmp_path / "plain"
    plain.touch()
    with atomic_file(path) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == path.suffix
        WRITERS[name](temporary)
        assert not path.exists()
    assert path.stat().st_size
    assert path.stat().st_mode == plain.stat().st_mode
    assert {file.name for file in tmp_path.iterdir()} == {name, "plain"}


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077])
def test_the_umask_is_respected(umask, tmp_path):
    before = os.umask(umask)
    try:
        for name, write in WRITERS.items():
            with atomic_file(tmp_path / name) as temporary:
                write(temporary)
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {0o666 & ~umask}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_what_was_there(error, tmp_path):
    path = tmp_path / "old.txt"
    path.write_text("old")
    with pytest.raises(error):
        break_off(atomic_file(path), error)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_process_that_dies_leaves_what_was_there(tmp_path):
    path = tmp_path / "old.txt"
    path.write_text("old")
    code = (
        "import os, sys; from mantis_astro.atomic import atomic_file\n"
        "with atomic_file(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half'); os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], check=False)
    assert done.returncode == 9
    assert path.read_text() == "old"


def test_the_bytes_are_on_the_disk_before_the_name(calls, tmp_path):
    with atomic_file(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
    expected = ["file", "name"] + ["folder"] * (os.name == "posix")
    assert calls == expected


@pytest.mark.skipif(os.name != "posix", reason="folders are put on the disk on POSIX")
def test_all_of_a_folder_is_on_the_disk_before_its_name(calls, tmp_path):
    with atomic_folder(tmp_path / "a") as folder:
        (folder / "inner").mkdir()
        (folder / "inner" / "1.txt").write_text("1")
        (folder / "2.txt").write_text("2")
    assert sorted(calls[:-2]) == ["file", "file", "folder", "folder"]
    assert calls[-2:] == ["name", "folder"]


def test_overwriting_may_be_forbidden(tmp_path):
    path = tmp_path / "old.txt"
    path.write_text("old")
    with (
        pytest.raises(FileExistsError, match="old.txt exists; pass overwrite=True to"),
        atomic_file(path, overwrite=False),
    ):
        pass
    assert path.read_text() == "old"


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / "both.txt"
    with atomic_file(path) as one, atomic_file(path) as two:
        one.write_text("one")
        two.write_text("two")
        assert one != two
    assert path.read_text() == "one"  # the outer block ends last
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("use", [atomic_file, check_folder])
def test_a_folder_that_is_not_there_is_named(use, tmp_path):
    path = tmp_path / "no" / "a.txt"
    with pytest.raises(FileNotFoundError, match=rf"cannot write to {path.parent}: No"):
        use(path) if use is check_folder else use(path).__enter__()


def test_checking_a_folder_leaves_nothing_in_it(tmp_path):
    path = tmp_path / "old.txt"
    path.write_text("old")
    check_folder(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_appears_whole(tmp_path):
    path = tmp_path / "above" / "new"
    with atomic_folder(path) as folder:
        (folder / "a.txt").write_text("a")
        assert not path.exists()
    assert (path / "a.txt").read_text() == "a"
    assert list(path.parent.iterdir()) == [path]


def test_an_error_leaves_no_folder(tmp_path):
    with pytest.raises(ValueError, match="half"):
        break_off(atomic_folder(tmp_path / "a"), ValueError)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_files_is_not_replaced(tmp_path):
    path = tmp_path / "old"
    path.mkdir()
    (path / "a.txt").write_text("a")
    with pytest.raises(OSError, match="old"), atomic_folder(path) as made:
        (made / "b.txt").write_text("b")
    assert [file.name for file in path.iterdir()] == ["a.txt"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_finished_file_takes_its_name(tmp_path):
    part = tmp_path / "a.part"
    part.write_text("a")
    put_in_place(part, tmp_path / "a")
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


@pytest.mark.skipif(os.name != "posix", reason="folders are put on the disk on POSIX")
def test_a_file_system_that_cannot_keep_names_is_no_error(monkeypatch, tmp_path):
    def refuse(handle):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuse)
    code = errno.EINVAL
    sync_folder(tmp_path)
    code = errno.EIO
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        sync_folder(tmp_path)


def test_nothing_else_in_the_package_writes_beside_and_renames():
    root = Path(mantis_astro.__file__).parent
    words = re.compile(r"\bfsync\(|\bmkstemp|NamedTemporaryFile|\bos\.re(place|name)\b")
    found = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if words.search(path.read_text())
    }
    assert found == {"atomic.py", "store/segments.py"}  # the store appends
