import pickle

import astropy.units as u
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import kstest, rv_histogram

from mantis_astro import RedshiftPDF, RedshiftPrior
from mantis_astro.exceptions import NoDataWarning
from mantis_astro.priors import quantile_table, write_redrock

# bins as the published network's: the first is half as wide
EDGES = np.concatenate([[0], 0.002 + 0.004 * np.arange(399), [1.6]])
TWO_PEAKS = np.exp(-0.5 * ((EDGES[1:] - 0.4) / 0.03) ** 2) + 0.3 * np.exp(
    -0.5 * ((EDGES[1:] - 1.1) / 0.05) ** 2
)


@st.composite
def priors(draw):
    """Any bins, some of them empty, any floor and tempering."""
    n = draw(st.integers(1, 12))
    widths = draw(st.lists(st.floats(0.01, 1), min_size=n, max_size=n))
    weights = draw(
        st.lists(st.just(0.0) | st.floats(1e-6, 1), min_size=n, max_size=n).filter(any)
    )
    return RedshiftPrior(
        np.concatenate([[0], np.cumsum(widths)]),
        weights,
        floor=draw(st.floats(0, 1)),
        temper=draw(st.floats(0, 1)),
    )


@given(priors(), st.lists(st.floats(0, 1), min_size=1))
def test_ppf_is_the_inverse_of_cdf(prior, q):
    assert np.allclose(prior.cdf(prior.ppf(q)), q, rtol=0, atol=1e-12)


@given(priors(), st.lists(st.floats(0, 1), min_size=1))
def test_no_draw_falls_where_the_prior_is_zero(prior, q):
    assert np.all(prior.pdf(prior.ppf(q)) > 0)


@given(priors())
def test_probability_sums_to_one(prior):
    assert prior.probability.sum() == pytest.approx(1, abs=1e-12)
    assert prior.cdf(prior.support[1]) == 1


@given(priors(), st.floats(0, 1))
def test_density_is_the_derivative_of_cdf(prior, where):
    bin_edges = prior.bin_edges
    middle = (bin_edges[1:] + bin_edges[:-1]) / 2
    slope = np.diff(prior.cdf(bin_edges)) / np.diff(bin_edges)
    assert np.allclose(prior.pdf(middle), slope, rtol=1e-9, atol=1e-12)


def test_density_integrates_to_cdf():
    prior = RedshiftPrior([0, 0.3, 0.4, 1.6], [0.2, 0.7, 0.1])
    integral, _ = quad(prior.pdf, 0, 0.9, points=[0.3, 0.4])
    assert integral == pytest.approx(prior.cdf(0.9), abs=1e-9)


def test_agrees_with_scipy():
    prior = RedshiftPrior(EDGES, TWO_PEAKS)
    scipys = rv_histogram((prior.probability, EDGES), density=False)
    z = np.linspace(0, 1.599, 777)  # scipy leaves the upper end out
    assert np.allclose(prior.pdf(z), scipys.pdf(z), rtol=1e-12)
    assert np.allclose(prior.cdf(z), scipys.cdf(z), rtol=0, atol=1e-12)
    assert np.allclose(prior.ppf(z / 1.6), scipys.ppf(z / 1.6), rtol=0, atol=1e-12)


def test_a_million_draws_pass_a_kolmogorov_smirnov_test():
    prior = RedshiftPrior(EDGES, TWO_PEAKS)
    scipys = rv_histogram((prior.probability, EDGES), density=False)
    assert kstest(prior.sample(5, 1_000_000), scipys.cdf).pvalue > 0.01


def test_floor_is_a_share_of_the_mass_spread_evenly():
    prior = RedshiftPrior([0, 0.5, 0.6, 2], [0, 1, 0], floor=0.2)
    assert np.allclose(prior.probability, [0.05, 0.8 + 0.01, 0.14])
    assert prior.pdf(0.1) == pytest.approx(0.2 / 2)


def test_without_a_floor_the_prior_is_p_of_z():
    pdf = RedshiftPDF(EDGES, TWO_PEAKS)
    prior = pdf.to_prior(floor=0)
    z = np.linspace(0, 1.6, 55)
    assert np.allclose(prior.pdf(z), pdf.pdf(z).value, rtol=1e-12)


def test_a_full_floor_is_flat():
    prior = RedshiftPrior(EDGES, TWO_PEAKS, floor=1)
    assert np.allclose(prior.pdf([0.001, 0.4, 1.5]), 1 / 1.6)


def test_tempering_raises_the_density_to_a_power():
    full = RedshiftPrior(EDGES, TWO_PEAKS, floor=0)
    half = RedshiftPrior(EDGES, TWO_PEAKS, floor=0, temper=0.5)
    z = np.array([0.001, 0.35, 0.4, 1.1])  # the first in the half-width bin
    ratio = half.pdf(z) ** 2 / full.pdf(z)
    assert np.allclose(ratio, ratio[0])


