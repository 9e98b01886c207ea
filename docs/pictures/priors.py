"""A p(z) as a prior: with its floor, and tempered."""

import matplotlib.pyplot as plt
import numpy as np

from mantis_astro import RedshiftPDF

edges = np.linspace(0, 1.6, 401)
pdf = RedshiftPDF.from_gaussians(edges, 0.5, 0.05)
z = np.linspace(0.001, 1.599, 1200)

fig, ax = plt.subplots(figsize=(6.4, 3), layout="constrained")
ax.plot(z, pdf.pdf(z), color="#999999", lw=4, label="p(z)")
ax.plot(z, pdf.to_prior().pdf(z), color="#3182bd", label="to_prior(), floor 0.001")
tempered = pdf.to_prior(temper=0.5)
ax.plot(z, tempered.pdf(z), color="#e6550d", label="to_prior(temper=0.5)")
ax.set(yscale="log", ylim=(1e-4, 30), xlim=(0, 1.6))
ax.set(xlabel="Redshift", ylabel="Prior density")
ax.legend(frameon=False)
