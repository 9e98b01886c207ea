"""
Fluxes from cutouts: matched apertures, errors, magnitudes and flags.

`measure_photometry` makes one table row for each target, on `photutils`.
"""

from mantis_astro.fluxes import (
    asinh_mag_to_flux,
    column_suffix,
    default_softening,
    flux_to_asinh_mag,
    flux_to_mag_ab,
    mag_ab_to_flux,
    magnitude_error,
    to_flux,
)
from mantis_astro.photometry.apertures import Annulus, Circular, Kron
from mantis_astro.photometry.export import to_eazy, to_prospector
from mantis_astro.photometry.measure import measure_photometry
from mantis_astro.photometry.psf import GaussianPSF, ImagePSF, MoffatPSF

__all__ = [
    "Annulus",
    "Circular",
    "GaussianPSF",
    "ImagePSF",
    "Kron",
    "MoffatPSF",
    "asinh_mag_to_flux",
    "column_suffix",
    "default_softening",
    "flux_to_asinh_mag",
    "flux_to_mag_ab",
    "mag_ab_to_flux",
    "magnitude_error",
    "measure_photometry",
    "to_eazy",
    "to_flux",
    "to_prospector",
]
