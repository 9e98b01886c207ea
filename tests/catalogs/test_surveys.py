"""Tables as the archives of each survey write them, and fluxes computed by hand."""

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table

from mantis_astro import read_photometry
from mantis_astro.bands import get_band
from mantis_astro.catalogs import get_catalog, list_catalogs
from mantis_astro.fluxes import flux_columns, read_state

POSITIONS = {"ra": [10.0, 11.0, 12.0], "dec": [-1.0, 0.0, 1.0]}


def plain(column):
    return np.where(column.mask, np.nan, column.unmasked.value)


def check(table, band, flux, flux_err):
    for name, expected in zip(flux_columns(band), (flux, flux_err), strict=True):
        assert table[name].unit == "nJy"
        np.testing.assert_allclose(plain(table[name]), expected, rtol=1e-5)


def jansky(magnitude):
    """Flux in nJy of an AB magnitude."""
    return 3631e9 * 10 ** (-0.4 * magnitude)


def error_of(magnitude, error):
    return jansky(magnitude) * error * np.log(10) / 2.5


NAN = np.nan


def test_legacy_survey_sweeps():
    sweep = Table(POSITIONS)
    for band in ("G", "R", "I", "Z", "W1", "W2", "W3", "W4"):
        sweep[f"FLUX_{band}"] = np.array([2.0, -0.5, 0.0], "f4")
        sweep[f"FLUX_IVAR_{band}"] = np.array([25.0, 4.0, 0.0], "f4")
        sweep[f"FLUX_{band}"].unit = "nanomaggy"
        sweep[f"FLUX_IVAR_{band}"].unit = "1/nanomaggy^2"
    ebv = np.array([0.1, 0.2, 0.3])
    sweep["MW_TRANSMISSION_G"] = 10 ** (-0.4 * 3.214 * ebv)
    sweep["MW_TRANSMISSION_R"] = 10 ** (-0.4 * 2.165 * ebv)
    table = read_photometry(sweep, survey="legacy survey dr10")
    nmgy = 3631.0  # 10**-9 of 3631 Jy
    for band in ("legacysurvey.g", "legacysurvey.z", "unwise.W1", "wise_w4"):
        flux, flux_err = [2 * nmgy, -0.5 * nmgy, NAN], [nmgy / 5, nmgy / 2, NAN]
        check(table, band, flux, flux_err)
    np.testing.assert_allclose(plain(table["ebv"]), ebv)
    state = read_state(table)
    assert (state.is_corrected, state.aperture) == (False, "total")
    sweep["EBV"] = [0.5, 0.6, NAN]
    table = read_photometry(sweep, survey="Legacy Survey")
    np.testing.assert_allclose(plain(table["ebv"]), [0.5, 0.6, NAN])


def test_corrected_magnitudes_of_the_legacy_survey_are_made_as_observed():
    rows = Table({"dered_mag_g": [20.0], "dered_mag_r": [19.0], "ebv": [0.1]})
    table = read_photometry(rows, survey="ls dr10")
    check(table, "legacysurvey.g", [jansky(20 + 0.3214)], [NAN])
    check(table, "legacysurvey.r", [jansky(19 + 0.2165)], [NAN])
    assert read_state(table).is_corrected is False
    # without E(B-V) they stay so, and the table says so
    table = read_photometry(rows["dered_mag_g", "dered_mag_r"], survey="ls dr10")
    check(table, "legacysurvey.g", [jansky(20)], [NAN])
    state = read_state(table)
    assert state.is_corrected
    assert state.coefficients["legacysurvey.r"] == 2.165


def test_corrected_fluxes_are_made_as_observed():
    rows = Table({"dered_flux_g": [3.0], "dered_flux_r": [5.0], "ebv": [0.1]})
    table = read_photometry(rows, survey="ls dr10")
    check(table, "legacysurvey.g", [3 * 3631 * 10 ** (-0.4 * 0.3214)], [NAN])


