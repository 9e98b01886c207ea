"""Magnitudes of three galaxies, and the p(z) that follow from them."""

import matplotlib.pyplot as plt
import numpy as np
from astropy.table import Table

from mantis_astro import PhotoZ, RedshiftPDF, read_photometry
from mantis_astro.bands import get_band
from mantis_astro.plotting import plot_pdf

rows = Table()
for band, mags in zip(
    "griz",
    [
        (18.9, 21.0, 20.9),
        (18.1, 19.6, 19.9),
        (17.7, 19.1, 19.3),
        (17.5, 18.8, -999.0),
    ],
    strict=True,
):
    rows[f"{band}KronMag"], rows[f"{band}KronMagErr"] = mags, [0.02, 0.03, 0.04]
table = read_photometry(rows, survey="ps1")
table = PhotoZ.from_pretrained("any-band").add_redshifts(table, ebv=0.02)

fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.1), layout="constrained")
bands = [get_band(f"ps1.{name}") for name in "griz"]
pivot = np.array([band.pivot.to_value("um") for band in bands])
flux = np.array([table[f"flux_ps1_{b.name}"].filled(np.nan).value for b in bands]) / 1e3
for i, name in enumerate("123"):
    left.plot(pivot, flux[:, i], "o-", label=f"objID {name}")
left.set(xlabel="Wavelength (µm)", ylabel="Flux (µJy)", yscale="log")
left.legend(frameon=False)
plot_pdf(RedshiftPDF.from_table(table), ax=right, labels=["1", "2", "3"])
right.set_xlim(0, 0.9)
