"""
Priors for fits to spectral energy distributions, made of p(z).

`RedshiftPrior` is one galaxy's prior with exporters to prospector, bagpipes, eazy,
scipy and nested samplers; the functions beside it make tables and files of many.
`marginalize` serves codes that only take a fixed redshift.
"""

from mantis_astro.priors.bagpipes import bagpipes_catalogue
from mantis_astro.priors.gaussian import GaussianApproximation
from mantis_astro.priors.marginalize import MarginalizedFit, marginalize
from mantis_astro.priors.redshift_prior import RedshiftPrior
from mantis_astro.priors.tables import eazy_table, quantile_table, write_redrock

__all__ = [
    "GaussianApproximation",
    "MarginalizedFit",
    "RedshiftPrior",
    "bagpipes_catalogue",
    "eazy_table",
    "marginalize",
    "quantile_table",
    "write_redrock",
]
