"""Catalogues of fluxes in any filters: what is in the sky, and how surveys see it."""
