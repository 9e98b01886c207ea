"""The door: columns of one's own, guesses, files, dust, what is told and refused."""

import logging
import warnings

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import MaskedColumn, QTable, Table, vstack

from mantis_astro import read_photometry
from mantis_astro.catalogs import (
    Catalog,
    Measure,
    get_catalog,
    list_catalogs,
    register_catalog,
    unregister_catalog,
)
from mantis_astro.exceptions import InputSpecError, MissingBandError
from mantis_astro.fluxes import find_bands, read_fluxes, read_state
from mantis_astro.tables import read_table, write_table

NAN = np.nan


def jansky(magnitude):
    """Flux in nJy of an AB magnitude."""
    return 3631e9 * 10 ** (-0.4 * magnitude)


def plain(column):
    return np.where(column.mask, np.nan, column.unmasked.value)


def own():
    return Table(
        {
            "name": ["a", "b"],
            "RA": [10.0, 11.0],
            "DEC": [0.0, 1.0],
            "g": [20.0, 99.0],
            "dg": [0.1, 99.0],
            "flux1": [5.0, 7.0],
            "ivar1": [4.0, 0.0],
        }
    )


class TestNamedColumns:
    def test_magnitudes_and_their_errors(self):
        table = read_photometry(own(), columns={"decam_g": ("g", "dg")})
        np.testing.assert_allclose(plain(table["flux_decam_g"]), [jansky(20), NAN])
        error = jansky(20) * 0.1 * np.log(10) / 2.5
        np.testing.assert_allclose(plain(table["flux_err_decam_g"]), [error, NAN])
        assert table.colnames[:2] == ["name", "coord"]
        assert table["coord"].dec.deg.tolist() == [0, 1]

    def test_one_name_has_no_errors(self):
        table = read_photometry(own(), columns={"ps1.g": "g"})
        assert not table["flux_ps1_g"].mask[0]
        assert table["flux_err_ps1_g"].mask.all()

    @pytest.mark.parametrize(
        ("unit", "njy"), [("uJy", 1000.0), ("nmgy", 3631.0), (u.mgy, 3631e9)]
    )
    def test_units_of_numbers_and_inverse_variances(self, unit, njy):
        columns = {"hsc_r": ("flux1", "ivar1")}
        table = read_photometry(own(), columns=columns, unit=unit)
        np.testing.assert_allclose(plain(table["flux_hsc_r"]), [5 * njy, NAN])
        np.testing.assert_allclose(plain(table["flux_err_hsc_r"]), [njy / 2, NAN])

    def test_the_unit_of_the_column_counts_before_that_of_the_call(self):
        rows = own()
        rows["flux1"].unit = "uJy"
        table = read_photometry(rows, columns={"hsc_r": "flux1"}, unit="nmgy")
        np.testing.assert_allclose(plain(table["flux_hsc_r"]), [5000, 7000])

    def test_errors_in_another_unit_of_flux(self):
        rows = own()
        rows["flux1"].unit, rows["dg"].unit = "uJy", "nJy"
        table = read_photometry(rows, columns={"hsc_r": ("flux1", "dg")}, missing=())
        np.testing.assert_allclose(plain(table["flux_err_hsc_r"]), [0.1, 99])

    def test_each_band_its_system_and_unit(self):
        table = read_photometry(
            own(),
            columns={"wise_w1": "g", "hsc_r": "flux1"},
            system={"wise_w1": "Vega", "hsc_r": "AB"},
            unit={"hsc_r": "nJy"},
        )
        np.testing.assert_allclose(plain(table["flux_wise_w1"])[0], jansky(22.699))
        np.testing.assert_allclose(plain(table["flux_hsc_r"]), [5, 7])

    def test_nanomaggies_in_vega(self):
        columns, unit = {"unwise.W1": ("flux1", "dg")}, "nmgy"
        table = read_photometry(own(), columns=columns, unit=unit, system="Vega")
        worth = 3631 * 10 ** (-0.4 * 2.699)
        np.testing.assert_allclose(
            plain(table["flux_unwise_W1"]), np.array([5, 7]) * worth
        )

    @pytest.mark.parametrize(
        ("unit", "error_unit", "errors", "njy"),
        [
            ("mag", "mmag", [100.0, 100.0], jansky(20) * 0.04 * np.log(10)),
            ("uJy", "Jy", [1e-6, 1e-6], 1000),
            ("uJy", "nmgy", [1.0, 1.0], 3631),
            ("uJy", "nJy(-2)", [1e-6, 1e-6], 1000),
            ("nmgy", "uJy(-2)", [4.0, 4.0], 500),
            ("mag", "1 / mag2", [100.0, 100.0], jansky(20) * 0.04 * np.log(10)),
            ("nJy", "", [7.0, 7.0], 7),
        ],
    )
    def test_errors_in_a_unit_of_their_own(self, unit, error_unit, errors, njy):
        rows = Table({"g": [20.0, 20.0], "dg": errors})
        rows["g"].unit, rows["dg"].unit = unit, error_unit
        table = read_photometry(rows, columns={"decam_g": ("g", "dg")})
        np.testing.assert_allclose(plain(table["flux_err_decam_g"]), [njy, njy])

    @pytest.mark.parametrize(("unit", "other"), [("mag", "uJy"), ("uJy", "mag")])
    def test_errors_of_another_kind_are_refused(self, unit, other):
        rows = Table({"g": [20.0], "dg": [0.1]})
        rows["g"].unit, rows["dg"].unit = unit, other
        message = f"column 'dg' of errors of decam_g is in {other}, and 'g' in {unit}"
        with pytest.raises(u.UnitsError, match=message):
            read_photometry(rows, columns={"decam_g": ("g", "dg")})

    def test_inverse_variances_of_magnitudes(self):
        rows = Table({"g": [20.0, 20.0], "g_invvar": [100.0, 0.0]})
        table = read_photometry(rows, columns={"decam_g": ("g", "g_invvar")})
        error = jansky(20) * 0.04 * np.log(10)
        np.testing.assert_allclose(plain(table["flux_decam_g"]), [jansky(20), NAN])
        np.testing.assert_allclose(plain(table["flux_err_decam_g"]), [error, NAN])

    @pytest.mark.parametrize(
        "nothing", [[99.0, -99.0], [NAN, -999.0], [99.99, NAN], [NAN, NAN]]
    )
    def test_a_band_without_a_measurement_needs_no_unit(self, nothing):
        rows = own()
        rows["K"] = nothing
        columns = {"decam_g": "g", "twomass_Ks": "K"}
        for some in (rows, rows[1:], rows[:0]):
            table = read_photometry(some, columns=columns)
            assert table["flux_twomass_Ks"].mask.all()
        rows["K"] = [999.5, 99.0]
        with pytest.raises(u.UnitsError, match="column 'K' of twomass_Ks has no unit"):
            read_photometry(rows, columns=columns)

    def test_marks_of_magnitudes(self):
        rows = Table({"g": [20.0, 0.0, 30.0]})
        rows["g"].unit = "mag"
        table = read_photometry(rows, columns={"hsc_g": "g"}, missing=(30.0,))
        assert table["flux_hsc_g"].mask.tolist() == [False, True, True]
        why = "hsc_g: 2 of 3 not observed (0: 1, 30: 1)"
        assert why in table.meta["PHOTNOTE"]

    def test_one_of_several_apertures(self):
        rows = Table({"MAG_APER": [[20.0, 19.0]], "MAGERR_APER": [[0.1, 0.2]]})
        columns = {"hsc_g": ("mag_aper[1]", "MAGERR_APER[1]")}
        table = read_photometry(rows, columns=columns)
        np.testing.assert_allclose(plain(table["flux_hsc_g"]), jansky(19))
        error = jansky(19) * 0.08 * np.log(10)
        np.testing.assert_allclose(plain(table["flux_err_hsc_g"]), error)
        for name in ("MAG_APER", "MAG_APER[2]"):
            with pytest.raises(
                InputSpecError, match=r"'MAG_APER\[0\]' to 'MAG_APER\[1"
            ):
                read_photometry(rows, columns={"hsc_g": name})

    def test_options_of_a_band_by_any_of_its_names(self):
        options = {"system": {"WISE_W1": "vega"}, "unit": {"ps1.g": "uJy"}}
        columns = {"wise_w1": "g", "ps1_g": "flux1"}
        table = read_photometry(own(), columns=columns, **options)
        np.testing.assert_allclose(plain(table["flux_wise_w1"])[0], jansky(22.699))
        np.testing.assert_allclose(plain(table["flux_ps1_g"]), [5000, 7000])

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"system": {"decam_r": "Vega"}}, "'system' names decam_r, for which no"),
            ({"unit": {"x": "mag"}}, "'unit' names x, .* it may name decam_g"),
            ({"softening": {"decam_r": 3}}, "'softening' names decam_r"),
            ({"system": "ST"}, "'system' of decam_g cannot be 'ST'"),
            ({"unit": "nanomaggies"}, "'unit' of decam_g cannot be 'nanomaggies'"),
            ({"softening": 1 * u.m}, "'softening' of decam_g cannot be"),
        ],
    )
    def test_options_without_effect_or_sense_are_refused(self, options, message):
        with pytest.raises(InputSpecError, match=message):
            read_photometry(own(), columns={"decam_g": ("g", "dg")}, **options)

    def test_options_that_do_not_count_are_told(self, caplog):
        rows = Table({"j_m": [15.0], "h_m": [14.0]})
        read_photometry(rows, survey="2mass", unit="uJy", corrected=True)
        assert "'unit': of columns= alone" in caplog.text
        assert "'corrected': of columns= alone" in caplog.text
        rows["j_m"].unit = "Jy"
        read_photometry(rows, columns={"twomass_J": "j_m"}, unit="uJy")
        assert "is in Jy, which counts before unit='uJy'" in caplog.text

    def test_asinh_magnitudes(self):
        table = read_photometry(own(), columns={"hsc_g": "g"}, softening=400.0)
        expected = 800 * np.sinh(-0.4 * np.log(10) * 20 - np.log(400 / 3631e9))
        np.testing.assert_allclose(plain(table["flux_hsc_g"])[0], expected)

    def test_they_count_before_those_of_the_survey(self):
        rows = own()
        rows["FLUX_G"], rows["FLUX_IVAR_G"] = [1.0, 1.0], [1.0, 1.0]
        rows["FLUX_R"], rows["FLUX_IVAR_R"] = [1.0, 1.0], [1.0, 1.0]
        table = read_photometry(
            rows, survey="legacy survey", columns={"g": ("flux1", "ivar1")}, unit="nJy"
        )
        np.testing.assert_allclose(plain(table["flux_legacysurvey_g"]), [5, NAN])
        np.testing.assert_allclose(plain(table["flux_legacysurvey_r"]), [3631, 3631])

    def test_numbers_that_could_be_anything_are_refused(self):
        rows = Table({"flux": [1.0, 300.0]})
        with pytest.raises(
            u.UnitsError,
            match="column 'flux' of decam_g has no unit: pass its unit as unit=",
        ):
            read_photometry(rows, columns={"decam_g": "flux"})
        rows["flux"].unit = "K"
        with pytest.raises(u.UnitsError, match="is in K, which is no flux"):
            read_photometry(rows, columns={"decam_g": "flux"})

    @pytest.mark.parametrize(
        ("columns", "error", "message"),
        [
            ({"decam_g": "q"}, KeyError, "no column 'q'; there are name, RA"),
            ({"g": "g"}, MissingBandError, "no band 'g'"),
            ({"decam_g": ("g", "dg", "RA")}, InputSpecError, "or a pair"),
            ({"decam_g": 3}, InputSpecError, "or a pair"),
            ({"decam_g": "g", "DECAM_G": "dg"}, InputSpecError, "more than one for d"),
            ({"decam_g": "g", "hsc_r": "G"}, InputSpecError, "one that read g"),
            ({"hsc_r": ("g", "g")}, InputSpecError, "'g' as an error and as a bri"),
        ],
    )
    def test_wrong_ones_are_named(self, columns, error, message):
        with pytest.raises(error, match=message):
            read_photometry(own(), columns=columns)


