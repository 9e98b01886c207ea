"""Conversions of densities, tables of them, and files."""

import numpy as np
import pytest
from astropy.io.votable.ucd import check_ucd
from astropy.table import Column, MaskedColumn, QTable, Table
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mantis_astro import Flag, RedshiftPDF
from mantis_astro.pdf.columns import COLUMNS
from mantis_astro.pdf_io import (
    edges_around,
    weights_from_grid,
    weights_from_quantiles,
)
from mantis_astro.pdf_io.edges import edges_from_text, edges_to_text

UNEVEN = np.array([0, 0.1, 0.3, 0.35, 1.0, 1.2])
PUBLISHED = np.concatenate([[0], np.arange(400) * 0.004 + 0.002])
PUBLISHED[-1] = 1.6
BINARY = [".fits", ".parquet", ".asdf"]
EXACT = [".ecsv", *BINARY]
ENDINGS = [*EXACT, ".hdf5"]


@pytest.fixture
def pdf():
    """Four galaxies: one broad, one with two peaks, one without data, one narrow."""
    weights = [[1, 2, 1, 5, 1], [9, 0, 0, 0, 5], [0, 0, 0, 0, 0], [0, 0, 1, 0, 0]]
    return RedshiftPDF.from_batch(
        UNEVEN, weights, flags=[0, Flag.BLEND, 0, 0], meta={"model": "α", "n": [1, 2]}
    )


# ---- bins as a text


@pytest.mark.parametrize(
    ("edges", "text"),
    [
        (PUBLISHED, "0, 0.002 to 1.594 by 0.004, 1.6"),
        (np.linspace(0, 1.6, 401).round(9), "0 to 1.6 by 0.004"),
        (np.linspace(0, 3, 301), "0 to 3 in 300 steps"),
        (UNEVEN, "0, 0.1, 0.3, 0.35, 1, 1.2"),
        (np.array([0, 1e-7, 2e-7, 3e-7, 1]), "0 to 3e-07 by 1e-07, 1"),
        (np.array([0.0, 7.0]), "0, 7"),
    ],
)
def test_bins_are_a_short_text(edges, text):
    edges = edges.round(6) if edges is PUBLISHED else edges
    assert edges_to_text(edges) == text


@given(
    st.lists(st.floats(0, 1e3), min_size=2, max_size=30, unique=True).map(sorted),
    st.sampled_from([1, 2, 9]),
    st.integers(1, 6),
)
def test_any_bins_come_back_from_their_text_to_the_last_bit(edges, n, digits):
    edges = np.concatenate([edges, edges[-1] + np.arange(1, n) / 10**digits])
    np.testing.assert_array_equal(edges_from_text(edges_to_text(edges)), edges)


@pytest.mark.parametrize("text", ["", "0.1; 0.2", "0 to 1", "[0, 1]", "nan, 1"])
def test_another_text_tells_no_bins(text):
    with pytest.raises(ValueError, match="these are no redshift bins"):
        edges_from_text(text)


# ---- samples, Gaussians, quantiles


def test_samples_are_counted_as_by_numpy():
    samples = np.random.default_rng(0).uniform(-0.1, 1.3, (6, 1000))
    counts = [np.histogram(row, UNEVEN)[0] for row in samples]
    pdf = RedshiftPDF.from_samples(UNEVEN, samples)
    np.testing.assert_allclose(
        pdf.probability, counts / np.sum(counts, axis=1, keepdims=True)
    )


def test_samples_on_edges_belong_to_the_bin_above_and_the_last_edge_to_the_last():
    pdf = RedshiftPDF.from_samples([0, 1, 2], [0, 1, 2, 2])
    np.testing.assert_allclose(pdf.probability, [0.25, 0.75])


def test_samples_keep_their_leading_shape():
    assert RedshiftPDF.from_samples([0, 1], np.full((2, 3, 4), 0.5)).shape == (2, 3)
    assert RedshiftPDF.from_samples([0, 1], np.empty((0, 4))).shape == (0,)