def lupton(flux, b, zero=0.0):
    """Asinh magnitude of a flux in maggies, as Lupton et al. 1999 define it."""
    return -2.5 / np.log(10) * (np.arcsinh(flux / (2 * b)) + np.log(b)) - zero


SDSS_B = {"u": 1.4e-10, "g": 0.9e-10, "r": 1.2e-10, "i": 1.8e-10, "z": 7.4e-10}
SDSS_ZERO = {"u": -0.04, "g": 0.0, "r": 0.0, "i": 0.0, "z": 0.02}


@pytest.mark.parametrize("name", ["modelMag", "cModelMag", "psfMag", "PETROMAG"])
def test_sdss_magnitudes_are_asinh_magnitudes(name):
    maggies = np.array([1e-8, -1e-10, 0.0])  # faint, negative, none
    rows = Table({"objID": [1, 2, 3]} | POSITIONS)
    error = "MAGERR" if name.isupper() else "MagErr"
    for band, b in SDSS_B.items():
        slope = 2.5 / np.log(10) / np.hypot(maggies, 2 * b)
        rows[f"{name}_{band}"] = lupton(maggies, b)
        rows[f"{name.lower().removesuffix('mag')}{error}_{band}"] = slope * 1e-10
        rows[f"{name}_{band}"][2] = rows.columns[-1][2] = -9999
    table = read_photometry(rows, survey="sdss")
    assert table["objID"].tolist() == [1, 2, 3]
    for band, zero in SDSS_ZERO.items():
        factor = 3631e9 * 10 ** (-0.4 * zero)
        flux, flux_err = factor * maggies, [factor * 1e-10] * 2 + [NAN]
        check(table, f"sdss_{band}0", [*flux[:2], NAN], flux_err)
    light = "total of a point source" if name == "psfMag" else "total"
    assert read_state(table).aperture == light


def test_sdss_fluxes_of_files_have_five_bands_in_a_column():
    flux = np.array([[1.0, 2, 3, 4, 5], [6, 7, 8, 9, 10]], "f4")
    ivar = np.array([[4.0, 4, 4, 4, 4], [0, 1, 1, 1, 1]], "f4")
    a_b = np.array([[5.155, 3.793, 2.751, 2.086, 1.479]]) * [[0.1], [0.2]]
    rows = Table({"MODELFLUX": flux, "MODELFLUX_IVAR": ivar, "EXTINCTION": a_b})
    rows["Z"] = [0.1, 0.2]
    table = read_photometry(rows, survey="sdss")
    check(table, "sdss_g0", [2 * 3631, 7 * 3631], [3631 / 2, 3631])
    unit = 3631 * 10**0.016  # u is too bright
    check(table, "sdss_u0", [unit, NAN], [unit / 2, NAN])
    np.testing.assert_allclose(plain(table["ebv"]), [0.1, 0.2])
    np.testing.assert_allclose(plain(table["z_spec"]), [0.1, 0.2])


@pytest.mark.parametrize("ratios", get_catalog("sdss").per_ebv)
def test_the_extinction_of_sdss_tells_by_which_law_it_was_made(ratios):
    rows = Table({"modelMag_g": [20.0, 19], "modelMagErr_g": [0.1, 0.1]})
    for band in "gri":
        rows[f"extinction_{band}"] = np.array([0.05, 0.3]) * ratios[band]
    table = read_photometry(rows, survey="sdss")
    np.testing.assert_allclose(plain(table["ebv"]), [0.05, 0.3])


