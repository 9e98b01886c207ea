"""`combine_redshifts`: one redshift for each object, of several spectra and surveys."""

import logging

import astropy.units as u
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mantis_astro.binned import true_redshift
from mantis_astro.redshift_surveys.surveys import list_redshift_surveys
from mantis_astro.tables.coordinates import find_coordinates
from mantis_astro.units import unit_of, without_unit

__all__ = ["combine_redshifts"]

log = logging.getLogger(__name__)


def combine_redshifts(
    table, *, order=None, radius=1 * u.arcsec, tolerance=0.01, limits=None
):
    """
    Keep one redshift for each object.

    Rows closer to each other than the radius, directly or by way of others, are one
    object. Of its rows that of the survey which comes first is kept; within a survey
    that of the highest quality, and then that with the smallest error. Objects of
    which two redshifts disagree are left out: one of them is wrong, and it is not
    known which.

    Parameters
    ----------
    table : `~astropy.table.Table`
        As `fetch_redshifts` returns it.
    order : sequence of str, optional
        Surveys, the preferred one first; by default `list_redshift_surveys`. Others
        come last.
    radius : `~astropy.units.Quantity`, optional
        Largest distance between two spectra of one object.
    tolerance : float, optional
        Largest difference of its redshifts, divided by 1 + z.
    limits : mapping of str to (float, float), optional
        For columns, the lowest and the highest value of objects that are kept; those
        without a value are not.

    Returns
    -------
    `~astropy.table.QTable`
        In the order of right ascension, with the column ``n_spectra``. ``meta`` has
        under ``"combination"`` how many were left out, and why.

    Raises
    ------
    KeyError
        If a column is not there.

    Examples
    --------
    >>> from astropy.table import QTable
    >>> from mantis_astro.redshift_surveys import combine_redshifts
    >>> rows = QTable({
    ...     "ra": [10.0, 10.0001, 20.0, 20.0001], "dec": [0.0, 0.0, 0.0, 0.0],
    ...     "z_spec": [0.1, 0.1001, 0.3, 0.5],
    ...     "survey": ["sdss", "desi", "sdss", "6df"],
    ... })
    >>> table = combine_redshifts(rows)
    >>> table["survey", "z_spec", "n_spectra"].pprint()
    survey z_spec n_spectra
    ------ ------ ---------
      desi 0.1001         2
    >>> table.meta["combination"]["objects that disagree"]
    1
    """
    counts = {"spectra": len(table)}
    coords, good = find_coordinates(table)
    counts["without position"] = int((~good).sum())
    known = np.isfinite(true_redshift(table["z_spec"]))
    counts["without redshift"] = int((good & ~known).sum())
    table, coords = table[good & known], coords[good & known]
    best_first = _best_first(table, coords, list(order or list_redshift_surveys()))
    table, coords = table[best_first], coords[best_first]
    group = _groups(coords, radius)
    # rows are in order: the first of each group is its best
    _, first, group, n_spectra = np.unique(
        group, return_index=True, return_inverse=True, return_counts=True
    )
    z = true_redshift(table["z_spec"])
    low, high = np.full(len(first), np.inf), np.full(len(first), -np.inf)
    np.minimum.at(low, group, z)
    np.maximum.at(high, group, z)
    agree = (high - low) / (1 + z[first]) <= tolerance
    counts["further spectra of an object"] = int(len(z) - len(first))
    counts["objects that disagree"] = int((~agree).sum())
    result, coords = table[first[agree]], coords[first[agree]]
    result["n_spectra"] = n_spectra[agree]
    result["n_spectra"].info.description = "Spectra of the object in all surveys"
    result = result[np.lexsort((coords.dec.deg, coords.ra.deg))]
    for name, (lowest, highest) in (limits or {}).items():
        values = _numbers(_column(result, name))
        with np.errstate(invalid="ignore"):
            inside = (values >= lowest) & (values <= highest)
        what = f"objects outside {name} = {lowest:g} to {highest:g}"
        counts[what] = int((~inside).sum())
        result = result[inside]
    counts["objects"] = len(result)
    result.meta["combination"] = counts
    log.info("%s", ", ".join(f"{n:,} {what}" for what, n in counts.items()))
    return result


def _column(table, name):
    if name not in table.colnames:
        msg = f"no column '{name}'; there are {', '.join(table.colnames)}"
        raise KeyError(msg)
    return table[name]


def _numbers(column):
    return without_unit(column, unit_of(column))


def _best_first(table, coords, order):
    """Order of the rows from the best to the worst, whatever order they came in."""
    place = {name: i for i, name in enumerate(order)}
    survey = np.array([place.get(str(s), len(order)) for s in table["survey"]], int)
    quality, error = (
        _numbers(table[name]) if name in table.colnames else np.full(len(table), np.nan)
        for name in ("quality", "z_spec_err")
    )
    quality = np.nan_to_num(quality, nan=-np.inf)
    error = np.where(error > 0, error, np.inf)  # 0 and -9999 are no errors
    ties = true_redshift(table["z_spec"]), coords.dec.deg, coords.ra.deg
    return np.lexsort((*ties, error, -quality, survey))


def _groups(coords, radius):
    """Find the object that each row belongs to, by number."""
    if len(coords) < 2:
        return np.arange(len(coords))
    i, j, *_ = coords.search_around_sky(coords, radius)
    pairs = coo_array((np.ones(len(i), bool), (i, j)), (len(coords),) * 2)
    return connected_components(pairs, directed=False)[1]
