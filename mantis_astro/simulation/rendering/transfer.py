"""Transfer functions of PSFs and of pixels in k-space."""

from functools import lru_cache

import numpy as np

__all__ = ["moffat_transfer", "pixel_transfer", "transfer_limit"]


def moffat_transfer(k, fwhm, beta):
    r"""
    Fourier transform of a round Moffat function of unit flux.

    Parameters
    ----------
    k : array_like
        Wave number in cycles per arcsec.
    fwhm : float
        Full width at half maximum in arcsec.
    beta : float
        Exponent, more than 1.

    Returns
    -------
    `~numpy.ndarray`
        Same shape as ``k``; 1 at k = 0.

    Notes
    -----
    :math:`2 (x / 2)^{\beta - 1} K_{\beta - 1}(x) / \Gamma(\beta - 1)` with
    :math:`x = 2 \pi k \alpha` and the modified Bessel function :math:`K`.

    Examples
    --------
    >>> from mantis_astro.simulation.rendering.transfer import moffat_transfer
    >>> moffat_transfer([0, 0.5], 1.1, 3.5)
    array([1.        , 0.23015247])
    """
    from scipy.special import gamma, kv

    alpha = fwhm / 2 / np.sqrt(2 ** (1 / beta) - 1)
    x = np.maximum(2 * np.pi * alpha * np.asarray(k, dtype=float), 1e-6)
    return 2 * (x / 2) ** (beta - 1) * kv(beta - 1, x) / gamma(beta - 1)


@lru_cache(maxsize=256)
def transfer_limit(fwhm, beta, level):
    """
    Wave number beyond which the transfer function of a PSF vanishes.

    Parameters
    ----------
    fwhm, beta : float
        As in `moffat_transfer`.
    level : float
        What is taken as nothing.

    Returns
    -------
    float
        In cycles per arcsec.
    """
    k = np.linspace(0, 8 / fwhm, 801)
    return float(k[np.argmax(moffat_transfer(k, fwhm, beta) < level)])


def pixel_transfer(k, *sides):
    """
    Transfer function of square pixels.

    Parameters
    ----------
    k : `~numpy.ndarray`
        Wave numbers along either axis, cycles per arcsec, shape (n,).
    *sides : float
        Sides of the pixels, one after the other, in arcsec.

    Returns
    -------
    `~numpy.ndarray`
        Shape (n, n).
    """
    along = np.prod([np.sinc(k * side) for side in sides], axis=0)
    return np.outer(along, along)
