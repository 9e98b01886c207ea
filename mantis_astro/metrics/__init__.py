"""Metrics of redshifts: the field's definitions as plain functions, and a table."""

from mantis_astro.metrics.density import (
    cde_loss,
    coverage,
    crps,
    log_score,
    object_scores,
    pit,
)
from mantis_astro.metrics.evaluation import evaluate, summarize
from mantis_astro.metrics.point import (
    bias_mean,
    bias_median,
    delta_z,
    outlier_fraction,
    rail_outlier_fraction,
    sigma_iqr,
    sigma_nmad,
    sigma_std,
)
from mantis_astro.metrics.uniformity import pit_ad, pit_cvm, pit_kld, pit_ks

__all__ = [
    "bias_mean",
    "bias_median",
    "cde_loss",
    "coverage",
    "crps",
    "delta_z",
    "evaluate",
    "log_score",
    "object_scores",
    "outlier_fraction",
    "pit",
    "pit_ad",
    "pit_cvm",
    "pit_kld",
    "pit_ks",
    "rail_outlier_fraction",
    "sigma_iqr",
    "sigma_nmad",
    "sigma_std",
    "summarize",
]
