"""The same aperture on the images of two surveys."""

import astropy.units as u
import matplotlib.pyplot as plt
from astropy.coordinates import SkyCoord
from matplotlib.patches import Ellipse

from mantis_astro import SimulatedSky, measure_photometry
from mantis_astro.plotting import plot_cutouts

sky = SimulatedSky(seed=2, donors="test")
galaxy = sky.catalog(4)[3:]
coord = SkyCoord(galaxy["ra"], galaxy["dec"])
bands = ["ps1.g", "ps1.r", "ps1.i", "unwise.W1"]
_, cutouts, _ = next(iter(sky.iter_cutouts(coord, bands)))
row = measure_photometry(cutouts)[0]

figure = plt.figure(figsize=(8.4, 2.5))
plot_cutouts(
    cutouts, bands=bands, columns=4, figure=figure, mark=False, size=30 * u.arcsec
)
major, minor = (2 * row[name].to_value(u.arcsec) for name in ("semimajor", "semiminor"))
for ax, band in zip(figure.axes, bands, strict=True):
    ellipse = Ellipse((0, 0), major, minor, fill=False, ec="#e6550d", lw=1.5)
    ellipse.angle = 90 + row["position_angle"].to_value(u.deg)
    ax.add_patch(ellipse)
    flux = row[f"flux_{band.replace('.', '_')}"].to_value(u.uJy)
    ax.set_xlabel(f"{flux:.0f} µJy")
