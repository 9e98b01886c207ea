"""What people do to a table of results leaves it readable."""

import warnings

import matplotlib as mpl
import numpy as np
import pytest
from astropy.table import (
    MaskedColumn,
    QTable,
    Table,
    hstack,
    join,
    setdiff,
    unique,
    vstack,
)
from astropy.utils.metadata import MergeConflictWarning

from mantis_astro import Flag, RedshiftPDF, decode_flags, evaluate
from mantis_astro.plotting import plot_pdf, plot_pit
from mantis_astro.tables import read_table, write_table

mpl.use("agg")
EDGES = np.linspace(0, 1.6, 41)
FACTS = {"PZMODEL": "made", "PZBANDS": "ps1.g, ps1.r", "PZTHRESH": "BROAD 0.1," * 20}
FORMATS = {
    "ecsv": {"format": "ascii.ecsv"},
    "fits": {"format": "fits"},
    "parquet": {"format": "parquet"},
    "vot": {"format": "votable"},
    "hdf5": {"format": "hdf5", "path": "results", "serialize_meta": True},
}


def make_pdf(seed=0):
    """Five galaxies, the last one without data."""
    rng = np.random.default_rng(seed)
    probability = rng.random((5, 40)).astype(np.float32)
    probability[4] = 0
    return RedshiftPDF.from_batch(EDGES, probability, flags=[0, 4, 0, 0, 0], meta=FACTS)


@pytest.fixture
def pdf():
    return make_pdf()


@pytest.fixture(params=["", "night1_"], ids=["bare", "prefix"])
def prefix(request):
    return request.param


@pytest.fixture
def table(pdf, prefix):
    table = pdf.to_table(prefix=prefix)
    table["name"] = ["c", "a", "e", "b", "d"]
    table["field"] = [2, 1, 2, 1, 2]
    table["z_spec"] = MaskedColumn([0.3, 0.4, 0.5, 0.6, 0.7], mask=[0, 0, 1, 0, 0])
    return table


def test_as_it_is(table, pdf, prefix):
    again = RedshiftPDF.from_table(table, prefix=prefix)
    assert again == pdf
    assert again.meta == FACTS


def test_vstack(table, pdf, prefix):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing of it conflicts
        stacked = vstack([table, table, table[:2]])
    again = RedshiftPDF.from_table(stacked, prefix=prefix)
    assert again == RedshiftPDF.concatenate([pdf, pdf, pdf[:2]])
    assert again.meta == FACTS
    assert stacked[f"{prefix}z_median"].info.format == ".4f"


def test_vstack_of_other_tables_masks_what_they_lack(table, pdf, prefix):
    other = QTable({"name": ["x"], "field": [3], "z_spec": [0.1]})
    again = RedshiftPDF.from_table(vstack([table, other]), prefix=prefix)
    assert again[:5] == pdf
    assert decode_flags(again.flags[5]) == ["NO_DATA"]


def test_vstack_of_other_bins_is_said(table, prefix):
    other = RedshiftPDF.from_gaussians(2 * EDGES, [0.4], [0.1], meta=FACTS)
    other = other.to_table(prefix=prefix)
    with pytest.warns(MergeConflictWarning) as said:
        vstack([table[other.colnames], other])
    assert any("edges 0 to 1.6 in 40 steps !=" in str(w.message) for w in said)


def test_vstack_of_other_bands_does_not_mix_them_up(pdf, prefix, caplog):
    used = np.ones((5, 2), bool)
    used[1, 0] = False
    one, other = (
        pdf.with_bands(bands, used).to_table(prefix=prefix)
        for bands in (["ps1.g", "ps1.r"], ["decam_g", "decam_r"])
    )
    same = RedshiftPDF.from_table(vstack([one, one]), prefix=prefix)
    assert same[6].to_prior().bands == ("ps1.r",)
    mixed = vstack([one, other], metadata_conflicts="silent")
    again = RedshiftPDF.from_table(mixed, prefix=prefix)
    assert again == RedshiftPDF.concatenate([pdf, pdf])
    assert again.bands_used is None
    assert "PZBANDS" not in again.meta
    assert "ps1.g, ps1.r; decam_g, decam_r" in caplog.text
    part = mixed[:5]
    part.meta[f"{prefix}PZBANDS"] = "decam_g, decam_r"
    assert RedshiftPDF.from_table(part, prefix=prefix).bands_used is None


def test_a_column_knows_its_bands_whatever_became_of_the_meta(pdf):
    table = pdf.with_bands(["ps1.g", "ps1.r"], [[True, False]] * 5).to_table()
    table.meta["PZBANDS"] = "decam_g, decam_r"  # of a table beside it, by hstack
    assert RedshiftPDF.from_table(table)[0].to_prior().bands == ("ps1.g",)


