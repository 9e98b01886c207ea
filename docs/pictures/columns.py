"""The columns of one galaxy, on its p(z)."""

import matplotlib.pyplot as plt
import numpy as np

from mantis_astro import RedshiftPDF

edges = np.linspace(0, 1.2, 401)
parts = RedshiftPDF.from_gaussians(edges, [0.36, 0.47, 0.95], [0.04, 0.07, 0.03])
pdf = RedshiftPDF(edges, [[0.5, 0.35, 0.15]] @ parts.probability)
row = pdf.to_table()[0]

fig, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
ax.stairs(pdf[0].probability / pdf.bin_widths, edges, color="black")
top = ax.get_ylim()[1]
points = ["z_mode", "z_risk", "z_median", "z_mean", "z_sec"]
for i, name in enumerate(points):
    ax.axvline(row[name], color=f"C{i}", lw=1.2, label=f"{name} = {row[name]:.3f}")
for level, height in (("68", 1.08), ("95", 1.2)):
    low, high = row[f"z_err{level}_low"], row[f"z_err{level}_high"]
    ax.annotate(
        "",
        (low, height * top),
        (high, height * top),
        arrowprops={"arrowstyle": "|-|,widthA=0.3,widthB=0.3", "color": "#3182bd"},
    )
    text = f" z_err{level}_low, z_err{level}_high"
    ax.text(high + 0.01, height * top, text, va="center", fontsize=9, color="#3182bd")
ax.set(xlabel="Redshift", ylabel="p(z)", ylim=(0, 1.28 * top), xlim=(0.15, 1.2))
ax.legend(frameon=False, loc="center right", title=f"p_sec = {row['p_sec']:.2f}")
