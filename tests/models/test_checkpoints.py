"""Weights to file and back; what is no weights file is refused by name."""

import hashlib
import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch

from mantis_astro.cli import main
from mantis_astro.exceptions import FetchError, InputSpecError
from mantis_astro.models import (
    EarlyFusionConfig,
    EncoderConfig,
    InputSpec,
    ModelCard,
    build_network,
    get_card,
    list_models,
    load_model,
    save_model,
)
from mantis_astro.models.card import CARD_KEY, read_card
from mantis_astro.models.registry import embedded_file

EDGES = tuple(np.linspace(0, 1, 8).tolist())
CARD = ModelCard(
    name="tiny",
    network=EarlyFusionConfig(EncoderConfig(9, (1, 1), (8, 16)), n_bins=7, hidden=12),
    spec=InputSpec.published_early(),
    z_edges=EDGES,
    citations=("2025arXiv250109112E",),
)


@pytest.fixture
def network():
    return build_network(CARD.network)


@pytest.fixture
def ours(tmp_path, network):
    path = tmp_path / "tiny.safetensors"
    save_model(path, network, CARD)
    return path


def as_published(path, network, prefix="_orig_mod.module.", **changes):
    """A state dictionary as torch saves it, with the keys of a wrapped network."""
    weights = {prefix + name: p for name, p in network.state_dict().items()}
    torch.save({**weights, **changes}, path)
    return path


def assert_same_weights(a, b):
    a, b = a.state_dict(), b.state_dict()
    assert list(a) == list(b)
    assert all(torch.equal(a[name], b[name]) for name in a)


# There and back


def test_weights_and_card_come_back_as_they_were(ours, network):
    loaded, card = load_model(ours)
    assert_same_weights(loaded, network)
    assert replace(card, sha256="") == CARD
    assert not loaded.training


def test_the_card_is_readable_without_the_weights(ours):
    assert read_card(ours) == CARD


def test_the_hash_is_that_of_the_file(ours):
    assert load_model(ours)[1].sha256 == hashlib.sha256(ours.read_bytes()).hexdigest()


def test_a_file_of_the_users_never_carries_the_hash_of_another(tmp_path, network):
    path = as_published(tmp_path / "best.pt", network)
    _, card = load_model(path, card=replace(CARD, sha256="0" * 64))
    assert card.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_saving_what_was_loaded_gives_the_same_file(ours, tmp_path):
    again = tmp_path / "again.safetensors"
    save_model(again, *load_model(ours))
    assert again.read_bytes() == ours.read_bytes()


def test_half_precision_halves_the_file_and_comes_back_as_float32(network, tmp_path):
    paths = {d: tmp_path / f"{d}.safetensors" for d in ("float32", "float16")}
    for dtype, path in paths.items():
        save_model(path, network, CARD, dtype=dtype)
    weights = {d: safetensors.torch.load_file(path) for d, path in paths.items()}
    bytes_of = {d: sum(t.nbytes for t in w.values()) for d, w in weights.items()}
    assert bytes_of["float32"] == 2 * bytes_of["float16"]
    loaded, _ = load_model(paths["float16"])
    for name, tensor in loaded.state_dict().items():
        assert torch.equal(tensor, network.state_dict()[name].half().float())


def test_layers_that_read_fluxes_stay_in_single_precision(tmp_path):
    config = replace(CARD.network, aperture_radii=(3.0,), aperture_widths=(8, 6))
    network = build_network(config)
    path = tmp_path / "half.safetensors"
    save_model(path, network, replace(CARD, network=config), dtype="float16")
    single = {
        name
        for name, tensor in safetensors.torch.load_file(path).items()
        if tensor.dtype == torch.float32
    }
    assert single == {
        "photometry.sums.0.scale",
        "photometry.sums.0.shift",
        "photometry.layers.0.weight",
        "photometry.layers.0.bias",
    }