@pytest.mark.parametrize(
    ("row", "fault"),
    [([0.5, np.nan], "holds nan"), ([7, 8], "has no probability in the bins")],
)
def test_samples_that_give_no_density(row, fault):
    samples = [[0.1, 0.2], row]
    with pytest.raises(ValueError, match=f"row 1 of 'probability' {fault}"):
        RedshiftPDF.from_samples(UNEVEN, samples)
    pdf = RedshiftPDF.from_samples(UNEVEN, samples, bad="flag")
    np.testing.assert_array_equal(pdf.flags, [0, Flag.NO_DATA])


def test_one_number_is_no_set_of_samples():
    with pytest.raises(ValueError, match="'samples' must have an axis of samples"):
        RedshiftPDF.from_samples(UNEVEN, 0.5)


def test_samples_of_a_density_give_it_back():
    pdf = RedshiftPDF(UNEVEN, [0.1, 0.3, 0.2, 0.3, 0.1])
    again = RedshiftPDF.from_samples(UNEVEN, pdf.sample(100_000, rng=0))
    np.testing.assert_allclose(again.probability, pdf.probability, atol=0.006)


@given(st.floats(0.05, 1.1), st.floats(0.01, 3))
def test_gaussians_are_truncated_normals(mean, std):
    pdf = RedshiftPDF.from_gaussians(UNEVEN, mean, std)
    oracle = stats.truncnorm((0 - mean) / std, (1.2 - mean) / std, mean, std)
    np.testing.assert_allclose(
        pdf.probability, np.diff(oracle.cdf(UNEVEN)), rtol=1e-6, atol=1e-9
    )


def test_a_gaussian_whose_tail_is_all_there_is():
    # mean 20 standard deviations below the bins; 1 - cdf would be 0 everywhere
    pdf = RedshiftPDF.from_gaussians([2, 2.05, 2.1], 0, 0.1)
    upper, middle = stats.norm.sf([20, 20.5])
    np.testing.assert_allclose(pdf.probability[1], middle / upper, rtol=1e-3)


@pytest.mark.parametrize(
    ("mean", "std"), [(np.nan, 0.1), (0.5, 0), (0.5, -1), (0.5, np.inf), (99, 0.1)]
)
def test_what_is_no_gaussian(mean, std):
    with pytest.raises(ValueError, match="row 1 of 'probability'"):
        RedshiftPDF.from_gaussians(UNEVEN, [0.5, mean], [0.1, std])
    pdf = RedshiftPDF.from_gaussians(UNEVEN, [0.5, mean], [0.1, std], bad="flag")
    np.testing.assert_array_equal(pdf.flags, [0, Flag.NO_DATA])


def test_quantiles_at_the_edges_give_the_density_back():
    pdf = RedshiftPDF(UNEVEN, [0.1, 0.3, 0.2, 0.3, 0.1])
    q = pdf.cdf(UNEVEN)
    again = RedshiftPDF.from_quantiles(UNEVEN, q, UNEVEN)
    np.testing.assert_allclose(again.probability, pdf.probability, rtol=1e-12)


def test_many_quantiles_give_the_density_back():
    pdf = RedshiftPDF.from_gaussians(PUBLISHED, [0.4, 0.7], [0.05, 0.1])
    q = np.linspace(0.005, 0.995, 199)
    again = RedshiftPDF.from_quantiles(PUBLISHED, q, pdf.to_quantiles(q))
    assert np.abs(again.mean() - pdf.mean()).max() < 1e-4
    assert np.abs(again[:, None].cdf(PUBLISHED) - pdf[:, None].cdf(PUBLISHED)).max() < (
        0.003
    )


def test_tails_go_on_at_the_density_beside_them():
    # cumulative distribution z / 2 from 0 to 2, given between 0.5 and 1.5
    pdf = RedshiftPDF.from_quantiles([0, 0.25, 3], [0.25, 0.75], [0.5, 1.5])
    np.testing.assert_allclose(pdf.probability, [0.125, 0.875])


def test_tails_end_with_the_bins():
    pdf = RedshiftPDF.from_quantiles([0.4, 0.5, 1.5, 1.6], [0.25, 0.75], [0.5, 1.5])
    np.testing.assert_allclose(pdf.probability, [0.25, 0.5, 0.25])


