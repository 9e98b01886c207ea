"""RedshiftPDF: shapes, exact functions, estimates, flags."""

import copy
import pickle
import re
import subprocess
import sys

import astropy.units as u
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import integrate, stats

from mantis_astro import Flag, RedshiftPDF, binned

# The published bins: the first is half as wide as the others.
PUBLISHED = np.concatenate([[0], np.arange(400) * 0.004 + 0.002])
PUBLISHED[-1] = 1.6
UNEVEN = np.array([0, 0.1, 0.3, 0.35, 1.0, 1.2])
POINT_ESTIMATES = ["mean", "median", "mode", "std", "z_risk"]


def gaussians(shape=(), edges=PUBLISHED, seed=0):
    rng = np.random.default_rng(seed)
    mean = rng.uniform(0.1, 1.4, shape)
    return RedshiftPDF.from_gaussians(edges, mean, rng.uniform(0.02, 0.1, shape))


@st.composite
def pdfs(draw, n_galaxies=3):
    widths = draw(st.lists(st.floats(0.001, 2), min_size=1, max_size=12))
    edges = draw(st.floats(0, 1)) + np.concatenate([[0], np.cumsum(widths)])
    shape = (n_galaxies, len(widths))
    entries = st.one_of(st.just(0.0), st.floats(1e-3, 1))
    weights = draw(hnp.arrays(float, shape, elements=entries))
    weights[weights.sum(axis=1) == 0, 0] = 1
    return RedshiftPDF(edges, weights)


# ---- exact functions


@given(pdfs(), st.floats(0, 1))
def test_cdf_undoes_ppf(pdf, q):
    np.testing.assert_allclose(pdf.cdf(pdf.ppf(q)), q, atol=1e-12)


@given(pdfs(), st.floats(0, 1))
def test_ppf_undoes_cdf_where_there_is_density(pdf, fraction):
    first, last = pdf.bin_edges[[0, -1]]
    z = first + fraction * (last - first)
    inside = (pdf.pdf(z) > 0) & (pdf.cdf(z) > 0)
    back = pdf.ppf(pdf.cdf(z))[inside]
    np.testing.assert_allclose(back, z, rtol=1e-10, atol=1e-10)


@given(pdfs())
def test_ppf_ends_at_the_bins_that_are_not_empty(pdf):
    filled = pdf.probability > 0
    first = filled.argmax(axis=1)
    last = pdf.n_bins - filled[:, ::-1].argmax(axis=1)
    np.testing.assert_allclose(pdf.ppf(0), pdf.bin_edges[first], rtol=1e-14)
    np.testing.assert_allclose(pdf.ppf(1), pdf.bin_edges[last], rtol=1e-14)


@given(pdfs())
def test_density_times_width_is_probability(pdf):
    np.testing.assert_allclose(
        pdf[:, None].pdf(pdf.bin_centres) * pdf.bin_widths, pdf.probability
    )


@given(pdfs())
def test_a_bin_owns_its_lower_edge_and_the_last_its_upper_edge_too(pdf):
    density = pdf.probability / pdf.bin_widths
    at_edges = np.concatenate([density, density[:, -1:]], axis=1)
    np.testing.assert_array_equal(pdf[:, None].pdf(pdf.bin_edges), at_edges)


@given(pdfs())
def test_cdf_at_the_edges_sums_the_bins(pdf):
    below = pdf[:, None].cdf(pdf.bin_edges)
    np.testing.assert_allclose(np.diff(below), pdf.probability, atol=1e-14)


@given(pdfs(n_galaxies=1), st.floats(0.001, 0.999))
def test_everything_agrees_with_scipy(pdf, q):
    pdf = pdf[0]
    oracle = stats.rv_histogram((pdf.probability, pdf.bin_edges), density=False)
    z = np.linspace(pdf.bin_edges[0], pdf.bin_edges[-1], 7)[1:-1]
    z = z[~np.isin(z, pdf.bin_edges)]
    np.testing.assert_allclose(pdf.pdf(z), oracle.pdf(z))
    np.testing.assert_allclose(pdf.cdf(z), oracle.cdf(z), atol=1e-14)
    np.testing.assert_allclose(pdf.cdf(oracle.ppf(q)), q, atol=1e-10)
    np.testing.assert_allclose(pdf.mean(), oracle.mean(), rtol=1e-12)
    # scipy's own cancels for narrow bins far out
    np.testing.assert_allclose(pdf.std(), oracle.std(), rtol=1e-4, atol=1e-6)


def test_std_is_the_integral_of_the_definition():
    pdf = RedshiftPDF(UNEVEN, [0.1, 0.3, 0.2, 0.3, 0.1])
    mean = integrate.quad(
        lambda z: z * pdf.pdf(z).value, 0, 1.2, points=UNEVEN, limit=99
    )[0]
    variance = integrate.quad(
        lambda z: (z - mean) ** 2 * pdf.pdf(z).value, 0, 1.2, points=UNEVEN, limit=99
    )[0]
    np.testing.assert_allclose(pdf.mean(), mean, rtol=1e-9)
    np.testing.assert_allclose(pdf.std(), np.sqrt(variance), rtol=1e-9)


def test_std_of_a_narrow_density_far_out_does_not_cancel():
    edges = 1000 + np.arange(4) * 1e-5
    std = RedshiftPDF(edges, [0, 1, 0]).std()
    np.testing.assert_allclose(std, np.diff(edges)[1] / 12**0.5, rtol=1e-10)


def test_the_half_width_first_bin_is_as_dense_as_its_width_says():
    pdf = RedshiftPDF(PUBLISHED, np.ones(400))
    np.testing.assert_allclose(pdf.pdf(0.001), 2 * pdf.pdf(0.1), rtol=1e-9)
    assert pdf.mode() == 0.001


def test_mode_is_of_the_density_not_of_the_probability():
    pdf = RedshiftPDF([0, 0.1, 1], [0.4, 0.6])
    assert pdf.mode() == 0.05


