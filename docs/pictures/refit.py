"""Redshifts of held-out galaxies before and after a refit."""

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
from astropy.table import QTable

from mantis_astro import PhotoZ
from mantis_astro.simulation.server.made_spectra import draw_made_galaxies, made_fluxes

photoz = PhotoZ.from_pretrained("simulated-photometric")
rng = np.random.default_rng(1)
z_spec, kind, mag_i = draw_made_galaxies(1200, rng)
flux = made_fluxes(z_spec, kind, mag_i, photoz.card.bands)
flux = flux * rng.normal(1, 0.03, flux.shape)
flux *= [0.76, 1.32, 0.76, 1.2, 0.83, 1.32, 0.83, 0.76, 1.32]  # zero points are off
table = QTable()
for j, band in enumerate(photoz.card.bands):
    name = str(band).replace(".", "_")
    table[f"flux_{name}"] = flux[:, j] * u.nJy
    table[f"flux_err_{name}"] = np.hypot(0.03 * flux[:, j], 300) * u.nJy
mine, report = photoz.refit(table[:600], z_spec[:600], method="ridge", rng=1, ebv=0.0)

fig, axes = plt.subplots(
    1, 2, figsize=(7, 3.3), layout="constrained", sharex=True, sharey=True
)
for ax, model, title in zip(axes, (photoz, mine), ("before", "after"), strict=True):
    z_phot = model.predict(table[600:], ebv=0.0).median().value
    ax.plot(z_spec[600:], z_phot, ".", ms=3)
    ax.plot([0, 1.2], [0, 1.2], "k", lw=0.8)
    ax.set(title=title, xlabel="Spectroscopic redshift", xlim=(0, 1.2), ylim=(0, 1.2))
axes[0].set_ylabel("Photometric redshift")
