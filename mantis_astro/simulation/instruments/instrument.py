"""`Instrument`: simulation of the images of a survey."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import astropy.units as u
import numpy as np
import torch
from astropy.wcs import WCS

from mantis_astro.bands import get_survey
from mantis_astro.simulation.instruments.grid_noise import ResampledNoise, StackNoise
from mantis_astro.simulation.instruments.noise import draw_normal, spread
from mantis_astro.simulation.instruments.placement import Placement

__all__ = ["Exposure", "Instrument"]


class Exposure(NamedTuple):
    """
    Depth of a band at many targets; each a number or of shape (n,).

    Attributes
    ----------
    time : `~numpy.ndarray` or float
        Seconds; 1 where the survey does not tell.
    sky : `~numpy.ndarray` or float
        Background rate per pixel in the unit as served, where photons are counted.
    noise : `~numpy.ndarray` or float
        Standard deviation in nJy of a pixel without a source, where noise is Gaussian.
    """

    time: object
    sky: object
    noise: object


@dataclass(frozen=True, eq=False, kw_only=True)
class Instrument:
    """
    Simulation of the images of a survey.

    Its numbers are enough for a survey whose cutouts are north up with the target in
    the middle, and whose noise is Gaussian: nothing has to be written but them. Surveys
    that are otherwise derive from it, as those of the package do.

    Attributes
    ----------
    survey : str
        Name of the survey, which has to be registered: pixels, units, zero points and
        the width of the PSF are those of `~mantis_astro.bands.Survey` and its bands.
    noise : mapping of str to float
        For the name of each of its bands, the standard deviation in nJy of a pixel
        without a source.
    gain : mapping of str to float
        Photons for a pixel unit as served, for each band; bands that are left out have
        no noise of the photons of sources.
    exposure_time : float
        Seconds, for surveys whose pixels are summed over the exposure.
    moffat_beta : float
        Exponent of the Moffat function that is the PSF.
    psf_scatter : float
        Scatter (natural logarithm) of the PSF's width from image to image.
    missing : mapping of str to float
        For the name of the survey, the fraction of targets without any image of it; for
        a band such as ``"galex.FUV"``, the fraction of the others without that one.
    taps : tuple of float
        Kernel along an axis by which neighbouring pixels share noise, symmetric; its
        squares sum to 1.
    saturation : float
        Flux in nJy at which a pixel saturates.
    saturated_brightness : float
        Brightness, in nJy per arcsec^2 averaged over a pixel of a common grid, that
        comes with a saturated core.
    gaps : float
        Fraction of the images that a gap between chips crosses.
    centred : bool
        Whether the target is in the middle of the pixels and north is up; else pixels
        may lie anyhow, and how they come onto a common grid is averaged over.
    """

    survey: str
    noise: Mapping = field(default_factory=dict)
    gain: Mapping = field(default_factory=dict)
    exposure_time: float = 1.0
    moffat_beta: float = 3.5
    psf_scatter: float = 0.05
    missing: Mapping = field(default_factory=dict)
    taps: tuple = (1.0,)
    saturation: float = np.inf
    saturated_brightness: float = np.inf
    gaps: float = 0.0
    centred: bool = True

    @property
    def summed(self):
        """Variance of a sum over many pixels, over that of as many independent ones."""
        return float(np.sum(self.taps) ** 4)

    def chances(self, of_survey, of_band):
        """
        Choose the numbers that decide whether an image is missing.

        Parameters
        ----------
        of_survey, of_band : `~numpy.ndarray`
            Uniform numbers of each target: eight that the survey's bands share, and
            eight for this band (the first four are used for `expose`, the last two for
            damage). Shape (n, 8).

        Returns
        -------
        survey, band : `~numpy.ndarray`
            Compared with the fractions of ``missing``, shape (n,).
        """
        return of_survey[:, 0], of_band[:, 4]

    def expose(self, band, of_survey, normal):  # noqa: ARG002  one signature
        """
        Draw the depth of a band.

        Parameters
        ----------
        band : Band
            The band.
        of_survey : `~numpy.ndarray`
            Uniform numbers that the survey's bands share, shape (n, 8).
        normal : `~numpy.ndarray`
            Normal numbers of this band, of which the first is the PSF's, shape (n, 4).

        Returns
        -------
        Exposure
            Here noise scatters by a tenth.
        """
        noise = self.noise[band.name] * np.exp(0.1 * normal[:, 1])
        return Exposure(self.exposure_time, 0.0, noise)

    def place(self, coords):
        """
        Place the pixels of the cutouts.

        Parameters
        ----------
        coords : `~astropy.coordinates.SkyCoord`
            The targets, shape (n,).

        Returns
        -------
        Placement
            Here, targets are tangent points and in the middle.
        """
        icrs = coords.icrs
        crval = np.column_stack([icrs.ra.deg, icrs.dec.deg])
        middle = [(side + 1) / 2 for side in get_survey(self.survey).shape[::-1]]
        nothing = np.zeros_like(crval)
        return Placement(crval, nothing + middle, nothing, nothing[:, 0])

    def wcs(self, placement, i):
        """
        Make the WCS of a cutout, as the survey's server writes it.

        Parameters
        ----------
        placement : Placement
            Of many targets.
        i : int
            Which of them.

        Returns
        -------
        `~astropy.wcs.WCS`
            Its WCS.
        """
        survey = get_survey(self.survey)
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
        wcs.wcs.cunit = ["deg", "deg"]
        wcs.wcs.radesys = "ICRS"
        wcs.wcs.crval, wcs.wcs.crpix = placement.crval[i], placement.crpix[i]
        self.write_matrix(wcs.wcs, survey.pixel_scale.to_value(u.deg))
        wcs.wcs.set()
        wcs.array_shape = survey.shape
        return wcs

    @staticmethod
    def write_matrix(wcsprm, scale):
        """
        Write scale and orientation into a header, as the survey's server does.

        Parameters
        ----------
        wcsprm : `~astropy.wcs.Wcsprm`
            Changed in place.
        scale : float
            Side of a pixel, degrees.
        """
        wcsprm.cdelt = [-scale, scale]

    def variance(self, flux, depth, bands, n_pixel=1.0):
        """
        Variance of pixels with a source, were they independent.

        Parameters
        ----------
        flux : `torch.Tensor`
            Expected flux in nJy per pixel, shape (n, n_band, ny, nx).
        depth : Depth
            Of these targets and bands.
        bands : sequence of Band
            The bands.
        n_pixel : float, optional
            How many of the survey's own pixels one pixel here is.

        Returns
        -------
        `torch.Tensor`
            In nJy^2, shape (n, n_band, ny, nx).

        Notes
        -----
        Photons are counted before images are warped, which lowers the variance of a
        pixel and keeps that of large sums.
        """
        gain = torch.tensor([self.gain.get(band.name, np.inf) for band in bands])
        photons = (depth.unit / gain)[..., None, None] / self.summed
        sky = n_pixel * depth.noise[..., None, None] ** 2
        return sky + flux.clamp(min=0) * photons

    def add_noise(self, flux, depth, generators, bands):
        """
        Add noise to images in the survey's own pixels.

        Parameters
        ----------
        flux : `torch.Tensor`
            Expected flux in nJy per pixel, shape (n, n_band, ny, nx).
        depth : Depth
            Of these targets and bands.
        generators : sequence of `torch.Generator`
            One for each target.
        bands : sequence of Band
            The bands.

        Returns
        -------
        `torch.Tensor`
            Same shape, nJy.
        """
        sigma = self.variance(flux, depth, bands).sqrt()
        n_band, ny, nx = flux.shape[1:]
        margin = len(self.taps) - 1
        noisy = torch.empty_like(flux)
        for i, generator in enumerate(generators):  # one at a time stays in the cache
            (white,) = draw_normal([generator], n_band, ny + margin, nx + margin)
            if margin:
                white = spread(spread(white, self.taps, -2), self.taps, -1)
            torch.addcmul(flux[i], white, sigma[i], out=noisy[i])
        return noisy

    def grid_noise(self, bands, plan, shape, pixel_scale):
        """
        Create the noise model of images on a common grid.

        Parameters
        ----------
        bands : sequence of Band
            The survey's bands.
        plan : ImagePlan
            How its images come onto the grid.
        shape : tuple of int
            Shape (ny, nx) of the grid.
        pixel_scale : float
            In arcsec.

        Returns
        -------
        callable
            See ``ResampledNoise``.
        """
        if plan.to_grid is None:
            return StackNoise(self, bands, shape, pixel_scale)
        return ResampledNoise(self, bands, plan.to_grid)

    def bad_pixels(self, flux, damage, *, limit, pixel_scale):
        """
        Find saturated cores, and gaps between chips.

        Parameters
        ----------
        flux : `torch.Tensor`
            Expected flux in nJy per pixel, shape (n, n_band, ny, nx).
        damage : `~numpy.ndarray`
            As `Conditions` have it, shape (n, n_band, 2).
        limit : float
            Flux at which a pixel saturates, nJy.
        pixel_scale : float
            In arcsec.

        Returns
        -------
        `torch.Tensor` or None
            Same shape, bool; None where the survey has neither.
        """
        if np.isinf(limit) and self.gaps == 0:
            return None
        bad = flux > limit
        for i, j in np.argwhere(damage[..., 0] < self.gaps):
            chance, where = damage[i, j]
            bad[i, j] |= _gap(flux.shape[2:], pixel_scale, chance / self.gaps, where)
        return bad


def _gap(shape, pixel_scale, which, where):
    """
    Draw a gap between chips across an image: (ny, nx), True in the gap.

    Numbers from 0 to 1 are its direction and width (1 to 8 arcsec), and its place.
    """
    axis, width = int(which * 2), 1 + 7 * (which * 2 % 1)
    at = (torch.arange(shape[axis]) - (shape[axis] - 1) / 2) * pixel_scale
    inside = (at - (where - 0.5) * 42.5).abs() < width / 2
    return (inside[:, None] if axis == 0 else inside).expand(*shape)
