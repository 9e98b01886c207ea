"""
Conversion of the catalogues of archives to fluxes of bands.

What one survey's tables look like is one `Catalog`, in a file of its own in
``catalogs/surveys``; `read_photometry` is the door.
"""

from mantis_astro.catalogs.catalog import TOTAL, Catalog, Measure
from mantis_astro.catalogs.reading import read_photometry
from mantis_astro.catalogs.recognition import guess_surveys
from mantis_astro.catalogs.registry import (
    get_catalog,
    list_catalogs,
    register_catalog,
    unregister_catalog,
)

__all__ = [
    "TOTAL",
    "Catalog",
    "Measure",
    "get_catalog",
    "guess_surveys",
    "list_catalogs",
    "read_photometry",
    "register_catalog",
    "unregister_catalog",
]
