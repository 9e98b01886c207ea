"""
The hand-off to prospector: model parameters and observations.

Here p(z) and photometry meet, so this stands above both; the prior itself,
`RedshiftPrior.as_prospector`, is in `mantis_astro.priors`.
"""

from mantis_astro.prospector.observations import to_prospector_obs
from mantis_astro.prospector.parameters import configure_zred

__all__ = ["configure_zred", "to_prospector_obs"]
