"""The door in: from cutouts with units to the tensors that a network reads."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch

from mantis_astro.bands import get_band
from mantis_astro.cutouts import MultibandCutout
from mantis_astro.exceptions import InputSpecError
from mantis_astro.extinction import resolve_ebv
from mantis_astro.flags import Flag, missing_flags
from mantis_astro.models.geometry import NativeCrops
from mantis_astro.models.stretches import ClipStretch, PositiveAsinhStretch
from mantis_astro.records import record

if TYPE_CHECKING:
    from mantis_astro.extinction import EbvLike
    from mantis_astro.models.geometry import PixelBatch

__all__ = ["InputSpec", "NetworkInput"]


@dataclass(frozen=True)
class NetworkInput:
    """
    Input of a network, with flags and coverage of each object.

    Attributes
    ----------
    images : `torch.Tensor` or tuple of `torch.Tensor`
        Float32; shape (n_object, n_band, ny, nx) for one image of all bands, a tuple
        of such for one image of each survey, (n_object, n_input) for photometry.
    ebv : `torch.Tensor`
        E(B-V) in magnitudes, shape (n_object, n_map), float32.
    flags : `~numpy.ndarray`
        Quality flags, shape (n_object,), int32.
    usable : `~numpy.ndarray`
        False for an object that shows nothing at all, shape (n_object,).
    """

    images: torch.Tensor | tuple
    ebv: torch.Tensor
    flags: np.ndarray
    usable: np.ndarray

    def __len__(self):
        return len(self.flags)


@record("images")
class InputSpec:
    """
    Images that a network reads, and their preparation.

    The contract between cutouts and network. It travels with the weights, and its
    `to_tensor` is the only place where pixel values lose their units.

    Attributes
    ----------
    bands : tuple of str
        Bands in the order of the network's channels.
    geometry : NativeCrops or CommonGrid
        How images are cut or resampled.
    stretch : tuple
        For each band, the function that its pixels go through.
    ebv_maps : tuple of str
        Dust maps whose E(B-V) the network reads, in its order.
    ebv_default : tuple of float
        E(B-V) for each map where none is given.

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` if the parts do not fit together.
    KeyError
        `~mantis_astro.exceptions.MissingBandError` if a band is not registered.

    Examples
    --------
    >>> from mantis_astro import InputSpec
    >>> spec = InputSpec.published_early()
    >>> spec.bands[:3]
    ('galex.NUV', 'galex.FUV', 'ps1.g')

    >>> import numpy as np
    >>> from astropy.coordinates import SkyCoord
    >>> from astropy.nddata import CCDData
    >>> from mantis_astro import MultibandCutout, decode_flags
    >>> galaxy = MultibandCutout(
    ...     SkyCoord(10, 20, unit="deg"),
    ...     {"ps1.g": CCDData(np.ones((170, 170)), unit="adu")},
    ... )
    >>> prepared = spec.to_tensor([galaxy], ebv=0.02)
    >>> prepared.images.shape
    torch.Size([1, 9, 120, 120])
    >>> "BAD_WCS" in decode_flags(prepared.flags[0])  # the image has none
    True
    """

    bands: tuple[str, ...]
    geometry: Any
    stretch: tuple
    ebv_maps: tuple[str, ...] = ("csfd", "planck")
    ebv_default: tuple[float, ...] = (0.0355, 0.0418)

    reads_tables = False

    def __post_init__(self):
        self.geometry.check(self._bands)
        if len(self.stretch) != len(self.bands):
            msg = (
                f"'stretch' must have one function for each of {len(self.bands)} "
                f"bands, got {len(self.stretch)}"
            )
            raise InputSpecError(msg)
        if len({stretch.in_njy for stretch in self.stretch}) > 1:
            msg = "'stretch' must read all bands in nJy, or none"
            raise InputSpecError(msg)
        if len(self.ebv_default) != len(self.ebv_maps) or not all(
            map(math.isfinite, self.ebv_default)
        ):
            msg = (
                f"'ebv_default' must have one number for each of the maps "
                f"{self.ebv_maps}, got {self.ebv_default}"
            )
            raise InputSpecError(msg)

    @classmethod
    def published_early(cls, *, unwise_pixel_scale: float = 2.75) -> Self:
        """
        Input of the published early-fusion network.

        Parameters
        ----------
        unwise_pixel_scale : float, optional
            In arcsec. The published code has 2.75 and 1.5 in different places; the
            statistics shipped with its weights favour 2.75.

        Returns
        -------
        InputSpec
            One image of nine bands, 120 x 120 pixels.
        """
        geometry = NativeCrops(
            crops=(("galex", 22), ("ps1", 120), ("unwise", 22)),
            resize_to=120,
            pixel_scales=(("unwise", float(unwise_pixel_scale)),),
        )
        return cls(PUBLISHED_BANDS, geometry, PUBLISHED_STRETCH)

    @classmethod
    def published_late(cls, *, unwise_pixel_scale: float = 2.75) -> Self:
        """
        Input of the late-fusion network of the same paper.

        Parameters
        ----------
        unwise_pixel_scale : float, optional
            In arcsec; see `published_early`.

        Returns
        -------
        InputSpec
            Images of GALEX (32 x 32), PS1 (120 x 120) and unWISE (32 x 32).
        """
        geometry = NativeCrops(
            crops=(("galex", 32), ("ps1", 120), ("unwise", 32)),
            pixel_scales=(("unwise", float(unwise_pixel_scale)),),
        )
        return cls(PUBLISHED_BANDS, geometry, PUBLISHED_STRETCH)

    def to_tensor(
        self, cutouts: Sequence[MultibandCutout], ebv: EbvLike = None
    ) -> NetworkInput:
        """
        Prepare the images of many objects.

        Trouble with an object never stops the others: it is told by flags.

        Parameters
        ----------
        cutouts : sequence of MultibandCutout
            One for each object; bands may be missing, and bands that the network does
            not read are ignored.
        ebv : float, array_like or mapping, optional
            E(B-V) in magnitudes: one number, shape (n_object,), (n_object, n_map), or
            a mapping of map names to values; ``ebv_default`` is used, and flagged
            EBV_ASSUMED, where it is not known. See `~mantis_astro.dust.resolve_ebv`.

        Returns
        -------
        NetworkInput
            Images (zeros where a band is missing), E(B-V), flags and usability.

        Raises
        ------
        TypeError
            If an object is not a MultibandCutout.
        ValueError
            If ``ebv`` does not fit.

        Notes
        -----
        A band counts as missing (MISSING_GALEX, ...) if there is no image, its WCS is
        bad (BAD_WCS), its unit cannot be converted (BAD_PIXELS), or it shows nothing:
        every pixel masked, not finite or exactly zero. An object without any band is
        not usable (NO_DATA). Pixels that are masked or not finite become 0 before the
        stretch; more than 1 % of them in a band is BAD_PIXELS.
        """
        pixels = self.cut(cutouts)
        ebv, ebv_flags = dust_inputs(self, ebv, len(pixels.flags))
        planes = tuple(map(torch.from_numpy, pixels.planes))
        images = self.encode(planes, torch.from_numpy(pixels.observed))
        usable = pixels.observed.any(1)
        return NetworkInput(images, ebv, pixels.flags | ebv_flags, usable)

    def cut(self, cutouts: Sequence[MultibandCutout]) -> PixelBatch:
        """
        Resample images to the network's pixels, before the stretch.

        Parameters
        ----------
        cutouts : sequence of MultibandCutout
            As for `to_tensor`.

        Returns
        -------
        PixelBatch
            Planes of pixels in nJy, or in the surveys' own units, as the stretches
            read them, 0 where they are bad; with all flags but those of E(B-V).

        Raises
        ------
        TypeError
            If an object is not a MultibandCutout.
        """
        cutouts = _checked(cutouts)
        pixels = self.geometry.cut(cutouts, self._bands, in_njy=self.in_njy)
        flags = pixels.flags | missing_flags(pixels.observed, self._bands)
        flags[~pixels.observed.any(1)] |= Flag.NO_DATA
        planes = tuple(np.nan_to_num(plane, copy=False) for plane in pixels.planes)
        return replace(pixels, planes=planes, flags=flags)

    def encode(
        self, planes: tuple[torch.Tensor, ...], observed: torch.Tensor
    ) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """
        Convert pixels to the input of the network.

        Parameters
        ----------
        planes : tuple of `torch.Tensor`
            Pixels as `cut` gives them, shape (n_object, n_band, ny, nx) each.
        observed : `torch.Tensor`
            Whether there is an image, shape (n_object, n_band), bool.

        Returns
        -------
        `torch.Tensor` or tuple of `torch.Tensor`
            Stretched, 0 where a band is missing; one image of all bands, or one for
            each survey.
        """
        stretched, start = [], 0
        for plane in planes:
            channels = slice(start, start + plane.shape[1])
            shown = observed[:, channels, None, None]
            stretched.append(_stretched(plane, self.stretch[channels], shown))
            start = channels.stop
        return self.geometry.combine(tuple(stretched))

    def learnt(self, images: Sequence) -> Self:  # noqa: ARG002  others keep it
        """
        Return the spec itself; it has no ranges of a training set.

        Parameters
        ----------
        images : sequence of `torch.Tensor` or tuple of `torch.Tensor`
            Galaxies as `encode` gives them, in batches.

        Returns
        -------
        InputSpec
            The spec itself.
        """
        return self

    def encode_batch(
        self,
        images: tuple[torch.Tensor, ...],
        observed: torch.Tensor,
        ebv: torch.Tensor,  # noqa: ARG002  others read it
    ) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """
        Prepare galaxies of a training.

        Parameters
        ----------
        images, observed : tuple of `torch.Tensor` and `torch.Tensor`
            As for `encode`.
        ebv : `torch.Tensor`
            E(B-V) in magnitudes, shape (n_object, n_map); the network reads it.

        Returns
        -------
        `torch.Tensor` or tuple of `torch.Tensor`
            As `encode` gives it.
        """
        return self.encode(images, observed)

    @property
    def in_njy(self) -> bool:
        """Whether the network reads nJy instead of the surveys' own units."""
        return self.stretch[0].in_njy

    @cached_property
    def _bands(self):
        return tuple(get_band(band) for band in self.bands)


#: Channels of the published networks.
PUBLISHED_BANDS = (
    "galex.NUV",
    "galex.FUV",
    *(f"ps1.{name}" for name in "grizy"),
    "unwise.W1",
    "unwise.W2",
)
PUBLISHED_STRETCH = (
    *(ClipStretch(0.05),) * 2,
    *(PositiveAsinhStretch(0.08, 8.0),) * 5,
    *(PositiveAsinhStretch(0.6, 6.0),) * 2,
)


def dust_inputs(spec, ebv, n_object):
    """
    Convert E(B-V) to the columns that a network reads.

    Parameters
    ----------
    spec : InputSpec or PhotometrySpec
        Names the dust maps and their defaults.
    ebv : None, float, array_like or mapping
        As `~mantis_astro.dust.resolve_ebv` takes it.
    n_object : int
        Number of objects.

    Returns
    -------
    tensor : `torch.Tensor`
        Shape (n_object, n_map), float32.
    flags : `~numpy.ndarray`
        Shape (n_object,), int32.
    """
    default = dict(zip(spec.ebv_maps, spec.ebv_default, strict=True))
    values, flags = resolve_ebv(ebv, n_object, spec.ebv_maps, default=default)
    return torch.from_numpy(values.astype(np.float32)), flags.astype(np.int32)


def _stretched(plane, stretches, shown):
    """Stretch (n_object, n_band, ny, nx) band by band; missing bands become 0."""
    out = torch.empty_like(plane)
    for j, stretch in enumerate(stretches):
        out[:, j] = torch.as_tensor(stretch(plane[:, j]))
    return out.masked_fill_(out.isnan() | ~shown, 0)


def _checked(cutouts):
    if isinstance(cutouts, Mapping):
        cutouts = [cutouts]
    cutouts = list(cutouts)
    for galaxy in cutouts:
        if not isinstance(galaxy, MultibandCutout):
            msg = f"'cutouts' must hold MultibandCutout objects, got {type(galaxy)}"
            raise TypeError(msg)
    return cutouts
