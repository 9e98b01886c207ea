"""Files of weights: a network and its card, there and back."""

import hashlib
import json
import logging
import pickle
import re
import warnings
from dataclasses import replace
from pathlib import Path

import safetensors
import safetensors.torch
import torch

from mantis_astro.atomic import atomic_file
from mantis_astro.exceptions import FetchError, InputSpecError
from mantis_astro.models.card import CARD_KEY, read_card
from mantis_astro.models.networks import build_network
from mantis_astro.models.reference_files import (
    read_reference,
    split_reference,
    write_reference,
)
from mantis_astro.models.registry import (
    DEFAULT_MODEL,
    embedded_file,
    get_card,
    list_models,
)

__all__ = ["as_kept", "load_model", "save_model"]

log = logging.getLogger(__name__)

# Keys of a compiled, distributed model; only at the start, each at most once.
_WRAPPERS = re.compile(r"^(_orig_mod\.)?(module\.)?")


# Aperture sums, and the first of the layers behind them or behind a table.
_READS_FLUXES = re.compile(r"(^|\.)(sums\.\d+|layers\.0)\.")
_DTYPES = {"float32": torch.float32, "float16": torch.float16}


def load_model(name_or_path=None, *, card=None, device=None):
    """
    Load a network and its card.

    Parameters
    ----------
    name_or_path : str or path-like, optional
        Name of a model, see `list_models` (its weights are fetched on first use if they
        are not in the package), or a file: ours (``.safetensors``, with its card
        inside), or a state dictionary saved by torch. By default the model in the
        package.
    card : ModelCard, optional
        What a file without a card is; by default the published early-fusion network.
        For a name or a file with a card it must be left out.
    device : str or `torch.device`, optional
        Where the weights go; by default the CPU.

    Returns
    -------
    network : `torch.nn.Module`
        In evaluation mode; called as ``network(images, ebv)``.
    card : ModelCard
        Its card, with the file's SHA-256 and the statistics of the training set, if
        there are any in the file.

    Raises
    ------
    OSError
        `~mantis_astro.exceptions.FetchError` if the file cannot be fetched, is cut
        short, is no weights file, or would run code when loaded.
    ValueError
        `~mantis_astro.exceptions.InputSpecError` if there is no such model, or names
        or shapes of the weights are not those of the network, or weights are not
        finite, or bands of its card are not registered; the message says which.
        Also if there is no such device here.

    Notes
    -----
    The network is built without memory for its weights, and the file is mapped: loading
    takes little more memory than the weights themselves.

    Examples
    --------
    >>> from mantis_astro.models import load_model
    >>> network, card = load_model("simulated-early")
    >>> card.network.kind, card.n_bins
    ('early_fusion', 400)
    """
    path, known = _find(name_or_path)
    if known is not None and card is not None:
        msg = f"{name_or_path!r} has a card of its own: leave out 'card'"
        raise InputSpecError(msg)
    weights, own = _read(path)
    if own is not None and card is not None:
        msg = f"{path} has a card of its own: leave out 'card'"
        raise InputSpecError(msg)
    card = own or known or card or get_card("mantis-shrimp-early")
    with torch.device("meta"):
        network = build_network(card.network)
    check_weights(weights, network.state_dict(), path)
    _check_finite(weights, f"weights of {path} are not finite")
    # half precision is for the file: a CPU computes with it slowly and badly
    weights = {name: tensor.float() for name, tensor in weights.items()}
    network.load_state_dict(weights, strict=True, assign=True)
    if device is not None:
        _move(network, device)
    if known is None or not known.sha256:  # else it was checked when it was fetched
        card = replace(card, sha256=_sha256(path))
    return network, card


def save_model(path, network, card, *, dtype="float32"):
    """
    Write a network and its card into one file.

    Parameters
    ----------
    path : str or path-like
        The file to write, a ``.safetensors``; it appears whole or not at all.
    network : `torch.nn.Module`
        Network that the card describes.
    card : ModelCard
        Its card; statistics of the training set (``card.reference``) go into the same
        file, as tensors of their own.
    dtype : {"float32", "float16"}, optional
        Precision of the weights in the file: half of it makes the file half as large,
        but for the layers that read fluxes. Loaded weights are float32 all the same.

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` if the network is not the card's, if
        weights are not finite (or too large for ``dtype``), or if its statistics are
        of another encoder's features.

    Examples
    --------
    >>> from mantis_astro.models import load_model, save_model
    >>> network, card = load_model()
    >>> save_model("mine.safetensors", network, card)  # doctest: +SKIP
    """
    if dtype not in _DTYPES:
        msg = f"'dtype' must be one of {', '.join(_DTYPES)}, got {dtype!r}"
        raise InputSpecError(msg)
    path = Path(path)
    with torch.device("meta"):
        expected = build_network(card.network).state_dict()
    weights = {
        name: as_kept(name, tensor.detach(), dtype).contiguous()
        for name, tensor in network.state_dict().items()
    }
    check_weights(weights, expected, "the network")
    _check_finite(weights, f"weights are not finite as {dtype}")
    statistics, metadata = write_reference(card.reference, network)
    plain = replace(card, sha256="").to_plain()
    with atomic_file(path) as temporary:
        safetensors.torch.save_file(
            {**weights, **statistics},
            temporary,
            metadata={CARD_KEY: json.dumps(plain), **metadata},
        )


