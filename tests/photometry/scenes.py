"""Small skies with known fluxes."""

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.nddata import CCDData
from astropy.wcs import WCS
from scipy.ndimage import gaussian_filter

from mantis_astro import MultibandCutout
from mantis_astro.bands import get_band, get_survey

COORD = SkyCoord(150.0, 2.0, unit="deg")
NJY = 2.5 * np.log10(3631e9)  # AB zero point of one nJy


def make_wcs(coord, shape, scale, *, rotation=0.0, flip=False, shift=(0.0, 0.0)):
    """TAN, the target at the middle plus a shift in pixels; angle in degrees."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval = coord.icrs.ra.deg, coord.icrs.dec.deg
    wcs.wcs.crpix = (shape[1] + 1) / 2 + shift[0], (shape[0] + 1) / 2 + shift[1]
    c, s = np.cos(np.deg2rad(rotation)), np.sin(np.deg2rad(rotation))
    parity = np.diag([1.0 if flip else -1.0, 1.0])
    wcs.wcs.cd = scale / 3600 * parity @ np.array([[c, -s], [s, c]])
    return wcs


def gaussian(
    wcs, shape, coord, *, flux, fwhm, axis_ratio=1.0, angle=0.0, offset=(0, 0)
):
    """A Gaussian on the sky: FWHM of the major axis in arcsec, angle east of north.

    Sampled at the centres of pixels, as the FWHM of a survey's images is measured.
    """
    cd = 3600 * wcs.wcs.cd
    y, x = np.indices(shape)
    x0, y0 = wcs.world_to_pixel(coord)
    east = cd[0, 0] * (x - x0) + cd[0, 1] * (y - y0) - offset[0]
    north = cd[1, 0] * (x - x0) + cd[1, 1] * (y - y0) - offset[1]
    a = np.deg2rad(angle)
    along = east * np.sin(a) + north * np.cos(a)
    across = east * np.cos(a) - north * np.sin(a)
    sigma = fwhm / 2.3548200450309493
    image = np.exp(-0.5 * ((along / sigma) ** 2 + (across / sigma / axis_ratio) ** 2))
    area = abs(np.linalg.det(cd))
    return image * flux * area / (2 * np.pi * sigma**2 * axis_ratio)


def make_cutout(
    band="ps1.r",
    *,
    flux=1e5,
    coord=COORD,
    shape=None,
    sky=0.0,
    noise=0.0,
    seed=0,
    zero_point_ab=NJY,
    fwhm=None,
    extra=(),
    wcs=None,
    correlation=0.0,
    **options,
):
    """A cutout in nJy (unless the zero point says otherwise) with one source."""
    band = get_band(band)
    survey = get_survey(band.survey)
    shape = shape or survey.shape
    scale = survey.pixel_scale.to_value(u.arcsec)
    wcs_options = {
        k: options.pop(k) for k in ("rotation", "flip", "shift") & options.keys()
    }
    wcs = wcs or make_wcs(coord, shape, scale, **wcs_options)
    fwhm = fwhm or band.psf_fwhm.to_value(u.arcsec)
    data = gaussian(wcs, shape, coord, flux=flux, fwhm=fwhm, **options)
    for source in extra:
        data = data + gaussian(wcs, shape, coord, **source)
    rng = np.random.default_rng(seed)
    ripple = rng.normal(size=shape)
    if correlation:
        ripple = gaussian_filter(ripple, correlation)
        ripple /= 0.5 / (np.sqrt(np.pi) * correlation)  # its standard deviation
    data = data + sky + noise * ripple
    meta = {"zero_point_ab": zero_point_ab, "magsys": survey.magsys}
    return CCDData(data.astype(np.float32), unit=survey.unit, wcs=wcs, meta=meta)


def make_target(*bands, coord=COORD, **options):
    """A target with one cutout for each band."""
    cutouts = {
        band: make_cutout(band, coord=coord, seed=i, **options)
        for i, band in enumerate(bands or ["ps1.r"])
    }
    return MultibandCutout(coord, cutouts)


def first(column, row=0):
    """A number of a masked column: pytest.approx does not know those."""
    return float(column.unmasked.value[row])
