"""A made sky: galaxies, the images surveys would take, and servers that serve them."""

import importlib

from mantis_astro.simulation.server import FAULTS, Fault, LocalSky, mixed_faults

_LATE = {
    "Conditions": "instruments.conditions",
    "DEFAULT_MIX": "population.counts",
    "GalaxyPopulation": "population.galaxies",
    "GalaxySample": "population.galaxies",
    "SimulatedSky": "simulated_sky",
    "Sources": "rendering.sources",
    "Subsample": "population.counts",
    "draw_conditions": "instruments.conditions",
    "draw_scenes": "population.scenes",
    "render_cutouts": "rendering.native",
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
