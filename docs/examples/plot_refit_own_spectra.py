"""
Refit on your own spectra
=========================

The zero points of a survey are wrong by a few tenths of a magnitude, and redshifts are
biased. Some hundred spectra correct most of this: a refit solves for the last layer of
the network in seconds, and keeps it only if it improves held-out galaxies. Galaxies and
errors are artificial, so that everything runs offline.
"""

# %%
# Galaxies with spectra, and galaxies without
# -------------------------------------------
#
# Both samples have fluxes of the same survey, with the same wrong zero points.
# Redshifts of the second sample are used only for the final comparison.

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
# The report lists the fit and the metrics of the held-out galaxies.

mine, report = photoz.refit(spectra, spectra["z_spec"], ebv=0.0, rng=1)
print(report)

# %%
# The report as a table, for a notebook or a paper:

report.to_table()

# %%
# Before and after
# ----------------
#
# Metrics of the targets, which neither the fit nor the decision used:

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
# Photometric against spectroscopic redshift, before and after:

figure, axes = plt.subplots(1, 2, figsize=(9, 4.5), layout="constrained")
for ax, pdf, title in zip(axes, (before, after), ("before", "after"), strict=True):
    plot_zz(pdf.median(), targets["z_spec"], ax=ax)
    ax.set_title(f"{title}\n{ax.get_title(loc='left')}", loc="left", fontsize="small")

# %%
# A sample that is too small
# --------------------------
#
# Ten galaxies cannot prove an improvement: the original model is returned.

same, report = photoz.refit(spectra[:10], spectra["z_spec"][:10], ebv=0.0)
print(report)
print(same is photoz)

# %%
# Saving the model
# ----------------
#
# The card of the new model describes the sample of the refit.

print(mine.card.training_sample)
mine.save("mine.safetensors")
print(PhotoZ.from_file("mine.safetensors"))

# %%
# Explanation of a p(z)
# ---------------------
#
# The galaxies with the most similar features, and their weights:

mine.explain(targets[:2], feature_table(photoz, spectra, ebv=0.0), ebv=0.0)[
    "object", "rank", "reference", "similarity", "weight", "z_spec"
]
