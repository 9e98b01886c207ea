import logging

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import MaskedColumn, QTable, Table
from astropy.utils.masked import Masked

from mantis_astro import FitsFolder, Flag, MultibandCutout, PhotoZ, decode_flags
from mantis_astro.exceptions import MantisError
from mantis_astro.tables import read_table, write_table

from .made import MadeSky, make_galaxy

N = 12


@pytest.fixture(scope="module")
def photoz():
    return PhotoZ.from_pretrained("simulated-early")


@pytest.fixture
def table():
    """Positions whose right ascension tells the made sky which object it is."""
    return QTable({"ra": np.arange(N) * 1e-3 * u.deg, "dec": np.full(N, 1.0) * u.deg})


@pytest.fixture(scope="module")
def expected(photoz):
    """Probabilities of the positions above, predicted one by one."""
    coords = SkyCoord(np.arange(N) * 1e-3, np.full(N, 1.0), unit="deg")
    found = MadeSky().iter_cutouts(coords, photoz.card.bands)
    return photoz.predict([galaxy for _, galaxy, _ in found])


def test_the_columns_are_those_of_the_densities(photoz, table, expected):
    output = photoz.add_redshifts(table, MadeSky())
    for name, column in expected.to_table().columns.items():
        assert output[name].info.description == column.info.description
        assert output[name].info.format == column.info.format
        assert type(output[name]) is type(column)
        np.testing.assert_array_equal(np.asarray(output[name]), np.asarray(column))


@pytest.mark.parametrize("order", [list, reversed], ids=["in order", "reversed"])
@pytest.mark.parametrize("chunk", [1, 5, 64])
def test_rows_get_their_own_redshifts_in_whatever_order_they_come(
    photoz, table, expected, order, chunk
):
    output = photoz.add_redshifts(table, MadeSky(order=order), chunk=chunk)
    np.testing.assert_array_equal(output["pz"], expected.probability)
    np.testing.assert_array_equal(output["flags"], expected.flags)


def test_the_input_is_left_unchanged(photoz, table):
    table.meta["FIELD"] = "mine"
    before = table.copy()
    photoz.add_redshifts(table, MadeSky())
    assert table.colnames == before.colnames
    assert table.meta == before.meta
    assert all((table[name] == before[name]).all() for name in table.colnames)


def test_everything_the_table_had_is_kept(photoz, table):
    table["name"] = [f"NGC {i}" for i in range(N)]
    table["size"] = Masked(np.arange(N) * u.arcsec, mask=np.arange(N) == 2)
    table["n"] = MaskedColumn(np.arange(N), mask=np.arange(N) == 3)
    table["position"] = SkyCoord(table["ra"], table["dec"])
    table["size"].info.description = "half-light radius"
    table.meta["FIELD"] = "mine"
    table.add_index("name")
    output = photoz.add_redshifts(table, MadeSky(), ra="ra", dec="dec")
    assert output.colnames[: len(table.colnames)] == table.colnames
    assert output["size"].unit == u.arcsec
    assert output["size"].info.description == "half-light radius"
    assert output["size"].mask.tolist() == table["size"].mask.tolist()
    assert output["n"].mask.tolist() == table["n"].mask.tolist()
    assert output.meta["FIELD"] == "mine"
    assert output.loc["NGC 4"]["n"] == 4


def test_a_plain_table_is_fine(photoz, table, expected):
    output = photoz.add_redshifts(Table(table), MadeSky())
    assert isinstance(output, QTable)
    np.testing.assert_array_equal(output["pz"], expected.probability)


def test_meta_tells_what_made_the_columns(photoz, table):
    meta = photoz.add_redshifts(table, MadeSky()).meta
    assert meta["PZMODEL"] == "simulated-early"
    assert meta["PZSHA256"] == photoz.card.sha256
    assert meta["PZEDGES"] == "0 to 1.6 by 0.004"


def test_an_empty_table_gains_empty_columns(photoz):
    output = photoz.add_redshifts(QTable({"ra": [], "dec": []}), MadeSky())
    assert len(output) == 0
    assert output["pz"].shape == (0, photoz.card.n_bins)
    assert isinstance(output["z_median"], MaskedColumn)


def test_one_row(photoz, table, expected):
    output = photoz.add_redshifts(table[3:4], MadeSky())
    np.testing.assert_array_equal(output["pz"], expected.probability[3:4])


def test_bad_coordinates_are_flagged_and_hurt_no_other(photoz, table, expected):
    table["ra"][4] = np.nan
    table["dec"][7] = 91 * u.deg
    output = photoz.add_redshifts(table, MadeSky())
    bad = np.isin(np.arange(N), [4, 7])
    for i in (4, 7):
        assert decode_flags(output["flags"][i]) == ["NO_DATA", "BAD_COORDINATES"]
    np.testing.assert_array_equal(output["z_median"].mask, bad)
    np.testing.assert_array_equal(output["pz"][~bad], expected.probability[~bad])


