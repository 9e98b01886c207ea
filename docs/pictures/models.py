"""What the early-fusion network reads: nine channels on one grid."""

import matplotlib.pyplot as plt
from astropy.coordinates import SkyCoord

from mantis_astro import SimulatedSky
from mantis_astro.models import get_card

sky = SimulatedSky(seed=2, donors="test")
galaxy = sky.catalog(1)
coord = SkyCoord(galaxy["ra"], galaxy["dec"])
spec = get_card("simulated-early").spec
_, cutouts, _ = next(iter(sky.iter_cutouts(coord, spec.bands)))
channels = spec.to_tensor([cutouts], ebv=0.02).images[0]

fig, axes = plt.subplots(1, 9, figsize=(9, 1.4), layout="constrained")
for ax, band, channel in zip(axes, spec.bands, channels, strict=True):
    ax.imshow(channel, origin="lower", cmap="gray_r")
    ax.set(xticks=[], yticks=[])
    ax.set_title(str(band), fontsize=8)
