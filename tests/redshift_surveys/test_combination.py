"""One redshift for each object."""

import numpy as np
import pytest
from astropy.table import QTable, vstack

from mantis_astro.redshift_surveys import combine_redshifts


def rows(**columns):
    n = len(columns["ra"])
    usual = {"dec": np.zeros(n), "survey": ["sdss"] * n, "z_spec": np.full(n, 0.1)}
    usual |= {"quality": np.full(n, np.nan), "z_spec_err": np.full(n, np.nan)}
    return QTable(usual | columns)


def test_the_order_of_the_rows_does_not_matter():
    rng = np.random.default_rng(0)
    base = np.repeat(rng.uniform(0, 360, 50), 3)
    table = rows(
        ra=base + rng.uniform(0, 1e-5, 150),
        survey=rng.choice(["sdss", "desi", "new"], 150),
        z_spec=np.repeat(rng.uniform(0, 1, 50), 3) + rng.uniform(0, 2e-3, 150),
        quality=rng.uniform(0, 5, 150),
    )
    one = combine_redshifts(table)
    other = combine_redshifts(table[rng.permutation(150)])
    assert len(one) == 50
    assert list(one["z_spec"]) == list(other["z_spec"])
    assert set(one["n_spectra"]) == {3}


def test_the_best_is_kept():
    near = [10.0, 10.0, 10.0]
    table = rows(ra=near, survey=["6df", "sdss", "sdss"], z_spec=[0.1, 0.1001, 0.1002])
    table["z_spec_err"] = [1e-6, 1e-4, 1e-5]
    assert combine_redshifts(table)["z_spec"] == [0.1002]
    table["quality"] = [9.0, 4.0, 3.0]
    assert combine_redshifts(table)["z_spec"] == [0.1001]
    assert combine_redshifts(table, order=["6df"])["z_spec"] == [0.1]


def test_objects_are_left_out_where_redshifts_disagree():
    table = rows(ra=[10, 10, 20, 20, 30], z_spec=[0.5, 0.52, 0.5, 0.51, 0.3])
    result = combine_redshifts(table)
    assert list(result["ra"]) == [20, 30]
    counts = result.meta["combination"]
    assert counts["objects that disagree"] == 1
    assert counts["further spectra of an object"] == 2


def test_rows_in_a_chain_are_one_object():
    arcsec = 1 / 3600
    table = rows(ra=[10, 10 + 0.8 * arcsec, 10 + 1.6 * arcsec, 10 + 3 * arcsec])
    assert list(combine_redshifts(table)["n_spectra"]) == [3, 1]
    # across the zero of right ascension, too
    assert len(combine_redshifts(rows(ra=[0.0, 360 - 0.5 * arcsec]))) == 1


def test_rows_without_a_redshift_are_counted_and_cost_no_other():
    missing = np.ma.MaskedArray([0.1, 0.5, 0.2, -9.0], [False, True, False, False])
    for z in (missing, [0.1, np.nan, 0.2, -9999.0]):
        result = combine_redshifts(rows(ra=[10.0, 10.0, 20.0, 20.0], z_spec=z))
        assert list(result["z_spec"]) == [0.1, 0.2]
        assert result.meta["combination"]["without redshift"] == 2
        assert result.meta["combination"]["objects that disagree"] == 0


def test_what_is_no_error_is_not_the_smallest():
    table = rows(ra=[10.0] * 3, z_spec=[0.1, 0.1001, 0.1002])
    table["z_spec_err"] = [-9999.0, 0.0, 1e-4]
    assert combine_redshifts(table)["z_spec"] == [0.1002]


def test_limits_leave_out_and_count():
    table = rows(ra=[10, 20, 30], z_spec=[0.5, 2.0, 0.3], mag_r=[17.0, 16.0, np.nan])
    limits = {"z_spec": (0, 1.6), "mag_r": (0, 20)}
    result = combine_redshifts(table, limits=limits)
    assert list(result["ra"]) == [10]
    assert result.meta["combination"]["objects outside mag_r = 0 to 20"] == 1
    with pytest.raises(KeyError, match="no column 'mag_g'; there are"):
        combine_redshifts(table, limits={"mag_g": (0, 1)})


@pytest.mark.parametrize("n", [0, 1])
def test_few_rows(n):
    table = rows(ra=[10.0])[:n]
    assert len(combine_redshifts(table)) == n
    assert len(combine_redshifts(vstack([table, table]))) == n
