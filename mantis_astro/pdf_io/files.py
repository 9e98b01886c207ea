"""Files of binned densities: ECSV, FITS, Parquet, ASDF, and HDF5 as qp writes it."""

import json
import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mantis_astro import binned
from mantis_astro._optional import require
from mantis_astro.atomic import atomic_file
from mantis_astro.flags import Flag
from mantis_astro.pdf_io.bands_used import marked_bands
from mantis_astro.pdf_io.edges import (
    EDGES_KEY,
    check_one_grid,
    edges_from_text,
    edges_to_text,
    find_edges_text,
)
from mantis_astro.pdf_io.ensembles import from_ensemble, to_ensemble

__all__ = ["FORMATS", "PDFParts", "parts_from_table", "read_parts", "write_parts"]

log = logging.getLogger(__name__)

FORMATS = {
    ".ecsv": "ecsv",
    ".fits": "fits",
    ".fit": "fits",
    ".parquet": "parquet",
    ".hdf5": "hdf5",
    ".h5": "hdf5",
    ".asdf": "asdf",
}
# What the densities need beyond rows of numbers, in the meta of a table.
_EDGES, _META, _SHAPE = EDGES_KEY.lower(), "pdf_meta", "pdf_shape"
_USED, _BANDS = "bands_used", "PZBANDS"
_OLD_EDGES = "bin_edges"  # a list, in older tables


class PDFParts(NamedTuple):
    """
    Contents of a file of densities.

    Attributes
    ----------
    bin_edges : ndarray
        Shape ``(n_bins + 1,)``.
    probability : ndarray
        Shape ``(..., n_bins)``.
    flags : ndarray of int
        Shape ``(...)``.
    meta : dict
        JSON types.
    bands_used : ndarray of bool, optional
        Shape ``(..., n_band)``.
    """

    bin_edges: np.ndarray
    probability: np.ndarray
    flags: np.ndarray
    meta: dict
    bands_used: np.ndarray | None = None


def write_parts(path, parts, *, format=None, overwrite=False):
    """
    Write densities; the file appears whole or not at all.

    Parameters
    ----------
    path : str or path-like
        Where to.
    parts : PDFParts
        What to write.
    format : str, optional
        ``"ecsv"``, ``"fits"``, ``"parquet"``, ``"hdf5"`` or ``"asdf"``; by default from
        the ending.
    overwrite : bool, optional
        Whether an existing file may be replaced.

    Raises
    ------
    OSError
        If the file exists and ``overwrite`` is False, or the folder cannot be written.
    ValueError
        If the format is unknown.
    TypeError
        If ``meta`` holds what JSON cannot.
    """
    path = Path(path)
    own = {"fits": _write_fits, "hdf5": _write_hdf5, "asdf": _write_asdf}
    write = _pick(own, path, format, _write_table)
    with atomic_file(path, overwrite=overwrite) as temporary:
        write(temporary, parts)


def read_parts(path, *, format=None):
    """
    Read densities.

    Parameters
    ----------
    path : str or path-like
        A file that `write_parts` made, a table with a column ``pz``, or a qp
        histogram.
    format : str, optional
        ``"ecsv"``, ``"fits"``, ``"parquet"``, ``"hdf5"`` or ``"asdf"``; by default from
        the ending.

    Returns
    -------
    PDFParts
        What it holds.

    Raises
    ------
    OSError
        If there is no such file, or it cannot be read as that.
    ValueError
        If the format is unknown.
    """
    path = Path(path)
    own = {"fits": _read_fits, "hdf5": _read_hdf5, "asdf": _read_asdf}
    read = _pick(own, path, format, _read_table)
    if not path.is_file():
        msg = f"no file {path}"
        raise FileNotFoundError(msg)
    try:
        return read(path)
    except (LookupError, TypeError, ValueError, OSError, RuntimeError) as error:
        msg = f"{path} is no readable file of redshift densities: {error}"
        raise OSError(msg) from error


