"""Tiles as surveys publish them, small: pixels, headers and whole files."""

import gzip
import io
import math

import numpy as np
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.wcs import WCS

from mantis_astro.bands import get_band, get_survey
from mantis_astro.services.request import north_up

SOFTENING, OFFSET, EXPOSURE = 3.0, 0.5, 812.0


def tangent_header(ra, dec, shape, scale, *, crpix=None, frame=None):
    """Cards of a tile with north up around (ra, dec), or a plane cut elsewhere."""
    header = north_up(ra, dec, shape, scale / 3600).to_header()
    if crpix is not None:
        header["CRPIX1"], header["CRPIX2"] = crpix
    header["RADESYS"] = frame or "ICRS"
    return header


def make_pixels(shape, seed=0):
    """Noise, and sources so bright that a wrong pixel shows; some pixels negative."""
    rng = np.random.default_rng(seed)
    pixels = rng.normal(0, 1, shape)
    y, x = rng.integers(3, np.array(shape) - 3, (12, 2)).T
    pixels[y, x] += rng.uniform(20, 200, 12)
    return pixels.astype("f4")


def encode_asinh(flux):
    """What undoes ``flux = BOFFSET + BSOFTEN (10**(0.4 v) - 10**(-0.4 v))``."""
    return np.arcsinh((flux - OFFSET) / (2 * SOFTENING)) / (0.4 * np.log(10))


def skycell_bytes(pixels, cards, band="g", *, softened=True, tile_shape=None, **kind):
    """A stack as MAST has it: compressed in an extension, asinh-scaled, 16 bits."""
    header = cards.copy()
    header["HIERARCH FPA.FILTERID"] = f"{band}.00000"
    header["EXPTIME"] = EXPOSURE
    data = pixels
    if softened:
        header["BSOFTEN"], header["BOFFSET"] = SOFTENING, OFFSET
        data = encode_asinh(pixels.astype(float)).astype("f4")
    options = {
        "compression_type": "RICE_1",
        "quantize_level": 1e4,
        "quantize_method": 1,
    }
    options |= {"dither_seed": 17, "tile_shape": tile_shape or (1, pixels.shape[1])}
    hdu = fits.CompImageHDU(data, header, **(options | kind))
    return _to_bytes([fits.PrimaryHDU(), hdu])


def image_bytes(pixels, cards, **facts):
    """A tile as it is, in the first HDU, as unWISE's are."""
    header = cards.copy()
    header.update(facts)
    return _to_bytes([fits.PrimaryHDU(np.asarray(pixels), header)])


def packed(content):
    return gzip.compress(content, mtime=0)


def read_pixels(content):
    """What astropy reads of a whole file, asinh undone: the truth about a tile."""
    with fits.open(io.BytesIO(content)) as hdus:
        hdu = next(h for h in hdus if h.is_image and h.shape)
        data, header = hdu.data.astype("f4"), hdu.header
        if "BSOFTEN" in header and "BOFFSET" in header:
            power = 10 ** (0.4 * data)
            data = header["BOFFSET"] + header["BSOFTEN"] * (power - 1 / power)
        return CCDData(
            data.astype("f4"),
            unit="adu",
            wcs=WCS(header),
            meta={"exposure_time": header.get("EXPTIME")},
        )


def crop(tile, coord, shape):
    """The nearest pixels around a position, NaN off the tile, in plain loops."""
    x, y = tile.wcs.world_to_pixel(coord)
    x0 = round(float(x) - (shape[1] - 1) / 2)
    y0 = round(float(y) - (shape[0] - 1) / 2)
    out = np.full(shape, np.nan, "f4")
    for j in range(shape[0]):
        for i in range(shape[1]):
            if 0 <= y0 + j < tile.shape[0] and 0 <= x0 + i < tile.shape[1]:
                out[j, i] = tile.data[y0 + j, x0 + i]
    return out


def interpolate(tile, coord, band, shape=None):
    """The viewer's image of a position: Lanczos of order 3, in plain loops."""
    survey = get_survey(get_band(band).survey)
    shape = shape or survey.shape
    grid = north_up(
        coord.icrs.ra.deg, coord.icrs.dec.deg, shape, survey.pixel_scale.to_value("deg")
    )
    out = np.full(shape, np.nan)
    j, i = np.mgrid[: shape[0], : shape[1]]
    x, y = tile.wcs.world_to_pixel(grid.pixel_to_world(i, j))
    for at in np.ndindex(shape):
        out[at] = _lanczos_sum(tile.data, float(x[at]), float(y[at]))
    return CCDData(out.astype("f4"), unit=survey.unit, wcs=grid)


def _lanczos_sum(data, x, y):
    ny, nx = data.shape
    i0, j0 = round(x), round(y)
    if not (0 <= i0 < nx and 0 <= j0 < ny):
        return np.nan
    total = weights = 0.0
    for j in range(j0 - 3, j0 + 4):
        for i in range(i0 - 3, i0 + 4):
            weight = _kernel(i - x) * _kernel(j - y)
            value = data[min(max(j, 0), ny - 1), min(max(i, 0), nx - 1)]
            total, weights = total + weight * float(value), weights + weight
    return total / weights


def _kernel(t):
    if t == 0:
        return 1.0
    return (
        float(
            math.sin(math.pi * t) * math.sin(math.pi * t / 3) * 3 / (math.pi * t) ** 2
        )
        if abs(t) < 3
        else 0.0
    )


def _to_bytes(hdus):
    file = io.BytesIO()
    fits.HDUList(hdus).writeto(file)
    return file.getvalue()
