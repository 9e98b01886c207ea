"""`read_photometry`: fluxes of any catalogue, in the columns that models read."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike

import astropy.units as u
import numpy as np
from astropy.table import QTable, Table
from astropy.utils.masked import Masked
from numpy.typing import ArrayLike

from mantis_astro.binned import true_redshift
from mantis_astro.catalogs.catalog import Catalog, Measure
from mantis_astro.catalogs.columns import find_name, looks_like_redshifts, numbers
from mantis_astro.catalogs.conversion import (
    as_flux_columns,
    is_brightness,
    look_like_magnitudes,
)
from mantis_astro.catalogs.dust import find_ebv, find_extinction
from mantis_astro.catalogs.per_band import PerBand
from mantis_astro.catalogs.recognition import (
    find_bands_of,
    find_named,
    guess_columns,
)
from mantis_astro.catalogs.registry import get_catalog
from mantis_astro.exceptions import InputSpecError
from mantis_astro.extinction import extinction_coefficients
from mantis_astro.fluxes import (
    AB_ZERO_POINT_NJY,
    SENTINELS,
    FluxState,
    flux_columns,
    known_ebv,
    read_fluxes,
    to_njy,
)
from mantis_astro.tables import read_table
from mantis_astro.tables.coordinates import find_coordinate_columns, find_coordinates
from mantis_astro.units import unit_of

__all__ = ["read_photometry"]

log = logging.getLogger(__name__)

#: Key of the table's meta with what was understood, one sentence each.
NOTES_KEY = "PHOTNOTE"

_INVERSE_VARIANCE = re.compile("ivar|inv(erse)?_?var", re.IGNORECASE)

# Names of redshifts and identifiers, the surest first.
_Z_SPEC = ("z_spec", "zspec", "spec_z", "specz", "z_sp", "zsp", "redshift", "zpec")
_IDENTIFIERS = (
    *("id", "objid", "obj_id", "objectid", "object_id", "coadd_object_id", "ls_id"),
    *("source_id", "sourceid", "targetid", "designation", "name", "objname"),
    *("specobjid", "bestobjid", "allwise", "brickid", "brick_objid", "release"),
)


def read_photometry(
    source: str | PathLike | Table,
    *,
    survey: str | Catalog | Sequence[str | Catalog] | None = None,
    columns: Mapping[str, str | tuple[str, str]] | None = None,
    unit: str | u.UnitBase | Mapping | None = None,
    system: str | Mapping[str, str] = "AB",
    softening: float | u.Quantity | Mapping | None = None,
    corrected: bool | None = None,
    aperture: str | None = None,
    ebv: str | ArrayLike | None = None,
    z_spec: str | None = None,
    ra: str | None = None,
    dec: str | None = None,
    keep: Iterable[str] | str | None = None,
    missing: Sequence[float] = SENTINELS,
) -> QTable:
    """
    Read the fluxes of a catalogue in the form that its archive writes.

    Parameters
    ----------
    source : str, path-like, `~astropy.table.Table` or DataFrame
        The catalogue: a file as `~mantis_astro.tables.files.read_table` reads it, or a
        table of astropy or pandas, which is not changed.
    survey : str, Catalog or sequence of these, optional
        Whose columns it has: ``"legacy survey dr10"``, ``"sdss"``, ``"ps1"``,
        ``"des"``, ``"galex"``, ``"allwise"``, ``"lsst dp1"``, ``"hsc"``, ``"2mass"``,
        or what `register_catalog` made known; several for matched tables.
    columns : mapping of str to str or pair of str, optional
        For each band its column, or its columns of values and errors:
        ``{"decam_g": ("g", "g_err")}``; ``"FLUX_APER[1]"`` names one of several numbers
        in a column. Bands are as `~mantis_astro.get_band` takes them or, beside
        ``survey``, as that survey writes them. What is named here counts before what
        the survey has. Errors whose name has ``ivar`` or ``invvar`` in it, or whose
        unit is that of one, are inverse variances. Without ``survey`` and ``columns``
        the names of the columns have to tell.
    unit : str, unit or mapping, optional
        Of ``columns`` that have none in the table, for all or by band: ``"mag"``,
        ``"nJy"``, ``"nmgy"``, ... By default numbers like magnitudes are that.
    system : {"AB", "Vega"} or mapping, optional
        System of magnitudes and maggies in ``columns``, for all or by band; AB where
        nothing else is given.
    softening : float, `~astropy.units.Quantity` or mapping, optional
        Softening of asinh magnitudes in ``columns``, in nJy if a plain number, for all
        or by band.
    corrected : bool, optional
        Whether fluxes of ``columns`` are corrected for Galactic extinction.
    aperture : str, optional
        What light the fluxes hold, such as ``"total"``, instead of what is known of
        the survey's.
    ebv : str or array_like, optional
        E(B-V) in magnitudes or its column; by default the survey's, or derived from
        columns of extinction.
    z_spec : str, optional
        Column of spectroscopic redshifts, by default one of the usual names.
    ra, dec : str, optional
        Columns of the position, see
        `~mantis_astro.tables.coordinates.find_coordinates`.
    keep : iterable of str or "all", optional
        Columns to take along; by default identifiers.
    missing : sequence of float, optional
        Numbers that mark what was not observed, in the unit of the columns.

    Returns
    -------
    `~astropy.table.QTable`
        ``coord`` where there are positions, unless columns of the usual names are kept;
        ``flux_<band>`` and ``flux_err_<band>`` in nJy, masked where a band was not
        observed, or an error is not known; ``z_spec`` and ``ebv`` where they are known.
        Its meta says whether fluxes are corrected for dust and what light they hold
        (`~mantis_astro.fluxes.read_state`), and under ``PHOTNOTE`` what was understood,
        not used and left out, as the log does.

    Raises
    ------
    OSError
        If there is no such file.
    TypeError
        If ``source`` is neither a file nor a table.
    KeyError
        If there is no such column, survey or band.
    ValueError
        If no band has a column, or what its numbers are is not known.

    Notes
    -----
    Of several measurements of a survey the one counts that most bands have, and of
    equals the one that is best for colours and total light: model before PSF
    magnitudes, fluxes before magnitudes. Fluxes are given as they were observed:
    corrections for dust are undone where they are known. Not observed is what is
    masked, NaN, a sentinel (99, -99, -999, -9999; in some surveys 0), what has an
    inverse variance of 0, a magnitude of exactly 0, an upper limit, and what the survey
    flags as failed.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from mantis_astro import read_photometry
    >>> sweep = Table({"RA": [10.0], "DEC": [20.0], "FLUX_G": [2.0],
    ...                "FLUX_IVAR_G": [25.0], "EBV": [0.03]})
    >>> table = read_photometry(sweep, survey="legacy survey dr10")
    >>> table["flux_legacysurvey_g"], table["flux_err_legacysurvey_g"]
    (<MaskedQuantity [7262.] nJy>, <MaskedQuantity [726.2] nJy>)

    Magnitudes of one's own:

    >>> own = Table({"rmag": [20.1, 99.0], "e_rmag": [0.02, 99.0]})
    >>> table = read_photometry(own, columns={"sdss_r0": ("rmag", "e_rmag")})
    >>> table["flux_sdss_r0"].round()
    <MaskedQuantity [33115., ———] nJy>
    """
    table = _as_table(source)
    entries, notes = _find_columns(table, survey, columns, unit, system, softening)
    catalogs = list(dict.fromkeys(e.catalog for e in entries if e.catalog is not None))
    found_ebv, origin = _find_ebv(table, ebv, catalogs)
    notes += [f"E(B-V) is from {origin}"] if origin else []
    converted, state, note = _convert(table, entries, found_ebv, missing, corrected)
    notes += note
    if aperture is not None:
        state = FluxState(state.is_corrected, state.coefficients, aperture)
    result = QTable()
    kept = _kept(table, keep)
    for name in kept:
        result[name] = table[name]
    read = {cell.name for e in entries for cell in (e.value, e.error) if cell}
    read |= {origin, *_add_coordinates(result, table, ra, dec, notes)}
    for name in converted.colnames:
        result[name] = converted[name]
    read |= {*kept, *_add_redshifts(result, table, z_spec, catalogs, read, notes)}
    if found_ebv is not None:
        result["ebv"] = Masked(found_ebv, mask=np.isnan(found_ebv)) * u.mag
        result["ebv"].info.description = "E(B-V) of the Milky Way"
    rest = [name for name in table.colnames if name not in read]
    if rest:
        notes.append(
            f"not read: {_shortened(rest)} ({len(rest)} of {len(table.colnames)})"
        )
    for text in notes:
        log.info("%s", text)
    result.meta.update(state.to_meta() | {NOTES_KEY: notes})
    return result


def _as_table(source):
    if isinstance(source, Table):
        return source
    if isinstance(source, str | PathLike):
        return read_table(source)
    if hasattr(source, "iloc"):  # pandas, which is not imported for this
        return Table.from_pandas(source)
    msg = (
        "'source' must be a file, an astropy Table or a pandas DataFrame, got "
        f"{type(source)}"
    )
    raise TypeError(msg)


def _find_columns(table, survey, columns, unit, system, softening):
    """Find the columns of bands, and remarks on them."""
    units = PerBand("unit", unit, _unit)
    systems = PerBand("system", system, _system, default="AB")
    softenings = PerBand("softening", softening, to_njy)
    named = []

    def measure(band, value, error=""):
        named.append(str(band))
        soft = softenings.of(band)
        return Measure(
            value,
            error,
            units.of(band),
            system=systems.of(band),
            softening={} if soft is None else {"": soft / AB_ZERO_POINT_NJY},
            is_inverse_variance=bool(_INVERSE_VARIANCE.search(error)),
            aperture="",
        )

    def check_options():
        for option in (units, systems, softenings):
            option.check_read(named)
        unused = [o.name for o in (units, systems, softenings) if o.is_given]
        if unused and not named:
            log.warning(
                "%s: of columns= alone, and none are named there; those of the survey "
                "are read as it writes them",
                " and ".join(f"'{name}'" for name in unused),
            )

    if not survey and not columns:
        entries, others = guess_columns(table, measure)
        check_options()
        return entries, _told(entries, others)
    surveys = [survey] if isinstance(survey, str | Catalog) else survey or []
    catalogs = [get_catalog(one) for one in surveys]
    entries = find_named(table, columns or {}, catalogs, measure)
    check_options()
    _tell_of_units(table, entries, unit)
    bands = [entry.band for entry in entries]
    taken = {cell.name for e in entries for cell in (e.value, e.error) if cell}
    others, absent = [], []
    for catalog in catalogs:
        found, unused = find_bands_of(table, catalog, taken)
        found = [entry for entry in found if entry.band not in bands]
        if not found:
            absent.append(catalog)
        entries += found
        bands += [entry.band for entry in found]
        taken |= {cell.name for e in found for cell in (e.value, e.error) if cell}
        others += [(catalog, one) for one in unused]
    if not entries:
        examples = [
            measure.value.replace("{band}", next(iter(catalog.bands)))
            for catalog in catalogs
            for measure in catalog.measures
        ]
        msg = (
            f"no columns of {' or '.join(c.title for c in catalogs)} were found, "
            f"such as {_shortened(examples)}: name yours with columns=; there are "
            f"{', '.join(table.colnames)}"
        )
        raise InputSpecError(msg)
    notes = _told(entries, others)
    notes += [f"{catalog.title}: no columns are left for it" for catalog in absent]
    return entries, notes


def _unit(name):
    try:
        return u.Unit(name)
    except ValueError:
        msg = "it is no unit of astropy, such as 'mag', 'mag(AB)', 'nJy' or 'nmgy'"
        raise ValueError(msg) from None


def _system(name):
    systems = {"ab": "AB", "vega": "Vega"}
    if str(name).lower() not in systems:
        msg = "it is 'AB' or 'Vega'"
        raise ValueError(msg)
    return systems[str(name).lower()]


def _tell_of_units(table, entries, unit):
    """Warn of columns whose own unit counts before that of the call."""
    for entry in entries:
        own, asked = unit_of(entry.value.of(table)), entry.measure.unit
        is_asked = unit is not None and asked is not None
        if is_asked and is_brightness(own) and own != asked:
            log.warning(
                "column '%s' of %s is in %s, which counts before unit='%s': if it is "
                "not, correct the unit of the column",
                entry.value,
                entry.band,
                own,
                asked,
            )


def _told(entries, others):
    """Describe the columns that are used, and the alternatives."""
    groups = {}
    for entry in entries:
        measure = entry.measure
        facts = measure.system, bool(measure.softening), measure.is_inverse_variance
        key = (entry.catalog, facts if entry.catalog is None else measure)
        groups.setdefault(key, []).append(entry)
    notes = []
    for (catalog, _), group in groups.items():
        measure = group[0].measure
        title = "columns" if catalog is None else catalog.title
        values = ", ".join(f"{e.value} for {e.band}" for e in group)
        errors = [str(e.error) for e in group if e.error is not None]
        kind = "inverse variances" if measure.is_inverse_variance else "errors"
        with_errors = f"{kind} {', '.join(errors)}" if errors else "no errors"
        kind = f"{measure.system}{', asinh' if measure.softening else ''}"
        notes.append(f"{title}: {values} ({kind}); {with_errors}")
        missed = [] if catalog is None else list(catalog.bands)
        missed = [b for b in missed if b not in [e.letter for e in group]]
        if missed:
            notes.append(f"{title}: no column for {', '.join(missed)}")
    by_catalog = {}
    for catalog, measure in others:
        by_catalog.setdefault(catalog.title, []).append(measure.value)
    for title, values in by_catalog.items():
        notes.append(f"{title}: also there and not used: {', '.join(values)}")
    return notes


def _find_ebv(table, ebv, catalogs):
    """E(B-V) as numbers, or None, and where it is from."""
    if ebv is None:
        return find_ebv(table, catalogs)
    if isinstance(ebv, str):
        name = find_name(table, [ebv])
        if name is None:
            msg = f"no column '{ebv}' of E(B-V); there are {', '.join(table.colnames)}"
            raise KeyError(msg)
        return known_ebv(numbers(table[name], name)), name
    values = numbers(ebv, "ebv") if hasattr(ebv, "dtype") else np.array(ebv, float)
    values = known_ebv(values)
    if values.ndim and values.shape != (len(table),):
        msg = f"'ebv' has shape {values.shape} for {len(table)} objects"
        raise InputSpecError(msg)
    return np.broadcast_to(values, len(table)).copy(), ""


def _convert(table, entries, ebv, missing, corrected):
    """Convert to fluxes in nJy; return them, their state, and remarks."""
    if look_like_magnitudes(table, entries):
        log.warning(
            "the numbers of %s, ... are all from 10 to 30: are they magnitudes? Rename "
            "the columns, or name them with columns= and unit='mag'",
            entries[0].value,
        )
    columns, dimming, undone, left_out = QTable(), {}, {}, {}
    for entry in entries:
        extinction = None
        if entry.measure.is_corrected:
            extinction = find_extinction(table, entry, ebv)
        undone[entry] = extinction is not None
        names = flux_columns(entry.band)
        *fluxes, left_out[entry] = as_flux_columns(
            table, entry, extinction, missing=missing
        )
        columns[names[0]], columns[names[1]] = fluxes
        if extinction is not None and entry.measure.unit != u.mag:
            dimming[entry.band] = 10 ** (-0.4 * extinction)
    bands = [entry.band for entry in entries]
    read = read_fluxes(columns, bands, missing=missing)
    result, notes = QTable(), []
    for j, entry in enumerate(entries):
        factor = dimming.get(entry.band, 1.0)
        unknown = read.observed[:, j] & ~np.isfinite(factor * np.ones(len(table)))
        if unknown.any():
            left_out[entry]["extinction not known"] = int(np.count_nonzero(unknown))
        for name, values in zip(
            flux_columns(entry.band), (read.flux, read.flux_err), strict=True
        ):
            flux = factor * values[:, j]
            result[name] = Masked(flux, mask=np.isnan(flux)) * u.nJy
        n_none = int(np.count_nonzero(~read.observed[:, j] | unknown))
        if n_none:
            why = [f"{reason}: {count:,}" for reason, count in left_out[entry].items()]
            why = f" ({', '.join(why)})" if why else ""
            notes.append(
                f"{entry.band}: {n_none:,} of {len(table):,} not observed{why}"
            )
    state, note = _state(entries, undone, corrected)
    return result, state, notes + note


def _state(entries, undone, corrected):
    """Return the dust correction and the aperture of fluxes."""
    if corrected is not None and all(entry.catalog for entry in entries):
        log.warning(
            "'corrected': of columns= alone, and none are named there; of those of the "
            "survey it is known"
        )
    states = {
        entry: corrected
        if entry.catalog is None
        else entry.measure.is_corrected and not undone[entry]
        for entry in entries
    }
    kinds, notes = set(states.values()), []
    is_corrected = kinds.pop() if len(kinds) == 1 else None
    if True in kinds:
        some = [str(entry.band) for entry, state in states.items() if state]
        log.warning(
            "fluxes of %s are corrected for dust and others are not, or not known to "
            "be: with 'ebv' and 'corrected' all become as observed",
            ", ".join(some),
        )
    elif is_corrected is None:
        unknown = [str(entry.band) for entry, state in states.items() if state is None]
        notes.append(
            f"not known whether {', '.join(unknown)} are corrected for Galactic dust: "
            "state it with corrected="
        )
    if any(undone.values()):
        notes.append("corrections for dust are undone: fluxes are as observed")
    coefficients = _coefficients(entries) if is_corrected else None
    apertures = {entry.measure.aperture for entry in entries}
    if len(apertures) > 1:
        told = " and ".join(sorted(light or "not known" for light in apertures))
        notes.append(f"fluxes hold different light ({told}): the table says none")
    aperture = apertures.pop() if len(apertures) == 1 else ""
    return FluxState(is_corrected, coefficients, aperture), notes


def _coefficients(entries):
    """Extinction for E(B-V) = 1 of the catalogues, or else of the package."""
    known = {
        str(entry.band): float(entry.catalog.per_ebv[-1][entry.letter])
        for entry in entries
        if entry.catalog is not None and entry.catalog.per_ebv
    }
    others = [entry.band for entry in entries if str(entry.band) not in known]
    of_package = extinction_coefficients(others) if others else {}
    return known | {str(band): value for band, value in of_package.items()}


def _kept(table, keep):
    if keep is None:
        return [n for n in table.colnames if n.lower() in _IDENTIFIERS]
    names = table.colnames if isinstance(keep, str) and keep == "all" else keep
    names = [names] if isinstance(names, str) else list(names)
    for name in names:
        if name not in table.colnames:
            msg = f"'keep': no column '{name}'; there are {', '.join(table.colnames)}"
            raise KeyError(msg)
    return names


def _add_coordinates(result, table, ra, dec, notes):
    """Add the positions if there are any; return the names of their columns."""
    by_name = ra is None and dec is None
    try:
        if by_name:
            ra, dec = find_coordinate_columns(table)
    except KeyError:
        notes.append("there are no positions")
        return ()
    coord, good = find_coordinates(table, ra=ra, dec=dec)
    if not (by_name and {ra, dec} <= {*result.colnames, None}):
        result["coord"] = coord
    if not good.all():
        n_bad = int(np.count_nonzero(~good))
        notes.append(f"{n_bad:,} of {len(table):,} have no position")
    return ra, dec


def _add_redshifts(result, table, name, catalogs, read, notes):
    """Add redshifts if there are any; return the name of their column."""
    if name is None:
        if "z_spec" in result.colnames:
            return set()
        names = [*_Z_SPEC, *(n for c in catalogs for n in c.z_spec), "z"]
        name = _first_redshift(table, names, read)
        if name is None:
            return set()
    elif name not in table.colnames:
        msg = f"no column '{name}' of redshifts; there are {', '.join(table.colnames)}"
        raise KeyError(msg)
    values = true_redshift(numbers(table[name], name))
    result["z_spec"] = Masked(values, mask=np.isnan(values)) * u.one
    n = int(np.count_nonzero(np.isfinite(values)))
    notes.append(f"z_spec is from {name}: {n:,} of {len(table):,} have one")
    return {name}


def _first_redshift(table, names, read):
    for one in names:
        name = find_name(table, [one])
        if name is None or name in read:
            continue
        if looks_like_redshifts(table[name], name):
            return name
    return None


def _shortened(names):
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
