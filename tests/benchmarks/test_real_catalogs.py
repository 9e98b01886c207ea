"""Real catalogues are read as their authors meant them."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.real_data
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def catalogs(real_data):
    """The module of readers, which is a program's and not of the package."""
    spec = importlib.util.spec_from_file_location(
        "real_catalogs", BENCHMARKS / "real_catalogs.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules["real_catalogs"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["real_catalogs"]


@pytest.fixture(scope="module")
def tables(catalogs, real_data):
    read = [reader(real_data) for reader in catalogs.READERS]
    return {table.meta["name"]: table for table in read}


def test_no_sentinel_is_a_measurement(catalogs, tables):
    for table in tables.values():
        mag = catalogs.magnitudes(table)
        assert np.nanmin(mag) > 5
        assert np.nanmax(mag) < 32


def test_errors_are_positive_where_known(catalogs, tables):
    for table in tables.values():
        _, error = catalogs.fluxes(table)
        assert (error[np.isfinite(error)] >= 0).all()


def test_redshifts_are_of_galaxies(tables):
    for table in tables.values():
        assert table["z_spec"].min() > 0.002
        assert table["z_spec"].max() < 1.6


def test_sizes_are_those_of_the_cuts(tables):
    assert len(tables["Stripe 82"]) == 2407  # GALAXY, z < 1.2: data/README
    assert len(tables["SDSS"]) == 10_000


def test_infrared_vega_magnitudes_become_ab(catalogs, tables):
    # old stars have W1 - W2 = 0 in Vega, -0.64 in AB; redshift and dust add some 0.25
    table = tables["Stripe 82"]
    near = table[table["z_spec"] < 0.2]
    w1, w2 = catalogs.magnitudes(near, ["unwise.W1", "unwise.W2"]).T
    assert np.nanmedian(w1 - w2) == pytest.approx(-0.4, abs=0.15)


def test_apertures_do_not_make_colours(catalogs, tables):
    # z - Y of galaxies is about 0.1; total against aperture would make it -0.4
    z, Y = catalogs.magnitudes(tables["Stripe 82"], ["des.z", "des.Y"]).T
    assert np.median(z - Y) == pytest.approx(0.08, abs=0.06)


def test_extinction_is_corrected_once(catalogs, tables):
    table = tables["SDSS"]
    before = catalogs.magnitudes(table, ["sdss.r"])
    corrected = catalogs.without_dust(table)
    after = catalogs.magnitudes(corrected, ["sdss.r"])
    assert np.median((before - after)[:, 0] / table["ebv"]) == pytest.approx(
        2.3,
        abs=0.1,  # Schlafly & Finkbeiner 2011: 2.285 on this scale
    )
    again = catalogs.without_dust(corrected)
    assert np.array_equal(after, catalogs.magnitudes(again, ["sdss.r"]))


def test_most_galaxies_of_sdss_lack_the_ultraviolet(tables):
    assert np.mean(tables["SDSS"]["flux_galex_NUV"].mask) == pytest.approx(
        0.92, abs=0.01
    )


def test_upper_limits_of_hosts_are_masked(tables):
    hosts = tables["FRB hosts"]
    assert hosts["flux_unwise_W2"].mask.any()
    assert not hosts["flux_ps1_r"].mask.any()


def test_folds_share_no_place(tables):
    for name in ("Stripe 82", "SDSS"):
        table = tables[name]
        for fold in np.unique(table["fold"]):
            inside = table["fold"] == fold
            assert not set(table["cell"][inside]) & set(table["cell"][~inside])


def test_nine_bands_keep_names_of_the_model(catalogs, tables):
    nine = catalogs.as_nine_bands(tables["Stripe 82"])
    assert "flux_ps1_g" in nine.colnames
    assert "flux_des_g" not in nine.colnames


def test_surveys_are_registered_once(catalogs):
    catalogs.register_surveys()
    catalogs.register_surveys()
