"""
Spectra: files, fluxes through filters, and redshifts.

`read_spectrum` reads files of SDSS and DESI as `specutils.Spectrum`;
`synthetic_photometry` gives the fluxes that a camera would have measured, and
`z_spec_from_spectrum` a redshift with its warnings, if one likes with a p(z) as prior.
`z_spec_table` does that for many files, as labels of a training set.
"""

from mantis_astro.spectra.reading import (
    CatalogueRedshift,
    list_targets,
    read_catalogue_redshift,
    read_spectrum,
)
from mantis_astro.spectra.redshift import (
    REDSHIFT_WARNINGS,
    SpectroscopicRedshift,
    z_spec_from_spectrum,
)
from mantis_astro.spectra.synthetic import synthetic_photometry
from mantis_astro.spectra.table import z_spec_table
from mantis_astro.spectra.templates import TemplateSet

__all__ = [
    "REDSHIFT_WARNINGS",
    "CatalogueRedshift",
    "SpectroscopicRedshift",
    "TemplateSet",
    "list_targets",
    "read_catalogue_redshift",
    "read_spectrum",
    "synthetic_photometry",
    "z_spec_from_spectrum",
    "z_spec_table",
]
