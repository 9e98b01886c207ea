"""Cutouts: images of one galaxy in several bands, and their sources."""

from mantis_astro.cutouts.folder import FitsFolder
from mantis_astro.cutouts.multiband import MultibandCutout
from mantis_astro.cutouts.reading import read_cutout
from mantis_astro.cutouts.source import (
    NO_COVERAGE,
    OK,
    CutoutSource,
    CutoutStatus,
    failed,
)

__all__ = [
    "NO_COVERAGE",
    "OK",
    "CutoutSource",
    "CutoutStatus",
    "FitsFolder",
    "MultibandCutout",
    "failed",
    "read_cutout",
]
