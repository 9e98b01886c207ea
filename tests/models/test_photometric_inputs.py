"""The door in for tables: asinh magnitudes, errors, presence."""

import tracemalloc

import astropy.units as u
import numpy as np
import pytest
import torch
from astropy.table import MaskedColumn, QTable, Table
from astropy.utils.masked import Masked

from mantis_astro.exceptions import InputSpecError
from mantis_astro.flags import decode_flags
from mantis_astro.fluxes import flux_to_asinh_mag
from mantis_astro.models import (
    PhotometrySpec,
    get_card,
    load_model,
    predict_probability,
)
from mantis_astro.records import from_plain, to_plain

SPEC = PhotometrySpec(("ps1.g", "ps1.r"), asinh_scale=(200.0, 400.0))


def make_table(flux=(3000.0, 50.0), err=(30.0, 30.0), unit="nJy"):
    """Two rows; the same numbers in both bands."""
    table = QTable()
    for band in "gr":
        table[f"flux_ps1_{band}"] = np.array(flux) * u.Unit(unit)
        table[f"flux_err_ps1_{band}"] = np.array(err) * u.Unit(unit)
    return table


def flags_of(prepared, row=0):
    return set(decode_flags(prepared.flags[row]))


def inputs(table, spec=SPEC, ebv=0.03):
    """Inputs (n_object, 3, n_band): magnitude, error, presence."""
    return spec.to_tensor(table, ebv).images.numpy().reshape(len(table), 3, -1)


def test_bright_fluxes_become_ab_magnitudes():
    flux = 1e7  # nJy, many times the scale
    magnitude = (flux * u.nJy).to_value(u.ABmag)
    found = 22 - 2 * inputs(make_table([flux] * 2))[0, 0]
    np.testing.assert_allclose(found, magnitude, atol=1e-4)


