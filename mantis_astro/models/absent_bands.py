"""Input of a network with some bands set to not observed."""

from dataclasses import replace

import numpy as np
import torch

__all__ = ["observed_bands", "without_bands"]


def _channels(images, n_band):
    """View each part as (n_object, ..., n_channel, n_number): numbers of each band."""
    parts = images if isinstance(images, tuple) else (images,)
    if (
        parts[0].ndim == 2
    ):  # photometry: a few numbers for each band, see PhotometrySpec
        (part,) = parts
        return [part.view(len(part), -1, n_band).transpose(1, 2)]
    return [part.flatten(2) for part in parts]


def observed_bands(prepared, n_band):
    """
    Return which bands of an input were observed.

    Parameters
    ----------
    prepared : NetworkInput
        What a model's spec prepared.
    n_band : int
        Number of bands that the model reads.

    Returns
    -------
    `~numpy.ndarray`
        Shape (n_object, n_band), bool: whether anything but zeros stands for the band.
    """
    channels = _channels(prepared.images, n_band)
    return torch.cat([(part != 0).any(2) for part in channels], 1).numpy()


def without_bands(prepared, absent):
    """
    Set bands to missing, as where a survey did not observe.

    In images, all pixels are zero after the stretch; in photometry, so are the
    magnitude, its error and the number that says whether the band was observed. That is
    what networks see of missing bands in training.

    Parameters
    ----------
    prepared : NetworkInput
        What a model's spec prepared; not changed.
    absent : array_like of bool
        For each band that the model reads, in its order, shape (n_band,).

    Returns
    -------
    NetworkInput
        The same flags and usability.

    Raises
    ------
    ValueError
        If there are not as many bands in the images.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from mantis_astro.models import NetworkInput, without_bands
    >>> images, ebv = torch.ones(1, 3, 4, 4), torch.zeros(1, 2)
    >>> prepared = NetworkInput(images, ebv, np.zeros(1, int), np.ones(1, bool))
    >>> without_bands(prepared, [False, True, False]).images[0, :, 0, 0]
    tensor([1., 0., 1.])
    """
    absent = np.asarray(absent, bool)
    images = prepared.images
    images = tuple(map(_copy, images)) if isinstance(images, tuple) else _copy(images)
    channels = _channels(images, len(absent))
    n_band = sum(part.shape[1] for part in channels)
    if n_band != len(absent):
        msg = f"'absent' must have one value for each of {n_band} bands, got {absent}"
        raise ValueError(msg)
    start = 0
    for part in channels:
        here = torch.from_numpy(absent[start : start + part.shape[1]])
        part[:, here] = 0
        start += part.shape[1]
    return replace(prepared, images=images)


def _copy(tensor):
    return tensor.clone(memory_format=torch.contiguous_format)  # so that views work
