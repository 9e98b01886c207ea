"""A tessellation of the sky like Pan-STARRS1's: projection cells and skycells."""

import hashlib
from dataclasses import dataclass

import numpy as np

__all__ = [
    "EXPOSURE_TIME",
    "PIXEL_SCALE",
    "Skycell",
    "find_skycells",
    "parse_file_name",
]

PIXEL_SCALE = 0.25  # arcsec
EXPOSURE_TIME = 860.0  # s, of a typical stack
_FIRST_RING, _RING = -38.0, 3.6  # degrees of declination
_SPACING, _SIDE = 5760, 6250  # pixels: neighbours share a strip of 2 arcmin
_PER_SIDE = 10


@dataclass(frozen=True)
class Skycell:
    """
    One stack image: a square of a tangent plane.

    Attributes
    ----------
    projcell, subcell : int
        Its name, as in ``skycell.1056.037``.
    crval : tuple of float
        Tangent point, degrees.
    """

    projcell: int
    subcell: int
    crval: tuple

    @property
    def origin(self):
        """Corner ``(x, y)`` on the tangent plane, pixels."""
        row, column = divmod(self.subcell, _PER_SIDE)
        margin = (_SIDE - _SPACING) // 2
        half = _PER_SIDE // 2
        return (column - half) * _SPACING - margin, (row - half) * _SPACING - margin

    @property
    def shape(self):
        """Shape ``(ny, nx)`` in pixels."""
        return _SIDE, _SIDE

    def file_name(self, band):
        """
        Make the path of the stack in a band.

        Parameters
        ----------
        band : str
            Letter of the band.

        Returns
        -------
        str
            Path on the server.
        """
        projcell, subcell = f"{self.projcell:04d}", f"{self.subcell:03d}"
        name = f"rings.v3.skycell.{projcell}.{subcell}.stk.{band}.unconv.fits"
        return f"/rings.v3.skycell/{projcell}/{subcell}/{name}"

    def exposure_time(self, band):
        """
        Exposure time of the stack in a band; each skycell has its own.

        Parameters
        ----------
        band : str
            Letter of the band.

        Returns
        -------
        float
            Seconds.
        """
        digest = hashlib.blake2b(self.file_name(band).encode(), digest_size=2).digest()
        return EXPOSURE_TIME * (0.5 + int.from_bytes(digest, "big") / 2**16 * 1.5) // 1

    def pixel(self, ra, dec):
        """
        Project a position onto the tangent plane.

        Parameters
        ----------
        ra, dec : float
            Position, degrees.

        Returns
        -------
        tuple of float
            ``(x, y)`` in pixels from the tangent point, x towards west.
        """
        xi, eta = _tangent_plane(ra, dec, *self.crval)
        return -xi * 3600 / PIXEL_SCALE, eta * 3600 / PIXEL_SCALE

    def contains(self, ra, dec):
        """
        Return whether a position lies on the skycell.

        Parameters
        ----------
        ra, dec : float
            Position, degrees.

        Returns
        -------
        bool
            True if it does.
        """
        x, y = self.pixel(ra, dec)
        x0, y0 = self.origin
        return x0 <= x < x0 + _SIDE and y0 <= y < y0 + _SIDE


def find_skycells(ra, dec):
    """
    Find the skycells that cover a position.

    Parameters
    ----------
    ra, dec : float
        Position, degrees.

    Returns
    -------
    list of Skycell
        One, or up to four where they overlap.
    """
    projcell, crval = _projection_cell(ra, dec)
    x, y = Skycell(projcell, 0, crval).pixel(ra, dec)
    near = [
        {int(np.floor((p + half) / _SPACING)) + _PER_SIDE // 2 for half in (-245, 245)}
        for p in (x, y)
    ]
    cells = [
        Skycell(projcell, row * _PER_SIDE + column, crval)
        for row in sorted(near[1])
        for column in sorted(near[0])
        if 0 <= row < _PER_SIDE and 0 <= column < _PER_SIDE
    ]
    return [cell for cell in cells if cell.contains(ra, dec)]


def parse_file_name(name):
    """
    Read skycell and band from a file name.

    Parameters
    ----------
    name : str
        Path or name of a stack.

    Returns
    -------
    cell : Skycell
        The skycell.
    band : str
        Letter of the band.

    Raises
    ------
    ValueError
        If it is no such name.
    """
    parts = name.rpartition("/")[2].split(".")
    if len(parts) < 7 or parts[:3] != ["rings", "v3", "skycell"]:
        msg = f"no such file: {name}"
        raise ValueError(msg)
    projcell, subcell = int(parts[3]), int(parts[4])
    ring = int(np.searchsorted(_FIRST_CELL, projcell, side="right")) - 1
    column = projcell - _FIRST_CELL[ring]
    return Skycell(projcell, subcell, _centre(ring, column)), parts[6]


def _ring_size(ring):
    """Cells of a ring, so many that none is wider than high."""
    low = abs(_FIRST_RING + ring * _RING) - _RING / 2
    return max(int(np.ceil(360 * np.cos(np.radians(max(low, 0))) / _RING)), 1)


_N_RINGS = int((90 - _FIRST_RING) / _RING) + 1
_FIRST_CELL = 635 + np.cumsum([0, *(_ring_size(ring) for ring in range(_N_RINGS - 1))])


def _centre(ring, column):
    return float(column * 360 / _ring_size(ring)), _FIRST_RING + ring * _RING


def _projection_cell(ra, dec):
    ring = int(np.clip(round((dec - _FIRST_RING) / _RING), 0, _N_RINGS - 1))
    column = round(ra % 360 * _ring_size(ring) / 360) % _ring_size(ring)
    return int(_FIRST_CELL[ring] + column), _centre(ring, column)


def _tangent_plane(ra, dec, ra0, dec0):
    """Compute standard coordinates xi, eta in degrees (gnomonic projection)."""
    ra, dec, ra0, dec0 = np.radians((ra, dec, ra0, dec0))
    cos = np.sin(dec0) * np.sin(dec) + np.cos(dec0) * np.cos(dec) * np.cos(ra - ra0)
    xi = np.cos(dec) * np.sin(ra - ra0) / cos
    eta = (
        np.cos(dec0) * np.sin(dec) - np.sin(dec0) * np.cos(dec) * np.cos(ra - ra0)
    ) / cos
    return float(np.degrees(xi)), float(np.degrees(eta))
