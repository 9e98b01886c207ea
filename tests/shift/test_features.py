"""Reading arrays and tables as feature matrices, and bringing them onto one scale."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import MaskedColumn, QTable, Table
from astropy.utils.masked import Masked
from scipy.stats import norm

from mantis_astro.exceptions import InputSpecError
from mantis_astro.shift import ShiftReport, as_features, find_shared_columns
from mantis_astro.shift.features import NormalScores, drop_duplicates


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, int, bool])
def test_any_precision_becomes_float64(dtype):
    values, names = as_features(np.array([[0, 1], [1, 0]], dtype))
    assert values.dtype == np.float64
    assert values.tolist() == [[0, 1], [1, 0]]
    assert names == ("feature 0", "feature 1")


def test_torch_tensors_are_arrays_too():
    torch = pytest.importorskip("torch")
    values, _ = as_features(torch.tensor([[1.0, 2.0]], dtype=torch.float16))
    assert values.tolist() == [[1, 2]]


def test_whatever_is_missing_in_a_table_is_nan():
    table = QTable()
    table["mag"] = MaskedColumn([20.0, 21.0, 22.0], mask=[False, True, False])
    table["flux"] = Masked([1.0, 2.0, 3.0] * u.nJy, mask=[False, False, True])
    table["size"] = [1, np.inf, 3] * u.arcsec
    table["pz"] = np.arange(6).reshape(3, 2)
    values, names = as_features(table)
    assert names == ("mag", "flux", "size", "pz 0", "pz 1")
    nan = np.nan
    expected = [[20, 1, 1, 0, 1], [nan, 2, nan, 2, 3], [22, nan, 3, 4, 5]]
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize(
    ("data", "error", "match"),
    [
        ([1.0, 2.0], ValueError, r"shape \(n_object, n_feature\), got \(2,\)"),
        (np.empty((0, 3)), ValueError, "has 0 objects and 3 features"),
        ([["a"], ["b"]], TypeError, "must hold real numbers, got <U1"),
        ([[1j], [2j]], TypeError, "must hold real numbers, got complex128"),
        (Table({"name": ["a"]}), TypeError, r"\['name'\]' must hold real numbers"),
        (Table({"x": np.ones((2, 2, 2))}), ValueError, "has 3 dimensions"),
        (Table(), ValueError, "0 objects and 0 features"),
    ],
)
def test_what_is_no_matrix_of_numbers_is_refused(data, error, match):
    with pytest.raises(error, match=match):
        as_features(data)


def test_scores_are_normal_quantiles_of_ranks():
    x = np.random.default_rng(0).exponential(size=(1000, 1))
    scores = NormalScores(x)(x)[:, 0]
    expected = norm.ppf((np.argsort(np.argsort(x[:, 0])) + 0.5) / 1000)
    np.testing.assert_allclose(scores, expected, atol=0.25)  # two are equal


def test_units_and_monotonic_functions_change_nothing():
    x = np.random.default_rng(0).uniform(1, 2, (300, 2))
    scores = NormalScores(x)(x)
    np.testing.assert_allclose(NormalScores(1e9 * x)(1e9 * x), scores, atol=1e-9)
    np.testing.assert_allclose(NormalScores(x**3)(x**3), scores, atol=0.1)


def test_a_missing_value_is_the_median_and_a_feature_of_its_own():
    x = np.random.default_rng(0).normal(size=(50, 2))
    x[:5, 1] = np.nan
    scores = NormalScores(x)(x)
    assert scores.shape == (50, 3)
    assert scores[:5, 1].tolist() == [0] * 5
    assert scores[:, 2].tolist() == [1] * 5 + [-1] * 45


def test_constant_and_empty_columns_say_nothing():
    x = np.column_stack([np.full(9, 7.0), np.full(9, np.nan), np.arange(9)])
    scores = NormalScores(x)(x)
    assert not scores[:, :2].any()
    assert np.isfinite(scores).all()


def test_rounding_errors_of_equal_values_are_not_blown_up():
    rng = np.random.default_rng(0)
    x = np.concatenate([np.full(700, 0.2), rng.normal(1, 1, 300)])[:, None]
    noisy = x + rng.normal(0, 1e-7, x.shape)
    np.testing.assert_allclose(NormalScores(noisy)(noisy), NormalScores(x)(x), atol=0.1)


def test_duplicates_are_found_whatever_is_missing():
    rows = np.array([[1, np.nan], [2, 3], [1, np.nan], [2, 3 + 1e-12], [2, -0.0]])
    assert drop_duplicates(rows).tolist() == [0, 1, 4]


def test_shared_columns_are_measured_numbers():
    table = Table(
        {
            "specObjID": [1.0],
            "objid": [1],
            "RAJ2000": [1.0],
            "class": [3],
            "name": ["a"],
            "g": [20.0],
            "W1": [15.0],
            "z_median": [0.1],
            "zspec": [0.1],
        }
    )
    assert find_shared_columns(table, table) == ["g", "W1"]
    with pytest.raises(ValueError, match="no column of measured numbers in common"):
        find_shared_columns(table["g",], table["W1",])


def test_features_of_another_kind_are_refused():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 3))
    with pytest.raises(InputSpecError, match="has 3 .*, got 2 .*say nothing"):
        ShiftReport.compare(x, x[:, :2], rng=0)
    left, right = Table(x, names=["g", "r", "i"]), Table(x, names=["g", "i", "r"])
    with pytest.raises(InputSpecError, match=r"has 3 \(g, r, i\), got 3 \(g, i, r\)"):
        ShiftReport.compare(left, right, rng=0)
