"""Requests, bytes and seconds by tiles and by cutouts, in one band."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from astropy.table import Table

table = Table.read(Path("benchmarks") / "tiles.csv", comment="#", format="csv")
table = table[table["latency"] == 0.05]
table["least"] = np.maximum(table["cpu"], table["network"])
cutouts, tiles = table[0], table[1:]
density = [int(source.split()[1]) for source in tiles["source"]]  # "tiles, 5 each"

fig, axes = plt.subplots(1, 3, figsize=(9.6, 2.8), layout="constrained")
for ax, name, label in zip(
    axes,
    ("requests", "MB", "least"),
    ("Requests", "MB", "Seconds at least"),
    strict=True,
):
    ax.plot(density, tiles[name], "o-", color="#e6550d", label="tiles")
    ax.axhline(cutouts[name], color="#3182bd", label="one request an object")
    ax.set(xscale="log", yscale="log", xlabel="Objects per tile", ylabel=label)
    ax.set_xticks(density, density)
axes[0].legend(frameon=False)
