import numpy as np
import pytest
from scipy.stats import norm

from mantis_astro import RedshiftPDF, RedshiftPrior, marginalize
from mantis_astro.exceptions import FailedFitWarning, FewDrawsWarning, NoDataWarning

EDGES = np.linspace(0, 1.6, 401)
PDF = RedshiftPDF.from_gaussians(EDGES, 0.8, 0.05)


def mass_at(z, n=400):
    """Samples, at evenly spaced quantiles, of a Gaussian that moves with z."""
    return norm.ppf((np.arange(n) + 0.5) / n, loc=10 + 2 * z, scale=0.1)


def test_mean_and_width_are_those_of_the_mixture():
    fits = marginalize(mass_at, PDF, 50, rng=1)
    assert fits.mean() == pytest.approx(10 + 2 * 0.8, abs=0.005)
    # a Gaussian of 0.1 over a Gaussian of 2 * 0.05
    assert fits.std() == pytest.approx(np.hypot(0.1, 0.1), rel=0.03)
    assert fits.quantile(0.16) == pytest.approx(
        norm.ppf(0.16, 11.6, np.hypot(0.1, 0.1)), abs=0.02
    )


def test_one_draw_falls_in_each_share_of_the_probability():
    fits = marginalize(mass_at, PDF, 20, rng=3)
    assert np.floor(20 * PDF.cdf(fits.z).value).tolist() == list(range(20))


def test_evidence_makes_p_of_z_a_prior():
    """Gaussian prior and Gaussian likelihood of z give a known Gaussian posterior."""

    def fit(z):
        return np.full(10, z), norm.logpdf(z, 0.9, 0.05)

    fits = marginalize(fit, PDF, 400, rng=1)
    assert fits.mean() == pytest.approx(0.85, abs=0.002)
    assert fits.std() == pytest.approx(0.05 / np.sqrt(2), rel=0.03)


def test_an_evidence_may_be_an_array_of_one():
    fits = marginalize(lambda z: ([z], np.array([3.0])), PDF, 20, rng=1)
    np.testing.assert_allclose(fits.weights, 1 / 20)


def test_huge_evidences_do_not_overflow():
    fits = marginalize(lambda z: (np.full(2, z), 1e5 * z), PDF, 10, rng=1)
    assert fits.weights.sum() == pytest.approx(1)
    assert fits.mean() > fits.z[:-9].max()


class TestCollapse:
    """Data far from p(z), or much sharper: one first draw has all the weight."""

    def posterior(self, prior, *likelihood):
        """Mean and standard deviation by brute force."""
        z = np.linspace(0.001, 1.599, 100_000)
        weights = prior.pdf(z) * norm.pdf(z, *likelihood)
        mean = np.average(z, weights=weights)
        return mean, np.sqrt(np.average((z - mean) ** 2, weights=weights))

    @pytest.mark.parametrize("likelihood", [(0.9, 0.02), (0.9, 0.002), (0.5, 1e-4)])
    @pytest.mark.parametrize("floor", [0, 1e-3])
    def test_draws_are_added_where_the_weight_is(self, likelihood, floor):
        prior = RedshiftPDF.from_gaussians(EDGES, 0.5, 0.08).to_prior(floor=floor)

        def fit(z):
            return [z], norm.logpdf(z, *likelihood)

        many = [marginalize(fit, prior, rng=seed) for seed in range(6)]
        assert all(fits.effective_number >= 10 for fits in many)
        assert all(20 < len(fits.z) <= 100 for fits in many)
        mean, std = self.posterior(prior, *likelihood)
        # six means of 10 draws or more, stratified
        assert np.mean([f.mean() for f in many]) == pytest.approx(mean, abs=0.1 * std)
        assert np.mean([f.std() for f in many]) == pytest.approx(std, rel=0.1)

    def test_if_none_may_be_added_a_warning_tells(self):
        prior = RedshiftPDF.from_gaussians(EDGES, 0.5, 0.08)

        def fit(z):
            return [z], norm.logpdf(z, 0.9, 0.02)

        with pytest.warns(
            FewDrawsWarning, match="effective number of fits is 1.0 of 20"
        ):
            fits = marginalize(fit, prior, rng=1, n_max=20)
        assert fits.effective_number == pytest.approx(1, abs=1e-3)

    def test_two_peaks_keep_their_shares(self):
        def fit(z):
            return [z], np.logaddexp(
                norm.logpdf(z, 0.7, 0.003), norm.logpdf(z, 0.9, 0.003)
            )

        shares = [
            np.sum(fits.weights[fits.z > 0.8])
            for fits in (marginalize(fit, PDF, 40, rng=seed) for seed in range(5))
        ]
        assert np.mean(shares) == pytest.approx(0.5, abs=0.1)

    def test_a_density_of_scipy_without_ends(self):
        def fit(z):
            return [z], norm.logpdf(z, 0.9, 0.02)

        fits = marginalize(fit, norm(0.5, 0.08), rng=1)
        assert fits.mean() == pytest.approx(0.8765, abs=0.02)

    def test_evidences_of_zero_weigh_nothing(self):
        def fit(z):
            return ([z], 0.0) if z > 0.8 else ([], -np.inf)

        fits = marginalize(fit, PDF, 40, rng=1)
        assert fits.z.min() < 0.8 < fits.z_samples.min()
        assert fits.weights.sum() == pytest.approx(1)
        assert not fits.weights[fits.z < 0.8].any()
        assert fits.mean() == pytest.approx(0.8 + 0.05 * np.sqrt(2 / np.pi), abs=0.004)

    def test_evidences_of_zero_alone_are_an_error(self):
        with pytest.raises(ValueError, match="all 100 fits returned an evidence of 0"):
            marginalize(lambda z: ([z], -np.inf), PDF, rng=1)

    def test_data_that_only_later_draws_find(self):
        """The first draws all have an evidence of 0."""

        def fit(z):
            return [z], 0.0 if 1.2 < z < 1.25 else -np.inf

        fits = marginalize(fit, PDF.to_prior(), rng=1)
        assert fits.mean() == pytest.approx(1.225, abs=0.01)

    def test_without_evidences_none_is_added(self):
        fits = marginalize(mass_at, PDF, 12, rng=1)
        assert fits.effective_number == pytest.approx(len(fits.z)) == 12


