"""The networks of Engel et al. 2025, as they were trained."""

import numpy as np

from mantis_astro.files import get_file
from mantis_astro.models.card import UNIFORM, ModelCard
from mantis_astro.models.encoders import EncoderConfig
from mantis_astro.models.inputs import InputSpec
from mantis_astro.models.networks import EarlyFusionConfig, LateFusionConfig

__all__ = ["PUBLISHED_EDGES", "published_cards"]

# Class i was the nearest of 0.004 i, i = 0 .. 399, of galaxies at z < 1.6: the first
# bin is half as wide as the others, and the last ends at the cut.
PUBLISHED_EDGES = (0.0, *(np.arange(399) * 0.004 + 0.002).round(6).tolist(), 1.6)

_TRAINING = (
    "4.32 million galaxies with spectra (SDSS, DESI EDR, DEEP2, GAMA, VVDS, VIPERS, "
    "6dFGS, WiggleZ, ...), z < 1.6, split by row"
)
_CAVEATS = (
    "z > 1.6; stars and quasars; PS1 bands with more than 1 % of bad pixels (left out "
    "of training); the pixel scale of the unWISE images it saw is not certain"
)


def published_cards():
    """
    Cards of the published networks.

    Returns
    -------
    list of ModelCard
        Early fusion, whose weights are public, and late fusion, whose are not.

    Notes
    -----
    Engel et al. 2025 (arXiv:2501.09112). Redshift bins are those of the training; the
    released inference code spreads the same classes over ``linspace(0, 1.6, 400)``,
    which stretches every answer by 400/399. Training drew each class equally often, so
    p(z) is a posterior under a prior that is uniform per class.
    """
    common = {
        "z_edges": PUBLISHED_EDGES,
        "training_sample": _TRAINING,
        "training_prior": UNIFORM,
        "caveats": _CAVEATS,
        "citations": ("arXiv:2501.09112",),
    }
    known = get_file("mantis-shrimp-early")
    early = ModelCard(
        name="mantis-shrimp-early",
        network=EarlyFusionConfig(EncoderConfig.large(9), n_bins=400),
        spec=InputSpec.published_early(),
        description="Early fusion of nine bands: ConvNeXt-Large, 200e6 parameters",
        licence=known.licence,
        file=known.name,
        sha256=known.sha256,
        **common,
    )
    late = ModelCard(
        name="mantis-shrimp-late",
        network=LateFusionConfig(
            galex=EncoderConfig.small(2),
            ps1=EncoderConfig.large(5),
            unwise=EncoderConfig.small(2),
            n_bins=400,
        ),
        spec=InputSpec.published_late(),
        description=(
            "Late fusion of three surveys: an encoder for each; its weights are not "
            "public, so it can be built and trained but not loaded"
        ),
        **common,
    )
    return [early, late]
