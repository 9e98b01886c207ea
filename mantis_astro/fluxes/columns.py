"""The one reader of columns of fluxes: units, masks, and missing observations."""

import logging
from dataclasses import dataclass, replace
from functools import lru_cache

import astropy.units as u
import numpy as np
from astropy.table import Row

from mantis_astro.bands import band_of_suffix, get_band, get_bands, get_survey
from mantis_astro.exceptions import InputSpecError
from mantis_astro.fluxes.magnitudes import POGSON, has_depth
from mantis_astro.fluxes.zero_points import SENTINELS, to_njy
from mantis_astro.units import unit_of, without_unit

__all__ = ["Fluxes", "column_suffix", "find_bands", "flux_columns", "read_fluxes"]

log = logging.getLogger(__name__)

# Magnitudes of galaxies; in nJy, too faint for any survey whose depth is known here.
_LIKE_MAGNITUDES = 5.0, 40.0


def column_suffix(band):
    """
    Return the ending of the columns of a band.

    Parameters
    ----------
    band : Band or str
        The band.

    Returns
    -------
    str
        Its name with the dot made an underscore.

    Examples
    --------
    >>> from mantis_astro.photometry import column_suffix
    >>> column_suffix("galex.NUV")
    'galex_NUV'
    """
    return get_band(band).column_suffix


def flux_columns(band):
    """
    Names of the two columns of a band.

    Parameters
    ----------
    band : Band or str
        The band.

    Returns
    -------
    flux, flux_err : str
        Names of the columns.

    Examples
    --------
    >>> from mantis_astro.fluxes import flux_columns
    >>> flux_columns("ps1.g")
    ('flux_ps1_g', 'flux_err_ps1_g')
    """
    suffix = column_suffix(band)
    return f"flux_{suffix}", f"flux_err_{suffix}"


def find_bands(table):
    """
    Find the bands that a table has fluxes of.

    Parameters
    ----------
    table : `~astropy.table.Table` or `~astropy.table.Row`
        With columns such as ``flux_ps1_g`` or ``flux_decam_g``.

    Returns
    -------
    tuple of Band
        Bands of registered surveys and filters of sedpy, in the order of the columns.

    Notes
    -----
    A column whose name differs from a band's in nothing but the case of its letters is
    not one of it; it is told of in the log.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from mantis_astro.fluxes import find_bands
    >>> table = Table({"id": [1], "flux_decam_Y": [30.0], "flux_ps1_g": [20.0]})
    >>> [str(band) for band in find_bands(table)]
    ['decam_Y', 'ps1.g']
    """
    found = []
    for column in table.colnames:
        if not column.lower().startswith("flux_"):
            continue
        band = band_of_suffix(column[len("flux_") :])
        if band is None:
            continue
        name = flux_columns(band)[0]
        if column == name:
            found.append(band)
        elif name not in table.colnames:
            log.warning(
                "column '%s' is not read: that of %s is '%s'", column, band, name
            )
    return tuple(found)


@dataclass(frozen=True)
class Fluxes:
    """
    Fluxes of some objects, as plain numbers.

    Attributes
    ----------
    bands : tuple of Band
        The bands.
    flux : `~numpy.ndarray`
        In nJy, shape (n_object, n_band); NaN where not observed.
    flux_err : `~numpy.ndarray`
        In nJy, shape (n_object, n_band); NaN where not observed or not known.
    aperture : str
        What light they hold, as `FluxState` has it; empty if that is not known.
    """

    bands: tuple
    flux: np.ndarray
    flux_err: np.ndarray
    aperture: str = ""

    def __len__(self):
        return len(self.flux)

    def __getitem__(self, rows):
        """Return the chosen objects."""
        return replace(self, flux=self.flux[rows], flux_err=self.flux_err[rows])

    @property
    def observed(self):
        """Whether a flux was observed, shape (n_object, n_band)."""
        return np.isfinite(self.flux)

    @property
    def values(self):
        """Fluxes and errors, shape (n_object, 2, n_band)."""
        return np.stack([self.flux, self.flux_err], axis=1)


