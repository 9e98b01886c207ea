"""
Positions on the sky in, redshift probability densities out.

The names below are all most people need; each is imported when it is first used, so
that ``import mantis_astro`` stays light.
"""

import importlib
from typing import TYPE_CHECKING

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
    "read_photometry": "catalogs",
    "read_spectrum": "spectra",
    "redshift_distribution": "pdf",
    "synthetic_photometry": "spectra",
    "to_prospector_obs": "prospector",
    "z_spec_from_spectrum": "spectra",
}

if TYPE_CHECKING:  # for editors and type checkers: the names of _PUBLIC
    from mantis_astro.alignment import align as align
    from mantis_astro.alignment import align_batch as align_batch
    from mantis_astro.alignment import common_wcs as common_wcs
    from mantis_astro.bands import Band as Band
    from mantis_astro.bands import Survey as Survey
    from mantis_astro.bands import get_band as get_band
    from mantis_astro.bands import list_bands as list_bands
    from mantis_astro.catalogs import read_photometry as read_photometry
    from mantis_astro.cutouts import FitsFolder as FitsFolder
    from mantis_astro.cutouts import MultibandCutout as MultibandCutout
    from mantis_astro.flags import Flag as Flag
    from mantis_astro.flags import decode_flags as decode_flags
    from mantis_astro.metrics import evaluate as evaluate
    from mantis_astro.models import InputSpec as InputSpec
    from mantis_astro.models import ModelCard as ModelCard
    from mantis_astro.pdf import RedshiftPDF as RedshiftPDF
    from mantis_astro.pdf import redshift_distribution as redshift_distribution
    from mantis_astro.photometry import measure_photometry as measure_photometry
    from mantis_astro.photoz import PhotoZ as PhotoZ
    from mantis_astro.priors import RedshiftPrior as RedshiftPrior
    from mantis_astro.priors.marginalize import marginalize as marginalize
    from mantis_astro.prospector import configure_zred as configure_zred
    from mantis_astro.prospector import to_prospector_obs as to_prospector_obs
    from mantis_astro.services import SurveyCutouts as SurveyCutouts
    from mantis_astro.shift import ShiftReport as ShiftReport
    from mantis_astro.simulation import SimulatedSky as SimulatedSky
    from mantis_astro.spectra import read_spectrum as read_spectrum
    from mantis_astro.spectra import synthetic_photometry as synthetic_photometry
    from mantis_astro.spectra import z_spec_from_spectrum as z_spec_from_spectrum
    from mantis_astro.store import CutoutStore as CutoutStore

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
