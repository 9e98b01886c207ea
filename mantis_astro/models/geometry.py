"""How the images of a galaxy become the grid, or grids, that a network reads."""

from dataclasses import dataclass, replace
from itertools import groupby

import astropy.units as u
import numpy as np
import torch
from torch.nn import functional

from mantis_astro.alignment import align_batch
from mantis_astro.bands import get_survey
from mantis_astro.exceptions import InputSpecError
from mantis_astro.flags import Flag
from mantis_astro.models.cropping import crop, is_blank
from mantis_astro.models.placement import place_all
from mantis_astro.records import record

__all__ = ["CommonGrid", "NativeCrops", "PixelBatch", "SurveyGrids"]


@dataclass(frozen=True)
class PixelBatch:
    """
    Pixels of many objects on a network's grids, before they are stretched.

    Attributes
    ----------
    planes : tuple of `~numpy.ndarray`
        Shape (n_object, n_band, ny, nx), float32, NaN where a pixel is bad, 0 where
        there is none. Together they hold the bands in the network's order.
    observed : `~numpy.ndarray`
        Whether there is an image, shape (n_object, n_band).
    flags : `~numpy.ndarray`
        Shape (n_object,), int32.
    """

    planes: tuple
    observed: np.ndarray
    flags: np.ndarray


@record("native_crops")
class NativeCrops:
    """
    Crops in each survey's own pixels, as the published networks were trained.

    Nothing is resampled but, where asked for, to a common number of pixels; channels
    then share pixels but not an angular scale.

    Attributes
    ----------
    crops : tuple of (str, int)
        For each survey, the side of the crop in its pixels.
    resize_to : int or None
        Side to which smaller crops are resized (bilinear, antialiased), to give one
        image of all bands; None for one image for each survey.
    pixel_scales : tuple of (str, float)
        Pixel scale in arcsec where it is not the survey's.

    Notes
    -----
    An image whose centre is the target, to 1.5 pixels, is cropped about its centre, as
    the published code does. Any other is flagged OFF_CENTRE and cut around the pixel
    nearest to the target. An image with north down or east to the right is flipped
    first. Beyond the edge of an image pixels are 0, flagged PARTIAL_COVERAGE. An
    image without a WCS, with a pixel scale more than 20 % off, or that does not show
    the target is left out and flagged BAD_WCS.
    """

    crops: tuple
    resize_to: int | None = None
    pixel_scales: tuple = ()

    def check(self, bands):
        """
        Raise an error for bands without a crop.

        Parameters
        ----------
        bands : tuple of Band
            Bands of the network.

        Raises
        ------
        ValueError
            `~mantis_astro.exceptions.InputSpecError` naming their surveys.
        """
        uncut = sorted({band.survey for band in bands} - dict(self.crops).keys())
        if uncut:
            msg = f"'crops' must have a side for each survey; none for {uncut}"
            raise InputSpecError(msg)

    def cut(self, cutouts, bands, *, in_njy):
        """
        Cut the crops out of the images of many objects.

        Parameters
        ----------
        cutouts : sequence of MultibandCutout
            One for each object.
        bands : tuple of Band
            Bands of the network, in its order.
        in_njy : bool
            Whether pixels are wanted in nJy, or else in the survey's own unit.

        Returns
        -------
        PixelBatch
            One plane for each run of bands of one survey.
        """
        placed = place_all(cutouts, bands, self._scales(bands), in_njy=in_njy)
        observed, flags = placed.usable.copy(), placed.flags.copy()
        planes, start = [], 0
        for survey, group in groupby(bands, key=lambda band: band.survey):
            n_band, side = len(list(group)), dict(self.crops)[survey]
            plane = np.zeros((len(cutouts), n_band, side, side), np.float32)
            for i, j in np.argwhere(placed.usable[:, start : start + n_band]):
                cutout = cutouts[i][bands[start + j]]
                window, complete = crop(cutout, placed.maps[i, start + j], side)
                if not complete:
                    flags[i] |= Flag.PARTIAL_COVERAGE
                if is_blank(window, cutout):
                    observed[i, start + j] = False
                plane[i, j] = window
            plane *= np.nan_to_num(placed.factors, nan=1.0)[
                :, start : start + n_band, None, None
            ].astype(np.float32)
            bad = ~np.isfinite(plane)
            plane[bad] = np.nan
            too_many = bad.mean((2, 3)) > Flag.BAD_PIXELS.threshold
            flags[too_many.any(1)] |= Flag.BAD_PIXELS
            planes.append(plane)
            start += n_band
        return PixelBatch(tuple(planes), observed, flags)

    def combine(self, planes):
        """
        Join stretched planes to the input of the network.

        Parameters
        ----------
        planes : tuple of `torch.Tensor`
            As `cut` gave them, stretched.

        Returns
        -------
        `torch.Tensor` or tuple of `torch.Tensor`
            One image of all bands, or one for each survey.
        """
        if self.resize_to is None:
            return planes
        return torch.cat([_resize(plane, self.resize_to) for plane in planes], 1)

    def _scales(self, bands):
        given = dict(self.pixel_scales)
        own = {band.survey: get_survey(band.survey).pixel_scale for band in bands}
        return np.array(
            [given.get(b.survey, own[b.survey].to_value(u.arcsec)) for b in bands]
        )


