"""Forced photometry on images of a common grid, thousands of galaxies at a time."""

from functools import cached_property

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.nddata import CCDData
from astropy.wcs import WCS

from mantis_astro.bands import get_band, get_survey
from mantis_astro.cutouts import MultibandCutout
from mantis_astro.fluxes import flux_columns
from mantis_astro.photometry import Annulus, Circular, measure_photometry
from mantis_astro.photometry.sky import estimate_sky
from mantis_astro.photometry.sums import aperture_weights, sky_pixels

__all__ = ["GridPhotometry"]


class GridPhotometry:
    """
    Fluxes in one circle around the target, on images of a common grid.

    What `measure_photometry` measures with `Circular` and ``deblend=None``, for images
    that are arrays already.

    Parameters
    ----------
    bands : sequence of str
        The bands.
    shape : tuple of int
        Shape (ny, nx) of the grid.
    pixel_scale : float
        In arcsec.
    radius : float
        Of the circle, arcsec.
    """

    def __init__(self, bands, shape, pixel_scale, radius):
        self.bands = [get_band(band) for band in bands]
        self.shape, self.pixel_scale = tuple(shape), pixel_scale
        self.aperture = Circular(radius * u.arcsec)

    def measure(self, images):
        """
        Measure fluxes and their errors.

        Parameters
        ----------
        images : `~numpy.ndarray`
            nJy in a pixel, shape (n_object, n_band, ny, nx).

        Returns
        -------
        `~numpy.ndarray`
            Flux and error in nJy, shape (n_object, 2, n_band), float32; the error is
            NaN where nothing scatters.
        """
        ny, nx = self.shape
        x, y = (nx - 1) / 2, (ny - 1) / 2
        radius = self.aperture.radius.to_value(u.arcsec)
        a = radius / self.pixel_scale
        box, weights = aperture_weights(self.shape, x, y, a, a, 0.0)
        area = weights.sum()
        sums = np.einsum("nbyx,yx->nb", images[:, :, *box], weights)
        out = np.empty((len(images), 2, len(self.bands)), np.float32)
        for j, band in enumerate(self.bands):
            inner, outer = Annulus().radii(radius, band.psf_fwhm.to_value(u.arcsec))
            pixels, starts = sky_pixels(
                self.shape,
                round(x),
                round(y),
                round(1.1 * a + 1),
                round(inner / self.pixel_scale),
                round(outer / self.pixel_scale),
            )
            values = images[:, j].reshape(len(images), -1)[:, pixels].astype(float)
            number = np.diff([*starts, len(pixels)])
            sky = estimate_sky(
                np.add.reduceat(values, starts, axis=1),
                np.add.reduceat(values**2, starts, axis=1),
                np.broadcast_to(number.astype(float), (len(images), len(starts))),
            )
            scatter = sky.variance * sky.correlation
            variance = scatter * area + area**2 * scatter / sky.area
            out[:, 0, j] = (sums[:, j] - sky.level * area) / self.held_fractions[j]
            out[:, 1, j] = np.sqrt(variance) / self.held_fractions[j]
        out[:, 1][~(out[:, 1] > 0)] = np.nan
        return out

    @cached_property
    def held_fractions(self):
        """Part of a point's light in the circle, for each band, shape (n_band,)."""
        # measured on a flat image, so that there is one place where it is worked out
        flat = self.as_cutouts(np.ones((len(self.bands), *self.shape)))
        fluxes = []
        for aperture in (Circular(self.aperture.radius, None), self.aperture):
            table = measure_photometry(
                flat, aperture=aperture, background=_NOTHING, deblend=None
            )
            columns = [flux_columns(b)[0] for b in self.bands]
            fluxes.append([float(table[name][0].value) for name in columns])
        return np.divide(*fluxes)

    def as_cutouts(self, images):
        """
        Convert images of one galaxy to aligned cutouts.

        Parameters
        ----------
        images : `~numpy.ndarray`
            nJy in a pixel, shape (n_band, ny, nx).

        Returns
        -------
        MultibandCutout
            At a made-up position.
        """
        ny, nx = self.shape
        wcs = WCS(naxis=2)
        wcs.wcs.ctype, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], [150.0, 0.0]
        wcs.wcs.crpix = [(nx + 1) / 2, (ny + 1) / 2]
        wcs.wcs.cdelt = np.array([-1, 1]) * self.pixel_scale / 3600
        cutouts = {}
        for band, image in zip(self.bands, images, strict=True):
            native = get_survey(band.survey).pixel_scale.to_value(u.arcsec)
            # as `align` chooses: sharper pixels are added up, others interpolated
            method = "exact" if native < self.pixel_scale else "interp"
            meta = {"alignment": [{"method": method}]}
            cutouts[band] = CCDData(image, unit="nJy", wcs=wcs, meta=meta)
        return MultibandCutout(SkyCoord(150.0, 0.0, unit="deg"), cutouts)


_NOTHING = Annulus(subtract=False)