class TestGuessing:
    def test_columns_are_recognised_by_their_names(self):
        rows = Table({"FLUX_G": [2.0], "FLUX_IVAR_G": [1.0]})
        rows["FLUX_R"], rows["FLUX_IVAR_R"] = [2.0], [1.0]
        rows["w1mpro"], rows["w1sigmpro"] = [15.0], [0.1]
        rows["w2mpro"], rows["w2sigmpro"] = [15.0], [0.1]
        rows["mag_decam_Y"], rows["magerr_decam_Y"] = [20.0], [0.1]
        rows["SDSS_u"], rows["SDSS_u_err"] = [21.0], [0.1]
        table = read_photometry(rows)
        assert {str(band) for band in find_bands(table)} == {
            *("decam_Y", "sdss_u0", "legacysurvey.g", "legacysurvey.r"),
            *("allwise.W1", "allwise.W2"),
        }
        assert not any(plain(c).size and c.mask.any() for c in table.columns.values())

    def test_our_own_tables_come_back(self):
        rows = QTable({"flux_ps1_g": [3.0] * u.uJy, "flux_err_ps1_g": [1.0] * u.nJy})
        table = read_photometry(rows)
        np.testing.assert_allclose(plain(table["flux_ps1_g"]), 3000)
        np.testing.assert_allclose(plain(table["flux_err_ps1_g"]), 1)

    def test_what_is_common_to_surveys_is_not_guessed(self):
        rows = Table({"gmag": [20.0], "e_gmag": [0.1], "rmag": [20.0], "e_rmag": [0.1]})
        for options in ({}, {"columns": {}}, {"survey": []}):
            with pytest.raises(InputSpecError, match="pass the survey of the table"):
                read_photometry(rows, **options)

    def test_columns_of_two_catalogues_ask_which(self):
        twin = Catalog(
            "twin", "Twin", {"g": "hsc_g", "r": "hsc_r"}, get_catalog("hsc").measures
        )
        register_catalog(twin)
        rows = Table({f"{b}_cmodel_mag": [20.0] for b in "gr"})
        with pytest.raises(InputSpecError, match="are those of hsc, twin: say which"):
            read_photometry(rows)
        unregister_catalog("twin")
        assert len(read_photometry(rows)) == 1