def test_fits_weigh_the_same_however_many_samples_they_return():
    fits = marginalize(lambda z: mass_at(z, 10 if z < 0.8 else 1000), PDF, 40, rng=1)
    below = fits.sample_weights[fits.z_samples < 0.8].sum()
    assert below == pytest.approx(np.mean(fits.z < 0.8))


def test_samples_may_have_several_parameters():
    fits = marginalize(lambda z: np.full((5, 3), [z, 2, 3]), PDF, 4, rng=1)
    assert fits.mean().shape == fits.std().shape == (3,)
    assert fits.quantile([0.1, 0.9]).shape == (2, 3)
    assert fits.resample(7, rng=1).shape == (7, 3)


def test_resampled_draws_are_samples_by_weight():
    fits = marginalize(lambda z: ([z], np.log(z)), PDF, 5, rng=1)
    draws = fits.resample(20_000, rng=2)
    shares = [np.mean(draws == z) for z in fits.z]
    assert np.allclose(shares, fits.weights, atol=0.02)


def test_takes_a_prior_and_is_reproducible():
    prior = RedshiftPrior(EDGES, PDF.probability, floor=0)
    first = marginalize(mass_at, prior, 5, rng=7)
    assert np.array_equal(first.z, marginalize(mass_at, PDF, 5, rng=7).z)
    assert not np.array_equal(first.z, marginalize(mass_at, PDF, 5, rng=8).z)


@pytest.mark.parametrize(
    ("fit", "n", "sentence"),
    [
        (mass_at, 0, "'n' must be at least 1, got 0"),
        (lambda z: [], 2, r"must return samples of shape .*, got shape \(0,\) at z ="),
        (lambda z: 1.0, 2, r"got shape \(\)"),
        (lambda z: [np.nan], 2, "not finite at z = 0.7"),
        (lambda z: ([1.0], np.inf), 2, "not finite at z ="),
        (
            lambda z: ([1.0], 0.0) if z < 0.8 else [1.0],
            2,
            "an evidence at 1 of 2 redshifts: it must at all or none",
        ),
    ],
)
def test_refuses(fit, n, sentence):
    with pytest.raises(ValueError, match=sentence):
        marginalize(fit, PDF, n, rng=1)


def test_refuses_fewer_at_most_than_at_first():
    with pytest.raises(ValueError, match="'n_max' must be at least 'n' = 9, got 8"):
        marginalize(mass_at, PDF, 9, rng=1, n_max=8)


def test_refuses_several_galaxies():
    with pytest.raises(ValueError, match=r"of one galaxy, got shape \(2,\): take pdf"):
        marginalize(mass_at, RedshiftPDF([0, 1], [[1], [1]]), rng=1)


class TestFailedFits:
    """One that fails costs itself only, and is told."""

    def test_the_others_are_pooled(self):
        failed = []

        def fit(z):
            if not failed and z > 0.82:
                failed.append(z)
                raise RuntimeError("sampler failed")
            return mass_at(z)

        with pytest.warns(FailedFitWarning, match="1 of 20 fits .* sampler failed"):
            fits = marginalize(fit, PDF, 20, rng=1)
        ((z, error),) = fits.failures
        assert z == failed[0]
        assert isinstance(error, RuntimeError)
        whole = marginalize(mass_at, PDF, 20, rng=1)
        np.testing.assert_array_equal(fits.z, whole.z[whole.z != z])
        np.testing.assert_allclose(fits.weights, 1 / 19)
        assert not whole.failures

    def test_so_is_one_that_returns_nothing_of_use(self):
        def fit(z):
            return [np.nan] if z > 0.85 else [z]

        with pytest.warns(FailedFitWarning, match="not finite"):
            fits = marginalize(fit, PDF, 20, rng=1)
        assert fits.z.max() <= 0.85
        assert len(fits.z) + len(fits.failures) == 20

    def test_so_is_one_that_returns_other_parameters(self):
        def fit(z):
            return np.ones((3, 1 if z > 0.85 else 2))

        with pytest.warns(FailedFitWarning, match=r"shape \(3, 1\) .* \(3, 2\) before"):
            fits = marginalize(fit, PDF, 20, rng=1)
        assert fits.z.max() <= 0.85

    def test_if_all_fail_the_first_error_is_raised(self):
        def fit(z):
            raise RuntimeError(f"at {z:.1f}")

        with pytest.raises(RuntimeError, match=r"at 0\.[67]"):  # the lowest of all
            marginalize(fit, PDF, 20, rng=1)

    def test_being_interrupted_is_no_failed_fit(self):
        def fit(z):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            marginalize(fit, PDF, 3, rng=1)


def test_a_density_of_no_data_is_told():
    nothing = RedshiftPDF.from_batch(EDGES, np.zeros((1, 400)))[0]
    with pytest.warns(NoDataWarning, match="drawn from a flat density"):
        fits = marginalize(lambda z: [z], nothing, 400, rng=1)
    assert fits.mean() == pytest.approx(0.8, abs=0.01)
