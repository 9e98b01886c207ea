"""Cutouts of many objects on disk: few files, crash-safe, random access."""

from mantis_astro.store.cutout_store import CutoutStore
from mantis_astro.store.keys import check_keys, column_keys, position_key

__all__ = ["CutoutStore", "check_keys", "column_keys", "position_key"]