class TestSeveralSurveys:
    def rows(self):
        rows = Table({"FLUX_G": [2.0], "FLUX_IVAR_G": [1.0], "EBV": [0.1]})
        rows["w3mpro"], rows["w3sigmpro"] = [12.0], [0.1]
        return rows

    def test_matched_tables_are_read_at_once(self):
        table = read_photometry(self.rows(), survey=["legacy survey", "allwise"])
        assert [str(b) for b in find_bands(table)] == ["legacysurvey.g", "wise_w3"]
        np.testing.assert_allclose(plain(table["flux_wise_w3"]), jansky(12 + 5.174))

    def test_a_survey_without_columns_is_told_and_of_all_refused(self):
        table = read_photometry(self.rows(), survey=["legacy survey", "sdss"])
        notes = table.meta["PHOTNOTE"]
        assert "Sloan Digital Sky Survey: no columns are left for it" in notes
        with pytest.raises(
            InputSpecError, match="Sloan .* were found, such as modelFlux_u,"
        ):
            read_photometry(self.rows(), survey="sdss")

    def test_different_light_is_told(self):
        rows = self.rows()
        rows["j_m"], rows["j_msigcom"] = [15.0], [0.1]
        table = read_photometry(rows, survey=["legacy survey", "2mass"])
        assert read_state(table).aperture == ""
        assert any(
            "hold different light (total and" in n for n in table.meta["PHOTNOTE"]
        )

    def test_columns_belong_to_the_survey_that_is_named_first(self):
        rows = Table({"gmag": [20.0], "e_gmag": [0.1]})
        bands = find_bands(read_photometry(rows, survey=["ps1", "hsc"]))
        assert [str(b) for b in bands] == ["ps1.g"]


