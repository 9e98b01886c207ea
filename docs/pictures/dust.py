"""Extinction of the nine bands for E(B-V) = 1, against wavelength."""

import matplotlib.pyplot as plt

from mantis_astro.dust import extinction_coefficients

fig, ax = plt.subplots(figsize=(6.4, 2.9), layout="constrained")
for band, value in extinction_coefficients().items():
    ax.plot(band.pivot.to_value("um"), value, "o", color="#3182bd")
    ax.annotate(
        str(band),
        (band.pivot.to_value("um"), value),
        xytext=(-14 if band.name == "FUV" else 4, 5),
        textcoords="offset points",
        fontsize=8,
    )
ax.set(xscale="log", yscale="log", xlabel="Wavelength (µm)", ylabel="A / E(B-V) (mag)")
ax.set_xlim(0.12, 8)
ticks = [0.15, 0.25, 0.5, 1, 2, 4]
ax.set_xticks(ticks, ticks)
ax.set_yticks([0.1, 0.3, 1, 3], [0.1, 0.3, 1, 3])
ax.set_ylim(0.08, 12)
ax.minorticks_off()
