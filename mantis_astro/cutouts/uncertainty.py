"""Uncertainties of pixels as plain numbers."""

import numpy as np

__all__ = ["uncertainty_values"]

_POWERS = {"std": 1, "var": 2, "ivar": -2}


def uncertainty_values(cutout):
    """
    Return the uncertainty of an image in the unit of its pixels.

    Parameters
    ----------
    cutout : `~astropy.nddata.CCDData`
        An image with an uncertainty, which may have a unit of its own, as mJy beside
        pixels in uJy.

    Returns
    -------
    `~numpy.ndarray` of float
        Standard deviations, variances or inverse variances, as the uncertainty is.
    """
    uncertainty = cutout.uncertainty
    values = np.asarray(uncertainty.array)
    power = _POWERS.get(uncertainty.uncertainty_type)
    if power is None or uncertainty.unit is None:
        return values
    factor = uncertainty.unit.to(cutout.unit**power)
    return values if factor == 1 else values * factor
