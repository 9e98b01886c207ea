"""Cards: named models, their contracts, and the bins of the published training."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mantis_astro.exceptions import InputSpecError
from mantis_astro.models import (
    DEFAULT_MODEL,
    ModelCard,
    get_card,
    list_models,
    register_model,
)
from mantis_astro.models.registry import _cards
from mantis_astro.records import from_plain, record, to_plain

ALL = pytest.mark.parametrize("card", list_models(), ids=lambda card: card.name)


@ALL
def test_cards_survive_json(card):
    assert ModelCard.from_plain(json.loads(json.dumps(card.to_plain()))) == card


@ALL
def test_cards_say_what_they_are(card):
    assert card.description
    assert card.training_sample
    assert card.training_prior
    assert card.caveats
    assert not card.placeholder


@ALL
def test_a_card_finds_itself_by_name(card):
    assert get_card(card.name) is card
    assert repr(card) == f"<ModelCard {card.name}: {card.network.kind}>"


@ALL
def test_networks_read_what_the_spec_gives(card):
    assert len(card.ebv_default) == len(card.ebv_maps) == card.network.n_ebv
    if card.network.kind == "band_set_network":
        assert card.bands == ()
    elif card.is_photometric:
        assert card.network.n_inputs == card.spec.n_inputs
    elif card.network.kind == "early_fusion":
        assert card.network.encoder.in_channels == len(card.bands)
    else:
        assert card.network.kind == "late_fusion"
        in_order = (card.network.galex, card.network.ps1, card.network.unwise)
        assert [e.in_channels for e in in_order] == [2, 5, 2]


def test_the_default_model_comes_first():
    assert list_models()[0].name == DEFAULT_MODEL


def test_the_list_is_the_callers_own():
    list_models().clear()
    assert list_models()


def test_bin_edges_are_the_callers_own():
    card = get_card("mantis-shrimp-early")
    card.bin_edges[:] = 0
    assert card.bin_edges[-1] == 1.6


def test_an_unknown_model_lists_those_that_are():
    with pytest.raises(InputSpecError, match="no model 'x'; there are simulated-early"):
        get_card("x")


def test_a_name_is_given_once():
    with pytest.raises(ValueError, match="'simulated-early' is already registered"):
        register_model(get_card("simulated-early"))


def test_a_registered_model_is_listed():
    card = replace(get_card("simulated-early"), name="mine")
    try:
        assert register_model(card) is card
        assert card in list_models()
    finally:
        del _cards()["mine"]


def test_the_network_must_read_as_many_dust_maps_as_the_spec_gives():
    card = get_card("simulated-photometric")
    with pytest.raises(InputSpecError, match=r"reads 3 values of E\(B-V\)"):
        replace(card, network=replace(card.network, n_ebv=3))


# Records


@record("test-point")
class Point:
    x: float
    rest: tuple = ()


def test_records_nest_and_come_back():
    value = Point(1.0, (Point(2.0), "text", None, (1, 2)))
    assert from_plain(json.loads(json.dumps(to_plain(value)))) == value


def test_dictionaries_without_a_kind_stay_dictionaries():
    assert from_plain({"a": [1, {"b": 2}]}) == {"a": (1, {"b": 2})}
    assert to_plain({"a": (1, Point(0.0))})["a"][1]["kind"] == "test-point"


def test_a_kind_is_given_once():
    with pytest.raises(ValueError, match="'test-point' is already taken by Point"):

        @record("test-point")
        class Other:
            y: int


# The bins of the published training


def test_published_bins_hold_the_classes_of_the_training():
    """Class i was the nearest of 0.004 i for galaxies at z < 1.6."""
    edges = get_card("mantis-shrimp-early").bin_edges
    z = np.random.default_rng(0).uniform(0, 1.5979, 10_000)
    nearest = np.abs(z[:, None] - 0.004 * np.arange(400)).argmin(1)
    np.testing.assert_array_equal(np.searchsorted(edges, z, side="right") - 1, nearest)
    assert (edges[0], edges[-1], len(edges)) == (0, 1.6, 401)


def test_published_answers_are_not_stretched():
    """The released inference put class i at 1.6 i / 399: 400/399 times too far."""
    edges = get_card("mantis-shrimp-early").bin_edges
    middle = (edges[1:] + edges[:-1]) / 2
    np.testing.assert_allclose(middle[1:-1], 0.004 * np.arange(1, 399), atol=1e-12)
    assert not np.isclose(middle[300], np.linspace(0, 1.6, 400)[300], atol=1e-3)
