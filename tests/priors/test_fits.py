"""Real fits by prospector, of a galaxy whose colours allow two redshifts."""

import pickle

import numpy as np
import pytest

from mantis_astro import RedshiftPDF, configure_zred, to_prospector_obs
from tests.priors.analytic import TWINS, fit, model_params, observe

priors = pytest.importorskip("prospect.models.priors")
pytestmark = [  # of prospector's TopHat outside its range, and of its calls of emcee
    pytest.mark.filterwarnings("ignore:divide by zero encountered in log"),
    pytest.mark.filterwarnings("ignore:'flat.* is deprecated"),
    pytest.mark.filterwarnings("ignore:the likelihood of this prospector"),
]

EDGES = np.linspace(0, 1.6, 401)
MIDDLE = np.mean(TWINS)


@pytest.fixture(scope="module")
def obs():
    """The galaxy at the nearer of the two redshifts, without noise."""
    return to_prospector_obs(observe(TWINS[0], 10.0))


def posterior(obs, pdf, **options):
    new_params, _ = configure_zred(
        model_params(priors), pdf, **options.pop("prior", {})
    )
    return fit(obs, new_params, **options)


def from_twins(z):
    return np.min(np.abs(z - np.reshape(TWINS, (2, 1))), axis=0)


def test_a_flat_prior_leaves_two_redshifts_and_two_masses(obs):
    z, logmass = posterior(obs, RedshiftPDF([0, 1.6], [1]))
    near = z < MIDDLE
    assert 0.1 < near.mean() < 0.9
    assert np.median(z[near]) == pytest.approx(TWINS[0], abs=0.1)
    assert np.median(z[~near]) == pytest.approx(TWINS[1], abs=0.1)
    assert np.median(logmass[~near]) - np.median(logmass[near]) > 0.8


@pytest.mark.parametrize("sampler", ["dynesty", "emcee"])
def test_p_of_z_resolves_them(obs, sampler):
    pdf = RedshiftPDF.from_gaussians(EDGES, 0.42, 0.06)
    z, logmass = posterior(obs, pdf, sampler=sampler)
    assert (z < MIDDLE).mean() > 0.98
    assert abs(np.median(z) - TWINS[0]) < 2 * z.std()
    assert np.median(logmass) == pytest.approx(10, abs=0.15)


def test_where_p_of_z_is_wrong_the_floor_lets_the_data_win():
    row = observe(TWINS[0], 10.0, noise=0.02)
    obs = to_prospector_obs(row, minimum_error=0.02)
    wrong = RedshiftPDF.from_gaussians(EDGES, 0.7, 0.015)
    z, _ = posterior(obs, wrong, sampler="emcee", prior={"floor": 1e-3})
    held, _ = posterior(obs, wrong, sampler="emcee", prior={"floor": 0})
    assert from_twins(z).mean() < 0.1  # emcee's walkers may rest on either
    assert from_twins(held).min() > 0.1


def test_what_prospector_writes_to_its_results_can_be_pickled(obs):
    pdf = RedshiftPDF.from_gaussians(EDGES, 0.42, 0.06)
    new_params, _ = configure_zred(model_params(priors), pdf)
    again = pickle.loads(pickle.dumps(new_params))
    assert again["zred"]["prior"](0.4) == new_params["zred"]["prior"](0.4)
