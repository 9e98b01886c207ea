"""`predict_parquet`: redshifts of a folder of Parquet files, on dask's workers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mantis_astro._optional import require
from mantis_astro.atomic import atomic_file
from mantis_astro.exceptions import InputSpecError
from mantis_astro.fluxes import SENTINELS
from mantis_astro.scale.frames import check_names, is_plain_type, with_units
from mantis_astro.scale.model_reference import ModelReference
from mantis_astro.scale.row_predictor import RowPredictor
from mantis_astro.scale.run_record import RunRecord
from mantis_astro.tables.foreign import table_of_arrow

if TYPE_CHECKING:
    from mantis_astro.cutouts import CutoutSource
    from mantis_astro.photoz import PhotoZ

__all__ = ["predict_parquet"]

_ROWS = 32_768  # rows read, predicted and written at once


def predict_parquet(
    folder: str | PathLike,
    photoz: str | PathLike | PhotoZ,
    output: str | PathLike,
    source: CutoutSource | None = None,
    *,
    overwrite: bool = False,
    densities: Literal["quantiles", "bins", "none"] = "quantiles",
    photometry: Mapping | None = None,
    units: Mapping[str, Any] | None = None,
    meta: Mapping | None = None,
    ra: str | None = None,
    dec: str | None = None,
    ebv: float | str | Mapping | None = None,
    prefix: str = "",
    columns: Sequence[str] | None = None,
    dihedral: bool = False,
    missing: Sequence[float] = SENTINELS,
    chunk: int = 64,
    device: str | None = None,
    tries: int = 3,
    if_failed: Literal["raise", "flag"] = "raise",
) -> list[Path]:
    """
    Add redshift columns to the Parquet files of a folder.

    Each file is a task of dask: of the client of ``distributed`` if there is one, else
    of threads. It is read and written some rows at a time, so that it may be larger
    than memory. A file of the output appears whole or not at all; a run that was killed
    goes on with the files that are not there, if it is called again with the same
    arguments.

    Parameters
    ----------
    folder : str or path-like
        Where the files ``*.parquet`` are, in it and in its subfolders.
    photoz : str, path-like or PhotoZ
        As for `predict_catalog`.
    output : str or path-like
        Folder for files of the same names.
    source : CutoutSource, optional
        As for `predict_catalog`.
    overwrite : bool, optional
        Whether something else in ``output`` may be replaced: all files ``*.parquet``
        in it are removed.
    densities, photometry, units, meta, ra, dec, ebv : optional
        As for `predict_catalog`.
    prefix, columns, dihedral, missing, chunk, device, tries, if_failed : optional
        As for `predict_catalog`.

    Returns
    -------
    list of `~pathlib.Path`
        The files that were written, in the order of their names.

    Raises
    ------
    ImportError
        If dask or pyarrow is not installed.
    OSError
        If there are no files, or ``output`` exists or cannot be written.
    ValueError
        If the files do not have the same columns, or an argument does not fit, or
        ``output`` is in ``folder`` or the other way round.
    MantisError
        If ``output`` has a part of another run, or a file fails each time.

    Examples
    --------
    >>> from mantis_astro.scale import predict_parquet
    >>> predict_parquet("sweeps", "any-band", "redshifts",
    ...                 photometry={"survey": "legacy survey dr10"})  # doctest: +SKIP
    """
    dask = require("dask", extra="scale")
    # workers may be in another folder
    folder, output = Path(folder).resolve(), Path(output).resolve()
    if output.is_relative_to(folder) or folder.is_relative_to(output):
        msg = f"'output' must be beside the files that are read: {output} and {folder}"
        raise InputSpecError(msg)
    paths = sorted(folder.rglob("*.parquet"))
    if not paths:
        msg = f"no file *.parquet in {folder}"
        raise FileNotFoundError(msg)
    _check_schemas(paths)
    predictor = RowPredictor(
        ModelReference.of(photoz, device),
        source,
        ra=ra,
        dec=dec,
        ebv=ebv,
        prefix=prefix,
        columns=None if columns is None else tuple(columns),
        dihedral=dihedral,
        missing=tuple(missing),
        chunk=chunk,
        densities=densities,
        photometry=photometry,
        tries=tries,
        if_failed=if_failed,
    )
    names = [str(path.relative_to(folder)) for path in paths]
    identity = {
        **predictor.identity(),
        "folder": str(folder),
        "files": ", ".join(names),
        "their sizes and times": _stamp(paths),
        "units": repr(units),
        "meta": repr(meta),
    }
    run = RunRecord(output, identity)
    goes_on = run.begin(overwrite=overwrite, remove=lambda: _remove_parquet(output))
    written = [output / name for name in names]
    tasks = [
        dask.delayed(_predict_file)(path, target, predictor, units, meta, pure=False)
        for path, target in zip(paths, written, strict=True)
        if not (goes_on and target.exists())
    ]
    dask.compute(*tasks)
    run.finish()
    return written


def _stamp(paths):
    """Digest of the size and the time of files, which change with their content."""
    facts = [(p.stat().st_size, p.stat().st_mtime_ns) for p in paths]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def _remove_parquet(folder):
    for path in folder.rglob("*.parquet"):
        path.unlink()


def _predict_file(path, target, predictor, units, meta):
    pa = require("pyarrow", extra="scale")
    parquet = require("pyarrow.parquet", extra="scale")
    target.parent.mkdir(parents=True, exist_ok=True)
    with parquet.ParquetFile(path) as file, atomic_file(target) as temporary:
        writer = None
        try:
            # a file without rows has no batch, but columns
            batches = file.iter_batches(_ROWS) if file.metadata.num_rows else [None]
            first = 0
            for batch in batches:
                if batch is None:
                    part = file.schema_arrow.empty_table()
                else:
                    part = pa.Table.from_batches([batch])
                where = f"rows {first} to {first + len(part)} of {path}"
                part = _predicted(part, predictor, units, meta, where)
                if writer is None:
                    writer = parquet.ParquetWriter(temporary, part.schema)
                writer.write_table(part)
                first += len(part)
        finally:
            if writer is not None:
                writer.close()


def _predicted(part, predictor, units, meta, where):
    """Add the new columns to some rows."""
    plain = [field.name for field in part.schema if is_plain_type(field.type)]
    table = table_of_arrow(part.select(plain))
    table = with_units(table, units=units, meta=meta)
    new = predictor.new_columns(table, where)
    check_names(part.column_names, new)
    for name, values in new.items():
        part = part.append_column(name, values)
    return part


def _check_schemas(paths):
    """Raise now if a file lacks a column that others have."""
    parquet = require("pyarrow.parquet", extra="scale")
    first = parquet.read_schema(paths[0]).names
    for path in paths[1:]:
        names = parquet.read_schema(path).names
        lacking = [name for name in first if name not in names]
        further = [name for name in names if name not in first]
        if lacking or further:
            told = [f"it has no {', '.join(lacking)}"] if lacking else []
            told += [f"it has {', '.join(further)}"] if further else []
            msg = f"{path} has other columns than {paths[0].name}: {'; '.join(told)}"
            raise InputSpecError(msg)
