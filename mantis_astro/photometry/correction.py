"""Aperture corrections: the part of a source's light that an aperture holds."""

import numpy as np

from mantis_astro.photometry.psf import enclosed_fraction, sampled_fraction
from mantis_astro.photometry.sums import aperture_mask

__all__ = ["held_fraction"]

_FINE = 4  # pixels in the FWHM, from which on pixels count as small


def held_fraction(image, ellipse, on_image, size):
    """
    Compute the part of a source's light that an aperture holds on an image.

    Parameters
    ----------
    image : Image
        The image: its PSF and pixels are used.
    ellipse : SkyEllipse
        The aperture, centred on the source.
    on_image : tuple of float
        The same in pixels: x, y, a, b and theta.
    size : ndarray or None
        Covariance of the source before the PSF, arcsec**2, shape (2, 2); None for a
        point.

    Returns
    -------
    float
        Between 0 and 1.

    Notes
    -----
    Exact overlap takes each pixel to be flat, which smears the source by the pixel.
    Where pixels are small that adds a twelfth of their area to its variance, and so
    did the survey's larger pixels if the image was aligned; where pixels are not small
    (GALEX, unWISE as served), the PSF is evaluated at their centres.
    """
    scale = image.local.pixel_scale
    if scale * _FINE <= image.psf.fwhm_arcsec:
        flat = image.smear * np.eye(2)
        return enclosed_fraction(
            image.psf, ellipse.shape, flat if size is None else flat + size
        )
    mask = aperture_mask(*on_image)
    ny, nx = mask.data.shape
    x = np.arange(nx) + mask.bbox.ixmin
    y = np.arange(ny) + mask.bbox.iymin
    offsets = image.local.to_sky(np.stack(np.meshgrid(x, y), axis=-1)) - ellipse.centre
    return sampled_fraction(image.psf, offsets, mask.data, scale**2, size)
