"""PSF matching: every band blurred to the resolution of the worst one."""

import math

import astropy.units as u
import numpy as np
from astropy.nddata import CCDData, VarianceUncertainty

from mantis_astro.alignment.methods import MINIMUM_COVERAGE
from mantis_astro.alignment.resample import planes_and_bad
from mantis_astro.astrometry import check_wcs
from mantis_astro.bands import get_band
from mantis_astro.cutouts import MultibandCutout

__all__ = ["match_psf"]

_FWHM_PER_SIGMA = 2 * math.sqrt(2 * math.log(2))
_RADIUS = 5  # of a PSF's array, in sigma: 4e-6 of its light is beyond
_SAME = 1.001  # widths that agree to this are one width


def match_psf(cutouts, *, psfs=None, target=None):
    """
    Blur every band to one point spread function.

    Colours in small apertures compare the same part of a galaxy only if all bands are
    equally blurred. Kernels are made by `photutils.psf_matching.make_kernel`.

    Parameters
    ----------
    cutouts : MultibandCutout
        The images. They are not changed.
    psfs : mapping of Band or str to array_like, optional
        PSF of each band, centred, of odd shape, on the pixels of the cutouts, which
        must then have one pixel scale (see `align`). By default Gaussians with each
        band's ``psf_fwhm``.
    target : Band, str or `~astropy.units.Quantity`, optional
        The band to match, or the FWHM of a Gaussian (without ``psfs`` only); by
        default the band with the widest PSF.

    Returns
    -------
    MultibandCutout
        Same grids and units. Bad pixels are left out of the blur, and pixels are
        masked, and NaN, where less than half of what is blurred together is good (as
        at the corners of an image).
        Variances are blurred as the flux is (see `align`). Each ``meta`` gets a record
        ``"psf_matching"``.

    Raises
    ------
    ValueError
        If a band is wider than the target, PSFs are missing or not on one pixel
        scale, or a WCS cannot be right.

    Examples
    --------
    >>> import astropy.units as u
    >>> import numpy as np
    >>> from astropy.coordinates import SkyCoord
    >>> from astropy.nddata import CCDData
    >>> from mantis_astro import MultibandCutout, common_wcs
    >>> from mantis_astro.alignment import match_psf
    >>> coord = SkyCoord(10, 20, unit="deg")
    >>> data = np.zeros((65, 65))
    >>> data[32, 32] = 1
    >>> wcs = common_wcs(coord, 65, 0.25 * u.arcsec)
    >>> star = CCDData(data, unit="adu", wcs=wcs)
    >>> cutouts = MultibandCutout(coord, {"ps1.g": star, "ps1.y": star})
    >>> matched = match_psf(cutouts)
    >>> matched["ps1.g"].meta["psf_matching"]  # the widest
    {'target': 'ps1.g'}
    >>> np.nansum(matched["ps1.y"].data)
    np.float64(1.0)
    """
    scales = {band: local.pixel_scale for band, local in check_wcs(cutouts).items()}
    if psfs is None:
        kernels, name = _gaussian_kernels(scales, target)
    else:
        kernels, name = _measured_kernels(scales, psfs, target)
    new = {band: _blur(cutouts[band], kernels[band], name) for band in cutouts}
    return MultibandCutout(cutouts.coord, new, meta=cutouts.meta)


def _gaussian_kernels(scales, target):
    """Kernel of each band (None: as it is), and the name of the target."""
    widths = {band: band.psf_fwhm.to_value(u.arcsec) for band in scales}
    if isinstance(target, u.Quantity):
        width, name = target.to_value(u.arcsec), f"Gaussian of FWHM {target}"
    else:
        chosen = max(widths, key=widths.get) if target is None else get_band(target)
        width, name = chosen.psf_fwhm.to_value(u.arcsec), str(chosen)
    kernels = {}
    for band, own in widths.items():
        _check_width(band, own, width, name)
        if own * _SAME >= width:
            kernels[band] = None
            continue
        radius = math.ceil(_RADIUS * width / _FWHM_PER_SIGMA / scales[band])
        kernels[band] = _kernel(
            _gaussian(own / scales[band], radius),
            _gaussian(width / scales[band], radius),
        )
    return kernels, name


