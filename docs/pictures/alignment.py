"""Three surveys before and after alignment."""

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
from astropy.coordinates import SkyCoord

from mantis_astro import SimulatedSky, align, common_wcs

sky = SimulatedSky(seed=2, donors="test")
galaxy = sky.catalog(1)
coord = SkyCoord(galaxy["ra"], galaxy["dec"])
bands = ["galex.NUV", "ps1.r", "unwise.W1"]
_, cutouts, _ = next(iter(sky.iter_cutouts(coord, bands)))
aligned = align(cutouts, common_wcs(coord[0], 30 * u.arcsec, 0.25 * u.arcsec))

fig, axes = plt.subplots(2, 3, figsize=(6.4, 4.5), layout="constrained")
for row, images in zip(axes, (cutouts, aligned), strict=True):
    for ax, (band, image) in zip(row, images.items(), strict=True):
        data = np.where(np.isfinite(image.data), image.data, np.nan)
        low, high = np.nanpercentile(data, [5, 99.5])
        ax.imshow(data, origin="lower", cmap="gray_r", vmin=low, vmax=high)
        ax.set(xticks=[], yticks=[])
        ax.set_title(f"{band}, {data.shape[1]} x {data.shape[0]} pixels", fontsize=9)
axes[0, 0].set_ylabel("as served")
axes[1, 0].set_ylabel("aligned")
