"""
A galaxy made of two breaks, so that prospector can fit without FSPS.

Its colours in g, r, i cannot tell the 4000 Angstrom break at z = 0.38 from the one at
2700 Angstrom at z = 1.2.
"""

from unittest import mock

import astropy.units as u
import numpy as np
from astropy.table import QTable

from mantis_astro.bands import get_band
from mantis_astro.photometry import column_suffix

BANDS = ["legacysurvey.g", "legacysurvey.r", "legacysurvey.i"]
TWINS = 0.38, 1.2


class TwoBreaks:
    """What prospector asks of a source of spectra."""

    wave = np.geomspace(91.0, 60000.0, 400)

    def get_galaxy_spectrum(self, **params):
        """Lsun/Hz for each solar mass: flat, with two smooth steps."""
        spectrum = np.full(self.wave.shape, 1e-14)
        for wavelength in (2700.0, 4000.0):
            spectrum *= 1 - 0.6 / (1 + (self.wave / wavelength) ** 40)
        return self.wave, spectrum, 1.0

    def get_galaxy_elines(self):
        return np.zeros(0), np.zeros(0)


def model_params(priors):
    """Parameters of a prospector model: redshift, fixed so far, and mass."""
    from prospect.models.transforms import delogify_mass

    return {
        "zred": {"N": 1, "isfree": False, "init": 0.1},
        "logmass": {
            "N": 1,
            "isfree": True,
            "init": 10.0,
            "prior": priors.TopHat(mini=8.0, maxi=12.0),
        },
        "mass": {"N": 1, "isfree": False, "init": 1e10, "depends_on": delogify_mass},
    }


def make_model(params):
    """Make a model of photometry only: no emission lines, no resolution."""
    from prospect.models import SpecModel

    class PhotometryModel(SpecModel):
        def init_eline_info(self, eline_file=""):
            self.emline_info = np.zeros(0, dtype=[("wave", "f8"), ("name", "U20")])
            self._use_eline = np.zeros(0, dtype=bool)

        def smoothspec(self, wave, spec):
            return spec

    return PhotometryModel(params)


def observe(redshift, logmass, *, rng=None, noise=0.05, bands=BANDS):
    """One row of photometry of the galaxy, in nJy."""
    from prospect.models import priors
    from sedpy.observate import load_filters

    filters = load_filters([get_band(band).sedpy_name for band in bands])
    params = model_params(priors)
    params["logmass"]["init"] = logmass
    params["zred"]["init"] = redshift
    model = make_model(params)
    _, maggies, _ = model.predict(model.theta, {"filters": filters}, sps=TwoBreaks())
    return photometry(bands, maggies * 3631e9, noise, rng)


def photometry(bands, flux, noise, rng=None):
    """Make one row of photometry from fluxes in nJy and their relative error."""
    error = noise * flux
    if rng is not None:
        flux = flux + rng.normal(0, error)
    table = QTable()
    for band, value, sigma in zip(bands, flux, error, strict=True):
        table[f"flux_{column_suffix(band)}"] = [value] * u.nJy
        table[f"flux_err_{column_suffix(band)}"] = [sigma] * u.nJy
    return table[0]


def fit(obs, params, *, sampler="dynesty", seed=1, n_live=80):
    """Fit by prospector: equally weighted samples of redshift and log10 of mass."""
    from prospect.fitting import fit_model

    np.random.seed(seed)  # noqa: NPY002  what prospector draws from
    model = make_model(params)
    options = {
        "emcee": {
            "dynesty": False,
            "emcee": True,
            "nwalkers": 16,
            "nburn": [30],
            "niter": 150,
            "progress": False,
            "interval": 1.0,
        },
        "dynesty": {
            "nested_nlive_init": n_live,
            "nested_dlogz_init": 0.1,
            "nested_maxbatch": 0,
            "print_progress": False,
        },
    }[sampler]
    seeded = mock.patch(  # prospector passes no seed on, and dynesty draws a new one
        "dynesty.dynesty.get_random_generator",
        return_value=np.random.default_rng(seed),
    )
    with seeded:
        fitted = fit_model(obs, model, TwoBreaks(), verbose=False, **options)
    result, _ = fitted["sampling"]
    if sampler == "emcee":
        samples = result.get_chain(flat=True)
    else:
        rng = np.random.default_rng(seed)
        weights = result.importance_weights()
        samples = result.samples[rng.choice(len(weights), 2000, p=weights)]
    columns = [model.theta_index[name].start for name in ("zred", "logmass")]
    return samples[:, columns].T
