"""Positions of the targets in cutouts, and the fluxes of pixel units."""

from dataclasses import dataclass

import numpy as np

from mantis_astro.astrometry import Verdicts, judge_all
from mantis_astro.flags import Flag
from mantis_astro.fluxes import native_factor, njy_factor

__all__ = ["PlacedBatch", "place_all"]


@dataclass(frozen=True)
class PlacedBatch:
    """
    Positions of the targets in the images of many objects.

    Attributes
    ----------
    verdicts : Verdicts
        Of all images.
    maps : `~numpy.ndarray`
        Where the target is on each image, shape (n_object, n_band, 2, 3), as
        `~mantis_astro.astrometry.local_map.local_maps` gives it; NaN where there is
        no image or no place.
    sizes : `~numpy.ndarray`
        Width and height of each image in pixels, shape (n_object, n_band, 2).
    factors : `~numpy.ndarray`
        Value of one pixel unit, shape (n_object, n_band).
    usable : `~numpy.ndarray`
        Whether there is an image that can be used, shape (n_object, n_band).
    flags : `~numpy.ndarray`
        Shape (n_object,), int32.
    """

    verdicts: Verdicts
    maps: np.ndarray
    sizes: np.ndarray
    factors: np.ndarray
    usable: np.ndarray
    flags: np.ndarray


def place_all(cutouts, bands, pixel_scales=None, *, in_njy):
    """
    Find the targets in all images, and the images that can be used.

    Parameters
    ----------
    cutouts : sequence of MultibandCutout
        One for each object.
    bands : tuple of Band
        Bands wanted.
    pixel_scales : array_like, optional
        Pixel scale that each band must have, in arcsec, shape (n_band,); by default
        its survey's, or that of the grid an image was aligned to.
    in_njy : bool
        Whether pixels are wanted in nJy, or else in the survey's own unit.

    Returns
    -------
    PlacedBatch
        Images with a WCS that cannot be right (see
        `~mantis_astro.astrometry.judge_all`) are not usable: BAD_WCS. Nor are images
        in a unit that cannot be converted: BAD_PIXELS. A target more than 1.5 pixels
        from the centre of its image is flagged OFF_CENTRE, one without coordinates
        BAD_COORDINATES.
    """
    verdicts = judge_all(cutouts, bands, pixel_scales=pixel_scales)
    factors = np.full(verdicts.index.shape, np.nan)
    factor = njy_factor if in_njy else native_factor
    present = verdicts.index >= 0
    for i, j in np.argwhere(present).tolist():
        value = factor(cutouts[i][bands[j]], bands[j])
        if value is not None:
            factors[i, j] = value

    # the row of NaN at the end is what an image that is not there takes
    maps = np.concatenate([verdicts.maps, np.full((1, 2, 3), np.nan)])[verdicts.index]
    sizes = np.concatenate([verdicts.sizes, np.full((1, 2), np.nan)])[verdicts.index]
    known = np.isfinite(factors)
    located = np.isfinite(verdicts.axes).all((1, 2))
    offset = np.hypot(*np.moveaxis(maps[..., 0] - (sizes - 1) / 2, -1, 0))
    flags = np.zeros(len(cutouts), np.int32)
    flags[~located] |= Flag.BAD_COORDINATES
    flags[(present & ~verdicts.is_right).any(1) & located] |= Flag.BAD_WCS
    flags[(present & ~known).any(1)] |= Flag.BAD_PIXELS
    flags[(offset > Flag.OFF_CENTRE.threshold).any(1)] |= Flag.OFF_CENTRE
    usable = verdicts.is_right & known
    return PlacedBatch(verdicts, maps, sizes, factors, usable, flags)