def parts_from_table(table, *, prefix="", bin_edges=None):
    """
    Read densities from the column of probabilities of a table.

    Parameters
    ----------
    table : `~astropy.table.Table` or `~astropy.table.Row`
        With a column ``pz``, shape ``(n, n_bins)``, and maybe ``flags``; or one row of
        such a table.
    prefix : str, optional
        What stands before these names, and before those of facts in the table's meta.
    bin_edges : array_like, optional
        By default those in the description of the column, else those of the meta.

    Returns
    -------
    PDFParts
        What it holds, of shape ``()`` for a row. A row of probabilities that is masked,
        or NaN altogether, is uniform in density and flagged ``NO_DATA``; ``meta`` is
        the rest of the table's, the prefix taken off.

    Raises
    ------
    TypeError
        If it is no table.
    ValueError
        If the column or the bin edges are not there.
    """
    from astropy.table import Row, Table

    if not isinstance(table, Table | Row):
        msg = f"'table' must be an astropy Table or a Row of one, got {type(table)}"
        raise TypeError(msg)
    is_row = isinstance(table, Row)
    if is_row:
        table = table.table[table.index : table.index + 1]
    pz, flags = prefix + "pz", prefix + "flags"
    if pz not in table.colnames and len(table):
        msg = (
            f"no column '{pz}' of probabilities, which PhotoZ.add_redshifts adds; "
            f"there are {', '.join(table.colnames)}"
        )
        raise ValueError(msg)
    meta = {_without(key, prefix): value for key, value in table.meta.items()}
    # FITS headers know no case
    own = {_EDGES, _OLD_EDGES, _META, _SHAPE}
    found = {key.lower(): meta.pop(key) for key in list(meta) if key.lower() in own}
    if pz in table.colnames:
        check_one_grid(pz, table[pz].info.meta or {})
    if bin_edges is None:
        described = pz in table.colnames and table[pz].info.description
        bin_edges = find_edges_text(described or None) or found.get(_EDGES)
        bin_edges = found.get(_OLD_EDGES) if bin_edges is None else bin_edges
    if bin_edges is None:
        msg = (
            f"no redshift bins: neither 'bin_edges' is given, nor does the description "
            f"of '{pz}' or '{prefix}{EDGES_KEY}' of the table's meta say what they are "
            f"({list(table.meta)})"
        )
        raise ValueError(msg)
    if isinstance(bin_edges, str):
        bin_edges = edges_from_text(bin_edges)
    bin_edges = binned.validate_bin_edges(bin_edges)
    if _META in found:
        meta = json.loads(found[_META])
    shape = json.loads(found[_SHAPE]) if _SHAPE in found else [len(table)]
    if len(table) == 0:  # ECSV without rows has no two-dimensional column
        probability = np.empty((0, len(bin_edges) - 1))
    else:
        probability = np.asarray(np.ma.getdata(table[pz]))
    flags = table[flags] if flags in table.colnames else np.zeros(len(table), int)
    flags = np.ma.filled(np.ma.asarray(flags), 0).astype(np.int64)
    unknown = _unknown_rows(table[pz]) if len(table) else np.zeros(0, bool)
    if unknown.any():
        uniform = np.diff(bin_edges) / (bin_edges[-1] - bin_edges[0])
        probability = np.where(unknown[:, None], uniform, probability).astype(
            probability.dtype
        )
        flags[unknown] |= int(Flag.NO_DATA)
    shape = [] if is_row else shape
    return PDFParts(
        bin_edges,
        probability.reshape(*shape, probability.shape[-1]),
        flags.reshape(shape),
        meta,
        _bands_used(table, prefix, meta, shape),
    )


def _bands_used(table, prefix, meta, shape):
    """
    Read the bands of each galaxy that `PhotoZ.add_redshifts` recorded, if it did.

    Of tables of other bands that were stacked it is not known which row had which: the
    bands are then not known at all, and ``meta`` loses those of one of the tables.
    """
    name = prefix + _USED
    if name not in table.colnames:
        return None
    marks = marked_bands(table[name])
    if len(marks) > 1:
        log.warning(
            "column %r was stacked from tables of other bands (%s), and these are "
            "not known any more; stack densities of the same bands to keep them",
            name,
            "; ".join(marks),
        )
        meta.pop(_BANDS, None)
        return None
    if marks:  # of this column, whatever the meta of the table became
        meta[_BANDS] = marks[0]
    n_band = len(str(meta.get(_BANDS, "")).split(","))
    if np.shape(table[name])[1:] != (n_band,):
        return None
    used = np.ma.filled(np.ma.asarray(table[name]), fill_value=True).astype(bool)
    return used.reshape(*shape, n_band)


def _without(key, prefix):
    """Take a prefix off a key, in whatever case a header kept it."""
    return key[len(prefix) :] if key.lower().startswith(prefix.lower()) else key


def _unknown_rows(column):
    """Rows of probabilities that are masked, or NaN altogether."""
    values = np.asarray(np.ma.getdata(column))
    unknown = np.zeros(len(values), bool)
    if np.ma.getmask(column) is not np.ma.nomask:
        unknown |= np.ma.getmask(column).any(axis=-1)
    if values.dtype.kind == "f":
        unknown |= np.isnan(values).all(axis=-1)
    return unknown


def _pick(functions, path, format, otherwise):
    name = FORMATS.get(path.suffix.lower()) if format is None else format
    if name not in FORMATS.values():
        known = sorted(set(FORMATS.values()))
        msg = (
            f"{path}: the ending must be one of {', '.join(FORMATS)}, "
            f"or 'format' one of {', '.join(known)}, got {format!r}"
        )
        raise ValueError(msg)
    function = functions.get(name)
    return function or (lambda *args: otherwise(*args, name))


