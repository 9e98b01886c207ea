"""
Files too large for the package: published weights and maps, fetched once, verified.

A download resumes where it broke, is checked by size and SHA-256 before anyone sees
it, and appears under its name whole or not at all.
"""

from mantis_astro.files.configuration import Conf, conf
from mantis_astro.files.fetching import fetch_file
from mantis_astro.files.known import (
    KnownFile,
    cache_dir,
    get_file,
    list_files,
    local_path,
    register_file,
)

__all__ = [
    "Conf",
    "KnownFile",
    "cache_dir",
    "conf",
    "fetch_file",
    "get_file",
    "list_files",
    "local_path",
    "register_file",
]
