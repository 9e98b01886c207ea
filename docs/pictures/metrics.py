"""Point estimates against true redshifts, and the PIT of p(z)."""

import matplotlib.pyplot as plt
import numpy as np

from mantis_astro import RedshiftPDF
from mantis_astro.plotting import plot_pit, plot_zz

rng = np.random.default_rng(1)
z_spec = rng.uniform(0.2, 0.8, 2000)
z_phot = z_spec + rng.normal(0, 0.02, 2000)
pdf = RedshiftPDF.from_gaussians(np.linspace(0, 1, 201), z_phot, 0.02)

fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.6), layout="constrained")
plot_zz(pdf.median(), z_spec, ax=left)
plot_pit(pdf, z_spec, ax=right)
