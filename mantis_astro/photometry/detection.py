"""
The target on a detection image: its Kron ellipse, its size, its neighbours.

The detection image is the sum of those bands that share the pixel grid of the most
central optical band, weighted by their inverse variance.
"""

import warnings
from dataclasses import dataclass, replace

import astropy.units as u
import numpy as np

from mantis_astro.astrometry import LocalMap
from mantis_astro.photometry.apertures import SkyEllipse

__all__ = ["Detection", "Sources", "detect_target", "replace_neighbours"]

_CENTRAL = 6500.0  # Angstrom
_OPTICAL = 3000.0, 11000.0
_THRESHOLD = 3.0  # sigma of the smoothed image
_N_PIXELS = 5
_N_LEVELS = 24
_CONTRAST = 0.01  # of the target's flux, for a neighbour that overlaps it
_SIGMA_PER_FWHM = 1 / (2 * np.sqrt(2 * np.log(2)))


@dataclass(frozen=True)
class Detection:
    """
    The target as the detection image shows it.

    Attributes
    ----------
    ellipse : SkyEllipse or None
        Its Kron ellipse; None if it is not detected.
    size : ndarray
        Covariance of its light on the sky less that of the PSF, arcsec**2, shape
        (2, 2); zero if it is not resolved.
    labels : ndarray of int
        Source that each pixel of the detection image belongs to; 0 is sky.
    label : int
        The target's; 0 if it is not detected.
    image : ndarray
        The detection image, its sky subtracted.
    local : LocalMap
        Map of the detection image.
    """

    ellipse: SkyEllipse | None
    size: np.ndarray
    labels: np.ndarray
    label: int
    image: np.ndarray
    local: LocalMap

    def aperture(self, smallest):
        """
        Return the ellipse of the aperture.

        Parameters
        ----------
        smallest : SkyEllipse
            The smallest aperture, around the target's position.

        Returns
        -------
        SkyEllipse
            The Kron ellipse; the smallest aperture, around the centre of the light,
            if that has the larger area; around the position, if nothing was detected.
        """
        if self.ellipse is None:
            return smallest
        if np.linalg.det(self.ellipse.shape) < np.linalg.det(smallest.shape):
            return replace(smallest, centre=self.ellipse.centre)
        return self.ellipse

    def has_neighbour_in(self, ellipse):
        """
        Return whether another source lies in an aperture.

        Parameters
        ----------
        ellipse : SkyEllipse
            The aperture.

        Returns
        -------
        bool
            True if pixels of other sources in it have more than 1 % of the flux of
            the target's.
        """
        y, x = np.nonzero(self.labels)
        offsets = self.local.to_sky(np.stack([x, y], axis=-1)) - ellipse.centre
        inverse = np.linalg.inv(ellipse.shape)
        inside = np.sum((offsets @ inverse) * offsets, axis=-1) <= 1
        y, x = y[inside], x[inside]
        flux, is_target = self.image[y, x], self.labels[y, x] == self.label
        return bool(flux[~is_target].sum() > _CONTRAST * max(flux[is_target].sum(), 0))

    def sources_on(self, shape, local):
        """
        Find the pixels of an image that show sources.

        Parameters
        ----------
        shape : tuple of int
            Shape (ny, nx) of the image.
        local : LocalMap
            Its map.

        Returns
        -------
        Sources
            None beyond the detection image.
        """
        if shape == self.labels.shape and local.is_like(self.local):
            labels = self.labels
        else:
            ny, nx = shape
            pixels = np.stack(np.meshgrid(np.arange(nx), np.arange(ny)), axis=-1)
            there = np.rint(self.local.to_pixel(local.to_sky(pixels))).astype(int)
            x, y = np.moveaxis(there, -1, 0)
            height, width = self.labels.shape
            inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
            labels = np.zeros(shape, dtype=int)
            labels[inside] = self.labels[y[inside], x[inside]]
        is_any = labels > 0
        return Sources(is_any, is_any & (labels != self.label))


@dataclass(frozen=True)
class Sources:
    """
    Segmentation of an image into sources.

    Attributes
    ----------
    is_any, is_other : ndarray of bool
        Pixels of any source, and of those that are not the target.
    """

    is_any: np.ndarray
    is_other: np.ndarray