class TestDust:
    def test_corrected_and_not_corrected_together_are_told(self, caplog):
        rows = Table({"dered_mag_g": [20.0], "w1mpro": [15.0], "w1sigmpro": [0.1]})
        table = read_photometry(rows, survey=["legacy survey", "allwise"])
        assert read_state(table).is_corrected is None
        assert "fluxes of legacysurvey.g are corrected for dust and" in caplog.text
        table = read_photometry(rows, survey=["legacy survey", "allwise"], ebv=0.1)
        assert read_state(table).is_corrected is False
        np.testing.assert_allclose(
            plain(table["flux_legacysurvey_g"]), jansky(20 + 0.3214)
        )
        np.testing.assert_allclose(plain(table["ebv"]), 0.1)

    @pytest.mark.parametrize("kind", ["mag", "flux"])
    def test_marks_of_ebv_undo_nothing(self, kind):
        rows = Table({f"dered_{kind}_g": [20.0] * 3, "EBV": [0.1, -99.0, 99.0]})
        table = read_photometry(rows, survey="legacy survey")
        assert table["flux_legacysurvey_g"].mask.tolist() == [False, True, True]
        assert table["ebv"].mask.tolist() == [False, True, True]
        why = "legacysurvey.g: 2 of 3 not observed (extinction not known: 2)"
        assert why in table.meta["PHOTNOTE"]

    @pytest.mark.parametrize("corrected", [True, False, None])
    def test_of_named_columns_the_caller_knows(self, corrected):
        rows = own()
        rows["E(B-V)"] = MaskedColumn([0.1, 0.2], mask=[False, True])
        columns = {"decam_g": ("g", "dg")}
        table = read_photometry(rows, columns=columns, corrected=corrected)
        state = read_state(table)
        assert state.is_corrected is corrected
        assert bool(state.coefficients) is bool(corrected)
        np.testing.assert_allclose(plain(table["ebv"]), [0.1, NAN])

    @pytest.mark.parametrize("ebv", [[0.1, 0.2], [0.1, 0.2] * u.mag, "mine"])
    def test_of_ones_own(self, ebv):
        rows = own()
        rows["mine"] = [0.1, 0.2]
        table = read_photometry(rows, columns={"hsc_g": "g"}, ebv=ebv)
        np.testing.assert_allclose(plain(table["ebv"]), [0.1, 0.2])

    def test_a_wrong_one_is_named(self):
        with pytest.raises(KeyError, match="no column 'mine' of E"):
            read_photometry(own(), columns={"hsc_g": "g"}, ebv="mine")
        with pytest.raises(
            InputSpecError, match=r"'ebv' has shape \(3,\) for 2 objects"
        ):
            read_photometry(own(), columns={"hsc_g": "g"}, ebv=[1, 2, 3])


