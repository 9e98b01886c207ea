"""
From a table of galaxies to redshifts
=====================================

This example adds redshift columns to a table of positions. The cutouts come from a
local sky, whose servers use the protocols of the surveys, so that everything runs
offline. For the real servers, leave out the lines that set up the local sky. The
example needs the extra ``demo``.
"""

# %%
# The table
# ---------
#
# Any Astropy table can be used. Positions may be columns ``ra`` and ``dec`` or a
# SkyCoord column, in degrees or as sexagesimal text. This table lists galaxies of a
# simulated sky (:ref:`user-simulation`). Their true redshifts are kept for the
# comparison below. One of the positions is missing.

import matplotlib.pyplot as plt
import numpy as np

from mantis_astro import PhotoZ, RedshiftPDF, SimulatedSky, decode_flags
from mantis_astro.services import conf
from mantis_astro.simulation import LocalSky

galaxies = SimulatedSky(seed=1, donors="test")  # spectra that no training saw
catalog = galaxies.catalog(8)
z_spec = catalog["z_spec"]
table = catalog["ra", "dec", "ebv"]
table.add_column([f"galaxy {i}" for i in range(8)], name="name", index=0)
table["ra"][3] = np.nan
table

# %%
# The model
# ---------
#
# The embedded model needs no download. It was trained on simulated galaxies like these.
# Its card lists its accuracy on other simulated galaxies and its known limits;
# :ref:`user-real-data` lists accuracies on real galaxies. For the published network,
# trained on real galaxies, load ``PhotoZ.from_pretrained("mantis-shrimp-early")``.

photoz = PhotoZ.from_pretrained()
print(photoz.card.description)
print(photoz.card.performance)
print("Caveats:", photoz.card.caveats)

# %%
# Redshifts
# ---------
#
# One call fetches the cutouts and adds the columns. E(B-V) is read from the column
# ``ebv``. ``z_spec`` is the true redshift.

with LocalSky(galaxies) as sky, sky.configure(conf):
    result = photoz.add_redshifts(table)

result["z_spec"] = z_spec
result["name", "z_spec", "z_median", "z_err68_low", "z_err68_high", "flags"]

# %%
# Flags
# -----
#
# The galaxy without a position keeps its row: its estimates are masked, and a flag
# gives the reason. Other rows are not affected. Galaxies outside the footprint of
# GALEX, a third of the sky, are flagged too.

for name, flags in zip(result["name"], result["flags"], strict=True):
    print(f"{name}: {', '.join(decode_flags(flags)) or 'none'}")

# %%
# The whole p(z)
# --------------
#
# The column ``pz`` holds the probability in each bin. `~mantis_astro.RedshiftPDF`
# computes intervals, quantiles and other summaries from it.

pdf = RedshiftPDF.from_table(result)
print(pdf[0])
print(f"probability of z < 0.5: {pdf[0].cdf(0.5):.2f}")
low, high = pdf[0].interval(0.9)
print(f"90 % interval: {low:.3f} to {high:.3f}")

# %%
# p(z) of some galaxies; the true redshifts are dashed:

from mantis_astro.plotting import plot_pdf

figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
some = [1, 2, 4]
plot_pdf(pdf[some], z_spec[some], ax=ax, labels=list(result["name"][some]))
plt.show()

# %%
# Writing the table
# -----------------
#
# ECSV, FITS and Parquet keep all columns, with p(z) and meta.

result.meta["PZMODEL"], result.meta["PZVERS"]