def test_no_coverage_and_failure_are_told_apart(photoz, table):
    output = photoz.add_redshifts(table, MadeSky(missing=[2], broken=[5]))
    assert "OUT_OF_FOOTPRINT" in decode_flags(output["flags"][2])
    assert "FETCH_FAILED" in decode_flags(output["flags"][5])
    for i in (2, 5):
        assert "NO_DATA" in decode_flags(output["flags"][i])
        assert output["z_median"].mask[i]
    assert output["z_median"].mask.sum() == 2


def test_a_position_that_the_source_forgets_counts_as_failed(photoz, table, expected):
    sky = MadeSky(order=lambda indices: [i for i in indices if i != 6])
    output = photoz.add_redshifts(table, sky)
    assert decode_flags(output["flags"][6]) == ["NO_DATA", "FETCH_FAILED"]
    others = np.arange(N) != 6
    np.testing.assert_array_equal(output["pz"][others], expected.probability[others])


def test_a_source_that_repeats_itself_is_not_trusted(photoz, table):
    sky = MadeSky(order=lambda indices: [0, 1, 1])
    with pytest.raises(ValueError, match="'source' yielded an index twice"):
        photoz.add_redshifts(table, sky)


def test_a_source_that_is_none_is_named(photoz, table):
    with pytest.raises(TypeError, match=r"must have a method iter_cutouts.*'str'"):
        photoz.add_redshifts(table, "my_folder")


@pytest.mark.parametrize("what", ["galaxies.ecsv", [10.0, 41.0], {"ra": [1.0]}])
def test_what_is_no_table_is_refused_with_how_to_make_one(photoz, what):
    with pytest.raises(TypeError, match=r"'table' must be .* QTable.read reads files"):
        photoz.add_redshifts(what, MadeSky())


@pytest.mark.parametrize("chunk", [0, -3])
def test_a_chunk_holds_at_least_one_object(photoz, table, chunk):
    with pytest.raises(ValueError, match=f"'chunk' must be at least 1, got {chunk}"):
        photoz.add_redshifts(table, MadeSky(), chunk=chunk)


class TestNames:
    def test_a_prefix_keeps_two_models_apart(self, photoz, table):
        output = photoz.add_redshifts(table, MadeSky(), prefix="a_")
        output = photoz.add_redshifts(output, MadeSky(), prefix="b_")
        np.testing.assert_array_equal(output["a_pz"], output["b_pz"])
        assert output.meta["a_PZMODEL"] == output.meta["b_PZMODEL"]

    def test_a_name_in_use_is_refused_before_any_work(self, photoz, table):
        table["flags"] = 0
        sky = MadeSky()
        with pytest.raises(ValueError, match="has flags already: choose another 'pre"):
            photoz.add_redshifts(table, sky)
        assert sky.asked == []

    def test_columns_of_an_earlier_call_are_replaced_on_request(self, photoz, table):
        first = photoz.add_redshifts(table, MadeSky(), rng=1)
        first = photoz.add_redshifts(first, MadeSky(), prefix="mine_")
        first.meta["PZSMOOTH"] = "of another model"
        first["flag_names"] = "NO_DATA"  # of the command with --flag-names
        again = photoz.add_redshifts(
            first, MadeSky(), columns=["flags", "z_median"], overwrite=True
        )
        assert "z_mc" in first.colnames
        assert not {"z_mc", "flag_names"} & set(again.colnames)
        assert {"mine_pz", "flags", "z_median"} < set(again.colnames)
        assert "of another model" not in again.meta.values()
        assert "mine_PZMODEL" in again.meta
        np.testing.assert_array_equal(again["flags"], first["flags"])

    def test_only_the_columns_asked_for(self, photoz, table):
        output = photoz.add_redshifts(table, MadeSky(), columns=["flags", "z_median"])
        assert output.colnames == ["ra", "dec", "z_median", "flags"]

    def test_an_unknown_column_lists_the_known(self, photoz, table):
        with pytest.raises(
            ValueError, match=r"'columns' may hold z_mean.*\['z_best'\]"
        ):
            photoz.add_redshifts(table, MadeSky(), columns=["z_best"])

    def test_draws_come_only_with_a_source_of_randomness(self, photoz, table):
        assert "z_mc" not in photoz.add_redshifts(table, MadeSky()).colnames
        draws = [
            photoz.add_redshifts(
                table,
                MadeSky(order=order),
                columns=["z_mc"],
                rng=np.random.default_rng(1),
            )["z_mc"]
            for order in (list, reversed)
        ]
        np.testing.assert_array_equal(*draws)
        assert len(np.unique(draws[0])) == N


