"""
From a table of galaxies to redshifts
=====================================

A table of positions goes in; the same table with redshift columns comes out. Here the
cutouts come from a sky on this machine, with servers that speak like those of the
surveys, so that everything runs offline; leave out the line that sets it up and the
very same code asks the real ones.
"""

# %%
# The table
# ---------
#
# Any Astropy table will do, with whatever columns it has; ``ra`` and ``dec``, a
# SkyCoord column, degrees or sexagesimal text are all found. One of these positions is
# missing.

import matplotlib.pyplot as plt
import numpy as np
from astropy.table import QTable

from mantis_astro import PhotoZ, RedshiftPDF, decode_flags
from mantis_astro.services import conf
from mantis_astro.simulation.server import LocalSky

table = QTable()
table["name"] = [f"galaxy {i}" for i in range(8)]
table["ra"] = np.linspace(150.0, 150.7, 8)
table["dec"] = np.linspace(2.0, 2.3, 8)
table["ebv"] = np.zeros(8)  # the made sky has no dust
table["ra"][3] = np.nan
table

# %%
# The model
# ---------
#
# The embedded model needs no download. The one of this version is a placeholder,
# trained on made galaxies, and says so; for science load
# ``PhotoZ.from_pretrained("mantis-shrimp-early")``.

photoz = PhotoZ.from_pretrained()
print(photoz.card.description)

# %%
# Redshifts
# ---------
#
# One call fetches the cutouts and adds the columns. The column ``ebv`` is found and
# used.

with LocalSky(seed=1) as sky, sky.configure(conf):
    result = photoz.add_redshifts(table)

result["name", "z_median", "z_err68_low", "z_err68_high", "flags"]

# %%
# Flags
# -----
#
# The galaxy without a position kept its row: its estimates are masked, and the flags
# say why. No other row suffered.

for name, flags in zip(result["name"], result["flags"], strict=True):
    print(name, ", ".join(decode_flags(flags)))

# %%
# The whole p(z)
# --------------
#
# The column ``pz`` holds the probability in each bin. As a `~mantis_astro.RedshiftPDF`
# it can be asked for anything.

pdf = RedshiftPDF.from_table(result)
print(pdf[0])
print("probability of z < 0.3:", pdf[0].cdf(0.3))
print("90 % interval:", pdf[0].interval(0.9))

# %%
# And drawn:

from mantis_astro.plotting import plot_pdf

figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
plot_pdf(pdf[:3], ax=ax, labels=list(result["name"][:3]))
plt.show()

# %%
# Keeping it
# ----------
#
# ECSV, FITS and Parquet keep everything, p(z) and meta included.

result.meta["PZMODEL"], result.meta["PZVERS"]