def test_equal_quantiles_put_their_probability_in_one_bin():
    pdf = RedshiftPDF.from_quantiles([0, 1, 2], [0, 0.5, 1], [0.5, 0.5, 0.5])
    np.testing.assert_allclose(pdf.probability, [1, 0])


@pytest.mark.parametrize("z", [[0.5, 0.2], [np.nan, 0.5], [5, 6]])
def test_quantiles_that_give_no_density(z):
    with pytest.raises(ValueError, match="row 1 of 'probability'"):
        RedshiftPDF.from_quantiles(UNEVEN, [0, 1], [[0, 1], z])
    pdf = RedshiftPDF.from_quantiles(UNEVEN, [0, 1], [[0, 1], z], bad="flag")
    np.testing.assert_array_equal(pdf.flags, [0, Flag.NO_DATA])


@pytest.mark.parametrize(
    ("quantiles", "z", "match"),
    [
        ([0.5], [0.5], "at least two increasing numbers from 0 to 1"),
        ([0.5, 0.5], [0, 1], "at least two increasing numbers from 0 to 1"),
        ([0.5, 1.5], [0, 1], "at least two increasing numbers from 0 to 1"),
        ([0.2, 0.8], [0, 1, 2], r"expected 2, got shape \(3,\)"),
    ],
)
def test_quantiles_must_be_quantiles(quantiles, z, match):
    with pytest.raises(ValueError, match=match):
        RedshiftPDF.from_quantiles(UNEVEN, quantiles, z)


# ---- qp


# ---- densities at points of a grid


def test_a_density_on_a_grid_is_integrated_over_the_bins_exactly():
    """Of a straight line 2 z on [0, 1], the mass below z is z**2."""
    edges = np.array([0, 0.1, 0.25, 0.7, 1.0])
    for z in ([0, 1], np.linspace(0, 1, 8), [0, 0.1, 0.25, 1]):
        pdf = RedshiftPDF.from_grid(z, 2 * np.asarray(z), bin_edges=edges)
        np.testing.assert_allclose(pdf.probability, np.diff(edges**2), rtol=1e-12)


def test_a_fine_grid_gives_the_gaussian_it_was_made_of():
    z = np.linspace(0, 3, 3001)
    pdf = RedshiftPDF.from_grid(z, stats.norm(0.7, 0.05).pdf(z), bin_edges=PUBLISHED)
    exact = RedshiftPDF.from_gaussians(PUBLISHED, 0.7, 0.05)
    np.testing.assert_allclose(pdf.probability, exact.probability, atol=2e-6)


def test_bins_of_a_grid_are_around_its_points():
    z = np.array([0.01, 0.03, 0.05, 0.09])
    pdf = RedshiftPDF.from_grid(z, [[1, 2, 1, 0]])
    np.testing.assert_allclose(pdf.bin_edges, [0, 0.02, 0.04, 0.07, 0.11])


@given(
    st.lists(st.floats(0.001, 1), min_size=2, max_size=9),
    st.lists(st.floats(0.001, 1), min_size=2, max_size=9),
)
def test_all_that_is_on_the_grid_is_in_its_bins(steps, density):
    z = np.cumsum(steps)[: len(density)]
    density = np.array(density)[: len(z)]
    weights = weights_from_grid(edges_around(z), z, density)
    assert weights.sum() == pytest.approx(np.trapezoid(density, z))
    assert (weights >= 0).all()


@pytest.mark.parametrize("bad", [np.nan, -1, np.inf])
def test_a_density_that_is_none_is_bad(bad):
    rows = [[1, 2, 1], [1, bad, 1]]
    with pytest.raises(ValueError, match="row 1"):
        RedshiftPDF.from_grid([0, 1, 2], rows)
    pdf = RedshiftPDF.from_grid([0, 1, 2], rows, bad="flag")
    assert pdf.flags.tolist() == [0, Flag.NO_DATA]


