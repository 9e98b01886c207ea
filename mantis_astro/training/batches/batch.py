"""Batches of a training, which depend on the seed and the step alone."""

import hashlib
from dataclasses import dataclass, fields, replace
from typing import Protocol

import numpy as np
import torch

from mantis_astro.exceptions import InputSpecError
from mantis_astro.models.card import UNIFORM
from mantis_astro.training.batches.sampling import (
    Sampler,
    class_balance,
    smooth_n_of_z,
)

__all__ = ["ArrayData", "TrainingBatch", "TrainingData"]


@dataclass(frozen=True)
class TrainingBatch:
    """
    Some galaxies with their redshifts.

    Attributes
    ----------
    images : tuple of `torch.Tensor` or `torch.Tensor`
        As data give them: for images a tuple of planes of pixel values before the
        stretch, each of shape (n_object, n_band, ny, nx), 0 where a pixel is bad; for
        photometry flux and its error in nJy, shape (n_object, 2, n_band), NaN where
        there is none; for any bands what `BandSetSpec.encode_batch` takes. As the
        network reads them, once prepared.
    observed : `torch.Tensor`
        Whether each band was observed, shape (n_object, n_band), bool.
    ebv : `torch.Tensor`
        E(B-V) in magnitudes, shape (n_object, n_map).
    z : `torch.Tensor`
        True redshifts, shape (n_object,), float64.
    weight : `torch.Tensor`
        Weight of each in the loss, about 1, shape (n_object,).
    index : `torch.Tensor`
        Number of each galaxy in its data, shape (n_object,), int64.
    star : `torch.Tensor` or None
        Whether each object is a star, shape (n_object,), bool, where a network is to
        learn that; stars have no weight.
    """

    images: tuple | torch.Tensor
    observed: torch.Tensor
    ebv: torch.Tensor
    z: torch.Tensor
    weight: torch.Tensor
    index: torch.Tensor
    star: torch.Tensor | None = None

    def __len__(self):
        return len(self.z)

    def __getitem__(self, rows):
        """Return the chosen galaxies."""
        return self.map(lambda tensor: tensor[rows])

    def map(self, function):
        """
        Apply a function to every tensor.

        Parameters
        ----------
        function : callable
            From tensor to whatever is wanted.

        Returns
        -------
        TrainingBatch
            With the results.
        """
        values = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, tuple):
                values[f.name] = tuple(map(function, value))
            elif value is not None:
                values[f.name] = function(value)
        return replace(self, **values)

    def encoded(self, spec):
        """
        Prepare the galaxies as a network reads them.

        Parameters
        ----------
        spec : InputSpec, PhotometrySpec or BandSetSpec
            What the network reads.

        Returns
        -------
        TrainingBatch
            With ``images`` as ``spec.to_tensor`` makes them of cutouts or fluxes.
        """
        images = spec.encode_batch(self.images, self.observed, self.ebv)
        return replace(self, images=images)

    def to(self, device):
        """
        Move to a device.

        Parameters
        ----------
        device : `torch.device` or str
            Where to.

        Returns
        -------
        TrainingBatch
            All tensors there, but index.
        """
        moved = self.map(lambda tensor: tensor.to(device, non_blocking=True))
        return replace(moved, index=self.index)


class TrainingData(Protocol):
    """
    Protocol of data for `train`, such as `ArrayData` and `SimulatedData`.

    Attributes
    ----------
    description : str
        What the galaxies are, for the card of the model.
    prior : str
        The n(z) that a network trained on them carries, for the card.
    n_of_z : array_like or None
        Share of the galaxies in each redshift bin, before any balance between bins,
        for the card; None if it is not known. Data may lack it.
    """

    description: str
    prior: str

    def batch(self, step, batch_size, rows=slice(None)):
        """
        Return the galaxies of one step.

        Parameters
        ----------
        step : int
            Number of the step; together with the data's own seed it decides all.
        batch_size : int
            Galaxies in the step.
        rows : slice, optional
            Those of the step that are wanted: each of several processes takes a part.

        Returns
        -------
        TrainingBatch
            Not yet augmented or prepared.
        """

    def validation(self, batch_size):
        """
        Return the galaxies that are held out for validation, always the same.

        Parameters
        ----------
        batch_size : int
            Galaxies at a time.

        Returns
        -------
        iterable of TrainingBatch
            Not yet prepared.
        """