def replace_neighbours(data, bad, is_other, centre):
    """
    Replace the pixels of other sources by those opposite of the centre.

    Parameters
    ----------
    data : ndarray
        The image.
    bad : ndarray of bool or None
        Its bad pixels.
    is_other : ndarray of bool
        Pixels of other sources.
    centre : tuple of float
        Centre (x, y) of the target.

    Returns
    -------
    data : ndarray
        A new image.
    bad : ndarray of bool or None
        Bad pixels, with those added that have nothing usable opposite of them.
    """
    if not is_other.any():
        return data, bad
    usable = ~is_other if bad is None else ~(is_other | bad)
    y, x = np.nonzero(is_other)
    across_x = np.rint(2 * centre[0] - x).astype(int)
    across_y = np.rint(2 * centre[1] - y).astype(int)
    ny, nx = data.shape
    inside = (across_x >= 0) & (across_x < nx) & (across_y >= 0) & (across_y < ny)
    inside[inside] = usable[across_y[inside], across_x[inside]]
    new = np.array(data, dtype=float)
    new[y[inside], x[inside]] = data[across_y[inside], across_x[inside]]
    new_bad = np.zeros(data.shape, dtype=bool) if bad is None else bad.copy()
    new_bad[y[~inside], x[~inside]] = True
    return new, new_bad


def detect_target(images, *, scale, separate):
    """
    Detect the target and measure its Kron ellipse.

    Parameters
    ----------
    images : sequence
        Objects with ``band``, ``data``, ``bad``, ``local`` and ``psf``, at least one.
    scale : float
        Multiple of the Kron radius.
    separate : bool
        Whether to separate neighbours that touch the target.

    Returns
    -------
    Detection
        What was found.
    """
    chosen = _same_grid(images)
    image, bad = _coadd(chosen)
    first = chosen[0]
    fwhm = min(image.psf.fwhm_arcsec for image in chosen)
    smooth, threshold = _smooth(image, bad, fwhm / first.local.pixel_scale)
    labels = _segments(smooth, threshold, bad)
    label = _label_at(labels, first.local.origin, fwhm / first.local.pixel_scale)
    point = np.zeros((2, 2))
    if label == 0:
        return Detection(None, point, labels, 0, image, first.local)
    if separate:
        labels, label = _separate(smooth, labels, label, threshold, first.local.origin)
    kron = _kron(image, bad, labels, label)
    if kron is None:
        return Detection(None, point, labels, label, image, first.local)
    centre, covariance, radius = kron
    to_sky = np.linalg.inv(first.local.matrix)
    covariance = to_sky @ covariance @ to_sky.T
    ellipse = SkyEllipse((scale * radius) ** 2 * covariance, first.local.to_sky(centre))
    size = _without_psf(covariance, (fwhm * _SIGMA_PER_FWHM) ** 2)
    return Detection(ellipse, size, labels, label, image, first.local)


def _same_grid(images):
    """Choose the most central optical image, and those on its grid."""

    def rank(image):
        pivot = image.band.pivot.to_value(u.AA)
        is_optical = _OPTICAL[0] < pivot < _OPTICAL[1]
        return not is_optical, abs(np.log(pivot / _CENTRAL))

    ranked = sorted(images, key=rank)
    first = ranked[0]
    return [
        image
        for image in ranked
        if rank(image)[0] == rank(first)[0]
        and image.data.shape == first.data.shape
        and image.local.is_like(first.local)
    ]


def _coadd(images):
    """Sum of sky-subtracted images over their variances, and where none is good."""
    total, weight = np.zeros(images[0].data.shape), np.zeros(images[0].data.shape)
    for image in images:
        data = np.asarray(image.data, dtype=float)
        good = np.ones(data.shape, bool) if image.bad is None else ~image.bad
        level, sigma = _level_and_noise(data[good])
        total += np.where(good, (data - level) / sigma**2, 0)
        weight += good / sigma**2
    bad = weight == 0
    return np.where(bad, 0, total / np.where(bad, 1, weight)), bad


