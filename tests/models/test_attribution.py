"""Shapley values: axioms, a plain permutation oracle, and a case known in theory."""

from itertools import permutations
from types import SimpleNamespace

import astropy.units as u
import numpy as np
import pytest
import torch
from astropy.table import QTable
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import nn

from mantis_astro import PhotoZ, RedshiftPDF, metrics
from mantis_astro.models import (
    EarlyFusionConfig,
    EncoderConfig,
    LateFusionConfig,
    NetworkInput,
    PhotometricConfig,
    attribution_by_redshift,
    build_network,
    predict_probability,
    shapley_values,
    without_bands,
)
from mantis_astro.models.coalitions import iter_coalitions
from mantis_astro.models.inputs import PUBLISHED_BANDS
from mantis_astro.models.shapley import exact_shapley

EDGES = np.linspace(0, 1.6, 9)
N = 6
SURVEYS = {"galex": [0, 1], "ps1": [2, 3, 4, 5, 6], "unwise": [7, 8]}
VALUES = ("kl", "z_median", "crps", "log_score")


def model(network, bands=PUBLISHED_BANDS, edges=EDGES):
    """What shapley_values needs of a PhotoZ."""
    return SimpleNamespace(
        network=network, card=SimpleNamespace(bands=bands, bin_edges=edges)
    )


def prepared(images, n=N):
    ebv = torch.rand(n, 2, generator=torch.manual_seed(9))
    return NetworkInput(images, ebv, np.zeros(n, np.int32), np.ones(n, bool))


def make_early():
    config = EarlyFusionConfig(
        EncoderConfig(9, (1,), (8,)), n_bins=8, hidden=6, aperture_radii=(3.0,)
    )
    return build_network(config), torch.rand(N, 9, 8, 8)


def make_late():
    config = LateFusionConfig(
        *(EncoderConfig(n, (1,), (8,)) for n in (2, 5, 2)),
        n_bins=8,
        hidden=6,
        aperture_radii=(3.0,),
    )
    images = torch.rand(N, 9, 8, 8)
    return build_network(config), (images[:, :2], images[:, 2:7], images[:, 7:])


def make_photometric():
    config = PhotometricConfig(n_inputs=27, n_bins=8, widths=(16,), hidden=8)
    images = torch.rand(N, 3, 9)
    images[:, 2] = 1
    return build_network(config), images.reshape(N, 27)


MAKERS = {"early": make_early, "late": make_late, "photometric": make_photometric}


@pytest.fixture(scope="module", params=MAKERS)
def case(request):
    torch.manual_seed(0)
    network, images = MAKERS[request.param]()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.5)
    return network, prepared(images)


@pytest.fixture(scope="module")
def z_spec():
    return np.random.default_rng(1).uniform(0.1, 1.5, N)


def worth(probability, everything, z_spec, value):
    """The values of the page of shapley_values, by other means."""
    pdf = RedshiftPDF(EDGES, probability.astype(float))
    if value == "kl":
        p, q = everything.astype(float), probability.astype(float)
        return np.sum(p * np.log(q), axis=1) - np.sum(p * np.log(p), axis=1)
    if value == "z_median":
        return np.array([one.ppf(0.5).value for one in pdf])
    function, sign = (metrics.crps, -1) if value == "crps" else (metrics.log_score, 1)
    return np.array([sign * function(p, z) for p, z in zip(pdf, z_spec, strict=True)])


def by_permutations(network, inputs, groups, value, z_spec):
    """Mean gain on joining, over all orders, asking the network every time."""

    def ask(present):
        there = [band for group in present for band in group]
        absent = [band not in there for band in range(9)]
        shown = without_bands(inputs, absent)
        return predict_probability(network, shown.images, shown.ebv)

    everything = ask(groups)
    total = np.zeros((len(groups), N))
    orders = list(permutations(range(len(groups))))
    for order in orders:
        before = worth(ask([]), everything, z_spec, value)
        for i, player in enumerate(order):
            with_it = [groups[j] for j in order[: i + 1]]
            after = worth(ask(with_it), everything, z_spec, value)
            total[player] += after - before
            before = after
    return total.T / len(orders)


