"""Recognition of the columns of fluxes of a table, and of their bands."""

import re
from dataclasses import dataclass, replace
from itertools import chain

import astropy.units as u

from mantis_astro.bands import Band, band_of_suffix, get_band
from mantis_astro.catalogs.catalog import Catalog, Measure
from mantis_astro.catalogs.columns import (
    Cell,
    find_cell,
    find_name,
    get_cell,
    looks_like_redshifts,
)
from mantis_astro.catalogs.registry import list_catalogs, plain_name
from mantis_astro.exceptions import InputSpecError

__all__ = [
    "BandColumns",
    "find_bands_of",
    "find_named",
    "guess_columns",
    "guess_surveys",
]

# Columns that any catalogue may have, and which tell none.
_COMMON = {"{band}", "{band}mag", "mag_{band}"}


@dataclass(frozen=True, eq=False)
class BandColumns:
    """
    The columns of one band.

    Attributes
    ----------
    band : Band
        The band.
    measure : Measure
        What they hold.
    value : Cell
        Where the brightness is.
    error : Cell or None
        Where its error is.
    catalog : Catalog or None
        Whose columns they are, if that is known.
    letter : str
        The band, as the catalogue writes it.
    """

    band: Band
    measure: Measure
    value: Cell
    error: Cell | None = None
    catalog: Catalog | None = None
    letter: str = ""

    @property
    def index(self):
        """Place of the band among those of its catalogue."""
        return list(self.catalog.bands).index(self.letter)


def find_bands_of(table, catalog, taken=()):
    """
    Find the columns of a catalogue's bands.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.
    catalog : Catalog
        What it should look like.
    taken : collection of str
        Columns that belong to something else.

    Returns
    -------
    chosen : list of BandColumns
        In the measure that most bands have, with errors at best; the first of equals.
    others : list of Measure
        What else is there and not used.
    """
    found = [_find_measure(table, catalog, m, taken) for m in catalog.measures]
    found = [entries for entries in found if entries]
    if not found:
        return [], []
    chosen = max(found, key=lambda entries: (_n_with_error(entries), len(entries)))
    others = [entries[0].measure for entries in found if entries is not chosen]
    return chosen, others


def find_named(table, columns, catalogs, make_measure):
    """
    Find the columns that a user names.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.
    columns : mapping of str to str or pair of str
        For each band its column, or its columns of values and errors.
    catalogs : list of Catalog
        Whose letters may stand for bands.
    make_measure : callable
        Called with the band as it is named and the names of the two columns; returns a
        Measure.

    Returns
    -------
    list of BandColumns
        In the order given.

    Raises
    ------
    KeyError
        If there is no such column, or no such band.
    ValueError
        If what is given for a band is neither a name nor a pair.
    """
    entries = []
    for key, given in columns.items():
        names = tuple(given) if isinstance(given, list | tuple) else (given,)
        if len(names) not in (1, 2) or not all(isinstance(n, str) for n in names):
            msg = (
                f"'columns' must have a name or a pair (value, error) of names for "
                f"each band, got {given!r} for {key}"
            )
            raise InputSpecError(msg)
        cells = [get_cell(table, name) for name in names]
        letters = (c.bands[key] for c in catalogs if key in c.bands)
        band = get_band(next(letters, key))
        entries.append(BandColumns(band, make_measure(key, *names), *cells))
    _check_named_once(entries)
    return entries


def _check_named_once(entries):
    """Raise an error if bands are named twice, or have the same brightness."""
    bands = [str(entry.band) for entry in entries]
    cells = [str(entry.value) for entry in entries]
    for names, of in ((bands, "for"), (cells, "that read")):
        twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
        if twice:
            msg = f"'columns' has more than one {of} {', '.join(twice)}"
            raise InputSpecError(msg)
    for entry in entries:
        if str(entry.error) in cells:
            msg = f"'columns' has '{entry.error}' as an error and as a brightness"
            raise InputSpecError(msg)