def test_outside_the_bins_there_is_nothing():
    pdf = RedshiftPDF([0.5, 1, 2], [0.5, 0.5])
    np.testing.assert_array_equal(pdf.pdf([0.4, 0.5, 2, 2.1]), [0, 1, 0.5, 0])
    np.testing.assert_array_equal(pdf.cdf([0.4, 0.5, 2, 2.1]), [0, 0, 1, 1])


def test_a_missing_redshift_has_no_density():
    pdf = RedshiftPDF([0, 1, 2], [0.5, 0.5])
    z = np.ma.array([0.5, 1], mask=[True, False])
    np.testing.assert_array_equal(pdf.pdf(z), [np.nan, 0.5])
    np.testing.assert_array_equal(pdf.cdf(z), [np.nan, 0.5])


@pytest.mark.parametrize("q", [-0.1, 1.1, np.nan])
def test_a_quantile_must_be_a_probability(q):
    with pytest.raises(ValueError, match=rf"'q' must be between 0 and 1, got {q}"):
        gaussians().ppf([0.5, q])


def test_samples_follow_the_density():
    pdf = RedshiftPDF(UNEVEN, [0.1, 0.3, 0.2, 0.3, 0.1])
    sample = pdf.sample(5000, rng=3)
    assert stats.kstest(sample.value, lambda z: pdf.cdf(z).value).pvalue > 0.01


def test_samples_are_repeatable_and_one_row_for_each_galaxy():
    pdf = gaussians((2, 3))
    sample = pdf.sample(4, rng=np.random.default_rng(5))
    assert sample.shape == (2, 3, 4)
    np.testing.assert_array_equal(sample, pdf.sample(4, rng=5))


def test_samples_need_a_source_of_randomness():
    with pytest.raises(TypeError, match="rng"):
        gaussians().sample(3)


# ---- broadcasting


def test_one_redshift_for_all_or_one_for_each():
    pdf = gaussians((5,))
    z = np.linspace(0.2, 1, 5)
    np.testing.assert_array_equal(pdf.pdf(0.5), [one.pdf(0.5) for one in pdf])
    np.testing.assert_array_equal(
        pdf.cdf(z), [one.cdf(x) for one, x in zip(pdf, z, strict=True)]
    )


@pytest.mark.parametrize("method", ["pdf", "cdf", "ppf"])
@pytest.mark.parametrize(
    ("galaxies", "values"),
    [((), (3,)), ((3, 1), (4,)), ((3,), (5, 3)), ((2, 1, 3), (4, 1)), ((1,), (6,))],
)
def test_galaxies_broadcast_as_arrays_do(method, galaxies, values):
    pdf = gaussians(galaxies)
    x = np.random.default_rng(1).random(values)
    answer = getattr(pdf, method)(x)
    index = np.arange(pdf.size).reshape(pdf.shape)
    index, x = np.broadcast_arrays(index, x)
    rows = pdf.reshape(-1)
    expected = [
        getattr(rows[i], method)(v) for i, v in zip(index.flat, x.flat, strict=True)
    ]
    np.testing.assert_array_equal(answer, np.reshape(expected, x.shape))


def test_shapes_that_do_not_match_say_how_to_evaluate_a_grid():
    with pytest.raises(ValueError, match=r"shape \(4,\) .* galaxies of shape \(3,\).*"):
        gaussians((3,)).pdf(np.arange(4))


def test_no_galaxies_give_no_answers():
    pdf = gaussians((4,))[:0]
    assert len(pdf) == 0
    assert pdf.pdf(0.5).shape == pdf.mean().shape == (0,)
    assert pdf.to_quantiles([0.1, 0.9]).shape == (0, 2)
    assert pdf.sample(3, rng=0).shape == (0, 3)
    assert pdf.rebin([0, 1.6]).shape == pdf.reweight(np.ones(400)).shape == (0,)
    assert pdf.interval(kind="hpd")[0].shape == pdf.shape_flags().shape == (0,)
    assert pdf.risk().shape == pdf.peaks().number.shape == (0,)
    assert len(pdf.to_table()) == 0


def test_answers_are_dimensionless_quantities():
    pdf = gaussians((2,))
    answers = [getattr(pdf, name)() for name in [*POINT_ESTIMATES, "odds", "risk"]]
    answers += [pdf.pdf(0.1), pdf.cdf(0.1), *pdf.interval(), pdf.sample(2, rng=0)]
    assert all(isinstance(a, u.Quantity) and a.unit == u.one for a in answers)


# ---- array-like over galaxies

INDICES = {
    "int": 1,
    "negative": -1,
    "numpy int": np.int64(2),
    "slice": slice(1, None),
    "step": slice(None, None, -2),
    "list": [0, 2, 2],
    "mask": np.array([True, False, True]),
    "two": (1, 2),
    "ellipsis": (..., 0),
    "ellipsis alone": ...,
    "new axis": None,
    "new axis last": (..., None),
    "full mask": np.arange(12).reshape(3, 4) % 3 == 0,
    "fancy": ([0, 1], [2, 3]),
    "mixed": (slice(None), [3, 0]),
    "nothing": (),
}


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)
def test_indexing_picks_galaxies_and_leaves_the_bins(index):
    pdf = gaussians((3, 4)).add_flags(np.arange(12).reshape(3, 4))
    number = np.arange(12).reshape(3, 4)[index]
    picked = pdf[index]
    assert picked.shape == number.shape
    np.testing.assert_array_equal(picked.flags, number)
    np.testing.assert_array_equal(
        picked.probability, pdf.probability.reshape(12, -1)[number]
    )


