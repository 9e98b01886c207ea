"""Skies that are known analytically, seen through any WCS."""

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.nddata import CCDData
from astropy.wcs import WCS

from mantis_astro import MultibandCutout
from mantis_astro.bands import get_band, get_survey

TARGET = SkyCoord(150.1, 2.2, unit="deg")


def make_wcs(
    coord=TARGET,
    n=64,
    scale=0.25,
    *,
    angle=0.0,
    flip=False,
    shift=(0.0, 0.0),
    tangent=None,
    frame="ICRS",
):
    """TAN grid of n x n pixels of `scale` arcsec with the target at its centre."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.radesys = frame
    if frame != "ICRS":
        wcs.wcs.equinox = {"FK5": 2000.0, "FK4": 1950.0}[frame]
    place = coord if tangent is None else tangent
    place = place.transform_to(frame.lower())
    wcs.wcs.crval = [place.ra.deg, place.dec.deg]
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    parity = 1 if flip else -1
    degrees = scale / 3600
    wcs.wcs.cd = np.array([[cos, -sin], [sin, cos]]) @ np.diag(
        [parity * degrees, degrees]
    )
    wcs.wcs.crpix = [(n + 1) / 2, (n + 1) / 2]
    wcs.wcs.set()
    if tangent is not None:
        wcs.wcs.crpix -= np.array(wcs.world_to_pixel(coord)) - (n - 1) / 2
    wcs.wcs.crpix += shift
    wcs.wcs.set()
    wcs.array_shape = (n, n)
    return wcs


def render(wcs, shape, coord=TARGET, *, fwhm=2.0, flux=100.0):
    """Flux per pixel of a round Gaussian at a position, at pixel centres."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    separation = wcs.pixel_to_world(x, y).icrs.separation(coord).arcsec
    sigma = fwhm / 2.3548
    area = np.abs(np.linalg.det(wcs.pixel_scale_matrix)) * 3600**2
    return (
        flux * area / (2 * np.pi * sigma**2) * np.exp(-0.5 * (separation / sigma) ** 2)
    )


def make_cutout(band, wcs, data=None, **kwargs):
    """CCDData in the survey's unit; a Gaussian as wide as the band's PSF by default."""
    band = get_band(band)
    if data is None:
        data = render(wcs, wcs.array_shape, fwhm=band.psf_fwhm.to_value(u.arcsec))
    data = np.asarray(data)
    data = data.astype("f4") if data.dtype == np.float64 else data
    return CCDData(data, unit=get_survey(band.survey).unit, wcs=wcs, **kwargs)


def make_galaxy(coord=TARGET, *, tangent=None, angle=0.0):
    """A Gaussian in PS1, GALEX and unWISE bands, PS1 on another projection."""
    grids = {
        "galex": make_wcs(coord, 32, 1.5),
        "ps1": make_wcs(coord, 170, 0.25, tangent=tangent, angle=angle),
        "unwise": make_wcs(coord, 32, 2.75),
    }
    bands = ["galex.NUV", "ps1.g", "ps1.i", "unwise.W1"]
    cutouts = {}
    for band in bands:
        wcs = grids[band.split(".")[0]].deepcopy()
        fwhm = 1.3 * get_band(band).psf_fwhm.to_value(u.arcsec)
        cutouts[band] = make_cutout(
            band, wcs, render(wcs, wcs.array_shape, coord, fwhm=fwhm)
        )
    return MultibandCutout(coord, cutouts)


def centroid(image):
    """First moments x, y."""
    image = np.nan_to_num(image)
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    return (image * x).sum() / image.sum(), (image * y).sum() / image.sum()
