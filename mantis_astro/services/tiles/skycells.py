"""`SkycellGrid`: positions of the skycells of Pan-STARRS1, computed locally."""

import numpy as np
from astropy.table import Table

from mantis_astro.services.configuration import conf
from mantis_astro.services.stack_list import StackFile
from mantis_astro.services.tiles.tile_list import Tile

__all__ = ["SkycellGrid"]

_PIXEL = 0.25 / 3600  # degrees
_OVERLAP = 480  # pixels that neighbouring skycells share
_PER_SIDE = 10  # skycells along a side of a projection cell
_FIRST_CELL, _FIRST_ZONE = 635, 15
# The RINGS.V3 tessellation, a zone of declination every 4 degrees: number of projection
# cells, and width and height of a skycell in pixels. Zones 22 and 23 are at -2 and +2
# degrees; those from -30 to -2 mirror those from +30 to +2.
_NORTH = (
    (90, 6240, 6243),
    (89, 6291, 6247),
    (89, 6248, 6250),
    (88, 6242, 6254),
    (86, 6274, 6258),
    (84, 6279, 6261),
    (82, 6255, 6265),
    (79, 6274, 6269),
    (76, 6265, 6274),
    (72, 6305, 6279),
    (68, 6320, 6284),
    (64, 6307, 6289),
    (60, 6261, 6295),
    (55, 6283, 6302),
    (50, 6278, 6311),
    (45, 6240, 6319),
    (39, 6307, 6333),
    (33, 6365, 6350),
    (27, 6413, 6371),
    (21, 6452, 6398),
    (15, 6481, 6429),
    (9, 6501, 6419),
    (1, 6240, 6240),
)
_ZONES = (*_NORTH[7::-1], *_NORTH)
_BYTES_PER_PIXEL = 1.0  # of a stack, asinh-scaled and compressed: for plans only


