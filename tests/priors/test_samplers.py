"""The same density in other libraries; each test needs its own, and is skipped else."""

import pickle

import numpy as np
import pytest
import torch
from scipy.stats import norm

from mantis_astro import RedshiftPDF, RedshiftPrior

EDGES = np.linspace(0, 1.6, 401)
GAUSSIAN = RedshiftPDF.from_gaussians(EDGES, 0.5, 0.04).to_prior()
TWO_PEAKS = RedshiftPrior([0, 0.2, 0.3, 1.0, 1.1, 1.6], [0, 0.6, 0, 0.4, 0], floor=0)
PRIORS = pytest.mark.parametrize("prior", [GAUSSIAN, TWO_PEAKS])

rng = np.random.default_rng(4)
Z = np.concatenate([rng.uniform(-0.2, 1.8, 400), [0.2, 0.3, 1.0, 1.1, 0, 1.6]])
Q = np.concatenate([rng.random(400), [0, 1e-12, 0.6, 1 - 1e-12, 1]])

# N(0.5, 0.04) and a measurement of 0.55 +- 0.04: the width over sqrt(2)
MEASURED = 0.55, 0.04
POSTERIOR = 0.525, 0.04 / np.sqrt(2)


def check_posterior(z):
    """Compare draws to the posterior, whose floor does not count here."""
    assert np.mean(z) == pytest.approx(POSTERIOR[0], abs=0.01)
    assert np.std(z) == pytest.approx(POSTERIOR[1], rel=0.2)


def check_draws(prior, z):
    """Compare draws of a prior to its cdf."""
    z = np.asarray(z, float)
    assert (np.asarray(prior.pdf(z)) > 0).all()
    share = np.sort(prior.cdf(z))
    distance = np.abs(share - (np.arange(len(z)) + 0.5) / len(z)).max()
    assert distance < 2 / np.sqrt(len(z))  # Kolmogorov, 1 in 1,500


class TestTorch:
    @PRIORS
    def test_numbers_are_those_of_the_prior(self, prior):
        same = prior.as_torch(dtype=torch.float64)
        same._validate_args = False  # beyond the support, too
        z, q = torch.from_numpy(Z), torch.from_numpy(Q)
        np.testing.assert_allclose(same.log_prob(z), prior.log_pdf(Z), rtol=1e-12)
        np.testing.assert_allclose(same.cdf(z), prior.cdf(Z), atol=1e-14)
        np.testing.assert_allclose(same.icdf(q), prior.ppf(Q), atol=1e-12)
        single = prior.as_torch()
        inside = torch.tensor([0.25, 1.05])
        np.testing.assert_allclose(
            single.log_prob(inside), prior.log_pdf(inside.numpy()), rtol=1e-5
        )
        mean, std = float(prior.as_scipy().mean()), float(prior.as_scipy().std())
        assert single.mean.item() == pytest.approx(mean, rel=1e-5)
        assert single.stddev.item() == pytest.approx(std, rel=1e-4)

    @PRIORS
    def test_draws_follow_the_density_in_single_precision(self, prior):
        torch.manual_seed(1)
        check_draws(prior, prior.as_torch().sample((4000,)))

    def test_gradients(self):
        prior = GAUSSIAN.as_torch(dtype=torch.float64)
        z = torch.tensor([0.4512, 0.5213], dtype=torch.float64, requires_grad=True)
        (of_cdf,) = torch.autograd.grad(prior.cdf(z).sum(), z)
        np.testing.assert_allclose(of_cdf, GAUSSIAN.pdf(z.detach()), rtol=1e-12)
        (of_log,) = torch.autograd.grad(prior.log_prob(z).sum(), z)
        # a Gaussian's: (mean - z) / std**2, to the width of a bin
        expected = (0.5 - z.detach().numpy()) / 0.04**2
        np.testing.assert_allclose(of_log, expected, atol=0.002 / 0.04**2)
        q = torch.tensor([0.3], dtype=torch.float64, requires_grad=True)
        (of_icdf,) = torch.autograd.grad(prior.icdf(q).sum(), q)
        expected = 1 / GAUSSIAN.pdf(GAUSSIAN.ppf([0.3]))
        np.testing.assert_allclose(of_icdf, expected, rtol=1e-10)

    def test_it_is_a_distribution_like_others(self):
        prior = TWO_PEAKS.as_torch().expand((3, 2))
        assert prior.rsample((5,)).shape == (5, 3, 2)
        assert prior.mean.shape == (3, 2)
        with pytest.raises(ValueError, match="within the support"):
            prior.log_prob(torch.full((3, 2), 2.0))
        assert pickle.loads(pickle.dumps(prior)).batch_shape == (3, 2)

    def test_sbi_takes_it(self):
        utils = pytest.importorskip("sbi.utils")
        mass = torch.distributions.Uniform(torch.tensor([8.0]), torch.tensor([12.0]))
        prior = utils.MultipleIndependent([GAUSSIAN.as_torch().expand((1,)), mass])
        prior, n_parameter, _ = utils.user_input_checks.process_prior(prior)
        draws = prior.sample((2000,))
        assert n_parameter == 2
        check_draws(GAUSSIAN, draws[:, 0])
        expected = GAUSSIAN.log_pdf(draws[:, 0].numpy()) - np.log(4)
        np.testing.assert_allclose(prior.log_prob(draws), expected, rtol=1e-3)

    def test_pyro_takes_it(self):
        pyro = pytest.importorskip("pyro")
        infer = pytest.importorskip("pyro.infer")

        def model():
            z = pyro.sample("z", GAUSSIAN.as_pyro())
            pyro.sample(
                "data",
                pyro.distributions.Normal(z, MEASURED[1]),
                obs=torch.tensor(MEASURED[0]),
            )

        pyro.set_rng_seed(1)
        mcmc = infer.MCMC(infer.NUTS(model), 400, 100, disable_progbar=True)
        mcmc.run()
        check_posterior(mcmc.get_samples()["z"].numpy())