# Against a plain reference ---------------------------------------------------------


@pytest.mark.parametrize("value", VALUES)
def test_surveys_agree_with_all_orders(case, z_spec, value):
    network, inputs = case
    table = shapley_values(model(network), inputs, value=value, z_spec=z_spec)
    expected = by_permutations(network, inputs, list(SURVEYS.values()), value, z_spec)
    found = np.stack([np.asarray(table[f"shapley_{s}"]) for s in SURVEYS], axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)  # float32
    assert np.abs(found).max() > 1e-4  # something is shared out


@pytest.mark.parametrize("value", VALUES)
def test_they_add_up_exactly(case, z_spec, value):
    network, inputs = case
    groups = {"uv": PUBLISHED_BANDS[:2], "g": ["ps1.g"], "w1": ["unwise.W1"]}
    for some in ("surveys", groups):
        table = shapley_values(
            model(network), inputs, groups=some, value=value, z_spec=z_spec
        )
        total = sum(np.asarray(table[name]) for name in table.colnames[2:])
        np.testing.assert_allclose(total, table["v_all"] - table["v_none"], atol=1e-12)


def test_nine_bands_add_up_and_v_all_is_what_predict_says():
    torch.manual_seed(0)
    network, images = make_photometric()
    inputs = prepared(images)
    table = shapley_values(model(network), inputs, groups="bands", value="z_median")
    total = sum(np.asarray(table[name]) for name in table.colnames[2:])
    np.testing.assert_allclose(total, table["v_all"] - table["v_none"], atol=1e-12)
    assert table.colnames[2:] == [
        f"shapley_{band.replace('.', '_')}" for band in PUBLISHED_BANDS
    ]
    pdf = RedshiftPDF(EDGES, predict_probability(network, inputs.images, inputs.ebv))
    np.testing.assert_array_equal(table["v_all"], pdf.median())


def test_late_fusion_asks_each_encoder_once_for_each_of_its_combinations():
    torch.manual_seed(0)
    network, images = make_late()
    calls = []
    for name in ("model_galex", "model_ps", "model_unwise"):
        getattr(network, name).stem.register_forward_hook(
            lambda *_, name=name: calls.append(name)
        )
    members = np.eye(9, dtype=bool)
    runs = list(iter_coalitions(network, prepared(images), members))
    assert len(runs) == 512
    counts = {name: calls.count(name) for name in set(calls)}
    assert counts == {"model_galex": 4, "model_ps": 32, "model_unwise": 4}
    assert sum(counts.values()) == 40


# Axioms ------------------------------------------------------------------------------


class Weighted(nn.Module):
    """Logits that are a product of sums over bands: bands interact."""

    micro_batch = 4

    def __init__(self, weights):
        super().__init__()
        self.register_buffer("weights", torch.tensor(weights, dtype=torch.float32))

    def forward(self, images, ebv):
        strength = (images.mean((2, 3)) * self.weights).sum(1, keepdim=True)
        return torch.sin(strength * torch.arange(1.0, 9.0)) * (1 + strength)


def test_a_band_that_the_network_ignores_gets_nothing():
    network = Weighted([1, 0, 2, 3, 0, 1, 1, 2, 1.0])
    inputs = prepared(torch.rand(N, 9, 4, 4))
    table = shapley_values(model(network), inputs, groups="bands", value="z_median")
    np.testing.assert_array_equal(table["shapley_galex_FUV"], 0)
    np.testing.assert_array_equal(table["shapley_ps1_i"], 0)
    assert np.all(table["shapley_ps1_r"] != 0)


def test_bands_that_say_the_same_get_the_same():
    network = Weighted([1, 1, 2, 3, 1, 1, 1, 2, 1.0])
    images = torch.rand(N, 9, 4, 4)
    images[:, 1] = images[:, 0]
    table = shapley_values(model(network), prepared(images), groups="bands")
    np.testing.assert_allclose(
        table["shapley_galex_NUV"], table["shapley_galex_FUV"], atol=1e-6
    )


