"""What a sample without redshifts tells about its own photometry."""

from mantis_astro.adaptation.zero_points import ZeroPoints, fit_zero_points

__all__ = ["ZeroPoints", "fit_zero_points"]
