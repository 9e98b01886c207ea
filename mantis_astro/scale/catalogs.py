"""`predict_catalog`: redshifts of a catalogue of LSDB, lazily, on dask's workers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

from mantis_astro._optional import require
from mantis_astro.fluxes import SENTINELS
from mantis_astro.pdf_io.edges import EDGES_KEY, edges_to_text
from mantis_astro.scale.frames import frame_to_table, with_columns
from mantis_astro.scale.model_reference import ModelReference
from mantis_astro.scale.row_predictor import RowPredictor
from mantis_astro.scale.run_record import RunRecord

if TYPE_CHECKING:
    import lsdb
    import pandas as pd

    from mantis_astro.cutouts import CutoutSource
    from mantis_astro.photoz import PhotoZ

__all__ = ["predict_catalog"]


def predict_catalog(
    catalog: lsdb.Catalog | pd.DataFrame | str | PathLike,
    photoz: str | PathLike | PhotoZ,
    source: CutoutSource | None = None,
    *,
    output: str | PathLike | None = None,
    overwrite: bool = False,
    search: Any = None,
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
) -> lsdb.Catalog:
    """
    Add redshift columns to a catalogue that LSDB holds in parts of the sky.

    Nothing is computed before the result is written or computed. Each worker of dask
    loads the model itself, once.

    Parameters
    ----------
    catalog : `lsdb.Catalog`, NestedFrame, DataFrame, str or path-like
        The galaxies, or where a catalogue in the format HATS is. A margin is predicted,
        too.
    photoz : str, path-like or PhotoZ
        Name or file of the model, which workers can load; or a model as
        `PhotoZ.from_pretrained` gave it.
    source : CutoutSource, optional
        Where cutouts come from, for a model of images. It must be one that can be sent
        to other processes, as `CutoutStore` and `FitsFolder` can.
    output : str or path-like, optional
        Where to write the result now, by LSDB's own writer. A run that was killed goes
        on where it stopped if it is called again with the same arguments.
    overwrite : bool, optional
        Whether something else in ``output`` may be replaced.
    search : LSDB search, optional
        Such as ``lsdb.ConeSearch(ra, dec, radius_arcsec)`` or ``lsdb.MOCSearch(moc)``:
        only rows inside are predicted, and only parts that it touches are read.
    densities : {"quantiles", "bins", "none"}, optional
        How p(z) are kept, in a nested column ``pz``: 21 quantiles with columns
        ``level`` and ``z``, or bins with ``z_low``, ``z_high`` and ``probability``.
        `frame_to_pdf` and `frame_to_qp` read both.
    photometry : mapping, optional
        Arguments of `~mantis_astro.read_photometry`, by which columns of an archive are
        read, such as ``{"survey": "lsst dp1"}``. By default fluxes are in columns such
        as ``flux_ps1_g`` and ``flux_err_ps1_g``.
    units : mapping of str to unit, optional
        Units of columns, which a data frame cannot hold. Columns of fluxes of bands are
        in nJy where nothing else is said; positions are in degrees.
    meta : mapping, optional
        What else a data frame cannot hold: entries of a table's meta, such as those of
        `~mantis_astro.fluxes.FluxState`.
    ra, dec : str, optional
        Columns of the position, by default those that the catalogue names.
    ebv : float, str or mapping, optional
        As for `PhotoZ.add_redshifts`, but for arrays.
    prefix, columns, dihedral, missing, chunk : optional
        As for `PhotoZ.add_redshifts`. With a prefix such as ``"mantis_"`` the names are
        like those of the photometric redshifts of Rubin's DP1, ``mantis_z_median``.
    device : str, optional
        Where workers compute. ``"cuda"`` gives each worker the GPU of its number: start
        as many workers as there are GPUs.
    tries : int, optional
        How often a part is tried that fails, other than by a wrong call.
    if_failed : {"raise", "flag"}, optional
        Whether a part that failed each time ends the run, or is told of in the log and
        has all its rows flagged ``FETCH_FAILED`` and ``NO_DATA``.

    Returns
    -------
    `lsdb.Catalog`
        All columns of the catalogue, then those of `PhotoZ.add_redshifts`, of types of
        pyarrow, null where there is no estimate. If ``output`` is given, what was
        written, opened.

    Raises
    ------
    ImportError
        If LSDB is not installed.
    KeyError
        If a column is not there.
    OSError
        If ``output`` exists, or cannot be written.
    TypeError, ValueError
        If an argument does not fit.
    MantisError
        If ``output`` has a part of another run.

    Notes
    -----
    Answers are those of `PhotoZ.add_redshifts`, bit for bit, but for one flag: whether
    the sample as a whole is unlike the training set (``OOD_DOMAIN``) is not known of a
    catalogue that was not computed. Ask `PhotoZ.shift_report` of some of its rows.

    Examples
    --------
    >>> import pandas as pd
    >>> from mantis_astro.scale import predict_catalog
    >>> rows = pd.DataFrame({"ra": [10.0, 11], "dec": [1.0, 2],
    ...                      "flux_ps1_g": [3e3, 2e4], "flux_err_ps1_g": [90.0, 200]})
    >>> predicted = predict_catalog(rows, "any-band")  # doctest: +SKIP
    >>> predicted["z_median", "flags"].compute()  # doctest: +SKIP
    """
    catalog = _opened(catalog, search)
    info = catalog.hc_structure.catalog_info
    predictor = RowPredictor(
        ModelReference.of(photoz, device),
        source,
        ra=ra or info.ra_column,
        dec=dec or info.dec_column,
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
    given = {"predictor": predictor, "units": units, "table_meta": meta}
    predicted = catalog.map_partitions(
        predict_frame,
        include_pixel=True,
        meta=predict_frame(catalog.meta, None, **given),
        **given,
    )
    if output is None:
        return predicted
    identity = {
        **predictor.identity(),
        **_identity(catalog),
        "search": _told(search),
        "units": repr(units),
        "meta": repr(meta),
    }
    return _written(catalog, predicted, predictor, identity, output, overwrite)


def predict_frame(frame, pixel, *, predictor, units, table_meta):
    """
    Predict one part of a catalogue.

    Parameters
    ----------
    frame : NestedFrame
        Its rows.
    pixel : HealpixPixel or None
        Which part; None for the example without rows.
    predictor : RowPredictor
        The model and all options.
    units, table_meta
        As for `frame_to_table`.

    Returns
    -------
    NestedFrame
        The rows with new columns, whose types do not depend on the rows.

    Raises
    ------
    MantisError
        `PartitionError` if it fails in as many tries as are allowed.
    """
    table = frame_to_table(frame, units=units, meta=table_meta)
    return with_columns(frame, predictor.new_columns(table, f"partition {pixel}"))


def _opened(catalog, search):
    lsdb = require("lsdb", extra="scale")
    if isinstance(catalog, str | PathLike):
        return lsdb.open_catalog(catalog, search_filter=search)
    if not hasattr(catalog, "map_partitions"):
        if not hasattr(catalog, "iloc"):
            msg = (
                "'catalog' must be an LSDB catalogue, a data frame or the path of a "
                f"HATS catalogue, got {type(catalog)}"
            )
            raise TypeError(msg)
        catalog = lsdb.from_dataframe(catalog)
    return catalog if search is None else catalog.search(search)


def _written(catalog, predicted, predictor, identity, output, overwrite):
    """Write a catalogue and its margin; open what was written."""
    lsdb = require("lsdb", extra="scale")
    file_io = require("hats.io.file_io", extra="scale")
    properties = require("hats.catalog.catalog_collection", extra="scale")
    folder = file_io.get_upath(output)
    place = catalog.hc_structure.catalog_base_dir
    if _is_within(place, folder):
        msg = f"'output' must not be where the catalogue itself is: {place}"
        raise ValueError(msg)
    name = predicted.name or "predicted"
    parts = {name: predicted}
    if getattr(predicted, "margin", None) is not None:
        width = int(predicted.margin.hc_structure.catalog_info.margin_threshold)
        parts[f"{name}_{width}arcs"] = predicted.margin
    run = RunRecord(folder, identity)

    def remove():
        for path in (folder / part_name for part_name in parts):
            if path.exists():
                file_io.remove_directory(path)

    goes_on = run.begin(overwrite=overwrite, remove=remove)
    for part_name, part in parts.items():
        path = folder / part_name
        if goes_on and (path / "hats.properties").exists():
            continue  # LSDB writes that last
        part.write_catalog(
            path,
            catalog_name=part_name,
            **({"as_collection": False} if part_name == name else {}),
            resume=goes_on,
            overwrite=not goes_on,
            error_if_empty=False,
            progress_bar=False,
            addl_hats_properties=_facts(predictor),
        )
    margins = [part_name for part_name in parts if part_name != name]
    facts = {"all_margins": margins, "default_margin": margins[0]} if margins else {}
    properties.CollectionProperties(
        obs_collection=name, hats_primary_table_url=name, **facts
    ).to_properties_file(folder)
    run.finish()
    return lsdb.open_catalog(folder)


def _is_within(place, folder):
    """Whether a path, or None, is in a folder; each may be in the cloud."""
    return (
        place is not None
        and place.protocol == folder.protocol
        and place.absolute().is_relative_to(folder.absolute())
    )


def _identity(catalog):
    """List what is read, and by which steps, such as queries."""
    pixels = ",".join(f"{p.order}/{p.pixel}" for p in catalog.get_healpix_pixels())
    # dask names a step by a digest of its function and data; of a search by chance
    names = {key[0] for key in catalog._operation.build().graph}
    steps = sorted(name for name in names if not name.startswith("search"))
    return {
        "catalogue": f"{catalog.name} of {catalog.hc_structure.catalog_base_dir}",
        "columns of it": ", ".join(catalog.columns),
        "parts": hashlib.sha256(pixels.encode()).hexdigest()[:16],
        "steps": hashlib.sha256(repr(steps).encode()).hexdigest()[:16],
    }


def _told(search):
    """Arguments of a search, by their names."""
    return "none" if search is None else f"{type(search).__name__} {vars(search)}"


def _facts(predictor):
    """Properties of the catalogue that was written: what made its redshifts."""
    photoz = predictor.model.load()
    facts = {**photoz.provenance(), EDGES_KEY: edges_to_text(photoz.card.bin_edges)}
    return {f"{predictor.prefix}{key}".lower(): str(v) for key, v in facts.items()}
