"""Astrometry: directions on the sky and pixels of images."""
