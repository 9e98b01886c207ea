"""Inference for many objects, with results that do not depend on the batch size."""

import numpy as np
import torch

from mantis_astro.exceptions import InputSpecError
from mantis_astro.models.acceleration import accelerate

__all__ = ["predict_both", "predict_features", "predict_probability"]


def predict_probability(network, images, ebv, *, dihedral=False, device=None):
    """
    Probability in each redshift bin, for many objects.

    Parameters
    ----------
    network : `torch.nn.Module`
        Called as ``network(images, ebv)``; it runs in its fast form, see `accelerate`.
    images : `torch.Tensor` or tuple of `torch.Tensor`
        What the model's spec prepared, n_object first.
    ebv : `torch.Tensor`
        E(B-V) in magnitudes, shape (n_object, n_map).
    dihedral : bool, optional
        Average the probability over the eight orientations of each image (rotations by
        90 degrees, and their mirror images): eight times the work.
    device : str or `torch.device`, optional
        Where to compute; by default where the network is. The network must be there.

    Returns
    -------
    `~numpy.ndarray`
        Shape (n_object, n_bins), float32; each row sums to 1 to rounding.

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` if ``dihedral`` is asked for
        something that is no image.

    Notes
    -----
    The network always sees as many objects as its ``micro_batch``, the last ones padded
    with zeros, so an object's answer is the same to the last bit whatever it is
    predicted with. The published code applies a random rotation; here is none.

    Examples
    --------
    >>> import torch
    >>> from mantis_astro.models import load_model, predict_probability
    >>> network, card = load_model("simulated-early")
    >>> images, ebv = torch.zeros(3, 9, 32, 32), torch.zeros(3, 2)
    >>> predict_probability(network, images, ebv).shape == (3, card.n_bins)
    True
    """
    if dihedral and any(part.ndim != 4 for part in _parts(images)):
        msg = "'dihedral' turns images; this network reads a table"
        raise InputSpecError(msg)
    network = accelerate(network)
    turns = range(8 if dihedral else 1)

    def probability(images, ebv):
        return sum(
            torch.softmax(network(_turned(images, turn), ebv), -1) for turn in turns
        ) / len(turns)

    return _in_micro_batches(probability, network, images, ebv, device)


def predict_features(network, images, ebv, *, device=None):
    """
    Features of many objects: the input of the network's last layer.

    Parameters
    ----------
    network : `torch.nn.Module`
        One of ours, with a method ``features``.
    images : `torch.Tensor` or tuple of `torch.Tensor`
        What the model's spec prepared, n_object first.
    ebv : `torch.Tensor`
        E(B-V) in magnitudes, shape (n_object, n_map).
    device : str or `torch.device`, optional
        Where to compute; by default where the network is. The network must be there.

    Returns
    -------
    `~numpy.ndarray`
        Shape (n_object, n_features), float32.
    """
    network = accelerate(network)
    return _in_micro_batches(network.features, network, images, ebv, device)


def predict_both(network, images, ebv, *, dihedral=False, device=None):
    """
    Probability and features of many objects, in one run of the network.

    Parameters
    ----------
    network, images, ebv, dihedral, device
        As for `predict_probability`; the network must be one of ours.

    Returns
    -------
    probability : `~numpy.ndarray`
        Shape (n_object, n_bins), float32; those of `predict_probability` to the bit.
    features : `~numpy.ndarray`
        Shape (n_object, n_features), float32; of the images as they are, not turned.
    """
    network = accelerate(network)
    turns = range(8 if dihedral else 1)

    def both(images, ebv):
        features = [network.features(_turned(images, turn), ebv) for turn in turns]
        logits = map(network.last_layer, features)
        probability = sum(torch.softmax(row, -1) for row in logits) / len(turns)
        return torch.cat([probability, features[0]], 1)

    joined = _in_micro_batches(both, network, images, ebv, device)
    n_bins = joined.shape[1] - network.n_features
    return joined[:, :n_bins].copy(), joined[:, n_bins:].copy()


@torch.inference_mode()
def _in_micro_batches(function, network, images, ebv, device):
    if device is None:
        device = next((p.device for p in network.parameters()), "cpu")
    size = network.micro_batch
    if not hasattr(network, "groups") or not len(ebv):
        return _rows_of(function, images, ebv, size, device)
    out = None
    for rows, group in network.groups(images):
        part = _rows_of(function, group, ebv[rows], size, device)
        if out is None:
            out = np.empty((len(ebv), part.shape[1]), np.float32)
        out[rows.numpy()] = part
    return out


def _rows_of(function, images, ebv, size, device):
    """Rows of what a function gives for objects of inputs of one shape."""
    n_object = len(ebv)
    # An empty input goes through the network once, to learn the length of a row.
    starts = range(0, max(n_object, 1), size)
    rows = []
    for start in starts:
        part = [
            _padded(tensor[start : start + size], size).to(device)
            for tensor in (*_parts(images), ebv)
        ]
        *parts, part_ebv = part
        joined = tuple(parts) if isinstance(images, tuple) else parts[0]
        out = function(joined, part_ebv)[: n_object - start]
        rows.append(out.to("cpu", torch.float32).numpy())
    return np.concatenate(rows)


def _padded(tensor, size):
    if len(tensor) == size:
        return tensor
    return torch.cat([tensor, tensor.new_zeros(size - len(tensor), *tensor.shape[1:])])


def _parts(images):
    return images if isinstance(images, tuple) else (images,)


def _turned(images, turn):
    """One of the eight orientations; the first is the image as it is."""

    def one(x):
        x = torch.rot90(x, turn % 4, (-2, -1))
        return x.flip(-1) if turn >= 4 else x

    return tuple(map(one, images)) if isinstance(images, tuple) else one(images)
