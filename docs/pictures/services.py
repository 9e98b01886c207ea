"""Nine bands of one galaxy, as the surveys' servers deliver them."""

import matplotlib.pyplot as plt
from astropy.coordinates import SkyCoord

from mantis_astro import SimulatedSky
from mantis_astro.plotting import plot_cutouts

sky = SimulatedSky(seed=2, donors="test")
galaxy = sky.catalog(1)
coord = SkyCoord(galaxy["ra"], galaxy["dec"])
bands = ["galex.FUV", "galex.NUV", *(f"ps1.{name}" for name in "grizy")]
bands += ["unwise.W1", "unwise.W2"]
_, cutouts, _ = next(iter(sky.iter_cutouts(coord, bands)))
figure = plt.figure(figsize=(8.5, 3.8))
plot_cutouts(cutouts, bands=bands, columns=5, figure=figure)
