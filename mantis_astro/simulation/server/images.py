"""Images for the local sky: artificial galaxies, or images of the caller."""

import hashlib
from collections.abc import Mapping

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.nddata import CCDData

from mantis_astro.bands import get_band, get_survey
from mantis_astro.fluxes import njy_from_ab
from mantis_astro.simulation.instruments.skycells import EXPOSURE_TIME
from mantis_astro.simulation.server.made_spectra import draw_made_galaxies, made_fluxes

__all__ = ["GivenImages", "MadeImages"]

# Noise in nJy, of a pixel of one arcsec, in every band for a typical exposure; that of
# a survey's pixels goes with their side.
_NOISE = 120.0


class MadeImages:
    """
    Artificial galaxies, simple and fast, at every requested position.

    They are for tests and benchmarks of services, which need many images, all
    different, in no time and without kcorrect; nobody should measure a redshift on
    them. `~mantis_astro.SimulatedSky` has galaxies that look like real ones.

    A galaxy is an exponential disc with its own size, shape, redshift and spectrum (see
    `~mantis_astro.simulation.server.made_spectra`); noise is its own too, so that no
    two images agree in their pixels and a swap shows. Everything follows from the seed,
    the position (to 0.01 arcsec) and the band.

    Parameters
    ----------
    seed : int, optional
        Another seed, another sky.
    """

    def __init__(self, seed=0):
        self.seed = seed

    def draw(self, band, ra, dec, *, shape, pixel, pixel_scale, exposure_time=None):
        """
        Draw the galaxy at a position.

        Parameters
        ----------
        band : Band
            Band to draw it in.
        ra, dec : float
            Position, degrees.
        shape : tuple of int
            Shape ``(ny, nx)`` in pixels.
        pixel : tuple of float
            Where the position falls, ``(x, y)`` from 0.
        pixel_scale : float
            Side of a pixel, arcsec.
        exposure_time : float, optional
            Seconds, where pixels are summed over the exposure.

        Returns
        -------
        `~numpy.ndarray`
            Image in the unit of the survey, float32.
        """
        _, (flux,), size, q, angle = self._galaxy(ra, dec, [band])
        y, x = np.ogrid[: shape[0], : shape[1]]
        dx, dy = (x - pixel[0]) * pixel_scale, (y - pixel[1]) * pixel_scale
        u = dx * np.cos(angle) + dy * np.sin(angle)
        v = (dy * np.cos(angle) - dx * np.sin(angle)) / q
        # softened by the seeing rather than convolved with it: a toy, and a fast one
        soft = band.psf_fwhm.to_value("arcsec") / 2.355
        h = np.hypot(size, soft)
        total = 2 * np.pi * h**2 * q * (1 + soft / h) * np.exp(-soft / h)  # arcsec2
        profile = np.exp(-np.sqrt(u**2 + v**2 + soft**2) / h) * pixel_scale**2 / total
        unit = njy_from_ab(band.zero_point_ab(exposure_time))
        depth = np.sqrt(EXPOSURE_TIME / (exposure_time or EXPOSURE_TIME))
        native = get_survey(band.survey).pixel_scale.to_value("arcsec")
        sigma = _NOISE * depth * native / unit
        name = hashlib.blake2b(str(band).encode(), digest_size=4).digest()
        noise = np.random.default_rng(
            [*self._key(ra, dec), int.from_bytes(name, "big")]
        )
        image = noise.standard_normal(shape, dtype="f4") * np.float32(sigma)
        image += (flux / unit * profile).astype("f4")
        return image

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
            The redshift that its colours were made with.
        """
        return self._galaxy(ra, dec, [])[0]

    def _key(self, ra, dec):
        return [self.seed, round(ra % 360 * 3.6e5), round((dec + 90) * 3.6e5)]

    def _galaxy(self, ra, dec, bands):
        """Redshift, fluxes in nJy, size in arcsec, axis ratio, position angle."""
        rng = np.random.default_rng(self._key(ra, dec))
        size, q, angle = rng.uniform((0.6, 0.3, 0), (2.0, 1.0, np.pi))
        z, kind, mag_i = draw_made_galaxies(1, rng)
        fluxes = made_fluxes(z, kind, np.minimum(mag_i, 20.0), bands)
        return float(z[0]), fluxes[0], size, q, angle


class GivenImages:
    """
    Images of the caller, found by position and band.

    Parameters
    ----------
    images : CutoutSource, mapping, iterable of MultibandCutout, or callable
        Something with ``iter_cutouts``; or ``{(ra, dec): {band: CCDData}}`` with
        degrees; or multiband cutouts, each at its ``coord``; or
        ``images(coord, band)`` returning a CCDData, or None where there is none.
    tolerance : float, optional
        How far, in arcsec, a request may be from an image's position.

    Raises
    ------
    TypeError
        If it is none of these.
    """

    def __init__(self, images, *, tolerance=1.0):
        self._redshift = getattr(images, "redshift", None)
        self._observed = getattr(images, "observed", None)
        if hasattr(images, "iter_cutouts"):
            self._find = lambda coord, band: _from_source(images, coord, band)
        elif callable(images):
            self._find = images
        elif isinstance(images, Mapping) or np.iterable(images):
            self._find = _Nearest(images, tolerance)
            self._observed = self._find.observed
        else:
            msg = (
                "'images' must be a CutoutSource, a mapping from (ra, dec), "
                f"multiband cutouts or a callable, got {type(images).__name__}"
            )
            raise TypeError(msg)

    def find(self, band, ra, dec):
        """
        Return the image of a position.

        Parameters
        ----------
        band : Band
            Band wanted.
        ra, dec : float
            Position, degrees.

        Returns
        -------
        `~astropy.nddata.CCDData` or None
            None where there is no image.
        """
        image = self._find(SkyCoord(ra, dec, unit="deg"), band)
        if image is not None and not isinstance(image, CCDData):
            msg = f"'images' must give a CCDData or None, got {type(image).__name__}"
            raise TypeError(msg)
        return image

    def listed(self, bands, ra, dec):
        """
        Return the bands that may have images, without creating any.

        Parameters
        ----------
        bands : sequence of Band
            Bands wanted.
        ra, dec : float
            Position, degrees.

        Returns
        -------
        list of Band
            Those that there are; all if that shows only by making them: of a callable,
            or of a source without a method ``observed(coords, bands)``.
        """
        if self._observed is None:
            return list(bands)
        (there,) = self._observed(SkyCoord([ra], [dec], unit="deg"), bands)
        return [band for band, one in zip(bands, there, strict=True) if one]

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
            What the source's own ``redshift(coord)`` says; NaN if it has none.
        """
        if self._redshift is None:
            return np.nan
        return self._redshift(SkyCoord(ra, dec, unit="deg"))


