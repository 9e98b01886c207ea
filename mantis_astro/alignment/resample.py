"""`align`: every band of a target on one grid, by reproject."""

from __future__ import annotations

from typing import Literal

import numpy as np
from astropy.nddata import CCDData, VarianceUncertainty
from astropy.wcs import WCS

from mantis_astro.alignment.methods import (
    CONSERVE,
    MINIMUM_COVERAGE,
    check_option,
    choose_method,
    output_pixel_scale,
)
from mantis_astro.alignment.pixel_map import (
    PixelMap,
    check_points,
    pixel_corners,
    quadrilateral_area,
)
from mantis_astro.astrometry import check_wcs
from mantis_astro.astrometry.directions import directions_of, pixels_of
from mantis_astro.cutouts import MultibandCutout

__all__ = ["align", "check_grid", "planes_and_bad"]


def align(
    cutouts: MultibandCutout,
    wcs: WCS,
    *,
    shape: tuple[int, int] | None = None,
    method: Literal["interp", "adaptive", "exact"] | None = None,
    conserve: Literal["flux", "surface brightness"] = "flux",
) -> MultibandCutout:
    """
    Resample every band of a target onto one pixel grid.

    Parameters
    ----------
    cutouts : MultibandCutout
        The images. They are not changed.
    wcs : `~astropy.wcs.WCS`
        The grid to resample onto, e.g. from `common_wcs`.
    shape : tuple of int, optional
        Shape ``(ny, nx)`` of the grid in pixels; by default ``wcs.array_shape``.
    method : {"interp", "adaptive", "exact"}, optional
        Bilinear interpolation, the adaptive anti-aliased algorithm of DeForest (2004)
        or exact overlap of pixels, all by `reproject`. By default ``"interp"`` where
        it keeps aperture sums to 0.5 %, which takes output pixels finer than PSF
        FWHM / 2.5 that do not beat with the image's own, and ``"exact"`` elsewhere.
    conserve : {"flux", "surface brightness"}, optional
        Whether pixel values mean flux per pixel (all surveys here), and are scaled by
        the ratio of the pixel areas on the sky at the target, or brightness.

    Returns
    -------
    MultibandCutout
        Same bands and units, all with this WCS. Bad pixels (masked, not finite, with
        infinite variance) are left out before resampling, so they never leak; an
        output pixel is masked, and NaN, if anything it interpolates is bad or off the
        image (``"interp"``), or more than half its area is. Each ``meta`` keeps what
        it had and gets one more record in the list ``"alignment"``.

    Raises
    ------
    ValueError
        If the WCS of a band cannot be right (`find_wcs_problem`;
        `~mantis_astro.exceptions.InputSpecError`), the grid is not celestial or has no
        shape, or ``"interp"`` is asked for and would downsample.

    See Also
    --------
    mantis_astro.alignment.align_batch : the same for many targets at once.

    Notes
    -----
    Variances are resampled as fluxes are: summed over an aperture they give the
    variance of the aperture's flux, before and after. They are not the scatter of
    single output pixels, which is smaller where the grid is finer than the image,
    because neighbours then share the noise of one input pixel.

    Examples
    --------
    >>> import astropy.units as u
    >>> import numpy as np
    >>> from astropy.coordinates import SkyCoord
    >>> from astropy.nddata import CCDData
    >>> from mantis_astro import MultibandCutout, align, common_wcs
    >>> coord = SkyCoord(10, 20, unit="deg")
    >>> wcs = common_wcs(coord, 32, 1.5 * u.arcsec)
    >>> image = CCDData(np.ones((32, 32)), unit="ct/s", wcs=wcs)
    >>> cutouts = MultibandCutout(coord, {"galex.NUV": image})
    >>> aligned = align(cutouts, common_wcs(coord, 24 * u.arcsec, 0.5 * u.arcsec))
    >>> aligned["galex.NUV"].shape
    (48, 48)
    >>> aligned["galex.NUV"].data[24, 24]  # a ninth of the area, a ninth of the flux
    np.float64(0.1111111)
    """
    check_option("method", method, (None, *MINIMUM_COVERAGE))
    check_option("conserve", conserve, CONSERVE)
    shape = check_grid(wcs, shape)
    maps = check_wcs(cutouts)
    wcs = wcs.deepcopy()
    wcs.array_shape = shape
    directions = directions_of(wcs, *check_points(shape))
    scale_out = output_pixel_scale(directions, shape)
    new = {}
    for band, cutout in cutouts.items():
        area = _area_ratio(wcs, cutout.wcs, shape, directions)
        scale_in = round(maps[band].pixel_scale, 6)
        chosen = choose_method(method, band, scale_out, scale_in)
        record = {
            "method": chosen,
            "conserve": conserve,
            "pixel_scale_arcsec": [scale_in, float(scale_out)],
        }
        factor = area if conserve == "flux" else 1.0
        new[band] = _resample(cutout, wcs, chosen, factor, area, record)
    return MultibandCutout(cutouts.coord, new, meta=cutouts.meta)