class SkycellGrid:
    """
    The tessellation of Pan-STARRS1's stacks, RINGS.V3.

    Parameters
    ----------
    grid : str, path-like or `~astropy.table.Table`, optional
        MAST's table of it, ``ps1grid.fits``; by default the numbers in this module,
        which are those of that table.
    server : str, optional
        Address above ``rings.v3.skycell``, or a local folder; by default
        ``conf.panstarrs_tiles``.

    References
    ----------
    PS1 Sky tessellation patterns, https://outerspace.stsci.edu/display/PANSTARRS.

    Examples
    --------
    >>> from mantis_astro.bands import get_band
    >>> from mantis_astro.services.tiles import SkycellGrid
    >>> [[best, *others]] = SkycellGrid().find([150.1], [2.2], get_band("ps1.g"))
    >>> best.url.rpartition("/")[2]
    'rings.v3.skycell.1360.059.stk.g.unconv.fits'
    """

    def __init__(self, grid=None, *, server=None):
        self._server = server
        if grid is None:
            cells, widths, heights = np.array(_ZONES).T
            first = _FIRST_CELL + np.cumsum([0, *cells[:-1]])
            dec = 4.0 * (_FIRST_ZONE + np.arange(len(cells))) - 90
        else:
            table = grid if isinstance(grid, Table) else Table.read(grid)
            first, cells, dec, widths, heights = (
                np.asarray(table[name])
                for name in ("PROJCELL", "NBAND", "DEC", "XCELL", "YCELL")
            )
        self._first, self._cells, self._dec = first, cells, dec
        self._sides = np.stack([widths, heights], axis=-1)

    def number(self, ra, dec, band):  # noqa: ARG002  all bands have the same skycells
        """
        Return the skycell in which each position is farthest from the edge.

        Parameters
        ----------
        ra, dec : array_like of float
            ICRS degrees, shape (n,).
        band : Band
            The band.

        Returns
        -------
        `~numpy.ndarray` of int
            Shape (n,); -1 where there is none.
        """
        cells, _, depths = self._around(ra, dec)
        best = depths.argmax(axis=1)[:, None]
        found = np.take_along_axis(cells, best, 1)[:, 0]
        return np.where(np.take_along_axis(depths, best, 1)[:, 0] > 0, found, -1)

    def find(self, ra, dec, band):
        """
        Find the skycells that cover positions.

        Parameters
        ----------
        ra, dec : array_like of float
            ICRS degrees, shape (n,).
        band : Band
            The band.

        Returns
        -------
        list of list of Tile
            For each position, that in which it lies deepest first.
        """
        cells, sides, depths = self._around(ra, dec)
        order = np.argsort(-depths, axis=1)
        found = []
        for i, columns in enumerate(order):
            tiles = {int(cells[i, k]): sides[i, k] for k in columns if depths[i, k] > 0}
            found.append([self._tile(n, side, band) for n, side in tiles.items()])
        return found

    def _tile(self, number, side, band):
        projcell, subcell = divmod(number, _PER_SIDE**2)
        name = f"{projcell:04d}.{subcell:03d}"
        folder = f"rings.v3.skycell/{name.replace('.', '/')}"
        server = str(self._server or conf.panstarrs_tiles).rstrip("/")
        url = f"{server}/{folder}/rings.v3.skycell.{name}.stk.{band.name}.unconv.fits"
        shape = int(side[1]), int(side[0])
        n_bytes = _BYTES_PER_PIXEL * shape[0] * shape[1]
        return Tile(url, shape, n_bytes, file=StackFile(projcell, subcell, url))

    def _around(self, ra, dec):
        """Give number, side and depth in pixels of 16 skycells around each position."""
        ra, dec = np.atleast_1d(np.asarray(ra, float)), np.atleast_1d(dec)
        zone = np.interp(dec, self._dec, np.arange(len(self._dec)))
        zones = np.stack([np.floor(zone), np.ceil(zone)], axis=-1).astype(int)
        place = (ra % 360)[:, None] * self._cells[zones] / 360
        columns = np.stack([np.floor(place), np.ceil(place)], axis=-1).astype(int)
        zones, columns = zones[..., None], columns % self._cells[zones][..., None]
        x, y = _tangent_plane(
            ra[:, None, None],
            np.asarray(dec, float)[:, None, None],
            columns * 360 / self._cells[zones],
            self._dec[zones],
        )  # pixels from the tangent point, (n, 2, 2): zones, columns
        steps = self._sides[zones] - _OVERLAP  # (n, 2, 1, 2)
        offsets = np.stack([x, y], axis=-1)
        place = offsets / steps + (_PER_SIDE - 1) / 2
        near = np.stack([np.floor(place), np.ceil(place)], axis=-2)
        near = near.clip(0, _PER_SIDE - 1).astype(int)  # (n, 2, 2, 2, 2): axis last
        corner = (near - _PER_SIDE // 2) * steps[..., None, :] - _OVERLAP / 2
        inside = offsets[..., None, :] - corner
        depth = np.minimum(inside, self._sides[zones][..., None, :] - 1 - inside)
        depth = np.minimum(depth[..., 1][..., :, None], depth[..., 0][..., None, :])
        subcell = near[..., 1][..., :, None] * _PER_SIDE + near[..., 0][..., None, :]
        projcell = (self._first[zones] + columns)[..., None, None]
        numbers = projcell * _PER_SIDE**2 + subcell
        sides = np.broadcast_to(
            self._sides[zones][..., None, None, :], (*numbers.shape, 2)
        )
        shape = len(ra), 16
        return numbers.reshape(shape), sides.reshape(*shape, 2), depth.reshape(shape)


def _tangent_plane(ra, dec, ra0, dec0):
    """Pixels west and north of a tangent point; infinite on the far side of the sky."""
    ra, dec, ra0, dec0 = map(np.radians, (ra, dec, ra0, dec0))
    towards = np.sin(dec0) * np.sin(dec) + np.cos(dec0) * np.cos(dec) * np.cos(ra - ra0)
    xi = np.cos(dec) * np.sin(ra - ra0)
    eta = np.cos(dec0) * np.sin(dec) - np.sin(dec0) * np.cos(dec) * np.cos(ra - ra0)
    scale = np.where(towards > 0, 1 / (np.radians(_PIXEL) * towards), np.inf)
    with np.errstate(invalid="ignore"):
        return np.nan_to_num(-xi * scale), np.nan_to_num(eta * scale)