@record("common_grid")
class CommonGrid:
    """
    All bands resampled through their WCSs onto one grid, centred on the target.

    Flux is conserved, and every channel has the same angular scale: what is at one
    place on the sky is at one place in every channel.

    Attributes
    ----------
    shape : tuple of int
        Shape (ny, nx) in pixels.
    pixel_scale : float
        In arcsec.

    Notes
    -----
    The grid is north up, east to the left, tangent at the target; see
    `~mantis_astro.alignment.align_batch`. Pixels that an image does not cover are 0,
    flagged PARTIAL_COVERAGE.
    """

    shape: tuple
    pixel_scale: float

    def check(self, bands):
        """
        Accept any bands: every image with a WCS can be resampled.

        Parameters
        ----------
        bands : tuple of Band
            Bands of the network.
        """

    def cut(self, cutouts, bands, *, in_njy):
        """
        Resample the images of many objects.

        Parameters
        ----------
        cutouts : sequence of MultibandCutout
            One for each object.
        bands : tuple of Band
            Bands of the network, in its order.
        in_njy : bool
            Whether pixels are wanted in nJy, or else in the survey's own unit.

        Returns
        -------
        PixelBatch
            One plane with all bands.
        """
        placed = place_all(cutouts, bands, in_njy=in_njy)
        shown = placed.usable & ~_blanks(cutouts, bands, placed.usable)
        plane, masks = (
            tensor.numpy()
            for tensor in align_batch(
                cutouts,
                self.pixel_scale * u.arcsec,
                self.shape,
                bands=bands,
                verdicts=placed.verdicts.only(shown),
            )
        )
        masked = masks.mean((2, 3))  # (n_object, n_band)
        whole = self._inside(placed.maps, placed.sizes)
        flags = placed.flags.copy()
        flags[(shown & ~whole).any(1)] |= Flag.PARTIAL_COVERAGE
        too_many = shown & whole & (masked > Flag.BAD_PIXELS.threshold)
        for i, j in np.argwhere(placed.usable & (~whole | (masked == 1))):
            bad = _bad_fraction(cutouts[i][bands[j]])
            too_many[i, j] = bad > Flag.BAD_PIXELS.threshold
        flags[too_many.any(1)] |= Flag.BAD_PIXELS
        factors = np.where(shown, placed.factors, 0).astype(np.float32)
        plane *= factors[:, :, None, None]
        return PixelBatch((plane,), shown & (masked < 1), flags)

    def combine(self, planes):
        """
        Return the stretched plane unchanged.

        Parameters
        ----------
        planes : tuple of `torch.Tensor`
            As `cut` gave them, stretched.

        Returns
        -------
        `torch.Tensor`
            Shape (n_object, n_band, ny, nx).
        """
        (plane,) = planes
        return plane

    def _inside(self, maps, sizes):
        """Whether images cover the grid, by its corners: (n_object, n_band)."""
        ny, nx = self.shape
        half = self.pixel_scale / 2
        corners = [(1, 0, 0), *((1, e * nx * half, n * ny * half) for e, n in _SIGNS)]
        pixels = np.einsum("ijkl,ml->ijmk", maps, np.array(corners))
        last = sizes[:, :, None] - 0.5
        return ((pixels >= -0.5) & (pixels <= last)).all((2, 3))


@record("survey_grids")
class SurveyGrids(CommonGrid):
    """
    The grid of `CommonGrid`, with one image for each survey: for late fusion.

    Attributes
    ----------
    shape : tuple of int
        Shape (ny, nx) in pixels, the same for every survey.
    pixel_scale : float
        In arcsec.
    """

    def cut(self, cutouts, bands, *, in_njy):
        """
        Resample the images of many objects.

        Parameters
        ----------
        cutouts, bands, in_njy
            As for `CommonGrid`.

        Returns
        -------
        PixelBatch
            One plane for each run of bands of one survey.
        """
        batch = super().cut(cutouts, bands, in_njy=in_njy)
        (plane,) = batch.planes
        return replace(batch, planes=tuple(_by_survey(plane, bands)))

    def combine(self, planes):
        """
        Return the stretched planes unchanged.

        Parameters
        ----------
        planes : tuple of `torch.Tensor`
            As `cut` gave them, stretched.

        Returns
        -------
        tuple of `torch.Tensor`
            One for each survey, of shape (n_object, n_band, ny, nx).
        """
        return planes


def _by_survey(plane, bands):
    """Parts of (n_object, n_band, ny, nx), one for each run of bands of one survey."""
    start = 0
    for _, group in groupby(bands, key=lambda band: band.survey):
        stop = start + len(list(group))
        yield plane[:, start:stop]
        start = stop


_SIGNS = ((-1, -1), (-1, 1), (1, -1), (1, 1))


def _blanks(cutouts, bands, usable):
    blank = np.zeros(usable.shape, bool)
    for i, j in np.argwhere(usable):
        cutout = cutouts[i][bands[j]]
        blank[i, j] = is_blank(cutout.data[::8, ::8], cutout)
    return blank


def _bad_fraction(cutout):
    bad = ~np.isfinite(cutout.data)
    return (bad if cutout.mask is None else bad | cutout.mask).mean()


def _resize(plane, side):
    if plane.shape[-2:] == (side, side):
        return plane
    if not len(plane):
        return plane.new_zeros((0, plane.shape[1], side, side))
    return functional.interpolate(
        plane, (side, side), mode="bilinear", antialias=True, align_corners=False
    )
