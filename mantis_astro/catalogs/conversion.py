"""Conversion of the columns of a band to columns of fluxes."""

import logging
from collections import Counter

import astropy.units as u
import numpy as np
from astropy.utils.masked import Masked

from mantis_astro.catalogs.columns import find_name, numbers
from mantis_astro.fluxes import (
    AB_ZERO_POINT_NJY,
    is_sentinel_magnitude,
    njy_from_ab,
    to_flux,
    to_njy,
)
from mantis_astro.units import unit_of

__all__ = ["as_flux_columns", "look_like_magnitudes"]

log = logging.getLogger(__name__)

_COUNTS = u.ct / u.s
_MAGNITUDES = (u.mag, u.ABmag)
_LIKE_MAGNITUDES = 3.0, 45.0
# Fluxes of galaxies in several bands differ by more than this.
_ONLY_MAGNITUDES = 10.0, 30.0
_MOST_SENTINELS = 3  # a catalogue has few numbers that stand for nothing


def as_flux_columns(table, entry, extinction=None):
    """
    Convert the columns of a band to a flux and its error.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.
    entry : BandColumns
        The columns.
    extinction : `~numpy.ndarray`, optional
        Magnitudes to undo the correction with, of magnitudes that are corrected.

    Returns
    -------
    flux, flux_err : `~astropy.units.Quantity`
        Masked, with a unit that is a flux. What numbers mark as not observed still
        stands in fluxes, for `~mantis_astro.fluxes.read_fluxes`, and so does an error
        that is infinite.
    left_out : dict of str to int
        How many objects were masked, by the reason.

    Raises
    ------
    ValueError
        `~astropy.units.UnitsError` if the numbers have no unit and are no magnitudes.
    """
    measure = entry.measure
    values = numbers(entry.value.of(table), str(entry.value))
    errors = np.full(len(values), np.nan)
    if entry.error is not None:
        errors = numbers(entry.error.of(table), str(entry.error))
    left_out = Counter()

    def leave_out(which, why):
        count = np.count_nonzero(which & np.isfinite(values))
        if count:
            left_out[why] += count
            values[which] = np.nan

    leave_out(np.isin(values, measure.missing), _listed(measure.missing))
    leave_out(_flagged(table, entry), "flagged")
    leave_out(_of_bad_quality(table, entry), "of bad quality")
    unit = _unit(entry, unit_of(entry.value.of(table)), values)
    if unit in _MAGNITUDES:
        is_limit = is_sentinel_magnitude(errors) | (errors < 0)
        if measure.needs_error and entry.error is not None:
            is_limit |= np.isnan(errors)
        leave_out(~is_sentinel_magnitude(values) & is_limit, "upper limits")
        _tell_of_no_magnitudes(entry, values)
        flux, flux_err = _from_magnitudes(entry, values, errors, unit, extinction)
    else:
        flux, flux_err = _from_fluxes(table, entry, values, errors, unit)
    return flux, flux_err, dict(left_out)


def look_like_magnitudes(table, entries):
    """
    Return whether columns of fluxes hold magnitudes.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.
    entries : list of BandColumns
        The columns.

    Returns
    -------
    bool
        True if all numbers of three bands and three objects or more are from 10 to 30.
    """
    values = [
        numbers(entry.value.of(table), str(entry.value))
        for entry in entries
        if entry.measure.unit not in (None, *_MAGNITUDES)
        and unit_of(entry.value.of(table)) in (None, u.dimensionless_unscaled)
    ]
    if len(values) < 3:
        return False
    values = np.stack(values, axis=1)  # (n_object, n_band)
    values = values[(np.isfinite(values) & ~is_sentinel_magnitude(values)).all(axis=1)]
    low, high = _ONLY_MAGNITUDES
    return len(values) > 2 and bool(((values > low) & (values < high)).all())


def _tell_of_no_magnitudes(entry, values):
    """Warn of numbers beyond all magnitudes that are no sentinels either."""
    beyond = values[is_sentinel_magnitude(values)]
    if len(np.unique(beyond)) > _MOST_SENTINELS:
        log.warning(
            "column '%s' of %s has %d numbers from %.4g to %.4g, which are no "
            "magnitudes and count as not observed; if they are fluxes, set the unit "
            "of the column",
            entry.value,
            entry.band,
            len(beyond),
            beyond.min(),
            beyond.max(),
        )


