"""Early fusion, late fusion and fluxes alone, on the same simulated galaxies."""

from pathlib import Path

import matplotlib.pyplot as plt
from astropy.table import Table

table = Table.read(Path("benchmarks") / "fusion.csv", comment="#", format="csv")[:3]
fig, axes = plt.subplots(1, 3, figsize=(8.4, 2.3), layout="constrained")
for ax, name, label, scale in (
    (axes[0], "sigma_nmad", "sigma_nmad", 1),
    (axes[1], "outlier_fraction_015", "Beyond 0.15 (%)", 100),
    (axes[2], "crps", "CRPS", 1),
):
    values, errors = scale * table[name], scale * table[f"{name}_err"]
    ax.errorbar(values, table["what"], xerr=errors, fmt="o", color="#3182bd", capsize=3)
    ax.set_xlabel(label)
    ax.margins(0.2, 0.4)
    ax.invert_yaxis()
for ax in axes[1:]:
    ax.set_yticklabels([])