@pytest.mark.parametrize(
    ("z", "density", "message"),
    [
        ([0, 1, 1], [1, 1, 1], "'z' must be at least two increasing redshifts"),
        ([0.5], [1], "'z' must be at least two increasing redshifts"),
        ([[0, 1]], [1, 1], "'z' must be at least two increasing redshifts"),
        ([0, 1, np.inf], [1, 1, 1], "'z' must be at least two increasing redshifts"),
        ([0, 1], [1, 1, 1], "'density' must match the points: expected 2, got shape"),
        ([0, 1], 1, "'density' must match the points: expected 2, got shape"),
    ],
)
def test_points_that_are_no_grid_are_refused(z, density, message):
    with pytest.raises(ValueError, match=message):
        RedshiftPDF.from_grid(z, density, bin_edges=[0, 1, 2])


def test_a_qp_histogram_is_the_same_density(pdf):
    qp = pytest.importorskip("qp")
    ensemble = pdf.to_qp()
    assert isinstance(ensemble, qp.Ensemble)
    z = np.array([0.05, 0.2, 0.32, 0.7, 1.1])
    np.testing.assert_allclose(ensemble.pdf(z), pdf[:, None].pdf(z))
    np.testing.assert_allclose(ensemble.cdf(z), pdf[:, None].cdf(z))
    np.testing.assert_allclose(ensemble.ppf([0.3])[0], pdf[0].ppf([0.3]))
    np.testing.assert_array_equal(ensemble.ancil["flags"], pdf.flags)


def test_qp_means_agree_where_bins_are_equal():
    pytest.importorskip("qp")
    pdf = RedshiftPDF.from_gaussians(np.linspace(0, 2, 201), [0.5, 1.2], 0.1)
    np.testing.assert_allclose(pdf.to_qp().mean()[:, 0], pdf.mean(), rtol=1e-12)
    np.testing.assert_allclose(pdf.to_qp().std()[:, 0], pdf.std(), rtol=1e-3)


@pytest.mark.parametrize("kind", ["hist", "interp", "quant"])
def test_qp_and_back(kind):
    pytest.importorskip("qp")
    pdf = RedshiftPDF.from_gaussians(PUBLISHED, [0.4, 0.9], [0.05, 0.1])
    again = RedshiftPDF.from_qp(pdf.to_qp(kind=kind), PUBLISHED)
    tolerance = 1e-13 if kind == "hist" else 2e-3
    np.testing.assert_allclose(again.probability, pdf.probability, atol=tolerance)
    np.testing.assert_allclose(again.median(), pdf.median(), atol=tolerance)


@pytest.mark.parametrize("kind", ["hist", "interp", "quant"])
@pytest.mark.parametrize(
    "weights", [[1, 0], [0.5, 0.5], [0.3, 0.7]], ids=["one", "two", "uneven"]
)
def test_what_qp_computes_is_a_density(kind, weights):
    """Of 101 even quantiles qp's integral was 1.12 for one peak, 1.54 for two."""
    pytest.importorskip("qp")
    edges, z = np.linspace(0, 3, 301), np.linspace(0, 3, 30_001)
    peaks = RedshiftPDF.from_gaussians(edges, [0.3, 2.0], 0.03)
    pdf = RedshiftPDF(edges, [weights] @ peaks.probability)
    ensemble = pdf.to_qp(kind=kind)
    assert np.trapezoid(np.ravel(ensemble.pdf(z)), z) == pytest.approx(1, abs=0.01)
    cdf = np.ravel(ensemble.cdf(z))
    # it fell by 2e-4 in all, in the gap between two peaks
    assert np.max(np.maximum.accumulate(cdf) - cdf) < 1e-8
    np.testing.assert_allclose(cdf, pdf.cdf(z), atol=0.01)


def test_quantiles_that_qp_cannot_make_a_density_of_are_refused():
    """Noise from bin to bin: what is between two quantiles is all and nothing."""
    pytest.importorskip("qp")
    pdf = RedshiftPDF(np.linspace(0, 3, 301), np.tile([[0.01, 1.0, 0.3]], (2, 100)))
    with pytest.raises(ValueError, match="cannot hold 2 of 2 p.z., .* kind='hist'"):
        pdf.to_qp(kind="quant")


