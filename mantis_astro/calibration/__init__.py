"""Recalibrate densities of redshift from galaxies whose redshift is known."""