def test_bare_letters_of_sdss_and_what_z_is():
    rows = Table({band: [20.0, 21.0] for band in "ugri"})
    for band in "ugri":
        rows[f"err_{band}"] = [0.1, 0.1]
    with_magnitude = rows.copy()
    with_magnitude["z"], with_magnitude["err_z"] = [19.0, 18.0], [0.1, 0.1]
    with_magnitude["redshift"] = [0.3, 0.4]
    table = read_photometry(with_magnitude, survey="sdss")
    assert "flux_sdss_z0" in table.colnames
    np.testing.assert_allclose(plain(table["z_spec"]), [0.3, 0.4])
    rows["z"] = [0.1, -9999]
    table = read_photometry(rows, survey="sdss")
    assert "flux_sdss_z0" not in table.colnames
    np.testing.assert_allclose(plain(table["z_spec"]), [0.1, NAN])


def test_dereddened_sdss_magnitudes_get_their_extinction_back_first():
    maggies, a_g = np.array([1e-9, 2e-10]), 0.4
    observed = lupton(maggies, SDSS_B["g"])
    rows = Table({"dered_g": observed - a_g, "err_g": [0.1, 0.1]})
    rows["extinction_g"] = [a_g, a_g]
    table = read_photometry(rows, survey="sdss")
    assert read_state(table).is_corrected is False
    np.testing.assert_allclose(plain(table["flux_sdss_g0"]), 3631e9 * maggies)


@pytest.mark.parametrize(
    ("value", "error", "light"),
    [
        ("gKronMag", "gKronMagErr", "total"),
        ("gMeanKronMag", "gMeanKronMagErr", "total"),
        ("gKmag", "e_gKmag", "total"),
        ("gMeanApMag", "gMeanApMagErr", ""),
        ("gMeanPSFMag", "gMeanPSFMagErr", "total of a point source"),
        ("gPSFMag", "gPSFMagErr", "total of a point source"),
        ("gmag", "e_gmag", "total of a point source"),
    ],
)
def test_ps1(value, error, light):
    rows = Table({"raMean": [10.0] * 4, "decMean": [0.0] * 4})
    rows[value] = [20.0, -999.0, 21.0, 22.0]
    rows[error] = [0.1, -999.0, -999.0, NAN]
    table = read_photometry(rows, survey="PS1")
    # a magnitude with a sentinel for an error is a limit; without one it is a flux
    flux = [jansky(20), NAN, NAN, jansky(22)]
    check(table, "ps1.g", flux, [error_of(20, 0.1), NAN, NAN, NAN])
    assert read_state(table).aperture == light
    assert table["coord"].ra.deg[0] == 10


def test_forced_fluxes_of_ps1_are_in_jansky():
    rows = Table({"gFKronFlux": [1e-5, -999.0], "gFKronFluxErr": [1e-6, -999.0]})
    check(read_photometry(rows, survey="ps1"), "ps1.g", [1e4, NAN], [1e3, NAN])


def test_des():
    rows = Table({"ALPHAWIN_J2000": [10.0, 11], "DELTAWIN_J2000": [0.0, 1]})
    rows["COADD_OBJECT_ID"], rows["EBV_SFD98"] = [1, 2], [0.02, 0.03]
    for band in "GRIZY":
        rows[f"MAG_AUTO_{band}"], rows[f"MAGERR_AUTO_{band}"] = [20.0, 99.0], [0.1, 99]
        rows[f"MAG_AUTO_{band}_DERED"] = [19.9, 99.0]
        rows[f"WAVG_MAG_PSF_{band}"] = [20.3, -99.0]
        rows[f"WAVG_MAGERR_PSF_{band}"] = [0.05, -99.0]
    table = read_photometry(rows, survey="DES")
    for band in ("decam_g", "decam_Y"):
        check(table, band, [jansky(20), NAN], [error_of(20, 0.1), NAN])
    np.testing.assert_allclose(plain(table["ebv"]), [0.02, 0.03])
    for band in "GRIZY":  # FLUX has the zero point 30, and negative values
        rows[f"FLUX_AUTO_{band}"], rows[f"FLUXERR_AUTO_{band}"] = [100.0, -3], [2.0, 4]
    table = read_photometry(rows, survey="des dr2")
    check(table, "decam_i", [363.1, -3 * 3.631], [2 * 3.631, 4 * 3.631])
    only_psf = rows["WAVG_MAG_PSF_G", "WAVG_MAGERR_PSF_G"]
    table = read_photometry(only_psf, survey="des")
    check(table, "decam_g", [jansky(20.3), NAN], [error_of(20.3, 0.05), NAN])
    only_dered = rows["MAG_AUTO_G_DERED", "MAGERR_AUTO_G", "EBV_SFD98"]
    table = read_photometry(only_dered, survey="des")
    observed = 19.9 + 3.186 * 0.02
    check(table, "decam_g", [jansky(observed), NAN], [error_of(observed, 0.1), NAN])
    assert read_state(table).is_corrected is False


