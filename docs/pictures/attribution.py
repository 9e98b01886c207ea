"""How much each survey contributes, against redshift."""

import matplotlib.pyplot as plt
from astropy.table import QTable

from mantis_astro import PhotoZ, SimulatedSky
from mantis_astro.models import attribution_by_redshift, shapley_values
from mantis_astro.plotting import plot_attribution

galaxies = SimulatedSky(seed=2, donors="test").catalog(1000)
table = QTable()
for name in galaxies.colnames:
    if name.startswith("flux_"):
        table[name] = galaxies[name]
        table["flux_err_" + name.removeprefix("flux_")] = 0.05 * abs(galaxies[name])
photoz = PhotoZ.from_pretrained("simulated-photometric")
shares = shapley_values(photoz, table, ebv=galaxies["ebv"])
by_redshift = attribution_by_redshift(shares, galaxies["z_spec"], bins=6)
fig, ax = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
plot_attribution(by_redshift, ax=ax)
