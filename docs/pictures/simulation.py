"""Redshifts and colours of the simulated sky, by the survey that selects them."""

import matplotlib.pyplot as plt
import numpy as np

from mantis_astro.simulation import GalaxyPopulation

population = GalaxyPopulation(seed=1, bands=["ps1.g", "ps1.r", "ps1.i"])
sample = population.draw(4000)
colour = -2.5 * np.log10(sample.flux[:, 0] / sample.flux[:, 1])
kinds = ["main", "bgs", "lrg", "elg", "faint"]
kinds = [kind for kind in kinds if (sample.kind == kind).any()]
colours = dict(zip(kinds, plt.get_cmap("tab10").colors, strict=False))

fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.2), layout="constrained")
left.hist(
    [sample.z[sample.kind == kind] for kind in kinds],
    bins=np.linspace(0, 1.2, 41),
    stacked=True,
    label=kinds,
    color=list(colours.values()),
)
left.set(xlabel="Redshift", ylabel="Galaxies")
left.legend(frameon=False)
for kind in kinds:
    chosen = sample.kind == kind
    right.plot(sample.z[chosen], colour[chosen], ".", ms=2, color=colours[kind])
right.set(xlabel="Redshift", ylabel="g - r", xlim=(0, 1.2), ylim=(-0.2, 2.2))
