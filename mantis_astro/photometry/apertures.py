"""Apertures and sky annuli: the arguments, and their shapes on the sky."""

from dataclasses import dataclass, field
from functools import cached_property
from math import atan2, hypot, sqrt

import astropy.units as u
import numpy as np

__all__ = ["Annulus", "Circular", "Kron", "SkyEllipse", "get_aperture"]

_ROUND = 0.005
_CORRECTIONS = (None, "point source", "profile")


@dataclass(frozen=True)
class Circular:
    """
    A circle of fixed radius around the target, the same on all images.

    Parameters
    ----------
    radius : `~astropy.units.Quantity`
        Radius on the sky, an angle.
    correction : {"point source", None}, optional
        ``"point source"`` divides each flux by the part of the band's PSF inside the
        circle: right for what is much smaller than the PSF, and for colours of what
        is larger, the first-order thing to do.

    Raises
    ------
    ValueError
        If the radius is not a positive angle, or the correction is unknown.

    Examples
    --------
    >>> import astropy.units as u
    >>> from mantis_astro.photometry import Circular
    >>> Circular(3 * u.arcsec).correction
    'point source'
    """

    radius: u.Quantity
    correction: str | None = "point source"

    def __post_init__(self):
        _check_angle("radius", self.radius)
        _check_correction(self.correction, _CORRECTIONS[:2])

    def describe(self):
        """Describe the aperture in words."""
        arcsec = self.radius.to_value(u.arcsec)
        return f"circle of {arcsec:g} arcsec, {_IN_WORDS[self.correction]}"


@dataclass(frozen=True)
class Kron:
    """
    The ellipse of Kron (1980), measured on a detection image.

    Its axes are ``scale`` times the Kron radius times those of the light's second
    moments, all measured by `photutils` on the sum of the optical images; every band
    is measured in the same ellipse on the sky.

    Parameters
    ----------
    scale : float, optional
        Multiple of the Kron radius; 2.5 holds about 95 % of a galaxy's light.
    minimum_radius : `~astropy.units.Quantity`, optional
        The ellipse becomes a circle of this radius where it would be smaller in the
        mean, and where nothing is detected.
    correction : {"profile", "point source", None}, optional
        ``"profile"`` divides each flux by the part of a Gaussian source, as large as
        the target's second moments less the PSF of the detection image, behind the
        PSF of the band, that lies inside; ``"point source"`` takes a point instead.

    Raises
    ------
    ValueError
        If the scale or the minimum radius is not positive, or the correction is
        unknown.

    References
    ----------
    Kron 1980, ApJS 43, 305; Bertin & Arnouts 1996, A&AS 117, 393.

    Examples
    --------
    >>> from mantis_astro.photometry import Kron
    >>> Kron(scale=2.0).minimum_radius
    <Quantity 3. arcsec>
    """

    scale: float = 2.5
    minimum_radius: u.Quantity = field(default_factory=lambda: 3 * u.arcsec)
    correction: str | None = "profile"

    def __post_init__(self):
        if not self.scale > 0:
            msg = f"'scale' must be positive, got {self.scale}"
            raise ValueError(msg)
        _check_angle("minimum_radius", self.minimum_radius)
        _check_correction(self.correction, _CORRECTIONS)

    def describe(self):
        """Describe the aperture in words."""
        return f"{self.scale:g} Kron radii, {_IN_WORDS[self.correction]}"


@dataclass(frozen=True)
class Annulus:
    """
    Ring around the target for sky level and noise.

    Parameters
    ----------
    inner, outer : `~astropy.units.Quantity`, optional
        Radii on the sky. By default, for each band, the ring starts at 1.5 times the
        aperture or two PSF FWHM outside of it, whichever is larger, and is as wide
        as that radius; where an image ends before, what there is of it outside the
        aperture is taken.
    subtract : bool, optional
        Whether the level is subtracted; if not, the ring gives the noise only.

    Raises
    ------
    ValueError
        If a radius is not a positive angle, or ``outer`` is not beyond ``inner``.

    Examples
    --------
    >>> import astropy.units as u
    >>> from mantis_astro.photometry import Annulus
    >>> Annulus(12 * u.arcsec, 20 * u.arcsec).subtract
    True
    """

    inner: u.Quantity | None = None
    outer: u.Quantity | None = None
    subtract: bool = True

    def __post_init__(self):
        if (self.inner is None) != (self.outer is None):
            msg = "give both 'inner' and 'outer', or neither"
            raise ValueError(msg)
        if self.inner is not None:
            _check_angle("inner", self.inner)
            _check_angle("outer", self.outer)
            if not self.outer > self.inner:
                msg = f"'outer' must exceed 'inner', got {self.outer} and {self.inner}"
                raise ValueError(msg)

    def radii(self, aperture_radius, psf_fwhm):
        """
        Radii around an aperture, in one band.

        Parameters
        ----------
        aperture_radius, psf_fwhm : float
            Largest radius of the aperture, and FWHM of the PSF, in arcsec.

        Returns
        -------
        inner, outer : float
            In arcsec.
        """
        if self.inner is not None:
            return self.inner.to_value(u.arcsec), self.outer.to_value(u.arcsec)
        inner = max(1.5 * aperture_radius, aperture_radius + 2 * psf_fwhm)
        return inner, 2 * inner


