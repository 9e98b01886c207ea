"""Training data from real cutouts: a store and a table of redshifts."""

import hashlib
import json
import logging
from pathlib import Path

import numpy as np

from mantis_astro.exceptions import InputSpecError
from mantis_astro.flags import FLAG_TABLE, flags_named
from mantis_astro.models.inputs import dust_inputs
from mantis_astro.models.photometric_inputs import PhotometrySpec
from mantis_astro.records import record, to_plain
from mantis_astro.store import CutoutStore, column_keys
from mantis_astro.tables import read_table
from mantis_astro.tables.coordinates import find_coordinates
from mantis_astro.training.batches.batch import ArrayData
from mantis_astro.training.data.pixel_cache import PixelCache, write_cache
from mantis_astro.training.data.tables import SkySplit, ebv_columns, redshifts

__all__ = ["StoreData"]

log = logging.getLogger(__name__)


@record("store_data")
class StoreData:
    """
    Real cutouts of a store, with redshifts from a table.

    Cutouts are brought onto the network's grid once, and kept in a cache on disk.

    Attributes
    ----------
    store : str
        Folder of the `~mantis_astro.CutoutStore`.
    table : str
        File with positions and redshifts.
    cache : str
        Folder for what is prepared; by default ``training_cache`` beside the store. It
        may be removed at any time.
    key : str or None
        Column with the objects' names in the store; found by position without it.
    z_spec : str
        Column of the redshifts.
    ebv : tuple of str
        Columns of E(B-V), one for all maps or one each; none for the defaults.
    drop : tuple of str
        Names of the flags whose objects are left out.
    split : SkySplit
        What is held out.
    dtype : {"float32", "float16"}
        Of the cache. Half precision keeps the inverse hyperbolic sine of pixels, to a
        thousandth.
    description : str
        What the galaxies are.
    """

    store: str
    table: str
    cache: str = ""
    key: str | None = None
    z_spec: str = "z_spec"
    ebv: tuple = ()
    drop: tuple = ("NO_DATA", "BAD_WCS")
    split: SkySplit = SkySplit()
    dtype: str = "float32"
    description: str = ""

    def __post_init__(self):
        try:
            flags_named(self.drop)
        except ValueError as error:
            msg = f"'drop' must name flags: {error}"
            raise InputSpecError(msg) from None
        if self.dtype not in {"float32", "float16"}:
            msg = f"'dtype' must be 'float32' or 'float16', got {self.dtype!r}"
            raise InputSpecError(msg)

    def open(self, config):
        """
        Prepare the cutouts, or find them prepared.

        Parameters
        ----------
        config : TrainingConfig
            Says what the network reads, and how galaxies are drawn.

        Returns
        -------
        ArrayData
            Galaxies with cutouts and redshifts, in memory-mapped arrays.

        Raises
        ------
        OSError
            If there is no such store or table.
        ValueError
            `~mantis_astro.exceptions.InputSpecError` if the network reads photometry.
        """
        if isinstance(config.spec, PhotometrySpec):
            msg = (
                "store_data has images, and a photometric network reads fluxes: "
                "measure them with measure_photometry and take table_data"
            )
            raise InputSpecError(msg)
        table = read_table(self.table)
        coord, good = find_coordinates(table)
        z = redshifts(table, self.z_spec)
        rows = np.flatnonzero(good & np.isfinite(z))
        if not len(rows):
            msg = f"no row of {self.table} has a position and a redshift"
            raise InputSpecError(msg)
        keys = None if self.key is None else column_keys(table[self.key][rows])
        with CutoutStore(self.store) as store:
            folder = self._folder(store, config.spec)
            if not (folder / "facts.json").exists():
                stream = store.iter_cutouts(coord[rows], config.spec.bands, keys=keys)
                cutouts = (cutout for _, cutout, _ in stream)
                write_cache(folder, cutouts, len(rows), config.spec, self.dtype)
        cache = PixelCache(folder)
        self._tell(cache, len(table), len(rows))
        drop = flags_named(self.drop)
        ebv = ebv_columns(table, self.ebv, config.spec.ebv_maps)
        ebv = dust_inputs(config.spec, ebv, len(table))[0].numpy()[rows]
        parts = self.split.parts(coord[rows])
        parts[cache.flags & drop != 0] = "dropped"
        n = int((parts != "dropped").sum())
        return ArrayData(
            cache.planes,
            cache.observed,
            ebv,
            z[rows],
            z_edges=config.z_edges,
            parts=parts,
            sampling=config.sampling,
            seed=config.seed,
            description=self.description or f"{n:,} galaxies of {self.store}",
        )

    def _folder(self, store, spec):
        """Name the cache by all that it depends on."""
        written = Path(self.table).stat().st_mtime_ns
        facts = [to_plain(spec), self.table, written, self.key, self.z_spec]
        facts += [str(store.path), len(store), self.dtype]
        name = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
        base = Path(self.cache or Path(self.store).parent / "training_cache")
        return base / name

    def _tell(self, cache, n_table, n_good):
        if n_good < n_table:
            log.info("%d rows have no redshift or no position", n_table - n_good)
        counts = {
            flag.name: int((cache.flags & int(flag) != 0).sum()) for flag in FLAG_TABLE
        }
        for name, n in counts.items():
            if n:
                what = "left out" if name in self.drop else "kept"
                log.info("%s: %d of %d, %s", name, n, len(cache.flags), what)