def test_weights_that_are_not_finite_are_not_written(network, tmp_path):
    with torch.no_grad():
        network.fc1.bias[0] = 1e6  # beyond half precision
    with pytest.raises(InputSpecError, match="not finite as float16: fc1.bias"):
        save_model(tmp_path / "x.safetensors", network, CARD, dtype="float16")
    with pytest.raises(InputSpecError, match="'dtype' must be one of .*, got 'int8'"):
        save_model(tmp_path / "x.safetensors", network, CARD, dtype="int8")
    assert list(tmp_path.iterdir()) == []


def test_a_loaded_network_can_be_trained(ours):
    loaded, _ = load_model(ours)
    loaded(torch.rand(1, 9, 32, 32), torch.rand(1, 2)).sum().backward()
    assert all(p.grad is not None for p in loaded.parameters())


def test_writing_leaves_nothing_half_done(tmp_path, network):
    path = tmp_path / "no such folder" / "tiny.safetensors"
    with pytest.raises(OSError, match="no such folder"):
        save_model(path, network, CARD)
    other = replace(CARD, network=replace(CARD.network, hidden=13))
    with pytest.raises(InputSpecError, match="of another shape"):
        save_model(tmp_path / "other.safetensors", network, other)
    assert list(tmp_path.iterdir()) == []


def test_a_device_that_is_not_there_is_named(ours):
    with pytest.raises(ValueError, match="'device' 'cud' cannot be used; leave it out"):
        load_model(ours, device="cud")


def test_the_device_is_the_callers_choice(ours):
    loaded, _ = load_model(ours, device="cpu")
    assert next(loaded.parameters()).device.type == "cpu"


# The published layout


@pytest.mark.parametrize("prefix", ["_orig_mod.module.", "module.", "_orig_mod.", ""])
def test_wrappers_of_a_training_run_are_taken_off(tmp_path, network, prefix):
    path = as_published(tmp_path / "best.pt", network, prefix)
    loaded, card = load_model(path, card=CARD)
    assert_same_weights(loaded, network)
    assert replace(card, sha256="") == CARD


def test_wrappers_are_taken_off_at_the_start_only(tmp_path, network):
    path = as_published(tmp_path / "x.pt", network, "module.module.")
    with pytest.raises(InputSpecError, match=r"unexpected: module\.fc0\.weight"):
        load_model(path, card=CARD)


def test_a_file_without_a_card_is_taken_for_the_published_network(tmp_path, network):
    path = as_published(tmp_path / "best.pt", network)
    with pytest.raises(InputSpecError, match=r"fc0.weight is .*, not \(2048, 1538\)"):
        load_model(path)


def test_safetensors_without_a_card_need_one(tmp_path, network):
    path = tmp_path / "bare.safetensors"
    safetensors.torch.save_file(network.state_dict(), path)
    loaded, card = load_model(path, card=CARD)
    assert_same_weights(loaded, network)
    assert card.name == "tiny"


# What does not fit


def test_missing_and_unexpected_weights_are_named(tmp_path, network):
    path = as_published(tmp_path / "x.pt", network, "", extra=torch.zeros(1))
    weights = torch.load(path, weights_only=True)
    del weights["fc1.bias"]
    torch.save(weights, path)
    match = r"1 missing: fc1\.bias; 1 unexpected: extra"
    with pytest.raises(InputSpecError, match=match):
        load_model(path, card=CARD)


def test_many_differences_are_counted(tmp_path):
    path = tmp_path / "x.pt"
    torch.save({f"w{i}": torch.zeros(1) for i in range(10)}, path)
    with pytest.raises(InputSpecError, match=r"10 unexpected: w0, w1, w2, .*7 more"):
        load_model(path, card=CARD)


def test_weights_of_integers_are_refused(tmp_path, network):
    bias = torch.zeros(7, dtype=torch.int64)
    path = as_published(tmp_path / "x.pt", network, "", **{"fc1.bias": bias})
    with pytest.raises(InputSpecError, match=r"fc1\.bias is torch\.int64"):
        load_model(path, card=CARD)


def test_a_card_cannot_replace_the_one_in_the_file(ours):
    with pytest.raises(InputSpecError, match="card of its own: leave out 'card'"):
        load_model(ours, card=CARD)


