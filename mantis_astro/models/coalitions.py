"""Output of a network for every combination of groups of bands."""

import numpy as np
from torch import nn

from mantis_astro.models.absent_bands import observed_bands, without_bands
from mantis_astro.models.acceleration import accelerate
from mantis_astro.models.heads import with_modules
from mantis_astro.models.inference import predict_probability

__all__ = ["iter_coalitions", "present_groups", "take"]


def iter_coalitions(network, prepared, members):
    """
    Run a network with every combination of groups of bands, a batch of objects at once.

    Parameters
    ----------
    network : `torch.nn.Module`
        Early or late fusion, or photometric.
    prepared : NetworkInput
        What the model's spec prepared.
    members : `~numpy.ndarray`
        Which bands are in each group, shape (n_group, n_band), bool. A band in no
        group is always there.

    Yields
    ------
    rows : `~numpy.ndarray`
        Indices of the objects of this batch, shape (m,).
    coalition : int
        Bit i says that group i is present. That of all groups comes first.
    probability : `~numpy.ndarray`
        Shape (m, n_bins), float32.

    Notes
    -----
    A combination is left out of a batch if each of its objects lacks a group in it;
    objects that lack the same are put into the same batches.
    """
    n_coalition, bits = 1 << len(members), 1 << np.arange(len(members))
    there = present_groups(prepared, members)
    order = np.argsort(there, kind="stable")
    network, encoders = _remembering(network)
    for start in range(0, len(order), network.micro_batch):
        rows = order[start : start + network.micro_batch]
        batch = take(prepared, rows)
        for encoder in encoders:
            encoder.seen.clear()
        for coalition in reversed(range(n_coalition)):
            lacking = (coalition & there[rows]) != coalition
            if lacking.all() and coalition < n_coalition - 1:
                continue
            absent = members[coalition & bits == 0].any(axis=0)
            shown = without_bands(batch, absent)
            for encoder, bands in _each_part(encoders, shown.images, absent):
                encoder.key = bands.tobytes()
            probability = predict_probability(network, shown.images, shown.ebv)
            yield rows, coalition, probability


def present_groups(prepared, members):
    """
    Return which groups have an observed band.

    Parameters
    ----------
    prepared : NetworkInput
        What the model's spec prepared.
    members : `~numpy.ndarray`
        Which bands are in each group, shape (n_group, n_band), bool.

    Returns
    -------
    `~numpy.ndarray`
        Bit i says that group i is present, shape (n_object,), int.
    """
    observed = observed_bands(prepared, members.shape[1])
    return (observed @ members.T.astype(int) > 0) @ (1 << np.arange(len(members)))


def take(prepared, rows):
    """
    Select objects.

    Parameters
    ----------
    prepared : NetworkInput
        Of all objects.
    rows : slice or `~numpy.ndarray` of int
        Which.

    Returns
    -------
    NetworkInput
        Of those.
    """
    images = prepared.images
    images = (
        tuple(part[rows] for part in images)
        if isinstance(images, tuple)
        else images[rows]
    )
    return type(prepared)(
        images, prepared.ebv[rows], prepared.flags[rows], prepared.usable[rows]
    )


class _Remembering(nn.Module):
    """Encoder that caches its features by key for one set of objects."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder
        self.seen = {}  # emptied, never replaced: copies of the network share it
        self.key = b""

    def forward(self, images):
        if self.key not in self.seen:
            self.seen[self.key] = self.encoder(images)
        return self.seen[self.key]


def _remembering(network):
    """Return a network's fast form, with encoders of single images that cache."""
    network = accelerate(network)
    names = getattr(network, "encoder_names", ())  # any module can be asked
    encoders = {name: _Remembering(network.get_submodule(name)) for name in names}
    return with_modules(network, encoders), list(encoders.values())


def _each_part(encoders, images, absent):
    """Pair encoders with which of their bands are absent."""
    start = 0
    for encoder, part in zip(encoders, images, strict=False):
        yield encoder, absent[start : start + part.shape[1]]
        start += part.shape[1]