def as_kept(name, tensor, dtype):
    """
    Round a weight to the precision that files of weights keep.

    The first layers that read fluxes stay in single precision: they turn magnitudes of
    20 into colours of 0.01. With 1.6 % of the weights so, half precision moves p(z) of
    the embedded model by 2e-4 in a bin at most; without, by 3e-3.

    Parameters
    ----------
    name : str
        Name of the weight.
    tensor : `torch.Tensor`
        The weight.
    dtype : {"float32", "float16"}
        Precision asked for.

    Returns
    -------
    `torch.Tensor`
        In that precision, or in single precision.
    """
    reads_fluxes = _READS_FLUXES.search(name)
    return tensor.to(torch.float32 if reads_fluxes else _DTYPES[dtype])


def check_weights(weights, expected, source):
    """
    Compare names and shapes of weights with those of a network.

    Parameters
    ----------
    weights, expected : dict of str to `torch.Tensor`
        What there is, and the network's own.
    source : str or path-like
        Where the weights come from, for the message.

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` naming what differs.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    wanted = {name: tuple(tensor.shape) for name, tensor in expected.items()}
    differing = [
        f"{name} is {shapes[name]}, not {wanted[name]}"
        for name in wanted
        if name in shapes and shapes[name] != wanted[name]
    ]
    not_numbers = [
        f"{name} is {tensor.dtype}"
        for name, tensor in weights.items()
        if not tensor.is_floating_point()
    ]
    differences = [
        f"{len(names)} {what}: {_some(names)}"
        for what, names in (
            ("missing", [name for name in wanted if name not in shapes]),
            ("unexpected", [name for name in shapes if name not in wanted]),
            ("of another shape", differing),
            ("not of floating point", not_numbers),
        )
        if names
    ]
    if differences:
        msg = f"weights of {source} do not fit the network; {'; '.join(differences)}"
        raise InputSpecError(msg)


def _check_finite(weights, fault):
    bad = [name for name, tensor in weights.items() if not tensor.isfinite().all()]
    if bad:
        msg = f"{fault}: {_some(bad)}"
        raise InputSpecError(msg)


def _some(names, most=3):
    rest = f", ... ({len(names) - most} more)" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def _find(name_or_path):
    """Find the file, and the card if a named model was asked for."""
    if name_or_path is None:
        name_or_path = DEFAULT_MODEL
    if isinstance(name_or_path, str) and name_or_path in {
        c.name for c in list_models()
    }:
        return _file_of(get_card(name_or_path)), get_card(name_or_path)
    path = Path(name_or_path)
    if path.exists():
        return path, None
    there = ", ".join(card.name for card in list_models())
    if isinstance(name_or_path, Path) or path.suffix or len(path.parts) > 1:
        msg = f"no file {path}; named models are {there}"
        raise FetchError(msg)
    msg = f"no model and no file {name_or_path!r}; named models are {there}"
    raise InputSpecError(msg)


def _file_of(card):
    if embedded_file(card.name).exists():
        return embedded_file(card.name)
    if not card.file:
        msg = f"the weights of {card.name} are not public: {card.description}"
        raise FetchError(msg)
    from mantis_astro.files import fetch_file

    return Path(fetch_file(card.file))


def _read(path):
    """Weights by name, and the card if the file has one."""
    with path.open("rb") as stream:
        head = stream.read(9)
    if path.suffix == ".safetensors" or head[8:] == b"{":  # a length, then JSON
        return _read_safetensors(path)
    return _read_torch(path, mmap=head[:2] == b"PK"), None  # zipped, since torch 1.6


def _read_safetensors(path):
    try:
        with safetensors.safe_open(path, "pt") as stream:
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118  no mapping
            metadata = stream.metadata()
    except safetensors.SafetensorError as error:
        msg = f"{path} is cut short or no safetensors file ({error})"
        raise FetchError(msg) from error
    weights, statistics = split_reference(tensors)
    card = read_card(path)
    if card is not None:
        card = replace(card, reference=read_reference(statistics, metadata))
    return weights, card


def _move(network, device):
    try:
        network.to(device)
    except (AssertionError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        msg = (
            f"'device' {str(device)!r} cannot be used; leave it out for the CPU "
            f"({reason})"
        )
        raise ValueError(msg) from error


def _read_torch(path, *, mmap):
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Detected pickle protocol")
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:
        msg = (
            f"{path} would run code when loaded, or is no weights file; only tensors "
            "are read"
        )  # torch's own words advise to run it
        raise FetchError(msg) from error
    except (RuntimeError, EOFError, ValueError, OSError, KeyError) as error:
        msg = f"{path} is cut short or no weights file ({error})"
        raise FetchError(msg) from error
    if not isinstance(loaded, dict) or not all(map(torch.is_tensor, loaded.values())):
        msg = f"{path} must hold a state dictionary of tensors, got {type(loaded)}"
        raise InputSpecError(msg)
    return {_WRAPPERS.sub("", name): tensor for name, tensor in loaded.items()}


def _sha256(path):
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
