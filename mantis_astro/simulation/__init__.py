"""A made sky: galaxies, the images surveys would take, and servers that serve them."""

import importlib

from mantis_astro.simulation.faults import FAULTS, Fault, mixed_faults
from mantis_astro.simulation.server import LocalSky

_LATE = {
    "Conditions": "conditions",
    "DEFAULT_MIX": "population",
    "GalaxyPopulation": "galaxies",
    "GalaxySample": "galaxies",
    "SimulatedSky": "simulated_sky",
    "Sources": "sources",
    "Subsample": "population",
    "draw_conditions": "conditions",
    "draw_scenes": "scenes",
    "render_cutouts": "render",
}

__all__ = ["FAULTS", "Fault", "LocalSky", "mixed_faults", *_LATE]  # noqa: PLE0604


def __getattr__(name):
    try:
        module = _LATE[name]
    except KeyError:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg) from None
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)


def __dir__():
    return sorted(__all__)
