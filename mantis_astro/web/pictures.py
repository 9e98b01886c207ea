"""Cutouts as PNG, made in memory: north up, east left, a galaxy's to one scale."""

import struct
import zlib
from dataclasses import dataclass

import numpy as np

from mantis_astro.astrometry.directions import tangent_axes
from mantis_astro.astrometry.local_map import LocalMap, local_maps
from mantis_astro.bands import get_survey, list_bands
from mantis_astro.plotting.brightness import asinh_scaled

__all__ = ["Picture", "draw_cutouts", "to_png"]

_GREY_AND_ALPHA = 4  # colour type of PNG


@dataclass(frozen=True)
class Picture:
    """
    Picture of one band.

    Attributes
    ----------
    band : str
        Name of the band.
    title : str
        Survey and band, for people.
    state : str
        ``"ok"``, ``"no_coverage"`` or ``"failed"``.
    message : str
        Why there is no picture, in words; empty if there is one.
    side : float
        Side on the sky in arcsec; 0 without a picture.
    png : bytes
        The file; empty without a picture.
    """

    band: str
    title: str
    state: str
    message: str = ""
    side: float = 0.0
    png: bytes = b""


def draw_cutouts(cutouts, statuses):
    """
    Draw the cutouts of a galaxy.

    Parameters
    ----------
    cutouts : MultibandCutout
        The images.
    statuses : dict of Band to CutoutStatus
        How each band that was asked for ended.

    Returns
    -------
    list of Picture
        One for each band of ``statuses``, in the order of the registry; all of the side
        of the smallest image.
    """
    maps = {band: _local_map(cutouts[band], cutouts.coord) for band in cutouts}
    sides = [
        min(cutouts[band].shape) * local.pixel_scale
        for band, local in maps.items()
        if local is not None
    ]
    side = min(sides, default=0.0)
    return [
        _draw(band, status, cutouts.get(band), maps.get(band), side)
        for band, status in sorted(statuses.items(), key=lambda item: _place(item[0]))
    ]


def _place(band):
    """Place of a band in the registry; filters without a survey come last."""
    registered = list_bands()
    return registered.index(band) if band in registered else len(registered)


def _draw(band, status, cutout, local, side):
    survey = get_survey(band.survey).title if band.survey else ""
    facts = str(band), f"{survey} {band.name}".strip()
    if cutout is None:
        words = {"no_coverage": "the survey has no image here"}
        message = status.message or words.get(status.state, "no image")
        return Picture(*facts, status.state, message)
    if local is None:
        return Picture(*facts, "failed", "the image has no usable WCS")
    scaled = asinh_scaled(cutout, band, local.pixel_scale)
    if scaled is None:
        return Picture(*facts, "failed", "the image has no usable pixel")
    return Picture(*facts, "ok", "", side, to_png(_north_up(scaled, local, side)))


def _local_map(cutout, coord):
    """Map around the target; None without a WCS that shows it."""
    if cutout.wcs is None or not cutout.wcs.has_celestial:
        return None
    coord = coord.icrs
    axes = tangent_axes(coord.ra.rad[None], coord.dec.rad[None])
    (found,) = local_maps([cutout.wcs.celestial], axes)
    if not np.isfinite(found).all() or np.linalg.det(found[:, 1:]) == 0:
        return None
    ny, nx = cutout.shape
    x, y = found[:, 0]
    if not (-0.5 <= x <= nx - 0.5 and -0.5 <= y <= ny - 0.5):
        return None
    return LocalMap(found[:, 0], found[:, 1:])


def _north_up(image, local, side):
    """
    Sample an image on a grid of the sky, nearest pixel: no orientation is special.

    Rows go from north to south and columns from east to west, as a picture is read.
    """
    n = max(round(side / local.pixel_scale), 1)
    offset = (np.arange(n) - (n - 1) / 2) * (side / n)
    east, north = -offset[None, :], -offset[:, None]
    x, y = (
        origin + along_east * east + along_north * north
        for origin, (along_east, along_north) in zip(
            local.origin, local.matrix, strict=True
        )
    )
    x, y = np.round(x).astype(int), np.round(y).astype(int)
    ny, nx = image.shape
    inside = (x >= 0) & (x < nx) & (y >= 0) & (y < ny)
    return np.where(inside, image[y.clip(0, ny - 1), x.clip(0, nx - 1)], np.nan)


def to_png(image):
    """
    Write an image as PNG: dark sources on a bright sky, no data transparent.

    Parameters
    ----------
    image : ndarray, shape (ny, nx)
        From 0 (sky) to 1, the first row on top; NaN without data.

    Returns
    -------
    bytes
        The file.
    """
    known = np.isfinite(image)
    grey = 255 - np.round(255 * np.clip(np.where(known, image, 0), 0, 1))
    pixels = np.stack([grey, 255 * known], -1).astype(np.uint8)
    ny, nx = image.shape
    rows = np.hstack([np.zeros((ny, 1), np.uint8), pixels.reshape(ny, 2 * nx)])
    head = struct.pack(">IIBBBBB", nx, ny, 8, _GREY_AND_ALPHA, 0, 0, 0)
    data = zlib.compress(rows.tobytes())
    chunks = (b"IHDR", head), (b"IDAT", data), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(kind, data):
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)
