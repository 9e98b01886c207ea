"""Galaxies, quasars and stars: what there is on the sky, and how it shines."""
