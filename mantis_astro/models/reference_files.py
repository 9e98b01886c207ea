"""Reference statistics beside the weights, in the same file."""

import hashlib
import json
import logging

import torch

from mantis_astro.exceptions import InputSpecError
from mantis_astro.shift import ReferenceStatistics

__all__ = ["encoder_sha256", "read_reference", "split_reference", "write_reference"]

log = logging.getLogger(__name__)

#: Before the names of the arrays; no parameter of a network begins so.
PREFIX = "reference."

#: Key of the rest, as JSON, in the metadata of a file of weights.
REFERENCE_KEY = "mantis_astro.reference"


def encoder_sha256(network):
    """
    SHA-256 of all weights except those of the last layer.

    Parameters
    ----------
    network : `torch.nn.Module`
        One of ours.

    Returns
    -------
    str
        SHA-256 over names and values; the same on every device, and whatever the last
        layer is refitted to.

    Examples
    --------
    >>> from mantis_astro.models import load_model
    >>> from mantis_astro.models.reference_files import encoder_sha256
    >>> network, card = load_model()
    >>> len(encoder_sha256(network))
    64
    """
    digest = hashlib.sha256()
    last_layer = f"{network.last_layer_name}."
    for name, tensor in sorted(network.state_dict().items()):
        if name.startswith(last_layer):
            continue
        values = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(values.view(torch.uint8).numpy())
    return digest.hexdigest()


def write_reference(reference, network):
    """
    Convert statistics to tensors and metadata of a file.

    Parameters
    ----------
    reference : `~mantis_astro.shift.ReferenceStatistics` or None
        The statistics.
    network : `torch.nn.Module`
        The network that the file is of.

    Returns
    -------
    tensors : dict of str to `torch.Tensor`
        To be written beside the weights.
    metadata : dict of str to str
        To be written beside the card.

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` if the statistics are of the features
        of another encoder.
    """
    if reference is None:
        return {}, {}
    if reference.encoder and reference.encoder != encoder_sha256(network):
        msg = (
            "the reference statistics of the card are of the features of another "
            "encoder (its weights have changed since): make them again with "
            "PhotoZ.with_reference, or take them off with "
            "dataclasses.replace(card, reference=None)"
        )
        raise InputSpecError(msg)
    arrays, facts = reference.to_arrays()
    tensors = {PREFIX + name: torch.from_numpy(a) for name, a in arrays.items()}
    return tensors, {REFERENCE_KEY: json.dumps(facts)}


def split_reference(tensors):
    """
    Separate the tensors of weights and of statistics in a file.

    Parameters
    ----------
    tensors : dict of str to `torch.Tensor`
        All of them.

    Returns
    -------
    weights, arrays : dict of str to `torch.Tensor`
        The second without prefix.
    """
    weights = {k: v for k, v in tensors.items() if not k.startswith(PREFIX)}
    arrays = {
        k.removeprefix(PREFIX): v for k, v in tensors.items() if k.startswith(PREFIX)
    }
    return weights, arrays


def read_reference(arrays, metadata):
    """
    Restore statistics from a file.

    Parameters
    ----------
    arrays : dict of str to `torch.Tensor`
        What `split_reference` found.
    metadata : dict of str to str or None
        Of the file.

    Returns
    -------
    `~mantis_astro.shift.ReferenceStatistics` or None
        None if there are none in the file, or of a version whose scores meant
        something else, which the log says.

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` if they are not complete.
    """
    facts = (metadata or {}).get(REFERENCE_KEY)
    if facts is None:
        return None
    facts = json.loads(facts)
    if "error_threshold" not in facts:
        log.warning(
            "the statistics of the training set in this file were made by an earlier "
            "version, whose ood_score meant something else: they are left out; make "
            "them again with PhotoZ.with_reference"
        )
        return None
    arrays = {name: tensor.numpy() for name, tensor in arrays.items()}
    return ReferenceStatistics.from_arrays(arrays, facts)
