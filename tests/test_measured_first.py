"""A model of fluxes is given images: everything measures them on one road."""

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import QTable

from mantis_astro import CutoutStore, FitsFolder, Flag, MultibandCutout, PhotoZ
from mantis_astro.bands import list_bands
from mantis_astro.cutouts import failed
from mantis_astro.exceptions import InputSpecError
from mantis_astro.models import BandSetConfig, BandSetSpec, ModelCard, build_network
from mantis_astro.tables import read_table, write_table
from mantis_astro.training import finetune

from .made import make_galaxy

EDGES = np.linspace(0, 1.2, 31)
CHOICES = (["ps1.g", "ps1.r", "unwise.W1"], ["ps1.r", "ps1.i"], ["galex.NUV", "ps1.g"])
N = 24


@pytest.fixture(scope="module")
def any_band():
    config = BandSetConfig(len(EDGES) - 1, width=32, n_blocks=1, hidden=16)
    card = ModelCard("tiny-any-band", config, BandSetSpec(), tuple(EDGES))
    return PhotoZ(build_network(config), card)


@pytest.fixture(scope="module")
def galaxies():
    """Images in other bands each, and of one in none."""
    cutouts = [
        make_galaxy(
            SkyCoord(10.0 + i, 1.0, unit="deg"),
            bands=CHOICES[i % 3],
            amplitude=20.0 + 5 * i,
            seed=i,
        )
        for i in range(N - 1)
    ]
    return [*cutouts, MultibandCutout(SkyCoord(9, 2, unit="deg"), {})]


@pytest.fixture(scope="module")
def positions(galaxies):
    return QTable({"coord": SkyCoord([cutouts.coord for cutouts in galaxies])})


class Source:
    """Hands images out in another order; once it fails."""

    def __init__(self, galaxies, fails=()):
        self.galaxies, self.fails, self.asked = galaxies, fails, []

    def iter_cutouts(self, coords, bands):
        self.asked.append(tuple(bands))
        for index in reversed(range(len(coords))):
            near = [
                cutouts.coord.separation(coords[index]) for cutouts in self.galaxies
            ]
            row = int(np.argmin([s.deg for s in near]))
            status = {}
            if row in self.fails:
                status = {band: failed("no answer") for band in bands}
            yield index, self.galaxies[row], status


def test_features_are_those_of_the_measured_table(any_band, galaxies):
    table = any_band.measure(galaxies)
    expected = any_band.features(table, ebv=0.02)
    np.testing.assert_array_equal(any_band.features(galaxies, ebv=0.02), expected)
    one = any_band.features(galaxies[0], ebv=0.02)
    np.testing.assert_allclose(one, expected[:1], rtol=1e-4, atol=1e-5)


def test_what_was_wrong_with_the_images_is_flagged(any_band, galaxies):
    prepared = any_band.prepare(galaxies)
    table = any_band.measure(galaxies)
    flags = any_band.measured_flags(table)
    assert ((prepared.flags & flags) == flags).all()
    assert prepared.usable.tolist() == [True] * (N - 1) + [False]


def test_images_of_nothing_have_a_column_and_no_flux(any_band, galaxies):
    table = any_band.measure(galaxies[-1:])
    assert table[f"flux_{list_bands()[0]}".replace(".", "_")].mask.all()
    assert np.isnan(any_band.infer_features(any_band.prepare(galaxies[-1:]))).all()


def test_positions_with_a_source_are_measured(any_band, galaxies, positions):
    source = Source(galaxies)
    added = any_band.add_redshifts(positions, source, ebv=0.02)
    expected = any_band.predict(galaxies, ebv=0.02)
    np.testing.assert_allclose(
        added["pz"][:-1], expected.probability[:-1], rtol=1e-4, atol=1e-6
    )
    assert (added["flags"] == expected.flags).all()
    missing = sum(int(flag) for flag in Flag if flag.name.startswith("MISSING_"))
    assert not (expected.flags & missing).any()  # no band is expected
    assert added["flags"][-1] & int(Flag.NO_DATA)
    names = added.meta["PZBANDS"].split(", ")
    for row, cutouts in enumerate(galaxies):
        used = {
            name
            for name, is_used in zip(names, added["bands_used"][row], strict=True)
            if is_used
        }
        assert used == set(map(str, cutouts))
    (asked,) = source.asked
    filters = [band.sedpy_name for band in asked]
    assert len(filters) == len(set(filters))  # W1 is not measured twice