def _from_source(source, coord, band):
    _, cutouts, _ = next(iter(source.iter_cutouts(coord.reshape(1), [band])))
    return cutouts.get(band)


class _Nearest:
    """The image of the nearest position, if near enough."""

    def __init__(self, images, tolerance):
        if isinstance(images, Mapping):
            self.positions = np.array(list(images), dtype=float).reshape(-1, 2)
            self.cutouts = list(images.values())
        else:
            self.cutouts = list(images)
            self.positions = np.array(
                [(c.coord.icrs.ra.deg, c.coord.icrs.dec.deg) for c in self.cutouts]
            ).reshape(-1, 2)
        self.cutouts = [{get_band(b): i for b, i in c.items()} for c in self.cutouts]
        self.tolerance = tolerance / 3600

    def observed(self, coords, bands):
        """Return which bands have images, shape (n, n_band)."""
        return np.array([[self(c, b) is not None for b in bands] for c in coords])

    def __call__(self, coord, band):
        if not self.cutouts:
            return None
        ra, dec = self.positions.T
        east = (ra - coord.ra.deg + 180) % 360 - 180
        distance = np.hypot(east * np.cos(np.radians(dec)), dec - coord.dec.deg)
        nearest = int(np.argmin(distance))
        if distance[nearest] > self.tolerance:
            return None
        return self.cutouts[nearest].get(band)