@pytest.mark.parametrize(
    "reshape",
    [
        lambda a: a.reshape(4, 3),
        lambda a: a.reshape(2, -1, 3),
        lambda a: a.ravel(),
        lambda a: a.flatten(),
        lambda a: a.T,
        lambda a: a.swapaxes(0, 1),
        lambda a: a[None].squeeze(),
        lambda a: a.take([0, 2], axis=1),
        lambda a: a.diagonal(),
        lambda a: np.moveaxis(a, 0, 1),
        lambda a: np.broadcast_to(a, (2, 3, 4)),
        np.flip,
    ],
)
def test_reshaping_moves_galaxies_and_leaves_the_bins(reshape):
    pdf = gaussians((3, 4)).add_flags(np.arange(12).reshape(3, 4))
    number = reshape(np.arange(12).reshape(3, 4))
    moved = reshape(pdf)
    np.testing.assert_array_equal(moved.flags, number)
    np.testing.assert_array_equal(
        moved.probability, pdf.probability.reshape(12, -1)[number]
    )


@pytest.mark.parametrize(
    "index", [(0, 0, 0), (..., 0, 0, 0), np.ones((3, 4, 400), bool)]
)
def test_no_index_reaches_the_bins(index):
    with pytest.raises(IndexError, match=r"too many indices|boolean index"):
        gaussians((3, 4))[index]


def test_one_galaxy_has_no_length_and_nothing_to_iterate():
    pdf = gaussians()
    assert pdf.isscalar
    with pytest.raises(TypeError, match="has no len"):
        len(pdf)
    with pytest.raises(TypeError, match="not iterable"):
        iter(pdf)
    with pytest.raises(IndexError, match="too many indices"):
        pdf[0]


@pytest.mark.parametrize("name", [*POINT_ESTIMATES, "odds", "risk", "shape_flags"])
def test_one_galaxy_answers_as_its_row_of_many(name):
    pdf = gaussians((700,))
    many = getattr(pdf, name)()
    for i in (0, 3, 699):
        np.testing.assert_allclose(getattr(pdf[i], name)(), many[i], rtol=1e-12)


def test_iteration_gives_the_galaxies_in_turn():
    pdf = gaussians((3,))
    assert RedshiftPDF.concatenate(list(pdf)) == pdf


def test_concatenation_undoes_cutting():
    pdf = gaussians((7,)).add_flags(np.arange(7))
    assert RedshiftPDF.concatenate([pdf[:3], pdf[3:6], pdf[6]]) == pdf


def test_concatenation_along_another_axis():
    pdf = gaussians((2, 5))
    for axis in (1, -1):
        assert RedshiftPDF.concatenate([pdf[:, :2], pdf[:, 2:]], axis=axis) == pdf


def test_concatenation_keeps_the_meta_that_all_agree_on():
    pdf = gaussians((1,))
    first, second = copy.copy(pdf), copy.copy(pdf)
    first.meta, second.meta = {"a": 1, "b": 2}, {"a": 1, "b": 3}
    assert RedshiftPDF.concatenate([first, second]).meta == {"a": 1}


@pytest.mark.parametrize(
    ("parts", "axis", "match"),
    [
        ([], 0, "'pdfs' is empty"),
        ([gaussians((1,)), gaussians((1,), UNEVEN)], 0, "bin edges of number 1"),
        ([gaussians((1,))], 1, "'axis' must be one of 1 axes of galaxies, got 1"),
    ],
)
def test_what_cannot_be_concatenated(parts, axis, match):
    with pytest.raises(ValueError, match=match):
        RedshiftPDF.concatenate(parts, axis=axis)


def test_equality_is_of_edges_probability_and_flags():
    pdf = gaussians((2,))
    assert pdf == copy.deepcopy(pdf)
    assert pdf != pdf.add_flags(Flag.BLEND)
    assert pdf != pdf[::-1]
    assert pdf != RedshiftPDF(PUBLISHED * 2, pdf.probability)
    assert pdf != "a redshift"


@pytest.mark.parametrize(
    "duplicate",
    [
        copy.copy,
        copy.deepcopy,
        lambda p: p.copy(),
        lambda p: pickle.loads(pickle.dumps(p)),
    ],
    ids=["copy", "deepcopy", "method", "pickle"],
)
def test_copies_are_equal_and_still_read_only(duplicate):
    pdf = RedshiftPDF(UNEVEN, np.ones((2, 5)), flags=[0, 4], meta={"model": "m"})
    again = duplicate(pdf)
    assert again == pdf
    assert again.meta == pdf.meta
    for array in (again.bin_edges, again.probability, again.flags):
        assert not array.flags.writeable


def test_meta_of_a_part_is_its_own():
    pdf = RedshiftPDF(UNEVEN, np.ones((2, 5)), meta={"model": "m"})
    pdf[0].meta["model"] = "other"
    assert pdf.meta == {"model": "m"}


def test_the_input_is_neither_changed_nor_kept():
    weights = np.ones((2, 5))
    pdf = RedshiftPDF(UNEVEN, weights)
    assert np.all(weights == 1)
    normalised = pdf.probability.copy()
    pdf = RedshiftPDF(UNEVEN, normalised)
    normalised[:] = 7
    np.testing.assert_allclose(pdf.probability, 0.2)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("f2", "f4"),
        ("f4", "f4"),
        (">f4", "f4"),
        ("f8", "f8"),
        (">f8", "f8"),
        ("i4", "f8"),
    ],
)
def test_single_precision_stays_single(given, kept):
    assert RedshiftPDF([0, 1, 2], np.ones(2, given)).probability.dtype == kept


def test_single_precision_is_summed_in_double():
    weights = np.random.default_rng(0).random((3, 400), dtype=np.float32)
    single, double = (RedshiftPDF(PUBLISHED, weights.astype(t)) for t in ("f4", "f8"))
    np.testing.assert_allclose(single.mean(), double.mean(), rtol=1e-7)
    np.testing.assert_allclose(single.median(), double.median(), rtol=1e-6)
    assert single.cdf(1.6).max() == 1


# ---- constructors and bad rows