def _level_and_noise(values):
    values = values[:: 1 + len(values) // 10_000]  # enough for 1 % of the noise
    level = np.median(values)
    sigma = 1.4826 * np.median(np.abs(values - level))
    if sigma == 0:  # photons so rare that most pixels are zero
        level, sigma = values.mean(), values.std()
    return level, sigma or 1.0


def _smooth(image, bad, fwhm):
    """Smooth by the PSF, normalised where pixels are bad; give the threshold too."""
    from scipy.ndimage import gaussian_filter

    sigma = fwhm * _SIGMA_PER_FWHM
    smooth = gaussian_filter(image, sigma, mode="constant")
    if bad.any():
        cover = gaussian_filter((~bad).astype(float), sigma, mode="constant", cval=1)
        smooth /= np.maximum(cover, 0.1)
    level, noise = _level_and_noise(smooth[~bad]) if not bad.all() else (0.0, 1.0)
    return smooth, level + _THRESHOLD * noise


def _segments(smooth, threshold, bad):
    from photutils.segmentation import detect_sources
    from photutils.utils.exceptions import NoDetectionsWarning

    if bad.all():
        return np.zeros(smooth.shape, dtype=int)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoDetectionsWarning)
        found = detect_sources(smooth, threshold, _N_PIXELS, mask=bad)
    return np.zeros(smooth.shape, dtype=int) if found is None else found.data


def _label_at(labels, position, radius):
    """Label of the source nearest to a position, within a radius; 0 if none is."""
    y, x = np.nonzero(labels)
    distance = np.hypot(x - position[0], y - position[1])
    if not len(distance) or distance.min() > max(radius, 1.0):
        return 0
    nearest = distance.argmin()
    return int(labels[y[nearest], x[nearest]])


def _separate(smooth, labels, label, threshold, position):
    """
    Cut the target's segment where it holds several sources.

    Thresholds rise from that of detection to the peak; where a part breaks into
    several, each with more than a set fraction of the flux, each is a source (Bertin
    & Arnouts 1996). The other pixels go to the nearest.
    """
    from scipy.ndimage import distance_transform_edt, find_objects

    (box,) = find_objects((labels == label).astype(int))
    inside = labels[box] == label
    values = np.where(inside, smooth[box], threshold)
    leaves = _leaves(values, inside, threshold)
    if len(leaves) == 1:
        return labels, label
    cores = np.zeros(inside.shape, dtype=int)
    for i, leaf in enumerate(leaves, start=1):
        cores[leaf] = i
    nearest = distance_transform_edt(
        cores == 0, return_distances=False, return_indices=True
    )
    new = labels.copy()
    new[box] = np.where(inside, labels.max() + cores[tuple(nearest)], labels[box])
    own = np.where(np.isin(new, labels), 0, new)
    return new, _label_at(own, position, np.inf)


def _leaves(values, inside, threshold):
    """Parts of a segment that come apart at some level, each a mask."""
    from scipy.ndimage import label as connected

    enough = _CONTRAST * (values - threshold).sum()
    leaves = [inside]
    for level in np.geomspace(threshold, values.max(), _N_LEVELS)[1:-1]:
        parts, n = connected(values > level, np.ones((3, 3)))
        flux = np.bincount(parts.ravel(), (values - level).ravel(), n + 1)
        flux[0] = 0
        broken = []
        for leaf in leaves:
            real = [i for i in np.unique(parts[leaf]) if flux[i] > enough]
            broken += [parts == i for i in real] if len(real) > 1 else [leaf]
        leaves = broken
    return leaves


def _kron(image, bad, labels, label):
    """Centre (x, y), covariance (pixels**2) and Kron radius of a source, or None."""
    from photutils.segmentation import SegmentationImage, SourceCatalog

    catalog = SourceCatalog(image, SegmentationImage(labels), mask=bad)
    source = catalog.select_label(label)
    centre = np.array([source.x_centroid, source.y_centroid], dtype=float)
    a, b = source.semimajor_axis.value, source.semiminor_axis.value
    radius = float(u.Quantity(source.kron_radius).value)
    if not np.isfinite([*centre, a, b, radius]).all():
        return None
    theta = source.orientation.to_value(u.rad)
    rotation = np.array(
        [[np.cos(theta), -np.sin(theta)], [np.sin(theta), np.cos(theta)]]
    )
    return centre, rotation @ np.diag([a**2, b**2]) @ rotation.T, radius


def _without_psf(covariance, variance):
    values, vectors = np.linalg.eigh(covariance)
    return vectors @ np.diag(np.maximum(values - variance, 0)) @ vectors.T
