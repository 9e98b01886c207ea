"""What a network of any bands has learnt from, and what is outside of it."""

import numpy as np
import pytest
import torch

from mantis_astro.models import BandSetSpec
from mantis_astro.models.learnt_ranges import QUANTITIES, LearntRanges, Measured
from mantis_astro.records import from_plain, to_plain


def made(n=2000, pivot=(0.15, 0.48, 0.62, 3.4), seed=0, offset=0.0):
    rng = np.random.default_rng(seed)
    pivot = np.broadcast_to(pivot, (n, len(pivot)))
    colour = rng.normal(0, 0.5, pivot.shape)
    magnitude = rng.uniform(16, 22, (n, 1)) + colour + offset
    depth = magnitude + rng.uniform(2, 4, pivot.shape)
    return Measured(np.ones(pivot.shape, bool), pivot, magnitude, depth, colour)


@pytest.fixture(scope="module")
def learnt():
    return LearntRanges.of(made())


def test_what_was_learnt_from_is_inside(learnt):
    bands, objects = learnt.outside(made(seed=1))
    assert bands.shape == (2000, 4, len(QUANTITIES))
    assert bands.any((1, 2)).mean() < 0.005
    assert not objects.any()


def test_quantiles_are_those_of_the_sample(learnt):
    sample = made()
    stretch = np.searchsorted(learnt.edges, 3.4) - 1
    expected = np.quantile(sample.magnitude[:, 3], [0.001, 0.16, 0.5, 0.84, 0.999])
    assert np.allclose(learnt.magnitude[stretch], expected, atol=1e-3)


@pytest.mark.parametrize(
    ("change", "quantity", "words"),
    [
        ({"magnitude": 28.0}, "magnitude", "magnitude 28.0, learnt from 1"),
        ({"depth": 31.5}, "depth", "error as of 31.5 mag, learnt from 1"),
        ({"colour": -4.0}, "colour", "-4.0 mag from the object's mean, learnt from -"),
        ({"pivot": 1.2}, "magnitude", "no band near this wavelength was learnt"),
    ],
)
def test_each_quantity_is_told_in_words(learnt, change, quantity, words):
    sample = made(3, seed=2)
    ((name, value),) = change.items()
    values = getattr(sample, name).copy()
    values[1, 2] = value
    found = learnt.list_outside(sample._replace(**{name: values}), ["a", "b", "c", "d"])
    assert set(found["row"]) == {1}
    assert set(found["band"]) == {"c"}
    assert quantity in found["quantity"]
    assert words in found["reason"][0]


def test_an_error_that_is_not_known_is_not_compared(learnt):
    sample = made(3)
    depth = np.full_like(sample.depth, np.nan)
    bands, _ = learnt.outside(sample._replace(depth=depth))
    assert not bands.any()


def test_too_few_bands_and_wavelengths_are_told(learnt):
    sample = made(4, seed=3)
    there = np.ones((4, 4), bool)
    there[1, 1:] = False  # nothing but the ultraviolet
    there[2, :3] = False  # nothing but the infrared
    there[3] = False
    bands, objects = learnt.outside(sample._replace(there=there))
    assert not bands.any()
    assert objects.tolist() == [
        [False] * 3,
        [True, False, True],
        [True, True, False],
        [False] * 3,
    ]
    found = learnt.list_outside(sample._replace(there=there), "abcd")
    assert found["reason"].tolist() == [
        "1 measurements of 4 at least",
        "no band beyond 0.15 micron, needed from 3.40",
        "1 measurements of 4 at least",
        "no band short of 3.40 micron, needed to 0.15",
    ]


def test_one_measurement_has_no_colour():
    sample = made(100)
    there = sample.there.copy()
    there[:50, 1:] = False
    learnt = LearntRanges.of(sample._replace(there=there))
    assert learnt.fewest == 1
    _, objects = learnt.outside(sample._replace(there=there))
    assert objects[:, 0].tolist() == [True] * 50 + [False] * 50


def test_nothing_outside_is_an_empty_table(learnt):
    found = learnt.list_outside(made(0), "abcd")
    assert len(found) == 0
    assert found.colnames[0] == "row"


def test_ranges_only_become_wider(learnt):
    more = LearntRanges.of(made(offset=3.0, pivot=(0.48, 0.62)), learnt)
    stretch = np.searchsorted(learnt.edges, 0.48) - 1
    before, after = learnt.magnitude[stretch], more.magnitude[stretch]
    assert after[0] == before[0]
    assert after[-1] > before[-1] + 2
    assert after[1:-1] == before[1:-1]
    assert more.fewest == 2
    assert more.bluest == 0.48
    assert more.reddest == 0.62


def test_a_sample_is_compared_band_by_band(learnt):
    sample = made(500, offset=4.0, seed=5)
    there = np.ones((500, 4), bool)
    there[:, 2] = False
    table = learnt.compare(sample._replace(there=there), ["u", "g", "r", "W1"])
    assert set(table["band"]) == {"u", "g", "W1"}
    first = table[0]
    assert first["quantity"] in ("magnitude", "depth")
    assert first["median"] - first["learnt_median"] == pytest.approx(4, abs=0.4)
    colours = table[table["quantity"] == "colour"]
    assert np.abs(colours["shift"]).max() < 0.3


def test_they_travel_in_a_card(learnt):
    spec = BandSetSpec(ranges=learnt)
    assert from_plain(to_plain(spec)) == spec


def test_magnitudes_come_back_from_what_is_encoded():
    spec = BandSetSpec()
    flux = torch.tensor([[3631e3, 3631e2, 5.0]]).double()
    error = torch.tensor([[3631e2, torch.nan, 100.0]]).double()
    described = spec.describe(["panstarrs_g", "panstarrs_i", "wise_w1"])[None]
    encoded = spec.encode(
        flux, error, flux > 0, described, torch.zeros(1), torch.zeros(1)
    )
    found = spec.measured(encoded)
    assert np.allclose(found.magnitude[0, :2], [15, 17.5], atol=0.02)
    assert found.depth[0, 0] == pytest.approx(17.5, abs=0.03)  # with a floor of 2 %
    assert np.isnan(found.depth[0, 1])
    assert np.allclose(found.pivot, [[0.4849, 0.7535, 3.368]], rtol=0.01)
    assert found.there.all()
    wider = spec.learnt([encoded.expand(40, -1, -1), encoded[:, :2].expand(9, -1, -1)])
    assert wider.ranges.fewest == 2
