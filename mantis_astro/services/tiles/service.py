"""`TileServiceClass`: the images of a survey, cut here from its whole tiles."""

from pathlib import Path

from astroquery.exceptions import InvalidQueryError

from mantis_astro.services.base import CutoutServiceClass
from mantis_astro.services.configuration import conf
from mantis_astro.services.tiles.cache import TileCache
from mantis_astro.services.tiles.fetcher import TileFetcher
from mantis_astro.services.tiles.skycells import SkycellGrid
from mantis_astro.services.tiles.tile_list import TileList

__all__ = ["TileServiceClass"]


class TileServiceClass(CutoutServiceClass):
    """
    Cutouts of a survey from its whole tiles, on a web server, in cloud storage or here.

    Positions are grouped by tile, and of each tile the rows of pixels that are needed
    are read once, as ranges of bytes. Pixels are those of the survey's cutout server:
    the tile's own for Pan-STARRS1, interpolated with north up for what the Legacy
    Survey viewer serves.

    Parameters
    ----------
    survey : Survey or str
        The survey.
    tiles : SkycellGrid, TileList, str or path-like, optional
        Where its tiles are; a path is a folder of them. By default the stacks of
        Pan-STARRS1 at ``conf.panstarrs_tiles``; other surveys need a list.
    least : int or None, optional
        Objects that a tile must show; fewer are left to the next source of the survey.
        None is for ``conf.objects_per_tile``.
    cache : TileCache, optional
        Keeps what was read; by default in astropy's cache folder, up to
        ``conf.tile_cache_bytes``.

    Raises
    ------
    InvalidQueryError
        If it is not known where the survey's tiles are.

    Examples
    --------
    >>> from mantis_astro import SurveyCutouts
    >>> from mantis_astro.services.tiles import TileServiceClass
    >>> source = SurveyCutouts(sources={"ps1": "tiles"})
    >>> stacks = TileServiceClass("ps1", "my_skycells")  # doctest: +SKIP
    >>> source = SurveyCutouts(sources={"ps1": stacks})  # doctest: +SKIP
    """

    fetcher = TileFetcher

    def __init__(self, survey, tiles=None, *, least=1, cache=None):
        super().__init__(survey)
        if tiles is None and self.survey.service != "panstarrs":
            msg = (
                f"no tiles of {self.survey.title} are known: pass 'tiles', a folder or "
                "a TileList"
            )
            raise InvalidQueryError(msg)
        if isinstance(tiles, str | Path):
            tiles = TileList.from_folder(tiles)
        self.tiles = SkycellGrid() if tiles is None else tiles
        self._least = least
        self._cache = cache

    @property
    def keeps_pixels(self):
        """Whether cutouts have the tiles' own pixels, as the survey's server cuts."""
        return self.survey.service == "panstarrs"

    @property
    def least(self):
        """Objects that a tile must show, an int."""
        return conf.objects_per_tile if self._least is None else self._least

    def open_cache(self):
        """
        Open the cache of tiles.

        Returns
        -------
        TileCache
            That given, or one in astropy's cache folder.
        """
        if self._cache is not None:
            return self._cache
        return TileCache(self.cache_location / "tiles", conf.tile_cache_bytes)

    def settle_shape(self, size, pixel_scale=None):
        """
        Convert a size on the sky to a shape in pixels.

        Parameters
        ----------
        size : `~astropy.units.Quantity` or None
            Side of the image; None for the survey's usual shape.
        pixel_scale : `~astropy.units.Quantity`, optional
            Side of a pixel; that of the tiles where their own pixels are kept.

        Returns
        -------
        tuple of int
            Shape ``(ny, nx)``.

        Raises
        ------
        InvalidQueryError
            If it is no angle, too large, or other pixels are asked for.
        """
        if self.keeps_pixels and pixel_scale not in (None, self.survey.pixel_scale):
            msg = (
                f"'pixel_scale': tiles of {self.survey.title} have pixels of "
                f"{self.survey.pixel_scale:g}, got {pixel_scale}"
            )
            raise InvalidQueryError(msg)
        return super().settle_shape(size, pixel_scale)

    def _payload(self, coord, bands, size, pixel_scale):
        """Return the address of the best tile of each band."""
        self.settle_shape(size, pixel_scale)
        found = [
            self.tiles.find([coord.ra.deg], [coord.dec.deg], band) for band in bands
        ]
        return [tiles[0].url for (tiles,) in found if tiles]