def test_hstack_renames_and_the_column_still_knows_its_bins(pdf):
    other = RedshiftPDF.from_gaussians(2 * EDGES, np.full(5, 0.4), 0.1, meta=FACTS)
    with pytest.warns(match="PZEDGES"):
        both = hstack([pdf.to_table(), other.to_table()])
    for name, one in (("pz_1", pdf), ("pz_2", other)):
        table = QTable({"pz": both[name]})
        np.testing.assert_array_equal(
            RedshiftPDF.from_table(table).bin_edges, one.bin_edges
        )


@pytest.mark.parametrize("kind", ["inner", "left", "right", "outer"])
def test_join(table, pdf, prefix, kind):
    other = QTable({"name": ["a", "b", "never run"], "mass": [9.0, 10.0, 11.0]})
    joined = join(table, other, keys="name", join_type=kind)
    again = RedshiftPDF.from_table(joined, prefix=prefix)
    for row, name in enumerate(joined["name"]):
        if name == "never run":
            assert decode_flags(again.flags[row]) == ["NO_DATA"]
            np.testing.assert_allclose(again[row].median(), 0.8, rtol=1e-6)
        else:
            assert again[row] == pdf[list(table["name"]).index(name)]


def test_a_row_is_one_galaxy(table, pdf, prefix):
    for i, row in enumerate(table):
        one = RedshiftPDF.from_table(row, prefix=prefix)
        assert one == pdf[i]
        assert one.shape == ()
        assert one.meta == FACTS
    assert RedshiftPDF.from_table(table[1], prefix=prefix).to_prior().model == "made"


def test_groups_slices_sorting_and_the_like(table, pdf, prefix):
    def read(some):
        return RedshiftPDF.from_table(some, prefix=prefix)

    for group in table.group_by("field").groups:
        assert read(group) == pdf[table["field"] == group["field"][0]]
    assert read(table[1:4]) == pdf[1:4]
    assert read(table[[3, 0]]) == pdf[[3, 0]]
    assert read(table[table["field"] == 2]) == pdf[[0, 2, 4]]
    assert read(table[:0]).shape == (0,)
    order = np.argsort(table["name"])
    by_name = table.copy()
    by_name.sort("name")
    assert read(by_name) == pdf[order]
    by_name.reverse()
    assert read(by_name) == pdf[order[::-1]]
    assert read(unique(table, "name")) == pdf[order]
    assert read(setdiff(table, table[:2], keys="name")).shape == (3,)
    assert read(Table(table)) == read(QTable(table)) == pdf
    some = table[f"{prefix}flags", f"{prefix}pz"]
    assert read(some) == pdf
    by_name = QTable([table[f"{prefix}pz"]], names=["x_pz"])
    assert RedshiftPDF.from_table(by_name, prefix="x_").shape == (5,)
    indexed = table.copy()
    indexed.add_index("name")
    assert RedshiftPDF.from_table(indexed.loc["a"], prefix=prefix) == pdf[1]


def test_filled_keeps_the_row_without_data(table, pdf, prefix):
    assert RedshiftPDF.from_table(table.filled(), prefix=prefix) == pdf


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("writer", ["write_table", "t.write"])
def test_every_file_that_holds_arrays(table, pdf, prefix, tmp_path, ending, writer):
    path = tmp_path / f"t.{ending}"
    if writer == "write_table":
        write_table(table, path)
        again = read_table(path)
    else:
        options = FORMATS[ending]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Keyword name .* HIERARCH")
            table.write(path, **options)
        options = {k: v for k, v in options.items() if k != "serialize_meta"}
        again = QTable.read(path, **options)
    if writer == "write_table" and ending == "vot":
        assert f"{prefix}pz" not in again.colnames  # and it says so
        return
    read = RedshiftPDF.from_table(again, prefix=prefix)
    np.testing.assert_array_equal(read.bin_edges, EDGES)
    np.testing.assert_array_equal(read.flags, pdf.flags)
    np.testing.assert_array_equal(read.probability, pdf.probability)
    if ending != "vot":  # whose tables have no meta
        assert {key: read.meta[key] for key in FACTS} == FACTS
    stacked = vstack([again, again], metadata_conflicts="silent")
    assert RedshiftPDF.from_table(stacked, prefix=prefix).shape == (10,)


def test_fits_needs_one_card_for_the_bins(table, tmp_path):
    from astropy.io import fits

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Keyword name .* HIERARCH")
        table.write(tmp_path / "t.fits")
    cards = fits.getheader(tmp_path / "t.fits", 1).cards
    assert sum("EDGES" in card.keyword.upper() for card in cards) == 1