class TestJax:
    @pytest.fixture
    def jax(self):
        jax = pytest.importorskip("jax")
        jax.config.update("jax_enable_x64", True)
        yield jax
        jax.config.update("jax_enable_x64", False)

    @PRIORS
    def test_numbers_are_those_of_the_prior(self, jax, prior):
        same = prior.as_jax()
        for name, x in (("log_pdf", Z), ("cdf", Z), ("ppf", Q)):
            function, expected = getattr(same, name), getattr(prior, name)(x)
            for way in (function, jax.jit(function), jax.vmap(function)):
                np.testing.assert_allclose(way(x), expected, rtol=1e-10, atol=1e-12)

    @PRIORS
    def test_single_precision(self, prior):
        jax = pytest.importorskip("jax")
        same = prior.as_jax()
        assert same.nodes_z.dtype == np.float32
        check_draws(prior, same.sample(jax.random.key(1), (4000,)))
        z = np.array([0.25, 1.05])
        np.testing.assert_allclose(same.log_pdf(z), prior.log_pdf(z), rtol=1e-5)

    def test_gradients(self, jax):
        same = GAUSSIAN.as_jax()
        for z in (0.4512, 0.5213):
            assert jax.grad(same.cdf)(z) == pytest.approx(GAUSSIAN.pdf(z))
            slope = jax.jit(jax.grad(same.log_pdf))(z)
            assert slope == pytest.approx((0.5 - z) / 0.04**2, abs=0.002 / 0.04**2)
        assert jax.grad(same.ppf)(0.3) == pytest.approx(1 / GAUSSIAN.pdf(same.ppf(0.3)))

    def test_many_galaxies_at_once(self, jax):
        others = [
            RedshiftPDF.from_gaussians(EDGES, z, 0.1).to_prior() for z in (0.3, 1)
        ]
        several = jax.tree.map(
            lambda *parts: jax.numpy.stack(parts), *(p.as_jax() for p in others)
        )
        values = jax.vmap(lambda prior, z: prior.log_pdf(z))(
            several, np.array([0.4, 0.4])
        )
        np.testing.assert_allclose(values, [prior.log_pdf(0.4) for prior in others])

    def test_numpyro_takes_it(self):
        numpyro = pytest.importorskip("numpyro")
        jax = pytest.importorskip("jax")

        def model():
            z = numpyro.sample("z", GAUSSIAN.as_numpyro())
            numpyro.sample(
                "data", numpyro.distributions.Normal(z, MEASURED[1]), obs=MEASURED[0]
            )

        mcmc = numpyro.infer.MCMC(
            numpyro.infer.NUTS(model),
            num_warmup=500,
            num_samples=2000,
            progress_bar=False,
        )
        mcmc.run(jax.random.key(2))
        check_posterior(mcmc.get_samples()["z"])
        predictive = numpyro.infer.Predictive(model, num_samples=7)
        assert predictive(jax.random.key(1))["z"].shape == (7,)

    def test_blackjax_takes_it(self, jax):
        blackjax = pytest.importorskip("blackjax")
        prior = GAUSSIAN.as_jax()

        def log_density(z):
            return prior.log_pdf(z) + jax.scipy.stats.norm.logpdf(z, *MEASURED)

        kernel = blackjax.nuts(log_density, 0.03, np.ones(1))

        @jax.jit
        def chain(key, state):
            def step(state, key):
                state, _ = kernel.step(key, state)
                return state, state.position

            return jax.lax.scan(step, state, jax.random.split(key, 3000))[1]

        check_posterior(chain(jax.random.key(0), kernel.init(0.5))[200:])


