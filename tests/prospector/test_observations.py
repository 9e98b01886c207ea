import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import astropy.units as u
import numpy as np
import pytest
from astropy.table import MaskedColumn, QTable, Table

from mantis_astro import RedshiftPDF, to_prospector_obs
from mantis_astro.bands import BANDS, Band
from mantis_astro.exceptions import DoubleCountingWarning, MantisWarning
from mantis_astro.flags import Flag
from mantis_astro.photometry import column_suffix

pytest.importorskip("prospect")
pytestmark = pytest.mark.filterwarnings("ignore:the likelihood of this prospector")


def photometry(fluxes, errors, bands=("ps1.g", "ps1.r", "unwise.W1")):
    table = QTable()
    for band, flux, error in zip(bands, fluxes, errors, strict=True):
        table[f"flux_{column_suffix(band)}"] = [flux] * u.nJy
        table[f"flux_err_{column_suffix(band)}"] = [error] * u.nJy
    return table[0]


ROW = photometry([3631, 7262, -100], [100, 100, 100])


def data_of(row, **options):
    """Return what prospector fits, by the names that versions 1 and 2 know."""
    obs = to_prospector_obs(row, **options)
    return obs if isinstance(obs, dict) else obs[0]


def test_maggies_are_fluxes_over_3631_jansky():
    obs = data_of(ROW)
    assert np.allclose(obs["maggies"], np.array([3631, 7262, -100]) / 3.631e12)


def test_errors_have_a_floor_of_a_share_of_the_flux():
    obs = data_of(ROW, minimum_error=0.1)
    expected = np.hypot(100, [363.1, 726.2, 10])
    assert np.allclose(obs["maggies_unc"] * 3.631e12, expected)


def test_without_a_floor_errors_are_as_measured():
    obs = data_of(ROW, minimum_error=0)
    assert np.allclose(obs["maggies_unc"] * 3.631e12, 100)


def test_filters_are_those_of_the_bands():
    names = [f.name for f in data_of(ROW)["filters"]]
    assert names == ["panstarrs_g", "panstarrs_r", "wise_w1"]


def test_all_nine_bands_have_filters():
    row = photometry(np.ones(9), np.ones(9), bands=[str(band) for band in BANDS])
    assert len(data_of(row)["filters"]) == 9


def test_bands_are_a_choice():
    obs = data_of(ROW, bands=["unwise.W1", "ps1.g"])
    assert [f.name for f in obs["filters"]] == ["wise_w1", "panstarrs_g"]


@pytest.mark.parametrize(("flux", "error"), [(np.nan, 1), (1, np.nan)])
def test_what_is_nan_was_not_observed(flux, error):
    obs = data_of(photometry([10, flux, 10], [1, error, 1]))
    assert obs["phot_mask"].tolist() == [True, False, True]


def test_what_is_masked_was_not_observed():
    table = Table(
        {
            "flux_ps1_g": MaskedColumn([3.0, 1.0], mask=[True, False], unit=u.nJy),
            "flux_err_ps1_g": MaskedColumn([1.0, 1.0], mask=[True, False], unit=u.nJy),
            "flux_ps1_r": [3.0, 4.0] * u.nJy,
            "flux_err_ps1_r": [1.0, 1.0] * u.nJy,
        }
    )
    assert data_of(table[0])["phot_mask"].tolist() == [False, True]
    assert data_of(QTable(table)[0])["phot_mask"].tolist() == [False, True]


def test_prospector_takes_it():
    obs = data_of(photometry([10, np.nan, 10], [1, 1, 1]))
    if isinstance(obs, dict):
        fix_obs = pytest.importorskip("prospect.utils.obsutils").fix_obs
        obs = fix_obs(obs)
    assert obs["ndof"] == 2


def test_nothing_observed_is_refused():
    with pytest.raises(ValueError, match="no band was observed of panstarrs_g, pan"):
        to_prospector_obs(photometry([np.nan] * 3, [1] * 3))


@pytest.mark.parametrize("kind", [Table, QTable])
def test_the_unit_of_a_column_counts_in_tables_of_both_kinds(kind):
    table = kind({"flux_ps1_g": [3.631] * u.uJy, "flux_err_ps1_g": [0.1] * u.uJy})
    assert data_of(table[0])["maggies"] == pytest.approx(1e-9)


def test_numbers_without_a_unit_are_in_nanojansky():
    table = Table({"flux_ps1_g": [3631.0], "flux_err_ps1_g": [100.0]})
    assert data_of(table[0])["maggies"] == pytest.approx(1e-9)


def test_a_whole_table_is_not_a_row():
    with pytest.raises(TypeError, match=r"'row' must be one row .* as table\[0\]"):
        to_prospector_obs(ROW.table)


def test_a_row_without_errors_says_which_columns_are_needed():
    table = QTable({"flux_ps1_g": [1.0] * u.nJy})
    with pytest.raises(ValueError, match="'flux_err_ps1_g'; it has flux_ps1_g"):
        to_prospector_obs(table[0])


@pytest.mark.parametrize("minimum_error", [-0.1, np.nan])
def test_a_least_error_is_not_negative(minimum_error):
    with pytest.raises(ValueError, match="'minimum_error' must not be negative, got"):
        to_prospector_obs(ROW, minimum_error=minimum_error)


