"""
From a table of galaxies to redshifts
=====================================

A table of positions goes in; the same table with redshift columns comes out. Here the
cutouts come from a sky on this machine, with servers that speak like those of the
surveys, so that everything runs offline; leave out the lines that set it up and the
very same code asks the real ones. Needs the extra ``demo``.
"""

# %%
# The table
# ---------
#
# Any Astropy table will do, with whatever columns it has; ``ra`` and ``dec``, a
# SkyCoord column, degrees or sexagesimal text are all found. This one lists galaxies of
# a simulated sky (:ref:`user-simulation`), whose true redshifts are known: we keep
# them apart for later. One of the positions is missing.

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
# The embedded model needs no download. It was trained on simulated galaxies like these;
# its card says how good it is on others of them and where not to trust it, and
# :ref:`user-real-data` what it is worth on real ones. For the published network,
# trained on real galaxies, load ``PhotoZ.from_pretrained("mantis-shrimp-early")``.

photoz = PhotoZ.from_pretrained()
print(photoz.card.description)
print(photoz.card.performance)
print("Caveats:", photoz.card.caveats)

# %%
# Redshifts
# ---------
#
# One call fetches the cutouts and adds the columns. The column ``ebv`` is found and
# used. Beside them we put the truth, which nobody knows of real galaxies before a
# spectrum is taken.

with LocalSky(galaxies) as sky, sky.configure(conf):
    result = photoz.add_redshifts(table)

result["z_spec"] = z_spec
result["name", "z_spec", "z_median", "z_err68_low", "z_err68_high", "flags"]

# %%
# Flags
# -----
#
# The galaxy without a position kept its row: its estimates are masked, and the flags
# say why. No other row suffered. GALEX has not looked at a third of the sky, which is
# flagged too.

for name, flags in zip(result["name"], result["flags"], strict=True):
    print(f"{name}: {', '.join(decode_flags(flags)) or 'none'}")

# %%
# The whole p(z)
# --------------
#
# The column ``pz`` holds the probability in each bin. As a `~mantis_astro.RedshiftPDF`
# it can be asked for anything.

pdf = RedshiftPDF.from_table(result)
print(pdf[0])
print(f"probability of z < 0.5: {pdf[0].cdf(0.5):.2f}")
low, high = pdf[0].interval(0.9)
print(f"90 % interval: {low:.3f} to {high:.3f}")

# %%
# And drawn, the truth dashed:

from mantis_astro.plotting import plot_pdf

figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
some = [1, 2, 4]
plot_pdf(pdf[some], z_spec[some], ax=ax, labels=list(result["name"][some]))
plt.show()

# %%
# Keeping it
# ----------
#
# ECSV, FITS and Parquet keep everything, p(z) and meta included.

result.meta["PZMODEL"], result.meta["PZVERS"]