def test_galex():
    rows = Table({"nuv_mag": [20.0, -999, -99], "nuv_magerr": [0.1, -999, -99]})
    rows["fuv_mag"], rows["fuv_magerr"] = [21.0, -999, 22.0], [0.2, -999, 0.3]
    rows["e_bv"] = [0.1, 0.2, 0.3]
    table = read_photometry(rows, survey="galex")
    check(table, "galex.NUV", [jansky(20), NAN, NAN], [error_of(20, 0.1), NAN, NAN])
    check(
        table,
        "galex.FUV",
        [jansky(21), NAN, jansky(22)],
        [*error_of(np.array([21, 21]), np.array([0.2, np.nan])), error_of(22, 0.3)],
    )
    np.testing.assert_allclose(plain(table["ebv"]), [0.1, 0.2, 0.3])


def test_count_rates_of_galex_have_the_zero_point_of_the_band():
    rows = Table({"NUV_FLUX_AUTO": [2.0, 0.0], "NUV_FLUXERR_AUTO": [0.5, 0.0]})
    table = read_photometry(rows, survey="galex")
    count = jansky(20.08)
    check(table, "galex.NUV", [2 * count, NAN], [count / 2, NAN])


@pytest.mark.parametrize("names", [("w1mpro", "w1sigmpro"), ("W1mag", "e_W1mag")])
def test_allwise_is_vega_and_without_an_error_a_limit(names):
    value, error = names
    rows = Table({value: [15.0, 17.5, 16.0]})
    rows[error] = MaskedColumn([0.05, 0.0, 0.1], mask=[False, True, False])
    table = read_photometry(rows, survey="allwise")
    flux = jansky(np.array([15, 17.5, 16]) + 2.699)
    check(
        table,
        "allwise.W1",
        [flux[0], NAN, flux[2]],
        [error_of(17.699, 0.05), NAN, error_of(18.699, 0.1)],
    )
    assert "upper limits: 1" in " ".join(table.meta["PHOTNOTE"])


def test_text_of_irsa_says_null():
    rows = Table({"w1mpro": ["15.0", "17.5"], "w1sigmpro": ["0.05", "null"]})
    table = read_photometry(rows, survey="allwise")
    check(table, "allwise.W1", [jansky(17.699), NAN], [error_of(17.699, 0.05), NAN])
    rows["w1mpro"] = ["15.0", "17.5:"]
    with pytest.raises(ValueError, match="column 'w1mpro' must be numbers"):
        read_photometry(rows, survey="allwise")


def test_lsst_and_what_it_flags():
    rows = Table({"coord_ra": [10.0, 11], "coord_dec": [0.0, 1], "objectId": [5, 6]})
    for band in "ugrizy":
        rows[f"{band}_cModelFlux"], rows[f"{band}_cModelFluxErr"] = [50.0, 70], [5.0, 7]
        rows[f"{band}_cModel_flag"] = [False, band == "g"]
        rows[f"{band}_psfFlux"], rows[f"{band}_psfFluxErr"] = [40.0, 60.0], [4.0, 6.0]
    rows["ebv"] = [0.01, 0.02]
    table = read_photometry(rows, survey="LSST DP1")
    check(table, "lsst_baseline_y", [50, 70], [5, 7])
    check(table, "lsst_baseline_g", [50, NAN], [5, NAN])
    notes = table.meta["PHOTNOTE"]
    assert "lsst_baseline_g: 1 of 2 not observed (flagged: 1)" in notes
    assert "Rubin Data Preview 1: also there and not used: {band}_psfFlux" in notes