def test_a_card_cannot_replace_that_of_a_named_model():
    with pytest.raises(InputSpecError, match="card of its own: leave out 'card'"):
        load_model("simulated-early", card=CARD)


# What is no weights file


class Harmful:
    def __reduce__(self):
        return print, ("code ran",)


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_checkpoint_never_runs(tmp_path, capsys, legacy):
    path = tmp_path / "x.pt"
    torch.save({"fc1.bias": Harmful()}, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(FetchError, match=r"(?s)would run code.*only tensors are read"):
        load_model(path, card=CARD)
    assert "code ran" not in capsys.readouterr().out


def test_a_bare_pickle_is_refused(tmp_path, capsys):
    path = tmp_path / "x.pt"
    path.write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(FetchError, match=r"x\.pt (would run code|is cut short)"):
        load_model(path, card=CARD)
    assert "code ran" not in capsys.readouterr().out


@pytest.mark.parametrize("keep", [0, 5, 200, 0.5, 0.99])
@pytest.mark.parametrize("layout", ["ours", "published"])
def test_a_file_cut_short_is_told_as_such(tmp_path, ours, network, layout, keep):
    path = ours if layout == "ours" else as_published(tmp_path / "x.pt", network)
    content = path.read_bytes()
    n = keep if isinstance(keep, int) else int(keep * len(content))
    path.write_bytes(content[:n])
    with pytest.raises(FetchError, match=path.name):
        load_model(path)


@pytest.mark.parametrize(
    "content", [b"<html>404: not found</html>", b"version https://git-lfs", b"\0" * 99]
)
def test_a_page_or_pointer_instead_of_weights_is_refused(tmp_path, content):
    path = tmp_path / "best.pt"
    path.write_bytes(content)
    with pytest.raises(FetchError, match=r"best\.pt"):
        load_model(path)


@pytest.mark.parametrize("thing", [torch.zeros(3), {"epoch": 3}, [torch.zeros(3)]])
def test_something_else_than_a_state_dictionary_is_refused(tmp_path, thing):
    path = tmp_path / "x.pt"
    torch.save(thing, path)
    with pytest.raises(InputSpecError, match="must hold a state dictionary of tensors"):
        load_model(path, card=CARD)


def rewritten(path, change):
    """The same file with its card changed."""
    weights = safetensors.torch.load_file(path)
    plain = CARD.to_plain()
    text = change(plain) or json.dumps(plain)
    safetensors.torch.save_file(weights, path, metadata={CARD_KEY: text})
    return path


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda plain: "{not json", "cannot be understood"),
        (lambda plain: "[]", "this is no model card"),
        (lambda plain: plain.pop("z_edges") and None, "z_edges"),
        (lambda plain: plain.update(colour="red"), "colour"),
        (lambda plain: plain["network"].update(kind="quantum"), "kind 'quantum'"),
        (lambda plain: plain["network"].update(depth=3), "has no depth"),
        (lambda plain: plain.update(z_edges=[0, 2, 1]), "must be increasing"),
        (lambda plain: plain.update(z_edges=[0, 1]), "7 redshift bins.* makes 1"),
        (lambda plain: plain.update(network=3), "this is no model card"),
        (lambda plain: plain.update(citations=3), "this is no model card"),
        (lambda plain: plain.update(name=["x"]), "this is no model card"),
        (lambda plain: plain.update(z_edges=[*range(7), 1e999]), "increasing finite"),
        (lambda plain: plain["spec"].update(bands=["x.y"] * 9), r"no band 'x\.y'"),
        (lambda plain: "[" * 100_000 + "]" * 100_000, "nested too deeply"),
        (lambda plain: '{"name":' * 400 + "1" + "}" * 400, "this is no model card"),
    ],
)
def test_a_card_that_cannot_be_understood_names_the_file(ours, change, match):
    with pytest.raises(InputSpecError, match=rf"(?s)tiny\.safetensors.*{match}"):
        load_model(rewritten(ours, change))


