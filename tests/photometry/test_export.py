"""Tables of fluxes as SED fitting codes read them."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import MaskedColumn, QTable, Table

from mantis_astro.bands import BANDS
from mantis_astro.extinction import extinction_coefficients
from mantis_astro.fluxes import flux_columns
from mantis_astro.photometry import measure_photometry, to_eazy, to_prospector

from .scenes import first, make_target


@pytest.fixture(scope="module")
def table():
    target = make_target("ps1.r", "unwise.W1", noise=1.0)
    return measure_photometry(target, bands=["ps1.r", "ps1.i", "unwise.W1"], ebv=0.0)


def test_prospector_reads_maggies(table):
    obs = to_prospector(table[0])
    assert obs["filternames"] == ["panstarrs_r", "panstarrs_i", "wise_w1"]
    magnitude = -2.5 * np.log10(obs["maggies"][0])
    assert magnitude == pytest.approx(first(table["mag_ab_ps1_r"]))
    ratio = obs["maggies_unc"][0] / obs["maggies"][0]
    assert ratio == pytest.approx(first(table["flux_err_ps1_r"] / table["flux_ps1_r"]))


def test_prospector_is_told_what_was_not_observed(table):
    obs = to_prospector(table[0])
    assert obs["phot_mask"].tolist() == [True, False, True]
    assert np.isfinite(obs["maggies"]).all()


def test_filters_that_sedpy_knows(table):
    from sedpy.observate import load_filters

    assert len(load_filters(to_prospector(table[0])["filternames"])) == 3


def test_an_error_floor_adds_in_quadrature(table):
    plain, with_floor = (to_prospector(table[0], minimum_error=e) for e in (0, 0.05))
    expected = np.hypot(plain["maggies_unc"][0], 0.05 * plain["maggies"][0])
    assert with_floor["maggies_unc"][0] == pytest.approx(expected)


def test_bands_come_in_the_order_asked_for(table):
    obs = to_prospector(table[0], bands=["unwise.W1", "ps1.r"])
    assert obs["filternames"] == ["wise_w1", "panstarrs_r"]


def test_eazy_reads_fluxes_and_its_own_mark_of_absence(table):
    catalog = to_eazy(table, {"ps1.r": 335, "ps1.i": 336}, ids=[7])
    assert catalog["id"].tolist() == [7]
    assert catalog["F335"][0] == first(table["flux_ps1_r"])
    assert catalog["F336"][0] == catalog["E336"][0] == -99


def test_eazy_is_told_the_zero_point(table):
    catalog = to_eazy(table, {"ps1.r": 335})
    magnitude = catalog.meta["PRIOR_ABZP"] - 2.5 * np.log10(catalog["F335"][0])
    assert magnitude == pytest.approx(first(table["mag_ab_ps1_r"]))


def test_any_unit_of_flux_is_understood():
    table = QTable({"flux_ps1_g": [3.631] * u.uJy, "flux_err_ps1_g": [1] * u.nJy})
    assert to_prospector(table[0])["maggies"] == pytest.approx(1e-9)


def test_a_band_without_columns_is_named(table):
    with pytest.raises(ValueError, match=r"no fluxes of ps1.g; it has flux_ps1_r, "):
        to_prospector(table[0], bands=BANDS[2:3])


@pytest.mark.parametrize("kind", [Table, QTable])
def test_eazy_is_told_what_is_masked_in_tables_of_both_kinds(kind):
    column = MaskedColumn([1.0, 2.0], mask=[False, True], unit="uJy")
    catalog = to_eazy(
        kind({"flux_ps1_g": column, "flux_err_ps1_g": column}), {"ps1.g": 334}
    )
    assert catalog["F334"].tolist() == pytest.approx([1000, -99])
    assert catalog["E334"].tolist() == pytest.approx([1000, -99])


def eazy_takes(catalog, number):
    """Say which fluxes eazy-py fits: above NOT_OBS_THRESHOLD, with an error."""
    flux, flux_err = catalog[f"F{number}"], catalog[f"E{number}"]
    return ((flux_err > 0) & (flux > -90) & np.isfinite(flux)).tolist()


@pytest.mark.parametrize("depth", [30.0, 3e3, 3e6, 3e10])
def test_eazy_keeps_every_observed_flux(depth):
    """Half of all undetected fluxes are negative; without them the rest is biased."""
    flux = np.random.default_rng(0).normal(0, depth, 200)
    flux[:3] = np.nan, -99, 5
    error = np.full(200, depth)
    error[2] = 0
    table = QTable({"flux_ps1_g": flux * u.nJy, "flux_err_ps1_g": error * u.nJy})
    catalog = to_eazy(table, {"ps1.g": 1})
    assert eazy_takes(catalog, 1) == [False] * 3 + [True] * 197
    worth = 3631e9 * 10 ** (-0.4 * catalog.meta["PRIOR_ABZP"])
    np.testing.assert_allclose(catalog["F1"][3:] * worth, flux[3:])
    np.testing.assert_allclose(catalog["E1"][3:] * worth, depth)
    assert u.Quantity(catalog["F1"])[5].to_value(u.nJy) == pytest.approx(flux[5])


def test_eazy_can_be_told_that_nothing_is_missing():
    table = QTable({"flux_ps1_g": [-99.0] * u.nJy, "flux_err_ps1_g": [9] * u.nJy})
    assert eazy_takes(to_eazy(table, {"ps1.g": 1}), 1) == [False]
    assert eazy_takes(to_eazy(table, {"ps1.g": 1}, missing=()), 1) == [True]


def test_filters_of_sedpy_are_exported_by_their_names():
    bands = ["decam_g", "vista_vircam_Ks", "ps1.i"]
    table = QTable()
    for band in bands:
        flux, flux_err = flux_columns(band)
        table[flux], table[flux_err] = [3631.0] * u.nJy, [36.0] * u.nJy
    parts = to_prospector(table[0], ebv=0.1)
    assert parts["filternames"] == ["decam_g", "vista_vircam_Ks", "panstarrs_i"]
    magnitudes = 2.5 * np.log10(parts["maggies"] / 1e-9)
    per_ebv = list(extinction_coefficients(bands).values())
    np.testing.assert_allclose(magnitudes, 0.1 * np.array(per_ebv))
    catalog = to_eazy(table, {band: n for n, band in enumerate(bands)})
    assert catalog.colnames == ["id", "F0", "E0", "F1", "E1", "F2", "E2"]
