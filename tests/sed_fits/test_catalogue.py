import warnings

import numpy as np
import pytest
from astropy.table import Column, QTable, Table

from mantis_astro import Flag, RedshiftPDF
from mantis_astro.exceptions import (
    DoubleCountingWarning,
    FailedFitWarning,
    NoDataWarning,
)
from mantis_astro.sed_fits import fit_priors, pool_nodes, run_fits
from mantis_astro.tables.journal import AnotherRunError

EDGES = np.linspace(0, 1.6, 81)
PEAKS = [0.3, 0.7, 1.1, 0.5]
PDF = RedshiftPDF.from_gaussians(EDGES, PEAKS, 0.05)


@pytest.fixture
def table():
    """Four galaxies: good, without data, far from the training set, good."""
    flags = [0, int(Flag.NO_DATA), int(Flag.OOD_FEATURE), 0]
    table = RedshiftPDF(EDGES, PDF.probability, flags=flags).to_table()
    table["name"] = ["a", "b", "c/d", ".."]
    return table


@pytest.fixture
def priors():
    return fit_priors(PDF, ids=["a", "b", "c/d", ".."])


class TestPriors:
    def test_each_row_has_its_own(self, priors):
        for prior, name, pdf in zip(priors, priors.ids, PDF, strict=True):
            np.testing.assert_array_equal(prior.probability, pdf.to_prior().probability)
            assert priors[name] is prior
        assert priors[1:3].ids == ("b", "c/d")

    def test_flags_are_read_on_the_way(self, table):
        with pytest.warns(NoDataWarning, match=r"1 of 4 priors are flat \(b\)"):
            priors = fit_priors(table, ids="name")
        assert [prior.has_data for prior in priors] == [True, False, True, True]
        assert priors.notes == ("", "NO_DATA: flat", "OOD_FEATURE", "")
        with pytest.warns(NoDataWarning, match="2 of 4"):
            priors = fit_priors(table, ids="name", distrust=Flag.OOD_FEATURE)
        assert priors["c/d"].ppf(0.25) == pytest.approx(0.4)
        assert priors.notes[2] == "OOD_FEATURE: flat"
        shown = priors.to_table()
        assert shown["z_q050"].mask.tolist() == [False, True, True, False]
        assert shown["note"][1] == "NO_DATA: flat"

    def test_p_of_z_outside_the_support_costs_its_own_row(self):
        with pytest.warns(NoDataWarning, match="1 of 4 priors are flat"):
            priors = fit_priors(PDF, support=(0, 0.8))
        assert priors.ids == ("0", "1", "2", "3")
        assert priors.notes[2].startswith("flat: 'support' (0.0, 0.8) holds")
        assert all(prior.support == (0, 0.8) for prior in priors)

    def test_options_that_are_wrong_for_all_are_errors(self):
        with pytest.raises(ValueError, match="'floor' must be between 0 and 1"):
            fit_priors(PDF, floor=2)
        with pytest.raises(ValueError, match="'ids' must be unique, got 'x' 2 times"):
            fit_priors(PDF, ids=["x", "y", "x", "z"])
        with pytest.raises(ValueError, match="one for each of the 4 rows, got 1"):
            fit_priors(PDF, ids=["x"])
        with pytest.raises(KeyError, match="'ids': no column 'x'; there are pz, flags"):
            fit_priors(PDF.to_table()["pz", "flags"], ids="x")
        with pytest.raises(ValueError, match="must be a table or a one-dimensional"):
            fit_priors(PDF[0])

    def test_an_unknown_galaxy_is_told(self, priors):
        with pytest.raises(KeyError, match="no galaxy 'x' among 4"):
            priors["x"]