def test_a_qp_histogram_brings_its_bins_and_flags(pdf):
    pytest.importorskip("qp")
    again = RedshiftPDF.from_qp(pdf.to_qp(), meta=pdf.meta)
    np.testing.assert_array_equal(again.bin_edges, pdf.bin_edges)
    np.testing.assert_array_equal(again.flags, pdf.flags)
    np.testing.assert_allclose(again.probability, pdf.probability, rtol=1e-12)


def test_one_galaxy_is_an_ensemble_of_one(pdf):
    pytest.importorskip("qp")
    assert pdf[0].to_qp().npdf == 1
    assert RedshiftPDF.from_qp(pdf[0].to_qp()).shape == (1,)


def test_qp_errors(pdf):
    pytest.importorskip("qp")
    with pytest.raises(ValueError, match="'kind' must be 'hist', 'interp' or 'quant'"):
        pdf.to_qp(kind="spline")
    with pytest.raises(ValueError, match="'bin_edges' must be given .* 'interp'"):
        RedshiftPDF.from_qp(pdf.to_qp(kind="interp"))
    with pytest.raises(ValueError, match="row 0 of 'probability' has no probability"):
        RedshiftPDF.from_qp(pdf.to_qp(), [5, 6])


# ---- tables


def test_the_table_has_the_columns_of_the_design(pdf):
    names = (
        "z_mean z_median z_mode z_risk z_err68_low z_err68_high z_err95_low "
        "z_err95_high z_std odds n_peaks z_sec p_sec flags pz"
    )
    table = pdf.to_table()
    assert table.colnames == names.split()
    assert pdf.to_table(prefix="m_").colnames == [f"m_{n}" for n in names.split()]
    assert table["pz"].dtype == np.float32
    assert table["pz"].shape == (4, 5)
    assert table.meta == {**pdf.meta, "PZEDGES": edges_to_text(UNEVEN)}


def test_columns_hold_what_the_methods_say(pdf):
    pdf = pdf[[0, 1, 3]]
    table = pdf.to_table()
    for name in ["mean", "median", "mode", "risk", "std"]:
        method = "z_risk" if name == "risk" else name
        np.testing.assert_allclose(table[f"z_{name}"], getattr(pdf, method)())
    for level in (68, 95):
        low, high = pdf.interval(level / 100)
        np.testing.assert_allclose(table[f"z_err{level}_low"], low)
        np.testing.assert_allclose(table[f"z_err{level}_high"], high)
    np.testing.assert_allclose(table["odds"], pdf.odds(0.05))
    np.testing.assert_array_equal(table["n_peaks"], [1, 2, 1])
    np.testing.assert_array_equal(table["z_sec"].mask, [True, False, True])
    np.testing.assert_array_equal(table["flags"], pdf.flags)


def test_a_row_without_data_is_masked_and_the_others_are_not(pdf):
    table = pdf.to_table()
    for definition in COLUMNS[:-2]:
        only = definition.name in {"z_sec", "p_sec"}  # one peak: no second one
        np.testing.assert_array_equal(
            table[definition.name].mask, [only, False, True, only]
        )
    assert table["flags"][2] == Flag.NO_DATA


def test_columns_have_a_description_and_a_ucd(pdf):
    table = pdf.to_table()
    for name in table.colnames:
        info = table[name].info
        assert info.description
        assert check_ucd(info.meta["ucd"], check_controlled_vocabulary=True)


def test_the_class_of_a_column_does_not_depend_on_what_is_in_it(pdf):
    assert not (pdf[:1].flags & Flag.NO_DATA).any()
    night, other = pdf[:1].to_table(), pdf.to_table()
    for name in night.colnames:
        kind = Column if name == "flags" else MaskedColumn
        assert type(night[name]) is type(other[name]) is kind
        assert night[name].dtype == other[name].dtype


def test_what_is_masked_is_nan_for_readers_that_see_no_mask(pdf):
    table = pdf.to_table()
    for name in set(table.colnames) - {"flags", "n_peaks"}:
        column = table[name]
        np.testing.assert_array_equal(np.isnan(column.data.data), column.mask)
        np.testing.assert_array_equal(np.isnan(table.filled()[name]), column.mask)
    assert table["pz"].mask[2].all()


