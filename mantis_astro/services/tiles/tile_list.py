"""`Tile` and `TileList`: tiles of any survey, and which of them show a position."""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table

from mantis_astro.astrometry.directions import pixels_of, tangent_axes
from mantis_astro.bands import Band, get_band, get_survey
from mantis_astro.cutouts import FitsFolder
from mantis_astro.cutouts.reading import celestial_wcs
from mantis_astro.services.configuration import conf
from mantis_astro.services.request import north_up
from mantis_astro.services.stack_list import StackFile

__all__ = ["Tile", "TileList"]


@dataclass(frozen=True)
class Tile:
    """
    One image of a survey, as a file that shows a large part of the sky.

    Attributes
    ----------
    url : str
        Where it is: ``https://``, ``s3://`` or any other scheme of fsspec, or a path.
    shape : tuple of int
        Shape ``(ny, nx)`` that it is expected to have.
    n_bytes : float
        Size that the file is expected to have.
    hdu : int or None
        HDU of the image; None for the first that holds one.
    file : StackFile
        What stands for it in a report.
    """

    url: str
    shape: tuple
    n_bytes: float
    hdu: int | None = None
    file: StackFile | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, eq=False)
class _Listed:
    """A tile of a list, and where it lies."""

    tile: Tile
    band: Band
    make_wcs: object  # callable: the WCS that the tile is expected to have
    centre: np.ndarray
    radius: float


