"""Requests and bytes by tiles and by cutouts, for 2,000 objects in one band."""

import matplotlib.pyplot as plt

density = [1, 5, 25]  # objects on a tile
requests = [4000, 1900, 480]
megabytes = [1830, 1480, 1220]

fig, axes = plt.subplots(1, 2, figsize=(8, 2.8), layout="constrained")
for ax, values, cutouts, label in (
    (axes[0], requests, 2010, "Requests"),
    (axes[1], megabytes, 245, "MB"),
):
    ax.plot(density, values, "o-", color="#e6550d", label="tiles")
    ax.axhline(cutouts, color="#3182bd", label="one request an object")
    ax.set(xscale="log", yscale="log", xlabel="Objects per tile", ylabel=label)
    ax.set_xticks(density, density)
axes[1].legend(frameon=False, loc="center right")
