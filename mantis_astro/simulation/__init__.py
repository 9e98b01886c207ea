"""
A simulated sky: galaxies, their images as surveys take them, and local servers.

From the ground up: ``sources`` and ``uniforms``; ``instruments``, the surveys; on these
``population`` (what is on the sky), ``rendering`` (what it looks like) and ``server``
(how it is served), which do not import each other; `SimulatedSky` is on top.
"""

import importlib

from mantis_astro.simulation.server import FAULTS, Fault, LocalSky, mixed_faults

_LATE = {
    "Conditions": "instruments.conditions",
    "DEFAULT_MIX": "population.counts",
    "GalaxyPopulation": "population.galaxies",
    "GalaxySample": "population.galaxies",
    "Instrument": "instruments.instrument",
    "SimulatedSky": "simulated_sky",
    "Sources": "sources",
    "Subsample": "population.counts",
    "draw_conditions": "instruments.conditions",
    "draw_scenes": "population.scenes",
    "register_instrument": "instruments.registry",
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