def check_grid(wcs, shape):
    """
    Refuse a grid that is not one on the sky; settle its shape.

    Parameters
    ----------
    wcs : `~astropy.wcs.WCS`
        The grid.
    shape : tuple of int or None
        Its shape; None takes ``wcs.array_shape``.

    Returns
    -------
    tuple of int
        Shape ``(ny, nx)``.

    Raises
    ------
    ValueError
        If the WCS has not two celestial axes, or there is no shape.
    """
    if not isinstance(wcs, WCS) or wcs.naxis != 2 or not wcs.has_celestial:
        msg = f"'wcs' must be a WCS of two celestial axes, got {wcs!r}"
        raise ValueError(msg)
    shape = wcs.array_shape if shape is None else shape
    if shape is None:
        msg = "'shape' must be given: 'wcs' has no array_shape (see common_wcs)"
        raise ValueError(msg)
    ny, nx = (int(side) for side in shape)
    if min(ny, nx) < 1:
        msg = f"'shape' must be two positive numbers of pixels, got {shape}"
        raise ValueError(msg)
    return ny, nx


def _area_ratio(wcs_out, wcs_in, shape, directions):
    """Area of output pixels in input pixels: one number, or one for each pixel."""
    one = PixelMap(shape, pixels_of(wcs_in, directions)[None])
    if one.is_accurate[0]:
        return one.area[0]
    return quadrilateral_area(pixel_corners(wcs_out, wcs_in, shape))


def _resample(cutout, wcs, method, factor, area, record):
    planes, bad = planes_and_bad(cutout)
    if bad.any():
        planes.append(~bad)
    stack = np.stack(planes).astype(float)  # (data [, variance] [, good], ny, nx)
    stack, footprint = _REPROJECT[method](stack, cutout.wcs, wcs)
    footprint = footprint[0]
    if bad.any():
        good = stack[-1]
        with np.errstate(invalid="ignore", divide="ignore"):
            stack = stack[:-1] / good
        footprint = footprint * np.nan_to_num(good)
    mask = (footprint < MINIMUM_COVERAGE[method]) | ~np.isfinite(stack[0])
    stack[:, mask] = np.nan
    dtype = np.result_type(cutout.data.dtype.newbyteorder("="), np.float32)
    uncertainty = None
    if cutout.uncertainty is not None:
        variance = VarianceUncertainty((stack[1] * (factor**2 / area)).astype(dtype))
        uncertainty = variance.represent_as(type(cutout.uncertainty))
    meta = dict(cutout.meta)
    meta["alignment"] = [*meta.get("alignment", []), record]
    return CCDData(
        (stack[0] * factor).astype(dtype),
        unit=cutout.unit,
        wcs=wcs,
        mask=mask,
        uncertainty=uncertainty,
        meta=meta,
    )


def planes_and_bad(cutout):
    """
    Split a cutout into planes and bad pixels for resampling.

    Parameters
    ----------
    cutout : `~astropy.nddata.CCDData`
        The image.

    Returns
    -------
    planes : list of `numpy.ndarray`
        The data and, if there is an uncertainty, the variance; 0 where bad.
    bad : `numpy.ndarray` of bool
        Where a pixel is masked, or its value or variance is not finite.
    """
    planes = [cutout.data]
    if cutout.uncertainty is not None:
        with np.errstate(divide="ignore"):  # an inverse variance of 0
            planes.append(cutout.uncertainty.represent_as(VarianceUncertainty).array)
    bad = ~np.all([np.isfinite(plane) for plane in planes], axis=0)
    if cutout.mask is not None:
        bad |= cutout.mask
    return [np.where(bad, 0, plane) for plane in planes], bad


def _interp(stack, wcs_in, wcs_out):
    from reproject import reproject_interp

    return reproject_interp((stack, wcs_in), wcs_out, shape_out=wcs_out.array_shape)


def _adaptive(stack, wcs_in, wcs_out):
    from reproject import reproject_adaptive

    return reproject_adaptive(
        (stack, wcs_in),
        wcs_out,
        shape_out=wcs_out.array_shape,
        boundary_mode="ignore_threshold",
    )


def _exact(stack, wcs_in, wcs_out):
    from reproject import reproject_exact

    return reproject_exact((stack, wcs_in), wcs_out, shape_out=wcs_out.array_shape)


_REPROJECT = {"interp": _interp, "adaptive": _adaptive, "exact": _exact}
