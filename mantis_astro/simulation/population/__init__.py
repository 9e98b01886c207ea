"""Galaxies, quasars and stars of the simulated sky, and their spectra."""