class TileList:
    """
    Tiles that are listed one by one, found by position and band.

    Make one with `from_table` or `from_folder`.

    Parameters
    ----------
    entries : sequence
        What those make.
    title : str
        What to call the list in a message.
    """

    def __init__(self, entries, title):
        self._entries = list(entries)
        self._title = title
        self._of_band = {}
        for number, entry in enumerate(self._entries):
            self._of_band.setdefault(entry.band, []).append(number)
        self._trees = {}

    def __len__(self):
        return len(self._entries)

    def __repr__(self):
        return f"<{type(self).__name__} {self._title}: {len(self)} tiles>"

    @classmethod
    def from_folder(cls, path):
        """
        List the images in a folder and its subfolders by their headers.

        Parameters
        ----------
        path : str or path-like
            The folder; files of several surveys may lie side by side.

        Returns
        -------
        TileList
            The images with a celestial WCS whose band is known. Others are logged.

        Raises
        ------
        OSError
            If the folder does not exist or cannot be read, or
            `~mantis_astro.exceptions.FetchError` if no image is in it.
        """
        entries = []
        for image in FitsFolder(path).images:
            size = Path(image.path).stat().st_size
            url = str(Path(image.path).absolute())
            tile = Tile(url, image.shape, size, image.hdu, StackFile(0, 0, url))
            make = _wcs_of_header(url, image.hdu)
            entries.append(_Listed(tile, image.band, make, image.centre, image.radius))
        return cls(entries, path)

    @classmethod
    def from_table(cls, table, survey, *, url=None, shape=None, bytes_per_pixel=4.0):
        """
        List tiles from a table of their centres.

        Parameters
        ----------
        table : `~astropy.table.Table`, str or path-like
            Columns ``ra`` and ``dec`` (degrees, centre of each tile), and either
            ``url`` and ``band`` or what ``url`` needs, as ``coadd_id`` of unWISE.
        survey : Survey or str
            Their survey: its pixel scale is theirs.
        url : str, optional
            Address with fields in braces: columns of the table, ``{band}`` (lower
            case) and, for unWISE, ``{coadd_id:.3}``. By default that of unWISE's tiles
            at ``conf.unwise_tiles``.
        shape : tuple of int, optional
            Shape ``(ny, nx)`` of a tile; by default 2048 pixels on a side.
        bytes_per_pixel : float, optional
            For the plan.

        Returns
        -------
        TileList
            One entry for each row and band.

        Raises
        ------
        ValueError
            If a column is missing.

        Examples
        --------
        >>> from astropy.table import Table
        >>> from mantis_astro.bands import get_band
        >>> from mantis_astro.services.tiles import TileList
        >>> table = Table(
        ...     {"coadd_id": ["1866p257"], "ra": [186.6677], "dec": [25.7456]})
        >>> tiles = TileList.from_table(table, "unwise")
        >>> [[tile]] = tiles.find([186.9], [26.0], get_band("unwise.W1"))
        >>> tile.url.rpartition("/")[2]
        'unwise-1866p257-w1-img-m.fits'
        """
        survey = get_survey(survey)
        table = table if isinstance(table, Table) else Table.read(table)
        shape = shape or (2048, 2048)
        wanted = ["ra", "dec", *(["url", "band"] if "url" in table.colnames else [])]
        missing = [name for name in wanted if name not in table.colnames]
        if url is None and "url" not in table.colnames:
            missing += [] if "coadd_id" in table.colnames else ["url or coadd_id"]
            name = "unwise-{coadd_id}-{band}-img-m.fits"
            url = f"{conf.unwise_tiles}/{{coadd_id:.3}}/{{coadd_id}}/{name}"
        if missing:
            msg = f"'table' lacks {', '.join(missing)}; it has {table.colnames}"
            raise ValueError(msg)
        entries = []
        for row in table:
            facts = dict(zip(table.colnames, row, strict=True))
            bands = survey.bands if url else [_band_of(survey, facts["band"])]
            for band in bands:
                names = facts | {"band": band.name.lower()}
                address = url.format(**names) if url else str(facts["url"])
                size = bytes_per_pixel * shape[0] * shape[1]
                tile = Tile(address, shape, size, file=StackFile(0, 0, address))
                centre = float(facts["ra"]), float(facts["dec"])
                make = _wcs_of_centre(centre, survey.pixel_scale, shape)
                unit = tangent_axes(*np.radians(centre))[0]
                radius = np.hypot(*shape) / 2 * survey.pixel_scale.to_value("rad")
                entries.append(_Listed(tile, band, make, unit, 1.1 * radius))
        return cls(entries, f"of {survey.title}")

    def number(self, ra, dec, band):
        """
        Return the tile in which each position is farthest from the edge.

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
        return np.array(
            [found[0] if found else -1 for found in self._deep(ra, dec, band)]
        )

    def find(self, ra, dec, band):
        """
        Find the tiles that show positions.

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
        return [
            [self._entries[number].tile for number in found]
            for found in self._deep(ra, dec, band)
        ]

    def _deep(self, ra, dec, band):
        """Numbers of the tiles that show each position, the deepest first."""
        directions = tangent_axes(np.radians(ra), np.radians(dec))[..., 0, :]
        near = {}  # number of a tile -> indices of positions
        numbers = self._of_band.get(band, [])
        if numbers:
            for i, indices in enumerate(self._tree(band, numbers)(directions)):
                for k in indices:
                    near.setdefault(numbers[k], []).append(i)
        found = [[] for _ in directions]
        for number, indices in near.items():
            entry = self._entries[number]
            depths = _depths(entry.make_wcs(), entry.tile.shape, directions[indices])
            for i, depth in zip(indices, depths, strict=True):
                if depth > 0:
                    found[i].append((-depth, number))
        return [[number for _, number in sorted(some)] for some in found]

    def _tree(self, band, numbers):
        if band not in self._trees:
            from scipy.spatial import cKDTree

            centres = cKDTree([self._entries[n].centre for n in numbers])
            radius = max(self._entries[n].radius for n in numbers)
            self._trees[band] = lambda at: centres.query_ball_point(at, 1.01 * radius)
        return self._trees[band]


def _band_of(survey, name):
    name = str(name)
    return get_band(name if "." in name else f"{survey}.{name}")


def _depths(wcs, shape, directions):
    """Pixels from positions to the nearest edge; negative outside."""
    if wcs is None:
        return np.full(len(directions), -1.0)
    centre = np.array([shape[1] - 1, shape[0] - 1]) / 2
    off = np.abs(pixels_of(wcs, directions) - centre)
    return np.nan_to_num((centre + 0.5 - off).min(axis=1), nan=-1.0)


def _wcs_of_header(path, hdu):
    return lambda: _read_wcs(path, hdu)


@lru_cache(maxsize=1024)
def _read_wcs(path, hdu):
    try:
        return celestial_wcs(fits.getheader(path, hdu))
    except OSError:  # it was there a moment ago
        return None


def _wcs_of_centre(centre, pixel_scale, shape):
    return lambda: north_up(*centre, shape, pixel_scale.to_value("deg"))
