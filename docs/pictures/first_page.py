"""What one gets: four simulated galaxies, their images and their p(z)."""

import matplotlib.pyplot as plt
from astropy import units as u
from astropy.coordinates import SkyCoord

from mantis_astro import PhotoZ, SimulatedSky
from mantis_astro.plotting import plot_pdf, plot_rgb

sky = SimulatedSky(seed=2, donors="test")  # spectra that no training saw
catalog = sky.catalog(4)
coords = SkyCoord(catalog["ra"], catalog["dec"])
photoz = PhotoZ.from_pretrained()
galaxies = [cutouts for _, cutouts, _ in sky.iter_cutouts(coords, photoz.card.bands)]
pdf = photoz.predict(galaxies, ebv=catalog["ebv"])

fig, axes = plt.subplots(2, 4, figsize=(9, 4.3), layout="constrained")
for i, (above, below) in enumerate(axes.T):
    plot_rgb(galaxies[i], ax=above, size=30 * u.arcsec)
    above.set(xticks=[], yticks=[], xlabel="", ylabel="", title=f"galaxy {i + 1}")
    plot_pdf(pdf[i], catalog["z_spec"][i], ax=below)
    if below.get_legend():
        below.get_legend().remove()
    below.set(xlim=(0, 1), xlabel="Redshift", ylabel="p(z)" if i == 0 else "")
