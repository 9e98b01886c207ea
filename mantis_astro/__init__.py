"""
Positions on the sky in, redshift probability densities out.

The names below are all most people need; each is imported when it is first used, so
that ``import mantis_astro`` stays light.
"""

import importlib

try:
    from mantis_astro._version import version as __version__
except ImportError:  # not installed, and no version file written
    __version__ = "0.0.0+unknown"

_PUBLIC = {
    "Band": "bands",
    "CutoutStore": "store",
    "FitsFolder": "cutouts",
    "Flag": "flags",
    "InputSpec": "models",
    "ModelCard": "models",
    "MultibandCutout": "cutouts",
    "PhotoZ": "photoz",
    "RedshiftPDF": "pdf",
    "RedshiftPrior": "priors",
    "ShiftReport": "shift",
    "SimulatedSky": "simulation",
    "Survey": "bands",
    "SurveyCutouts": "services",
    "align": "alignment",
    "align_batch": "alignment",
    "common_wcs": "alignment",
    "configure_zred": "prospector",
    "decode_flags": "flags",
    "evaluate": "metrics",
    "get_band": "bands",
    "list_bands": "bands",
    "measure_photometry": "photometry",
    "marginalize": "priors",
    "read_spectrum": "spectra",
    "synthetic_photometry": "spectra",
    "to_prospector_obs": "prospector",
    "z_spec_from_spectrum": "spectra",
}

__all__ = ["__version__", *_PUBLIC]  # noqa: PLE0604  the names above


def __getattr__(name):
    try:
        module = _PUBLIC[name]
    except KeyError:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg) from None
    value = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted(__all__)
