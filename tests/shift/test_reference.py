"""What a model keeps of its training set: scores, thresholds, there and back."""

import json

import numpy as np
import pytest
from astropy.table import Table

from mantis_astro.exceptions import InputSpecError
from mantis_astro.shift import ReferenceStatistics
from mantis_astro.shift.neighbours import Neighbours

RNG = np.random.default_rng(11)
W = RNG.normal(size=(4, 12))


def draw(n, rng=RNG):
    """Features with correlations, zeros and a clump of objects without a survey."""
    x = rng.normal(size=(n, 4))
    x[: n // 5, 0] = -5  # not observed
    return np.maximum(x @ W, 0)


@pytest.fixture(scope="module")
def reference():
    return ReferenceStatistics.from_features(draw(4000), rng=0, sample="made features")


@pytest.mark.parametrize("distance", ["neighbours", "mahalanobis"])
@pytest.mark.parametrize("n", [400, 2600])
def test_one_in_a_hundred_of_the_same_sample_is_flagged(distance, n):
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(6):
        reference = ReferenceStatistics.from_features(
            draw(n, rng), rng=rng, distance=distance
        )
        shares.append(np.mean(reference.ood_score(draw(1000, rng)) > 1))
    assert np.mean(shares) == pytest.approx(0.01, abs=0.006)


def test_far_objects_score_high_and_the_clump_of_unobserved_does_not(reference):
    far = draw(50) + 10 * RNG.normal(size=(1, 12))
    assert (reference.ood_score(far) > 1).all()
    assert np.mean(reference.ood_score(draw(500)[:100]) > 1) < 0.1


def test_between_the_clumps_nothing_is_near_and_neighbours_say_so():
    rng = np.random.default_rng(0)
    clumps = (
        rng.normal(0, 0.1, (1000, 2)) + np.where(rng.random(1000) < 0.5, -1, 1)[:, None]
    )
    by = {
        distance: ReferenceStatistics.from_features(clumps, rng=0, distance=distance)
        for distance in ("neighbours", "mahalanobis")
    }
    assert by["neighbours"].ood_score([[0, 0]]) > 1
    assert by["mahalanobis"].ood_score([[0, 0]]) < 1


def test_scores_do_not_depend_on_units_of_the_features(reference):
    x, y = draw(3000, np.random.default_rng(2)), draw(30)
    units = np.array([1e-9, 1e9, *np.ones(10)])
    expected = ReferenceStatistics.from_features(x, rng=0).ood_score(y)
    scores = ReferenceStatistics.from_features(x * units, rng=0).ood_score(y * units)
    np.testing.assert_allclose(scores, expected, rtol=1e-3)


def test_each_object_scores_as_it_does_alone(reference):
    y = draw(7)
    alone = [reference.ood_score(row[None])[0] for row in y]
    np.testing.assert_allclose(reference.ood_score(y), alone, rtol=1e-9)
    assert reference.ood_score(y[:0]).shape == (0,)
    assert reference.components(y[:0]).shape == (0, 12)


def test_half_precision_scores_about_the_same(reference):
    y = draw(100)
    half = reference.ood_score(y.astype(np.float16))
    np.testing.assert_allclose(half, reference.ood_score(y), rtol=0.02)


def test_a_missing_feature_has_no_score(reference):
    y = draw(3)
    y[1, 4] = np.nan
    assert np.isnan(reference.ood_score(y)).tolist() == [False, True, False]


def test_a_feature_that_never_varied_is_noticed_when_it_does():
    x = draw(1000)
    x[:, 3] = 0
    reference = ReferenceStatistics.from_features(x, rng=0)
    y = x[:5].copy()
    assert (reference.ood_score(y) < 1).all()
    y[:, 3] = 20
    assert (reference.ood_score(y) > 1).all()


def test_the_facts_are_those_of_the_sample():
    x = draw(300)
    z = np.linspace(0.1, 0.7, 300)
    x[5], z[299], z[7] = np.nan, np.nan, -99
    reference = ReferenceStatistics.from_features(x, rng=0, z_spec=z, n_vector=50)
    good = np.delete(x, [5, 7, 299], axis=0)
    assert reference.n_object == 297
    assert reference.vectors.shape == (50, 12)
    assert reference.vectors.dtype == np.float16
    np.testing.assert_allclose(reference.mean, good.mean(0))
    np.testing.assert_allclose(reference.quantiles[4], np.median(good, 0), rtol=1e-6)
    assert reference.z_range.tolist() == [0.1, z[298]]
    assert reference.score_quantiles[99] == pytest.approx(1, abs=0.1)
    assert (np.diff(reference.score_quantiles) >= 0).all()


def test_vectors_are_rows_of_the_sample(reference):
    x = draw(40)
    vectors = ReferenceStatistics.from_features(x, rng=0).sample_features
    nearest = np.abs(vectors[:, None] - x).max(-1).min(1)
    assert nearest.max() < 0.01


def test_duplicates_do_not_lower_the_threshold():
    x = draw(200)
    once = ReferenceStatistics.from_features(x, rng=0)
    twice = ReferenceStatistics.from_features(np.vstack([x, x]), rng=0)
    expected = pytest.approx(once.support.threshold, rel=0.05)
    assert twice.support.threshold == expected


def test_components_have_unit_variance(reference):
    components = reference.components(draw(4000))
    assert components.shape == (4000, 12)
    np.testing.assert_allclose(components[:, :4].std(0), 1, atol=0.1)


def test_it_survives_being_taken_apart(reference):
    arrays, facts = reference.to_arrays()
    back = ReferenceStatistics.from_arrays(arrays, facts)
    y = draw(20)
    np.testing.assert_array_equal(back.ood_score(y), reference.ood_score(y))
    assert back.sample == "made features"
    assert back.nbytes == sum(array.nbytes for array in arrays.values())
    assert repr(back) == (
        "<ReferenceStatistics of 4000 objects, 12 features, 2000 vectors kept>"
    )


def test_incomplete_parts_are_refused(reference):
    arrays, facts = reference.to_arrays()
    without = {name: array for name, array in arrays.items() if name != "mean"}
    with pytest.raises(InputSpecError, match="no reference statistics: .*'mean'"):
        ReferenceStatistics.from_arrays(without, facts)
    with pytest.raises(InputSpecError, match="of 12 features do not fit"):
        ReferenceStatistics.from_arrays({**arrays, "mean": arrays["mean"][:3]}, facts)


@pytest.mark.parametrize(("name", "value"), [("mean", np.nan), ("scale", 0.0)])
def test_numbers_that_no_statistics_have_are_refused(reference, name, value):
    arrays, facts = reference.to_arrays()
    arrays[name] = np.full_like(arrays[name], value)
    with pytest.raises(InputSpecError, match=f"'{name}' holds NaN or is not positive"):
        ReferenceStatistics.from_arrays(arrays, facts)


def test_features_of_another_model_are_refused(reference):
    with pytest.raises(InputSpecError, match="has 12 .*got 5 .*Features of one model"):
        reference.ood_score(np.ones((3, 5)))
    named = ReferenceStatistics.from_features(
        Table(draw(50)[:, :2], names=["g", "r"]), rng=0
    )
    with pytest.raises(InputSpecError, match=r"it has 2 \(g, r\), got 2 \(r, i\)"):
        named.ood_score(Table(np.ones((3, 2)), names=["r", "i"]))


@pytest.mark.parametrize(
    ("x", "options", "match"),
    [
        (np.eye(9), {}, "needs 10 objects with all features.*got 9 of 9"),
        (np.full((20, 2), np.nan), {}, "got 0 of 20"),
        (np.eye(20), {"z_spec": np.full(20, -99.0)}, "and a redshift, .*got 0 of 20"),
        (np.ones((20, 2)), {}, "needs 10 different objects, got 1"),
        (np.eye(20), {"n_vector": 3}, "n_vector=3"),
        (np.eye(20), {"distance": "cosine"}, "one of neighbours, mahalanobis, got 'co"),
        (
            np.eye(20),
            {"z_spec": [0.1]},
            r"'z_spec' must have shape \(20,\), got \(1,\)",
        ),
    ],
)
def test_what_makes_no_reference_is_refused(x, options, match):
    with pytest.raises(ValueError, match=match):
        ReferenceStatistics.from_features(x, rng=0, **options)


def test_fewer_objects_than_features():
    x = np.random.default_rng(0).normal(size=(12, 100))
    for distance in ("neighbours", "mahalanobis"):
        reference = ReferenceStatistics.from_features(x, rng=0, distance=distance)
        assert np.isfinite(reference.ood_score(x)).all()
        assert (reference.ood_score(x + 50) > 1).all()


def test_large_samples_are_thinned(monkeypatch):
    monkeypatch.setattr("mantis_astro.shift.reference._MOST", 500)
    reference = ReferenceStatistics.from_features(draw(2000), rng=0, n_vector=100)
    assert reference.n_object == 2000
    assert np.mean(reference.ood_score(draw(2000)) > 1) < 0.04


def draw_redshifts(n, rng):
    """Two features that give z, the third how noisy; a tenth has no redshift in it."""
    z = rng.uniform(0.1, 1, n)
    noise = 0.01 + 0.1 * (np.arange(n) % 10 == 0)
    x = np.column_stack([z, z**2, 20 * noise]) + rng.normal(size=(n, 3)) * 0.01
    x[:, :2] += rng.normal(size=(n, 1)) * noise[:, None] * [1, 2]
    return x, z


@pytest.mark.parametrize(("n", "low"), [(400, 0.002), (2600, 0.006)])
def test_with_redshifts_too_at_most_one_in_a_hundred_is_flagged(n, low):
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(8):
        x, z = draw_redshifts(n, rng)
        reference = ReferenceStatistics.from_features(x, rng=rng, z_spec=z)
        shares.append(np.mean(reference.ood_score(draw_redshifts(1000, rng)[0]) > 1))
    assert low < np.mean(shares) < 0.014


@pytest.fixture(scope="module")
def labelled():
    x, z = draw_redshifts(3000, np.random.default_rng(4))
    return ReferenceStatistics.from_features(x, rng=0, z_spec=z)


def test_expected_errors_are_those_that_are_made(labelled):
    x, z = draw_redshifts(4000, np.random.default_rng(5))
    near = Neighbours(labelled.vectors, labelled.vector_z)(labelled.scaled(x))
    made = np.abs(np.log1p(z) - near.mean)
    expected = labelled.expected_error(x)
    noisy = np.arange(len(z)) % 10 == 0
    assert expected.mean() == pytest.approx(made.mean(), rel=0.1)
    for some in (noisy, ~noisy):
        assert expected[some].mean() == pytest.approx(made[some].mean(), rel=0.25)
    assert expected[noisy].mean() > 3 * expected[~noisy].mean()


def test_what_is_far_scores_high_even_where_redshifts_agree(labelled):
    assert (labelled.ood_score([[0.5, 0.25, 9.0], [-3, 0.3, 0.2]]) > 1).all()


def test_a_few_ambiguous_colours_are_seen_by_their_redshifts_alone():
    colour = np.linspace(0, 1, 5000)[:, None]
    z = 0.2 + colour[:, 0] + np.random.default_rng(0).normal(0, 0.02, 5000)
    z[2492:2508] = np.tile([0.1, 1.3], 8)
    options = {"rng": 0, "n_vector": 4000}
    blind = ReferenceStatistics.from_features(colour, **options)
    reference = ReferenceStatistics.from_features(colour, z_spec=z, **options)
    clear, ambiguous = colour[500:2000], colour[2498:2502]
    assert (blind.ood_score(ambiguous) < 1).all()
    assert (reference.ood_score(ambiguous) > 1).all()
    assert np.mean(reference.ood_score(clear) > 1) < 0.02


def test_redshifts_survive_being_taken_apart(labelled):
    arrays, facts = labelled.to_arrays()
    back = ReferenceStatistics.from_arrays(arrays, json.loads(json.dumps(facts)))
    x, _ = draw_redshifts(20, np.random.default_rng(6))
    np.testing.assert_array_equal(back.ood_score(x), labelled.ood_score(x))
    np.testing.assert_array_equal(back.expected_error(x), labelled.expected_error(x))


@pytest.mark.parametrize(
    ("n", "z"), [(40, np.linspace(0, 1, 40)), (200, np.full(200, 0.3))]
)
def test_redshifts_that_teach_nothing_leave_the_distance(n, z):
    x = draw(n)
    with_z = ReferenceStatistics.from_features(x, rng=0, z_spec=z)
    without = ReferenceStatistics.from_features(x, rng=0)
    np.testing.assert_array_equal(with_z.ood_score(x), without.ood_score(x))
    with pytest.raises(InputSpecError, match="no redshifts to expect errors from"):
        with_z.expected_error(x)


def test_neighbours_of_vectors_are_found_among_others_as_of_any_object():
    rng = np.random.default_rng(8)
    x, z = draw_redshifts(30, rng)
    near = Neighbours(x, z).left_out()
    for row in (0, 13, 29):
        others = np.arange(30) % 5 != row % 5
        alone = Neighbours(x[others], z[others])(x[row : row + 1])
        for found, expected in zip(near, alone, strict=True):
            np.testing.assert_allclose(found[row], expected[0], rtol=1e-12)