def test_a_survey_that_a_galaxy_lacks_gets_nothing(case, z_spec):
    network, inputs = case
    half = NetworkInput(
        without_bands(inputs, [True, True] + [False] * 7).images, *_rest(inputs)
    )
    mixed = _mix(half, inputs)  # every other galaxy lacks GALEX
    table = shapley_values(model(network), mixed, value="crps", z_spec=z_spec)
    assert np.all(table["shapley_galex"][::2] == 0)
    assert np.all(table["shapley_galex"][1::2] != 0)
    whole = shapley_values(model(network), inputs, value="crps", z_spec=z_spec)
    np.testing.assert_allclose(
        table["shapley_ps1"][1::2], whole["shapley_ps1"][1::2], atol=1e-6
    )


def _rest(inputs):
    return inputs.ebv, inputs.flags, inputs.usable


def _mix(even, odd):
    def one(a, b):
        out = b.clone()
        out[::2] = a[::2]
        return out

    if isinstance(even.images, tuple):
        images = tuple(one(a, b) for a, b in zip(even.images, odd.images, strict=True))
    else:
        images = one(even.images, odd.images)
    return NetworkInput(images, *_rest(odd))


def test_what_galaxies_lack_is_not_asked_for():
    network = Weighted([1.0] * 9)
    images = torch.rand(4, 9, 4, 4)
    images[:, :2] = 0
    runs = list(iter_coalitions(network, prepared(images, 4), np.eye(9, dtype=bool)))
    assert len(runs) == 2**7 + 1  # and once with all, to compare with


@given(hnp.arrays(float, (3, 8), elements=st.floats(-5, 5)))
def test_values_of_any_game_obey_the_axioms(values):
    shares = exact_shapley(values)
    np.testing.assert_allclose(shares.sum(1), values[:, -1] - values[:, 0], atol=1e-9)
    relabelled = values.copy()
    relabelled[:, [1, 2]], relabelled[:, [5, 6]] = values[:, [2, 1]], values[:, [6, 5]]
    np.testing.assert_allclose(exact_shapley(relabelled), shares[:, [1, 0, 2]])
    np.testing.assert_allclose(exact_shapley(2 * values + 1), 2 * shares, atol=1e-9)


def test_a_number_of_values_that_is_no_game_is_refused():
    for n in (1, 3, 6):
        with pytest.raises(ValueError, match=rf"2\*\*n_player long, got {n}"):
            exact_shapley(np.zeros(n))


# Known in theory ---------------------------------------------------------------------


class Bayes(nn.Module):
    """The exact posterior of z ~ N(0.8, s0) from bands with Gaussian errors."""

    micro_batch = 256
    bands = ("ps1.g", "ps1.r", "unwise.W1", "galex.NUV")
    # of each band, over that of the prior; the last is pure noise
    precision = np.array([1.0, 4.0, 16.0, 1e-8])
    s0 = 0.1

    def __init__(self, edges):
        super().__init__()
        centres = (edges[1:] + edges[:-1]) / 2
        self.register_buffer("z", torch.from_numpy(centres - 0.8))
        self.register_buffer("tau", torch.from_numpy(self.precision / self.s0**2))

    def forward(self, images, ebv):
        x = images.view(len(images), 3, 4).double()
        measured, there = x[:, 0], x[:, 2]
        total = 1 / self.s0**2 + there @ self.tau
        mean = (measured * there) @ self.tau / total
        return -0.5 * total[:, None] * (self.z - mean[:, None]) ** 2


@pytest.fixture(scope="module")
def bayes():
    n, edges = 4000, np.linspace(0.2, 1.4, 601)
    rng = np.random.default_rng(1)
    offset = rng.normal(0, Bayes.s0, n)
    noise = rng.normal(0, Bayes.s0 / np.sqrt(Bayes.precision), (n, 4))
    images = np.stack([offset[:, None] + noise, np.zeros((n, 4)), np.ones((n, 4))], 1)
    inputs = prepared(torch.from_numpy(images.reshape(n, 12)), n)
    return model(Bayes(edges), Bayes.bands, edges), inputs, 0.8 + offset