BAD_ROWS = {
    "zero": ([0, 0, 0, 0, 0], "has no probability in the bins"),
    "negative": ([1, -0.5, 1, 1, 1], "holds -0.5"),
    "NaN": ([1, np.nan, 1, 1, 1], "holds nan"),
    "infinite": ([1, np.inf, 1, 1, 1], "holds inf"),
}


@pytest.mark.parametrize(("row", "fault"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_bad_row_is_an_error_that_names_it(row, fault):
    with pytest.raises(ValueError, match=f"row 1 of 'probability' {fault}"):
        RedshiftPDF(UNEVEN, [np.ones(5), row])


def test_the_only_bad_row_needs_no_name():
    with pytest.raises(ValueError, match=r"^'probability' holds nan"):
        RedshiftPDF([0, 1], [np.nan])


def test_a_bad_row_among_several_axes_is_named_by_its_indices():
    weights = np.ones((2, 3, 5))
    weights[1, 2] = 0
    with pytest.raises(ValueError, match=re.escape("row (1, 2) of 'probability'")):
        RedshiftPDF(UNEVEN, weights)


@pytest.mark.parametrize("row", [row for row, _ in BAD_ROWS.values()], ids=BAD_ROWS)
def test_a_bad_row_of_a_batch_is_uniform_in_density_and_flagged(row):
    pdf = RedshiftPDF.from_batch(UNEVEN, [np.ones(5), row], flags=Flag.BLEND)
    np.testing.assert_allclose(pdf[1].density, 1 / 1.2)
    np.testing.assert_array_equal(pdf.flags, [Flag.BLEND, Flag.BLEND | Flag.NO_DATA])
    np.testing.assert_allclose(pdf[0].probability, 0.2)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_must_be_finite(value):
    logits = np.zeros((2, 5))
    logits[1, 3] = value
    with pytest.raises(ValueError, match=f"row 1 of 'logits' holds {value}"):
        RedshiftPDF.from_logits(UNEVEN, logits)
    pdf = RedshiftPDF.from_logits(UNEVEN, logits, bad="flag")
    np.testing.assert_array_equal(pdf.flags, [0, Flag.NO_DATA])
    np.testing.assert_allclose(pdf[1].density, 1 / 1.2)


def test_what_to_do_with_bad_rows_is_one_of_two_things():
    with pytest.raises(ValueError, match="'bad' must be 'raise' or 'flag', got 'drop'"):
        RedshiftPDF.from_logits(UNEVEN, np.zeros(5), bad="drop")


def test_softmax_agrees_with_its_definition_and_takes_any_size():
    logits = np.random.default_rng(0).normal(0, 3, (4, 5))
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    for shift in (0, 1e4, -1e4):
        pdf = RedshiftPDF.from_logits(UNEVEN, logits + shift)
        np.testing.assert_allclose(pdf.probability, expected, rtol=1e-9)


def test_a_row_of_logits_gives_the_same_bits_in_any_batch():
    logits = np.random.default_rng(0).normal(0, 3, (700, 400)).astype(np.float32)
    whole = RedshiftPDF.from_logits(PUBLISHED, logits)
    alone = [RedshiftPDF.from_logits(PUBLISHED, logits[i]) for i in (0, 1, 699)]
    assert all(one == whole[i] for one, i in zip(alone, (0, 1, 699), strict=True))


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_logits_may_be_a_tensor(dtype):
    torch = pytest.importorskip("torch")
    logits = torch.zeros(2, 5, dtype=getattr(torch, dtype), requires_grad=True)
    pdf = RedshiftPDF.from_logits(UNEVEN, logits)
    np.testing.assert_allclose(pdf.probability, 0.2, rtol=1e-6)
    assert pdf.probability.dtype == (np.float64 if dtype == "float64" else np.float32)


@pytest.mark.parametrize(
    ("probability", "error", "match"),
    [
        (np.ones(7), ValueError, r"expected 5, got shape \(7,\)"),
        (np.ones((5, 2)), ValueError, r"expected 5, got shape \(5, 2\)"),
        (1.0, ValueError, r"expected 5, got shape \(\)"),
        (["a"] * 5, TypeError, "must be real numbers, got dtype <U1"),
        (np.ones(5, complex), TypeError, "must be real numbers, got dtype complex128"),
    ],
)
def test_probability_must_be_numbers_of_the_bins(probability, error, match):
    with pytest.raises(error, match=match):
        RedshiftPDF(UNEVEN, probability)


@pytest.mark.parametrize(
    ("flags", "error", "match"),
    [
        (0.5, TypeError, "'flags' must be integers, got dtype float64"),
        ([1, 2, 3], ValueError, r"broadcast to shape \(2,\), got shape \(3,\)"),
    ],
)
def test_flags_must_be_integers_of_the_galaxies(flags, error, match):
    with pytest.raises(error, match=match):
        RedshiftPDF(UNEVEN, np.ones((2, 5)), flags=flags)


def test_a_masked_probability_is_not_a_probability():
    with pytest.raises(ValueError, match="holds nan"):
        RedshiftPDF([0, 1, 2], np.ma.array([1, 1], mask=[0, 1]))


# ---- intervals


@given(pdfs(), st.floats(0.05, 0.95))
def test_a_central_interval_holds_its_level_and_equal_tails(pdf, level):
    low, high = pdf.interval(level)
    np.testing.assert_allclose(pdf.cdf(low), (1 - level) / 2, atol=1e-12)
    np.testing.assert_allclose(pdf.cdf(high), (1 + level) / 2, atol=1e-12)


@settings(max_examples=50)
@given(pdfs(n_galaxies=1), st.floats(0.05, 0.95))
def test_an_hpd_region_is_the_fewest_densest_bins_that_hold_the_level(pdf, level):
    pdf = pdf[0]
    pieces = pdf.hpd_regions(level).value
    mass = sum((pdf.cdf(high) - pdf.cdf(low)).value for low, high in pieces)
    z = pdf.bin_centres
    inside = np.any([(z > low) & (z < high) for low, high in pieces], axis=0)
    assert mass >= level - 1e-9
    assert pdf.density[inside].min() >= pdf.density[~inside].max(initial=0) * (1 - 1e-9)
    lowest = inside & (pdf.density <= pdf.density[inside].min() * (1 + 1e-9))
    assert mass - pdf.probability[lowest].max() < level + 1e-9  # none to spare
    low, high = pdf.interval(level, kind="hpd")
    assert (low, high) == (pieces[0, 0], pieces[-1, 1])


def test_a_region_has_no_bin_too_many_for_rounding():
    """Of n equal bins, k hold the level k / n, though their sum may round below it."""
    for n in range(2, 60):
        pdf = RedshiftPDF(np.arange(n + 1), np.ones(n))
        for k in range(1, n):
            ((low, high),) = pdf.hpd_regions(k / n)
            assert (low, high) == (0, k)


def test_hpd_regions_of_many_are_a_list():
    regions = RedshiftPDF([0, 1, 2, 3], [[0, 1, 0], [1, 0, 2]]).hpd_regions(0.9)
    np.testing.assert_array_equal(regions[0], [[1, 2]])
    np.testing.assert_array_equal(regions[1], [[0, 1], [2, 3]])


@pytest.mark.parametrize("level", [0, 1, -1, np.nan])
def test_a_level_must_be_a_probability(level):
    for method in (gaussians().interval, gaussians().hpd_regions):
        with pytest.raises(ValueError, match="'level' must be between 0 and 1"):
            method(level)


def test_an_interval_of_unknown_kind():
    with pytest.raises(ValueError, match="'kind' must be 'central' or 'hpd'"):
        gaussians().interval(kind="best")


def test_quantiles_are_one_list_for_all():
    with pytest.raises(ValueError, match=r"one-dimensional, got shape \(1, 1\)"):
        gaussians().to_quantiles([[0.5]])


# ---- risk, odds, peaks


def loss(z, z_true, gamma):
    dz = (z - z_true) / (1 + z_true)
    return 1 - 1 / (1 + (dz / gamma) ** 2)


@pytest.mark.parametrize("gamma", [0.02, 0.15, 1])
@pytest.mark.parametrize("z", [0.05, 0.5, 3])
def test_risk_is_the_integral_of_the_loss(z, gamma):
    pdf = RedshiftPDF(UNEVEN, [0.1, 0.3, 0.2, 0.3, 0.1])
    expected, _ = integrate.quad(
        lambda x: pdf.pdf(x).value * loss(z, x, gamma),
        0,
        1.2,
        points=[*UNEVEN, min(z, 1.2)],
        limit=500,
    )
    np.testing.assert_allclose(pdf.risk(z, gamma=gamma), expected, rtol=1e-7)


@pytest.mark.parametrize("bins", [[0, 0.005, 1], [0, 1, 1.008]])
def test_the_least_risk_may_be_next_to_the_end(bins):
    narrow = np.diff(bins) < 0.01
    pdf = RedshiftPDF(bins, narrow.astype(float))
    (middle,) = ((pdf.bin_edges[1:] + pdf.bin_edges[:-1]) / 2)[narrow]
    assert abs(pdf.z_risk().value - middle) < 2e-5 * (1 + middle)


@settings(max_examples=30)
@given(pdfs())
def test_no_redshift_has_less_risk_than_z_risk(pdf):
    grid = np.linspace(*pdf.bin_edges[[0, -1]], 301)
    least = pdf[:, None].risk(grid).min(axis=1)
    assert np.all(pdf.risk() <= least + 5e-6)


def test_of_two_nearly_equal_valleys_of_risk_the_deeper_is_taken():
    edges = np.linspace(0, 2, 401)
    for ratio in (0.999, 1.001):
        for shift in np.linspace(0, 0.01, 5):  # wherever the search grid falls
            probability = np.zeros(400)
            probability[(edges[:-1] >= 0.3) & (edges[:-1] < 0.305)] = ratio
            probability[(edges[:-1] >= 1.3) & (edges[:-1] < 1.305)] = 1
            pdf = RedshiftPDF(edges + shift, probability)
            grid = np.linspace(shift, 2 + shift, 4001)
            least = pdf[None].risk(grid)
            assert abs(pdf.z_risk() - grid[np.argmin(least)]) < 1e-3


def test_z_risk_of_a_narrow_density_is_where_it_is():
    pdf = RedshiftPDF.from_gaussians(PUBLISHED, 0.7, 0.01)
    np.testing.assert_allclose(pdf.z_risk(), 0.7, atol=1e-3)


def test_odds_are_the_probability_of_a_window():
    pdf = RedshiftPDF.from_gaussians(np.linspace(0, 2, 2001), 0.7005, 0.05)
    expected = stats.norm(0.7005, 0.05).cdf([0.62, 0.781])
    half = 0.0805 / 1.7005  # ends on edges of bins
    np.testing.assert_allclose(pdf.odds(half), np.diff(expected)[0], rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda p: p.odds(0), "'width' must be positive, got 0"),
        (lambda p: p.risk(gamma=-1), "'gamma' must be positive, got -1"),
        (lambda p: p.z_risk(gamma=0), "'gamma' must be positive, got 0"),
        (lambda p: p.peaks(ratio=1), "'ratio' must be between 0 and 1, got 1"),
        (lambda p: p.peaks(min_mass=0), "'min_mass' must be between 0 and 1, got 0"),
    ],
)
def test_parameters_of_estimates_have_a_range(call, match):
    with pytest.raises(ValueError, match=match):
        call(gaussians())


