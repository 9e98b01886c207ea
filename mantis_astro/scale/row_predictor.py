"""`RowPredictor`: prediction of the rows of a worker."""

from __future__ import annotations

import hashlib
import logging
import pickle
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from mantis_astro import redshift_table
from mantis_astro._optional import require
from mantis_astro.catalogs import read_photometry
from mantis_astro.cutouts import CutoutSource
from mantis_astro.exceptions import InputSpecError, MantisError
from mantis_astro.flags import Flag
from mantis_astro.fluxes import SENTINELS
from mantis_astro.redshift_table.domain import DomainWatch
from mantis_astro.scale.densities import KINDS, nested_densities
from mantis_astro.scale.frames import arrow_column
from mantis_astro.scale.model_reference import ModelReference

__all__ = ["PartitionError", "RowPredictor"]

log = logging.getLogger(__name__)

_ROWS = 32_768  # rows whose whole p(z) are in memory at once: 64 MB of 487 bins
_WAIT = 1.0  # seconds before the second try; doubled for each further one
_WITHOUT_EFFECT = {"model", "source", "chunk", "tries", "if_failed"}


class PartitionError(MantisError):
    """A part of a catalogue could not be predicted in the allowed number of tries."""


@dataclass(frozen=True)
class RowPredictor:
    """
    Predict rows, with a model that the worker loads itself.

    A few hundred bytes that go to workers in place of a model.

    Attributes
    ----------
    model : ModelReference
        The model.
    source : CutoutSource or None
        Where cutouts come from, for a model of images.
    ra, dec, ebv, prefix, columns, dihedral, missing, chunk
        As for `PhotoZ.add_redshifts`; ``ebv`` is no array.
    densities : {"quantiles", "bins", "none"}
        How p(z) are kept.
    photometry : mapping or None
        Arguments of `~mantis_astro.read_photometry`, for columns of an archive.
    tries : int
        How often a partition is tried.
    if_failed : {"raise", "flag"}
        What becomes of one that fails each time.

    Raises
    ------
    TypeError
        If the source is none, or not for this model.
    ValueError
        If an argument does not fit.
    """

    model: ModelReference
    source: CutoutSource | None = None
    ra: str | None = None
    dec: str | None = None
    ebv: Any = None
    prefix: str = ""
    columns: tuple[str, ...] | None = None
    dihedral: bool = False
    missing: tuple[float, ...] = SENTINELS
    chunk: int = 64
    densities: str = "quantiles"
    photometry: Mapping | None = None
    tries: int = 3
    if_failed: str = "raise"

    def __post_init__(self):
        for name, choices in (("densities", KINDS), ("if_failed", ("raise", "flag"))):
            value = getattr(self, name)
            if value not in choices:
                msg = f"'{name}' must be one of {', '.join(choices)}, got {value!r}"
                raise ValueError(msg)
        if self.tries < 1:
            msg = f"'tries' must be at least 1, got {self.tries}"
            raise ValueError(msg)
        values = self.ebv.values() if isinstance(self.ebv, Mapping) else [self.ebv]
        if any(np.ndim(value) for value in values):
            msg = "'ebv' must be a number or the name of a column, for rows in parts"
            raise ValueError(msg)
        card = self.model.load().card
        if self.source is None and not card.is_photometric:
            msg = (
                f"'{card.name}' reads images: give a 'source' of cutouts, such as a "
                "CutoutStore that 'mantis-astro fetch' filled. Workers do not ask the "
                "survey servers, which limit how much they are asked at once"
            )
            raise InputSpecError(msg)

    def __dask_tokenize__(self):
        return tuple(self.identity().items())

    def identity(self):
        """
        List everything that results depend on.

        Returns
        -------
        dict of str to str
            The same for two runs that give the same answers.
        """
        source = "none"
        if self.source is not None:
            digest = hashlib.sha256(pickle.dumps(self.source)).hexdigest()
            source = f"{type(self.source).__name__} {digest[:16]}"
        options = {f.name: getattr(self, f.name) for f in fields(self)}
        return {
            "model": f"{self.model.name} {self.model.sha256}",
            "source": source,
            **{k: repr(v) for k, v in options.items() if k not in _WITHOUT_EFFECT},
        }

    def new_columns(self, table, where):
        """
        Predict the rows of a table, in the allowed number of tries.

        Parameters
        ----------
        table : `~astropy.table.Table`
            The rows.
        where : str
            What to call them in messages.

        Returns
        -------
        dict of str to `pyarrow.Array`
            The new columns. Their names and types do not depend on the rows.

        Raises
        ------
        MantisError
            `PartitionError` if all tries fail, and that is not to be flagged.
        KeyError, TypeError, ValueError
            If the call is wrong, and would fail each time.
        """
        for n_try in range(1, self.tries + 1):
            try:
                return self._predict(table)
            except (KeyError, TypeError, ValueError):
                raise
            except Exception as error:
                if n_try < self.tries:
                    log.warning("%s failed, is tried again: %s", where, error)
                    time.sleep(_WAIT * 2 ** (n_try - 1))
                elif self.if_failed == "raise":
                    msg = f"{where} failed {self.tries} times: {error}"
                    raise PartitionError(msg) from error
                else:
                    log.exception("%s failed %d times", where, self.tries)
        return self._failed(table)

    def _predict(self, table):
        pa = require("pyarrow", extra="scale")
        starts = range(0, max(len(table), 1), _ROWS)
        parts = [self._predict_some(table[start : start + _ROWS]) for start in starts]
        return {name: pa.concat_arrays([p[name] for p in parts]) for name in parts[0]}

    def _predict_some(self, table):
        photoz = self.model.load()
        if self.photometry is not None:
            where = {"ra": self.ra, "dec": self.dec, "keep": "all"}
            table = read_photometry(table, **(where | dict(self.photometry)))
        columns = self.columns
        if columns is not None:
            kept = [name for name in columns if name != "pz"]
            columns = kept if self.densities == "none" else [*kept, "pz"]
        named = {} if self.photometry is not None else {"ra": self.ra, "dec": self.dec}
        output = redshift_table.add_redshifts(
            photoz,
            table,
            self.source,
            **named,
            ebv=self.ebv,
            prefix=self.prefix,
            columns=columns,
            dihedral=self.dihedral,
            missing=self.missing,
            chunk=self.chunk,
            # a sample is judged as a whole, not by parts of the sky
            domain=DomainWatch(photoz.card.reference, 0),
        )
        new = {}
        for name in output.colnames[len(table.colnames) :]:
            if name != f"{self.prefix}pz":
                new[name] = arrow_column(output[name])
            elif self.densities != "none":
                probability = np.ma.getdata(output[name])
                new[name] = nested_densities(
                    probability, photoz.card.bin_edges, self.densities
                )
        return new

    def _failed(self, table):
        """Columns of rows that could not be predicted."""
        pa = require("pyarrow", extra="scale")
        types = {name: x.type for name, x in self._predict(table[:0]).items()}
        new = {name: pa.nulls(len(table), kind) for name, kind in types.items()}
        flags = np.full(len(table), int(Flag.FETCH_FAILED | Flag.NO_DATA), np.int64)
        if f"{self.prefix}flags" in new:
            new[f"{self.prefix}flags"] = pa.array(flags)
        return new
