"""The n(z) that p(z) carry: from a model's training to a table and into a fit."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.table import QTable, vstack
from hypothesis import given
from hypothesis import strategies as st

from mantis_astro import RedshiftPDF
from mantis_astro.exceptions import InputSpecError, UnknownPriorWarning
from mantis_astro.flags import Flag
from mantis_astro.models import ModelCard, get_card
from mantis_astro.pdf.n_of_z import n_of_z_from_text, n_of_z_to_text
from mantis_astro.prediction import Predictor
from mantis_astro.simulation import GalaxyPopulation, Subsample
from mantis_astro.training.batches.batch import ArrayData
from mantis_astro.training.batches.sampling import smooth_n_of_z

EDGES = np.array([0, 0.1, 0.3, 0.5, 0.7, 1.0])
WIDTHS = np.diff(EDGES)
TRAINED = np.array([0.4, 0.3, 0.15, 0.1, 0.05])  # galaxies in each bin
LIKELIHOOD = np.exp(-0.5 * ((EDGES[1:] + EDGES[:-1]) / 2 - 0.4) ** 2 / 0.2**2)
OTHER = np.array([1.0, 2.0, 4.0, 2.0, 1.0])  # galaxies per unit redshift


def under(n, **options):
    """Bayes: probability of bins with a likelihood, under an n(z) of bins."""
    return RedshiftPDF(EDGES, LIKELIHOOD * n, **options)


def of_model(meta=()):
    meta = {"PZMODEL": "m", "PZPRIOR": "its own", "PZNOFZ": n_of_z_to_text(TRAINED)}
    return under(TRAINED, meta=meta)


class TestReweighting:
    def test_what_the_model_carries_is_divided_out(self):
        new = of_model().reweight(OTHER)
        expected = under(OTHER * WIDTHS)
        np.testing.assert_allclose(new.probability, expected.probability)

    def test_the_likelihood_comes_out_under_the_same_for_all_redshifts(self):
        new = of_model().reweight(np.ones(5))
        ratio = new.density / LIKELIHOOD
        np.testing.assert_allclose(ratio, ratio[0])

    def test_only_the_last_of_several_counts(self):
        twice = of_model().reweight(lambda z: np.exp(-z)).reweight(OTHER)
        once = of_model().reweight(OTHER)
        np.testing.assert_allclose(twice.probability, once.probability, rtol=1e-3)

    def test_the_meta_follows(self):
        new = of_model().reweight(OTHER)
        n = OTHER * WIDTHS
        np.testing.assert_allclose(new.n_of_z, n / n.sum(), rtol=1e-3)
        assert new.meta["PZPRIOR"] == "n(z) given to reweight"
        assert of_model().meta["PZPRIOR"] == "its own"

    def test_its_own_n_of_z_changes_nothing(self):
        pdf = of_model()
        new = pdf.reweight(RedshiftPDF(EDGES, pdf.n_of_z))
        np.testing.assert_allclose(new.probability, pdf.probability)

    def test_where_nothing_was_trained_nothing_is_known(self):
        n = np.array([0, 0.5, 0.5, 0, 0])
        leak = LIKELIHOOD * n + 1e-6  # a network is never quite sure
        pdf = RedshiftPDF(EDGES, leak, meta={"PZNOFZ": n_of_z_to_text(n)})
        new = pdf.reweight(np.ones(5))
        np.testing.assert_array_equal(new.probability[[0, 3, 4]], 0)
        np.testing.assert_array_equal(new.n_of_z, [0, 0.5, 0.5, 0, 0])

    def test_a_prior_that_is_given_comes_first(self):
        new = of_model().reweight(OTHER, prior=OTHER)
        np.testing.assert_allclose(new.probability, of_model().probability)

    def test_another_for_each_galaxy_is_not_one(self):
        pdf = RedshiftPDF(EDGES, [LIKELIHOOD * TRAINED] * 2, meta=of_model().meta)
        new = pdf.reweight([OTHER, np.ones(5)])
        expected = under(OTHER * WIDTHS)
        np.testing.assert_allclose(new[0].probability, expected.probability)
        assert new.n_of_z is None
        assert "another for each" in new.meta["PZPRIOR"]

    @pytest.mark.parametrize("meta", [{"PZMODEL": "m"}, {"PZPRIOR": "its own"}])
    def test_a_model_whose_n_of_z_is_not_known_draws_a_warning(self, meta):
        pdf = under(TRAINED, meta=meta)
        with pytest.warns(UnknownPriorWarning, match="the new one comes on top") as got:
            new = pdf.reweight(OTHER)
        assert got[0].filename == __file__
        assert "is not divided out" in new.meta["PZPRIOR"]
        assert new.n_of_z is None

    def test_it_stays_unknown_whatever_follows(self):
        new = under(TRAINED).reweight(OTHER)  # no model: no warning
        with pytest.warns(UnknownPriorWarning, match="n\\(z\\) given to reweight;"):
            new.reweight(OTHER)

    def test_a_prior_is_told(self):
        prior = of_model().to_prior(n_of_z=OTHER, floor=0)
        expected = under(OTHER * WIDTHS)
        np.testing.assert_allclose(prior.probability, expected.probability)
        assert prior.n_of_z == "n(z) given to reweight"
        assert of_model().to_prior().n_of_z == "its own"
        assert prior.with_support((0, 1.5)).n_of_z == prior.n_of_z


class TestTravelling:
    def test_rebinned_with_p_of_z(self):
        new = of_model().rebin([0, 0.1, 0.2, 0.5, 1.0])
        np.testing.assert_allclose(new.n_of_z, [0.4, 0.15, 0.3, 0.15])

    @pytest.mark.parametrize("ending", ["ecsv", "fits", "parquet"])
    @pytest.mark.parametrize("prefix", ["", "my_"])
    def test_through_tables_and_files(self, tmp_path, ending, prefix):
        from mantis_astro.tables import read_table, write_table

        pdf = RedshiftPDF(EDGES, [LIKELIHOOD * TRAINED] * 2, meta=of_model().meta)
        table = pdf.to_table(prefix=prefix)
        write_table(vstack([table, table]), tmp_path / f"pz.{ending}")
        table = QTable(read_table(tmp_path / f"pz.{ending}"))
        back = RedshiftPDF.from_table(table, prefix=prefix)
        np.testing.assert_array_equal(back.n_of_z, pdf.n_of_z)
        new = back.reweight(OTHER)
        expected = under(OTHER * WIDTHS)
        np.testing.assert_allclose(new[3].probability, expected.probability, rtol=1e-6)

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=9).filter(sum))
    def test_as_a_text(self, values):
        values = np.array(values) / sum(values)
        back = n_of_z_from_text(n_of_z_to_text(values))
        np.testing.assert_allclose(back, values, rtol=2e-3)

    def test_equal_numbers_are_short(self):
        assert n_of_z_to_text([1 / 400] * 400) == "2500*400"

    @pytest.mark.parametrize("text", ["", "a b", "0*3", "1 -1", "1 nan", "1*x", 7])
    def test_what_is_no_n_of_z(self, text):
        pdf = RedshiftPDF(EDGES, LIKELIHOOD, meta={"PZNOFZ": text})
        with pytest.raises(ValueError, match=r"n\(z\)"):
            pdf.reweight(OTHER)

    def test_that_of_other_bins(self):
        pdf = RedshiftPDF(EDGES, LIKELIHOOD, meta={"PZNOFZ": "1*4"})
        with pytest.raises(ValueError, match="has 4 redshift bins, and p\\(z\\) has 5"):
            pdf.reweight(OTHER)


class TestCard:
    card = get_card("mantis-shrimp-early")

    def test_uniform_per_class_is_derived_and_not_stored(self):
        assert self.card.n_of_z == (1 / 400,) * 400
        assert "n_of_z" not in self.card.to_plain()
        assert ModelCard.from_plain(self.card.to_plain()) == self.card

    def test_numbers_are_kept(self):
        n = np.arange(400.0)
        card = replace(self.card, training_prior="steep", n_of_z=n)
        np.testing.assert_allclose(card.n_of_z, n / n.sum())
        assert ModelCard.from_plain(card.to_plain()) == card
        assert replace(card, name="b").n_of_z == card.n_of_z

    def test_not_known_is_none(self):
        card = replace(self.card, training_prior="a survey", n_of_z=None)
        assert card.n_of_z is None
        assert "PZNOFZ" not in Predictor(None, card).provenance()

    @pytest.mark.parametrize(
        "n", [[1, 2], np.zeros(400), np.full(400, np.nan), -np.ones(400)]
    )
    def test_what_is_none(self, n):
        with pytest.raises(InputSpecError, match="a probability for each of the 400"):
            replace(self.card, n_of_z=n)

    def test_p_of_z_of_balanced_classes_are_brought_to_a_population(self):
        edges = self.card.bin_edges
        facts = Predictor(None, self.card).provenance()
        pdf = RedshiftPDF.from_gaussians(edges, 0.3, 0.05, meta=facts)
        likelihood = pdf.probability  # as many galaxies in each bin
        n = np.linspace(2, 1, 400)
        expected = likelihood * n * np.diff(edges)
        new = pdf.reweight(n).probability
        np.testing.assert_allclose(new, expected / expected.sum(), atol=1e-15)


class TestPopulation:
    survey = Subsample("a", 3.0, "ps1.r", faint=18.0, z_range=(0.01, 0.5))
    deep = Subsample("b", 1.0, "ps1.i", faint=21.0, z_range=(0.2, 1.0))
    population = GalaxyPopulation(5, mix=(survey, deep))

    def test_it_is_what_is_drawn(self):
        edges = np.linspace(0, 1.2, 13)
        share = self.population.n_of_z(edges)
        count = np.histogram(self.population.draw(20_000).z, edges)[0]
        error = np.sqrt(20_000 * share * (1 - share))
        assert (abs(count - 20_000 * share) <= 4.5 * error).all()
        assert share.sum() == pytest.approx(1)

    def test_shares_are_those_of_the_mix(self):
        below = self.population.n_of_z([0.0, 0.2, 0.5, 1.0])
        assert below[2] <= 0.25  # only the deep one reaches there
        assert below[0] <= 0.75


class TestLabels:
    z = np.random.default_rng(3).beta(2, 5, 20_000)
    edges = np.linspace(0, 1, 41)

    def expected(self):
        from scipy.stats import beta

        return np.diff(beta(2, 5).cdf(self.edges))

    def test_smoothing_finds_the_distribution(self):
        n = smooth_n_of_z(self.z, self.edges)
        assert abs(n - self.expected()).sum() < 0.03
        few = smooth_n_of_z(self.z[:200], self.edges)
        raw = np.histogram(self.z[:200], self.edges)[0] / 200
        truth = self.expected()
        assert abs(few - truth).sum() < 0.7 * abs(raw - truth).sum()
        assert (few > 0).all()

    def test_weights_count(self):
        weights = 1 - self.z  # Beta(2, 5) becomes Beta(2, 6)
        from scipy.stats import beta

        n = smooth_n_of_z(self.z, self.edges, weights)
        assert abs(n - np.diff(beta(2, 6).cdf(self.edges))).sum() < 0.03
        data = ArrayData(
            np.ones((20_000, 2, 1)),
            np.ones((20_000, 1), bool),
            np.zeros((20_000, 1)),
            self.z,
            z_edges=self.edges,
            weights=weights,
        )
        np.testing.assert_array_equal(data.n_of_z, n)

    def test_one_redshift_alone_is_no_accident(self):
        n = smooth_n_of_z(np.full(9, 0.3), np.array([0, 0.5, 1]))
        np.testing.assert_allclose(n, [0.95, 0.05])


@pytest.mark.filterwarnings("ignore::mantis_astro.exceptions.NoDataWarning")
def test_a_galaxy_without_data_has_no_bands():
    meta = {"PZBANDS": "galex.NUV, galex.FUV, ps1.g, unwise.W1"}

    def bands(flags):
        return RedshiftPDF([0, 1], [1], flags=flags, meta=meta).to_prior().bands

    everything = ("galex.NUV", "galex.FUV", "ps1.g", "unwise.W1")
    assert bands(0) == everything
    # one band of GALEX is missing, or both: the flag does not say which
    assert bands(int(Flag.MISSING_GALEX)) == everything
    assert bands(int(Flag.NO_DATA)) == ()


@pytest.mark.parametrize(
    "name", ["simulated-early", "simulated-late", "simulated-photometric"]
)
def test_models_of_the_package_carry_the_n_of_z_of_their_recipe(name):
    from mantis_astro.training import TrainingConfig

    card = get_card(name)
    config = TrainingConfig.read(name.removeprefix("simulated-"))
    assert config.sampling == "natural"
    population = GalaxyPopulation(donors=config.data.donors)
    n = population.n_of_z(card.bin_edges)
    np.testing.assert_allclose(card.n_of_z, n, rtol=1e-9)
    assert n[25] > 80 * n[350]  # z = 0.1 and 1.4: nothing like a likelihood
