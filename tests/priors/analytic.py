"""
A galaxy made of two breaks, so that prospector can fit without FSPS.

Its colours in g, r, i cannot tell the 4000 Angstrom break at z = 0.38 from the one at
2700 Angstrom at z = 1.2. All goes with versions 1 and 2 of prospector.
"""

from importlib.util import find_spec
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

        def smoothspec(self, wave, spec):  # version 1
            return spec

        losvd_smoothing = smoothspec  # version 2

    return PhotometryModel(params)


def predict_maggies(model, bands, source):
    """Fluxes of a model at its own parameters, in maggies, shape ``(n_band,)``."""
    names = [get_band(band).sedpy_name for band in bands]
    if has_observations():
        from prospect.observation import Photometry

        (maggies,), _ = model.predict(
            model.theta, [Photometry(filters=names)], sps=source
        )
        return maggies
    from sedpy.observate import load_filters

    filters = {"filters": load_filters(names)}
    return model.predict(model.theta, filters, sps=source)[1]


def has_observations():
    """Whether prospector is of version 2, whose data are observations."""
    return find_spec("prospect.observation") is not None


def observe(redshift, logmass, *, rng=None, noise=0.05, bands=BANDS):
    """One row of photometry of the galaxy, in nJy."""
    from prospect.models import priors

    params = model_params(priors)
    params["logmass"]["init"] = logmass
    params["zred"]["init"] = redshift
    maggies = predict_maggies(make_model(params), bands, TwoBreaks())
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
    np.random.seed(seed)  # noqa: NPY002  what prospector draws from
    model = make_model(params)
    sample = sample_by_emcee if sampler == "emcee" else sample_by_dynesty
    samples = sample(obs, model, TwoBreaks(), seed=seed, n_live=n_live)
    columns = [model.theta_index[name].start for name in ("zred", "logmass")]
    return samples[:, columns].T


def sample_by_emcee(obs, model, source, **_):
    """Draws of all parameters from the posterior, shape ``(n_sample, n_parameter)``."""
    from prospect.fitting import fit_model

    options = {"nwalkers": 16, "nburn": [30], "niter": 150, "interval": 1.0}
    if not has_observations():
        options |= {"dynesty": False}
    fitted = fit_model(
        obs, model, source, emcee=True, progress=False, verbose=False, **options
    )
    result = fitted["sampling"]
    if not has_observations():
        result = result[0]
    return result.get_chain(flat=True)


def sample_by_dynesty(obs, model, source, *, seed, n_live, dlogz=0.1, **others):
    """Likewise, 2,000 draws by the weights of static nested sampling."""
    from prospect.fitting import fit_model

    rng = np.random.default_rng(seed)
    if has_observations():
        options = {"nested_sampler": "dynesty", "nested_nlive": n_live}
        options |= {"dlogz_init": dlogz, "maxbatch": 0, "rstate": rng}
    else:
        options = {"nested_nlive_init": n_live, "print_progress": False}
        options |= {"nested_dlogz_init": dlogz, "nested_maxbatch": 0}
    seeded = mock.patch(  # version 1 passes no seed on, and dynesty draws a new one
        "dynesty.dynesty.get_random_generator", return_value=rng
    )
    with seeded:
        fitted = fit_model(obs, model, source, verbose=False, **options, **others)
    if has_observations():
        points, log_weight = (
            fitted["sampling"][key] for key in ("points", "log_weight")
        )
        weights = np.exp(log_weight - log_weight.max())
        weights /= weights.sum()
    else:
        result, _ = fitted["sampling"]
        points, weights = result.samples, result.importance_weights()
    rng = np.random.default_rng(seed)
    return points[rng.choice(len(weights), 2000, p=weights)]
