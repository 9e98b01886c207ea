"""
Bands of different surveys on one pixel grid, through their WCSs, keeping the flux.

`align` brings one target's images onto one grid with `reproject`, masks and
uncertainties included; `align_batch` makes the input tensor of a network from many
targets at once. The latter needs torch, which is imported when it is first used.
"""

from mantis_astro.alignment.grid import check_wcs, common_wcs, find_wcs_problem
from mantis_astro.alignment.resample import align

__all__ = [
    "align",
    "align_batch",
    "check_wcs",
    "common_wcs",
    "find_wcs_problem",
    "match_psf",
]

_LATE = {"align_batch": "batch", "match_psf": "psf"}


def __getattr__(name):
    if name not in _LATE:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_LATE[name]}"), name)
