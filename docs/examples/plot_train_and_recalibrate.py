"""
Simulate, train, evaluate, recalibrate
======================================

The steps of making a model, in a minute: simulate galaxies, train a tiny network on
them, evaluate it on other galaxies, and recalibrate its p(z). The example needs the
extra ``simulate``.

The network of this page is *not* accurate: it is as small as possible, and trained for
a few seconds. The models of the package were trained on a hundred times as many
galaxies.
"""

# %%
# A simulated sky
# ---------------
#
# A `~mantis_astro.SimulatedSky` has a galaxy at every position, with realistic
# redshift, magnitude, colours and size, observed by GALEX, Pan-STARRS1 and unWISE;
# :ref:`user-simulation` describes its limits. The catalogue is a sample like that of a
# spectroscopic survey.

import tempfile
from dataclasses import replace
from pathlib import Path

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
from astropy.coordinates import SkyCoord

from mantis_astro import SimulatedSky
from mantis_astro.plotting import plot_cutouts

sky = SimulatedSky(seed=1)
table = sky.catalog(200)
table["id", "ra", "dec", "z_spec", "kind", "mag_ps1_g", "mag_ps1_r"][:5]

# %%
# The images of the brightest galaxy:

brightest = int(np.argmin(table["mag_ps1_r"]))
coord = SkyCoord(table["ra"], table["dec"])[brightest : brightest + 1]
((_, cutouts, _),) = sky.iter_cutouts(coord)

figure = plt.figure(figsize=(8, 3.6), layout="constrained")
plot_cutouts(cutouts, size=30 * u.arcsec, columns=5, figure=figure)
plt.show()

# %%
# Each galaxy has a spectrum, and its fluxes follow from it and the filters:

sample = sky.sample(coord)
spectrum = sky.population.spectrum(sample, 0)
wavelength = spectrum.spectral_axis.to("um")
flux = spectrum.flux.to(u.mJy, u.spectral_density(wavelength))
pivot = u.Quantity([band.pivot for band in sample.bands]).to("um")
shown = wavelength > 0.11 * u.um

fig, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
ax.plot(wavelength[shown], flux[shown], color="0.5", lw=0.8)
ax.plot(pivot, (sample.flux[0] * u.nJy).to("mJy"), "o", color="C3")
for band, x, y in zip(sample.bands, pivot.value, sample.flux[0] / 1e6, strict=True):
    ax.annotate(band.name, (x, y), (5, -12), textcoords="offset points")
ax.set(
    xscale="log",
    yscale="log",
    xlabel="observed wavelength / micron",
    ylabel="flux density / mJy",
    title=f"z = {sample.z[0]:.3f}",
)
ax.set_xticks([0.15, 0.3, 0.6, 1, 2, 4], [0.15, 0.3, 0.6, 1, 2, 4])
ax.minorticks_off()
plt.show()

# %%
# A tiny network
# --------------
#
# A `~mantis_astro.training.TrainingConfig` determines a training completely. This one
# is the recipe of the early-fusion network, one encoder for all nine bands, with a
# smaller network, fewer galaxies and fewer steps. The recipe recalibrates at the end;
# here this is a separate step.

from mantis_astro.training import (
    RenderedData,
    TrainingConfig,
    ValidationConfig,
    predict_simulated,
    train,
)

folder = tempfile.TemporaryDirectory()
recipe = TrainingConfig.read("early")
encoder = replace(recipe.network.encoder, depths=(1, 1), widths=(16, 32))
config = recipe.with_options(
    name="tiny",
    network=replace(
        recipe.network, encoder=encoder, hidden=64, aperture_widths=(64, 64)
    ),
    data=RenderedData(n=4000, cache=f"{folder.name}/galaxies"),
    n_steps=200,
    batch_size=128,
    n_workers=0,
    amp="none",
    log_every=10,
    recalibrate="none",
    validation=ValidationConfig(n=500, every=50),
)
result = train(config, Path(folder.name, "tiny"), progress=False)
result.photoz

# %%
# The folder now has the checkpoint, from which a killed training resumes, the
# configuration, the history and the model. Its card describes the training set and the
# accuracy:

photoz = result.photoz
print(photoz.card.training_sample)
print("prior:", photoz.card.training_prior)
print(photoz.card.performance)

history = result.history
validated = ~history["val_loss"].mask
fig, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
ax.plot(history["step"], history["loss"], label="training")
ax.plot(
    history["step"][validated], history["val_loss"][validated], "o-", label="held out"
)
ax.set(xlabel="step", ylabel="cross entropy")
ax.legend(frameon=False)
plt.show()

# %%
# Evaluation
# ----------
#
# The test galaxies are not in the training set, and their spectra are of other real
# galaxies.

from mantis_astro import evaluate
from mantis_astro.metrics import summarize
from mantis_astro.plotting import plot_pit, plot_zz

pdf, z_spec = predict_simulated(photoz, 3000, seed=1000, donors="test")
print(summarize(evaluate(pdf, z_spec)))

# %%
# The scatter is large, and the network has not learnt redshifts beyond 1. The maximum
# in the middle of the PIT histogram shows that p(z) are too broad, as usual after a
# short training.

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
plot_zz(pdf.median(), z_spec, ax=left)
plot_pit(pdf, z_spec, ax=right)
plt.show()

# %%
# Recalibrate
# -----------
#
# The recalibration is fitted to one half of the test galaxies, which stand for galaxies
# with spectra. The other half measures its effect on p(z) and on the point estimates.

from mantis_astro.calibration import (
    LocalRecalibration,
    report_calibration,
    summarize_calibration,
)
from mantis_astro.plotting import plot_recalibration

known = np.isfinite(z_spec)  # some are beyond the last redshift bin
pdf, z_spec = pdf[known], z_spec[known]
fit, test = slice(0, None, 2), slice(1, None, 2)

recalibration = LocalRecalibration().fit(pdf[fit], z_spec[fit])
after = recalibration.transform(pdf[test])
print(summarize_calibration(report_calibration(pdf[test], after, z_spec[test])))

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
plot_recalibration(pdf[test], after, z_spec[test], axes=axes)
plt.show()

# %%
# The recalibration is part of the model, and of its file:

photoz = photoz.with_recalibration(recalibration)
photoz.save(Path(folder.name, "recalibrated.safetensors"))
photoz.provenance()["PZCALIB"]

# %%
# Larger models
# -------------
#
# Recalibration corrects the widths of p(z), and does not reduce the scatter, which
# stays larger than that of the models in the package. To train those on two cores in
# less than an hour:
#
# .. code-block:: console
#
#     $ mantis-astro train early -o trainings/early
#
# :ref:`user-training` continues with your own recipes, cutouts and spectra,
# :ref:`user-calibration` with other recalibrations. Test every model that was trained
# on simulated galaxies on real ones.

folder.cleanup()