class TestEbv:
    def test_a_column_named_ebv_is_used(self, photoz, table):
        table["EBV"] = np.linspace(0, 0.3, N)
        used = photoz.add_redshifts(table, MadeSky())
        given = photoz.add_redshifts(table, MadeSky(), ebv=np.linspace(0, 0.3, N))
        np.testing.assert_array_equal(used["pz"], given["pz"])
        assert "EBV_ASSUMED" not in decode_flags(used["flags"][0])
        assert "HIGH_EBV" in decode_flags(used["flags"][N - 1])

    def test_each_row_gets_its_own_whatever_the_order(self, photoz, table):
        ebv = np.linspace(0, 0.3, N)
        straight = photoz.add_redshifts(table, MadeSky(), ebv=ebv)
        backward = photoz.add_redshifts(
            table, MadeSky(order=reversed), ebv=ebv, chunk=5
        )
        np.testing.assert_array_equal(straight["pz"], backward["pz"])

    def test_columns_for_each_map(self, photoz, table):
        table["A"], table["B"] = np.full(N, 0.1), np.full(N, 0.2)
        named = photoz.add_redshifts(table, MadeSky(), ebv={"csfd": "A", "planck": "B"})
        given = photoz.add_redshifts(table, MadeSky(), ebv={"csfd": 0.1, "planck": 0.2})
        np.testing.assert_array_equal(named["pz"], given["pz"])

    def test_a_masked_value_is_assumed_and_flagged(self, photoz, table):
        table["ebv"] = MaskedColumn(np.full(N, 0.1), mask=np.arange(N) == 3)
        flags = photoz.add_redshifts(table, MadeSky())["flags"]
        assumed = (flags & Flag.EBV_ASSUMED) != 0
        np.testing.assert_array_equal(assumed, np.arange(N) == 3)

    def test_a_column_that_is_not_there_lists_what_is(self, photoz, table):
        with pytest.raises(
            KeyError, match="no column 'sfd' of E.B-V.; there are ra, dec"
        ):
            photoz.add_redshifts(table, MadeSky(), ebv="sfd")

    def test_values_for_other_rows_are_refused(self, photoz, table):
        with pytest.raises(ValueError, match=f"'ebv' has 3 values for {N} rows"):
            photoz.add_redshifts(table, MadeSky(), ebv=[0.1, 0.2, 0.3])


class Interrupted(MadeSky):
    """A sky at which somebody presses Ctrl-C after some objects."""

    def __init__(self, after, **options):
        super().__init__(**options)
        self.after = after
        self.closed = False

    def iter_cutouts(self, coords, bands):
        try:
            for i, answer in enumerate(super().iter_cutouts(coords, bands)):
                if i == self.after:
                    raise KeyboardInterrupt
                yield answer
        finally:
            self.closed = True


class TestResume:
    def test_what_was_done_stays_and_the_rest_is_computed(
        self, photoz, table, expected, tmp_path
    ):
        options = {"resume": tmp_path / "rows", "chunk": 2}
        with pytest.raises(KeyboardInterrupt):
            photoz.add_redshifts(table, Interrupted(after=7), **options)
        sky = MadeSky()
        output = photoz.add_redshifts(table, sky, **options)
        assert sky.asked == [N - 6]  # three chunks of two were finished
        np.testing.assert_array_equal(output["pz"], expected.probability)
        np.testing.assert_array_equal(output["flags"], expected.flags)

    def test_a_finished_run_asks_for_nothing(self, photoz, table, expected, tmp_path):
        photoz.add_redshifts(table, MadeSky(), resume=tmp_path / "rows")
        sky = MadeSky()
        output = photoz.add_redshifts(table, sky, resume=tmp_path / "rows")
        assert sky.asked == []
        np.testing.assert_array_equal(output["pz"], expected.probability)

    def test_what_failed_is_tried_again(self, photoz, table, expected, tmp_path):
        photoz.add_redshifts(table, MadeSky(broken=[3, 4]), resume=tmp_path / "rows")
        sky = MadeSky()
        output = photoz.add_redshifts(table, sky, resume=tmp_path / "rows")
        assert sky.asked == [2]
        np.testing.assert_array_equal(output["pz"], expected.probability)

    def test_another_table_is_refused(self, photoz, table, tmp_path):
        photoz.add_redshifts(table, MadeSky(), resume=tmp_path / "rows")
        table["ra"][0] = 0.1 * u.deg
        with pytest.raises(MantisError, match="another run: table differ"):
            photoz.add_redshifts(table, MadeSky(), resume=tmp_path / "rows")

    def test_other_dust_is_refused(self, photoz, table, tmp_path):
        photoz.add_redshifts(table, MadeSky(), resume=tmp_path / "rows", ebv=0.1)
        with pytest.raises(MantisError, match="another run: ebv differ"):
            photoz.add_redshifts(table, MadeSky(), resume=tmp_path / "rows", ebv=0.2)

    def test_an_interrupted_source_is_closed(self, photoz, table):
        sky = Interrupted(after=3)
        with pytest.raises(KeyboardInterrupt):
            photoz.add_redshifts(table, sky)
        assert sky.closed