@pytest.mark.parametrize("ending", ["err", "sigma"])
def test_hsc(ending):
    rows = Table({"i_ra": [10.0, 11], "i_dec": [0.0, 1]})
    for band in "grizy":
        rows[f"{band}_cmodel_mag"] = [25.0, NAN]
        rows[f"{band}_cmodel_mag{ending}"] = [0.1, NAN]
        rows[f"a_{band}"] = np.array([0.1, 0.2]) * get_catalog("hsc").per_ebv[0][band]
    table = read_photometry(rows, survey="hsc")
    check(table, "hsc_y", [jansky(25), NAN], [error_of(25, 0.1), NAN])
    np.testing.assert_allclose(plain(table["ebv"]), [0.1, 0.2])
    for band in "grizy":
        rows[f"{band}_cmodel_flux"] = [300.0, -20.0]
        rows[f"{band}_cmodel_flux{ending}"] = [10.0, 10.0]
    check(read_photometry(rows, survey="HSC PDR3"), "hsc_g", [300, -20], [10, 10])


def test_2mass_is_vega_and_its_letters_tell_limits():
    rows = Table({"j_m": [15.0, 16.0, 17.0], "j_msigcom": [0.1, NAN, 0.2]})
    rows["k_m"], rows["k_msigcom"] = [14.0, 14.5, 15.0], [0.1, 0.1, 0.1]
    rows["ph_qual"] = ["AAA", "UAA", "AAU"]
    table = read_photometry(rows, survey="2mass")
    j, k = jansky(np.array([15, 17]) + 0.894), jansky(np.array([14, 14.5]) + 1.840)
    error = np.log(10) / 2.5
    check(
        table,
        "twomass_J",
        [j[0], NAN, j[1]],
        [j[0] * 0.1 * error, NAN, j[1] * 0.2 * error],
    )
    check(table, "twomass_Ks", [*k, NAN], [*k * 0.1 * error, NAN])
    extended = Table({"J_M_EXT": [14.0, 0.0], "J_MSIG_EXT": [0.1, 0.0]})
    table = read_photometry(extended, survey="2mass")
    check(table, "twomass_J", [jansky(14.894), NAN], [error_of(14.894, 0.1), NAN])
    assert read_state(table).aperture == "total"


@pytest.mark.parametrize("catalog", list_catalogs(), ids=str)
def test_a_catalogue_names_filters_that_there_are(catalog):
    assert all(get_band(band).pivot.value > 1000 for band in catalog.bands.values())
    assert catalog.reference
    for name in (catalog.name.upper(), catalog.title, *catalog.aliases):
        if name != catalog.title:
            assert get_catalog(name) is catalog


@pytest.mark.parametrize("catalog", list_catalogs(), ids=str)
@pytest.mark.parametrize("case", [str.lower, str.upper, str])
def test_every_measure_of_every_catalogue_is_found_in_any_case(catalog, case):
    for measure in catalog.measures:
        rows = Table()
        for letter in catalog.bands:
            for pattern in (measure.value, measure.error.partition("|")[0]):
                name = case(pattern.replace("{band}", letter))
                if "{band}" in pattern:
                    rows[name] = [18.0]
                elif pattern:
                    rows[name] = np.full((1, len(catalog.bands)), 18.0)
        table = read_photometry(rows, survey=catalog)
        for band in catalog.bands.values():
            assert not table[flux_columns(band)[0]].mask.any(), measure
