"""Groups of objects that belong together: a patch of sky, a repeated galaxy."""

import logging

import astropy.units as u
import numpy as np
from astropy.coordinates import ICRS

__all__ = ["group_objects"]

log = logging.getLogger(__name__)

# A third of them, held out, still make the folds of a cross-validation.
_FEWEST_PIXELS = 30
_FINEST = 8192  # nside: pixels of 26 arcsec


def group_objects(features, coords=None, *, nside=64):
    """
    Return group numbers of objects that must not be separated.

    Parameters
    ----------
    features : `~numpy.ndarray`
        Shape (n, n_feature); without coordinates, equal rows are a group.
    coords : `~astropy.coordinates.SkyCoord`, optional
        Positions, shape (n,); objects in a HEALPix pixel are a group.
    nside : int, optional
        Resolution of the pixels; doubled until there are 30 with objects.

    Returns
    -------
    `~numpy.ndarray`
        Number of each object's group, from 0, shape (n,).

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.refitting.splitting import group_objects
    >>> group_objects(np.array([[1.0], [2.0], [1.0]]))
    array([0, 1, 0])
    """
    if coords is None:
        return np.unique(features, axis=0, return_inverse=True)[1].ravel()
    while True:
        groups = _pixels(coords, nside)
        if groups.max() + 1 >= min(_FEWEST_PIXELS, len(features)) or nside >= _FINEST:
            return groups
        log.info("fewer than %d pixels at nside=%d: doubled", _FEWEST_PIXELS, nside)
        nside *= 2


def _pixels(coords, nside):
    from astropy_healpix import HEALPix

    sphere = coords.icrs.spherical
    good = np.isfinite(sphere.lon.deg) & np.isfinite(sphere.lat.deg)
    pixels = -1 - np.arange(len(good))  # without a position, each is alone
    grid = HEALPix(nside, order="nested", frame=ICRS())
    pixels[good] = grid.lonlat_to_healpix(
        sphere.lon[good] % (360 * u.deg), sphere.lat[good]
    )
    return np.unique(pixels, return_inverse=True)[1]
