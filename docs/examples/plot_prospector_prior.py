"""
From p(z) to the posterior of a stellar population fit
======================================================

In this example, prospector fits a galaxy twice: with a flat prior on redshift, and with
a p(z) as a network estimates it from images. The example needs the extra
``prospector``.

Three fluxes do not determine the redshift of this galaxy: its 4000 Angstrom break
between *g* and *r* could also be the break at 2700 Angstrom of a more distant and much
more massive galaxy. Images decide: a galaxy of that size and shape is nearby.
"""

# %%
# A galaxy
# --------
#
# This example runs without FSPS: its stars are a flat spectrum with the two breaks.
# With FSPS, use ``prospect.sources.CSPSpecBasis()`` instead, and prospector's
# ``SpecModel`` instead of the model below, which has no emission lines.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from astropy import units as u
from astropy.table import QTable
from prospect.fitting import fit_model
from prospect.models import SpecModel, priors
from prospect.models.transforms import delogify_mass

from mantis_astro import RedshiftPDF, configure_zred, to_prospector_obs

warnings.filterwarnings("ignore", module="prospect")


class TwoBreaks:
    """What prospector asks of a source of spectra: Lsun/Hz for a solar mass."""

    wave = np.geomspace(91, 60_000, 400)  # Angstrom

    def get_galaxy_spectrum(self, **params):  # noqa: ARG002  the same at any
        spectrum = np.full(self.wave.shape, 1e-14)
        for wavelength in (2700, 4000):
            spectrum *= 1 - 0.6 / (1 + (self.wave / wavelength) ** 40)
        return self.wave, spectrum, 1.0

    def get_galaxy_elines(self):
        return np.zeros(0), np.zeros(0)


class PhotometryModel(SpecModel):
    """A model without a list of emission lines, which comes with FSPS."""

    def init_eline_info(self, eline_file=""):  # noqa: ARG002
        self.emline_info = np.zeros(0, dtype=[("wave", "f8"), ("name", "U20")])
        self._use_eline = np.zeros(0, dtype=bool)

    def smoothspec(self, wave, spec):  # noqa: ARG002
        return spec


# %%
# The fluxes are those of the DESI Legacy Imaging Surveys:
table = QTable(
    {
        "flux_legacysurvey_g": [44.8] * u.uJy,
        "flux_err_legacysurvey_g": [0.9] * u.uJy,
        "flux_legacysurvey_r": [100.3] * u.uJy,
        "flux_err_legacysurvey_r": [1.2] * u.uJy,
        "flux_legacysurvey_i": [105.8] * u.uJy,
        "flux_err_legacysurvey_i": [1.5] * u.uJy,
    }
)

# %%
# `mantis_astro.PhotoZ.predict` would return p(z), with its bands in ``meta``. Here p(z)
# is a wide Gaussian with a few per cent of the probability elsewhere.
bin_edges = np.linspace(0, 1.6, 401)
near = RedshiftPDF.from_gaussians(bin_edges, 0.42, 0.06).probability
far = RedshiftPDF.from_gaussians(bin_edges, 1.1, 0.1).probability
pdf = RedshiftPDF(
    bin_edges,
    0.95 * near + 0.05 * far,
    meta={"PZBANDS": "ps1.g, ps1.r, ps1.i, ps1.z, ps1.y, unwise.W1, unwise.W2"},
)
prior = pdf.to_prior()
prior

# %%
# Data that are used twice
# ------------------------
#
# The images that made p(z) are of other telescopes than the fluxes of the fit, so that
# p(z) is an independent prior. `mantis_astro.configure_zred` compares the bands and
# warns if they are the same. In that case use ``pdf.to_prior(temper=0.5)`` or
# `mantis_astro.marginalize`.
obs = to_prospector_obs(table[0])
obs["maggies"], obs["maggies_unc"]

# %%
# Two priors
# ----------
#
# `mantis_astro.configure_zred` returns the parameters of any model with a free
# redshift, and a list of the changes.
model_params = {
    "zred": {"N": 1, "isfree": False, "init": 0.1},
    "logmass": {
        "N": 1,
        "isfree": True,
        "init": 10.0,
        "prior": priors.TopHat(mini=8.0, maxi=12.0),
    },
    "mass": {"N": 1, "isfree": False, "init": 1e10, "depends_on": delogify_mass},
}
flat_params, _ = configure_zred(model_params, RedshiftPDF([0, 1.6], [1]))
new_params, changes = configure_zred(model_params, prior, obs=obs)
changes


# %%
# Two fits
# --------
#
# The fits use nested sampling, which finds separate peaks.
def fit(params):
    np.random.seed(1)  # noqa: NPY002  what prospector draws from
    model = PhotometryModel(params)
    result, _ = fit_model(
        obs,
        model,
        TwoBreaks(),
        verbose=False,
        print_progress=False,
        nested_nlive_init=150,
        nested_maxbatch=0,
    )["sampling"]
    columns = [model.theta_index[name].start for name in ("zred", "logmass")]
    return result.samples_equal(np.random.default_rng(1))[:, columns].T


posteriors = {"flat prior": fit(flat_params), "p(z) as prior": fit(new_params)}
for name, (z, logmass) in posteriors.items():
    print(
        f"{name}: z = {np.median(z):.2f} +- {z.std():.2f}, "
        f"log10(mass) = {np.median(logmass):.2f} +- {logmass.std():.2f}"
    )

# %%
# With the flat prior there are two solutions, one thirty times as massive as the other.
# With p(z) there is one, and its mass is known to 0.1 dex.
fig, ax = plt.subplots(
    2,
    2,
    figsize=(7, 6),
    sharex="col",
    gridspec_kw={"width_ratios": [3, 1], "height_ratios": [1, 3]},
    layout="constrained",
)
ax[0, 1].axis("off")
grid = np.linspace(0, 1.6, 800)
ax[0, 0].plot(grid, prior.pdf(grid), color="0.4", lw=1, label="p(z)")
for (name, (z, logmass)), color in zip(posteriors.items(), ("C1", "C0"), strict=True):
    style = {"bins": 60, "density": True, "histtype": "step", "color": color}
    ax[0, 0].hist(z, range=(0, 1.6), **style)
    ax[1, 1].hist(logmass, range=(9.5, 12), orientation="horizontal", **style)
    ax[1, 0].plot(z, logmass, ".", ms=3, alpha=0.4, color=color, label=name)
ax[0, 0].set(ylabel="density")
ax[0, 0].legend(frameon=False)
ax[1, 0].set(
    xlabel="redshift",
    ylabel=r"$\log_{10}$ (mass / $M_\odot$)",
    xlim=(0, 1.6),
    ylim=(9.5, 12),
)
ax[1, 1].set(xlabel="density", ylim=(9.5, 12), yticklabels=[])
ax[1, 0].legend(frameon=False, markerscale=3, loc="lower right")
plt.show()

# %%
# What if p(z) is wrong?
# ----------------------
#
# The prior has a floor: 0.1 % of its probability is spread evenly, so that good data
# can overrule it. A nested sampler must start some live points there: ``floor`` times
# the number of live points should be ten or more. An ensemble sampler moves there.
