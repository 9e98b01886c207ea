"""p(z) before and after a recalibration that depends on magnitude."""

import matplotlib.pyplot as plt
import numpy as np

from mantis_astro import RedshiftPDF
from mantis_astro.calibration import LocalRecalibration
from mantis_astro.plotting import plot_recalibration

rng = np.random.default_rng(1)
magnitude = rng.uniform(16, 22, 6000)
faint = (magnitude - 19) / 3
centre = rng.uniform(0.4, 1.0, 6000)
z_spec = rng.normal(centre, 0.04)
pdf = RedshiftPDF.from_gaussians(
    np.linspace(0, 1.6, 321), centre + 0.02 * faint, 0.04 * np.exp(0.5 * faint)
)
fit, test = slice(0, 3000), slice(3000, 6000)
local = LocalRecalibration().fit(pdf[fit], z_spec[fit], features=magnitude[fit])
bright = magnitude[test] < 18
before = pdf[test][bright]
after = local.transform(before, features=magnitude[test][bright])
fig, axes = plt.subplots(1, 2, figsize=(8.4, 3.4), layout="constrained")
plot_recalibration(before, after, z_spec[test][bright], axes=axes)
