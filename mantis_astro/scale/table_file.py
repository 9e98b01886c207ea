"""`predict_file`: redshifts of one table, on several processes of one machine."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.coordinates import SkyCoord

from mantis_astro import redshift_table
from mantis_astro.atomic import atomic_file
from mantis_astro.exceptions import InputSpecError
from mantis_astro.flags import FLAG_TABLE, Flag
from mantis_astro.fluxes import SENTINELS, read_state
from mantis_astro.pdf.columns import OUTPUT_COLUMNS, make_column
from mantis_astro.progress import progress_bar
from mantis_astro.redshift_table.domain import DomainWatch
from mantis_astro.scale.model_reference import ModelReference
from mantis_astro.scale.processes import run_tasks
from mantis_astro.scale.run_record import RunRecord
from mantis_astro.tables import check_writable
from mantis_astro.tables.appending import PieceWriter
from mantis_astro.tables.journal import AnotherRunError
from mantis_astro.tables.pieces import TablePieces

if TYPE_CHECKING:
    from astropy.table import Table

    from mantis_astro.cutouts import CutoutSource
    from mantis_astro.photoz import PhotoZ

__all__ = ["predict_file"]

log = logging.getLogger(__name__)

_COLUMN = "column "  # before the names of columns in the files of parts
_DEFINITIONS = {definition.name: definition for definition in OUTPUT_COLUMNS}


def predict_file(
    table: str | PathLike | Table,
    photoz: str | PathLike | PhotoZ,
    output: str | PathLike,
    source: CutoutSource | None = None,
    *,
    workers: int = 1,
    overwrite: bool = False,
    ra: str | None = None,
    dec: str | None = None,
    ebv: Any = None,
    prefix: str = "",
    columns: Sequence[str] | None = None,
    dihedral: bool = False,
    missing: Sequence[float] = SENTINELS,
    chunk: int = 64,
    device: str | None = None,
    tries: int = 3,
    progress: bool = True,
) -> int:
    """
    Add redshift columns to a table in a file, by several processes.

    The table is read, predicted and written some rows at a time. What is finished is
    kept in the folder ``OUTPUT.parts`` until all is written: a run that was killed goes
    on there if it is called again with the same arguments.

    Parameters
    ----------
    table : str, path-like or `~astropy.table.Table`
        The galaxies. Of files of FITS, Parquet and CSV no more than a piece is in
        memory, so that they may be larger than that.
    photoz : str, path-like or PhotoZ
        As for `predict_catalog`.
    output : str or path-like
        File to write, as for `~mantis_astro.tables.write_table`.
    source : CutoutSource, optional
        Where cutouts come from, for a model of images. Survey servers limit how much
        they are asked at once; with several processes give what was fetched before.
    workers : int, optional
        How many processes.
    overwrite : bool, optional
        Whether an existing file may be replaced.
    ra, dec, ebv, prefix, columns, dihedral, missing, chunk : optional
        As for `PhotoZ.add_redshifts`; ``ebv`` is no array.
    device : str, optional
        Where to compute; ``"cuda"`` gives each process the GPU of its number.
    tries : int, optional
        How often rows are tried whose process was killed.
    progress : bool, optional
        Whether to show a progress bar, in a terminal or a notebook.

    Returns
    -------
    int
        How many rows have a cutout that could not be fetched.

    Raises
    ------
    KeyError, TypeError, ValueError
        As `PhotoZ.add_redshifts` does.
    OSError
        If the table is not there, or ``output`` exists or cannot be written.
    MantisError
        If ``OUTPUT.parts`` has a part of another run, or processes are killed each
        time.

    Notes
    -----
    The new columns are those of `PhotoZ.add_redshifts`, bit for bit, for any number of
    processes.

    Examples
    --------
    >>> from mantis_astro.scale import predict_file
    >>> predict_file("galaxies.parquet", "any-band", "redshifts.parquet",
    ...              workers=8)  # doctest: +SKIP
    0
    """
    if workers < 1:
        msg = f"'workers' must be at least 1, got {workers}"
        raise ValueError(msg)
    check_writable(output, overwrite=overwrite)
    model = ModelReference.of(photoz, device)
    card = model.load().card
    if source is None and not card.is_photometric and workers > 1:
        msg = (
            f"'{card.name}' reads images: with several processes give a 'source' of "
            "cutouts that were fetched before, by 'mantis-astro fetch'. Survey servers "
            "limit how much they are asked at once"
        )
        raise InputSpecError(msg)
    if np.ndim(ebv):
        msg = "'ebv' must be a number or the name of a column, for rows in pieces"
        raise ValueError(msg)
    options = {
        "ra": ra,
        "dec": dec,
        "ebv": ebv,
        "prefix": prefix,
        "columns": None if columns is None else [*columns],
        "dihedral": dihedral,
        "missing": tuple(missing),
    }
    pieces = TablePieces(table)
    folder = Path(f"{output}.parts")
    run = RunRecord(
        folder,
        {
            "model": f"{model.name} {model.sha256}",
            "source": _place_of(source),
            "rows": str(pieces.n_row),
            **{name: repr(value) for name, value in options.items()},
        },
    )
    run.begin()
    task = _PieceTask(model, source, options, chunk, pieces.n_row)
    parts = _predict(pieces, task, folder, workers, tries, progress=progress)
    flags = _join(pieces, parts, model, output, options, overwrite=overwrite)
    for path in [*parts, *folder.glob("*.rows")]:
        path.unlink(missing_ok=True)
    run.remove()
    for flag in FLAG_TABLE:
        count = np.count_nonzero(flags & (1 << flag.bit))
        if count:
            log.info("%d of %d rows: %s", count, pieces.n_row, flag.description)
    return int(np.count_nonzero(flags & int(Flag.FETCH_FAILED)))


def _predict(pieces, task, folder, workers, tries, *, progress):
    """Predict all pieces that are not there yet; return the files of their columns."""
    parts = []

    def tasks():
        first = 0
        for number, piece in enumerate(pieces):
            part = folder / f"{number:06d}.npz"
            parts.append(part)
            if _fingerprint_in(part) != _fingerprint_of(piece):
                yield f"rows {first} to {first + len(piece)}", (piece, first, part)
            first += len(piece)

    done = 0
    with progress_bar(pieces.n_row, wanted=progress) as update:
        for _, (piece, *_) in run_tasks(task, tasks(), workers=workers, tries=tries):
            done += len(piece)
            update(done)
    if done < pieces.n_row:
        log.info(
            "%d of %d rows were finished before", pieces.n_row - done, pieces.n_row
        )
    return parts


class _PieceTask:
    """Predict one piece and keep its new columns in a file."""

    def __init__(self, model, source, options, chunk, n_row):
        self._model, self._source, self._options = model, source, options
        self._chunk, self._n_row = chunk, n_row

    def __call__(self, piece, first, part):
        journal = part.with_suffix(".rows")
        try:
            new, facts, noted = self._predict(piece, first, journal)
        except AnotherRunError:  # of a table that was changed since
            journal.unlink()
            new, facts, noted = self._predict(piece, first, journal)
        with atomic_file(part) as temporary:
            np.savez(
                temporary,
                **{_COLUMN + name: values for name, values in new.items()},
                rows=noted[0],
                components=noted[1],
                facts=json.dumps(facts),
                fingerprint=_fingerprint_of(piece),
            )
        journal.unlink(missing_ok=True)

    def _predict(self, piece, first, journal):
        photoz = self._model.load()
        card = photoz.card
        domain = DomainWatch(card.reference, self._n_row, first)
        columns = self._options["columns"]
        if columns is not None:  # flags are needed in any case
            columns = [*dict.fromkeys([*columns, "flags"])]
        output = redshift_table.add_redshifts(
            photoz,
            piece,
            self._source,
            **(self._options | {"columns": columns}),
            chunk=self._chunk,
            # images are slow to come; fluxes of one piece are a matter of seconds
            resume=None if card.is_photometric else journal,
            domain=domain,
        )
        n_prefix, n_old = len(self._options["prefix"]), len(piece.colnames)
        new = {
            name[n_prefix:]: np.ma.getdata(output[name])
            for name in output.colnames[n_old:]
        }
        known = piece.meta
        facts = {k: v for k, v in output.meta.items() if known.get(k) != v}
        return new, facts, domain.noted


def _join(pieces, parts, model, output, options, *, overwrite):
    """Write the table with its new columns; return all flags."""
    card, prefix = model.load().card, options["prefix"]
    domain = DomainWatch(card.reference, pieces.n_row)
    flags = []
    for part in parts:
        with np.load(part) as kept:
            flags.append(kept[_COLUMN + "flags"])
            domain.add(kept["rows"], kept["components"])
    flags = np.concatenate(flags)
    domain.flag(flags)
    wanted, first = options["columns"], 0
    with PieceWriter(output, pieces.n_row, overwrite=overwrite) as writer:
        for piece, part in zip(pieces, parts, strict=True):
            rows = slice(first, first := first + len(piece))
            with np.load(part) as kept:
                facts = json.loads(str(kept["facts"]))
                bands = facts.get(f"{prefix}PZBANDS")
                for key in kept.files:
                    name = key.removeprefix(_COLUMN)
                    if name == key or (wanted is not None and name not in wanted):
                        continue
                    values = flags[rows] if name == "flags" else kept[key]
                    column = make_column(
                        _DEFINITIONS[name], values, card.bin_edges, bands=bands
                    )
                    piece.add_column(column, name=prefix + name, copy=False)
                piece.meta.update(facts)
            writer.write(piece)
    return flags


def _fingerprint_in(part):
    """Fingerprint of the rows that a part belongs to; None if there is none."""
    if not part.exists():
        return None
    with np.load(part) as kept:
        return str(kept["fingerprint"])


def _place_of(source):
    path = getattr(source, "path", None)
    return type(source).__name__ if path is None else str(Path(path).resolve())


def _fingerprint_of(piece):
    """Fingerprint all numbers, texts and positions of some rows, and their meaning."""
    units = [(name, str(piece[name].info.unit)) for name in piece.colnames]
    digest = hashlib.sha256(repr((units, read_state(piece))).encode())
    for column in piece.itercols():
        is_position = isinstance(column, SkyCoord)
        for part in (column.ra.deg, column.dec.deg) if is_position else (column,):
            values = np.ma.getdata(getattr(part, "unmasked", part))
            if values.dtype.kind in "biufSU":
                digest.update(np.ascontiguousarray(values).tobytes())
        if not is_position and hasattr(column, "mask"):
            digest.update(np.ascontiguousarray(column.mask).tobytes())
    return digest.hexdigest()[:16]