def test_tempering_twice_multiplies_the_powers():
    once = RedshiftPrior(EDGES, TWO_PEAKS, floor=0, temper=0.25)
    twice = RedshiftPrior(
        EDGES,
        RedshiftPrior(EDGES, TWO_PEAKS, floor=0, temper=0.5).probability,
        floor=0,
        temper=0.5,
    )
    assert np.allclose(once.probability, twice.probability, rtol=1e-12)


def test_tempering_to_nothing_is_flat():
    prior = RedshiftPrior([0, 1, 4], [0.9, 0.1], floor=0, temper=0)
    assert np.allclose(prior.pdf([0.5, 3]), 0.25)


def test_cutting_the_support_renormalises_within():
    full = RedshiftPrior(EDGES, TWO_PEAKS, floor=0)
    cut = RedshiftPrior(EDGES, TWO_PEAKS, floor=0, support=(0.3, 0.801))
    inside = full.cdf(0.801) - full.cdf(0.3)
    assert cut.support == (0.3, 0.801)
    assert cut.pdf(0.4) == pytest.approx(full.pdf(0.4) / inside)
    assert cut.pdf(0.29) == 0


def test_beyond_the_bins_a_wider_support_has_the_floor_only():
    prior = RedshiftPrior([0.2, 0.4], [1], floor=0.1, support=(0, 2))
    assert np.allclose(prior.pdf([0.1, 0.3, 1.9]), [0.05, 0.9 / 0.2 + 0.05, 0.05])


def test_a_delta_like_pdf_stays_proper():
    weights = np.zeros(400)
    weights[100] = 1
    prior = RedshiftPrior(EDGES, weights)
    q = np.linspace(0, 1, 1001)
    assert np.allclose(prior.cdf(prior.ppf(q)), q, rtol=0, atol=1e-12)
    assert np.isfinite(prior.log_pdf(np.linspace(0, 1.6, 100))).all()


def test_a_pdf_at_the_edge_keeps_both_ends():
    weights = np.zeros(400)
    weights[[0, -1]] = 0.5
    prior = RedshiftPrior(EDGES, weights, floor=0)
    assert prior.ppf([0, 1]).tolist() == [0, 1.6]
    assert prior.pdf(1.6) == pytest.approx(0.5 / (EDGES[-1] - EDGES[-2]))


def test_outside_and_nan_are_turned_down():
    prior = RedshiftPrior([0.1, 1], [1])
    assert prior.log_pdf(np.array([0.0, 1.1, np.nan])).tolist() == [-np.inf] * 3
    assert np.isnan(prior.pdf(np.nan))
    assert np.isnan(prior.cdf(np.ma.masked_array([0.5], mask=[True]))).all()


@pytest.mark.parametrize("shape", [(), (1,), (5, 1)])
def test_shapes_are_kept(shape):
    prior = RedshiftPrior([0, 1, 2], [1, 2])
    z = np.full(shape, 0.5)
    for method in (prior.pdf, prior.log_pdf, prior.cdf, prior.ppf):
        assert np.shape(method(z)) == shape


def test_takes_quantities():
    prior = RedshiftPrior([0, 1, 2] * u.one, [1, 1])
    assert prior.cdf(50 * u.percent) == pytest.approx(0.25)


def test_sample_without_a_number_is_one_float():
    prior = RedshiftPrior([0.2, 0.3], [1])
    assert isinstance(prior.sample(3), float)
    assert prior.sample(3, 4).shape == (4,)
    assert np.array_equal(prior.sample(3, 4), prior.sample(np.random.default_rng(3), 4))


def test_survives_pickle():
    prior = RedshiftPrior(EDGES, TWO_PEAKS, temper=0.5, bands=["ps1.g"], model="m")
    again = pickle.loads(pickle.dumps(prior))
    assert np.array_equal(again.probability, prior.probability)
    assert (again.temper, again.bands, again.model) == (0.5, ("ps1.g",), "m")
    assert again.ppf(0.3) == prior.ppf(0.3)


def test_arrays_cannot_be_changed():
    prior = RedshiftPrior([0, 1, 2], [1, 2])
    with pytest.raises(ValueError, match="read-only"):
        prior.probability[0] = 1


def test_knows_what_made_it():
    meta = {"PZMODEL": "early", "PZBANDS": "galex.NUV, ps1.g"}
    prior = RedshiftPDF([0, 1, 2], [1, 2], meta=meta).to_prior()
    assert prior.model == "early"
    assert prior.bands == ("galex.NUV", "ps1.g")
    assert RedshiftPDF([0, 1, 2], [1, 2]).to_prior().bands is None


def test_float32_probabilities_are_normalised_in_float64():
    pdf = RedshiftPDF(EDGES, TWO_PEAKS.astype(np.float32))
    assert pdf.to_prior().probability.sum() == pytest.approx(1, abs=1e-14)


def test_says_what_it_is():
    prior = RedshiftPrior([0, 1], [1], temper=0.5)
    assert repr(prior) == (
        "<RedshiftPrior z = 0 to 1, median 0.5: 1 bins, floor 0.001, tempered 0.5>"
    )