def _from_magnitudes(entry, values, errors, unit, extinction):
    measure, factor = entry.measure, _zero_point_factor(entry)
    values = values if extinction is None else values + extinction
    softening = measure.softening.get(entry.letter)
    flux, flux_err = to_flux(
        values * unit,
        errors * u.mag,
        band=entry.band,
        system="AB" if unit == u.ABmag else measure.system,
        softening=None if softening is None else softening * AB_ZERO_POINT_NJY,
    )
    return factor * flux, factor * flux_err


def _from_fluxes(table, entry, values, errors, unit):
    """Fluxes in a unit that is worth what one of the catalogue's is."""
    measure = entry.measure
    if unit == _COUNTS:
        worth = njy_from_ab(entry.band.zero_point_ab())
    else:
        worth = float(to_njy(1 * unit))
        if measure.system == "Vega" and unit.is_equivalent(u.mgy):
            worth = float(to_njy(to_flux(1 * unit, band=entry.band, system="Vega")))
    if measure.is_inverse_variance:
        with np.errstate(divide="ignore", invalid="ignore"):
            errors = np.where(errors <= 0, np.inf, errors**-0.5)
    elif entry.error is not None:
        own = unit_of(entry.error.of(table))
        if own is not None and _is_flux(own) and own != unit:
            errors = errors * float(to_njy(1 * own) / to_njy(1 * unit))
    of_catalog = u.Unit(worth * _zero_point_factor(entry) * u.nJy)
    return tuple(
        Masked(numbers_, mask=np.isnan(numbers_)) * of_catalog
        for numbers_ in (values, errors)
    )


def _zero_point_factor(entry):
    offsets = {} if entry.catalog is None else entry.catalog.zero_points
    return 10 ** (-0.4 * offsets.get(entry.letter, 0.0))


def _unit(entry, own, values):
    """Find the unit of numbers: the column's if it is of fluxes, or the record's."""
    if own is not None and (own in _MAGNITUDES or _is_flux(own)):
        return own
    unit = entry.measure.unit
    if unit is not None and unit != u.dimensionless_unscaled:
        return unit
    if own in (None, u.dimensionless_unscaled) and unit is None:
        good = values[np.isfinite(values) & ~is_sentinel_magnitude(values)]
        low, high = _LIKE_MAGNITUDES
        if good.size and ((good > low) & (good < high)).all():
            return u.mag
    has = "has no unit" if own is None else f"is in {own}, which is no flux"
    msg = (
        f"column '{entry.value}' of {entry.band} {has}: pass its unit as unit=, "
        "such as 'nJy', 'nmgy' or 'mag'"
    )
    raise u.UnitsError(msg)


def _is_flux(unit):
    try:
        to_njy(1 * unit)
    except (u.UnitsError, TypeError, ValueError):
        return False
    return True


def _flagged(table, entry):
    pattern = entry.measure.flag
    name = pattern and find_name(table, [pattern.replace("{band}", entry.letter)])
    if not name:
        return np.zeros(len(table), bool)
    column = table[name]
    if column.dtype.kind in "OSU":  # of text files
        return np.isin(np.char.lower(np.asarray(column, str)), ("true", "t", "1"))
    return numbers(column, name) > 0


def _of_bad_quality(table, entry):
    """Letters that say so, one for each band of the catalogue."""
    name = entry.catalog and find_name(table, entry.catalog.quality)
    if not name:
        return np.zeros(len(table), bool)
    texts = np.ma.filled(np.ma.asarray(table[name]).astype(str), "")
    has_all = np.char.str_len(texts) == len(entry.catalog.bands)
    texts = np.where(has_all, texts, "").astype(f"U{len(entry.catalog.bands)}")
    letters = texts.view("U1").reshape(len(texts), -1)[:, entry.index]
    return np.isin(np.char.upper(letters), list(entry.catalog.bad_quality))


def _listed(values):
    return " or ".join(f"{value:g}" for value in values)
