"""
Fits of spectral energy distributions to whole catalogues, a p(z) for each galaxy.

`fit_priors` reads the p(z) of a table, flags included, and gives each code what it
needs; `run_fits` fits row by row: a failure costs one row, and a killed run resumes.
"""

from mantis_astro.sed_fits.catalogue import CataloguePriors, fit_priors
from mantis_astro.sed_fits.nodes import pool_nodes
from mantis_astro.sed_fits.running import CatalogueFits, run_fits

__all__ = [
    "CatalogueFits",
    "CataloguePriors",
    "fit_priors",
    "pool_nodes",
    "run_fits",
]
