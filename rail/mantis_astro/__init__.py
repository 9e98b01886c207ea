"""
Stages of mantis_astro, where RAIL looks for those of other packages.

A part of the namespace ``rail``, which has no file of its own: RAIL imports all that
is in it.
"""

from mantis_astro.rail import AnyBandEstimator, AnyBandInformer

__all__ = ["AnyBandEstimator", "AnyBandInformer"]
