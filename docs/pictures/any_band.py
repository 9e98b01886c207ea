"""p(z) of one galaxy as bands are added."""

import matplotlib.pyplot as plt
from astropy.table import QTable

from mantis_astro import PhotoZ, SimulatedSky
from mantis_astro.plotting import plot_pdf

galaxy = SimulatedSky(seed=2, donors="test").catalog(6)[5:]
table = QTable()
for name in galaxy.colnames:
    if name.startswith("flux_"):
        table[name] = galaxy[name]
        table["flux_err_" + name.removeprefix("flux_")] = 0.03 * abs(galaxy[name])
chosen = {
    "g": ["ps1_g"],
    "g, r": ["ps1_g", "ps1_r"],
    "g, r, i, z": ["ps1_g", "ps1_r", "ps1_i", "ps1_z"],
    "g to z, W1, W2": ["ps1_g", "ps1_r", "ps1_i", "ps1_z", "unwise_W1", "unwise_W2"],
}
photoz = PhotoZ.from_pretrained("any-band")
fig, axes = plt.subplots(1, 4, figsize=(9, 2.5), layout="constrained")
for ax, (title, bands) in zip(axes, chosen.items(), strict=True):
    some = table[[f"flux{err}_{band}" for band in bands for err in ("", "_err")]]
    plot_pdf(photoz.predict(some, ebv=0.0)[0], galaxy["z_spec"][0], ax=ax)
    if ax.get_legend():
        ax.get_legend().remove()
    ax.set(xlim=(0, 1.6), title=title, xlabel="Redshift", ylabel="")
axes[0].set_ylabel("p(z)")
