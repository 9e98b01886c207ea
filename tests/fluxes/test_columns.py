"""The one reader of columns of fluxes."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import MaskedColumn, QTable, Table
from astropy.utils.masked import Masked

from mantis_astro.bands import get_band
from mantis_astro.fluxes import flux_columns, read_fluxes


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