@dataclass(frozen=True)
class SkyEllipse:
    """
    An ellipse on the sky near the target.

    Attributes
    ----------
    shape : ndarray
        Matrix S of the points with p^T S^-1 p <= 1 for offsets p (east, north) from
        its centre, in arcsec**2, shape (2, 2).
    centre : ndarray
        Offset of its centre from the target, (east, north) in arcsec.
    """

    shape: np.ndarray
    centre: np.ndarray = field(default_factory=lambda: np.zeros(2))

    @classmethod
    def circle(cls, radius):
        """
        Circle around the target.

        Parameters
        ----------
        radius : float
            In arcsec.

        Returns
        -------
        SkyEllipse
            The circle.
        """
        return cls(radius**2 * np.eye(2))

    @cached_property
    def axes(self):
        """Semimajor and semiminor axis (arcsec), angle east of north (deg)."""
        values, vectors = np.linalg.eigh(self.shape)
        east, north = vectors[:, 1]
        angle = np.rad2deg(np.arctan2(east, north)) % 180
        return np.sqrt(values[1]), np.sqrt(values[0]), angle

    def on_image(self, local):
        """
        Find the ellipse on an image.

        Parameters
        ----------
        local : LocalMap
            Map of the image.

        Returns
        -------
        x, y, a, b, theta : float
            Centre and semi-axes in pixels, angle from +x towards +y in radians. Axes
            within 0.5 % of each other are made equal, keeping the area: that is how
            far a projection distorts a circle, and a circle costs a sixth. Circles
            are rounded to 1e-7 px, so that those of many targets are one.
        """
        x, y = (round(v, 7) for v in local.to_pixel(self.centre).tolist())
        (p, q), (_, r) = (local.matrix @ self.shape @ local.matrix.T).tolist()
        mean, difference = (p + r) / 2, hypot((p - r) / 2, q)
        if difference < _ROUND * mean:
            radius = round((p * r - q**2) ** 0.25, 7)
            return x, y, radius, radius, 0.0
        theta = atan2(2 * q, p - r) / 2
        return x, y, sqrt(mean + difference), sqrt(mean - difference), theta


def get_aperture(aperture):
    """
    Convert an aperture argument of any form to an aperture.

    Parameters
    ----------
    aperture : Circular, Kron, "kron" or `~astropy.units.Quantity`
        A quantity is the radius of a circle.

    Returns
    -------
    Circular or Kron
        The aperture.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    if isinstance(aperture, Circular | Kron):
        return aperture
    if isinstance(aperture, u.Quantity):
        return Circular(aperture)
    if aperture == "kron":
        return Kron()
    msg = (
        "'aperture' must be 'kron', a radius on the sky such as 3 * u.arcsec, or a "
        f"Circular or Kron object, got {aperture!r}"
    )
    raise ValueError(msg)


def _check_angle(name, value):
    if (
        not isinstance(value, u.Quantity)
        or not value.isscalar
        or not value.unit.is_equivalent(u.arcsec)
        or not 0 < value.value < np.inf
    ):
        msg = f"'{name}' must be a positive angle such as 3 * u.arcsec, got {value!r}"
        raise ValueError(msg)


_IN_WORDS = {
    None: "not corrected for light outside",
    "point source": "total of a point source",
    "profile": "total",
}


def _check_correction(value, choices):
    if value not in choices:
        msg = f"'correction' must be one of {choices}, got {value!r}"
        raise ValueError(msg)