@pytest.mark.parametrize(
    ("flux", "error"), [(10, 0), (10, -3), (10, np.inf), (-99, -99), (np.nan, 0)]
)
def test_what_only_looks_observed_is_masked(flux, error):
    obs = data_of(photometry([10, flux, 10], [1, error, 1]))
    assert obs["phot_mask"].tolist() == [True, False, True]
    assert np.isfinite(obs["maggies"]).all()


def test_what_marks_a_missing_flux_can_be_said():
    row = photometry([10, -99, 10], [1, 30, 1])
    assert not data_of(row)["phot_mask"].all()
    assert data_of(row, missing=())["phot_mask"].all()


def test_a_filter_that_sedpy_does_not_know_is_named(monkeypatch):
    unknown = Band("ps1", "g", "panstarrs_q", 1 * u.AA, 1 * u.arcsec, 25.0)
    with pytest.raises(ValueError, match="sedpy has no filter 'panstarrs_q': see"):
        to_prospector_obs(ROW, bands=[unknown])


def test_without_prospector_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "prospect.models", None)
    with pytest.raises(ImportError, match=r'pip install "mantis-astro\[prospector\]"'):
        to_prospector_obs(ROW)


class TestDoubleCounting:
    pdf = RedshiftPDF([0, 1.6], [1], meta={"PZBANDS": "ps1.g, ps1.i"})

    def test_the_same_bands_under_a_full_prior_draw_a_warning(self):
        sentence = "made from ps1.g, ps1.i, and panstarrs_g are fitted again"
        with pytest.warns(DoubleCountingWarning, match=sentence):
            to_prospector_obs(ROW, prior=self.pdf.to_prior())

    def test_a_pdf_counts_as_a_full_prior(self):
        with pytest.warns(DoubleCountingWarning, match="temper the prior"):
            to_prospector_obs(ROW, prior=self.pdf)

    @pytest.mark.parametrize("temper", [0.999, 0.51])
    def test_a_trace_of_tempering_does_not_silence_it(self, temper):
        with pytest.warns(DoubleCountingWarning, match=f"at temper = {temper:g}: "):
            to_prospector_obs(ROW, prior=self.pdf.to_prior(temper=temper))

    def test_a_flag_of_a_survey_does_not_say_which_bands_were_missing(self):
        """MISSING_PS1 without y alone: its g made the prior as before."""
        pdf = self.pdf.add_flags(Flag.MISSING_PS1)
        with pytest.warns(DoubleCountingWarning, match="and panstarrs_g are fitted ag"):
            to_prospector_obs(ROW, prior=pdf)
        to_prospector_obs(ROW, bands=["ps1.g"], prior=pdf.to_prior(bands=["ps1.i"]))

    def test_the_warning_points_at_the_caller(self):
        with pytest.warns(DoubleCountingWarning) as record:
            to_prospector_obs(ROW, prior=self.pdf)
        assert record[0].filename == __file__

    @pytest.mark.parametrize(
        ("prior", "bands"),
        [
            (pdf.to_prior(temper=0.5), None),  # tempered
            (pdf, ["ps1.r", "unwise.W1"]),  # other bands
            (RedshiftPDF([0, 1.6], [1]), None),  # nobody knows
        ],
    )
    def test_otherwise_there_is_none(self, prior, bands):
        to_prospector_obs(ROW, bands=bands, prior=prior)  # warnings are errors here

    def test_a_band_without_data_is_not_counted_twice(self):
        row = photometry([np.nan, 10, 10], [1, 1, 1])
        to_prospector_obs(row, prior=self.pdf)


@pytest.fixture
def prospector_2(monkeypatch):
    """Stand-in with the signature of prospector 2's ``Photometry``."""

    class Photometry:
        def __init__(self, filters=(), name=None, **data):
            self.filters, self.name, self.data = filters, name, data
            self.rectified = False

        def rectify(self):
            self.rectified = True

    module = ModuleType("prospect.observation")
    module.Photometry = Photometry
    module.__spec__ = ModuleSpec("prospect.observation", None)
    monkeypatch.setitem(sys.modules, "prospect.observation", module)


@pytest.mark.usefixtures("prospector_2")
def test_prospector_2_gets_its_own_form():
    (observation,) = to_prospector_obs(ROW)
    assert observation.filters == ["panstarrs_g", "panstarrs_r", "wise_w1"]
    assert observation.rectified
    assert set(observation.data) == {"flux", "uncertainty", "mask"}
    assert np.allclose(
        observation.data["flux"], np.array([3631, 7262, -100]) / 3.631e12
    )


@pytest.mark.usefixtures("prospector_2")
def test_a_likelihood_that_multiplies_chi_square_draws_a_warning(monkeypatch):
    """As that of prospector's main branch at a78d153 did."""
    from prospect.likelihood.noise_model import NoiseModel

    def lnlikelihood(self, prediction, data):
        return -0.5 * np.sum((data - prediction) ** 2 * np.log(2 * np.pi) / self.Sigma)

    monkeypatch.setattr(NoiseModel, "lnlikelihood", lnlikelihood)
    with pytest.warns(MantisWarning, match=r"chi-square by 1.84, .* by 1.356"):
        to_prospector_obs(ROW)
