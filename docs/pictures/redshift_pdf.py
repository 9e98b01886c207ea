"""A p(z) with two peaks, and the numbers that describe it."""

import matplotlib.pyplot as plt
import numpy as np

from mantis_astro import RedshiftPDF

edges = np.linspace(0, 1.5, 301)
parts = RedshiftPDF.from_gaussians(edges, [0.2, 0.9], [0.02, 0.03])
pdf = RedshiftPDF(edges, [0.3, 0.7] @ parts.probability)
z = np.linspace(0, 1.5, 1501)
density = pdf.pdf(z).value

fig, ax = plt.subplots(figsize=(8, 3.2), layout="constrained")
ax.plot(z, density, color="black", lw=1.2)
low, high = pdf.interval(0.68)
ax.axvspan(low.value, high.value, color="#deebf7", label="interval(0.68)")
for left, right in pdf.hpd_regions(0.9).value:
    inside = (z >= left) & (z <= right)
    ax.fill_between(
        z[inside], density[inside], color="#fdae6b", label="hpd_regions(0.9)"
    )
for name, style in {"median": "-", "mean": "--", "mode": ":"}.items():
    ax.axvline(getattr(pdf, name)().value, color="#08519c", ls=style, label=name + "()")
names = dict(zip(*ax.get_legend_handles_labels()[::-1], strict=True))
fig.legend(names.values(), names.keys(), frameon=False, loc="outside right upper")
ax.set(xlabel="Redshift", ylabel="p(z)", xlim=(0, 1.2), ylim=(0, None))