def _measured_kernels(scales, psfs, target):
    if max(scales.values()) > _SAME * min(scales.values()):
        msg = (
            "with 'psfs' all cutouts must have one pixel scale, got "
            f"{min(scales.values()):.4g} to {max(scales.values()):.4g} arcsec; align "
            "them first"
        )
        raise ValueError(msg)
    psfs = {get_band(band): _normalised(band, psf) for band, psf in psfs.items()}
    missing = [str(band) for band in scales if band not in psfs]
    if missing:
        msg = f"'psfs' must have every band of the cutouts; missing: {missing}"
        raise ValueError(msg)
    side = max(side for psf in psfs.values() for side in psf.shape)
    psfs = {band: _padded(psfs[band], side) for band in scales}
    # the noise-equivalent area is a width that wings of noise do not spoil
    widths = {band: float(np.sum(psf**2)) ** -0.5 for band, psf in psfs.items()}
    chosen = max(widths, key=widths.get) if target is None else get_band(target)
    if chosen not in psfs:
        msg = f"with 'psfs', 'target' must be a band of the cutouts, got {target}"
        raise ValueError(msg)
    kernels = {}
    for band, psf in psfs.items():
        _check_width(band, widths[band], widths[chosen], chosen)
        is_target = band == chosen
        kernels[band] = None if is_target else _kernel(psf, psfs[chosen])
    return kernels, str(chosen)


def _check_width(band, width, target_width, target):
    if width > _SAME * target_width:
        msg = (
            f"the PSF of {band} is wider than the 'target' ({target}): bands can only "
            "be blurred; choose the widest band, or leave this one out"
        )
        raise ValueError(msg)


def _normalised(band, psf):
    psf = np.asarray(psf, dtype=float)
    if psf.ndim != 2 or not all(side % 2 for side in psf.shape):
        msg = (
            f"the PSF of {band} must be a two-dimensional array with odd sides (its "
            f"centre on a pixel), got shape {psf.shape}"
        )
        raise ValueError(msg)
    return psf / psf.sum()


def _padded(psf, side):
    ny, nx = psf.shape
    y, x = (side - ny) // 2, (side - nx) // 2
    return np.pad(psf, ((y, y), (x, x)))


def _gaussian(fwhm, radius):
    r = np.arange(-radius, radius + 1)
    profile = np.exp(-0.5 * (r * _FWHM_PER_SIGMA / fwhm) ** 2)
    return np.outer(profile, profile)


def _kernel(source, target):
    from photutils.psf_matching import make_kernel

    return make_kernel(source, target)


def _blur(cutout, kernel, name):
    from scipy.signal import fftconvolve

    meta = {**cutout.meta, "psf_matching": {"target": name}}
    if kernel is None:
        new = cutout.copy()
        new.meta = meta
        return new
    planes, bad = planes_and_bad(cutout)
    stack = np.stack([*planes, ~bad]).astype(float)
    stack = fftconvolve(stack, kernel[None], mode="same", axes=(1, 2))
    coverage = stack[-1]
    mask = coverage < MINIMUM_COVERAGE["exact"]
    stack = np.where(mask, np.nan, stack[:-1] / np.where(mask, 1, coverage))
    dtype = np.result_type(cutout.data.dtype.newbyteorder("="), np.float32)
    uncertainty = None
    if cutout.uncertainty is not None:
        variance = VarianceUncertainty(stack[1].astype(dtype))
        uncertainty = variance.represent_as(type(cutout.uncertainty))
    return CCDData(
        stack[0].astype(dtype),
        unit=cutout.unit,
        wcs=cutout.wcs,
        mask=mask,
        uncertainty=uncertainty,
        meta=meta,
    )