def two_peaks(mass, first=0.3, second=1.1, std=0.03):
    parts = RedshiftPDF.from_gaussians(PUBLISHED, [first, second], std)
    return RedshiftPDF(PUBLISHED, np.asarray(mass) @ parts.probability)


def test_two_peaks_are_found_with_their_masses():
    peaks = two_peaks([0.3, 0.7]).peaks()
    assert peaks.number == 2
    np.testing.assert_allclose(peaks.z, [1.1, 0.3], atol=0.003)
    np.testing.assert_allclose(peaks.mass, [0.7, 0.3], atol=1e-6)
    assert peaks.z_sec == peaks.z[1]
    assert peaks.p_sec == peaks.mass[1]


def test_peaks_are_cut_apart_in_the_middle_of_the_lowest_bin():
    peaks = RedshiftPDF([0, 1, 2, 3, 4], [0.3, 0.1, 0.2, 0.4]).peaks()
    np.testing.assert_allclose(peaks.mass, [0.65, 0.35])


def test_a_single_peak_has_no_second():
    peaks = gaussians((3,)).peaks()
    np.testing.assert_array_equal(peaks.number, 1)
    assert peaks.z_sec.mask.all()
    assert peaks.p_sec.mask.all()


def test_a_peak_below_the_least_mass_does_not_count():
    pdf = two_peaks([0.04, 0.96])
    assert pdf.peaks().number == 1
    assert pdf.peaks(min_mass=0.03).number == 2


