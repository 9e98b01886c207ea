"""A galaxy of the default local sky, and one of the simulated sky, as served."""

import matplotlib.pyplot as plt
from astropy.coordinates import SkyCoord

from mantis_astro import SimulatedSky, SurveyCutouts
from mantis_astro.bands import get_survey
from mantis_astro.plotting.brightness import asinh_scaled
from mantis_astro.services import conf
from mantis_astro.simulation import LocalSky

bands = ["galex.NUV", "ps1.g", "ps1.r", "ps1.i", "unwise.W1"]
galaxies = SimulatedSky(seed=2, donors="test")
skies = {
    "default": (LocalSky(seed=1), SkyCoord([150.1], [2.2], unit="deg")),
    "SimulatedSky": (LocalSky(galaxies), galaxies.catalog(1)),
}

fig, axes = plt.subplots(2, len(bands), figsize=(7.6, 3.4), layout="constrained")
for row, (name, (sky, positions)) in zip(axes, skies.items(), strict=True):
    with sky, sky.configure(conf):
        source = SurveyCutouts(progress=False)
        ((_, cutouts, _),) = source.iter_cutouts(positions, bands)
    for ax, (band, image) in zip(row, cutouts.items(), strict=True):
        scale = get_survey(band.survey).pixel_scale.to_value("arcsec")
        ax.imshow(asinh_scaled(image, band, scale), origin="lower", cmap="gray_r")
        ax.set(xticks=[], yticks=[])
        ax.set_title(str(band), fontsize=9)
    row[0].set_ylabel(name)
