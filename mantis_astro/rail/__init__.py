"""
Stages for RAIL: fit a model to a sample with redshifts, and estimate p(z) with it.

RAIL's own registry finds them, in ``rail.mantis_astro``. The stages need the extra
``rail`` and are imported when they are first asked for.
"""

import importlib

_STAGES = ("AnyBandEstimator", "AnyBandInformer", "InformedModelHandle")
_OTHERS = {"InformedModel": "informed_model"}

__all__ = [*_STAGES, *_OTHERS]  # noqa: PLE0604  the names above


def __getattr__(name):
    if name not in __all__:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    module = importlib.import_module(f"{__name__}.{_OTHERS.get(name, 'stages')}")
    return getattr(module, name)


def __dir__():
    return sorted(__all__)
