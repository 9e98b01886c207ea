"""
One verdict on the WCS of an image, for all that use it.

An image is right if its WCS is one of two celestial axes that astropy can bring to
ICRS, the target is on the image, and the pixels there have the scale that they should
have. Scales are compared as a ratio: with a tolerance of 0.2, the larger is at most
1.2 times the smaller, in every direction on the sky, so pixels of 0.84 to 1.2 of the
survey's are right and those of 0.83 are not.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import astropy.units as u
import numpy as np
from astropy.wcs import WCS

from mantis_astro.astrometry.directions import (
    has_known_frame,
    icrs_lon_lat,
    tangent_axes,
)
from mantis_astro.astrometry.local_map import LocalMap, local_maps, pixel_extents
from mantis_astro.bands import get_band, get_survey
from mantis_astro.exceptions import InputSpecError

__all__ = [
    "SCALE_TOLERANCE",
    "Verdicts",
    "check_wcs",
    "find_wcs_problem",
    "judge",
    "judge_all",
]

#: How much larger than the other the pixel scale of a cutout and that of its survey
#: may be, relative.
SCALE_TOLERANCE = 0.2
_ROUNDING = 1e-6  # of a scale that is found by a difference quotient
_LEAST_SINE = 0.1  # of the angle between the pixel axes: 6 degrees
_GRID, _NOT_RECORDED = "the grid it was aligned to", (np.nan, np.nan)
_IGNORE_ANCILLARY = 1  # wcslib's WCSCOMPARE_ANCILLARY: dates, observatory, names


@dataclass(frozen=True, eq=False)
class Verdicts:
    """
    Positions of targets in their images, and WCSs with problems.

    Images of a target that follow each other and share WCS, shape and the pixel scale
    that they should have share one verdict.

    Attributes
    ----------
    axes : `numpy.ndarray`
        The targets as ``tangent_axes`` gives them, shape (n_target, 3, 3); NaN where
        a target has no coordinates.
    index : `numpy.ndarray`
        Which verdict an image has, shape (n_target, n_band); -1 where there is no
        image.
    maps : `numpy.ndarray`
        What `local_maps` gives for the target, shape (n_verdict, 2, 3); NaN where
        the WCS does not tell.
    sizes : `numpy.ndarray`
        Width and height of the images in pixels, shape (n_verdict, 2).
    is_shown : `numpy.ndarray` of bool
        Whether the map tells where on the image the target is, shape (n_verdict,).
    problems : list of (str or None)
        Why a WCS cannot be right, or None, for each verdict.
    """

    axes: np.ndarray
    index: np.ndarray
    maps: np.ndarray
    sizes: np.ndarray
    is_shown: np.ndarray
    problems: list

    @cached_property
    def is_right(self):
        """True for images without a problem, shape (n_target, n_band)."""
        right = [problem is None for problem in self.problems]
        return np.array([*right, False])[self.index]

    @cached_property
    def local_maps(self):
        """The maps, one `LocalMap` for each verdict."""
        return [LocalMap(one[:, 0], one[:, 1:]) for one in self.maps]

    def only(self, chosen):
        """
        Select images.

        Parameters
        ----------
        chosen : `numpy.ndarray` of bool
            Images to keep, shape (n_target, n_band).

        Returns
        -------
        Verdicts
            The same, as if there were no others.
        """
        return replace(self, index=np.where(chosen, self.index, -1))


def judge_all(cutouts, bands, *, pixel_scales=None, tolerance=SCALE_TOLERANCE):
    """
    Find targets in their images, and judge the WCSs.

    Parameters
    ----------
    cutouts : sequence of MultibandCutout
        One for each target. Positions are read and, of each image, WCS, shape and
        ``meta["alignment"]``.
    bands : sequence of Band
        Bands wanted.
    pixel_scales : array_like, optional
        Pixel scale that each band must have, in arcsec, shape (n_band,). By default
        that of the grid an image was aligned to, as ``meta["alignment"]`` records it,
        or else that of its survey.
    tolerance : float, optional
        By how much the larger of two pixel scales may exceed the smaller, relative.

    Returns
    -------
    Verdicts
        One for each WCS of a target.
    """
    positions = np.array([icrs_lon_lat(galaxy.coord) for galaxy in cutouts])
    axes = tangent_axes(*positions.reshape(-1, 2).T)
    columns = {band: column for column, band in enumerate(bands)}
    if pixel_scales is None:
        survey_scales = [_survey_scale(band) for band in bands]
    index = np.full((len(cutouts), len(bands)), -1)
    targets, images, expected, owners = [], [], [], []
    for target, galaxy in enumerate(cutouts):
        last = scale = None
        for band, image in galaxy.items():
            column = columns.get(band)
            if column is None:
                continue
            last_scale = scale
            if pixel_scales is None:
                scale, owner = _own_scale(image, survey_scales[column], band)
            else:
                scale, owner = pixel_scales[column], "the request"
            if last is None or scale != last_scale or not _is_like(last, image):
                targets.append(target)
                images.append(image)
                expected.append(scale)
                owners.append(owner)
            last = image
            index[target, column] = len(images) - 1
    judged = _judge(images, axes[targets], expected, owners, tolerance)
    return Verdicts(axes, index, *judged)


def judge(image, axes, pixel_scale, *, owner="the request", tolerance=SCALE_TOLERANCE):
    """
    Find a target on one image, and judge its WCS.

    Parameters
    ----------
    image : `~astropy.nddata.CCDData`
        The image; only its WCS and shape are read.
    axes : `numpy.ndarray`
        The target as ``tangent_axes`` gives it, shape (3, 3).
    pixel_scale : float
        Scale that the pixels must have, in arcsec; NaN for any.
    owner : str, optional
        Whose scale that is, for the message.
    tolerance : float, optional
        As for `judge_all`.

    Returns
    -------
    local : LocalMap
        Where the target is on the image; NaN where the WCS does not tell.
    problem : str or None
        Why the WCS cannot be right, or None.
    """
    maps, _, _, problems = _judge(
        [image], axes[None], [pixel_scale], [owner], tolerance
    )
    return LocalMap(maps[0, :, 0], maps[0, :, 1:]), problems[0]


def find_wcs_problem(cutout, band, coord):
    """
    Describe the problem of the WCS of a cutout, if it has one.

    Parameters
    ----------
    cutout : `~astropy.nddata.CCDData`
        The image; only its WCS, shape and ``meta["alignment"]`` are read.
    band : Band or str
        Its band: the pixel scale is held against the survey's or, if the cutout was
        aligned before, against what its ``meta["alignment"]`` records.
    coord : `~astropy.coordinates.SkyCoord`
        The target, which the image must show.

    Returns
    -------
    str or None
        What is wrong, or None if nothing is. East to the right (flipped parity) is
        nothing wrong.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.coordinates import SkyCoord
    >>> from astropy.nddata import CCDData
    >>> from mantis_astro.astrometry import find_wcs_problem
    >>> image = CCDData(np.ones((8, 8)), unit="adu")
    >>> find_wcs_problem(image, "ps1.g", SkyCoord(10, 20, unit="deg"))
    'there is no WCS'
    """
    band = get_band(band)
    scale, owner = _own_scale(cutout, _survey_scale(band), band)
    axes = tangent_axes(*icrs_lon_lat(coord))
    return judge(cutout, axes, scale, owner=owner)[1]


def check_wcs(cutouts):
    """
    Raise an error for cutouts with an impossible WCS.

    Parameters
    ----------
    cutouts : MultibandCutout
        The images of one target.

    Returns
    -------
    dict of Band to LocalMap
        Where the target is on each image.

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` naming the first such band, and why.
    """
    bands = list(cutouts)
    verdicts = judge_all([cutouts], bands)
    maps = {}
    for band, k in zip(bands, verdicts.index[0], strict=True):
        problem = verdicts.problems[k]
        if problem is not None:
            msg = f"the cutout of {band} cannot be placed on the sky: {problem}"
            raise InputSpecError(msg)
        maps[band] = verdicts.local_maps[k]
    return maps


def _survey_scale(band):
    return get_survey(band.survey).pixel_scale.to_value(u.arcsec)


def _own_scale(image, survey_scale, band):
    """Return the expected pixel scale (NaN if not recorded), and its origin."""
    records = image.meta.get("alignment")
    if not records:
        return survey_scale, band
    return records[-1].get("pixel_scale_arcsec", _NOT_RECORDED)[1], _GRID


def _is_like(image, other):
    """Return whether images share shape and WCS."""
    if image.data.shape != other.data.shape:  # CCDData.shape takes longer
        return False
    a, b = image.wcs, other.wcs
    if a is b:
        return True
    if not (isinstance(a, WCS) and isinstance(b, WCS)):
        return False
    if a.has_distortion or b.has_distortion:
        return False
    try:  # what wcslib fills in counts, too
        a.wcs.set()
        b.wcs.set()
    except (ValueError, MemoryError):
        return False
    return a.wcs.compare(b.wcs, _IGNORE_ANCILLARY)


def _judge(images, axes, expected, owners, tolerance):
    """Return maps, sizes, whether targets are shown, and problems, of n images."""
    maps = np.full((len(images), 2, 3), np.nan)
    sizes = np.array([image.data.shape[::-1] for image in images], float)
    sizes = sizes.reshape(-1, 2)
    problems = [_problem_of_kind(image.wcs) for image in images]
    placed = [k for k, problem in enumerate(problems) if problem is None]
    maps[placed] = local_maps([images[k].wcs for k in placed], axes[placed])

    positions, matrices = maps[..., 0], maps[..., 1:]
    on_image = ((positions >= -0.5) & (positions <= sizes - 0.5)).all(-1)
    upright = _sine_between_axes(matrices) > _LEAST_SINE
    longest, shortest = pixel_extents(matrices)
    expected = np.array(expected, float)
    expected = np.where(np.isnan(expected), longest, expected)
    most = (1 + tolerance) * (1 + _ROUNDING)
    right = (longest <= most * expected) & (expected <= most * shortest)

    for k in np.flatnonzero(~(on_image & upright & right)):
        if problems[k] is not None:
            continue
        if not (upright[k] or _has_upright_matrix(images[k].wcs)):
            problems[k] = (
                "the matrix of the WCS is singular: its axes are (nearly) parallel"
            )
        elif not on_image[k]:
            problems[k] = _off_image(positions[k], sizes[k])
        else:
            problems[k] = (
                f"its pixels measure {longest[k]:.4g} x {shortest[k]:.4g} arcsec, "
                f"those of {_title(owners[k])} {expected[k]:.4g} arcsec (more than "
                f"{tolerance:.0%} off)"
            )
    return maps, sizes, on_image & upright, problems


def _problem_of_kind(wcs):
    """Describe why a WCS is not one of the sky for any target, or return None."""
    if wcs is None:
        return "there is no WCS"
    if not isinstance(wcs, WCS):
        return f"the WCS must be an astropy.wcs.WCS, got {type(wcs).__name__}"
    try:
        wcs.wcs.set()
    except (ValueError, MemoryError) as error:  # wcslib's errors are ValueErrors
        reason = str(error).strip().splitlines()[-1]
        return f"the WCS is broken ({reason})"
    if not (wcs.naxis == 2 and wcs.wcs.lng >= 0 and wcs.wcs.lat >= 0):
        axes = ", ".join(axis or "none" for axis in wcs.wcs.ctype)
        return f"the WCS must have two celestial axes and no other, got {axes}"
    if not has_known_frame(wcs):
        axes = ", ".join(wcs.wcs.ctype)
        return f"the axes of the WCS have no frame that leads to ICRS: {axes}"
    return None


def _sine_between_axes(matrices):
    """Sine of the angle between the pixel axes on the sky, of (n, 2, 2); no sign."""
    a, b, c, d = matrices.reshape(-1, 4).T
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.abs(a * d - b * c) / (np.hypot(a, b) * np.hypot(c, d))


def _has_upright_matrix(wcs):
    """Return whether a WCS that gave no map, or a singular one, could have done so."""
    return bool(_sine_between_axes(wcs.pixel_scale_matrix[None])[0] > _LEAST_SINE)


def _off_image(position, size):
    (x, y), (nx, ny) = position, size
    return (
        f"the target falls at pixel ({x:.0f}, {y:.0f}), outside the image of "
        f"{nx:.0f} x {ny:.0f} pixels (was it cropped without updating the WCS?)"
    )


def _title(owner):
    return owner if isinstance(owner, str) else get_survey(owner.survey).title
