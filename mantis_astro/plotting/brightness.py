"""Brightness of pictures: pixels as floats, sky, and the range that is shown."""

import astropy.units as u
import numpy as np

__all__ = ["asinh_scaled", "find_sky", "pixels_of"]


def pixels_of(cutout):
    """
    Take the pixels of a cutout as floats.

    Parameters
    ----------
    cutout : `~astropy.nddata.CCDData`
        The image.

    Returns
    -------
    ndarray
        NaN where it is masked or not finite.
    """
    data = np.array(cutout.data, dtype=float)
    data[~np.isfinite(data)] = np.nan
    if cutout.mask is not None:
        data[np.broadcast_to(cutout.mask, data.shape)] = np.nan
    return data


def find_sky(data):
    """
    Find level and noise of the sky.

    Parameters
    ----------
    data : ndarray
        Pixels.

    Returns
    -------
    level, sigma : float
        The noise is 0 where most pixels are alike.
    """
    from astropy.stats import sigma_clipped_stats

    values = data[np.isfinite(data)]
    if not values.size:
        return 0.0, 0.0
    _, level, sigma = sigma_clipped_stats(values, sigma=3, stdfunc="mad_std")
    return float(level), float(sigma)


def asinh_scaled(cutout, band, pixel_scale):
    """
    Scale an image for the eye: asinh, from its noise to its bright pixels.

    An image of single photons on zeros, as GALEX takes them, is smoothed to twice its
    PSF.

    Parameters
    ----------
    cutout : `~astropy.nddata.CCDData`
        The image.
    band : Band
        Its band.
    pixel_scale : float
        Side of a pixel in arcsec.

    Returns
    -------
    ndarray or None
        0 to 1 is the range to show, few pixels are beyond; NaN where there are no
        data. None if there are none at all.
    """
    data = pixels_of(cutout)
    if not np.isfinite(data).any():
        return None
    level, sigma = find_sky(data)
    if sigma == 0 and np.nanmax(data) > level:  # single photons
        fwhm = 2 * band.psf_fwhm.to_value(u.arcsec) / pixel_scale
        data = _smooth(data, fwhm / 2.355)
        level, sigma = find_sky(data)
    sigma = sigma or abs(level) or 1.0
    low = level - 1.5 * sigma
    high = max(np.nanpercentile(data, 99.8), level + 12 * sigma)
    linear = (data - low) / (high - low)
    softness = 3 * sigma / (high - low)
    return np.arcsinh(linear / softness) / np.arcsinh(1 / softness)


def _smooth(data, sigma):
    """Gaussian smoothing by so many pixels; what is NaN stays NaN."""
    from astropy.convolution import Gaussian2DKernel, convolve

    kernel = Gaussian2DKernel(sigma)
    return convolve(data, kernel, boundary="extend", preserve_nan=True)
