"""p(z) nested in the rows of a table, as Rubin's data previews have them."""

import numpy as np
import pytest

from mantis_astro import Flag, RedshiftPDF
from mantis_astro.pdf.nested import from_nested, read_nested, to_nested, write_nested

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

EDGES = np.linspace(0, 3, 301)
PDF = RedshiftPDF.from_gaussians(EDGES, [0.4, 1.0, 2.0], [0.03, 0.05, 0.1])


def preview(rows, z=(0.0, 1.0, 2.0), name="fzboost"):
    """A table as the data previews have it: two lists a row, or nothing."""
    nested = [None if y is None else {"xvals": list(z), "yvals": y} for y in rows]
    kind = pa.struct([(key, pa.list_(pa.float64())) for key in ("xvals", "yvals")])
    return pa.table({f"{name}_ens_interp": pa.array(nested, kind)})


def test_there_and_back(tmp_path):
    path = tmp_path / "photoz.parquet"
    write_nested(path, PDF, algorithm="mantis", object_id=[7, 8, 9])
    back = read_nested(path, bin_edges=EDGES)
    # what is straight between points is a little broader
    assert np.abs(back.cdf(PDF.median()) - 0.5).max() < 1e-3
    assert np.allclose(back.std(), PDF.std(), rtol=2e-2)
    table = parquet.read_table(path)
    assert {"objectId", "mantis_z_median", "mantis_z_err68_low"} <= {
        *table.schema.names
    }
    assert table.column_names[-1] == "mantis_ens_interp"
    assert np.allclose(table["mantis_z_median"], PDF.median())


def test_densities_are_those_of_the_table():
    pdf = from_nested(preview([[0, 1, 0], [1, 1, 1]]), bin_edges=[0, 1, 2])
    assert np.allclose(pdf.probability, 0.5)
    table = preview([[0, 1, 1]]).append_column(
        "tpz_ens_interp", preview([[1, 0, 0]])[0]
    )
    chosen = from_nested(table, algorithm="tpz", bin_edges=[0, 1, 2])
    assert chosen.probability.tolist() == [[1, 0]]


def test_rows_without_p_of_z_are_flagged_both_ways():
    pdf = from_nested(preview([[0, 1, 0], None]))
    assert (np.asarray(pdf.flags) & int(Flag.NO_DATA) != 0).tolist() == [False, True]
    table = to_nested(pdf)
    assert table["mantis_ens_interp"].is_null().to_pylist() == [False, True]
    assert table["mantis_z_median"].is_null().to_pylist() == [False, True]


def test_a_dataframe_is_a_table_too():
    pandas = pytest.importorskip("pandas")
    table = preview([[0, 1, 0]])
    frame = table.to_pandas(types_mapper=pandas.ArrowDtype)
    assert from_nested(frame) == from_nested(table)


def test_chunks_are_joined():
    table = pa.concat_tables([preview([[0, 1, 0]]), preview([None, [1, 0, 0]])])
    assert len(from_nested(table)) == 3


@pytest.mark.parametrize(
    ("table", "options", "error", "message"),
    [
        (pa.table({"z": [1.0]}), {}, KeyError, "nested p.z., none"),
        (preview([[0, 1, 0]]), {"algorithm": "bpz"}, KeyError, "fzboost; got 'bpz'"),
        (preview([None]), {}, ValueError, "has no p.z."),
        (
            pa.concat_tables(
                [preview([None, [0, 1, 0]]), preview([[0, 1, 0]], (0, 1, 3))]
            ),
            {},
            ValueError,
            "share their 'xvals'; row 2",
        ),
        (
            pa.concat_tables([preview([[0, 1, 0]]), preview([[0, 1]], (0, 1))]),
            {},
            ValueError,
            "as long in all rows",
        ),
    ],
)
def test_other_tables(table, options, error, message):
    with pytest.raises(error, match=message):
        from_nested(table, **options)


def test_what_cannot_be_written(tmp_path):
    with pytest.raises(ValueError, match="'object_id' must have shape"):
        to_nested(PDF, object_id=[1])
    with pytest.raises(ValueError, match="'z' must be at least two increasing"):
        to_nested(PDF, z=[1, 0])
    (tmp_path / "there").touch()
    with pytest.raises(OSError, match="there"):
        write_nested(tmp_path / "there", PDF)
