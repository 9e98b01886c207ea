"""E(B-V) and dust corrections in the tables of catalogues."""

import numpy as np

from mantis_astro.catalogs.columns import find_cell, find_name, numbers
from mantis_astro.fluxes import known_ebv

__all__ = ["find_ebv", "find_extinction"]

_MOST = 90.0  # magnitudes; what is beyond marks what is not known
_NAMES = ("ebv", "e_bv", "e(b-v)", "ebv_sfd", "ebv_csfd", "mw_ebv", "sfd_ebv")


def find_ebv(table, catalogs):
    """
    Find E(B-V) in a table, in its column or from columns of extinction.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.
    catalogs : list of Catalog
        Whose columns it has.

    Returns
    -------
    values : `~numpy.ndarray` or None
        In magnitudes, NaN where not known; None if there is nothing of it.
    origin : str
        The column that it comes from, or what else.
    """
    name = find_name(table, [*(n for c in catalogs for n in c.ebv), *_NAMES])
    if name is not None:
        return known_ebv(numbers(table[name], name)), name
    for catalog in catalogs:
        found = {b: _extinction_of(table, catalog, b) for b in catalog.bands}
        found = {
            letter: values for letter, values in found.items() if values is not None
        }
        values = _ebv_of(catalog, found)
        if values is not None:
            return values, f"the extinction that {catalog.title} gives"
    return None, ""


def find_extinction(table, entry, ebv):
    """
    Find the extinction of a band in magnitudes.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.
    entry : BandColumns
        The band.
    ebv : `~numpy.ndarray` or None
        E(B-V) of each object.

    Returns
    -------
    `~numpy.ndarray` or None
        By the catalogue's own column, or its own ratio to E(B-V); None if neither is
        known.
    """
    if entry.catalog is None:
        return None
    column = _extinction_of(table, entry.catalog, entry.letter)
    if column is not None or ebv is None or not entry.catalog.per_ebv:
        return column
    return entry.catalog.per_ebv[-1][entry.letter] * ebv


def _extinction_of(table, catalog, letter):
    """Extinction in magnitudes by the catalogue's columns, or None."""
    index = list(catalog.bands).index(letter)
    cell = find_cell(table, catalog.extinction, letter, index)
    if cell is not None:
        extinction = numbers(cell.of(table), str(cell))
        return np.where(np.abs(extinction) < _MOST, extinction, np.nan)
    cell = find_cell(table, catalog.transmission, letter, index)
    if cell is None:
        return None
    fraction = numbers(cell.of(table), str(cell))
    fraction = np.where((fraction > 0) & (fraction <= 1), fraction, np.nan)
    return -2.5 * np.log10(fraction)


def _ebv_of(catalog, extinctions):
    """E(B-V) by the set of ratios that fits the columns best."""
    best = None
    for ratios in catalog.per_ebv:
        shared = [letter for letter in extinctions if letter in ratios]
        if not shared:
            continue
        # the bluer half: extinction in the infrared is rounded away
        shared = sorted(shared, key=ratios.get)[-max(1, (len(shared) + 1) // 2) :]
        each = np.stack([extinctions[k] / ratios[k] for k in shared])
        each = np.where((each > -0.1) & (each < 100), each, np.nan)
        known = np.isfinite(each).all(axis=0)
        spread = np.median(np.ptp(each[:, known], axis=0)) if known.any() else 0.0
        if best is None or spread < best[0]:
            best = spread, np.where(known, each.mean(axis=0), np.nan)
    return None if best is None else best[1]
