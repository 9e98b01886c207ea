"""Zero points of the photometry of a sample without redshifts."""

from mantis_astro.adaptation.zero_points import ZeroPoints, fit_zero_points

__all__ = ["ZeroPoints", "fit_zero_points"]