def test_rows_of_which_images_failed_say_so(any_band, galaxies, positions):
    added = any_band.add_redshifts(positions, Source(galaxies, fails=[3]))
    failed_rows = np.flatnonzero(added["flags"] & int(Flag.FETCH_FAILED))
    assert failed_rows.tolist() == [3]


def test_it_goes_on_where_it_stopped(any_band, galaxies, positions, tmp_path):
    whole = any_band.add_redshifts(positions, Source(galaxies))
    journal = tmp_path / "rows"
    partly = Source(galaxies, fails=[0, 1, 2])
    any_band.add_redshifts(positions, partly, resume=journal)
    source = Source(galaxies)
    again = any_band.add_redshifts(positions, source, resume=journal)
    for name in ("pz", "flags", "bands_used", "p_star"):
        np.testing.assert_array_equal(again[name], whole[name])


def test_a_source_is_asked_for_the_bands_that_it_has(any_band, galaxies, tmp_path):
    folder = tmp_path / "fits"
    folder.mkdir()
    galaxies[1].write(folder / "one.fits")
    with CutoutStore(tmp_path / "store", "a") as store:
        store.add("one", galaxies[1].coord, galaxies[1])
        wanted = {"ps1.r", "ps1.i"}
        table = QTable({"coord": SkyCoord([galaxies[1].coord])})
        for source in (store, FitsFolder(folder)):
            assert set(map(str, source.bands)) == wanted
            added = any_band.add_redshifts(table, source)
            assert set(added.meta["PZBANDS"].split(", ")) == wanted


def test_a_table_without_fluxes_is_told_what_to_do(any_band, positions, tmp_path):
    with pytest.raises(InputSpecError, match="read_photometry makes.*with a 'source'"):
        any_band.add_redshifts(positions)
    table = any_band.measure([])
    with pytest.raises(InputSpecError, match="no column such as"):
        any_band.add_redshifts(table[["coord"]])


def test_refit_and_finetune_take_images(any_band, galaxies, positions):
    many, z = galaxies[:-1] * 3, np.linspace(0.1, 0.9, 3 * (N - 1))
    table = any_band.measure(many)
    tuned, report = finetune(any_band, many, z, steps=4, seed=1)
    expected, other = finetune(any_band, table, z, steps=4, seed=1)
    assert report.after == other.after
    assert tuned.predict(table) == expected.predict(table)
    _, report = any_band.refit(many, z, n_bootstrap=10)
    _, other = any_band.refit(table, z, n_bootstrap=10)
    assert (report.message, report.n_fit) == (other.message, other.n_fit)
    _, report = any_band.refit(positions, z[:N], source=Source(galaxies))
    assert "too few" in report.message
    assert report.dropped == {"without finite features": 1}


@pytest.mark.parametrize("suffix", ["fits", "ecsv"])
def test_a_prior_knows_the_bands_of_its_galaxy(any_band, galaxies, tmp_path, suffix):
    pdf = any_band.predict(galaxies)
    for row in (0, 1, 2):
        assert set(pdf[row].to_prior().bands) == set(CHOICES[row])
    assert pdf[::-1][-2].to_prior().bands == pdf[1].to_prior().bands
    assert pdf.reshape(2, -1)[0, 1].to_prior().bands == pdf[1].to_prior().bands
    halves = type(pdf).concatenate([pdf[:5], pdf[5:]])
    np.testing.assert_array_equal(halves.bands_used, pdf.bands_used)
    write_table(pdf.to_table(), tmp_path / f"table.{suffix}")
    pdf.write(tmp_path / f"pdf.{suffix}")
    again = [
        type(pdf).from_table(read_table(tmp_path / f"table.{suffix}")),
        type(pdf).read(tmp_path / f"pdf.{suffix}"),
        pdf.smooth(0.01).add_flags(Flag.BLEND),
    ]
    for other in again:
        np.testing.assert_array_equal(other.bands_used, pdf.bands_used)


def test_bands_used_must_fit_the_galaxies(any_band, galaxies):
    pdf = any_band.predict(galaxies[:2])
    with pytest.raises(
        ValueError, match=r"'bands_used' must have shape \(2, 'n_band'\)"
    ):
        type(pdf)(pdf.bin_edges, pdf.probability, bands_used=[True, False])
    with pytest.raises(ValueError, match="'used' must have 1 bands, got 2"):
        pdf.with_bands(["ps1.g"], [[True, False]] * 2)