class TestCodes:
    def test_eazy(self, priors):
        zgrid = np.linspace(0.01, 1.5, 150)
        lnp = priors.to_eazy(zgrid)
        np.testing.assert_allclose(zgrid[lnp.argmax(axis=1)], PEAKS, atol=0.03)

    def test_prospector(self, table):
        library = pytest.importorskip("prospect.models.templates").TemplateLibrary
        template = library["parametric_sfh"]
        with pytest.warns(NoDataWarning):
            priors = fit_priors(table, ids="name")
        params, changes = priors.to_prospector("c/d", template)
        assert params["zred"]["init"] == pytest.approx(1.1, abs=0.02)
        assert changes[0] == "p(z): OOD_FEATURE"
        assert not template["zred"]["isfree"]
        params, _ = priors.to_prospector(0, template)
        assert params["zred"]["init"] == pytest.approx(0.3, abs=0.02)

    def test_data_that_count_twice_are_told_for_bagpipes(self, monkeypatch):
        from mantis_astro.sed_fits import catalogue

        monkeypatch.setattr(
            catalogue, "bagpipes_catalogue", lambda *_, **__: ({}, None)
        )
        priors = fit_priors(PDF, bands=["ps1.g"])
        with pytest.warns(DoubleCountingWarning, match="panstarrs_g are fitted again"):
            priors.to_bagpipes(print, bands=["ps1.g", "ps1.r"])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            priors.to_bagpipes(print, bands=["ps1.r"])

    def test_nodes_have_equal_weight_and_repeat_the_fluxes(self, priors):
        fluxes = Table({"id": [1, 2, 3, 4], "ps1.g": [5.0, 6, 7, 8]})
        nodes = priors.to_nodes(5, fluxes)
        assert nodes["id"][:6].tolist() == ["a_0", "a_1", "a_2", "a_3", "a_4", "b_0"]
        share = priors["b"].cdf(nodes["redshift"][nodes["galaxy"] == "b"])
        np.testing.assert_allclose(share, [0.1, 0.3, 0.5, 0.7, 0.9])
        assert set(nodes["ps1.g"][nodes["galaxy"] == "c/d"]) == {7.0}
        with pytest.raises(
            ValueError, match="'table' must have 4 rows, one a prior, got 2"
        ):
            priors.to_nodes(3, fluxes[:2])

    def test_errors_may_be_in_another_unit(self):
        nodes = Table({"galaxy": ["a", "a"]})
        nodes["m"] = Column([10.0, 10.0], unit="mag")
        nodes["m_err"] = Column([500.0, 500.0], unit="mmag")
        pooled = pool_nodes(nodes, iter(["m"]), errors={"m": "m_err"})
        assert pooled["m", "m_err"][0].as_void().tolist() == (10.0, 0.5)
        assert pooled["m"].unit == pooled["m_err"].unit == "mag"

    def test_nodes_keep_what_is_known_of_the_fluxes(self, priors, table):
        table.meta["FLUXDUST"] = "corrected"
        assert priors.to_nodes(2, table).meta["FLUXDUST"] == "corrected"

    def test_nodes_pooled_are_the_mixture(self, priors):
        """A mass of 10 + 2 z +- 0.1: its width is that and twice that of p(z)."""
        nodes = priors.to_nodes(50)
        nodes["mass"] = 10 + 2 * nodes["redshift"]
        nodes["error"] = 0.1
        nodes["mass"][3] = np.nan  # a node that failed
        nodes.sort("redshift")
        pooled = pool_nodes(nodes, ["mass"], errors={"mass": "error"})
        order = [pooled["galaxy"].tolist().index(name) for name in priors.ids]
        np.testing.assert_allclose(
            pooled["mass"][order], 10 + 2 * np.array(PEAKS), atol=0.01
        )
        np.testing.assert_allclose(
            pooled["mass_err"], np.hypot(0.1, 2 * 0.05), rtol=0.06
        )
        assert sorted(pooled["n_nodes"]) == [49, 50, 50, 50]

    def test_nodes_weighed_by_evidence_make_p_of_z_a_prior(self, priors):
        nodes = priors.to_nodes(400)
        nodes["lnz"] = -0.5 * ((nodes["redshift"] - 0.4) / 0.05) ** 2 - 1e4
        pooled = pool_nodes(nodes, ["redshift"], log_weights="lnz")
        (first,) = pooled[pooled["galaxy"] == "a"]
        assert first["redshift"] == pytest.approx(0.35, abs=0.002)
        assert first["redshift_err"] == pytest.approx(0.05 / np.sqrt(2), rel=0.05)

    def test_a_galaxy_all_of_whose_nodes_failed_has_no_value(self):
        nodes = Table({"galaxy": ["a", "b"], "m": [np.nan, 1.0]})
        pooled = pool_nodes(nodes, ["m"])
        assert np.isnan(pooled["m"]).tolist() == [True, False]
        assert pooled["n_nodes"].tolist() == [0, 1]


