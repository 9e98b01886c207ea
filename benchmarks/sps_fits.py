"""
Fits of galaxies by prospector and bagpipes: a flat prior on redshift against p(z).

``python benchmarks/sps_fits.py [--short] [--output DIR]``; fits on stellar population
grids need bagpipes installed (its BC03-MILES grids), and are left out without it.
"""

import contextlib
import io
import os
import sys
import tempfile
import time
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from astropy.table import Table, vstack
from harness import run
from prospect.fitting import fit_model
from prospect.models import priors
from prospect.models.transforms import delogify_mass
from sedpy.observate import load_filters

from mantis_astro import RedshiftPDF, configure_zred, to_prospector_obs

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.priors import analytic

EDGES = np.linspace(0, 1.6, 401)
FLAT = RedshiftPDF([0, 1.6], [1])
COLUMNS = ["fit", "prior", "z_true", "z16", "z50", "z84", "m16", "m50", "m84", "cpu_s"]
TRUTH = {"zred": 0.45, "logmass": 10.8, "tage": 6.0, "tau": 1.0, "dust2": 0.2}


def row(name, prior, z_true, z, logmass, cpu):
    """Percentiles of a posterior."""
    quantiles = np.percentile([z, logmass], [16, 50, 84], axis=1).T.ravel()
    return (name, prior, z_true, *quantiles.round(3).tolist(), round(cpu, 1))


def stellar_params():
    """Parameters of a delayed exponential history behind dust."""

    def free(init, prior, **others):
        return {"N": 1, "isfree": True, "init": init, "prior": prior, **others}

    return {
        "zred": {"N": 1, "isfree": False, "init": 0.1},
        "logmass": free(10.0, priors.TopHat(mini=8.0, maxi=12.5)),
        "mass": {"N": 1, "isfree": False, "init": 1e10, "depends_on": delogify_mass},
        "tage": free(3.0, priors.TopHat(mini=0.1, maxi=13.8)),
        "tau": free(1.0, priors.LogUniform(mini=0.1, maxi=10.0)),
        "dust2": free(0.3, priors.TopHat(mini=0.0, maxi=2.0)),
    }


def observe_stellar(source, bands, rng):
    """One row of photometry of the true galaxy, with errors of 3 %."""
    params = stellar_params()
    for name, value in TRUTH.items():
        params[name]["init"] = value
    model = analytic.make_model(params)
    maggies = analytic.predict_maggies(model, bands, source)
    return analytic.photometry(bands, maggies * 3631e9, 0.03, rng)


