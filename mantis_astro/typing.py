"""
Names for what several public functions take and give, for annotations only.

What may be passed is said in words in each docstring; these are the short forms that
editors and type checkers read. Arrays are `numpy.typing.ArrayLike`, which includes
quantities and columns of tables.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from mantis_astro.bands import Band
    from mantis_astro.cutouts import CutoutStatus, MultibandCutout

__all__ = ["BandLike", "CutoutResult", "EbvLike", "PathLike"]

#: A band, or its name such as ``"ps1.g"``.
BandLike: TypeAlias = "Band | str"
#: Index of a position, its cutouts, and how the request for each band ended.
CutoutResult: TypeAlias = "tuple[int, MultibandCutout, dict[Band, CutoutStatus]]"
#: E(B-V): one value, one per object, values by name of a map, or the name of a column.
EbvLike: TypeAlias = "ArrayLike | Mapping[str, ArrayLike] | str | None"
#: A path, or its text.
PathLike: TypeAlias = "str | os.PathLike[str]"