def test_progress_goes_to_standard_error(photoz, table, capsys, monkeypatch):
    monkeypatch.setattr("astropy.utils.console.isatty", lambda file: True)
    monkeypatch.setattr("mantis_astro.progress._DELAY", 0)
    photoz.add_redshifts(table, MadeSky(), chunk=4)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"{N} / {N}" in captured.err


def test_the_log_counts_what_was_the_matter(photoz, table, caplog):
    with caplog.at_level(logging.INFO, logger="mantis_astro.redshift_table"):
        photoz.add_redshifts(table, MadeSky(missing=[2]))
    assert f"NO_DATA: 1 of {N} rows. Nothing usable was given" in caplog.text


@pytest.mark.parametrize("ending", ["ecsv", "fits", "parquet"])
def test_the_output_survives_a_file(photoz, table, tmp_path, ending):
    output = photoz.add_redshifts(table, MadeSky(missing=[2]))
    write_table(output, tmp_path / f"t.{ending}")
    back = read_table(tmp_path / f"t.{ending}")
    assert back.colnames == output.colnames
    np.testing.assert_array_equal(back["pz"], output["pz"])
    np.testing.assert_array_equal(back["flags"], output["flags"])
    np.testing.assert_array_equal(back["z_median"].mask, output["z_median"].mask)
    assert (back["z_median"] == output["z_median"]).filled(fill_value=True).all()
    assert back["z_median"].info.description == "Median of p(z)"
    assert back.meta["PZEDGES"] == output.meta["PZEDGES"]
    assert back.meta["PZSHA256"] == output.meta["PZSHA256"]


@pytest.mark.parametrize("ending", ["csv", "vot"])
def test_flat_files_keep_the_estimates(photoz, table, tmp_path, ending):
    output = photoz.add_redshifts(table, MadeSky())
    write_table(output, tmp_path / f"t.{ending}")
    back = read_table(tmp_path / f"t.{ending}")
    assert "pz" not in back.colnames
    assert output["z_median"].info.format == ".4f"
    np.testing.assert_allclose(
        np.asarray(back["z_median"]), np.asarray(output["z_median"]), rtol=1e-15
    )


def test_many_chunks_of_which_every_tenth_row_has_no_image(photoz):
    n = 1500

    class SparseSky(MadeSky):
        galaxy = make_galaxy(bands=["ps1.r"])

        def iter_cutouts(self, coords, bands):
            for index in range(len(coords)):
                cutouts = self.galaxy if index % 10 else self.galaxy.select([])
                yield index, cutouts, {}

    table = Table({"ra": np.linspace(0, 359, n), "dec": np.zeros(n)})
    output = photoz.add_redshifts(table, SparseSky(), columns=["z_median", "flags"])
    assert output["z_median"].mask.sum() == n // 10
    assert output["z_median"].mask[::10].all()


@pytest.mark.real_data
def test_five_real_bands_give_a_redshift_and_say_what_is_missing(photoz, real_data):
    table = QTable({"ra": [7.09390] * u.deg, "dec": [-10.65098] * u.deg})
    source = FitsFolder(real_data / "images" / "ps1_j0028")
    [row] = photoz.add_redshifts(table, source)
    assert 0 < row["z_err68_low"] < row["z_median"] < row["z_err68_high"]
    names = set(decode_flags(row["flags"]))
    assert {"MISSING_GALEX", "MISSING_UNWISE", "OUT_OF_FOOTPRINT"} <= names
    assert not names & {"NO_DATA", "MISSING_PS1", "BAD_WCS", "OFF_CENTRE", "BAD_PIXELS"}


@pytest.mark.real_data
def test_swapping_bands_or_moving_the_target_changes_the_answer(photoz, real_data):
    coord = SkyCoord(7.09390, -10.65098, unit="deg")
    source = FitsFolder(real_data / "images" / "ps1_j0028")
    [(_, galaxy, _)] = source.iter_cutouts(coord.reshape(1), photoz.card.bands)
    swap = {"ps1.g": "ps1.i", "ps1.i": "ps1.g"}
    swapped = {swap.get(str(band), band): image for band, image in galaxy.items()}
    moved = coord.directional_offset_by(0 * u.deg, 5 * u.arcsec)
    pdf = photoz.predict(
        [galaxy, MultibandCutout(coord, swapped), MultibandCutout(moved, dict(galaxy))],
        ebv=0.03,
    )
    for other in (1, 2):
        difference = np.abs(pdf[0].probability - pdf[other].probability).sum() / 2
        assert difference > 0.01