def test_columns_print_with_few_digits(pdf):
    line = pdf[:1].to_table()["z_median", "odds", "p_sec", "flags"].pformat()[-1]
    assert [len(word) for word in line.split()] == [6, 5, 2, 1]


def test_one_galaxy_is_a_table_of_one_row(pdf):
    assert len(pdf[0].to_table()) == 1


def test_a_table_is_of_one_dimension(pdf):
    with pytest.raises(ValueError, match=r"got shape \(2, 2\): ravel\(\) first"):
        pdf.reshape(2, 2).to_table()


@pytest.mark.parametrize("ending", EXACT)
def test_the_table_survives_a_file(pdf, tmp_path, ending):
    path = tmp_path / f"table{ending}"
    table = pdf.to_table()
    table.meta = {"PZEDGES": table.meta["PZEDGES"]}
    table.write(path)
    again = QTable.read(path)
    for name in table.colnames:
        mask = getattr(table[name], "mask", np.False_)
        np.testing.assert_array_equal(getattr(again[name], "mask", np.False_), mask)
        assert np.all((again[name] == table[name])[~mask])
    for read in (RedshiftPDF.from_table(again), RedshiftPDF.read(path)):
        np.testing.assert_array_equal(read.bin_edges, UNEVEN)
        np.testing.assert_array_equal(read.flags, pdf.flags)
        np.testing.assert_allclose(read.probability, pdf.probability, rtol=1e-7)


def test_a_table_needs_probabilities_and_bin_edges(pdf):
    table = Table({"ra": [1.0]}, meta={"bin_edges": [0, 1]})
    with pytest.raises(ValueError, match="no column 'x_pz' of prob.* there are ra"):
        RedshiftPDF.from_table(table, prefix="x_")
    with pytest.raises(ValueError, match="'pz' of prob.* PhotoZ.add_redshifts adds"):
        RedshiftPDF.from_table(Table({"ra": [1.0]}))
    with pytest.raises(ValueError, match=r"no redshift bins: .* \(\['by'\]\)"):
        RedshiftPDF.from_table(Table({"pz": [[1.0]]}, meta={"by": 1}))
    table = Table({"pz": [[1.0, 3.0]]})
    pdf = RedshiftPDF.from_table(table, bin_edges=[0, 1, 2])
    np.testing.assert_allclose(pdf.probability, [[0.25, 0.75]])
    np.testing.assert_array_equal(pdf.flags, [0])


# ---- files


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(4,), (2, 2), (1,), ()])
def test_everything_comes_back(pdf, tmp_path, ending, dtype, shape):
    pdf = RedshiftPDF(
        UNEVEN, pdf.probability.astype(dtype), flags=pdf.flags, meta=pdf.meta
    )
    pdf = {(): pdf[1], (1,): pdf[1:2]}.get(shape) or pdf.reshape(shape)
    path = tmp_path / f"pdf{ending}"
    pdf.write(path)
    again = RedshiftPDF.read(path)
    assert again.shape == shape
    assert again.meta == pdf.meta
    assert again.probability.dtype == dtype
    np.testing.assert_array_equal(again.bin_edges, pdf.bin_edges)
    np.testing.assert_array_equal(again.flags, pdf.flags)
    if ending == ".hdf5":  # qp keeps densities
        np.testing.assert_allclose(
            again.probability, pdf.probability, rtol=4 * np.finfo(dtype).eps
        )
    else:
        assert again == pdf


@pytest.mark.parametrize("ending", ENDINGS)
def test_no_galaxies_come_back_as_none(pdf, tmp_path, ending):
    path = tmp_path / f"pdf{ending}"
    pdf[:0].write(path)
    assert RedshiftPDF.read(path) == pdf[:0]


