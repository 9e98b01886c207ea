"""Photometric against spectroscopic redshifts."""

import matplotlib.pyplot as plt
import numpy as np

from mantis_astro.plotting import plot_zz

rng = np.random.default_rng(2)
z_spec = rng.uniform(0.05, 0.9, 400)
z_phot = z_spec + 0.02 * (1 + z_spec) * rng.standard_t(2.5, 400)
fig, ax = plt.subplots(figsize=(4.4, 5))
plot_zz(z_phot.clip(0), z_spec, ax=ax)
