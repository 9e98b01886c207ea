"""Conversion of the columns of a band to columns of fluxes."""

import logging
from collections import Counter

import astropy.units as u
import numpy as np
from astropy.utils.masked import Masked

from mantis_astro.catalogs.columns import find_name, numbers
from mantis_astro.fluxes import (
    AB_ZERO_POINT_NJY,
    SENTINELS,
    is_sentinel_magnitude,
    njy_from_ab,
    to_flux,
    to_njy,
)
from mantis_astro.units import unit_of

__all__ = ["as_flux_columns", "is_brightness", "look_like_magnitudes"]

log = logging.getLogger(__name__)

_COUNTS = u.ct / u.s
_MAGNITUDES = (u.mag, u.ABmag)
_LIKE_MAGNITUDES = 3.0, 45.0
# Fluxes of galaxies in several bands differ by more than this.
_ONLY_MAGNITUDES = 10.0, 30.0
_MOST_SENTINELS = 3  # a catalogue has few numbers that stand for nothing


def as_flux_columns(table, entry, extinction=None, *, missing=SENTINELS):
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
    missing : sequence of float, optional
        Numbers that mark a magnitude as not observed.

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
        `~astropy.units.UnitsError` if the numbers have no unit and are no magnitudes,
        or the unit of the errors is not that of an error of theirs.
    """
    measure = entry.measure
    values = numbers(entry.value.of(table), str(entry.value))
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
    errors = _errors(table, entry, unit)
    if unit in _MAGNITUDES:
        leave_out(values == 0, "0")  # no galaxy is as bright as Vega
        is_marked = np.isin(values, missing) & ~is_sentinel_magnitude(values)
        leave_out(is_marked, _listed(missing))
        is_limit = is_sentinel_magnitude(errors) | (errors < 0)
        if measure.needs_error and entry.error is not None:
            is_limit |= np.isnan(errors)
        leave_out(~is_sentinel_magnitude(values) & is_limit, "upper limits")
        _tell_of_no_magnitudes(entry, values)
        if extinction is not None:
            leave_out(
                ~is_sentinel_magnitude(values) & np.isnan(extinction),
                "extinction not known",
            )
        flux, flux_err = _from_magnitudes(entry, values, errors, unit, extinction)
    else:
        flux, flux_err = _from_fluxes(entry, values, errors, unit)
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


def _errors(table, entry, unit):
    """
    Errors in the unit of the fluxes, or in mag of magnitudes; NaN where not known.

    They are infinite where an inverse variance of 0 says that nothing was observed.
    """
    if entry.error is None:
        return np.full(len(table), np.nan)
    column = entry.error.of(table)
    errors = numbers(column, str(entry.error))
    wanted = u.mag if unit in _MAGNITUDES else unit
    own, is_inverse = unit_of(column), entry.measure.is_inverse_variance
    own = getattr(own, "function_unit", own)  # mag of mag(AB)
    if isinstance(own, u.UnrecognizedUnit) or own == u.dimensionless_unscaled:
        own = None
    worth = None if own is None else _worth(own, wanted)
    root = None if own is None else _worth(own**-0.5, wanted)
    if root is not None:
        worth, is_inverse = root, True
    elif worth is None and not is_inverse and own is not None:
        msg = (
            f"column '{entry.error}' of errors of {entry.band} is in {own}, and "
            f"'{entry.value}' in {unit}: correct the unit of one of them"
        )
        raise u.UnitsError(msg)
    if is_inverse:
        with np.errstate(divide="ignore", invalid="ignore"):
            errors = np.where(errors <= 0, np.inf, errors**-0.5)
    return errors if worth is None else worth * errors


def _worth(unit, wanted):
    """Express a unit in one of magnitudes or fluxes; None if it is no such unit."""
    if unit == wanted:
        return 1.0
    if wanted == u.mag:
        return unit.to(u.mag) if unit.is_equivalent(u.mag) else None
    if not _is_flux(unit) or not _is_flux(wanted):
        return None
    return float(to_njy(1 * unit) / to_njy(1 * wanted))


def _from_fluxes(entry, values, errors, unit):
    """Fluxes in a unit that is worth what one of the catalogue's is."""
    measure = entry.measure
    if unit == _COUNTS:
        worth = njy_from_ab(entry.band.zero_point_ab())
    else:
        worth = float(to_njy(1 * unit))
        if measure.system == "Vega" and unit.is_equivalent(u.mgy):
            worth = float(to_njy(to_flux(1 * unit, band=entry.band, system="Vega")))
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
    if is_brightness(own):
        return own
    unit = entry.measure.unit
    if unit is not None and unit != u.dimensionless_unscaled:
        return unit
    if own in (None, u.dimensionless_unscaled) and unit is None:
        good = values[np.isfinite(values) & ~is_sentinel_magnitude(values)]
        low, high = _LIKE_MAGNITUDES
        if good.size and ((good > low) & (good < high)).all():
            return u.mag
        if all(map(_is_mark, values[np.isfinite(values)])):
            return u.mag  # of nothing, whatever the unit
    has = "has no unit" if own is None else f"is in {own}, which is no flux"
    msg = (
        f"column '{entry.value}' of {entry.band} {has}: pass its unit as unit=, "
        "such as 'nJy', 'nmgy' or 'mag'"
    )
    raise u.UnitsError(msg)


def is_brightness(unit):
    """
    Return whether a unit is one of magnitudes or fluxes.

    Parameters
    ----------
    unit : unit or None
        What a column has.

    Returns
    -------
    bool
        False for None and for units that astropy does not know.
    """
    return unit is not None and (unit in _MAGNITUDES or _is_flux(unit))


def _is_mark(value):
    """Whether a number is 99, -999.0, 99.99 or the like."""
    return set(f"{abs(value):g}") <= {"9", "."} and abs(value) >= 90


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