@pytest.mark.parametrize("ending", EXACT)
def test_bin_edges_come_back_to_the_last_bit(tmp_path, ending):
    edges = np.array([0, 1.2345678901234567e-05, 0.1 + 0.2, 1 / 3, 2 / 3])
    path = tmp_path / f"pdf{ending}"
    RedshiftPDF(edges, np.ones(4)).write(path)
    np.testing.assert_array_equal(RedshiftPDF.read(path).bin_edges, edges)


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_existing_file_is_replaced_only_if_asked(pdf, tmp_path, ending):
    path = tmp_path / f"pdf{ending}"
    path.write_text("precious")
    with pytest.raises(FileExistsError, match="exists; pass overwrite=True"):
        pdf.write(path)
    assert path.read_text() == "precious"
    pdf.write(path, overwrite=True)
    assert len(RedshiftPDF.read(path)) == 4


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_failed_write_leaves_nothing_behind(pdf, tmp_path, ending):
    pdf.meta["model"] = object()
    with pytest.raises(TypeError, match="'meta' must hold JSON types .* got object"):
        pdf.write(tmp_path / f"pdf{ending}")
    assert list(tmp_path.iterdir()) == []


def test_numpy_values_of_meta_become_plain(pdf, tmp_path):
    pdf.meta = {"a": np.float64(1.5), "b": np.arange(2)}
    pdf.write(tmp_path / "pdf.fits")
    assert RedshiftPDF.read(tmp_path / "pdf.fits").meta == {"a": 1.5, "b": [0, 1]}


def test_qp_reads_our_hdf5(pdf, tmp_path):
    qp = pytest.importorskip("qp")
    pdf.write(tmp_path / "pdf.hdf5")
    ensemble = qp.read(str(tmp_path / "pdf.hdf5"))
    np.testing.assert_allclose(ensemble.median()[:, 0], pdf.median())


def test_we_read_hdf5_of_qp(pdf, tmp_path):
    pytest.importorskip("qp")
    pdf.to_qp().write_to(str(tmp_path / "qp.hdf5"))
    again = RedshiftPDF.read(tmp_path / "qp.hdf5")
    np.testing.assert_allclose(again.probability, pdf.probability, rtol=1e-12)
    np.testing.assert_array_equal(again.flags, pdf.flags)


def test_the_format_may_be_named(pdf, tmp_path):
    pdf.write(tmp_path / "pdf.dat", format="fits")
    assert RedshiftPDF.read(tmp_path / "pdf.dat", format="fits") == pdf


@pytest.mark.parametrize("format", [None, "csv"])
def test_an_unknown_format_names_the_known(pdf, tmp_path, format):
    match = r"one of \.ecsv, .* 'format' one of asdf, ecsv, fits, hdf5, parquet, got"
    with pytest.raises(ValueError, match=match):
        pdf.write(tmp_path / "pdf.txt", format=format)
    with pytest.raises(ValueError, match=match):
        RedshiftPDF.read(tmp_path / "pdf.txt", format=format)


def test_a_missing_folder_or_file_is_named(pdf, tmp_path):
    with pytest.raises(FileNotFoundError, match="cannot write to .*nowhere"):
        pdf.write(tmp_path / "nowhere" / "pdf.fits")
    with pytest.raises(FileNotFoundError, match=r"no file .*pdf\.fits"):
        RedshiftPDF.read(tmp_path / "pdf.fits")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("content", [b"", b"\x00\x01 nonsense"])
def test_something_else_is_no_file_of_densities(tmp_path, ending, content):
    path = tmp_path / f"pdf{ending}"
    path.write_bytes(content)
    with pytest.raises(OSError, match=r"pdf\.\w+ is no readable file of redshift dens"):
        RedshiftPDF.read(path)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.filterwarnings("ignore:File may have been truncated")
def test_a_file_cut_short_is_refused(pdf, tmp_path, ending):
    path = tmp_path / f"pdf{ending}"
    RedshiftPDF.from_gaussians(PUBLISHED, np.full(50, 0.5), 0.1).write(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(OSError, match="is no readable file of redshift densities"):
        RedshiftPDF.read(path)


def test_quantiles_beyond_the_bins_leave_out_what_lies_there():
    """From a quarter at 0.5 to three quarters at 3, evenly: 0.1 at 1 and 0.2 at 2."""
    weights = weights_from_quantiles(np.array([0.0, 1, 2]), [0.25, 0.75], [0.5, 3])
    np.testing.assert_allclose(weights, [0.35, 0.2])
