"""From what data give to what a network reads, in torch: stretch and magnitudes."""

from dataclasses import replace

import numpy as np
import torch

from mantis_astro.exceptions import InputSpecError
from mantis_astro.models.photometric_inputs import PhotometrySpec
from mantis_astro.models.stretches import (
    ClipStretch,
    FluxAsinhStretch,
    PositiveAsinhStretch,
)

__all__ = ["prepare_batch"]

_AB = 3631e9  # nJy
_POGSON = 2.5 / np.log(10)


def prepare_batch(batch, spec):
    """
    Prepare a batch as the network reads it.

    Parameters
    ----------
    batch : TrainingBatch
        As data give it.
    spec : InputSpec or PhotometrySpec
        What the network reads.

    Returns
    -------
    TrainingBatch
        With ``images`` as ``spec.to_tensor`` makes them of cutouts or fluxes.
    """
    if isinstance(spec, PhotometrySpec):
        return replace(batch, images=_photometry(batch, spec))
    planes, start = [], 0
    for plane in batch.images:
        channels = slice(start, start + plane.shape[1])
        shown = batch.observed[:, channels, None, None]
        planes.append(_stretched(plane, spec.stretch[channels]) * shown)
        start = channels.stop
    joined = spec.geometry.combine(tuple(plane.numpy() for plane in planes))
    return replace(batch, images=joined)


def _photometry(batch, spec):
    """Asinh magnitude, its error, and whether observed: (n, 3 n_band)."""
    flux, error = batch.images.unbind(1)  # (n, n_band) each
    softening = flux.new_tensor(spec.softening)
    zero = torch.log(softening / (2 * _AB))
    magnitude = -_POGSON * (torch.asinh(flux / softening) + zero)
    scaled = (spec.zero_magnitude - magnitude) / spec.magnitude_scale
    error = torch.where(error > 0, error, torch.nan)
    magnitude_error = _POGSON * error / torch.hypot(flux, softening)
    seen = batch.observed & torch.isfinite(flux)
    inputs = torch.stack([scaled, magnitude_error, torch.ones_like(flux)], 1)
    return torch.nan_to_num(torch.where(seen[:, None], inputs, 0.0)).flatten(1)


def _stretched(plane, stretches):
    kinds = {type(stretch) for stretch in stretches}
    if len(kinds) > 1:
        parts = [_stretched(plane[:, [j]], [s]) for j, s in enumerate(stretches)]
        return torch.cat(parts, 1)

    def of(name):
        values = [getattr(stretch, name) for stretch in stretches]
        return plane.new_tensor(values)[:, None, None]

    (kind,) = kinds
    if kind is FluxAsinhStretch:
        return torch.asinh(plane / of("softening"))
    if kind is PositiveAsinhStretch:
        return (torch.asinh(plane * of("factor")) / of("divisor")).clamp(min=0)
    if kind is ClipStretch:
        return (plane / of("scale")).clamp(0, 1)
    msg = f"training knows no stretch {kind.__name__}"
    raise InputSpecError(msg)