def test_old_tables_with_a_list_of_edges_are_read(pdf):
    table = pdf.to_table()
    table["pz"].info.description = "Probability of each redshift bin"
    del table.meta["PZEDGES"]
    table.meta["bin_edges"] = EDGES.tolist()
    assert RedshiftPDF.from_table(table) == pdf


def test_what_is_no_table_is_refused(table):
    with pytest.raises(TypeError, match=r"'table' must be an astropy Table or a Row"):
        RedshiftPDF.from_table(np.asarray(table["field"]))


class TestEstimates:
    """Columns behave alike, whether a row of the night has no data or not."""

    @pytest.fixture(params=[slice(0, 4), slice(0, 5)], ids=["all", "one without"])
    def night(self, request, pdf):
        return pdf[request.param]

    def test_a_histogram(self, night):
        from matplotlib.figure import Figure

        counts, _, _ = Figure().subplots().hist(night.to_table()["z_median"])
        assert counts.sum() == 4

    def test_selections_and_arithmetic(self, night):
        table = night.to_table()
        z = table["z_median"]
        assert len(table[z > 0]) == 4
        assert np.ma.count((z - 0.1) / 1.1) == 4
        assert np.nansum(z.filled(np.nan)) == pytest.approx(z.sum())
        assert z.mask.sum() == len(table) - 4

    def test_pandas_gets_nan(self, night):
        frame = night.to_table()["z_median", "n_peaks", "flags"].to_pandas()
        assert frame["z_median"].notna().sum() == 4

    def test_distances(self, night):
        from astropy.cosmology import Planck18

        z = night.to_table()["z_median"][:4]
        assert np.all(Planck18.luminosity_distance(z.filled(np.nan)).value > 0)


class TestTablesAsDensities:
    """Functions of p(z) take the table that add_redshifts gave."""

    def test_evaluate(self, table, pdf, prefix):
        z_spec = table["z_spec"]
        expected = evaluate(pdf, z_spec, n_bootstrap=0)
        for given in (
            evaluate(table, prefix=prefix, n_bootstrap=0),
            evaluate(table, "z_spec", prefix=prefix, n_bootstrap=0),
            evaluate(table, z_spec, prefix=prefix, n_bootstrap=0),
        ):
            assert given["n"][0] == 3
            for name in ("n", "n_flagged", "n_no_z_spec", "sigma_nmad", "crps"):
                assert given[name][0] == expected[name][0]

    def test_evaluate_splits_by_a_column_of_the_table(self, table, prefix):
        rows = evaluate(table, prefix=prefix, by="field", bins=[1, 2, 3], n_bootstrap=0)
        assert rows["n"].tolist() == [3, 2, 1]
        assert rows.colnames.count("field_low") == 1

    def test_evaluate_says_which_column_is_missing(self, table, prefix):
        with pytest.raises(KeyError, match="no column 'z_true'; there are"):
            evaluate(table, "z_true", prefix=prefix)
        del table["z_spec"]
        with pytest.raises(KeyError, match="no column 'z_spec'; there are"):
            evaluate(table, prefix=prefix)

    def test_evaluate_needs_true_redshifts(self, pdf):
        with pytest.raises(TypeError, match="'z_spec' must be given"):
            evaluate(pdf)

    def test_plots(self, table, prefix):
        curves = plot_pdf(table[:3], prefix=prefix)
        assert len(curves.patches) >= 3
        assert any(line.get_linestyle() == "--" for line in curves.lines)
        assert plot_pdf(table[0], prefix=prefix).get_xlabel() == "Redshift z"
        assert plot_pit(table, prefix=prefix).patches

    def test_prospector(self, table, prefix):
        from mantis_astro.prospector.parameters import as_prior

        for name in table.colnames:
            table.rename_column(name, name.removeprefix(prefix))
        table.meta["PZBANDS"] = FACTS["PZBANDS"]
        assert as_prior(table[1]).bands == ("ps1.g", "ps1.r")


def test_flags_of_a_row_that_was_never_run():
    pdf = RedshiftPDF.from_gaussians(np.linspace(0, 1, 11), [0.2, 0.7], 0.05)
    table = pdf.to_table()
    table["name"] = ["a", "b"]
    names = Table({"name": ["a", "b", "never run"]})
    outer = join(table["name", "flags", "pz"], names, join_type="outer")
    again = RedshiftPDF.from_table(outer)
    assert int(again.flags[2]) == int(Flag.NO_DATA)
    np.testing.assert_allclose(again.median(), [*pdf.median(), 0.5], rtol=1e-6)
