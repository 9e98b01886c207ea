"""p(z) of the three galaxies of SDSS on the page."""

import matplotlib.pyplot as plt
from astropy.table import Table

from mantis_astro import PhotoZ, RedshiftPDF, read_photometry
from mantis_astro.plotting import plot_pdf

rows = Table()
for band, values in {
    "u": [20.28, 20.62, 23.08],
    "g": [18.37, 18.95, 21.71],
    "r": [17.46, 17.72, 20.02],
    "i": [17.05, 17.25, 19.26],
    "z": [16.74, 16.96, 18.91],
}.items():
    rows[f"modelMag_{band}"] = values
    rows[f"modelMagErr_{band}"] = [0.3 if band == "u" else 0.02] * 3
photoz = PhotoZ.from_pretrained("any-band")
table = photoz.add_redshifts(read_photometry(rows, survey="sdss"), ebv=0.03)

fig, ax = plt.subplots(layout="constrained")
plot_pdf(RedshiftPDF.from_table(table), ax=ax, labels=["1", "2", "3"])
ax.set_xlim(0, 0.8)
