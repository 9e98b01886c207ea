"""Three objects of a download: each band has an image, no coverage, or a failure."""

import warnings

import matplotlib.pyplot as plt

from mantis_astro import SimulatedSky, SurveyCutouts
from mantis_astro.bands import get_survey
from mantis_astro.exceptions import FetchWarning
from mantis_astro.plotting.brightness import asinh_scaled
from mantis_astro.services import conf
from mantis_astro.simulation import Fault, LocalSky

galaxies = SimulatedSky(seed=2, donors="test")
table = galaxies.catalog(4)[[0, 3, 1]]
bands = ["galex.FUV", "galex.NUV", "ps1.g", "ps1.i", "ps1.y", "unwise.W1", "unwise.W2"]
faults = [Fault(404, match=rf"ra={table['ra'][2].value:.3f}.*unwise")]

fig, axes = plt.subplots(3, len(bands), figsize=(8.5, 3.9), layout="constrained")
with LocalSky(galaxies, faults=faults) as sky, sky.configure(conf):
    source = SurveyCutouts(progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FetchWarning)
        answers = list(source.iter_cutouts(table, bands, ordered=True))
for row, (index, cutouts, statuses) in zip(axes, answers, strict=True):
    row[0].set_ylabel(f"object {index}", fontsize=9)
    for ax, (band, status) in zip(row, statuses.items(), strict=True):
        ax.set(xticks=[], yticks=[])
        if index == 0:
            ax.set_title(str(band), fontsize=9)
        if band in cutouts:
            scale = get_survey(band.survey).pixel_scale.to_value("arcsec")
            data = asinh_scaled(cutouts[band], band, scale)
            ax.imshow(data, origin="lower", cmap="gray_r")
        else:
            state = status.state
            ax.text(0.5, 0.5, state, ha="center", va="center", transform=ax.transAxes)
            ax.set_box_aspect(1)
            ax.set_facecolor("#f6d5d0" if state == "failed" else "#f0f0f0")