def test_a_photometric_card_of_unknown_bands_is_refused():
    card = get_card("simulated-photometric")
    bands = ("des.u", *card.spec.bands[1:])
    with pytest.raises(InputSpecError, match=r"no band 'des\.u'.*register the model's"):
        replace(card, spec=replace(card.spec, bands=bands))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused_when_loaded(ours, value):
    weights = safetensors.torch.load_file(ours)
    name = sorted(weights)[0]
    weights[name].view(-1)[0] = value
    metadata = {CARD_KEY: json.dumps(CARD.to_plain())}
    safetensors.torch.save_file(weights, ours, metadata=metadata)
    with pytest.raises(InputSpecError, match=rf"tiny.* are not finite: {name}"):
        load_model(ours)


def test_a_card_does_not_command_the_terminal(ours, capsys):
    hostile = "\x1b]0;owned\x07 \u202eabc\r\nline"

    def change(plain):
        plain.update(name=hostile, description=hostile, citations=[hostile])

    assert main(["models", str(rewritten(ours, change))]) == 0
    out = capsys.readouterr().out
    assert all(c.isprintable() for c in out.replace("\n", ""))
    assert r"\x1b]0;owned\x07 \u202eabc  line" in out


def test_a_name_of_a_weight_does_not_command_the_terminal(ours, capsys):
    weights = safetensors.torch.load_file(ours) | {"\x1b[2J": torch.zeros(1)}
    metadata = {CARD_KEY: json.dumps(CARD.to_plain())}
    safetensors.torch.save_file(weights, ours, metadata=metadata)
    assert main(["models", str(ours)]) == 1
    assert r"1 unexpected: \x1b[2J" in capsys.readouterr().err


# By name


EMBEDDED = [card for card in list_models() if embedded_file(card.name).exists()]


@pytest.mark.parametrize("card", EMBEDDED, ids=str)
def test_models_of_the_package_need_no_network(card):
    network, loaded = load_model(card.name)
    assert replace(loaded, sha256="") == card
    with torch.inference_mode():
        n = len(card.ebv_maps)
        if card.network.kind == "band_set_network":
            images = torch.zeros(2, 5, card.spec.n_token)
        elif card.is_photometric:
            images = torch.zeros(2, card.spec.n_inputs)
        else:
            images = torch.zeros(2, len(card.bands), *card.spec.geometry.shape)
        if card.network.kind == "late_fusion":
            images = images.split((2, 5, 2), 1)
        assert network(images, torch.zeros(2, n)).shape == (2, card.n_bins)


def test_the_default_is_a_model_of_the_package():
    assert load_model()[1].name == list_models()[0].name


def test_models_of_the_package_are_small():
    assert len(EMBEDDED) == 4
    assert max(embedded_file(c.name).stat().st_size for c in EMBEDDED) < 3e6


def test_published_weights_come_through_the_table_of_files(monkeypatch, tmp_path):
    asked = []

    def fetch_file(name):
        asked.append(name)
        return as_published(tmp_path / "best_early.pt", build_network(CARD.network))

    monkeypatch.setattr("mantis_astro.files.fetch_file", fetch_file)
    with pytest.raises(InputSpecError, match="do not fit the network"):
        load_model("mantis-shrimp-early")
    assert asked == ["mantis-shrimp-early"]


def test_the_card_of_the_published_file_has_the_hash_that_is_checked():
    from mantis_astro.files import get_file

    card = get_card("mantis-shrimp-early")
    assert card.sha256 == get_file(card.file).sha256


def test_weights_that_are_not_public_are_said_not_to_be():
    with pytest.raises(FetchError, match="mantis-shrimp-late are not public"):
        load_model("mantis-shrimp-late")


def test_an_unknown_name_lists_the_models():
    with pytest.raises(
        InputSpecError, match="no model and no file 'shrimp'.*simulated-early"
    ):
        load_model("shrimp")


@pytest.mark.parametrize("path", ["shrimp.pt", "weights/shrimp"])
def test_a_path_that_is_not_there_is_a_missing_file(path):
    with pytest.raises(FetchError, match=f"no file {path}"):
        load_model(path)
