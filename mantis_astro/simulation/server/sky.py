"""Images that the servers serve at any position, and their identification."""

import hashlib
import threading
from dataclasses import dataclass, field

import numpy as np

from mantis_astro.bands import get_survey
from mantis_astro.simulation.server.images import GivenImages, MadeImages

__all__ = ["ServedImage", "Sky"]


@dataclass(frozen=True)
class ServedImage:
    """
    An image ready to be served.

    Attributes
    ----------
    array : `~numpy.ndarray`
        Pixels, float32.
    crval : tuple of float
        Tangent point, degrees.
    crpix : tuple of float
        Its pixel, counted from 1.
    matrix : `~numpy.ndarray`
        Degrees per pixel, shape (2, 2).
    facts : dict
        Meta of an image that was given.
    """

    array: np.ndarray
    crval: tuple
    crpix: tuple
    matrix: np.ndarray
    facts: dict = field(default_factory=dict)


class Sky:
    """
    Images that all servers share, and the record of served ones.

    Parameters
    ----------
    images : object or None
        What `~mantis_astro.simulation.server.images.GivenImages` takes; None for made
        galaxies everywhere.
    seed : int
        Seed of the made galaxies.
    coverage : mapping of str to callable or None
        For names of surveys, ``covers(ra, dec) -> bool`` (degrees).
    """

    def __init__(self, images, seed, coverage):
        self._given = None if images is None else GivenImages(images)
        self._made = MadeImages(seed)
        self._coverage = {get_survey(name): f for name, f in (coverage or {}).items()}
        self._served = {}
        self._lock = threading.Lock()

    def covers(self, survey, ra, dec):
        """
        Return whether a survey observed a position.

        Parameters
        ----------
        survey : Survey
            The survey.
        ra, dec : float
            Position, degrees.

        Returns
        -------
        bool
            True if it did.
        """
        limit = survey.declination_limit
        if limit is not None and dec <= limit.to_value("deg"):
            return False
        return survey not in self._coverage or bool(self._coverage[survey](ra, dec))

    def listed(self, bands, ra, dec):
        """
        Return the bands in a survey's list of files at a position.

        Parameters
        ----------
        bands : sequence of Band
            Bands of one survey.
        ra, dec : float
            Position, degrees.

        Returns
        -------
        list of Band
            All where the survey looked, but for those of which it is known without
            making images that there are none.
        """
        bands = [b for b in bands if self.covers(get_survey(b.survey), ra, dec)]
        if self._given is None or not bands:
            return bands
        return self._given.listed(bands, ra, dec)

    def redshift(self, ra, dec):
        """
        Return the redshift of the galaxy at a position.

        Parameters
        ----------
        ra, dec : float
            Position, degrees.

        Returns
        -------
        float
            NaN where images are given, not made, by what knows of no redshift.
        """
        source = self._made if self._given is None else self._given
        return source.redshift(ra, dec)

    def image(self, band, ra, dec, *, shape, plane=None, scale=None, exposure=None):
        """
        Make the image of a position.

        Parameters
        ----------
        band : Band
            Band.
        ra, dec : float
            Position, degrees.
        shape : tuple of int
            Shape ``(ny, nx)`` in pixels.
        plane : tuple of (tuple, tuple), optional
            Tangent point (degrees) and the pixel of the position counted from there,
            for surveys with fixed pixels; else the image is centred on the position.
        scale : float, optional
            Side of a pixel, arcsec, if not the survey's own. Pixel values remain those
            of the survey's own pixels, as the viewer's interpolation leaves them.
        exposure : float, optional
            Seconds, where pixels are summed over the exposure.

        Returns
        -------
        ServedImage or None
            None where there is no image.
        """
        survey = get_survey(band.survey)
        if not self.covers(survey, ra, dec):
            return None
        native = survey.pixel_scale.to_value("arcsec")
        ratio = 1.0 if scale is None else scale / native
        if self._given is not None:
            with self._lock:  # a source may not be made for several threads
                image = self._given.find(band, ra, dec)
            fill = 0.0 if plane is None else np.nan
            return image and self._cut(image, ra, dec, shape, ratio, fill)
        crval, pixel = plane or ((ra, dec), (0.0, 0.0))
        middle = np.array([(shape[1] - 1) / 2, (shape[0] - 1) / 2])
        # pixels are where they are: the position falls up to half a pixel off
        offset = np.subtract(pixel, np.round(pixel - middle) if plane else -middle)
        array = self._made.draw(
            band,
            ra,
            dec,
            shape=shape,
            pixel=offset,
            pixel_scale=native * ratio,
            exposure_time=exposure,
        ) / np.float32(ratio**2)
        matrix = np.diag([-1.0, 1.0]) * native * ratio / 3600
        return ServedImage(array, crval, tuple(offset - pixel + 1), matrix)

    @staticmethod
    def _cut(image, ra, dec, shape, ratio, fill):
        """Cut an image that was given, nearest pixel, or sample it where asked."""
        data = np.asarray(image.data, dtype="f4")
        if image.mask is not None:
            data = np.where(image.mask, np.nan, data)
        if image.wcs is None:
            msg = "images that the local sky is given need a WCS"
            raise ValueError(msg)
        matrix = image.wcs.pixel_scale_matrix
        middle = np.array([(shape[1] - 1) / 2, (shape[0] - 1) / 2])
        pixel = image.wcs.wcs_world2pix([[ra, dec]], 0)[0]
        facts = dict(image.meta)
        if abs(ratio - 1) < 1e-6:
            corner = np.round(pixel - middle)
            array = _sample(data, corner, 1.0, shape, fill)
            crpix = tuple(image.wcs.wcs.crpix - corner)
            return ServedImage(array, tuple(image.wcs.wcs.crval), crpix, matrix, facts)
        array = _sample(data, pixel - middle * ratio, ratio, shape, fill)
        return ServedImage(array, (ra, dec), tuple(middle + 1), matrix * ratio, facts)

    def remember(self, array, band, ra, dec):
        """
        Record the band and position of served pixels, unless they are blank.

        Parameters
        ----------
        array : `~numpy.ndarray`
            The pixels, as served.
        band : Band
            Its band.
        ra, dec : float
            Position asked for, degrees.
        """
        if np.any(array[np.isfinite(array)]):
            with self._lock:
                self._served[_fingerprint(array)] = (str(band), ra, dec)

    def identify(self, array):
        """
        Identify band and position of served pixels.

        Parameters
        ----------
        array : array_like
            The pixels, as received.

        Returns
        -------
        tuple of (str, float, float) or None
            Band and position (degrees); None if it was never served.
        """
        return self._served.get(_fingerprint(array))


def _sample(data, corner, step, shape, fill):
    """Values at every ``step`` pixels from a corner (x, y), linearly interpolated."""
    from scipy.ndimage import map_coordinates

    y, x = np.mgrid[: shape[0], : shape[1]] * step + corner[::-1].reshape(2, 1, 1)
    return map_coordinates(data, [y, x], order=0 if step == 1 else 1, cval=fill)


def _fingerprint(array):
    native = np.nan_to_num(np.asarray(array, dtype="<f4"))
    return hashlib.blake2b(native.tobytes(), digest_size=16).digest()