class TestTheRest:
    def test_what_was_understood_and_left_out_is_logged_and_kept(self, caplog):
        rows = own()
        with caplog.at_level(logging.INFO):
            table = read_photometry(rows, columns={"decam_g": ("g", "dg")})
        for note in (
            "columns: g for decam_g (AB); errors dg",
            "decam_g: 1 of 2 not observed",
            (
                "not known whether decam_g are corrected for Galactic dust: "
                "state it with corrected="
            ),
            "not read: flux1, ivar1 (2 of 7)",
        ):
            assert note in table.meta["PHOTNOTE"]
            assert note in caplog.text

    def test_the_table_is_not_changed(self):
        rows, before = own(), own()
        read_photometry(rows, columns={"decam_g": ("g", "dg")}, keep="all")
        assert (rows == before).all()
        assert rows.colnames == before.colnames

    def test_columns_can_be_taken_along(self):
        columns = {"decam_g": ("g", "dg")}
        table = read_photometry(own(), columns=columns, keep=["dg"])
        assert table.colnames[0] == "dg"
        assert "name" not in table.colnames
        table = read_photometry(own(), columns=columns, keep="all")
        assert set(own().colnames) < set(table.colnames)
        with pytest.raises(KeyError, match="'keep': no column 'x'"):
            read_photometry(own(), columns=columns, keep=["x"])

    def test_columns_taken_along_are_not_doubled(self):
        columns = {"decam_g": ("g", "dg")}
        table = read_photometry(own(), columns=columns, keep="all")
        assert "coord" not in table.colnames
        rows = own()
        rows["specz"] = [0.1, -9999]
        table = read_photometry(rows, columns=columns, keep="all")
        assert table["specz"].tolist() == [0.1, -9999]
        assert table["z_spec"].mask.tolist() == [False, True]
        rows.rename_columns(["RA", "DEC"], ["x", "y"])
        table = read_photometry(rows, columns=columns, keep="all", ra="x", dec="y")
        assert table["coord"].ra.deg.tolist() == list(rows["x"])

    def test_magnitudes_are_not_taken_for_fluxes_without_a_word(self, caplog):
        rows = Table({"objID": [1, 2, 3]})
        for band, mag in zip("gri", (19.0, 18.2, 17.9), strict=True):
            rows[f"modelMag_{band}"] = [mag, mag + 1, mag + 2]
            rows[f"modelFlux_{band}"] = 10 ** (9 - 0.4 * rows[f"modelMag_{band}"])
        fluxes = rows["modelFlux_g", "modelFlux_r", "modelFlux_i"]
        magnitudes = rows["modelMag_g", "modelMag_r", "modelMag_i"]
        right = [read_photometry(t, survey="sdss") for t in (fluxes, magnitudes)]
        assert "magnitudes?" not in caplog.text
        assert "are no magnitudes" not in caplog.text
        assert all(np.all(np.isfinite(t["flux_sdss_r0"])) for t in right)
        named = fluxes.colnames
        fluxes.rename_columns(named, magnitudes.colnames)
        magnitudes.rename_columns(magnitudes.colnames, named)
        read_photometry(magnitudes, survey="sdss")
        assert "are all from 10 to 30: are they magnitudes?" in caplog.text
        fluxes = vstack([fluxes, fluxes])
        for name in fluxes.colnames:
            fluxes[name] *= np.arange(100, 106)
        read_photometry(fluxes, survey="sdss")
        assert "column 'modelMag_i' of sdss_i0 has 6 numbers from" in caplog.text

    def test_positions_may_be_sky_coordinates_bad_or_none(self):
        rows = QTable(own()["g", "dg"])
        assert "coord" not in read_photometry(rows, columns={"hsc_g": "g"}).colnames
        rows["place"] = SkyCoord([1, 2], [3, 4], unit="deg")
        table = read_photometry(rows, columns={"hsc_g": "g"})
        assert table["coord"].ra.deg.tolist() == [1, 2]
        rows = own()
        rows["DEC"][0] = 95
        table = read_photometry(rows, columns={"hsc_g": "g"})
        assert "1 of 2 have no position" in table.meta["PHOTNOTE"]

    def test_redshifts_by_name(self):
        rows = own()
        rows["best"] = [0.5, -99]
        table = read_photometry(rows, columns={"hsc_g": "g"}, z_spec="best")
        np.testing.assert_allclose(plain(table["z_spec"]), [0.5, NAN])
        with pytest.raises(KeyError, match="no column 'zz' of redshifts"):
            read_photometry(rows, columns={"hsc_g": "g"}, z_spec="zz")

    def test_what_light_they_hold_can_be_said(self):
        table = read_photometry(own(), columns={"hsc_g": "g"}, aperture="total")
        assert read_state(table).aperture == "total"

    @pytest.mark.parametrize("ending", ["csv", "fits", "parquet", "ecsv", "vot"])
    def test_files_of_all_kinds_say_the_same(self, tmp_path, ending):
        if ending == "parquet":
            pytest.importorskip("pyarrow")
        rows = Table({"g_cModelFlux": MaskedColumn([50.0, 3], mask=[False, True])})
        rows["g_cModelFluxErr"] = [5.0, 6.0]
        rows["objectId"] = [1, 2]
        path = tmp_path / f"table.{ending}"
        write_table(rows, path)
        table = read_photometry(str(path), survey="lsst dp1")
        np.testing.assert_allclose(plain(table["flux_lsst_baseline_g"]), [50, NAN])
        written = tmp_path / f"again.{ending}"
        write_table(table, written)
        again = read_table(written)
        assert again.meta["PHOTNOTE"] == table.meta["PHOTNOTE"]
        assert read_state(again) == read_state(table)
        np.testing.assert_array_equal(
            read_fluxes(again).values, read_fluxes(table).values
        )

    def test_units_that_astropy_does_not_know_are_those_of_the_survey(self, tmp_path):
        rows = Table({"FLUX_G": [2.0, 3.0], "FLUX_IVAR_G": [4.0, 1.0]})
        rows.write(tmp_path / "sweep.fits")
        with fits.open(tmp_path / "sweep.fits", mode="update") as files:
            files[1].header["TUNIT1"] = "nanomaggy"
            files[1].header["TUNIT2"] = "1/nanomaggy^2"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", u.UnitsWarning)
            table = read_photometry(tmp_path / "sweep.fits", survey="legacy survey")
        np.testing.assert_allclose(
            plain(table["flux_legacysurvey_g"]), [2 * 3631, 3 * 3631]
        )
        np.testing.assert_allclose(
            plain(table["flux_err_legacysurvey_g"]), [3631 / 2, 3631]
        )

    def test_a_data_frame_is_a_table(self):
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame({"w1mpro": [15.0, 16.0], "w1sigmpro": [0.1, None]})
        table = read_photometry(frame, survey="allwise")
        np.testing.assert_allclose(
            plain(table["flux_allwise_W1"]), [jansky(17.699), NAN]
        )

    @pytest.mark.parametrize("source", [3, None, [1, 2]])
    def test_what_is_no_table_is_refused(self, source):
        with pytest.raises(TypeError, match="'source' must be a file, an astropy Ta"):
            read_photometry(source, survey="ps1")

    def test_an_empty_table_is_an_empty_table(self):
        rows = Table({"gKronMag": np.empty(0), "gKronMagErr": np.empty(0)})
        table = read_photometry(rows, survey="ps1")
        assert len(table) == 0
        assert "flux_ps1_g" in table.colnames


