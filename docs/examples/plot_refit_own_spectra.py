"""
Refit on your own spectra
=========================

A survey's zero points are off by a few tenths of a magnitude, and the redshifts with
them. Some hundred spectra of one's own put much of that right: the last layer of the
network is solved for, seconds instead of a training, and kept only if galaxies that
were held out agree. Galaxies here are made up, and so is the trouble with them, so that
everything runs offline.
"""

# %%
# Galaxies with spectra, and galaxies without
# -------------------------------------------
#
# The fluxes of both come from the same survey, with the same wrong zero points.
# Redshifts of the second sample are only used at the end, to see what happened.

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
from astropy.table import QTable, vstack

from mantis_astro import PhotoZ, evaluate
from mantis_astro.plotting import plot_zz
from mantis_astro.refitting import feature_table
from mantis_astro.simulation.server.made_spectra import draw_made_galaxies, made_fluxes

photoz = PhotoZ.from_pretrained("simulated-photometric")
zero_points = np.array([0.3, -0.3, 0.3, -0.2, 0.2, -0.3, 0.2, 0.3, -0.3])


def observe(n, seed):
    rng = np.random.default_rng(seed)
    z, kind, mag_i = draw_made_galaxies(n, rng)
    flux = made_fluxes(z, kind, mag_i, photoz.card.bands) * 10 ** (-0.4 * zero_points)
    error = np.hypot(300, 0.02 * flux)
    flux = flux + rng.normal(0, error)
    table = QTable({"z_spec": z})
    for j, band in enumerate(photoz.card.bands):
        name = str(band).replace(".", "_")
        table[f"flux_{name}"] = flux[:, j] * u.nJy
        table[f"flux_err_{name}"] = error[:, j] * u.nJy
    return table


spectra, targets = observe(500, seed=1), observe(2000, seed=2)

# %%
# The refit
# ---------
#
# The report says what was done and what the galaxies held out think of it.

mine, report = photoz.refit(spectra, spectra["z_spec"], ebv=0.0, rng=1)
print(report)

# %%
# The same as a table, for a notebook or a paper:

report.to_table()

# %%
# Did it help?
# ------------
#
# On the targets, which neither the fit nor the decision saw:

before = photoz.predict(targets, ebv=0.0)
after = mine.predict(targets, ebv=0.0)
table = vstack(
    [
        evaluate(before, targets["z_spec"], sample="before"),
        evaluate(after, targets["z_spec"], sample="after"),
    ]
)
table["sample", "sigma_nmad", "outlier_fraction_005", "outlier_fraction_015", "crps"]

# %%
# Redshift against redshift, before and after:

figure, axes = plt.subplots(1, 2, figsize=(9, 4.5), layout="constrained")
for ax, pdf, title in zip(axes, (before, after), ("before", "after"), strict=True):
    plot_zz(pdf.median(), targets["z_spec"], ax=ax)
    ax.set_title(f"{title}\n{ax.get_title(loc='left')}", loc="left", fontsize="small")

# %%
# A sample with nothing to teach
# ------------------------------
#
# Ten galaxies cannot show an improvement, and the model comes back as it was.

same, report = photoz.refit(spectra[:10], spectra["z_spec"][:10], ebv=0.0)
print(report)
print(same is photoz)

# %%
# Keep it
# -------
#
# The card of the new model says what it was refitted to.

print(mine.card.training_sample)
mine.save("mine.safetensors")
print(PhotoZ.from_file("mine.safetensors"))

# %%
# Why this answer?
# ----------------
#
# The galaxies with spectra that the network takes for the most alike, and what they
# weigh:

mine.explain(targets[:2], feature_table(photoz, spectra, ebv=0.0), ebv=0.0)[
    "object", "rank", "reference", "similarity", "weight", "z_spec"
]