def test_zero_flux_has_the_magnitude_of_lupton_et_al():
    """The softening of Lupton et al. is half the flux that scales the inputs."""
    softening = np.array([200.0, 400.0]) / 2
    expected = flux_to_asinh_mag(0.0, softening).value
    found = 22 - 2 * inputs(make_table([0.0, 0.0]))[0, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_error_is_the_derivative_times_the_flux_error():
    step = 0.5
    low, high = (
        22 - 2 * inputs(make_table([300 + d] * 2))[0, 0].astype(float)
        for d in (-step, step)
    )
    found = inputs(make_table([300.0] * 2, [30.0] * 2))[0, 1]
    np.testing.assert_allclose(found, 30 * np.abs(high - low) / (2 * step), rtol=2e-3)


@pytest.mark.parametrize("flux", [-500.0, 0.0])
def test_a_non_detection_is_an_observation(flux):
    prepared = SPEC.to_tensor(make_table([flux] * 2), 0.03)
    assert flags_of(prepared) == {"NON_DETECTION"}
    assert prepared.usable.all()
    assert inputs(make_table([flux] * 2))[0, 2].tolist() == [1, 1]


def test_one_detected_band_is_a_detection():
    table = make_table([0.0, 0.0])
    table["flux_ps1_r"][0] = 90 * u.nJy  # three times the error
    prepared = SPEC.to_tensor(table, 0.03)
    assert [decode_flags(f) for f in prepared.flags] == [[], ["NON_DETECTION"]]


@pytest.mark.parametrize("unit", ["uJy", "mJy", "erg / (s cm2 Hz)"])
def test_any_flux_density_will_do(unit):
    factor = u.nJy.to(unit)
    scaled = make_table(np.array([3000.0, 50.0]) * factor, [30 * factor] * 2, unit)
    np.testing.assert_allclose(inputs(scaled), inputs(make_table()), rtol=1e-5)


def as_masked_column(values, mask):
    return MaskedColumn(values, mask=mask, unit="nJy")


def as_masked_quantity(values, mask):
    return Masked(values * u.nJy, mask=mask)


def as_nan(values, mask):
    return np.where(mask, np.nan, values) * u.nJy


@pytest.mark.parametrize("form", [as_masked_column, as_masked_quantity, as_nan])
def test_masked_and_nan_fluxes_were_not_observed(form):
    table = make_table()
    table["flux_ps1_g"] = form(np.array([3000.0, 50.0]), np.array([True, False]))
    prepared = SPEC.to_tensor(table, 0.03)
    assert inputs(table)[0, :, 0].tolist() == [0, 0, 0]
    assert inputs(table)[1, 2, 0] == 1
    assert [decode_flags(f) for f in prepared.flags] == [
        ["MISSING_PS1"],
        ["NON_DETECTION"],
    ]


def test_an_error_may_be_unknown():
    found = inputs(make_table(err=[np.nan] * 2))[0]
    assert found[1].tolist() == [0, 0]
    assert found[2].tolist() == [1, 1]


@pytest.mark.parametrize("error", [0.0, -1.0, np.inf, -99.0])
def test_a_flux_whose_error_cannot_be_one_was_not_observed(error):
    prepared = SPEC.to_tensor(make_table(err=[error, 30.0]), 0.03)
    assert flags_of(prepared) == {"NO_DATA", "MISSING_PS1"}
    assert prepared.usable.tolist() == [False, True]


@pytest.mark.parametrize("mark", [-99.0, -999.0, -9999.0])
def test_marks_of_catalogues_are_not_observed(mark):
    marked = SPEC.to_tensor(make_table([mark, 3000.0], [mark, 30.0]), 0.03)
    absent = SPEC.to_tensor(make_table([np.nan, 3000.0], [np.nan, 30.0]), 0.03)
    assert torch.equal(marked.images, absent.images)
    assert (marked.flags == absent.flags).all()


def test_all_fluxes_are_observations_if_one_says_so():
    fluxes = SPEC.read(make_table([-99.0, 3000.0], [30.0, 0.0]), missing=())
    assert SPEC.to_tensor(fluxes, 0.03).usable.all()


def test_errors_may_be_absent():
    table = make_table()
    table.remove_columns(["flux_err_ps1_g", "flux_err_ps1_r"])
    prepared = SPEC.to_tensor(table, 0.03)
    assert inputs(table)[0, 1].tolist() == [0, 0]
    assert flags_of(prepared) == set()


def test_a_band_without_columns_was_not_observed():
    table = make_table()
    table.remove_columns(["flux_ps1_r", "flux_err_ps1_r"])
    assert inputs(table)[0, 2].tolist() == [1, 0]
    assert flags_of(SPEC.to_tensor(table, 0.03)) == {"MISSING_PS1"}


def test_a_row_without_any_band_is_not_usable():
    prepared = SPEC.to_tensor(make_table([np.nan, 3000.0]), 0.03)
    assert prepared.usable.tolist() == [False, True]
    assert flags_of(prepared) == {"NO_DATA", "MISSING_PS1"}


def test_infinite_fluxes_are_not_observed():
    prepared = SPEC.to_tensor(make_table([np.inf, 3000.0]), 0.03)
    assert prepared.usable.tolist() == [False, True]


def test_an_empty_table_makes_an_empty_input():
    prepared = SPEC.to_tensor(make_table([], []))
    assert prepared.images.shape == (0, 6)
    assert len(prepared) == 0


def test_a_table_without_a_column_that_is_read_is_a_wrong_call():
    with pytest.raises(InputSpecError, match="columns flux_ps1_g, flux_ps1_r"):
        SPEC.to_tensor(Table({"g": [1.0]}))


def test_numbers_without_a_unit_are_refused():
    with pytest.raises(u.UnitsError, match=r"'flux_ps1_g' has no unit.*= 'nJy'"):
        SPEC.to_tensor(Table({"flux_ps1_g": [1.0]}))


@pytest.mark.parametrize("unit", ["mag", "mag(ST)", "K", "m"])
def test_what_is_no_flux_density_is_refused(unit):
    table = Table({"flux_ps1_g": [1.0]})
    table["flux_ps1_g"].unit = u.Unit(unit)
    with pytest.raises(u.UnitsError, match="must be a flux density"):
        SPEC.to_tensor(table)


def test_the_table_is_not_changed():
    table = make_table()
    before = table.copy()
    SPEC.to_tensor(table, 0.03)
    assert (table == before).all()


@pytest.mark.parametrize("asinh_scale", [(1.0,), (1.0, 0.0), (1.0, -2.0)])
def test_each_band_needs_a_positive_scale(asinh_scale):
    with pytest.raises(InputSpecError, match="one positive flux for each of 2 bands"):
        PhotometrySpec(("ps1.g", "ps1.r"), asinh_scale)


def test_a_hundred_thousand_rows_need_little_memory():
    """Below a tenth of the 1.5 GB that the whole prediction may take."""
    spec = get_card("simulated-photometric").spec
    table = QTable()
    for band in spec.bands:
        for name in spec.columns(band):
            table[name] = np.full(100_000, 500.0) * u.nJy
    tracemalloc.start()
    prepared = spec.to_tensor(table, np.full(100_000, 0.03))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert prepared.usable.all()
    assert peak < 150e6


def test_brighter_in_the_red_is_not_the_same_answer():
    network, card = load_model("simulated-photometric")
    table = QTable()
    for band in card.bands:
        flux, err = card.spec.columns(band)
        table[flux], table[err] = [20000, 20000] * u.nJy, [300, 300] * u.nJy
    table["flux_ps1_g"] = [20000, 5000] * u.nJy
    prepared = card.spec.to_tensor(table, 0.03)
    blue, red = predict_probability(network, prepared.images, prepared.ebv)
    assert np.abs(blue - red).sum() > 0.5


def test_the_former_name_of_the_scale_is_understood():
    old = {**to_plain(SPEC), "softening": [200.0, 400.0]}
    del old["asinh_scale"]
    assert from_plain(old) == SPEC


def test_filters_of_sedpy_are_bands_as_any():
    spec = PhotometrySpec(("decam_g", "wise_w1"), asinh_scale=(10.0, 10.0))
    table = QTable({"flux_decam_g": [3631e3] * u.nJy, "flux_err_decam_g": [9] * u.nJy})
    prepared = spec.to_tensor(table, ebv=0.02)
    assert float(prepared.images[0, 0]) == pytest.approx((22 - 15) / 2, abs=1e-5)
    assert decode_flags(prepared.flags) == [["MISSING_OTHER"]]
