"""The one reader of columns of fluxes."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import Column, MaskedColumn, QTable, Table
from astropy.utils.masked import Masked

from mantis_astro.bands import get_band
from mantis_astro.exceptions import InputSpecError
from mantis_astro.fluxes import find_bands, flux_columns, read_fluxes


def make_table(flux=(3000.0, 50.0), err=(30.0, 30.0), *, kind=QTable):
    return kind({"flux_ps1_g": flux * u.nJy, "flux_err_ps1_g": err * u.nJy})


def test_columns_are_found_by_the_names_of_bands():
    table = make_table()
    table["flux_legacysurvey_z"] = [1.0, 2.0] * u.uJy
    fluxes = read_fluxes(table)
    assert [str(band) for band in fluxes.bands] == ["ps1.g", "legacysurvey.z"]
    np.testing.assert_allclose(fluxes.flux, [[3000, 1000], [50, 2000]])
    np.testing.assert_array_equal(fluxes.flux_err, [[30, np.nan], [30, np.nan]])


def test_a_band_without_columns_was_not_observed():
    fluxes = read_fluxes(make_table(), ["ps1.r", "ps1.g"])
    assert fluxes.observed.tolist() == [[False, True]] * 2
    assert fluxes.bands == (get_band("ps1.r"), get_band("ps1.g"))


@pytest.mark.parametrize("kind", [Table, QTable])
@pytest.mark.parametrize("index", [1, -1])
def test_a_row_keeps_units_and_masks(kind, index):
    column = MaskedColumn([9.0, 1.0], mask=[False, False], unit="uJy")
    error = MaskedColumn([9.0, 1.0], mask=[False, True], unit="uJy")
    table = kind({"flux_ps1_g": column, "flux_err_ps1_g": error})
    fluxes = read_fluxes(table[index])
    assert fluxes.flux == pytest.approx(1000.0)
    assert np.isnan(fluxes.flux_err).all()


def test_rows_can_be_chosen():
    fluxes = read_fluxes(make_table())
    assert len(fluxes) == 2
    assert fluxes[1:].values.tolist() == [[[50.0], [30.0]]]


@pytest.mark.parametrize(
    "column",
    [
        MaskedColumn([1.0, 2.0], mask=[False, True], unit="nJy"),
        Masked([1.0, 2.0] * u.nJy, mask=[False, True]),
        [1.0, np.nan] * u.nJy,
        [1.0, np.inf] * u.nJy,
    ],
    ids=["MaskedColumn", "Masked", "nan", "inf"],
)
@pytest.mark.parametrize("kind", [Table, QTable])
def test_absent_values_of_all_kinds_become_nan(kind, column):
    table = kind({"flux_ps1_g": column})
    np.testing.assert_array_equal(read_fluxes(table).flux, [[1.0], [np.nan]])


def test_a_unit_can_be_taken_for_granted():
    table = Table({name: [1.0] for name in flux_columns("ps1.g")})
    with pytest.raises(u.UnitsError, match="'flux_ps1_g' has no unit: set it"):
        read_fluxes(table)
    assert read_fluxes(table, default_unit=u.uJy).flux == pytest.approx(1000.0)


@pytest.mark.parametrize(
    ("flux", "error"),
    [(-99, -99), (-99, 5), (-999, np.nan), (0, 0), (50, 0), (50, -1), (50, np.inf)],
)
def test_what_only_looks_observed_is_not(flux, error):
    fluxes = read_fluxes(make_table([flux, 50.0], [error, 30.0]))
    assert fluxes.observed.tolist() == [[False], [True]]
    assert np.isnan(fluxes.flux_err[0])
    taken = read_fluxes(make_table([flux, 50.0], [error, 30.0]), missing=())
    assert taken.flux.tolist() == [[flux], [50.0]]


@pytest.mark.parametrize("flux", [-98.5, -500.0, 0.0])
def test_a_non_detection_is_an_observation(flux):
    assert read_fluxes(make_table([flux, 50.0])).flux.tolist() == [[flux], [50.0]]


def test_marks_are_in_the_unit_of_the_column():
    table = QTable({"flux_ps1_g": [-99.0, 0.5] * u.uJy})
    assert read_fluxes(table).observed.tolist() == [[False], [True]]


def test_what_is_not_observed_is_counted(caplog):
    table = make_table([-99.0, 50.0], [-99.0, 0.0])
    table["flux_ps1_r"] = [-999.0, 50.0] * u.nJy
    read_fluxes(table)
    assert (
        "of 4 fluxes, 2 are -99 or -999 or -9999 and 1 have an error that is zero, "
        "negative or infinite: treated as not observed (missing=() uses all"
    ) in caplog.text


def test_ordinary_fluxes_are_nothing_to_speak_of(caplog):
    read_fluxes(make_table([20.0, -30.0]))
    assert not caplog.records


@pytest.mark.parametrize("errors", [[np.nan] * 2, None])
def test_a_catalogue_without_errors_is_told(caplog, errors):
    table = make_table(err=errors or [1.0, 1.0])
    if errors is None:
        del table["flux_err_ps1_g"]
    read_fluxes(table)
    assert "no flux has an error" in caplog.text


def test_magnitudes_that_are_called_nanojansky_are_told(caplog):
    read_fluxes(make_table([19.0, 22.5], [0.1, 0.2]))
    assert "from 19 to 22.5 nJy, as no galaxy" in caplog.text
    assert "'mag(AB)'" in caplog.text


@pytest.mark.parametrize("kind", [Table, QTable])
@pytest.mark.parametrize(
    ("unit", "flux", "error"),
    [
        ("nmgy", [2.0, 5.0], [0.1, 0.2]),
        ("mgy", [2e-9, 5e-9], [0.1e-9, 0.2e-9]),
        ("mag(AB)", [21.747425, 20.752575], [0.1 / 2 * 1.0857362, 0.04 * 1.0857362]),
    ],
)
def test_maggies_and_ab_magnitudes_are_fluxes_too(kind, unit, flux, error):
    # astropy has no masked magnitudes in a QTable
    last = {"mask": [False, True]} if kind is Table or "mag" not in unit else {}
    values = (MaskedColumn if last else Column)(flux, unit=u.Unit(unit), **last)
    errors = Column(error, unit="mag" if "mag" in unit else unit)
    fluxes = read_fluxes(kind({"flux_ps1_g": values, "flux_err_ps1_g": errors}))
    expected = [2.0, np.nan if last else 5.0], [0.1, np.nan if last else 0.2]
    found = [fluxes.flux[:, 0] / 3631, fluxes.flux_err[:, 0] / 3631]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_maggies_of_a_survey_in_vega_are_told(caplog):
    table = QTable({"flux_unwise_W1": [1.0] * u.nmgy})
    assert read_fluxes(table).flux == pytest.approx(3631.0)
    assert "unwise.W1 in nmgy are treated as AB" in caplog.text


def test_bands_of_a_table_come_in_the_order_of_its_columns():
    names = ["flux_sdss_u0", "flux_galex_NUV", "flux_err_sdss_u0", "flux_decam_Y"]
    table = QTable(
        {name: [1.0] * u.nJy for name in [*names, "flux_auto", "flux_ps1_g"]}
    )
    found = [str(band) for band in find_bands(table)]
    assert found == ["sdss_u0", "galex.NUV", "decam_Y", "ps1.g"]
    assert [str(band) for band in read_fluxes(table).bands] == found


def test_a_column_with_other_capitals_is_told_not_taken(caplog):
    table = QTable({"flux_decam_y": [1.0] * u.nJy, "flux_PS1_g": [1.0] * u.nJy})
    assert find_bands(table) == ()
    assert (
        "'flux_decam_y' is not read: that of decam_Y is 'flux_decam_Y'" in caplog.text
    )
    assert "that of ps1.g is 'flux_ps1_g'" in caplog.text


def test_fluxes_of_a_filter_alone_are_read_and_known_to_be_faint(caplog):
    table = QTable(
        {"flux_wise_w1": [3.0, 9.0] * u.nmgy, "flux_err_wise_w1": [1.0, -99] * u.nmgy}
    )
    fluxes = read_fluxes(table)
    np.testing.assert_allclose(fluxes.flux[0], 3 * 3631)
    assert not fluxes.observed[1, 0]
    assert "Vega" not in caplog.text


@pytest.mark.parametrize(
    ("column", "kind"),
    [([[1.0, 2.0]], r"of shape \(1, 2\)"), (["bright"], "text")],
)
def test_a_column_that_is_not_one_number_a_row_is_refused(column, kind):
    table = Table({"flux_ps1_g": column})
    message = f"'flux_ps1_g' must have one number for each object, and is {kind}"
    with pytest.raises(InputSpecError, match=message):
        read_fluxes(table, default_unit=u.nJy)
