"""
Files and folders that appear under their name whole or not at all.

Everything the package writes for keeps goes through here: a table, a model, a
checkpoint, a cached answer. The bytes go to a temporary path in the same folder, are
put on the disk, and take the name in one step, so that neither an error, Ctrl-C, a
full disk nor a power cut leaves half a file, or harms the file that was there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mantis_astro.typing import PathLike

__all__ = [
    "atomic_file",
    "atomic_folder",
    "check_folder",
    "put_in_place",
    "sync_folder",
]


@contextlib.contextmanager
def atomic_file(path: PathLike, *, overwrite: bool = True) -> Iterator[Path]:
    """
    Temporary path that replaces a file at the end of the block.

    Parameters
    ----------
    path : str or path-like
        The file to write. One that exists stays as it was if the block raises.
    overwrite : bool, optional
        Whether an existing file may be replaced.

    Yields
    ------
    `~pathlib.Path`
        An empty file in the same folder, with the same ending, for whatever writes to
        a path. It may be written to, or removed and made again; in the end it has the
        permissions of the user's new files.

    Raises
    ------
    OSError
        If the file exists and ``overwrite`` is False, or the folder cannot be written.

    Examples
    --------
    >>> from mantis_astro.atomic import atomic_file
    >>> path = getfixture("tmp_path") / "redshifts.txt"
    >>> with atomic_file(path) as temporary:
    ...     _ = temporary.write_text("0.31")
    >>> path.read_text()
    '0.31'
    """
    path = Path(path)
    if path.exists() and not overwrite:
        msg = f"{path} exists; pass overwrite=True to replace it"
        raise FileExistsError(msg)
    temporary = _made_beside(path)
    try:
        mode = stat.S_IMODE(temporary.stat().st_mode)  # what the umask leaves
        yield temporary
        temporary.chmod(mode)  # safetensors makes files for their owner only
        put_in_place(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def check_folder(path: PathLike) -> None:
    """
    Check that files can be written to a folder.

    Parameters
    ----------
    path : str or path-like
        The file, which is not touched.

    Raises
    ------
    OSError
        If its folder cannot be written.
    """
    _made_beside(Path(path)).unlink()


@contextlib.contextmanager
def atomic_folder(path: PathLike) -> Iterator[Path]:
    """
    Temporary folder that is moved to a path at the end of the block.

    Parameters
    ----------
    path : str or path-like
        The folder to make. It must not exist, or be empty; folders above it are made.

    Yields
    ------
    `~pathlib.Path`
        An empty folder to put files into.

    Raises
    ------
    OSError
        If the folder cannot be made, or is there and not empty.
    """
    path = Path(path)
    temporary = _beside(path)
    with _named(path):
        temporary.mkdir(parents=True)
    try:
        yield temporary
        put_in_place(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def put_in_place(temporary: Path, path: Path) -> None:
    """
    Flush a file or folder to disk and rename it, in one step.

    Parameters
    ----------
    temporary : `~pathlib.Path`
        A finished file, or a folder of such, in the folder of the path.
    path : `~pathlib.Path`
        The name it takes. A file that has it is replaced.

    Raises
    ------
    OSError
        If the disk is full, or the name cannot be taken.
    """
    if temporary.is_dir():
        for entry in temporary.rglob("*"):
            if entry.is_dir():
                sync_folder(entry)
            else:
                _sync_file(entry)
        sync_folder(temporary)
    else:
        _sync_file(temporary)
    temporary.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """
    Flush the entries of a folder to disk.

    Parameters
    ----------
    folder : `~pathlib.Path`
        The folder.

    Raises
    ------
    OSError
        If the disk fails. A system that cannot do it is no error.
    """
    if os.name != "posix":  # a folder cannot be opened there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # some network file systems keep no names of their own to write
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:
            raise
    finally:
        os.close(handle)


def _sync_file(path):
    with path.open("r+b") as stream:  # Windows flushes only what may be written
        os.fsync(stream.fileno())


def _made_beside(path):
    temporary = _beside(path)
    with _named(path):
        temporary.touch(exist_ok=False)
    return temporary


def _beside(path):
    """Give a hidden name in the same folder that nobody else takes."""
    return path.with_name(f".{secrets.token_hex(4)}-{path.name}")


@contextlib.contextmanager
def _named(path):
    """Make an error name the folder, and not the temporary file."""
    try:
        yield
    except OSError as error:
        msg = f"cannot write to {path.parent}: {error.strerror}"
        raise type(error)(error.errno, msg) from None
