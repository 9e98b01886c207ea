"""The table of known files, and where each lies on this machine."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from astropy import config

__all__ = [
    "KnownFile",
    "cache_dir",
    "get_file",
    "list_files",
    "local_path",
    "register_file",
]


@dataclass(frozen=True)
class KnownFile:
    """
    A file on a public server, and how to tell that it is the right one.

    Attributes
    ----------
    name : str
        Name to fetch it by: letters, digits, ``.``, ``_`` and ``-``.
    url : str
        Where it is served.
    size : int
        Length in bytes.
    sha256 : str
        SHA-256 of the content, 64 hexadecimal digits.
    licence : str
        Name of the licence it comes under.
    licence_url : str
        Where that licence can be read.
    description : str
        What it is, in a few words.

    Raises
    ------
    ValueError
        If one of them cannot be right.
    """

    name: str
    url: str
    size: int
    sha256: str
    licence: str
    licence_url: str = field(default="", repr=False)
    description: str = field(default="", repr=False)

    def __post_init__(self):
        if not re.fullmatch(r"\w[\w.-]*", self.name):
            msg = (
                "'name' of a file must be made of letters, digits, '.', '_' and '-', "
                f"got {self.name!r}"
            )
            raise ValueError(msg)
        if urlsplit(self.url).scheme not in {"http", "https"}:
            msg = f"'url' of {self.name} must be http or https, got {self.url!r}"
            raise ValueError(msg)
        if not self.size > 0:
            msg = f"'size' of {self.name} must be positive, got {self.size}"
            raise ValueError(msg)
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            msg = (
                f"'sha256' of {self.name} must be 64 lower-case hexadecimal digits, "
                f"got {self.sha256!r}"
            )
            raise ValueError(msg)


_files = {}


def register_file(file):
    """
    Make a file known by name.

    Parameters
    ----------
    file : KnownFile
        The file.

    Returns
    -------
    KnownFile
        The same object.

    Raises
    ------
    ValueError
        If the name is taken.
    """
    if file.name in _files:
        msg = f"file '{file.name}' is already registered, from {_files[file.name].url}"
        raise ValueError(msg)
    _files[file.name] = file
    return file


def list_files():
    """
    List the registered files.

    Returns
    -------
    list of KnownFile
        In the order of registration.

    Examples
    --------
    >>> from mantis_astro.files import list_files
    >>> list_files()[0].name
    'mantis-shrimp-early'
    """
    return list(_files.values())


def get_file(name):
    """
    Return a registered file by name.

    Parameters
    ----------
    name : str or KnownFile
        Its name.

    Returns
    -------
    KnownFile
        The file.

    Raises
    ------
    ValueError
        If there is no such file.

    Examples
    --------
    >>> from mantis_astro.files import get_file
    >>> get_file("mantis-shrimp-early").size
    801048832
    """
    if isinstance(name, KnownFile):
        return name
    try:
        return _files[name]
    except (KeyError, TypeError):
        msg = f"no known file {name!r}; there are {', '.join(_files)}"
        raise ValueError(msg) from None


def cache_dir():
    """
    Tell the folder that fetched files go to.

    ``$MANTIS_ASTRO_CACHE`` if set; else ``mantis_astro`` in the cache folder that
    astropy's conventions give (``~/.cache``, ``$XDG_CACHE_HOME``).

    Returns
    -------
    `~pathlib.Path`
        The folder, which need not exist yet.
    """
    chosen = os.environ.get("MANTIS_ASTRO_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    return Path(config.get_cache_dir("mantis_astro"))


def local_path(name):
    """
    Tell where a file is, or will be, on this machine.

    The name carries the start of the SHA-256, so that two versions never mix.

    Parameters
    ----------
    name : str or KnownFile
        The file.

    Returns
    -------
    `~pathlib.Path`
        Path in `cache_dir`, whether or not the file is there.
    """
    known = get_file(name)
    suffix = PurePosixPath(urlsplit(known.url).path).suffix
    return cache_dir() / f"{known.name}-{known.sha256[:8]}{suffix}"


_MANTIS_SHRIMP = "https://media.githubusercontent.com/media/pnnl/MantisShrimp/main"
_BATTELLE = {
    "licence": "Modified MIT License, Copyright (c) 2024 Battelle Memorial Institute",
    "licence_url": "https://github.com/pnnl/MantisShrimp/blob/main/LICENSE.txt",
}

# Sizes and hashes are those of the Git LFS pointers in the public repository.
register_file(
    KnownFile(
        name="mantis-shrimp-early",
        url=f"{_MANTIS_SHRIMP}/mantis_shrimp/MODELS_final/best_early.pt",
        size=801_048_832,
        sha256="411536eba11a6733e5632c6a7c7cf9e07c000d68ff929965a9268c56b1c7428e",
        description="Early-fusion network of Engel et al. 2025",
        **_BATTELLE,
    )
)
register_file(
    KnownFile(
        name="mantis-shrimp-calpit",
        url=f"{_MANTIS_SHRIMP}/mantis_shrimp/MODELS_final/calpit_checkpoint.pt",
        size=25_902_074,
        sha256="bf32d86fb1ccf0a78ff39e5d4beffbb1aa1242d631779c0ae8d8cddfb83df974",
        description="Recalibrator of the early-fusion network of Engel et al. 2025",
        **_BATTELLE,
    )
)
