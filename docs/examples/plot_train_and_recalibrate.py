"""
Simulate, train, evaluate, recalibrate
======================================

The whole life of a model in a minute: galaxies are simulated, a tiny network learns
from them, other galaxies tell how good it is, and its p(z) are made as wide as they
should be. Needs the extra ``simulate``.

The network of this page is *not* good: it is as small, and trained as briefly, as it
takes to show every step. The models in the package see a hundred times as many
galaxies.
"""

# %%
# A sky to learn from
# -------------------
#
# On a `~mantis_astro.SimulatedSky` there is a galaxy wherever one looks, with the
# redshift, brightness, colours and size of real ones, seen by GALEX, Pan-STARRS1 and
# unWISE (:ref:`user-simulation` tells how far that goes). Its catalogue is what a
# spectroscopic survey would bring home.

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
# The brightest of them, as the surveys would serve it:

brightest = int(np.argmin(table["mag_ps1_r"]))
coord = SkyCoord(table["ra"], table["dec"])[brightest : brightest + 1]
((_, cutouts, _),) = sky.iter_cutouts(coord)

figure = plt.figure(figsize=(8, 3.6), layout="constrained")
plot_cutouts(cutouts, size=30 * u.arcsec, columns=5, figure=figure)
plt.show()

# %%
# Each galaxy has a spectrum, and its fluxes are that spectrum seen through the bands:

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
# All that decides a training stands in a `~mantis_astro.training.TrainingConfig`. We
# take the recipe of the early-fusion network, one encoder for all nine bands, and
# shrink what takes long: the network, the number of galaxies, the number of steps. The
# recipe recalibrates at the end; here we do that by hand, to see it.

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
# The folder now holds the checkpoint, from which a killed training goes on, the
# configuration, the history and the model, whose card says what it was trained on and
# how far it came:

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
# Galaxies it never saw
# ---------------------
#
# The test has other galaxies, with spectra of other real galaxies than those of the
# training.

from mantis_astro import evaluate
from mantis_astro.metrics import summarize
from mantis_astro.plotting import plot_pit, plot_zz

pdf, z_spec = predict_simulated(photoz, 3000, seed=1000, donors="test")
print(summarize(evaluate(pdf, z_spec)))

# %%
# The scatter is large, redshifts beyond one are out of reach, and the hump on the right
# says that p(z) are too broad, as a network leaves them that has not learnt all there
# is to learn.

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
plot_zz(pdf.median(), z_spec, ax=left)
plot_pit(pdf, z_spec, ax=right)
plt.show()

# %%
# Recalibrate
# -----------
#
# Half of the test galaxies stand for those whose spectra you have: they tell how wide
# p(z) should have been. The other half, which the recalibration has not seen, tells
# how well that worked, and what it did to the point estimates.

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
# A model carries its recalibration, into its file too:

photoz = photoz.with_recalibration(recalibration)
photoz.save(Path(folder.name, "recalibrated.safetensors"))
photoz.provenance()["PZCALIB"]

# %%
# What that was worth
# -------------------
#
# Recalibration makes p(z) honest, not sharp: a tiny network stays a tiny network, and
# its scatter above stays larger than that of the models in the package. To train those,
# on two cores in less than an hour:
#
# .. code-block:: console
#
#     $ mantis-astro train early -o trainings/early
#
# :ref:`user-training` goes on with your own recipes, cutouts and spectra,
# :ref:`user-calibration` with other recalibrations. Whatever is trained on simulated
# galaxies has to be tested on real ones before it is believed.

folder.cleanup()
