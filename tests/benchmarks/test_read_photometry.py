"""`read_photometry` and the benchmarks' own readers agree on real catalogues."""

import astropy.units as u
import numpy as np
import pytest

from mantis_astro import read_photometry
from mantis_astro.bands import get_band
from mantis_astro.fluxes import read_fluxes, read_state
from mantis_astro.tables import read_table

from .test_real_catalogs import catalogs, tables  # noqa: F401  fixtures

pytestmark = pytest.mark.real_data


def assert_same(ours, theirs, bands):
    """Fluxes of the bands of one are those of the other, and so are the gaps."""
    ours = read_fluxes(ours, list(bands), missing=())
    theirs = read_fluxes(theirs, list(bands.values()), missing=())
    np.testing.assert_array_equal(ours.observed, theirs.observed)
    np.testing.assert_allclose(ours.flux, theirs.flux, rtol=1e-6)
    np.testing.assert_allclose(ours.flux_err, theirs.flux_err, rtol=1e-5)


@pytest.mark.parametrize("survey", [None, ["sdss", "2mass", "galex"]])
def test_sdss_with_2mass_and_galex(tables, real_data, survey):  # noqa: F811
    path = real_data / "catalogs" / "sdss_galex_2mass.fits"
    ours, theirs = read_photometry(path, survey=survey), tables["SDSS"]
    bands = {f"sdss_{b}0": f"sdss.{b}" for b in "ugriz"}
    bands |= {f"twomass_{b}": f"twomass.{b}" for b in ("J", "H", "Ks")}
    assert_same(ours, theirs, bands)
    # the benchmark keeps what has a rate and no error of it
    galex = read_fluxes(ours, ["galex.NUV", "galex.FUV"])
    expected = read_fluxes(theirs, ["galex.NUV", "galex.FUV"])
    np.testing.assert_array_equal(galex.observed, expected.observed)
    np.testing.assert_allclose(galex.values, expected.values, rtol=1e-5)
    np.testing.assert_allclose(ours["ebv"].value, theirs["ebv"], atol=2e-4)
    np.testing.assert_array_equal(ours["z_spec"].value, theirs["z_spec"])
    assert ours["coord"].separation(theirs["coord"]).max() < 1e-3 * u.arcsec
    state = read_state(ours)
    assert (state.is_corrected, state.aperture) == (False, "total")


def test_zcosmos_by_its_columns(tables, real_data):  # noqa: F811
    rows = read_table(real_data / "catalogs" / "zcosmos_west_half.csv")
    theirs = tables["zCOSMOS"]
    names = {"galex.NUV": "nuv", "galex.FUV": "fuv"}
    names |= {f"cosmos.{b}": b.lower() for b in "uBVgrizJK"}
    columns = {
        get_band(band).sedpy_name if "cosmos" in band else band: (name, f"e{name}")
        for band, name in names.items()
    }
    ours = read_photometry(rows, columns=columns)
    order = ours["coord"].match_to_catalog_sky(theirs["coord"])
    index = theirs["coord"].match_to_catalog_sky(ours["coord"])[0]
    assert len(order[0]) == len(rows)
    assert_same(ours[index], theirs, dict(zip(columns, names, strict=True)))


def test_hosts_of_bursts_by_their_names(tables, real_data):  # noqa: F811
    path = real_data / "catalogs" / "frb_hosts_ps1_wise.csv"
    ours, theirs = read_photometry(path, corrected=True), tables["FRB hosts"]
    index = theirs["coord"].match_to_catalog_sky(ours["coord"])[0]
    bands = {f"ps1.{b}": f"ps1.{b}" for b in "grizy"}
    bands |= {"wise_w1": "unwise.W1", "wise_w2": "unwise.W2"}
    assert_same(ours[index], theirs, bands)
    assert read_state(ours).is_corrected


def test_allwise_of_stripe_82(tables, real_data):  # noqa: F811
    rows = read_table(real_data / "catalogs" / "stripe82_des_allwise.csv")
    columns = {f"allwise.W{n}": (f"w{n}_vega", f"w{n}_vega_err") for n in (1, 2)}
    ours = read_photometry(rows, columns=columns, system="Vega")
    theirs = tables["Stripe 82"]
    index = theirs["coord"].match_to_catalog_sky(ours["coord"])[0]
    bands = {f"allwise.W{n}": f"unwise.W{n}" for n in (1, 2)}
    assert_same(ours[index], theirs, bands)