def read_fluxes(table, bands=None, *, missing=SENTINELS, default_unit=None):
    """
    Read the columns of fluxes of a table.

    Parameters
    ----------
    table : `~astropy.table.Table` or `~astropy.table.Row`
        With columns such as ``flux_ps1_g`` and ``flux_err_ps1_g``.
    bands : iterable of Band or str, optional
        The bands; by default those of `find_bands`.
    missing : sequence of float, optional
        Values, in the unit of the column, that mark a flux as not observed. An empty
        one takes every finite flux for an observation, whatever its error.
    default_unit : `~astropy.units.UnitBase`, optional
        Unit of columns that have none; by default such a column is an error.

    Returns
    -------
    Fluxes
        In nJy.

    Raises
    ------
    ValueError
        `~astropy.units.UnitsError` if a column is not of fluxes, or has no unit;
        `~mantis_astro.exceptions.InputSpecError` if it is not one number a row.

    Notes
    -----
    Columns may be of any class, of a QTable or a plain Table: flux densities; AB
    maggies or nanomaggies; AB magnitudes with the unit mag(AB), their errors in mag.

    Not observed is a flux that is masked, NaN, infinite, or in ``missing``, and one
    whose error is infinite, zero or negative; what was found so is logged with its
    number. A band without columns was not observed. An error that is masked, NaN or
    without a column is not known, which does not make the flux unobserved. A flux that
    is negative or not significant is an observation.

    Examples
    --------
    >>> import astropy.units as u
    >>> from astropy.table import QTable
    >>> from mantis_astro.fluxes import read_fluxes
    >>> table = QTable({"flux_ps1_g": [3.631] * u.uJy, "flux_err_ps1_g": [9] * u.nJy})
    >>> read_fluxes(table).flux
    array([[3631.]])
    """
    level = logging.WARNING
    if isinstance(table, Row):
        table, level = table.table[table.index : table.index + 1], logging.INFO
    bands = find_bands(table) if bands is None else get_bands(bands)
    flux, flux_err = np.full((2, len(table), len(bands)), np.nan)
    n_marked = n_bad_error = 0
    for j, band in enumerate(bands):
        name, name_err = flux_columns(band)
        if name not in table.colnames:
            continue
        column = _checked(table[name], name, default_unit)
        values = _njy(column, name)
        marked = np.isin(without_unit(column, column.unit), missing)
        bad_error = np.zeros(len(table), bool)
        if name_err in table.colnames:
            errors = _checked(table[name_err], name_err, default_unit)
            errors = _njy_error(errors, name_err, column, values)
            if len(missing):
                bad_error = ~marked & (np.isinf(errors) | (errors <= 0))
            flux_err[:, j] = np.where(
                (errors > 0) & np.isfinite(errors), errors, np.nan
            )
        there = np.isfinite(values)
        n_marked += np.count_nonzero(there & marked)
        n_bad_error += np.count_nonzero(there & bad_error)
        flux[:, j] = np.where(there & ~marked & ~bad_error, values, np.nan)
        _tell_of_vega(band, column, level)
    flux_err[np.isnan(flux)] = np.nan
    fluxes = Fluxes(tuple(bands), flux, flux_err)
    _tell(fluxes, n_marked, n_bad_error, missing, level)
    return fluxes


def _checked(column, name, default_unit):
    """Check that a column is numbers with a unit, or give it the default one."""
    if len(column.shape) != 1 or column.dtype.kind in "SU":
        kind = "text" if column.dtype.kind in "SU" else f"of shape {column.shape}"
        msg = f"column '{name}' must have one number for each object, and is {kind}"
        raise InputSpecError(msg)
    if column.unit is not None:
        return column
    if default_unit is None:
        msg = (
            f"column '{name}' has no unit: set it to that of its numbers, "
            f"table['{name}'].unit = 'nJy'"
        )
        raise u.UnitsError(msg)
    column = column.copy()
    column.unit = default_unit
    return column


def _njy(column, name):
    """Fluxes in nJy, NaN where masked."""
    try:
        return to_njy(column)
    except u.UnitsError:
        msg = (
            f"column '{name}' must be a flux density (nJy), maggies (nmgy) or AB "
            f"magnitudes (mag(AB)), got {column.unit}; photometry.to_flux converts "
            "other magnitudes"
        )
        raise u.UnitsError(msg) from None


def _njy_error(column, name, flux_column, flux):
    """Errors of fluxes in nJy, NaN where masked."""
    if not isinstance(flux_column.unit, u.UnitBase) and column.unit in (u.mag, u.ABmag):
        return flux * without_unit(column, unit_of(column)) / POGSON
    return _njy(column, name)


def _tell(fluxes, n_marked, n_bad_error, missing, level):
    """Log fluxes treated as not observed, and implausible fluxes."""
    found = []
    if n_marked:
        marks = " or ".join(f"{mark:g}" for mark in missing)
        found.append(f"{n_marked:,} are {marks}")
    if n_bad_error:
        found.append(
            f"{n_bad_error:,} have an error that is zero, negative or infinite"
        )
    if found:
        log.log(
            level,
            "of %d fluxes, %s: treated as not observed (missing=() uses all of them)",
            fluxes.flux.size,
            " and ".join(found),
        )
    observed = fluxes.observed
    known = observed & np.isfinite(fluxes.flux_err)
    if observed.any() and not known.any():
        log.log(level, "no flux has an error, which must be positive and finite")
    shallow = [has_depth(band) for band in fluxes.bands]
    values, errors = (x[:, shallow] for x in (fluxes.flux, fluxes.flux_err))
    low, high = _LIKE_MAGNITUDES
    values, errors = values[~np.isnan(values)], errors[~np.isnan(errors)]
    if (
        values.size
        and ((values > low) & (values < high)).all()
        and (errors < low).all()
    ):
        log.log(
            level,
            "all fluxes are from %.3g to %.3g nJy, as no galaxy of these surveys is: "
            "are they magnitudes? Their unit is then 'mag(AB)'",
            values.min(),
            values.max(),
        )


@lru_cache(maxsize=128)
def _are_maggies(unit):
    return isinstance(unit, u.UnitBase) and unit.is_equivalent(u.mgy)


def _tell_of_vega(band, column, level):
    unit = column.unit
    if not _are_maggies(unit) or not band.survey:
        return
    if get_survey(band.survey).magsys == "Vega":
        log.log(
            level,
            "fluxes of %s in %s are treated as AB, as in the catalogues of the Legacy "
            "Surveys; photometry.to_flux(..., system='Vega') converts those of unWISE",
            band,
            unit,
        )
