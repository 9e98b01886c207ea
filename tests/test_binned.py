"""Arithmetic of binned densities on plain arrays."""

import astropy.units as u
import numpy as np
import pytest
from astropy.cosmology import units as cu
from astropy.table import MaskedColumn
from astropy.utils.masked import Masked

from mantis_astro import binned


@pytest.mark.parametrize(
    "z",
    [
        [0.1, 0.2],
        np.array([0.1, 0.2]),
        [10, 20] * u.percent,
        [0.1, 0.2] * cu.redshift,
        MaskedColumn([0.1, 0.2]),
    ],
    ids=["list", "array", "percent", "redshift", "column"],
)
def test_redshifts_come_from_anything_dimensionless(z):
    np.testing.assert_allclose(binned.as_redshift(z), [0.1, 0.2], rtol=1e-15)


@pytest.mark.parametrize(
    "z",
    [
        np.ma.array([1, 2], mask=[False, True]),
        Masked([1, 2] * u.one, mask=[False, True]),
        MaskedColumn([1, 2], mask=[False, True]),
    ],
    ids=["numpy", "quantity", "column"],
)
def test_masked_redshifts_become_nan(z):
    np.testing.assert_array_equal(binned.as_redshift(z), [1, np.nan])


def test_redshifts_with_another_unit_are_refused():
    with pytest.raises(u.UnitConversionError, match="Mpc"):
        binned.as_redshift([1, 2] * u.Mpc)


@pytest.mark.parametrize(
    ("edges", "match"),
    [
        ([[0, 1], [1, 2]], r"one-dimensional .* got shape \(2, 2\)"),
        ([0.0], r"at least two edges, got shape \(1,\)"),
        ([0, np.nan, 1], "must be finite, got nan at index 1"),
        ([0, np.inf], "must be finite, got inf at index 1"),
        ([0, 1, 1], "must increase, got 1.0 then 1.0 at index 1"),
        ([0, 2, 1], "must increase, got 2.0 then 1.0 at index 1"),
        ([-0.1, 1], "must not start below redshift 0, got -0.1"),
    ],
)
def test_bin_edges_must_be_edges(edges, match):
    with pytest.raises(ValueError, match=match):
        binned.validate_bin_edges(edges)


def test_bin_edges_are_a_copy_that_cannot_change():
    given = np.array([0.0, 1.0])
    edges = binned.validate_bin_edges(given)
    given[0] = 0.5
    assert edges[0] == 0
    assert not edges.flags.writeable


def test_blocks_of_any_size_give_the_same_rows():
    rows = np.random.default_rng(0).random((37, 5))
    whole = binned.map_rows(binned.cumulative, rows)
    for block in (1, 10, 11, 10**6):
        np.testing.assert_array_equal(
            binned.map_rows(binned.cumulative, rows, block=block), whole
        )


def test_counting_below_is_a_left_sided_search():
    rng = np.random.default_rng(1)
    rows = np.sort(rng.integers(0, 9, (50, 13)), axis=1)
    values = rng.integers(-1, 11, (50, 4))
    expected = [
        np.searchsorted(r, v, side="left") for r, v in zip(rows, values, strict=True)
    ]
    np.testing.assert_array_equal(binned.count_below(rows, values), expected)


def test_overlap_of_bins_with_themselves_is_the_identity():
    edges = np.array([0, 0.002, 0.006, 0.1, 2])
    np.testing.assert_allclose(binned.overlap(edges, edges), np.eye(4), atol=1e-15)


def test_bin_averages_are_exact_for_a_polynomial():
    edges = np.array([0.0, 0.5, 2.0])
    averages = binned.bin_averages(edges, lambda z: 3 * z**2)
    np.testing.assert_allclose(averages, np.diff(edges**3) / np.diff(edges))


def test_a_constant_function_averages_to_itself():
    np.testing.assert_allclose(binned.bin_averages(np.arange(4.0), lambda _: 2), 2)


def test_normalising_twice_changes_nothing():
    rows = np.random.default_rng(2).random((500, 400))
    edges = np.arange(401.0)
    for dtype in (np.float32, np.float64):
        once, _ = binned.normalize(edges, rows.astype(dtype))
        twice, _ = binned.normalize(edges, once)
        np.testing.assert_array_equal(once, twice)


def test_sentinels_are_no_redshifts():
    z = [0.3, 0, -0.002, -1, -99, -9999, np.nan]
    expected = [0.3, 0, -0.002, *[np.nan] * 4]
    np.testing.assert_array_equal(binned.true_redshift(z), expected)


@pytest.mark.parametrize("first", [0, 5])
@pytest.mark.parametrize("n", [0, 1, 7, 48, 130])
def test_a_row_is_multiplied_alike_among_any_others(first, n):
    rng = np.random.default_rng(0)
    rows, matrix = rng.random((150, 400)), rng.random((400, 330))
    whole = binned.multiply_rows(rows, matrix)
    part = slice(first, first + n)
    np.testing.assert_array_equal(binned.multiply_rows(rows[part], matrix), whole[part])
    np.testing.assert_allclose(whole, rows @ matrix)
