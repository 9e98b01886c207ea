"""Cutouts from whole tiles: for samples so dense that tiles cost less than cutouts."""

from mantis_astro.services.tiles.cache import TileCache
from mantis_astro.services.tiles.service import TileServiceClass
from mantis_astro.services.tiles.skycells import SkycellGrid
from mantis_astro.services.tiles.tile_list import Tile, TileList

__all__ = ["SkycellGrid", "Tile", "TileCache", "TileList", "TileServiceClass"]
