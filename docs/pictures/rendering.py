"""The two targets of the page, as three surveys see them."""

import matplotlib.pyplot as plt
import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord

from mantis_astro.plotting import plot_cutouts
from mantis_astro.simulation import Sources, draw_conditions, render_cutouts
from mantis_astro.simulation.uniforms import keys_of

spectrum = np.array([2, 1, 20, 50, 80, 100, 120, 90, 60]) * 1e3  # nJy, nine bands
sources = Sources(
    target=np.array([0, 1, 1]),
    east=np.array([0.0, 0.0, 8.0]),
    north=np.array([0.0, 0.0, 0.0]),
    flux=np.outer([1.0, 0.3, 2.0], spectrum),
    radius=np.array([2.0, 1.0, 0.0]),
    sersic=np.array([1.0, 4.0, 1.0]),
    axis_ratio=np.array([0.5, 0.8, 1.0]),
    position_angle=np.radians([30.0, 120.0, 0.0]),
)
conditions = draw_conditions(keys_of(1, [0, 1]), missing={"galex": 0.0})
coords = SkyCoord([150.1, 210.4], [2.2, 45.0], unit="deg")
first, second = render_cutouts(sources, coords, conditions=conditions)
bands = ["galex.NUV", "ps1.r", "ps1.y", "unwise.W1"]
for cutouts in (first, second):
    figure = plt.figure(figsize=(8.4, 2.4))
    plot_cutouts(cutouts, bands=bands, columns=4, figure=figure, size=30 * u.arcsec)
