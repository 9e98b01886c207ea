"""Splits that keep together what belongs together: a patch of sky, one galaxy twice."""

import logging

import astropy.units as u
import numpy as np
from astropy.coordinates import ICRS

__all__ = ["assign_folds", "group_objects", "hold_out"]

log = logging.getLogger(__name__)

_FEWEST_PIXELS = 10
_FINEST = 8192  # nside: pixels of 26 arcsec


def group_objects(features, coords=None, *, nside=64):
    """
    Give objects that must not be separated the number of their group.

    Parameters
    ----------
    features : `~numpy.ndarray`
        Shape (n, n_feature); without coordinates, equal rows are a group.
    coords : `~astropy.coordinates.SkyCoord`, optional
        Positions, shape (n,); objects in a HEALPix pixel are a group.
    nside : int, optional
        Resolution of the pixels; doubled until there are ten with objects.

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


def hold_out(groups, fraction, rng):
    """
    Choose whole groups at random until they hold a share of the objects.

    Parameters
    ----------
    groups : `~numpy.ndarray`
        Number of each object's group, shape (n,).
    fraction : float
        Share of the objects.
    rng : `numpy.random.Generator`
        Source of randomness.

    Returns
    -------
    `~numpy.ndarray` of bool
        True for those held out; never all, and none only if there is one group.
    """
    counts = np.bincount(groups)
    order = rng.permutation(len(counts))
    before = np.cumsum(counts[order]) - counts[order]
    chosen = order[before + counts[order] / 2 <= fraction * len(groups)]
    if not len(chosen) and len(order) > 1:
        chosen = order[:1]
    return np.isin(groups, chosen)


def assign_folds(groups, n_folds, rng):
    """
    Spread whole groups over folds of about equal size.

    Parameters
    ----------
    groups : `~numpy.ndarray`
        Number of each object's group, shape (n,).
    n_folds : int
        How many folds.
    rng : `numpy.random.Generator`
        Source of randomness.

    Returns
    -------
    `~numpy.ndarray`
        Number of each object's fold, shape (n,).
    """
    numbers, index, counts = np.unique(groups, return_inverse=True, return_counts=True)
    fold, size = np.empty(len(numbers), int), np.zeros(n_folds)
    order = rng.permutation(len(numbers))
    for number in order[np.argsort(-counts[order], kind="stable")]:
        fold[number] = np.argmin(size)
        size[fold[number]] += counts[number]
    return fold[index]
