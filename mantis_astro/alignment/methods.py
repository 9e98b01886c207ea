"""Choice of the resampling method for a grid, and validation of the options."""

from functools import lru_cache

import astropy.units as u
import numpy as np

from mantis_astro.bands import get_survey

__all__ = [
    "CONSERVE",
    "INTERP_LIMIT",
    "MINIMUM_COVERAGE",
    "check_option",
    "choose_method",
    "output_pixel_scale",
]

#: What can be conserved: the value summed over the sky, or the value of a pixel.
CONSERVE = ("flux", "surface brightness")

#: Smallest number of output pixels across a band's PSF FWHM for interpolation: with
#: fewer, bilinear samples miss light between them (1.7-2.3 % of an aperture sum for
#: Pan-STARRS1 on pixels of 1 arcsec).
INTERP_LIMIT = 2.5

#: Smallest good part of an output pixel. Interpolation wants all it reads to be good;
#: where areas are averaged, half a pixel is enough to know its brightness.
MINIMUM_COVERAGE = {"interp": 1 - 1e-4, "adaptive": 0.5, "exact": 0.5}

_FINER = 0.7  # an output pixel of fewer input pixels does not beat with them
_SAME_SCALE = 1.01  # an output pixel up to this many input pixels is no downsampling


def check_option(name, value, choices):
    """
    Refuse an option that does not exist.

    Parameters
    ----------
    name : str
        Name of the argument.
    value : object
        What was given.
    choices : iterable of str
        What is possible.

    Raises
    ------
    ValueError
        If ``value`` is none of them.
    """
    if value not in choices:
        options = ", ".join(map(repr, choices))
        msg = f"'{name}' must be one of {options}, got {value!r}"
        raise ValueError(msg)


def output_pixel_scale(directions, shape):
    """
    Measure the pixel scale at the centre of a grid.

    Parameters
    ----------
    directions : `numpy.ndarray`
        Unit vectors of the grid's check points (the first 25), shape (..., 25, 3).
    shape : tuple of int
        Shape ``(ny, nx)`` of the grid.

    Returns
    -------
    `numpy.ndarray`
        Geometric mean of the two scales, in arcsec, shape (...).
    """
    ny, nx = shape
    # points 7 and 17, 11 and 13 of the five by five lie half a grid apart
    along_y = np.linalg.norm(directions[..., 17, :] - directions[..., 7, :], axis=-1)
    along_x = np.linalg.norm(directions[..., 13, :] - directions[..., 11, :], axis=-1)
    return np.degrees(np.sqrt(along_x * along_y / (nx * ny / 4))) * 3600


def choose_method(method, band, scale_out, scale_in):
    """
    Choose how to resample a band, or refuse a choice that loses light.

    Parameters
    ----------
    method : str or None
        What was asked for; None chooses, see the notes.
    band : Band
        The band.
    scale_out, scale_in : float
        Pixel scales of the output and of the image, in arcsec.

    Returns
    -------
    str
        The method.

    Raises
    ------
    ValueError
        If ``"interp"`` is asked for and would downsample.

    Notes
    -----
    The choice is ``"interp"`` where output pixels are finer than PSF FWHM / 2.5 of the
    survey's sharpest band (half of that if the image's own pixels are coarser: unWISE)
    and as wide as the image's own, or 0.7 of them or less; else ``"exact"``. Pixels a
    little finer or coarser than the image's beat with them: bilinear samples then fall
    on pixel centres in one place and between them, where they are too low, in another,
    and a point source may change by one or two per cent.
    """
    if method is None:
        limit = _interp_limit_of_survey(band)
        if scale_in > limit:
            limit /= 2
        is_same = abs(scale_out / scale_in - 1) < _SAME_SCALE - 1
        is_fine = scale_out <= limit and (is_same or scale_out <= _FINER * scale_in)
        return "interp" if is_fine else "exact"
    limit = _interp_limit(band)
    if method == "interp" and scale_out > max(limit, _SAME_SCALE * scale_in):
        msg = (
            f"method 'interp' must not downsample: output pixels of {scale_out:.4g} "
            f"arcsec are coarser than those of {band} ({scale_in:.4g} arcsec) and than "
            f"its PSF FWHM / {INTERP_LIMIT} ({limit:.4g} arcsec), so light would be "
            "lost; use method 'exact', or a finer grid"
        )
        raise ValueError(msg)
    return method


@lru_cache(maxsize=128)  # a conversion takes longer than the choice
def _interp_limit_of_survey(band):
    """One limit for all bands of a survey, whichever of them are there."""
    return min(map(_interp_limit, get_survey(band.survey).bands))


@lru_cache(maxsize=128)
def _interp_limit(band):
    return band.psf_fwhm.to_value(u.arcsec) / INTERP_LIMIT
