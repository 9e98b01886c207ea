"""How many spectroscopic redshifts each method needs."""

import matplotlib.pyplot as plt

METHODS = [  # accepted from, recommended from
    ("shift report, adapt", 0, 0),
    ("recalibrate", 20, 100),
    ("evaluate", 1, 100),
    ("refit", 50, 100),
    ("fine-tune", 30, 300),
    ("train_photometric", 30, 3000),
]
MOST = 3e4

fig, ax = plt.subplots(figsize=(6.4, 2.9), layout="constrained")
for row, (_, accepted, recommended) in enumerate(METHODS):
    start = max(accepted, 1)
    ax.barh(row, MOST - start, left=start, color="#9ecae1", height=0.55)
    start = max(recommended, 1)
    ax.barh(row, MOST - start, left=start, color="#3182bd", height=0.55)
ax.set_yticks(range(len(METHODS)), [name for name, _, _ in METHODS])
ax.invert_yaxis()
ax.set_xscale("log")
ax.set_xlim(1, MOST)
ax.set_xticks([1, 10, 100, 1000, 10000], ["none", "10", "100", "1,000", "10,000"])
ax.set_xlabel("Galaxies with a spectroscopic redshift")
ax.spines[["top", "right"]].set_visible(False)