def test_pymc_takes_it():
    pymc = pytest.importorskip("pymc")
    with pymc.Model():
        z = GAUSSIAN.as_pymc("z")
        gap = TWO_PEAKS.as_pymc("gap")
        pymc.Normal("data", z, MEASURED[1], observed=MEASURED[0])
        first = pymc.sample_prior_predictive(2000, random_seed=1).prior
        trace = pymc.sample(
            1000,
            chains=1,
            cores=1,
            random_seed=1,
            progressbar=False,
            compute_convergence_checks=False,
        )
    check_draws(GAUSSIAN, first["z"].to_numpy().ravel())
    check_draws(TWO_PEAKS, first["gap"].to_numpy().ravel())
    assert gap.name == "gap"
    check_posterior(trace.posterior["z"].to_numpy())


class TestBilby:
    @PRIORS
    def test_numbers_are_those_of_the_prior(self, prior):
        pytest.importorskip("bilby")
        same = prior.as_bilby("zred", unit="")
        np.testing.assert_array_equal(same.ln_prob(Z), prior.log_pdf(Z))
        np.testing.assert_array_equal(same.rescale(Q), prior.ppf(Q))
        np.testing.assert_array_equal(same.cdf(Z), prior.cdf(Z))
        assert (same.minimum, same.maximum) == prior.support

    def test_a_result_file_keeps_it(self, tmp_path):
        bilby = pytest.importorskip("bilby")
        priors = bilby.core.prior.PriorDict({"zred": TWO_PEAKS.as_bilby("zred")})
        priors.to_json(tmp_path, "fit")
        again = bilby.core.prior.PriorDict.from_json(tmp_path / "fit_prior.json")
        np.testing.assert_array_equal(again["zred"].ln_prob(Z), TWO_PEAKS.log_pdf(Z))
        check_draws(TWO_PEAKS, priors.sample(1000)["zred"])


class TestNestedSamplers:
    """Examples of the user guide."""

    def log_likelihood(self, z):
        return norm.logpdf(z, *MEASURED)

    def test_nautilus(self):
        nautilus = pytest.importorskip("nautilus")
        prior = nautilus.Prior()
        prior.add_parameter("zred", dist=GAUSSIAN.as_scipy())
        prior.add_parameter("logmass", dist=(8, 12))
        sampler = nautilus.Sampler(
            prior,
            lambda p: self.log_likelihood(p["zred"]),
            n_live=200,
            n_networks=0,
            seed=1,
        )
        sampler.run(n_eff=1000, verbose=False)
        points, *_ = sampler.posterior(equal_weight=True)
        check_posterior(points[:, 0])

    def test_ultranest(self):
        ultranest = pytest.importorskip("ultranest")
        to_redshift = GAUSSIAN.as_unit_transform()

        def transform(cube):
            return np.stack([to_redshift(cube[:, 0]), 8 + 4 * cube[:, 1]], axis=1)

        sampler = ultranest.ReactiveNestedSampler(
            ["zred", "logmass"],
            lambda p: self.log_likelihood(p[:, 0]),
            transform,
            vectorized=True,
        )
        found = sampler.run(
            min_num_live_points=100,
            show_status=False,
            viz_callback=False,
            frac_remain=0.1,
            min_ess=200,
        )
        check_posterior(found["samples"][:, 0])
