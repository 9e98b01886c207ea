"""Train a network: configuration, data, losses and one loop."""

from mantis_astro.training.config import (
    AugmentationConfig,
    InitializationConfig,
    LossConfig,
    OptimizerConfig,
    TrainingConfig,
    ValidationConfig,
    list_recipes,
)
from mantis_astro.training.data import ArrayData, TrainingBatch, TrainingData
from mantis_astro.training.finetuning import FinetuningReport, finetune
from mantis_astro.training.fresh_galaxies import iter_simulated, predict_simulated
from mantis_astro.training.loop import TrainingError, TrainingResult, describe, train
from mantis_astro.training.producer import WorkerError
from mantis_astro.training.rendered import RenderedData
from mantis_astro.training.sampling import split_by_sky
from mantis_astro.training.simulated import SimulatedData
from mantis_astro.training.stores import StoreData
from mantis_astro.training.tables import SkySplit, TableData

__all__ = [
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
    "split_by_sky",
    "train",
]