def guess_columns(table, make_measure):
    """
    Recognise columns by their names alone.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.
    make_measure : callable
        As for `find_named`, of columns that are called as bands are.

    Returns
    -------
    entries : list of BandColumns
        Of the catalogues that the table looks like, and of columns that are called as
        bands are.
    others : list of tuple of Catalog and Measure
        What else is there and not used.

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` if nothing is recognised, or several
        catalogues have these columns.
    """
    entries = _called_as_bands(table, make_measure)
    taken = {cell.name for e in entries for cell in (e.value, e.error) if cell}
    others, left = [], list(map(_specific, list_catalogs()))
    while left:
        tried = [(c, *find_bands_of(table, c, taken)) for c in left]
        tried = [t for t in tried if len(t[1]) > 1]
        if not tried:
            break
        best = max(tried, key=lambda t: (_n_with_error(t[1]), len(t[1])))
        values = [str(e.value) for e in best[1]]
        rivals = [t[0].name for t in tried if [str(e.value) for e in t[1]] == values]
        if len(rivals) > 1:
            msg = (
                f"columns {_listed(values)} are those of {_listed(rivals)}: say which "
                "with survey="
            )
            raise InputSpecError(msg)
        catalog, chosen, unused = best
        known = {entry.band for entry in entries}
        chosen = [entry for entry in chosen if entry.band not in known]
        entries += chosen
        others += [(catalog, measure) for measure in unused]
        taken |= {cell.name for e in chosen for cell in (e.value, e.error) if cell}
        left.remove(catalog)
    if not entries:
        msg = (
            "no fluxes or magnitudes are recognised by the names of the columns: pass "
            "the survey of the table as survey= "
            f"({_listed([c.name for c in list_catalogs()])}), or the columns of each "
            "band as columns={'decam_g': ('g', 'g_err'), ...}; there are "
            f"{', '.join(table.colnames)}"
        )
        raise InputSpecError(msg)
    return entries, others


def guess_surveys(table):
    """
    Name the surveys whose fluxes or magnitudes a table has.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.

    Returns
    -------
    list of str
        Their names, as ``survey`` of `read_photometry` takes them; none if the names of
        the columns are not those of one survey.
    """
    try:
        entries, _ = guess_columns(table, lambda _, *names: Measure(*names))
    except InputSpecError:
        return []
    names = [entry.catalog.name for entry in entries if entry.catalog is not None]
    return list(dict.fromkeys(names))


def _find_measure(table, catalog, measure, taken):
    entries = []
    for index, (letter, band) in enumerate(catalog.bands.items()):
        value = find_cell(table, measure.value, letter, index)
        if value is None or value.name in taken:
            continue
        if value.name.lower() == "z" and looks_like_redshifts(table[value.name], "z"):
            continue
        error = find_cell(table, measure.error, letter, index)
        entries.append(
            BandColumns(get_band(band), measure, value, error, catalog, letter)
        )
    return entries


def _n_with_error(entries):
    return sum(entry.error is not None for entry in entries)


def _specific(catalog):
    """Leave out the names that other catalogues share."""
    if all(len(letter) > 1 for letter in catalog.bands):
        return catalog
    specific = tuple(m for m in catalog.measures if m.value not in _COMMON)
    return replace(catalog, measures=specific)


def _called_as_bands(table, make_measure):
    """Find columns with the names of bands: mag_decam_g, wise_w1, des_g."""
    of_surveys = _names_of_surveys()
    entries = {}
    for name in table.colnames:
        if len(getattr(table[name], "shape", ())) != 1:
            continue
        band = _band_called(name.lower(), of_surveys)
        if band is None or band in entries:
            continue
        error = find_name(table, _names_of_error(name)) or ""
        measure = make_measure(str(band), name, error)
        if measure.unit is None:  # numbers called flux are no magnitudes
            unit = u.dimensionless_unscaled if "flux" in name.lower() else u.mag
            measure = replace(measure, unit=unit)
        cells = [Cell(part) for part in (name, error) if part]
        entries[band] = BandColumns(band, measure, *cells)
    return list(entries.values())


def _band_called(name, of_surveys):
    bare = re.sub(r"^(mag|flux)_|_?(mag|flux)$", "", name)
    band = band_of_suffix(bare)
    if band is None:
        known = of_surveys.get(re.sub(r"[^a-z0-9]", "", bare))
        band = None if known is None else get_band(known)
    return band


def _names_of_surveys():
    """Bands by names made of survey and letter: desg, gdes."""
    return {
        joined: band
        for catalog in list_catalogs()
        for survey in map(plain_name, (catalog.name, *catalog.aliases))
        for letter, band in catalog.bands.items()
        for joined in (survey + letter.lower(), letter.lower() + survey)
    }


def _names_of_error(name):
    tail = [f"{name}{ending}" for ending in ("_err", "err", "_error", "_e")]
    head = [f"{start}_{name}" for start in ("e", "err", "error")]
    kinds = re.findall("mag|flux", name, flags=re.IGNORECASE)
    inner = [name.replace(k, f"{k}{e}", 1) for k in kinds for e in ("_err", "err")]
    return chain(tail, head, inner)


def _listed(names):
    return ", ".join(names)