class ArrayData:
    """
    Galaxies in memory, or in memory-mapped arrays.

    Parameters
    ----------
    images : tuple of array_like or array_like
        Planes of pixels before the stretch, each (n, n_band, ny, nx); or flux and error
        in nJy, (n, 2, n_band). See `TrainingBatch`.
    observed : array_like
        Whether each band was observed, (n, n_band).
    ebv : array_like
        E(B-V), (n, n_map).
    z : array_like
        Redshifts, (n,).
    z_edges : array_like
        Edges of the redshift bins; galaxies outside are left out.
    parts : array_like of str, optional
        ``"train"``, ``"validation"`` or ``"test"`` for each, see `split_by_sky`; all
        are for training by default.
    sampling : {"natural", "class-balanced"}, optional
        How galaxies are drawn.
    seed : int, optional
        Of the order.
    weights : array_like, optional
        Weight of each in the loss, (n,), about 1.
    description : str, optional
        What they are.
    n_of_z : array_like, optional
        Share of the population they were drawn from in each redshift bin, where that
        is known; by default the smoothed histogram of those for training.

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` if no galaxy is left to train on.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.training import ArrayData
    >>> z = np.linspace(0.01, 0.99, 50)
    >>> flux = np.ones((50, 2, 9))
    >>> data = ArrayData(
    ...     flux, np.ones((50, 9), bool), np.zeros((50, 2)), z, z_edges=[0, 0.5, 1]
    ... )
    >>> data.batch(step=0, batch_size=4).images.shape
    torch.Size([4, 2, 9])
    """

    def __init__(
        self,
        images,
        observed,
        ebv,
        z,
        *,
        z_edges,
        parts=None,
        sampling="natural",
        seed=0,
        weights=None,
        description="",
        n_of_z=None,
    ):
        self.images, self.observed = images, observed
        self.ebv, self.z = np.asarray(ebv), np.asarray(z, float)
        self.weights = np.ones(len(self.z)) if weights is None else np.asarray(weights)
        parts = np.full(len(self.z), "train") if parts is None else np.asarray(parts)
        edges = np.asarray(z_edges, float)
        inside = (self.z >= edges[0]) & (self.z < edges[-1])
        self.rows = {
            part: np.flatnonzero((parts == part) & inside)
            for part in ("train", "validation", "test")
        }
        self.n_outside = int((~inside).sum())
        drawn = self.z.tobytes(), parts.tobytes(), self.weights.tobytes()
        self.fingerprint = hashlib.sha256(b"".join(drawn)).hexdigest()[:16]
        train = self.rows["train"]
        if not len(train):
            msg = (
                f"no galaxy is left to train on: of {len(self.z)}, {self.n_outside} "
                f"are not within z = {edges[0]:g} to {edges[-1]:g}, "
                f"{int((parts != 'train').sum())} are held out"
            )
            raise InputSpecError(msg)
        chances = None
        self.prior = f"n(z) of the training sample ({description or 'a table'})"
        if sampling == "class-balanced":
            chances = class_balance(self.z[train], edges)
            self.prior = UNIFORM
        self.n_of_z = n_of_z
        if n_of_z is None:
            self.n_of_z = smooth_n_of_z(self.z[train], edges, self.weights[train])
        self.sampler = Sampler(len(train), seed=seed, chances=chances)
        self.description = description

    def __len__(self):
        return len(self.rows["train"])

    def batch(self, step, batch_size, rows=slice(None)):
        """
        Return the galaxies of one step.

        Parameters
        ----------
        step : int
            Number of the step.
        batch_size : int
            Galaxies in the step.
        rows : slice, optional
            Those of the step that are wanted.

        Returns
        -------
        TrainingBatch
            Not yet augmented or prepared.
        """
        chosen = self.sampler.draw(step, batch_size)[rows]
        return self.take(self.rows["train"][chosen])

    def validation(self, batch_size):
        """
        Return the galaxies held out for validation.

        Parameters
        ----------
        batch_size : int
            Galaxies at a time.

        Yields
        ------
        TrainingBatch
            Not yet prepared.
        """
        rows = self.rows["validation"]
        for start in range(0, len(rows), batch_size):
            yield self.take(rows[start : start + batch_size])

    def take(self, rows):
        """
        Return chosen galaxies.

        Parameters
        ----------
        rows : `~numpy.ndarray` of int
            Their numbers.

        Returns
        -------
        TrainingBatch
            In that order.
        """

        def taken(array, dtype):
            values = np.asarray(array[rows])
            return torch.from_numpy(np.ascontiguousarray(values, dtype))

        many = isinstance(self.images, tuple)
        planes = self.images if many else (self.images,)
        images = tuple(taken(plane, np.float32) for plane in planes)
        return TrainingBatch(
            images=images if many else images[0],
            observed=taken(self.observed, bool),
            ebv=taken(self.ebv, np.float32),
            z=taken(self.z, np.float64),
            weight=taken(self.weights, np.float32),
            index=torch.from_numpy(np.asarray(rows, np.int64)),
        )