def fit_stellar(obs, pdf, source, sampler, short):
    """Posterior draws of redshift and mass by prospector, and CPU seconds."""
    params, _ = configure_zred(stellar_params(), pdf)
    model = analytic.make_model(params)
    if sampler == "emcee":
        options = {"dynesty": False, "emcee": True, "nwalkers": 32, "progress": False}
        options |= {"nburn": [50], "niter": 100 if short else 450, "interval": 1.0}
    else:
        options = {"nested_nlive_init": 60 if short else 250, "print_progress": False}
        options |= {"nested_maxbatch": 0, "nested_sample": "rwalk"}
        options |= {"nested_dlogz_init": 0.5 if short else 0.1}
    np.random.seed(1)  # noqa: NPY002  what prospector draws from
    start = time.process_time()
    result, _ = fit_model(obs, model, source, verbose=False, **options)["sampling"]
    cpu = time.process_time() - start
    if sampler == "emcee":
        samples = result.get_chain(flat=True, discard=len(result.get_chain()) // 3)
    else:
        samples = result.samples_equal(np.random.default_rng(1))
    z, mass = (model.theta_index[name].start for name in ("zred", "logmass"))
    return samples[:, z], samples[:, mass], cpu


def stellar_fits(short):
    """Prospector on BC03 stars in g, r, i."""
    from stellar_grids import DelayedTau

    source = DelayedTau()
    bands = ["legacysurvey.g", "legacysurvey.r", "legacysurvey.i"]
    obs = to_prospector_obs(observe_stellar(source, bands, np.random.default_rng(3)))
    informed = RedshiftPDF.from_gaussians(EDGES, 0.47, 0.03)
    return [
        row(f"prospector {sampler}", name, TRUTH["zred"], *posterior)
        for sampler in ("dynesty", "emcee")
        for name, pdf in (("flat", FLAT), ("p(z)", informed))
        for posterior in [fit_stellar(obs, pdf, source, sampler, short)]
    ]


def bagpipes_fits(short):
    """bagpipes itself, on a galaxy of its own making, in g, r, i."""
    filters = ["decam_g", "decam_r", "decam_i"]
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        import bagpipes  # writes its results below the folder it is imported in

        for curve in load_filters(filters):
            transmission = np.stack([curve.wavelength, curve.transmission], axis=1)
            np.savetxt(curve.name, transmission)
        truth = {
            "redshift": TRUTH["zred"],
            "delayed": {"age": 6.0, "tau": 1.0, "massformed": 10.8, "metallicity": 1.0},
            "dust": {"type": "Calzetti", "Av": 0.2},
        }
        made = bagpipes.model_galaxy(truth, filt_list=filters, phot_units="mujy")
        data = np.stack([made.photometry, 0.05 * made.photometry], axis=1)
        informed = RedshiftPDF.from_gaussians(EDGES, 0.47, 0.03)
        rows = []
        for name, pdf in (("flat", FLAT), ("p(z)", informed)):
            instructions = {
                **pdf.to_prior(support=(0.01, 1.6)).as_bagpipes("galaxy_1"),
                "delayed": {
                    "age": (0.1, 13.0),
                    "tau": (0.1, 10.0),
                    "massformed": (8.0, 12.5),
                    "metallicity": 1.0,
                },
                "dust": {"type": "Calzetti", "Av": (0.0, 2.0)},
            }
            galaxy = bagpipes.galaxy(
                "1", lambda _: data, spectrum_exists=False, filt_list=filters
            )
            fit = bagpipes.fit(galaxy, instructions, run=name[0])
            start = time.process_time()
            fit.fit(n_live=100 if short else 400, sampler="nautilus", pool=None)
            cpu = time.process_time() - start
            samples = dict(
                zip(fit.fitted_model.params, fit.results["samples2d"].T, strict=True)
            )
            posterior = samples["redshift"], samples["delayed:massformed"]
            rows.append(row("bagpipes", name, TRUTH["zred"], *posterior, cpu))
    return rows


def coverage(short):
    """Share of true redshifts in the central 68 % of fits of simulated galaxies."""
    n = 20 if short else 200
    rng = np.random.default_rng(11)
    pdf = RedshiftPDF.from_gaussians(EDGES, 0.45, 0.08)
    prior = pdf.to_prior()
    inside, start = 0, time.process_time()
    for i, z_true in enumerate(prior.sample(rng, n)):
        logmass = rng.uniform(9, 11)
        observed = analytic.observe(z_true, logmass, rng=rng)
        obs = to_prospector_obs(observed, minimum_error=0)
        params, _ = configure_zred(analytic.model_params(priors), prior)
        z, _ = analytic.fit(obs, params, seed=i, n_live=50)
        inside += np.mean(z < z_true) > 0.16 and np.mean(z < z_true) < 0.84
    cpu = time.process_time() - start
    share = f"{inside} of {n} in their 68 % interval"
    nothing = [np.nan] * 7
    return [("coverage, two breaks", share, *nothing, round(cpu, 1))]


def two_redshifts(short):  # noqa: ARG001  as fast as it gets
    """Prospector on the galaxy of the tests: resolved, and overruled."""
    z_true = analytic.TWINS[0]
    cases = [
        ("flat", 0.05, FLAT, {}),
        ("p(z)", 0.05, RedshiftPDF.from_gaussians(EDGES, 0.42, 0.06), {}),
        ("wrong, floor", 0.02, RedshiftPDF.from_gaussians(EDGES, 0.7, 0.015), {}),
        (
            "wrong, no floor",
            0.02,
            RedshiftPDF.from_gaussians(EDGES, 0.7, 0.015),
            {"floor": 0},
        ),
    ]
    rows = []
    for name, noise, pdf, options in cases:
        observed = analytic.observe(z_true, 10.0, noise=noise)
        obs = to_prospector_obs(observed, minimum_error=noise)
        params, _ = configure_zred(analytic.model_params(priors), pdf, **options)
        sampler = "emcee" if "wrong" in name else "dynesty"
        start = time.process_time()
        z, logmass = analytic.fit(obs, params, sampler=sampler)
        cpu = time.process_time() - start
        rows.append(row(f"two breaks {sampler}", name, z_true, z, logmass, cpu))
    return rows


def benchmark(short):
    """Posteriors of redshift and log10 of mass under different priors."""
    parts = [two_redshifts, coverage]
    if find_spec("bagpipes") is not None:
        parts += [stellar_fits, bagpipes_fits]
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    tables = []
    for part in parts:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # prospector's and emcee's own
            tables.append(Table(rows=part(short), names=COLUMNS))
    table = vstack(tables)
    table.meta["title"] = "Fits with a flat prior on redshift and with p(z)"
    return table


if __name__ == "__main__":
    run(benchmark, "sps_fits")
