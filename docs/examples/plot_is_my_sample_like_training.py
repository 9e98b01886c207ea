"""
Is my sample like the training set?
===================================

Models trained on bright galaxies are often applied to fainter ones. This example tests,
without spectra of the targets, whether the model can be trusted: for the sample as a
whole, and for each galaxy. The galaxies are simulated, so that the result can be
compared with the truth. The example needs the extra ``simulate``.
"""

# %%
# Two samples
# -----------
#
# The galaxies of one population have fluxes in the nine bands. Galaxies brighter than r
# = 19.5 have spectra: they are the training set. The targets are fainter. Each band has
# the noise of its survey, and an error of 5 % of the flux.

import matplotlib.pyplot as plt
import numpy as np
from astropy.table import Table
from scipy.spatial import KDTree

from mantis_astro import PhotoZ
from mantis_astro.bands import BANDS
from mantis_astro.models import list_models
from mantis_astro.photometry import column_suffix
from mantis_astro.plotting import plot_shift
from mantis_astro.shift import ShiftReport
from mantis_astro.simulation.population.galaxies import GalaxyPopulation

rng = np.random.default_rng(1)
galaxies = GalaxyPopulation(seed=5).draw(4000)
depth = np.array([20.8, 19.9, 23.3, 23.2, 23.1, 22.3, 21.3, 20.7, 20.0])  # 5 sigma, AB
error = np.hypot(10 ** (-0.4 * (depth - 31.4)) / 5, 0.05 * galaxies.flux)
flux = galaxies.flux + rng.normal(0, error)


def asinh_magnitudes(flux):
    """Magnitudes that stay finite where the noise makes a flux negative."""
    softening = 10 ** (-0.4 * (depth - 31.4)) / 5
    return 31.4 - 2.5 / np.log(10) * (
        np.arcsinh(flux / (2 * softening)) + np.log(softening)
    )


mag = asinh_magnitudes(flux)
colours = Table(mag[:, 2:7] - mag[:, 3:8], names=["g-r", "r-i", "i-z", "z-y", "y-W1"])
colours["r"] = mag[:, 3]
is_bright = mag[:, 3] < 19.5
training, targets = colours[is_bright], colours[~is_bright]
len(training), len(targets)

# %%
# The sample as a whole
# ---------------------
#
# A classifier that cannot distinguish the targets from the training set has an AUC of
# 0.5. The redshifts of the training set are passed, too: they show where similar
# galaxies have different redshifts.

z_training = galaxies.z[is_bright]
report = ShiftReport.compare(training, targets, rng=1, z_spec=z_training)
print(report)

# %%
# *Left*: AUC of the classifier, and for shuffled labels (grey). *Middle*: the scores of
# the targets. *Right*: the features that differ.

figure = plt.figure(figsize=(11, 3.4), layout="constrained")
plot_shift(report, figure=figure)
plt.show()

# %%
# A random half of the training set, against the other half, raises no alarm:

order = rng.permutation(len(training))
halves = np.array_split(order, 2)
null = ShiftReport.compare(training[halves[0]], training[halves[1]], rng=1)
print(null.verdict)

# %%
# Each galaxy
# -----------
#
# ``ood_score`` is above 1 if the most similar galaxies of the training set are distant,
# or have different redshifts. The score does not use the true redshifts of the targets.
# Here, redshifts estimated from the ten nearest neighbours are compared with the truth.
# For comparison, a cut in magnitude that removes as many galaxies:

matrix = np.column_stack([colours[name] for name in colours.colnames])
scale = matrix[is_bright].std(0)
tree = KDTree(matrix[is_bright] / scale)
_, nearest = tree.query(matrix[~is_bright] / scale, k=10)
z_phot = np.median(z_training[nearest], axis=1)
z_spec = galaxies.z[~is_bright]
is_outlier = np.abs(z_phot - z_spec) / (1 + z_spec) > 0.15

is_far = report.ood_score > 1
faintest = np.zeros(len(targets), bool)
faintest[np.argsort(-targets["r"])[: is_far.sum()]] = True
print(f"all targets: {is_outlier.mean():.1%} beyond 0.15")
for name, chosen in (("ood_score > 1", is_far), ("faintest", faintest)):
    print(
        f"{name:14s} {chosen.mean():.0%} of them, {is_outlier[chosen].mean():.1%} "
        f"outliers; {is_outlier[~chosen].mean():.1%} among the others"
    )

# %%
# Weights
# -------
#
# With the ratio of densities as weights, the training set has the magnitudes of the
# targets, as far as it reaches. The effective sample size is small.

print(
    f"mean r: training {np.mean(training['r']):.2f}, targets "
    f"{np.mean(targets['r']):.2f}, training weighted "
    f"{np.average(training['r'], weights=report.weights):.2f}"
)
print(f"worth {report.effective_sample_size:.0f} of {len(training)} galaxies")

# %%
# With a model
# ------------
#
# A model can include statistics of its training set. ``add_redshifts`` then computes
# ``ood_score`` and flags galaxies unlike the training set. Here, the bright galaxies
# are the reference of an embedded photometric model, which is applied to all galaxies.

name = next(card.name for card in list_models() if card.is_photometric)
photoz = PhotoZ.from_pretrained(name)
table = Table({"ebv": galaxies.ebv})
for band, values, errors in zip(BANDS, flux.T, error.T, strict=True):
    table[f"flux_{column_suffix(band)}"] = values
    table[f"flux_err_{column_suffix(band)}"] = errors
    table[f"flux_{column_suffix(band)}"].unit = "nJy"
    table[f"flux_err_{column_suffix(band)}"].unit = "nJy"
photoz = photoz.with_reference(
    photoz.features(table[is_bright]), rng=1, z_spec=z_training
)
result = photoz.add_redshifts(table[~is_bright][:500])
result["z_median", "ood_score", "flags"][:8]

# %%
# The warning above means that the sample as a whole is unlike the reference. ``save``
# writes the statistics into the file of weights.
