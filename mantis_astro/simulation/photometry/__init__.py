"""Simulated catalogues of fluxes in any filters: sources, and their observation."""