@pytest.mark.parametrize(
    ("arguments", "options", "sentence"),
    [
        (([0, 1], [1]), {"floor": -0.1}, "'floor' must be between 0 and 1, got -0.1"),
        (([0, 1], [1]), {"temper": 1.5}, "'temper' must be between 0 and 1, got 1.5"),
        (([0, 1], [1]), {"floor": np.nan}, "'floor' must be between 0 and 1, got nan"),
        (([0, 1], [[1]]), {}, "a value for each of the 1 bins, got shape"),
        (([0, 1, 2], [1, np.nan]), {}, "finite, not negative and not all zero"),
        (([0, 1, 2], [1, -1]), {}, "finite, not negative and not all zero"),
        (([0, 1, 2], [0, 0]), {}, "finite, not negative and not all zero"),
        (([1, 0], [1]), {}, "'bin_edges' must increase"),
        (([0, 1], [1]), {"support": (2, 3)}, "holds 0 of p\\(z\\), which spans z = 0"),
        (([0, 1], [1]), {"support": 0.5}, "'support' must be one-dimensional"),
        (([0, 1], [1]), {"support": (-1, 1)}, "'support' must not start below"),
        (([0, 1, 2], np.ma.array([1, 1], mask=[0, 1])), {}, "finite, not negative"),
        (([0, 1], [1]), {"support": (3, 2)}, "'support' must increase"),
        (([0, 1], [1]), {"support": (0, np.inf)}, "'support' must be finite"),
    ],
)
def test_refuses(arguments, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        RedshiftPrior(*arguments, **options)


def test_a_refused_row_says_what_was_given():
    with pytest.raises(ValueError, match="got nan"):
        RedshiftPrior([0, 1, 2], [1, np.nan])


def test_refuses_quantiles_beyond_one():
    with pytest.raises(ValueError, match="'q' must be between 0 and 1, got 1.2"):
        RedshiftPrior([0, 1], [1]).ppf([0.5, 1.2])


def test_a_prior_belongs_to_one_galaxy():
    pdf = RedshiftPDF([0, 1, 2], [[1, 2], [2, 1]])
    with pytest.raises(ValueError, match=r"shape \(2,\): take one, as in pdf\[0\]"):
        pdf.to_prior()
    assert [one.to_prior(floor=0).probability[0] for one in pdf] == pytest.approx(
        [1 / 3, 2 / 3]
    )


class TestNoData:
    @pytest.fixture
    def prior(self):
        pdf = RedshiftPDF.from_batch(np.linspace(0, 1.6, 401), np.zeros((1, 400)))[0]
        with pytest.warns(NoDataWarning, match="NO_DATA.: the prior is flat"):
            return pdf.to_prior()

    def test_the_prior_is_flat_and_says_why(self, prior):
        np.testing.assert_allclose(prior.pdf([0.1, 1.5]), 1 / 1.6)
        assert not prior.has_data
        assert "made of no data" in repr(prior)
        assert not prior.with_support((0.2, 1)).has_data

    def test_its_quantiles_are_masked(self, prior):
        known = RedshiftPrior([0, 1], [1])
        table = quantile_table([known, prior], [0.5])
        assert table["z_q050"].mask.tolist() == [False, True]
        assert np.isnan(np.asarray(table["z_q050"])[1])
        assert table["z_q050"][0] == 0.5

    @pytest.mark.parametrize("function", ["gaussian", "lorentzien", "tophat"])
    def test_redrock_gets_what_does_not_matter(self, prior, function, tmp_path):
        path = tmp_path / "p.fits"
        table = write_redrock(path, [1], [prior], function=function, level=0.5)
        z, sigma = table["Z"][0], table["SIGMA"][0]
        assert z == pytest.approx(0.8)
        if function == "tophat":
            assert sigma == pytest.approx(1.6)
        else:  # the density falls by less than 1 % from the middle to an end
            assert np.exp(-0.5 * (0.8 / sigma) ** 2) > 0.99


@given(st.floats(0, 1), st.integers(0, 2**32))
def test_no_quantile_lies_where_the_density_is_zero(q, seed):
    """Interpolation may overshoot an end by one step of the last digit."""
    rng = np.random.default_rng(seed)
    edges = np.cumsum(rng.uniform(1e-3, 1, 8))
    weights = rng.random(7) * (rng.random(7) < 0.6)
    weights[rng.integers(7)] = 1
    prior = RedshiftPrior(edges, weights, floor=0)
    ends = prior.cdf(edges)
    for share in [q, *ends, *np.nextafter(ends, 0), *np.nextafter(ends, 1)]:
        z = prior.ppf(np.clip(share, 0, 1))
        assert prior.pdf(z) > 0
        assert prior.support[0] <= z <= prior.support[1]


def test_the_highest_quantiles_stay_within_the_support():
    """Here interpolation at 1 - 1e-16 ends beyond the last edge, by one digit."""
    edges = [0.017632715207844974, 0.10217324735978588, 0.8328327744757761]
    prior = RedshiftPrior(edges, [0.2732616958060302, 0.7136160494368278], floor=0)
    q = np.nextafter(1, 0)
    assert np.interp(q, prior.cdf(edges), edges) > edges[-1]
    assert prior.ppf(q) == edges[-1]
    assert prior.pdf(prior.ppf(q)) > 0
