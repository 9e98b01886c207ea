"""
Comparison of a sample with the training set: reports, scores and weights.

`ShiftReport.compare` compares two samples; `ReferenceStatistics` is what a model keeps
of its training set, to score each object that it is asked about. Both know feature
matrices, of any model or of plain colours, and no galaxy.
"""

from mantis_astro.shift.changes import Change, find_changes
from mantis_astro.shift.drivers import rank_features
from mantis_astro.shift.features import Features, as_features, find_shared_columns
from mantis_astro.shift.permutations import DomainTest, permutation_p_value
from mantis_astro.shift.reference import ReferenceStatistics
from mantis_astro.shift.report import ShiftReport
from mantis_astro.shift.scores import (
    ledoit_wolf,
    mahalanobis_distance,
    neighbour_distance,
)
from mantis_astro.shift.support import OOD_QUANTILE
from mantis_astro.shift.two_sample import energy_distance, mmd
from mantis_astro.shift.verdict import CLEAR_AUC, LEVEL, STRONG_AUC, severity
from mantis_astro.shift.weights import effective_sample_size

__all__ = [
    "CLEAR_AUC",
    "LEVEL",
    "OOD_QUANTILE",
    "STRONG_AUC",
    "Change",
    "DomainTest",
    "Features",
    "ReferenceStatistics",
    "ShiftReport",
    "as_features",
    "effective_sample_size",
    "energy_distance",
    "find_changes",
    "find_shared_columns",
    "ledoit_wolf",
    "mahalanobis_distance",
    "mmd",
    "neighbour_distance",
    "permutation_p_value",
    "rank_features",
    "severity",
]