class TestRuns:
    def fit(self, name, prior):
        self.fitted.append(name)
        if name in self.broken:
            raise RuntimeError("no photometry")
        return {"zred": prior.sample(1, 500), "ln_evidence": len(name)}

    @pytest.fixture(autouse=True)
    def nothing_yet(self):
        self.fitted, self.broken = [], set()

    def test_a_failure_costs_its_own_row(self, priors, tmp_path):
        self.broken = {"b"}
        with pytest.warns(
            FailedFitWarning, match=r"1 of 4 .* b \(RuntimeError: no pho"
        ):
            fits = run_fits(self.fit, priors, tmp_path / "new")
        assert set(fits) == {"a", "c/d", ".."}
        table = fits.to_table()
        assert isinstance(table, QTable)
        assert table["problem"].tolist() == ["", "RuntimeError: no photometry", "", ""]
        assert table["zred_50"].mask.tolist() == [False, True, False, False]
        np.testing.assert_allclose(table["zred_50"][2:], PEAKS[2:], atol=0.02)
        assert table["ln_evidence"][2] == 3
        with pytest.raises(
            KeyError, match="no fit of 'b': RuntimeError: no photometry"
        ):
            fits["b"]

    def test_a_killed_run_resumes(self, priors, tmp_path):
        def killed(name, prior):
            if name == "c/d":
                raise KeyboardInterrupt
            return self.fit(name, prior)

        with pytest.raises(KeyboardInterrupt):
            run_fits(killed, priors, tmp_path)
        whole = run_fits(self.fit, priors, tmp_path)
        assert self.fitted == ["a", "b", "c/d", ".."]
        assert len(whole) == 4
        np.testing.assert_array_equal(whole["a"]["zred"], priors["a"].sample(1, 500))
        assert not list(tmp_path.glob("*.tmp*"))

    def test_what_failed_is_tried_again(self, priors, tmp_path):
        self.broken = {"b"}
        with pytest.warns(FailedFitWarning):
            run_fits(self.fit, priors, tmp_path)
        self.broken = set()
        assert len(run_fits(self.fit, priors, tmp_path)) == 4
        assert self.fitted == ["a", "b", "c/d", "..", "b"]

    def test_fits_under_other_priors_are_not_mixed(self, priors, tmp_path):
        run_fits(self.fit, priors, tmp_path, ids=["a"])
        others = fit_priors(PDF, ids=priors.ids, temper=0.5)
        with pytest.raises(AnotherRunError, match="a.npz is a fit with another prior"):
            run_fits(self.fit, others, tmp_path)

    def test_long_names_have_files_of_their_own(self, tmp_path):
        priors = fit_priors(PDF[:2], ids=["x" * 300 + "a", "x" * 300 + "b"])
        fits = run_fits(lambda name, _: {"z": ord(name[-1])}, priors, tmp_path)
        assert [fits[name]["z"] for name in priors.ids] == [ord("a"), ord("b")]

    @pytest.mark.parametrize(
        ("answer", "problem"),
        [
            (None, "TypeError: 'fit_function' must return a dict"),
            ({"z": np.ones((2, 2))}, r"shape (n_sample,), got (2, 2)"),
            ({"z": [np.nan]}, "samples of 'z' are not finite"),
            ({"file": 1.0}, "names of samples must be texts other than id, problem"),
            ({1: 1.0}, "names of samples must be texts"),
        ],
    )
    def test_an_odd_answer_is_a_failure(self, priors, tmp_path, answer, problem):
        with pytest.warns(FailedFitWarning):
            fits = run_fits(lambda *_: answer, priors, tmp_path, ids=["a"])
        assert problem in fits.problems["a"]
