"""A spectrum with five lines, the best fit, and chi-square against redshift."""

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
from astropy.nddata import StdDevUncertainty
from specutils import Spectrum

from mantis_astro import z_spec_from_spectrum

rng = np.random.default_rng(0)
wavelength = np.arange(3800.0, 9200.0, 1.5)
flux = rng.normal(1, 0.2, wavelength.size)
for line in (3728.5, 4862.7, 4960.3, 5008.2, 6564.6):
    flux += np.exp(-0.5 * ((wavelength - line * 1.25) / 3) ** 2)
spectrum = Spectrum(
    flux=flux * u.Unit("1e-17 erg / (s cm2 AA)"),
    spectral_axis=wavelength * u.AA,
    uncertainty=StdDevUncertainty(np.full(wavelength.size, 0.2)),
)
found = z_spec_from_spectrum(spectrum)

fig, (left, right) = plt.subplots(
    1, 2, figsize=(9, 3), layout="constrained", width_ratios=[3, 2]
)
left.plot(wavelength, flux, color="#999999", lw=0.5)
model = found.model
left.plot(
    model.spectral_axis, model.flux.value, color="#e6550d", lw=1, label="best fit"
)
left.set(xlabel="Wavelength (Å)", ylabel=r"Flux ($10^{-17}$ erg / s cm$^2$ Å)")
left.legend(frameon=False)
right.plot(found.z_grid, found.chi2 - np.nanmin(found.chi2), lw=0.7)
right.set(xlabel="Redshift", ylabel=r"$\chi^2$ above the best", xlim=(0, 1))
