"""Redshifts of simulated galaxies, with the flags of each row."""

import matplotlib.pyplot as plt
import numpy as np
from astropy.table import QTable

from mantis_astro import Flag, PhotoZ, SimulatedSky

galaxies = SimulatedSky(seed=3, donors="test").catalog(250)
rng = np.random.default_rng(1)
table = QTable({"z_spec": galaxies["z_spec"]})
for name in galaxies.colnames:
    if name.startswith("flux_"):
        flux = galaxies[name]
        error = np.hypot(0.03 * flux.value, 500) * flux.unit
        table[name] = flux + rng.normal(size=len(flux)) * error
        table["flux_err_" + name.removeprefix("flux_")] = error
photoz = PhotoZ.from_pretrained("simulated-photometric")
output = photoz.add_redshifts(table, ebv=galaxies["ebv"])
doubt = (output["flags"] & (Flag.BROAD | Flag.MULTIMODAL | Flag.OOD_FEATURE)) != 0

fig, ax = plt.subplots(figsize=(5.2, 4.2), layout="constrained")
z = np.asarray(output["z_median"])
errors = np.array([z - output["z_err68_low"], output["z_err68_high"] - z])
for chosen, label, colour in (
    (~doubt, "no flag", "#3182bd"),
    (doubt, "BROAD, MULTIMODAL\nor OOD_FEATURE", "#e6550d"),
):
    ax.errorbar(
        output["z_spec"][chosen],
        z[chosen],
        yerr=errors[:, chosen],
        fmt=".",
        ms=4,
        lw=0.6,
        color=colour,
        label=label,
    )
ax.plot([0, 1.3], [0, 1.3], color="black", lw=0.8)
ax.set(xlabel="True redshift", ylabel="z_median, with the 68 % interval")
ax.set(xlim=(0, 1.3), ylim=(0, 1.3))
ax.legend(frameon=False, loc="upper left")