def test_the_information_of_gaussian_measurements_is_shared_as_theory_says(bayes):
    """The mean gain of a set S in log score is ln(1 + sum of precisions) / 2."""
    photoz, inputs, z_spec = bayes
    table = shapley_values(
        photoz, inputs, groups="bands", value="log_score", z_spec=z_spec
    )
    found = [float(np.mean(table[name])) for name in table.colnames[2:]]
    members = (np.arange(16)[:, None] >> np.arange(4)) & 1
    expected = exact_shapley(0.5 * np.log1p(members @ Bayes.precision))
    # the standard deviation of a log score is 0.7, the mean of 4,000 good to 0.011;
    np.testing.assert_allclose(found, expected, atol=0.03)
    np.testing.assert_allclose(table["shapley_galex_NUV"], 0, atol=2e-3)


def test_shares_against_redshift_have_honest_errors(bayes):
    photoz, inputs, z_spec = bayes
    table = shapley_values(photoz, inputs, value="log_score", z_spec=z_spec)
    by_z = attribution_by_redshift(table, z_spec, bins=[0.0, 0.8, 1.6])
    assert by_z["n"].sum() == 4000
    shares = by_z["share_ps1"] + by_z["share_unwise"] + by_z["share_galex"]
    np.testing.assert_allclose(shares, 1)
    # halves of a symmetric problem differ by chance alone
    difference = by_z["mean_ps1"][1] - by_z["mean_ps1"][0]
    error = np.hypot(*by_z["mean_ps1_err"])
    assert abs(difference) < 4 * error
    here = table["shapley_ps1"][z_spec < 0.8]
    assert by_z["mean_ps1"][0] == pytest.approx(np.mean(here))
    assert by_z["mean_ps1_err"][0] == pytest.approx(
        np.std(here) / np.sqrt(len(here)), rel=0.2
    )


def test_knowing_n_of_z_in_place_of_nothing(bayes):
    photoz, inputs, z_spec = bayes
    edges = photoz.card.bin_edges
    prior = RedshiftPDF.from_gaussians(edges, 0.8, Bayes.s0)
    options = {"value": "log_score", "z_spec": z_spec}
    asked = shapley_values(photoz, inputs, **options)
    given = shapley_values(photoz, inputs, nothing=prior, **options)
    # this network's answer to nothing is its prior
    np.testing.assert_allclose(given["v_none"], asked["v_none"], atol=1e-3)
    flat = RedshiftPDF([0.2, 1.4], [1.0])
    given = shapley_values(photoz, inputs, nothing=flat, **options)
    np.testing.assert_allclose(given["v_none"], -np.log(1.2))


# Doors and bad input -----------------------------------------------------------------


@pytest.fixture(scope="module")
def photometric():
    return PhotoZ.from_pretrained("simulated-photometric")


@pytest.fixture(scope="module")
def fluxes():
    rng = np.random.default_rng(1)
    table = QTable()
    for band in ("ps1_g", "ps1_r", "unwise_W1"):
        table[f"flux_{band}"] = rng.uniform(1e3, 1e5, 5) * u.nJy
    table["flux_ps1_g"][4] = np.nan
    table["flux_ps1_r"][4] = np.nan
    table["flux_unwise_W1"][4] = np.nan
    return table


def test_a_table_of_fluxes_and_one_without_any_data(photometric, fluxes):
    table = shapley_values(photometric, fluxes, value="z_median", ebv=np.full(5, 0.03))
    assert table["shapley_ps1"].mask.tolist() == [False] * 4 + [True]
    bare = photometric.with_recalibration(None).with_smoothing(0)
    pdf = bare.predict(fluxes, ebv=0.03)
    np.testing.assert_allclose(table["v_all"][:4], pdf.median()[:4])
    assert np.all(table["shapley_galex"][:4] == 0)
    assert table.meta["groups"] == ["galex", "ps1", "unwise"]


