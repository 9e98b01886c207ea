"""Zero points are found without redshifts, and applied once."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable, Table

from mantis_astro import PhotoZ
from mantis_astro.adaptation import ZeroPoints, fit_zero_points
from mantis_astro.bands import get_bands
from mantis_astro.exceptions import InputSpecError
from mantis_astro.extinction import extinction_coefficients
from mantis_astro.fluxes import Fluxes, flux_columns
from mantis_astro.simulation.photometry.sources import KINDS, draw_sources

FILTERS = ("sdss_g0", "sdss_r0", "sdss_i0", "sdss_z0", "twomass_J")
BANDS = get_bands(FILTERS)
DEPTH = 10 ** (-0.4 * (np.array([24.0, 24, 23.5, 22.5, 21.5]) - 31.4)) / 5
MADE = np.array([-0.06, 0.10, -0.10, 0.08, -0.02])


@pytest.fixture(scope="module")
def sample():
    """Fluxes of simulated galaxies, bright enough, and errors."""
    rng = np.random.default_rng(5)
    sources = draw_sources(6000, seed=9, filters=FILTERS)
    sources = sources[sources.kind != KINDS.index("star")]
    true = sources.flux[sources.flux[:, 2] > 20 * DEPTH[2]].astype(float)
    true = rng.permutation(true)[:1500]
    error = np.broadcast_to(DEPTH, true.shape)
    return true + error * rng.normal(size=true.shape), error


@pytest.fixture(scope="module")
def found(sample):
    flux, error = sample
    moved = 10 ** (-0.4 * MADE)
    fluxes = Fluxes(BANDS, flux * moved, error * moved)
    return fit_zero_points(fluxes, n_library=5000)


def test_made_offsets_are_found(found):
    away = found.offset.to_value(u.mag) - MADE
    error = found.offset_err.to_value(u.mag)
    assert (np.abs(away) < 3 * error).all()
    assert error.max() < 0.08
    # what is between neighbours is found better than a slope from blue to red
    assert np.abs(np.diff(away, n=2)).max() < 0.05
    assert away.std() < 0.5 * MADE.std()
    assert abs(found.offset.sum()) < 1e-9 * u.mag  # the reference is all bands


def test_without_offsets_little_is_found(sample):
    found = fit_zero_points(Fluxes(BANDS, *sample), n_library=5000)
    assert np.abs(found.offset.to_value(u.mag)).max() < 0.04


def test_reference_has_no_offset(sample):
    found = fit_zero_points(Fluxes(BANDS, *sample), n_library=2000, reference=BANDS[1])
    assert found.offset[1] == 0 * u.mag
    assert found.reference == BANDS[1:2]


def test_dust_is_taken_off_first(sample):
    flux, error = sample
    fluxes = Fluxes(BANDS, flux, error)
    plain = fit_zero_points(fluxes, n_library=2000)
    per_ebv = np.array([*extinction_coefficients(BANDS).values()])
    dimmed = 10 ** (-0.4 * 0.3 * per_ebv)
    fluxes = Fluxes(BANDS, flux * dimmed, error * dimmed)
    found = fit_zero_points(fluxes, ebv=0.3, n_library=2000)
    np.testing.assert_allclose(found.offset, plain.offset, atol=0.003 * u.mag)


def test_same_seed_same_answer(sample):
    fluxes = Fluxes(BANDS, *(x[:200] for x in sample))
    first, second = (fit_zero_points(fluxes, n_library=1000, rng=3) for _ in range(2))
    np.testing.assert_array_equal(first.offset, second.offset)


def test_few_galaxies_and_few_bands_are_refused(sample):
    flux, error = sample
    with pytest.raises(InputSpecError, match="got 20"):
        fit_zero_points(Fluxes(BANDS, flux[:20], error[:20]))
    with pytest.raises(InputSpecError, match="in 3 bands, got 0"):
        fit_zero_points(Fluxes(BANDS[:2], flux[:, :2], error[:, :2]))
    with pytest.raises(InputSpecError, match="'reference' must name some of"):
        fit_zero_points(Fluxes(BANDS, flux, error), reference="ps1.g")


def make_points(offset=0.1, scatter=0.05):
    bands = get_bands(["ps1.g", "ps1.r"])
    return ZeroPoints(
        bands,
        [offset, 0.0] * u.mag,
        [0.02, 0.02] * u.mag,
        np.array([scatter, 0.0]),
        np.array([90, 90]),
        bands,
    )


@pytest.mark.parametrize("kind", [Table, QTable])
def test_applied_to_any_class_of_table(kind):
    table = kind({"flux_ps1_g": [100.0, 50] * u.nJy, "flux_err_ps1_g": [3, 4] * u.nJy})
    table["name"] = ["a", "b"]
    new = make_points().apply(table, scatter=True)
    factor = 10**0.04
    flux = u.Quantity(new["flux_ps1_g"]).to_value("nJy")
    np.testing.assert_allclose(flux, [100 * factor, 50 * factor])
    error = u.Quantity(new["flux_err_ps1_g"]).to_value("nJy")
    np.testing.assert_allclose(
        error, np.hypot([3 * factor, 4 * factor], 0.05 * flux), rtol=1e-6
    )
    assert table["flux_ps1_g"][0] in (100.0, 100 * u.nJy)  # a copy was corrected
    assert list(new["name"]) == ["a", "b"]


def test_masks_stay():
    table = Table({"flux_ps1_g": np.ma.array([1.0, 2.0], mask=[False, True])})
    table["flux_ps1_g"].unit = "uJy"
    new = make_points().apply(table)["flux_ps1_g"]
    assert new.unit == u.uJy
    assert list(new.mask) == [False, True]


def test_applied_once():
    table = QTable({"flux_ps1_g": [100.0] * u.nJy})
    new = make_points().apply(table)
    assert new.meta["FLUXZERO"] == "ps1.g +0.1000"
    with pytest.raises(InputSpecError, match="were applied"):
        make_points().apply(new)


def test_small_offsets_may_be_left():
    table = QTable({"flux_ps1_g": [100.0] * u.nJy})
    assert make_points(0.03).apply(table, n_sigma=2)["flux_ps1_g"] == 100 * u.nJy


def test_tables_without_these_fluxes_are_refused():
    with pytest.raises(InputSpecError, match="none of the columns flux_ps1_g"):
        make_points().apply(QTable({"flux_sdss_g0": [1.0] * u.nJy}))
    magnitudes = QTable({"flux_ps1_g": [20.0] * u.ABmag})
    with pytest.raises(InputSpecError, match="applied to fluxes"):
        make_points().apply(magnitudes)


def test_photoz_reads_the_table(sample):
    flux, error = (x[:300] for x in sample)
    bands = get_bands([f"ps1.{name}" for name in "grizy"])
    table = QTable()
    for j, band in enumerate(bands):
        name, name_err = flux_columns(band)
        table[name], table[name_err] = flux[:, j] * u.nJy, error[:, j] * u.nJy
    photoz = PhotoZ.from_pretrained("simulated-photometric")
    found = photoz.adapt(table, n_library=1000)
    assert [str(band) for band in found.bands] == [str(band) for band in bands]
    assert len(str(found).splitlines()) == len(bands) + 3  # names, units, a line
    with pytest.raises(InputSpecError, match="reads images"):
        PhotoZ.from_pretrained("simulated-early").adapt(table)
