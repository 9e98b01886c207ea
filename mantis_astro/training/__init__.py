"""Train a network: configuration, data, losses and one loop."""

from mantis_astro.training.batches.batch import ArrayData, TrainingBatch, TrainingData
from mantis_astro.training.batches.producer import WorkerError
from mantis_astro.training.batches.sampling import split_by_sky
from mantis_astro.training.configuration import (
    AugmentationConfig,
    InitializationConfig,
    LossConfig,
    OptimizerConfig,
    TrainingConfig,
    ValidationConfig,
    list_recipes,
)
from mantis_astro.training.data.any_bands import AnyBandData
from mantis_astro.training.data.fresh_galaxies import iter_simulated, predict_simulated
from mantis_astro.training.data.rendered import RenderedData
from mantis_astro.training.data.simulated import SimulatedData
from mantis_astro.training.data.stores import StoreData
from mantis_astro.training.data.tables import SkySplit, TableData
from mantis_astro.training.finetuning import finetune
from mantis_astro.training.finetuning_report import FinetuningReport
from mantis_astro.training.loop import TrainingError, TrainingResult, describe, train
from mantis_astro.training.optimization.losses import register_loss
from mantis_astro.training.own_bands import train_photometric

__all__ = [
    "AnyBandData",
    "ArrayData",
    "AugmentationConfig",
    "FinetuningReport",
    "InitializationConfig",
    "LossConfig",
    "OptimizerConfig",
    "RenderedData",
    "SimulatedData",
    "SkySplit",
    "StoreData",
    "TableData",
    "TrainingBatch",
    "TrainingConfig",
    "TrainingData",
    "TrainingError",
    "TrainingResult",
    "ValidationConfig",
    "WorkerError",
    "describe",
    "finetune",
    "iter_simulated",
    "list_recipes",
    "predict_simulated",
    "register_loss",
    "split_by_sky",
    "train",
    "train_photometric",
]