def test_unknown_redshifts_are_masked(photometric, fluxes):
    z_spec = np.ma.masked_array([0.1, np.nan, 0.3, 0.4, 0.5], mask=[0, 0, 1, 0, 0])
    table = shapley_values(photometric, fluxes, value="crps", z_spec=z_spec, ebv=0.02)
    assert table["v_all"].mask.tolist() == [False, True, True, False, True]


def test_no_galaxy_gives_no_row(photometric, fluxes):
    table = shapley_values(photometric, fluxes[:0], ebv=0.02)
    assert len(table) == 0
    assert "shapley_ps1" in table.colnames


def test_what_is_in_does_not_change(case):
    network, inputs = case
    parts = inputs.images if isinstance(inputs.images, tuple) else (inputs.images,)
    before = [part.clone() for part in parts]
    shapley_values(model(network), inputs)
    assert all(torch.equal(a, b) for a, b in zip(before, parts, strict=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": "colours"}, "'groups' must be 'surveys', 'bands' or a mapping"),
        ({"groups": {}}, "'groups' must be 1 to 10 groups, got 0"),
        ({"groups": {"a": ["ps1.g"], "b": ["ps1.g"]}}, "ps1.g must be in one group"),
        ({"value": "accuracy"}, "'value' must be one of kl, z_median, crps, log_score"),
        ({"value": "crps"}, "value='crps' compares with true redshifts: give 'z_spec'"),
        ({"z_spec": [0.1]}, "'z_spec' must have one value for each of 6 galaxies"),
        (
            {"nothing": RedshiftPDF([0, 1.6], [[1.0]])},
            r"'nothing' must be one p\(z\) of shape \(\), got \(1,\)",
        ),
    ],
)
def test_bad_options_are_refused(options, message):
    network, images = make_photometric()
    with pytest.raises(ValueError, match=message):
        shapley_values(model(network), prepared(images), **options)


def test_a_band_that_the_model_does_not_read_is_named():
    network = Weighted([1.0] * 3)
    photoz = model(network, bands=("ps1.g", "ps1.r", "ps1.i"))
    with pytest.raises(ValueError, match="does not read unwise.W1, but ps1.g, ps1.r"):
        shapley_values(
            photoz, prepared(torch.rand(N, 3, 4, 4)), groups={"w": ["unwise.W1"]}
        )


def test_absent_bands_must_be_as_many():
    with pytest.raises(ValueError, match="one value for each of 9 bands, got"):
        without_bands(prepared(torch.rand(N, 9, 4, 4)), [True] * 3)


def test_averages_of_shifts_are_of_their_size():
    table = QTable({"shapley_a": [1.0, -1.0], "shapley_b": [3.0, 3.0]})
    table.meta = {"groups": ["a", "b"], "value": "z_median"}
    by_z = attribution_by_redshift(table, [0.1, 0.2], bins=1)
    assert by_z["share_a"][0] == 0.25


def test_bins_without_galaxies_and_gains_that_are_none_are_masked():
    table = QTable({"shapley_a": [-1.0, 1.0], "shapley_b": [-1.0, 1.0]})
    table.meta = {"groups": ["a", "b"], "value": "crps"}
    by_z = attribution_by_redshift(table, [0.1, 0.3], bins=[0, 0.2, 0.4, 0.6])
    assert by_z["share_a"].mask.tolist() == [True, False, True]
    assert by_z["mean_a"].mask.tolist() == [False, False, True]
    assert by_z["n"].tolist() == [1, 1, 0]


def test_bad_averages_are_refused():
    table = QTable({"shapley_a": [1.0]}, meta={"groups": ["a"], "value": "kl"})
    with pytest.raises(ValueError, match="one value for each of 1 rows, got"):
        attribution_by_redshift(table, [0.1, 0.2])
    with pytest.raises(ValueError, match="'bins' must be a number or increasing edges"):
        attribution_by_redshift(table, [0.1], bins=[0.2, 0.1])
    with pytest.raises(ValueError, match="no galaxy has both"):
        attribution_by_redshift(table, [np.nan])
    with pytest.raises(ValueError, match="must be one that shapley_values returned"):
        attribution_by_redshift(QTable({"a": [1.0]}), [0.1])