@pytest.mark.parametrize(("depth", "number"), [(0.6, 1), (0.4, 2)])
def test_two_maxima_are_one_peak_unless_the_valley_is_deep(depth, number):
    edges = [0, 1, 2, 3]
    assert RedshiftPDF(edges, [1, depth, 1]).peaks(ratio=0.5).number == number


def test_a_valley_is_measured_against_the_lower_of_its_peaks():
    # 0.6 is deep against 3 but not against 1
    assert RedshiftPDF([0, 1, 2, 3], [3, 0.6, 1]).peaks(ratio=0.5).number == 1


def test_a_peak_is_of_the_density_not_of_the_probability():
    pdf = RedshiftPDF([0, 1, 1.1, 3], [1, 0.1, 2])  # density 1 everywhere
    assert pdf.peaks().number == 1


@given(pdfs())
def test_peaks_share_out_at_most_all_of_the_probability(pdf):
    peaks = pdf.peaks(min_mass=0.05)
    mass = peaks.mass.filled(0).value
    assert np.all(peaks.number >= 1)
    assert np.all(mass.sum(axis=1) <= 1 + 1e-12)
    assert np.all(np.diff(mass) <= 0)
    np.testing.assert_array_equal((mass > 0).sum(axis=1), peaks.number)


def test_many_small_peaks_leave_the_most_massive():
    comb = RedshiftPDF(np.arange(81.0), np.arange(80) % 2 * (1 + np.arange(80) / 100))
    peaks = comb.peaks(min_mass=0.1)
    assert peaks.number == 1
    assert peaks.z[0] == 79.5


# ---- flags


def test_shape_flags_follow_their_table():
    pdf = RedshiftPDF.concatenate(
        [
            gaussians(),
            two_peaks([0.2, 0.8]),
            two_peaks([0.1, 0.9]),
            RedshiftPDF.from_gaussians(PUBLISHED, 0.8, 0.25),
            RedshiftPDF.from_gaussians(PUBLISHED, 1.6, 0.03),
            RedshiftPDF.from_gaussians(PUBLISHED, 0.001, 0.01),
        ]
    )
    none = Flag(0)
    expected = [none, Flag.MULTIMODAL, none, Flag.BROAD, Flag.EDGE_PDF, none]
    # 80 % within 0.03 of 1.1 and 20 % far off: the 68 % interval may be broad
    found = pdf.shape_flags() & ~np.array([0, Flag.BROAD, 0, 0, 0, 0], dtype=np.int64)
    np.testing.assert_array_equal(found, expected)


def test_the_lower_end_counts_as_an_edge_above_redshift_zero():
    pdf = RedshiftPDF([1, 1.01, 2], [0.2, 0.8])
    assert pdf.shape_flags() & int(Flag.EDGE_PDF)
    pdf = RedshiftPDF([0, 0.01, 1], [0.2, 0.8])
    assert not pdf.shape_flags() & int(Flag.EDGE_PDF)


def test_a_row_without_data_has_no_shape():
    pdf = RedshiftPDF.from_batch(PUBLISHED, np.zeros((1, 400)))
    assert pdf.shape_flags() == [0]


def test_flags_are_added_to_those_there():
    pdf = RedshiftPDF(UNEVEN, np.ones((2, 5)), flags=[1, 2]).add_flags([2, 2])
    np.testing.assert_array_equal(pdf.flags, [3, 2])


# ---- rebin, reweight


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_smoothing_is_a_gaussian_in_the_logarithm(dtype):
    edges = np.linspace(0, 2, 1001)
    pdf = RedshiftPDF.from_gaussians(edges, [0.5, 1.2], 0.01)
    pdf = RedshiftPDF(edges, pdf.probability.astype(dtype))
    after = pdf.smooth(0.02)
    assert after.probability.dtype == dtype
    np.testing.assert_allclose(after.probability.sum(-1), 1, rtol=1e-6)
    np.testing.assert_allclose(
        after.std(), np.hypot(0.01, 0.02 * (1 + np.array([0.5, 1.2]))), rtol=0.01
    )
    np.testing.assert_allclose(after.median(), pdf.median(), atol=1e-3)
    assert after.meta["PZSMOOTH"] == 0.02
    assert after.smooth(0.02).meta["PZSMOOTH"] == pytest.approx(0.02 * 2**0.5)


def test_smoothing_keeps_what_is_even_and_what_is_not_known():
    edges = np.r_[0, 0.001, np.linspace(0.004, 1.5, 200)]
    even = np.diff(np.log1p(edges))
    pdf = RedshiftPDF(edges, [even, np.r_[1, np.zeros(200)]], flags=[0, Flag.NO_DATA])
    after = pdf.smooth(0.01)
    np.testing.assert_allclose(after.probability[0], pdf.probability[0], rtol=1e-6)
    np.testing.assert_array_equal(after.probability[1], pdf.probability[1])
    np.testing.assert_array_equal(after.flags, pdf.flags)