class TestRegistry:
    def test_an_unknown_survey_names_those_there_are(self):
        with pytest.raises(
            MissingBandError, match="no catalogue of survey 'kids'; the"
        ):
            read_photometry(own(), survey="kids")

    def test_a_catalogue_of_ones_own(self):
        kids = Catalog(
            name="kids",
            title="KiDS",
            bands={"g": "sdss_g0"},
            measures=(Measure("MAG_{band}", "ERR_{band}"),),
            aliases=("KiDS DR4",),
        )
        rows = Table({"mag_G": [20.0], "err_g": [0.1]})
        table = read_photometry(rows, survey=kids)  # registered or not
        register_catalog(kids)
        again = read_photometry(rows, survey="kids-dr4")
        assert again["flux_sdss_g0"] == table["flux_sdss_g0"]
        with pytest.raises(ValueError, match="there is a catalogue 'kids' called 'Ki"):
            register_catalog(Catalog("other", "Other", {}, (), aliases=("KiDS, DR 4",)))
        unregister_catalog("kids")
        assert "kids" not in map(str, list_catalogs())

    def test_what_does_not_fit_is_refused(self):
        with pytest.raises(MissingBandError, match="no band 'kids_g'"):
            register_catalog(Catalog("bad", "Bad", {"g": "kids_g"}, ()))
        with pytest.raises(ValueError, match="an entry of 'bad' names band 'r'"):
            register_catalog(
                Catalog("bad", "Bad", {"g": "sdss_g0"}, (), zero_points={"r": 0.1})
            )
