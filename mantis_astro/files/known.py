"""Table of known files, and their paths on this machine."""

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
    A file on a public server, with the size and checksum that verify it.

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


_files: dict[str, KnownFile] = {}


def register_file(file):
    """
    Register a file by name.

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
    Return the folder of fetched files.

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
    Return the path of a file on this machine, whether it exists or not.

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

# Dust maps. Sizes and hashes are those of Git LFS pointers too: of the repository of
# the published network (CSFD, Planck) and of github.com/adrn/SFD (SFD).
_SFD = "https://media.githubusercontent.com/media/adrn/SFD/ce1435d241c60587ca3d0022c66d758d80a360c8/sfd/data"
register_file(
    KnownFile(
        name="csfd",
        url="https://zenodo.org/record/8207175/files/csfd_ebv.fits",
        size=201_335_040,
        sha256="379017a424b6f50e98d03df1eac7417750dc0ceba31a34441c63ea182ce01f6e",
        licence="as stated on Zenodo; cite Chiang 2023, ApJ 958, 118",
        licence_url="https://zenodo.org/record/8207175",
        description="Dust map: E(B-V), corrected SFD (Chiang 2023)",
    )
)
register_file(
    KnownFile(
        name="planck",
        url=(
            "https://irsa.ipac.caltech.edu/data/Planck/release_1/all-sky-maps/maps/"
            "HFI_CompMap_ThermalDustModel_2048_R1.20.fits"
        ),
        size=1_610_625_600,
        sha256="84961f842ab0ffce43f7da30117f3730c1d8bdefb931c905f11b56fa038fd98b",
        licence="public; cite Planck Collaboration XI 2014, A&A 571, A11",
        licence_url="https://www.cosmos.esa.int/web/planck",
        description="Dust map: thermal dust model with E(B-V) (Planck 2013)",
    )
)
for _pole, _name, _sha256 in (
    (
        "ngp",
        "northern",
        "e2a8270891494329fb92b81cbbb83ef5e897b731ee986ea93ba81e840c882bce",
    ),
    (
        "sgp",
        "southern",
        "6401fdf10bfd3a47ea9b524a82003511246582848fafdc7719cd0f742b1c15bb",
    ),
):
    register_file(
        KnownFile(
            name=f"sfd-{_pole}",
            url=f"{_SFD}/SFD_dust_4096_{_pole}.fits",
            size=67_112_640,
            sha256=_sha256,
            licence="public; cite Schlegel, Finkbeiner & Davis 1998, ApJ 500, 525",
            licence_url="https://doi.org/10.7910/DVN/EWCNL5",
            description=f"Dust map: E(B-V), {_name} galactic hemisphere (SFD 1998)",
        )
    )
