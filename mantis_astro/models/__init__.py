"""
Networks, their inputs, and files of their weights.

Two doors: `InputSpec.to_tensor` (or `PhotometrySpec.to_tensor`) makes tensors of
cutouts (or of a table of fluxes); `predict_probability` runs a network over them.
Between the two there is only torch.
"""

from mantis_astro.models.absent_bands import without_bands
from mantis_astro.models.acceleration import accelerate
from mantis_astro.models.attribution import shapley_values
from mantis_astro.models.attribution_table import attribution_by_redshift
from mantis_astro.models.band_sets import BandSetSpec
from mantis_astro.models.card import ModelCard
from mantis_astro.models.checkpoints import load_model, save_model
from mantis_astro.models.committee import Committee, CommitteeConfig
from mantis_astro.models.encoders import EncoderConfig
from mantis_astro.models.geometry import CommonGrid, NativeCrops, SurveyGrids
from mantis_astro.models.heads import RedshiftNetwork
from mantis_astro.models.inference import (
    predict_both,
    predict_features,
    predict_probability,
)
from mantis_astro.models.inputs import InputSpec, NetworkInput
from mantis_astro.models.networks import (
    EarlyFusion,
    EarlyFusionConfig,
    LateFusion,
    LateFusionConfig,
    Photometric,
    PhotometricConfig,
    SurveyFusionConfig,
    build_network,
)
from mantis_astro.models.onnx_session import OnnxNetwork
from mantis_astro.models.photometric_inputs import PhotometrySpec
from mantis_astro.models.registry import (
    DEFAULT_MODEL,
    default_table_model,
    get_card,
    list_models,
    register_model,
)
from mantis_astro.models.set_network import BandSet, BandSetConfig

__all__ = [
    "DEFAULT_MODEL",
    "BandSet",
    "BandSetConfig",
    "BandSetSpec",
    "Committee",
    "CommitteeConfig",
    "CommonGrid",
    "EarlyFusion",
    "EarlyFusionConfig",
    "EncoderConfig",
    "InputSpec",
    "LateFusion",
    "LateFusionConfig",
    "ModelCard",
    "NativeCrops",
    "NetworkInput",
    "OnnxNetwork",
    "Photometric",
    "PhotometricConfig",
    "PhotometrySpec",
    "RedshiftNetwork",
    "SurveyFusionConfig",
    "SurveyGrids",
    "accelerate",
    "attribution_by_redshift",
    "build_network",
    "default_table_model",
    "get_card",
    "list_models",
    "load_model",
    "predict_both",
    "predict_features",
    "predict_probability",
    "register_model",
    "save_model",
    "shapley_values",
    "without_bands",
]