def _flat(parts):
    """Rows of probability and flags."""
    return parts.probability.reshape(-1, parts.probability.shape[-1]), np.ravel(
        parts.flags
    )


def _flat_used(parts):
    return parts.bands_used.reshape(-1, parts.bands_used.shape[-1])


def _dump(meta):
    def plain(value):
        if isinstance(value, np.ndarray | np.generic):
            return value.tolist()
        msg = f"'meta' must hold JSON types to be written, got {type(value).__name__}"
        raise TypeError(msg)

    return json.dumps(meta, default=plain)


def _to_table(parts):
    from astropy.table import Table

    probability, flags = _flat(parts)
    meta = {
        EDGES_KEY: edges_to_text(parts.bin_edges),
        _META: _dump(parts.meta),
        _SHAPE: json.dumps(parts.flags.shape),
    }
    table = Table({"flags": flags, "pz": probability}, meta=meta)
    table["pz"].info.description = "Probability of each redshift bin"
    table["flags"].info.description = "Quality bits; see mantis_astro.flags"
    if parts.bands_used is not None:
        table[_USED] = _flat_used(parts)
    return table


def _write_table(path, parts, name):
    table = _to_table(parts)
    if name == "parquet":
        require("pyarrow", extra="parquet")
    elif len(table) == 0:
        del table["pz"]  # astropy would write such a column and then fail to read it
    layout = {"ecsv": "ascii.ecsv"}.get(name, name)
    table.write(path, format=layout, overwrite=True)


def _read_table(path, name):
    from astropy.table import Table

    if name == "parquet":
        require("pyarrow", extra="parquet")
    return parts_from_table(
        Table.read(path, format={"ecsv": "ascii.ecsv"}.get(name, name))
    )


def _write_asdf(path, parts):
    from mantis_astro.tables.asdf_files import write_asdf

    write_asdf(_to_table(parts), path)


def _read_asdf(path):
    from mantis_astro.tables.asdf_files import read_asdf

    return parts_from_table(read_asdf(path))


def _write_fits(path, parts):
    from astropy.io import fits

    probability, flags = _flat(parts)
    columns = [
        fits.Column("flags", "K", array=flags),
        fits.Column(
            "pz",
            f"{probability.shape[1]}{'E' if probability.itemsize == 4 else 'D'}",
            array=probability,
        ),
    ]
    if parts.bands_used is not None:
        used = _flat_used(parts)
        columns.append(fits.Column(_USED, f"{used.shape[1]}L", array=used))
    rows = fits.BinTableHDU.from_columns(columns, name="PZ")
    rows.header[_META.upper()] = _dump(parts.meta)
    rows.header["PDFSHAPE"] = json.dumps(parts.flags.shape)
    edges = fits.ImageHDU(parts.bin_edges, name="BIN_EDGES")
    hdus = fits.HDUList([fits.PrimaryHDU(), rows, edges])
    hdus.writeto(path, overwrite=True, checksum=True)


def _read_fits(path):
    from astropy.io import fits
    from astropy.table import Table

    with fits.open(path, memmap=False) as hdus:
        edges = hdus["BIN_EDGES"].data.astype(float) if "BIN_EDGES" in hdus else None
        table = Table.read(hdus, format="fits")
    if "PDFSHAPE" in table.meta:
        table.meta[_SHAPE] = table.meta.pop("PDFSHAPE")
    return parts_from_table(table, bin_edges=edges)


def _write_hdf5(path, parts):
    probability, flags = _flat(parts)
    ancil = {"flags": flags}
    if parts.bands_used is not None:
        ancil[_USED] = _flat_used(parts)
    ensemble = to_ensemble(parts.bin_edges, probability, kind="hist", ancil=ancil)
    ensemble.write_to(str(path))
    # what qp has no place for
    with require("h5py", extra="qp").File(path, "a") as file:
        file.attrs[_META] = _dump(parts.meta)
        file.attrs[_SHAPE] = json.dumps(parts.flags.shape)
        file.attrs["dtype"] = probability.dtype.name


def _read_hdf5(path):
    ensemble = require("qp", extra="qp").read(str(path))
    with require("h5py", extra="qp").File(path) as file:
        attributes = dict(file.attrs)
    bin_edges, weights = from_ensemble(ensemble)
    shape = json.loads(attributes.get(_SHAPE, json.dumps([len(weights)])))
    ancil = ensemble.ancil or {}
    flags = ancil.get("flags", np.zeros(len(weights), int))
    used = ancil.get(_USED)
    return PDFParts(
        binned.validate_bin_edges(bin_edges),
        weights.astype(attributes.get("dtype", float)).reshape(
            *shape, weights.shape[-1]
        ),
        np.asarray(flags).astype(np.int64).reshape(shape),
        json.loads(attributes.get(_META, "{}")),
        None if used is None else np.reshape(used, (*shape, -1)).astype(bool),
    )