def test_a_smoothed_row_is_the_same_whatever_it_comes_with():
    rng = np.random.default_rng(1)
    pdf = RedshiftPDF(np.linspace(0, 1.6, 401), rng.dirichlet(np.ones(400), 700))
    whole = pdf.smooth(0.004).reshape(7, 100)
    for i in (0, 3, 699):
        alone = pdf[i].smooth(0.004)
        np.testing.assert_array_equal(
            alone.probability, whole[i // 100, i % 100].probability
        )
    assert pdf.smooth(0) is pdf
    assert pdf[:0].smooth(0.01).shape == (0,)


@pytest.mark.parametrize("width", [-0.1, 1, np.nan])
def test_a_width_that_is_none(width):
    with pytest.raises(ValueError, match="'width' must be from 0 to below 1"):
        RedshiftPDF([0, 1], [1]).smooth(width)


@given(pdfs(), st.integers(1, 9))
def test_rebinning_keeps_the_probability_below_every_new_edge(pdf, n_new):
    edges = np.linspace(pdf.bin_edges[0], pdf.bin_edges[-1], n_new + 1)
    new = pdf.rebin(edges)
    np.testing.assert_allclose(
        new[:, None].cdf(edges), pdf[:, None].cdf(edges), atol=1e-12
    )


def test_rebinning_to_finer_bins_changes_no_density():
    pdf = RedshiftPDF(UNEVEN, [0.1, 0.3, 0.2, 0.3, 0.1], flags=4, meta={"a": 1})
    fine = np.union1d(UNEVEN, np.linspace(0, 1.2, 50))
    z = np.linspace(0.01, 1.19, 40)
    new = pdf.rebin(fine)
    np.testing.assert_allclose(new.pdf(z), pdf.pdf(z))
    assert (new.flags, new.meta) == (4, {"a": 1})


def test_rebinning_refuses_to_lose_probability():
    pdf = RedshiftPDF([0, 1, 2], [[1, 0], [3, 1]])
    with pytest.raises(ValueError, match=r"out 0\.25 of the probability of row 1"):
        pdf.rebin([0, 0.5, 1])


def test_reweighting_multiplies_densities():
    pdf = gaussians((3,), UNEVEN)
    n = np.array([1, 2, 3, 4, 5.0])
    new = pdf.reweight(n)
    product = pdf.probability * n
    np.testing.assert_allclose(
        new.probability, product / product.sum(axis=1, keepdims=True)
    )
    assert "not known) is not divided out" in new.meta["PZPRIOR"]
    assert "PZPRIOR" not in pdf.meta


def test_reweighting_by_a_density_of_other_bins_is_by_its_average():
    pdf = RedshiftPDF([0, 1, 2], [0.5, 0.5])
    other = RedshiftPDF([0, 0.5, 1, 4], [1, 2, 3])  # densities 2, 4, 1
    np.testing.assert_allclose(pdf.reweight(other).probability, [0.75, 0.25])


def test_what_was_assumed_is_divided_out():
    likelihood = np.array([0.1, 0.4, 0.2, 0.2, 0.1])
    balanced = RedshiftPDF(UNEVEN, likelihood)  # trained with equal numbers in bins
    population = np.array([5, 4, 3, 2, 1.0])
    new = balanced.reweight(population, prior=1 / balanced.bin_widths)
    expected = likelihood * population * np.diff(UNEVEN)
    np.testing.assert_allclose(new.probability, expected / expected.sum())


def test_a_galaxy_where_nothing_is_left_is_flagged():
    pdf = RedshiftPDF([0, 1, 3], [[1, 0], [0, 1]]).reweight([0, 1])
    np.testing.assert_array_equal(pdf.flags, [Flag.NO_DATA, 0])
    np.testing.assert_allclose(pdf[0].density, 1 / 3)


@pytest.mark.parametrize(
    ("n_of_z", "prior", "match"),
    [
        ([1, 2], None, r"'n_of_z' must have a value for each of the 5 bins"),
        (np.ones((4, 5)), None, r"galaxies of shape \(3,\), got shape \(4, 5\)"),
        (np.ones((2, 3, 5)), None, r"got shape \(2, 3, 5\)"),
        ([1, -1, 1, 1, 1], None, "'n_of_z' must be finite and not negative, got -1"),
        ([1, np.nan, 1, 1, 1], None, "must be finite and not negative, got nan"),
        (np.ones(5), [0, 1, 1, 1, 1], "'prior' must be positive in every bin"),
    ],
)
def test_what_cannot_be_a_redshift_distribution(n_of_z, prior, match):
    with pytest.raises(ValueError, match=match):
        gaussians((3,), UNEVEN).reweight(n_of_z, prior=prior)


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p.rebin(np.linspace(0, 1.6, 33)),
        lambda p: p.reweight(lambda z: np.exp(-z)),
        lambda p: p[::-1],
        lambda p: p.reshape(2, 3),
        lambda p: p.add_flags(1),
        lambda p: RedshiftPDF.concatenate([p, p]),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_mass_is_one_and_precision_kept_after_every_method(change, dtype):
    pdf = gaussians((6,))
    new = change(RedshiftPDF(PUBLISHED, pdf.probability.astype(dtype)))
    assert new.probability.dtype == dtype
    total = new.probability.astype(float).sum(axis=-1)
    np.testing.assert_allclose(total, 1, rtol=50 * np.finfo(dtype).eps)


# ---- what is shown


def test_repr_says_what_it_is():
    assert repr(RedshiftPDF([0, 0.5, 1], [1, 1])) == (
        "<RedshiftPDF z = 0.500 -0.340 +0.340: 2 bins over z = 0 to 1>"
    )
    assert "shape=(2, 3): 400 bins" in repr(gaussians((2, 3)))


def test_html_draws_the_first_galaxies_and_counts_the_others():
    html = gaussians((7,))._repr_html_()
    assert html.count("<svg") == html.count("</svg>") == 5
    assert "2 more" in html
    assert gaussians()._repr_html_().count("<svg") == 1
    assert gaussians((7,))[:0]._repr_html_().count("<svg") == 0


def test_the_picture_is_well_formed_and_stays_in_its_frame():
    from xml.etree import ElementTree

    from mantis_astro.pdf.picture import HEIGHT, WIDTH, draw_svg

    svg = ElementTree.fromstring(draw_svg(gaussians()))
    polygon = svg.find("{http://www.w3.org/2000/svg}polygon")
    x, y = np.array([p.split(",") for p in polygon.get("points").split()], float).T
    assert (x.min(), x.max()) == (0, WIDTH)
    assert 0 < y.min() < 3
    assert y.max() == HEIGHT


def test_importing_it_is_light():
    heavy = ["scipy.stats", "torch", "matplotlib", "astropy.table", "pandas", "qp"]
    code = (
        f"import sys, mantis_astro.pdf; print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


class TestCostlySummaries:
    """Computed once, of an object that never changes, and never handed out to write."""

    @pytest.fixture
    def pdf(self):
        rng = np.random.default_rng(3)
        return RedshiftPDF(np.linspace(0, 1, 41), rng.random((7, 40)))

    def test_they_are_those_of_the_plain_functions(self, pdf):
        median, (low, high) = pdf.median(), pdf.interval(0.95)
        np.testing.assert_array_equal(median, pdf.ppf(0.5))
        np.testing.assert_allclose(low, pdf.ppf(0.025), rtol=1e-14)
        np.testing.assert_allclose(high, pdf.ppf(0.975), rtol=1e-14)
        some = pdf.to_quantiles([0.84, 0.3, 0.16])
        np.testing.assert_array_equal(some, pdf[:, None].ppf([0.84, 0.3, 0.16]))

    def test_a_table_flags_and_intervals_need_one_search(self, pdf, monkeypatch):
        calls = []

        def counted(name):
            function = getattr(binned, name)

            def call(*args):
                calls.append(name)
                return function(*args)

            return call

        for name in ("ppf", "mode"):
            monkeypatch.setattr(binned, name, counted(name))
        pdf.to_table(), pdf.shape_flags(), pdf.interval(), pdf.median(), pdf.odds()
        pdf.add_flags(Flag.BLEND).to_table()
        assert sorted(calls) == ["mode", "ppf"]

    def test_writing_into_an_answer_changes_no_other(self, pdf):
        before = pdf.to_table()
        for answer in (
            pdf.median(),
            pdf.mode(),
            *pdf.interval(),
            pdf.peaks().z,
            pdf.peaks().number,
        ):
            answer[...] = 0
        after = pdf.to_table()
        for name in ("z_median", "z_mode", "z_err68_low", "n_peaks"):
            np.testing.assert_array_equal(after[name], before[name])

    def test_a_slice_has_its_own(self, pdf):
        pdf.median(), pdf.peaks()
        np.testing.assert_array_equal(pdf[2:4].median(), pdf.median()[2:4])
        assert pdf[1].median().shape == ()


def test_a_density_that_the_bins_cut_off_is_flagged():
    """A Gaussian at z = 5 on bins to 3: what is left of it is all in the last bin."""
    edges = np.linspace(0, 3, 301)
    pdf = RedshiftPDF.from_gaussians(edges, [0.5, 5.0, 2.8, 0.01], 0.1)
    cut = (pdf.flags & int(Flag.EDGE_PDF)) != 0
    assert cut.tolist() == [False, True, False, False]  # 2.3 % beyond; below 0 is none
    late = RedshiftPDF.from_gaussians(edges + 1, [1.02, 3.0], 0.1, flags=Flag.BLEND)
    assert late.flags.tolist() == [Flag.BLEND | Flag.EDGE_PDF, Flag.BLEND]
    quantiles = RedshiftPDF.from_quantiles(
        edges, [0.1, 0.5, 0.9], [[0.5, 1.0, 1.5], [2.0, 3.0, 4.0]]
    )
    assert quantiles.flags.tolist() == [0, Flag.EDGE_PDF]


@pytest.mark.parametrize("origin", ["samples", "grid", "qp"])
def test_whatever_is_cut_off_is_flagged_wherever_it_comes_from(origin):
    """20 % of a density beyond z = 3; half of one below z = 1; nothing below 0."""
    z = np.linspace(0, 6, 6001)
    box = np.array([(z > 0.5) & (z < 3.625), (z > 0.5) & (z < 1.5)])
    rows = np.array([np.linspace(0.5, 3.625, 1001), np.linspace(0.5, 1.5, 1001)])

    def make(edges):
        if origin == "samples":
            return RedshiftPDF.from_samples(edges, rows)
        if origin == "grid":
            return RedshiftPDF.from_grid(z, box, bin_edges=edges)
        qp = pytest.importorskip("qp")
        data = {"bins": [0.5, 1.0, 1.5, 3.625], "pdfs": [[1, 1, 1], [1, 1, 0]]}
        return RedshiftPDF.from_qp(qp.Ensemble(qp.hist, data=data), edges)

    edges = np.linspace(0, 3, 61)
    assert make(edges).flags.tolist() == [Flag.EDGE_PDF, 0]
    assert make(edges + 1).flags.tolist() == [Flag.EDGE_PDF, Flag.EDGE_PDF]
    assert make(edges * 2).flags.tolist() == [0, 0]


def test_samples_below_redshift_zero_are_no_edge():
    samples = [-0.5, -0.1, 0.1, 0.2]
    assert RedshiftPDF.from_samples([0, 1, 2], samples).flags == 0
    assert RedshiftPDF.from_samples([0, 0.15, 0.3], [*samples, 0.4]).flags != 0
