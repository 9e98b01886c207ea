"""Surveys as instruments: PSF, noise, observing conditions and pixel grids."""
