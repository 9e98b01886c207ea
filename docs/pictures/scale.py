"""A cumulative p(z), and what 21 quantiles keep of it."""

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import ndtr

from mantis_astro import RedshiftPDF

edges = np.linspace(0, 1.5, 301)
parts = RedshiftPDF.from_gaussians(edges, [0.32, 0.6], [0.03, 0.08])
pdf = RedshiftPDF(edges, [0.35, 0.65] @ parts.probability)
level = ndtr(0.3 * np.arange(-10, 11))
z = pdf.ppf(level).value

fig, ax = plt.subplots(figsize=(6.4, 3), layout="constrained")
ax.plot(edges, pdf.cdf(edges), color="#999999", lw=4, label="all bins (2 kB)")
ax.plot(z, level, "o", ms=5, color="#e6550d", label="21 quantiles (84 bytes)")
ax.set(xlabel="Redshift", ylabel="Cumulative p(z)", xlim=(0.15, 1))
ax.legend(frameon=False)
