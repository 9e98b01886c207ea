"""What was done to fluxes travels with them and is read by whoever takes them."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable, vstack

from mantis_astro import PhotoZ, to_prospector_obs
from mantis_astro.dust import extinction_coefficients
from mantis_astro.exceptions import InputSpecError
from mantis_astro.fluxes import FluxState, as_observed, read_fluxes, read_state
from mantis_astro.photometry import (
    Circular,
    Kron,
    measure_photometry,
    to_eazy,
    to_prospector,
)
from mantis_astro.tables import read_table, write_table
from tests.made import make_galaxy

EBV = np.array([0.3, 0.02])
CIRCLE = 3 * u.arcsec


@pytest.fixture(scope="module")
def galaxies():
    return [make_galaxy(seed=seed) for seed in (1, 2)]


def measure(galaxies, **options):
    return measure_photometry(galaxies, aperture=CIRCLE, deblend=None, **options)


@pytest.fixture(scope="module")
def plain(galaxies):
    return measure(galaxies)


@pytest.fixture(scope="module")
def corrected(galaxies):
    return measure(galaxies, ebv=EBV)


@pytest.fixture(scope="module")
def photoz():
    return PhotoZ.from_pretrained("simulated-photometric")


def test_photometry_says_what_it_did(plain, corrected):
    assert read_state(plain).is_corrected is False
    state = read_state(corrected)
    assert state.is_corrected
    assert state.aperture == "circle of 3 arcsec, total of a point source"
    for band, coefficient in extinction_coefficients(state.coefficients).items():
        assert state.coefficients[str(band)] == coefficient


@pytest.mark.parametrize(
    ("aperture", "text"),
    [
        (Circular(CIRCLE, None), "circle of 3 arcsec, not corrected for light outside"),
        (Kron(), "2.5 Kron radii, total"),
    ],
)
def test_apertures_in_words(aperture, text):
    assert aperture.describe() == text


@pytest.mark.parametrize("ending", ["ecsv", "fits", "parquet"])
def test_the_state_survives_files(corrected, tmp_path, ending):
    path = tmp_path / f"table.{ending}"
    table = corrected["flux_ps1_g", "flux_err_ps1_g", "ebv"]
    table.meta = {k: v for k, v in corrected.meta.items() if k.startswith("FLUX")}
    write_table(table, path)
    assert read_state(read_table(path)) == read_state(corrected)


def test_the_state_survives_tables_put_together(corrected):
    one = corrected["flux_ps1_g", "ebv"]
    assert read_state(vstack([one, one])) == read_state(corrected)
    assert read_state(corrected[1:]) == read_state(corrected)
    assert read_state(corrected[1]) == read_state(corrected)


def test_a_network_does_not_correct_twice(galaxies, plain, corrected, photoz):
    """Whether photometry corrected for dust or not: the same fluxes, the same p(z)."""
    expected = photoz.add_redshifts(plain, ebv=EBV, prefix="p_")
    found = photoz.add_redshifts(corrected, prefix="p_")  # with its column ebv
    np.testing.assert_allclose(found["p_pz"], expected["p_pz"], rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(found["p_flags"], expected["p_flags"])
    twice = QTable(corrected, copy=True)
    twice.meta.clear()
    wrong = photoz.add_redshifts(twice, prefix="p_")
    assert np.abs(wrong["p_z_median"] - expected["p_z_median"])[0] > 0.01
    pdf = photoz.predict(corrected, ebv=EBV)
    np.testing.assert_allclose(pdf.probability, expected["p_pz"], rtol=1e-4, atol=1e-6)


def test_what_photometry_assumed_is_assumed_by_the_network(galaxies, plain, photoz):
    corrected = measure(galaxies, ebv=[0.3, np.nan])
    expected = photoz.add_redshifts(plain, ebv=[0.3, np.nan], prefix="p_")
    found = photoz.add_redshifts(corrected, prefix="p_")
    np.testing.assert_allclose(found["p_pz"], expected["p_pz"], rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(found["p_flags"], expected["p_flags"])


def test_a_mark_in_the_column_of_ebv_corrects_nothing():
    meta = {"FLUXDUST": "corrected", "FLUXEXT": "ps1.g 3.0"}
    table = QTable({"flux_ps1_g": [5.0, 5.0] * u.nJy, "ebv": [-99.0, 99.0]}, meta=meta)
    assert as_observed(read_fluxes(table), table).flux.tolist() == [[5], [5]]


@pytest.mark.parametrize("lost", ["ebv", "FLUXEXT"])
def test_a_correction_that_cannot_be_undone_is_refused(corrected, photoz, lost):
    table = QTable(corrected, copy=True)
    (table.meta.pop if lost in table.meta else table.remove_column)(lost)
    with pytest.raises(InputSpecError, match=f"cannot be restored without '{lost}'"):
        photoz.predict(table)


def test_fluxes_of_unknown_state_are_as_they_are():
    table = QTable({"flux_ps1_g": [5.0] * u.nJy, "ebv": [0.1]})
    fluxes = read_fluxes(table)
    assert as_observed(fluxes, table) is fluxes
    assert read_state(table) == FluxState(coefficients={})


@pytest.mark.parametrize(
    "meta", [{"FLUXDUST": "yes"}, {"FLUXEXT": "ps1.g"}, {"FLUXEXT": 3.0}]
)
def test_a_state_that_cannot_be_understood_is_refused(meta):
    with pytest.raises(InputSpecError, match=next(iter(meta))):
        read_state(QTable(meta=meta))


def test_another_aperture_is_told(galaxies, photoz, caplog):
    photoz.predict(measure_photometry(galaxies), ebv=EBV)
    assert "another aperture (2.5 Kron radii, total) than the network" in caplog.text


def test_an_aperture_that_is_the_networks_is_not_told(plain, photoz, caplog):
    photoz.predict(plain, ebv=EBV)
    assert "aperture" not in caplog.text


@pytest.mark.parametrize("row", [0, 1])
def test_prospector_gets_fluxes_that_are_corrected_once(plain, corrected, row):
    expected = to_prospector(corrected[row])["maggies"]
    found = to_prospector(plain[row], ebv=EBV[row])["maggies"]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    behind_dust = to_prospector(plain[row], ebv=0)["maggies"]
    assert not np.allclose(behind_dust, expected, rtol=1e-2)
    with pytest.raises(ValueError, match="not corrected for Galactic dust, which pros"):
        to_prospector(plain[row])
    with pytest.raises(ValueError, match="corrected for Galactic dust already"):
        to_prospector(corrected[row], ebv=0.1)


def test_prospector_is_not_given_fluxes_behind_dust(plain, corrected):
    pytest.importorskip("prospect")
    with pytest.raises(ValueError, match="not corrected for Galactic dust"):
        to_prospector_obs(plain[0])
    expected = to_prospector_obs(corrected[0])["maggies"]
    found = to_prospector_obs(plain[0], ebv=EBV[0])["maggies"]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_eazy_is_told_whether_there_is_dust_to_correct_for(plain, corrected):
    numbers = {"ps1.g": 1, "galex.NUV": 2}
    assert "MW_EBV" not in to_eazy(plain, numbers).meta
    ready, ours = to_eazy(corrected, numbers), to_eazy(plain, numbers, ebv=EBV)
    assert ready.meta["MW_EBV"] == ours.meta["MW_EBV"] == 0
    for name in ("F1", "E1", "F2", "E2"):
        np.testing.assert_allclose(ours[name], ready[name], rtol=1e-6)
    with pytest.raises(ValueError, match="leave 'ebv' out"):
        to_eazy(corrected, numbers, ebv=EBV)
